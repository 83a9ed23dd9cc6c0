"""`shelfcheck evaluate` and `leaderboard`."""

from __future__ import annotations

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show


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


@click.command(
    epilog="""\b
Examples:
  shelfcheck leaderboard --workspace shop
  shelfcheck leaderboard --workspace shop --markdown
  shelfcheck leaderboard --workspace shop --json | jq '.groups[0].rows[0].version'"""
)
@click.option("--markdown", is_flag=True, help="Print Markdown tables.")
@options.workspace
@options.as_json
def leaderboard(*, workspace: str, markdown: bool, as_json: bool) -> None:
    """Rank all registered models by quality, with what they cost.

    In brackets are 95 % intervals over products. Versions are compared where they were judged on
    the same held-out reviews, review by review with the best of their group; p is the chance of so
    large a difference between equally good models, adjusted for the number of versions.
    """
    found = api.leaderboard(workspace)
    if as_json:
        options.print_json(found.to_json())
        return
    if not found.groups:
        click.echo(f"No model is registered in {workspace}. Train one with: shelfcheck train -w {workspace}")
        return
    from shelfcheck.models.leaderboard import COLUMNS, cells  # noqa: PLC0415 - loads NumPy

    if markdown:
        click.echo(found.markdown(), nl=False)
        return
    if len(found.groups) > 1:
        click.echo("These models were not all judged on the same reviews: only rows of one table compare.\n")
    for group in found.groups:
        show(
            group.title(),
            COLUMNS,
            [cells(row, brief=True) for row in group.rows],
            numeric=range(1, len(COLUMNS)),
        )
        if group.split == "row":
            click.echo("Row split: the same products were learned from, which flatters.")
        click.echo()
