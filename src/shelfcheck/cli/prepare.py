"""`shelfcheck prepare`."""

from __future__ import annotations

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show


@click.command(
    epilog="""\b
Examples:
  shelfcheck prepare amazon_reviews_us_*.tsv.gz --workspace shop
  shelfcheck prepare Gift_Cards_5.json meta_Gift_Cards.json --workspace cards
  shelfcheck prepare export.csv --set source.columns='{review_body="Text", product_category="Group"}'"""
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@options.source_format
@options.full
@options.common
def prepare(job: options.Job, *, sources: tuple[str, ...], full: bool) -> None:
    """Read, check, clean and store reviews by month.

    SOURCE is a file, a folder, a glob or a URL. Rows that cannot be used are kept beside, with
    file, line and reason: rows read = rows kept + filtered + rejected, always.
    """
    with job.progress() as progress:
        result = api.prepare(sources, job.workspace, full=full, **job.arguments(progress))
    from shelfcheck.prepare import PrepareSummary  # noqa: PLC0415

    summary = PrepareSummary.from_json(result.file("summary.json").read_text(encoding="utf-8"))
    if job.as_json:
        options.print_json(
            options.stage_json(result) | {"filtered": summary.filtered, "rejected": summary.rejected}
        )
        return
    rows = [("read", "", f"{summary.rows_read:,}")]
    rows += [("filtered", rule, f"{n:,}") for rule, n in sorted(summary.filtered.items()) if n]
    rows += [("rejected", reason, f"{n:,}") for reason, n in sorted(summary.rejected.items()) if n]
    rows += [("kept", "", f"{summary.rows_kept:,}")]
    show("", ("rows", "rule or reason", "count"), rows, numeric=[2])
    click.echo(f"Prepared reviews: {result.place}")
