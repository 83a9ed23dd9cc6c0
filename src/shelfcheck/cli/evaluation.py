"""`shelfcheck evaluate`."""

from __future__ import annotations

import click

from shelfcheck import api
from shelfcheck.cli import options


@click.command(
    epilog="""\b
Examples:
  shelfcheck evaluate --workspace shop
  shelfcheck evaluate --workspace shop --json | jq .accuracy
  shelfcheck evaluate --workspace shop --data new-reviews.tsv.gz --model linear-2
  shelfcheck evaluate --workspace shop --data reviews.parquet --held-out --by source
  shelfcheck evaluate --workspace shop --model embedding-1 --against champion"""
)
@click.option(
    "--data",
    multiple=True,
    metavar="FILE",
    help="Judge these reviews instead of what was held out: anything that `prepare` reads, or Parquet "
    "files of reviews with further columns. May be repeated.",
)
@click.option("--model", help="A registered version or an alias.")
@click.option("--against", help="A version or an alias to compare with, on the same reviews.")
@click.option("--by", multiple=True, metavar="COLUMN", help="Accuracy by this column too. May be repeated.")
@click.option(
    "--held-out", is_flag=True, help="Of --data, judge only the products that the model's split holds out."
)
@options.source_format
@options.common
def evaluate(
    job: options.Job,
    *,
    data: tuple[str, ...],
    model: str | None,
    against: str | None,
    by: tuple[str, ...],
    held_out: bool,
) -> None:
    """Judge a model on reviews it has not learned from.

    Precision, recall, F1 and support of each category, accuracy, averages, calibration error, and
    how much can be decided at 80, 90 and 95 % precision, with 95 % intervals over products; accuracy
    by length, year and stars.

    Without --data, on what train.split holds out; without --model, of the model that the settings
    describe, which is trained if it has to be. With --data, the champion is judged on all reviews
    of the files that have a label it knows.
    """
    if held_out and not data:
        raise click.UsageError("--held-out goes with --data.")
    if against is not None and against == model:
        raise click.UsageError("--against names the very model that is judged.")
    with job.progress() as progress:
        evaluation = api.evaluate(
            job.workspace,
            data,
            model=model,
            against=against,
            by=by,
            held_out=held_out,
            **job.arguments(progress),
        )
    click.echo(evaluation.to_json() if job.as_json else evaluation.text(), nl=False)
