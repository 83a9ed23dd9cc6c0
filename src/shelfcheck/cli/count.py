"""`shelfcheck count`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import click

from shelfcheck.cli import options

# Not through `api`, which loads the settings: that would take longer than the count itself.
from shelfcheck.sampling.count import count as count_reviews


@click.command(
    epilog="""\b
Examples:
  shelfcheck count --workspace shop
  shelfcheck count --workspace shop --by month
  shelfcheck count s3://bucket/shop --json
  shelfcheck count exports/2015/"""
)
@click.argument("path", required=False, metavar="[PATH|URL]")
@click.option("--by", type=click.Choice(["month"]), help="Count each month, too.")
@options.workspace
@options.as_json
def count(path: str | None, by: Literal["month"] | None, workspace: str, *, as_json: bool) -> None:
    """Say how many reviews there are, from metadata, in milliseconds.

    PATH is a workspace, a folder of prepared reviews, a Parquet file or a folder of them, on disk or
    in an object store; the workspace when not given. No review is read: the listing that prepare
    left answers, or else the files' footers.
    """
    result = count_reviews(path or workspace, by=by)
    if as_json:
        options.print_json(asdict(result))
        return
    if result.months is not None:
        for month, rows in result.months.items():
            click.echo(f"{month:<8}{rows:>14,}")
    files = f"{result.files:,} file{'s' if result.files != 1 else ''}"
    click.echo(f"{result.rows:,} reviews in {files}, {result.bytes / 1e6:,.1f} MB")
    left = f"; {result.other_files:,} files of other forms were not counted" if result.other_files else ""
    click.echo(f"(from {result.used}, {result.seconds * 1000:.1f} ms{left})")
