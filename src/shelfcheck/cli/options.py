"""Options that many commands share, and how results are printed."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shelfcheck.cli.progress import ConsoleProgress
    from shelfcheck.pipeline import SourcePlan
    from shelfcheck.progress import Progress
    from shelfcheck.stages import StageResult

DEFAULT_WORKSPACE: Final = "shelfcheck-workspace"

workspace = click.option(
    "-w",
    "--workspace",
    default=DEFAULT_WORKSPACE,
    envvar="SHELFCHECK_WORKSPACE",
    show_default=True,
    show_envvar=True,
    type=click.Path(file_okay=False),
    help="Folder or URL that holds every artefact.",
)
config = click.option(
    "-c",
    "--config",
    type=click.Path(dir_okay=False),
    help="Settings file. Without it, shelfcheck.toml in the current folder counts, if there is one.",
)
assignments = click.option(
    "-s",
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one setting, e.g. --set train.linear.epochs=3. May be repeated.",
)
threads = click.option("--threads", type=click.IntRange(0), help="Worker threads; 0 takes all processors.")
SPARK: Final = (
    "run",
    "prepare",
    "sample",
    "explore",
    "language",
    "train",
    "predict",
    "audit",
    "graph build",
    "graph export",
)
"""Commands that have a Spark form."""


def _has_form(context: click.Context, _: click.Parameter, engine: str | None) -> str | None:
    name = context.command_path.partition(" ")[2]
    if engine == "spark" and name not in SPARK:
        raise click.UsageError(
            f"`shelfcheck {name}` runs on this machine only: it has no Spark form. "
            f"Leave --engine out. These have one: {', '.join(SPARK)}."
        )
    return engine


engine = click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark"]),
    callback=_has_form,
    help="What runs the relational work, for commands that run on Spark too: run.engine.",
)
force = click.option("--force", is_flag=True, help="Run even what is fresh.")
full = click.option(
    "--full",
    is_flag=True,
    help="Read all files, as if nothing had been added bit by bit; what would be the same is not made again.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
source_format = click.option(
    "--format",
    "source_format",
    type=click.Choice(["pds", "ucsd", "amazon2023", "augmented_manifest", "fasttext", "table"]),
    help="Form of the input; detected when not given.",
)


@dataclass(frozen=True)
class Job:
    """What the shared options of a command say.

    Attributes:
        workspace: the folder of artefacts, or its URL.
        config: the settings file, if one is named.
        overrides: dotted key -> value, from `--set` and flags of their own, which are stronger.
        force: run even what is fresh.
        quiet: show no progress.
        as_json: print for machines.
    """

    workspace: str
    config: str | None
    overrides: dict[str, Any]
    force: bool
    quiet: bool
    as_json: bool

    def progress(self) -> ConsoleProgress:
        """Progress bars; a context manager."""
        from shelfcheck.cli.progress import ConsoleProgress  # noqa: PLC0415 - `count` answers in milliseconds

        return ConsoleProgress(quiet=self.quiet)

    def arguments(self, progress: Progress) -> dict[str, Any]:
        """The keyword arguments that every function of `shelfcheck.api` takes."""
        return {
            "config": self.config,
            "overrides": self.overrides,
            "progress": progress,
            "force": self.force,
        }


def common(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all that work in a workspace, as its first argument, a `Job`."""

    @functools.wraps(function)
    def command(**given: Any) -> None:
        from shelfcheck.settings_file import parse_assignments  # noqa: PLC0415 - loads Pydantic

        overrides = parse_assignments(given.pop("assignments"))
        for name, key in (
            ("engine", "run.engine"),
            ("threads", "run.threads"),
            ("source_format", "source.format"),
        ):
            value = given.pop(name, None)
            if value is not None:
                overrides[key] = value
        names = ("workspace", "config", "force", "quiet", "as_json")
        job = Job(overrides=overrides, **{name: given.pop(name) for name in names})
        function(job, **given)

    decorated: Callable[..., None] = command
    for option in (as_json, quiet, force, engine, threads, assignments, config, workspace):
        decorated = option(decorated)
    return decorated


def print_json(value: object) -> None:
    """Print a result for machines."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def stage_json(result: StageResult) -> dict[str, Any]:
    """A stage's result as plain values."""
    return {
        "stage": result.stage,
        "fresh": result.fresh,
        "seconds": round(result.seconds, 3),
        "folder": result.place,
        **result.counts,
    }


def plan_json(plan: SourcePlan) -> dict[str, Any]:
    """What a run would read, as plain values."""
    values: dict[str, Any] = {"does": plan.does, "why": plan.why}
    if plan.changes is not None:
        values |= {
            "unchanged": len(plan.changes.same),
            "new": list(plan.changes.new),
            "changed": list(plan.changes.changed),
            "gone": list(plan.changes.gone),
            "new_bytes": plan.changes.new_bytes,
            "new_rows_estimated": plan.changes.new_rows,
        }
    return values


def show_plan(plan: SourcePlan) -> None:
    """Print which files are new, changed or gone, and what a run would read."""
    from shelfcheck.cli.tables import show  # noqa: PLC0415 - loads rich

    changes = plan.changes
    if changes is not None:
        rows = [
            (state, f"{len(paths):,}", _names(paths))
            for state, paths in (
                ("unchanged", changes.same),
                ("new", changes.new),
                ("changed", changes.changed),
                ("gone", changes.gone),
            )
        ]
        show("", ("files", "count", "names"), rows, numeric=[1])
    if plan.does == "add" and changes is not None:
        about = "" if changes.new_rows is None else f", about {changes.new_rows:,} rows"
        click.echo(f"Reads the new files only: {changes.new_bytes / 1e6:,.1f} MB{about}.")
    elif plan.does == "read all":
        click.echo(f"Reads all files: {plan.why}." if plan.why else "Reads all files.")
    else:
        click.echo("Reads no file.")


def _names(paths: Sequence[str]) -> str:
    names = [path.rsplit("/", 1)[-1] for path in paths[:3]]
    return ", ".join(names) + (", ..." if len(paths) > len(names) else "")
