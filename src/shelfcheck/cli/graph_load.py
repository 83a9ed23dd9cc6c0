"""`shelfcheck graph load`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show
from shelfcheck.graph.bolt import PASSWORD_VARIABLE


@click.command(
    epilog="""\b
Examples:
  shelfcheck graph load --to bolt://localhost:7687 --workspace shop
  shelfcheck graph load --to neo4j+s://graphs.example.com --user shelfcheck --workspace shop
  shelfcheck graph load --to neptune --endpoint https://my-cluster:8182 --region eu-central-1 \\
      --export s3://bucket/graph --role arn:aws:iam::123456789012:role/load --workspace shop
  shelfcheck graph load --to neptune --endpoint https://my-cluster:8182 --load-id ID"""
)
@click.option("--to", required=True, help="Address of a Bolt server, such as bolt://HOST:7687, or neptune.")
@click.option("--model", "models", multiple=True, help="Whose predictions; all when not given. Repeatable.")
@click.option(
    "--only-predictions",
    is_flag=True,
    help="Bolt: load the predictions alone, to nodes that are there from an earlier load.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Bolt: at the end, remove what earlier loads wrote and this one did not.",
)
@click.option(
    "--user",
    envvar="SHELFCHECK_GRAPH_USER",
    show_envvar=True,
    help="Bolt: user; the password is read from SHELFCHECK_GRAPH_PASSWORD.",
)
@click.option("--database", help="Bolt: database; the server's default when not given.")
@click.option(
    "--batch", type=click.IntRange(1), default=2000, show_default=True, help="Bolt: rows a transaction."
)
@click.option("--endpoint", metavar="URL", help="Neptune: https://CLUSTER:8182.")
@click.option("--export", metavar="URL", help="Neptune: s3://BUCKET/PREFIX to export to and load from.")
@click.option("--role", metavar="ARN", help="Neptune: IAM role with which the cluster reads the files.")
@click.option("--region", help="Neptune: region of cluster and bucket.")
@click.option("--gremlin", is_flag=True, help="Neptune: Gremlin CSV, not openCypher CSV.")
@click.option(
    "--mode",
    type=click.Choice(["AUTO", "RESUME", "NEW"]),
    default="AUTO",
    show_default=True,
    help="Neptune: AUTO goes on with an earlier load of these files that failed.",
)
@click.option(
    "--parallelism",
    type=click.Choice(["LOW", "MEDIUM", "HIGH", "OVERSUBSCRIBE"]),
    default="HIGH",
    show_default=True,
    help="Neptune: how much of the cluster the loader takes.",
)
@click.option("--load-id", metavar="ID", help="Neptune: follow this load, and start none.")
@options.workspace
@options.quiet
@options.as_json
def load(
    *, to: str, models: tuple[str, ...], workspace: str, quiet: bool, as_json: bool, **more: Any
) -> None:
    """Load the graph into a graph database.

    A Bolt server (Neo4j, Memgraph, ArcadeDB) gets it in batches, merged by key: a load may be repeated, adds
    what is missing, brings up to date what is there, and removes nothing without --replace. Amazon Neptune
    loads it from S3: the graph is exported there, the cluster's bulk loader is started and followed to its
    end.
    """
    from shelfcheck.cli.progress import ConsoleProgress  # noqa: PLC0415 - loads rich's bars

    more["password"] = os.environ.get(PASSWORD_VARIABLE)
    with ConsoleProgress(quiet=quiet) as progress:
        loaded = api.graph_load(workspace, to, models=models or None, progress=progress, **more)
    told = asdict(loaded)
    if as_json:
        options.print_json(told)
    elif "rows" in told:
        show("", ("table", "rows"), [(name, f"{n:,}") for name, n in told["rows"].items()], numeric=[1])
        for name, n in told["removed"].items():
            if n:
                click.echo(f"Removed {n:,} of {name}.")
        for label in told["without_key"]:
            click.echo(f"The server took no key for {label}; later loads and questions will be slow.")
        click.echo(f"\nLoaded into {told['server']}")
    else:
        click.echo(
            f"{told['status']}: {told['records']:,} records, {told['duplicates']:,} of them duplicates, in "
            f"{told['seconds']:,} s (load {told['load_id']})"
        )
