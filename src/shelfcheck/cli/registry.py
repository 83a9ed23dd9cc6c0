"""`shelfcheck models`: the registry of trained models."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show as show_table

if TYPE_CHECKING:
    from shelfcheck.api import RegisteredModel

alias = click.option(
    "--alias",
    default="champion",
    show_default=True,
    help="champion or challenger; for a second label with it, e.g. champion:star_rating.",
)


@click.group(
    epilog="""\b
Examples:
  shelfcheck models list --workspace shop
  shelfcheck models show champion --workspace shop
  shelfcheck models promote linear-2 --workspace shop
  shelfcheck models rollback --workspace shop
  shelfcheck models verify --workspace shop"""
)
def models() -> None:
    """List, show, promote, roll back and verify trained models.

    Each training adds an immutable version. `champion` is the version that predicts and serves,
    `challenger` one that may follow it. Every change goes to models/history.jsonl in the workspace.
    """


@models.command(
    name="list",
    epilog="""\b
Examples:
  shelfcheck models list --workspace shop
  shelfcheck models list --workspace shop --json | jq '.[].version'""",
)
@options.workspace
@options.as_json
def list_(*, workspace: str, as_json: bool) -> None:
    """List the registered versions, oldest first."""
    found = api.models_list(workspace)
    if as_json:
        options.print_json([_json(one) for one in found])
        return
    if not found:
        click.echo(f"No model is registered in {workspace}. Train one with: shelfcheck train -w {workspace}")
        return
    rows = [
        (
            one.version.version,
            ", ".join(one.aliases),
            one.version.label,
            *(_share(value) for value in (one.version.accuracy, one.version.macro_f1, one.version.ece)),
            f"{one.version.train_seconds:.1f}",
            f"{one.version.bytes / 1e6:.1f}",
            f"{one.version.reviews_per_second:,}" if one.version.reviews_per_second else "",
            one.version.created,
        )
        for one in found
    ]
    columns = (
        "version",
        "alias",
        "label",
        "accuracy",
        "macro F1",
        "ECE",
        "seconds",
        "MB",
        "reviews/s",
        "registered",
    )
    show_table("", columns, rows, numeric=range(3, 9))


@models.command(
    epilog="""\b
Examples:
  shelfcheck models show --workspace shop
  shelfcheck models show linear-2 --workspace shop --json"""
)
@click.argument("version", default="champion")
@options.workspace
@options.as_json
def show(*, version: str, workspace: str, as_json: bool) -> None:
    """Show one version: its card, its figures, its files and its history.

    VERSION is a version or an alias; the champion when not given.
    """
    found = api.models_show(version, workspace)
    if as_json:
        options.print_json(
            _json(found) | {"card": found.card, "history": [asdict(change) for change in found.history]}
        )
        return
    told = found.version
    rows = [
        ("version", told.version),
        ("aliases", ", ".join(found.aliases) or "none"),
        ("model", told.model),
        ("label", f"{told.label}, {len(found.card['categories'])} classes"),
        ("held out by", told.split),
        ("accuracy", _share(told.accuracy)),
        ("macro F1", _share(told.macro_f1)),
        ("calibration error", _share(told.ece)),
        ("training reviews", f"{found.card.get('training_reviews', 0):,}"),
        ("training seconds", f"{told.train_seconds:.1f}"),
        ("peak memory, MB", f"{told.peak_memory_mb:,}"),
        ("reviews a second", f"{told.reviews_per_second:,}" if told.reviews_per_second else ""),
        ("registered", told.created),
        ("folder", str(told.folder)),
    ]
    rows += [(name, f"SHA-256 {value}") for name, value in told.sha256.items()]
    show_table("", ("", ""), rows)
    click.echo()
    show_table(
        "",
        ("when", "what", "alias", "from", "to", "who"),
        [tuple(value or "" for value in asdict(change).values()) for change in found.history],
    )


@models.command(
    epilog="""\b
Examples:
  shelfcheck models promote linear-2 --workspace shop
  shelfcheck models promote embedding-1 --alias challenger --workspace shop"""
)
@click.argument("version")
@alias
@click.option("--force", is_flag=True, help="Even if the version predicts another label than the alias did.")
@options.workspace
@options.as_json
def promote(*, version: str, alias: str, force: bool, workspace: str, as_json: bool) -> None:
    """Make a version the champion, or what --alias says, after verifying it.

    A running `shelfcheck serve` takes it up without losing a request.
    """
    before = _before(workspace, alias)
    _changed(api.models_promote(version, workspace, alias=alias, force=force), alias, before, as_json=as_json)


@models.command(
    epilog="""\b
Examples:
  shelfcheck models rollback --workspace shop
  shelfcheck models rollback --alias challenger --workspace shop"""
)
@alias
@options.workspace
@options.as_json
def rollback(*, alias: str, workspace: str, as_json: bool) -> None:
    """Go back to the version that was champion before, by the history.

    Rolling back twice goes back by two promotions.
    """
    before = _before(workspace, alias)
    _changed(api.models_rollback(workspace, alias=alias), alias, before, as_json=as_json)


@models.command(
    epilog="""\b
Examples:
  shelfcheck models verify --workspace shop
  shelfcheck models verify champion --workspace shop"""
)
@click.argument("versions", nargs=-1, metavar="[VERSION]...")
@options.workspace
@options.as_json
def verify(*, versions: tuple[str, ...], workspace: str, as_json: bool) -> None:
    """Compare every file with the SHA-256 it was registered with; all versions when none is named.

    Exits with 1 when a file has changed, is missing or was added.
    """
    wrong = api.models_verify(workspace, versions)
    if as_json:
        options.print_json({name: {"intact": not told, "wrong": told} for name, told in wrong.items()})
    else:
        show_table("", ("version", ""), [(name, ", ".join(told) or "intact") for name, told in wrong.items()])
    if any(wrong.values()):
        raise click.exceptions.Exit(1)


def _json(found: RegisteredModel) -> dict[str, Any]:
    return found.version.to_json() | {"aliases": list(found.aliases), "folder": str(found.version.folder)}


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _before(workspace: str, alias: str) -> str | None:
    return next((one.version.version for one in api.models_list(workspace) if alias in one.aliases), None)


def _changed(found: RegisteredModel, alias: str, before: str | None, *, as_json: bool) -> None:
    if as_json:
        options.print_json(_json(found))
    elif before == found.version.version:
        click.echo(f"{alias} is {before} already.")
    else:
        click.echo(f"{alias}: {before or 'none'} -> {found.version.version}")
