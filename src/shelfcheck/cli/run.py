"""`shelfcheck run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import console, show
from shelfcheck.pipeline import MAIN_JOB

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.pipeline import RunResult

_TOP = 5  # findings of each kind in the summary
# Kind of finding: the column that tells a person what it is about.
_SUBJECTS = {"misplaced_reviews": "review_headline", "miscategorised_products": "product_title"}
_DECLINING = "declining_products"


@click.command(
    epilog="""\b
Examples:
  shelfcheck run --source amazon_reviews_us_*.tsv.gz --workspace shop
  shelfcheck run --source reviews/ --workspace shop --dry-run
  shelfcheck run --source reviews/ --workspace shop --full
  shelfcheck run --source export.csv --config shelfcheck.toml --json > summary.json"""
)
@click.option(
    "--source", "sources", multiple=True, required=True, help="File, folder, glob or URL. May be repeated."
)
@options.source_format
@click.option("--dry-run", is_flag=True, help="Say what would be read and run, and change nothing.")
@options.full
@options.common
def run(job: options.Job, *, sources: tuple[str, ...], dry_run: bool, full: bool) -> None:
    """Raw reviews in, ranked findings and a report out.

    Runs every stage that is stale, skips what is fresh, and goes on where a killed run stopped. Where new
    files have come to those of an earlier run, only they are read.
    """
    if dry_run:
        _show_plan(job, sources, full=full)
        return
    with job.progress() as progress:
        result = api.run(sources, job.workspace, full=full, **job.arguments(progress))
    if job.as_json:
        options.print_json(summary(result))
    else:
        show_summary(result)


def _show_plan(job: options.Job, sources: tuple[str, ...], *, full: bool) -> None:
    states = api.status(job.workspace, sources, config=job.config, overrides=job.overrides, full=full)
    plan = api.source_plan(job.workspace, sources, config=job.config, overrides=job.overrides, full=full)
    if job.as_json:
        options.print_json({"sources": options.plan_json(plan), "stages": states})
        return
    options.show_plan(plan)
    rows = [
        (name, state, "skip" if state == "fresh" or name not in MAIN_JOB else "run")
        for name, state in states.items()
    ]
    show("", ("stage", "state", "would"), rows)


def summary(result: RunResult) -> dict[str, Any]:
    """A run's outcome as plain values."""
    return {
        "workspace": result.place,
        "report": f"{result.place}/report.html",
        "seconds": round(sum(stage.seconds for stage in result.stages if not stage.fresh), 3),
        "stages": [options.stage_json(stage) for stage in result.stages],
        "skipped": result.skipped,
    }


def show_summary(result: RunResult) -> None:
    """Print what came in, what was found and where to read on."""
    rows = []
    for stage in result.stages:
        told = "  ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in stage.counts.items())
        rows.append((stage.stage, "fresh" if stage.fresh else f"{stage.seconds:.1f}", told))
    show("", ("stage", "seconds", "result"), rows, numeric=[1])
    out = console()
    for kind, subject in _SUBJECTS.items():
        if kind not in result.skipped:
            _show_top(result.stage(kind).folder / "findings.parquet", kind, subject)
            out.print(f"All of them: {result.place}/{kind}.csv", soft_wrap=True)
    if _DECLINING not in result.skipped:
        _show_declines(result.stage(_DECLINING).folder / "findings.parquet")
        out.print(f"All of them: {result.place}/{_DECLINING}.csv", soft_wrap=True)
    for reason in dict.fromkeys(result.skipped.values()):
        names = ", ".join(name for name, told in result.skipped.items() if told == reason)
        out.print(f"\n[yellow]Not done[/]: {names}: {reason}", highlight=False, soft_wrap=True)
    out.print(f"\nReport: [bold]{result.place}/report.html[/]", soft_wrap=True)


def _show_top(file: Path, kind: str, subject: str) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns = ["rank", "score", "product_id", subject, "assigned_category", "suggested_category"]
    table = pq.read_table(file, columns=columns).slice(0, _TOP)
    rows = [
        (
            str(row["rank"]),
            f"{row['score']:.3f}",
            row["product_id"] or "",
            (row[subject] or "")[:48],
            row["assigned_category"],
            row["suggested_category"] or "",
        )
        for row in table.to_pylist()
    ]
    title = f"\n{kind.replace('_', ' ').capitalize()}: {f'the first {len(rows)}' if rows else 'none'}"
    names = ("rank", "score", "product", subject.replace("_", " "), "assigned", "suggested")
    show(title, names, rows, numeric=[0, 1])


def _show_declines(file: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns = [
        "rank",
        "score",
        "direction",
        "product_id",
        "product_title",
        "since",
        "stars_before",
        "stars_since",
    ]
    table = pq.read_table(file, columns=columns).slice(0, _TOP)
    rows = [
        (
            str(row["rank"]),
            f"{row['score']:.3f}",
            row["product_id"],
            (row["product_title"] or "")[:48],
            row["direction"],
            row["since"].isoformat(),
            f"{row['stars_before']:.2f}",
            f"{row['stars_since']:.2f}",
        )
        for row in table.to_pylist()
    ]
    title = f"\nDeclining products: {f'the first {len(rows)}' if rows else 'none'}"
    names = ("rank", "score", "product", "product title", "became", "since", "stars before", "stars since")
    show(title, names, rows, numeric=[0, 1, 6, 7])


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
