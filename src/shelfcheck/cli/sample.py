"""`shelfcheck sample`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show

if TYPE_CHECKING:
    from shelfcheck.sampling.representativeness import Representativeness
    from shelfcheck.sampling.strata import SamplePlan

_STRATA_SHOWN = 20


@click.command(
    epilog="""\b
Examples:
  shelfcheck sample --workspace shop --fraction 0.01
  shelfcheck sample --workspace shop --by review_month,product_category --dry-run
  shelfcheck sample --workspace shop --min-category-share 0.01 --set sample.csv=true"""
)
@click.option("--fraction", type=float, help="Share of the reviews to draw, e.g. 0.01.")
@click.option(
    "--by",
    metavar="COLUMN,…",
    help="What makes the strata: review_month, product_category, star_rating; review_month when not given.",
)
@click.option("--min-category-share", type=float, help="Draw nothing from categories with a smaller share.")
@click.option("--dry-run", is_flag=True, help="Say how many reviews would be drawn, and write nothing.")
@options.common
def sample(
    job: options.Job,
    *,
    fraction: float | None,
    by: str | None,
    min_category_share: float | None,
    dry_run: bool,
) -> None:
    """Draw a stratified sample, and check that it stands for all.

    Each stratum, a month unless --by says otherwise, gives exactly its share and at least one review:
    those with the smallest md5 of their id, which are the same on every machine. The sample is then
    compared with all reviews: categories, stars, lengths, months.
    """
    wanted: dict[str, Any] = {
        "fraction": fraction,
        "by": None if by is None else [name.strip() for name in by.split(",") if name.strip()],
        "min_category_share": min_category_share,
    }
    with job.progress() as progress:
        arguments = job.arguments(progress)
        if dry_run:
            del arguments["force"]
            planned = api.plan_sample(job.workspace, **wanted, **arguments)
        else:
            result = api.sample(job.workspace, **wanted, **arguments)
    if dry_run:
        _show_plan(planned, as_json=job.as_json)
        return
    from shelfcheck.sampling.representativeness import Representativeness  # noqa: PLC0415 - loads numpy

    compared = Representativeness.from_json(
        result.file("representativeness.json").read_text(encoding="utf-8")
    )
    if job.as_json:
        distances = [
            {"what": one.what, "measure": one.measure, "unit": one.unit, "verdict": one.verdict}
            | vars(one.judged)
            | {"weighted": vars(one.weighted) | {"verdict": one.weighted_verdict}}
            for one in compared.distances
        ]
        options.print_json(options.stage_json(result) | {"verdict": compared.verdict, "distances": distances})
        return
    told = result.counts
    by = ", ".join(told["by"])
    click.echo(f"{told['rows']:,} of {told['population']:,} reviews, {told['strata']:,} strata by {by}")
    _tell_forced(told["forced_rows"], told["dropped_categories"], told["dropped_rows"])
    _show_distances(compared)
    click.echo(f"{compared.verdict}\n{job.workspace}/sample.parquet")


def _tell_forced(forced: int, categories: int, rows: int) -> None:
    if forced:
        click.echo(f"{forced:,} of them beyond their share, because every stratum gives at least one")
    if categories:
        click.echo(f"{categories:,} rare categories were left out, with {rows:,} reviews")


def _show_distances(compared: Representativeness) -> None:
    def said(value: float, unit: str) -> str:
        if unit == "share":
            return f"{value:.1%}"
        return f"{value:.4f}" if unit == "ratio" else f"{value:.1f}"

    rows = [
        (
            one.what.replace("_", " "),
            one.measure.replace("_", " ") + (", characters" if one.unit == "characters" else ""),
            said(one.judged.observed, one.unit),
            said(one.weighted.observed, one.unit),
            f"{said(one.judged.low, one.unit)} to {said(one.judged.high, one.unit)}",
            one.verdict,
        )
        for one in compared.distances
    ]
    show("", ("", "distance", "sample", "weighted", "by chance", ""), rows, numeric=[2, 3, 4])


def _show_plan(planned: SamplePlan, *, as_json: bool) -> None:
    if as_json:
        from shelfcheck.sampling.run import summary  # noqa: PLC0415 - loads pyarrow

        strata = [
            dict(zip(planned.by, one.values, strict=True)) | {"population": one.rows, "sample": one.target}
            for one in planned.strata
        ]
        options.print_json(summary(planned) | {"targets": strata})
        return
    rows = [
        (
            *("unknown" if value is None else str(value) for value in one.values),
            f"{one.rows:,}",
            f"{one.target:,}",
        )
        for one in planned.strata[:_STRATA_SHOWN]
    ]
    n = len(planned.by)
    show("", (*planned.by, "reviews", "sample"), rows, numeric=[n, n + 1])
    if len(planned.strata) > _STRATA_SHOWN:
        click.echo(f"… and {len(planned.strata) - _STRATA_SHOWN:,} more strata; --json lists all")
    click.echo(
        f"{planned.target:,} of {planned.rows:,} reviews would be drawn from {len(planned.strata):,} strata"
    )
    _tell_forced(planned.forced, len(planned.dropped), sum(planned.dropped.values()))
