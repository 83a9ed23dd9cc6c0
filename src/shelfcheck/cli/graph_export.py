"""`shelfcheck graph export`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show

if TYPE_CHECKING:
    from shelfcheck.graph.export import Target


@click.command(
    epilog="""\b
Examples:
  shelfcheck graph export --to neptune s3://bucket/graph --workspace shop
  shelfcheck graph export --to neo4j import --gzip --workspace shop
  shelfcheck graph export --to parquet tables --model out_of_fold --workspace shop
  shelfcheck graph export --to gremlin /shared/graph --workspace /shared/shop --engine spark"""
)
@click.argument("output")
@click.option(
    "--to",
    "target",
    type=click.Choice(["neptune", "neo4j", "gremlin", "parquet"]),
    required=True,
    help="neptune: openCypher CSV; gremlin: Neptune's Gremlin CSV; neo4j: CSV for neo4j-admin.",
)
@click.option("--model", "models", multiple=True, help="Whose predictions; all when not given. Repeatable.")
@click.option("--gzip", "compress", is_flag=True, help="Compress each CSV file.")
@click.option(
    "--max-megabytes",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Size at which a CSV file is closed, before gzip.",
)
@options.common
def export(
    job: options.Job,
    *,
    output: str,
    target: Target,
    models: tuple[str, ...],
    compress: bool,
    max_megabytes: int,
) -> None:
    """Write the graph as files that a graph database loads.

    OUTPUT is a folder or a URL such as s3://bucket/prefix: new, empty, or of an earlier export. The files
    are below OUTPUT/data; OUTPUT/manifest.json tells rows, bytes and SHA-256 of each. What an earlier export
    of the same tables has finished, also one that was killed, is not written again. --engine spark writes
    several files at a time on a cluster, the same bytes.
    """
    with job.progress() as progress:
        written = api.graph_export(
            job.workspace,
            output,
            target,
            models=models or None,
            compress=compress,
            max_megabytes=max_megabytes,
            **job.arguments(progress),
        )
    if job.as_json:
        options.print_json(asdict(written) | {"fresh": written.fresh, "data": written.data})
        return
    rows = [
        (
            name,
            f"{count:,}",
            str(sum(1 for one in written.files if one.table == name)),
            f"{sum(one.bytes for one in written.files if one.table == name) / 1e6:,.1f}",
        )
        for name, count in written.rows.items()
    ]
    show("", ("table", "rows", "files", "MB"), rows, numeric=[1, 2, 3])
    click.echo(f"\n{written.data}{' (fresh)' if written.fresh else ''}")
