"""`shelfcheck status`."""

from __future__ import annotations

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import parse_assignments


@click.command(
    epilog="""\b
Examples:
  shelfcheck status --workspace shop
  shelfcheck status --workspace shop --source reviews/
  shelfcheck status --workspace shop --json"""
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    help="Files, folders, globs or URLs of raw reviews: say which are new, changed or gone. May be repeated.",
)
@options.workspace
@options.config
@options.assignments
@options.as_json
def status(
    *,
    sources: tuple[str, ...],
    workspace: str,
    config: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what a workspace holds and what is out of date."""
    overrides = parse_assignments(assignments)
    states = api.status(workspace, sources, config=config, overrides=overrides)
    plan = api.source_plan(workspace, sources, config=config, overrides=overrides) if sources else None
    shelf = open_workspace(workspace)
    manifests = {name: shelf.manifest(name) for name in states}
    if as_json:
        options.print_json(
            {
                name: {
                    "state": state,
                    "counts": made.counts,
                    "seconds": made.seconds,
                    "created": made.created,
                }
                if (made := manifests[name])
                else {"state": state}
                for name, state in states.items()
            }
            | ({} if plan is None else {"sources": options.plan_json(plan)})
        )
        return
    if plan is not None:
        options.show_plan(plan)
    rows = []
    for name, state in states.items():
        made = manifests[name]
        told = (
            "  ".join(f"{key.replace('_', ' ')} {value}" for key, value in made.counts.items())
            if made
            else ""
        )
        rows.append((name, state, made.created if made else "", f"{made.seconds:.1f}" if made else "", told))
    show("", ("artefact", "state", "made", "seconds", "result"), rows, numeric=[3])
