"""`shelfcheck graph build`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show

_LACKING: Final = {
    "without_customer": "reviews without a customer",
    "without_product": "reviews without a product",
    "without_category": "reviews without a category",
    "without_date": "reviews without a date",
    "not_verified": "reviews not verified",
    "repeated_ids": "rows left out, whose id an earlier one has",
    "products_of_several_categories": "products of several categories",
}
_TABLES: Final = (
    "customers",
    "products",
    "reviews",
    "categories",
    "wrote",
    "reviewed",
    "bought",
    "assigned",
)


@click.command(
    epilog="""\b
Examples:
  shelfcheck graph build --workspace shop
  shelfcheck graph build --predictions champion.parquet --as champion --workspace shop
  shelfcheck graph build --set graph.bought=all --workspace shop"""
)
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False),
    help="Add these predictions, which `shelfcheck predict` wrote.",
)
@click.option("--as", "name", metavar="NAME", help="The model's name in the graph, for --predictions.")
@options.common
def build(job: options.Job, *, predictions: str | None, name: str | None) -> None:
    """Build the graph of the prepared reviews, or add a model's predictions to it.

    Nodes are customers, products, reviews and categories; edges say who wrote, reviewed and bought what,
    which category a product is assigned to, and which one a model predicts for a review. The out-of-fold
    predictions that `shelfcheck audit` makes are added where they stand. A graph that is fresh is not built
    again for predictions: these are added to it.
    """
    with job.progress() as progress:
        built = api.graph_build(job.workspace, predictions, name, **job.arguments(progress))
    if job.as_json:
        options.print_json(
            options.stage_json(built.stage)
            | {
                "predictions": [asdict(one) for one in built.predictions],
                "models": built.graph.models,
                "left_out": built.left_out,
            }
        )
        return
    counts = built.stage.counts
    rows = [(table, f"{counts[table]:,}") for table in _TABLES]
    rows += [(f"predicted, by {one.model}", f"{one.counts['edges']:,}") for one in built.predictions]
    rows += [(told, f"{counts[key]:,}") for key, told in _LACKING.items() if counts[key]]
    show("", ("", ""), rows, numeric=[1])
    for model, why in built.left_out.items():
        click.echo(f"Left out the predictions of {model}: {why}")
    click.echo(f"\nTables: {built.stage.place}{' (fresh)' if built.stage.fresh else ''}")
