"""`shelfcheck graph analyse`."""

from __future__ import annotations

import json
from typing import Any

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import said, show


@click.command(
    epilog="""\b
Examples:
  shelfcheck graph analyse --workspace shop
  shelfcheck graph analyse --model champion --workspace shop
  shelfcheck graph analyse --json --workspace shop"""
)
@click.option("--model", metavar="NAME", help="Whose predictions, by the name in the graph. [out_of_fold]")
@options.common
def analyse(job: options.Job, *, model: str | None) -> None:
    """Compare what reviews say with the catalogue: categories to merge, to split, to rename.

    Tells which categories are confused, which way and by which words, which share customers, the communities
    of products with common customers, and the products between them. `shelfcheck report` then has a chapter
    on it. Needs: pip install 'shelfcheck[graph]'
    """
    with job.progress() as progress:
        result = api.graph_analyse(job.workspace, model, **job.arguments(progress))
    summary = json.loads(result.file("summary.json").read_text(encoding="utf-8"))
    if job.as_json:
        options.print_json(options.stage_json(result) | summary)
        return
    show("", ("", ""), _rows(summary), numeric=[1])
    import pyarrow.parquet as pq  # noqa: PLC0415 - loads when there is something to read

    suggested = pq.read_table(result.file("suggestions.parquet")).to_pylist()
    for row in suggested:
        click.echo(f"\n{row['kind'].capitalize()}? {row['category']} and {row['other']}")
        click.echo(f"  {row['evidence']}\n  But: {row['caution']}")
    click.echo(f"\nTables: {result.place}{' (fresh)' if result.fresh else ''}")


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    counts, joined = summary["counts"], summary["common_customers"]
    told = [
        ("model", counts["model"]),
        ("reviews judged", counts["judged_reviews"]),
        ("reviews without a product or category", counts["not_judged_reviews"]),
        ("predicted elsewhere than assigned", counts["mismatched_reviews"]),
        ("products judged", counts["judged_products"]),
        ("products read elsewhere", counts["products_read_elsewhere"]),
        ("pairs of categories confused beyond their sizes", counts["confused_pairs"]),
        ("categories never predicted", len(summary["never_predicted"])),
        ("products with common customers", joined["products"]),
        ("communities of these", counts["communities"]),
        ("modularity of the communities", joined["modularity"]),
        ("modularity of the catalogue", joined["catalogue_modularity"]),
        ("assortativity by category", joined["assortativity_by_category"]),
        ("suggestions", counts["merge"] + counts["split"] + counts["rename"]),
    ]
    return [(name, said(value)) for name, value in told]
