"""`shelfcheck tune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show
from shelfcheck.config import LabelName, ModelName
from shelfcheck.settings_file import resolve

if TYPE_CHECKING:
    from shelfcheck.tuning import Space, TuningResult


@click.command(
    epilog="""\b
Examples:
  shelfcheck tune --workspace shop --model linear --trials 30
  shelfcheck tune --workspace shop --model embedding --space original --timeout 120
  shelfcheck train --workspace shop --config shop/tuning/linear-product_category/best.toml"""
)
@click.option("--model", type=click.Choice(get_args(ModelName)), help="The model to tune: train.model.")
@click.option("--label", type=click.Choice(get_args(LabelName)), help="What is predicted: train.label.")
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Trials of the study in all; those of earlier runs count.",
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Trials at a time.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Begin no trial after MINUTES.")
@click.option(
    "--space",
    default="default",
    show_default=True,
    help="Search space; embedding has `original` too, that of the tuned BlazingText.",
)
@click.option(
    "--metric",
    type=click.Choice(["accuracy", "macro_f1"]),
    default="accuracy",
    show_default=True,
    help="What is maximised, on validation products.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the training products that a whole trial learns from.",
)
@click.option("--dry-run", is_flag=True, help="Show the search space, and try nothing.")
@options.common
def tune(
    job: options.Job,
    *,
    model: str | None,
    label: str | None,
    trials: int,
    jobs: int,
    timeout: float | None,
    space: str,
    metric: Any,
    share: float,
    dry_run: bool,
) -> None:
    """Find settings of a model that do best on products it did not learn from.

    Tries what the settings say first, then what is likeliest to be better, on a ninth, a third and all
    of the training products, and stops a trial early that does worse than half of the others. Judged on
    the validation products that calibration uses too, never on those that `evaluate` uses. A study that
    was interrupted goes on; --force begins it afresh. Needs: pip install 'shelfcheck[tune]'
    """
    chosen = {"train.model": model, "train.label": label}
    job.overrides.update({key: value for key, value in chosen.items() if value is not None})
    own = resolve(job.config, job.overrides, job.workspace).settings.train.model
    from shelfcheck.tuning import space_of  # noqa: PLC0415 - loads NumPy

    wanted = space_of(own, space)
    if dry_run:
        _show_space(wanted, as_json=job.as_json)
        return
    with job.progress() as progress:
        result = api.tune(
            job.workspace,
            own,
            trials=trials,
            jobs=jobs,
            timeout=timeout,
            space=space,
            metric=metric,
            share=share,
            **job.arguments(progress),
        )
    if job.as_json:
        options.print_json(_as_json(result, wanted))
        return
    if result.best is None:
        click.echo("No trial came to its end yet; run the same command to go on.")
        return
    section = getattr(result.best.train, own)
    show("", ("setting", "best"), [(one.name, str(getattr(section, one.name))) for one in wanted.dimensions])
    click.echo(f"\nTrial {result.best_trial} of {result.trials.num_rows}: {metric} {result.best_value:.4f}")
    if result.default_value is not None:
        click.echo(f"The settings that it began with: {metric} {result.default_value:.4f}")
    best = f"{result.place}/best.toml"
    click.echo(f"Study: {result.place}/study.html")
    click.echo(f"Train with them: shelfcheck train --workspace {job.workspace} --config {best}")


def _show_space(space: Space, *, as_json: bool) -> None:
    if as_json:
        dimensions = {
            one.name: list(one.choices)
            if one.choices
            else {"low": one.low, "high": one.high, "whole": one.whole, "log": one.log}
            for one in space.dimensions
        }
        options.print_json(
            {"model": space.model, "space": space.name, "tried": dimensions, "held": dict(space.base)}
        )
        return
    show("", ("setting", "tried"), [(one.name, str(one)) for one in space.dimensions])
    if space.base:
        held = ", ".join(f"{name} = {value}" for name, value in space.base.items())
        click.echo(f"\nHeld: {held}")


def _as_json(result: TuningResult, space: Space) -> dict[str, Any]:
    section = None if result.best is None else getattr(result.best.train, space.model)
    return {
        "folder": result.place,
        "trials": result.trials.num_rows,
        "best_trial": result.best_trial,
        "best_value": result.best_value,
        "default_value": result.default_value,
        "best": None
        if section is None
        else {one.name: getattr(section, one.name) for one in space.dimensions},
        "config": None if section is None else f"{result.place}/best.toml",
    }
