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
  shelfcheck status --workspace shop --json"""
)
@options.workspace
@options.config
@options.assignments
@options.as_json
def status(*, workspace: str, config: str | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Show what a workspace holds and what is out of date."""
    states = api.status(workspace, config=config, overrides=parse_assignments(assignments))
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
        )
        return
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
