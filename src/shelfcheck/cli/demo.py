"""`shelfcheck demo` and `shelfcheck generate`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.progress import ConsoleProgress
from shelfcheck.cli.run import show_summary, summary
from shelfcheck.cli.tables import show

if TYPE_CHECKING:
    from shelfcheck.api import DemoResult


@click.command(
    epilog="""\b
Examples:
  shelfcheck generate reviews --reviews 50000 --seed 1
  shelfcheck generate raw --reviews 1000000 --format tsv"""
)
@click.argument("output", type=click.Path(file_okay=False))
@click.option(
    "-n", "--reviews", default=50_000, type=click.IntRange(1), show_default=True, help="Rows to write."
)
@click.option(
    "--seed", default=0, type=click.IntRange(0), show_default=True, help="Equal seeds, equal bytes."
)
@click.option(
    "--format",
    "form",
    default="parquet",
    type=click.Choice(["parquet", "tsv"]),
    show_default=True,
    help="Parquet, or the gzip TSV of the Amazon data set, with broken rows.",
)
@click.option(
    "--rare-words",
    default=0.0,
    type=click.FloatRange(0),
    show_default=True,
    help="Made-up words that a review has on average beside those of the templates; with 10, lengths and "
    "vocabulary are about those of real reviews.",
)
@options.quiet
@options.as_json
def generate(
    *,
    output: str,
    reviews: int,
    seed: int,
    form: Literal["parquet", "tsv"],
    rare_words: float,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write made-up reviews with planted faults.

    Writes to the folder OUTPUT, with the truth about the faults in truth.parquet beside the
    reviews: misplaced reviews, miscategorised and declining products, duplicates, broken rows.
    """
    with ConsoleProgress(quiet=quiet) as progress:
        made = api.generate(
            output, reviews=reviews, seed=seed, format=form, rare_words=rare_words, progress=progress
        )
    home = output.rstrip("/")
    truth = f"{home}/{made.truth.name}"
    if as_json:
        files = [f"{home}/{file.name}" for file in made.reviews]
        options.print_json({"reviews": files, "truth": truth, "rows": made.rows, "planted": made.planted})
        return
    rows = [(kind.replace("_", " "), f"{n:,}") for kind, n in made.planted.items()]
    show("", ("planted fault", "count"), rows, numeric=[1])
    click.echo(f"{made.rows:,} rows in {output}, the truth in {truth}")


@click.command(
    epilog="""\b
Examples:
  shelfcheck demo
  shelfcheck demo --reviews 200000 --seed 3 --workspace big-demo"""
)
@click.option(
    "-n", "--reviews", default=50_000, type=click.IntRange(1), show_default=True, help="Rows to generate."
)
@click.option("--seed", default=0, type=click.IntRange(0), show_default=True, help="Seed of the reviews.")
@options.common
def demo(job: options.Job, *, reviews: int, seed: int) -> None:
    """Generate reviews with planted faults, run, and score the findings."""
    with job.progress() as progress:
        result = api.demo(job.workspace, reviews=reviews, seed=seed, **job.arguments(progress))
    if job.as_json:
        scores = [asdict(score) for score in result.scores]
        options.print_json(summary(result.run) | {"scores": scores})
        return
    show_summary(result.run)
    _show_scores(result)


def _show_scores(result: DemoResult) -> None:
    rows = [
        (
            score.kind.replace("_", " "),
            f"{score.planted:,}",
            f"{score.found:,}",
            f"{score.average_precision:.3f}",
            f"{score.precision_at_planted:.3f}",
            f"{score.suggested_right:.3f}",
        )
        for score in result.scores
    ]
    columns = (
        "planted faults",
        "planted",
        "found",
        "average precision",
        "precision at planted",
        "suggested right",
    )
    show("\nAgainst the planted truth", columns, rows, numeric=range(1, 6))
