"""`shelfcheck explore`."""

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
  shelfcheck explore --workspace shop
  shelfcheck explore --workspace shop --json"""
)
@options.common
def explore(job: options.Job) -> None:
    """Describe the reviews: counts, lengths, stars, products, customers, by month and category.

    Writes explore.html, a page to look at, and every table as Parquet and CSV.
    """
    with job.progress() as progress:
        result = api.explore(job.workspace, **job.arguments(progress))
    figures = json.loads(result.file("figures.json").read_text(encoding="utf-8"))
    if job.as_json:
        options.print_json(options.stage_json(result) | figures)
        return
    show("", ("", ""), _rows(figures), numeric=[1])
    click.echo(f"\nTables: {result.place}/tables")
    click.echo(f"Page: {job.workspace}/explore.html")


def _rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    span = f"{figures['first_month']} to {figures['last_month']}" if figures["first_month"] else "unknown"
    told: list[tuple[str, Any]] = [
        ("reviews", figures["reviews"]),
        ("months", span),
        ("reviews without a date", figures["undated_reviews"]),
        ("categories", figures["categories"]),
        ("unique products", figures["unique_products"]),
        ("products with several reviews", figures["products_with_several_reviews"]),
        ("unique customers", figures["unique_customers"]),
        ("customers with several reviews", figures["customers_with_several_reviews"]),
        ("mean stars", figures["mean_stars"]),
        ("median characters", figures["characters_p50"]),
        ("median tokens", figures["tokens_p50"]),
        ("reviews with a repeated text", figures["reviews_with_repeated_text"]),
        ("duplicates left out by prepare", figures["duplicates_left_out"]),
    ]
    return [(name, said(value)) for name, value in told]
