"""`shelfcheck config`."""

from __future__ import annotations

import click

from shelfcheck.cli import options
from shelfcheck.settings_file import parse_assignments, render, resolve


@click.command(
    epilog="""\b
Examples:
  shelfcheck config > shelfcheck.toml
  shelfcheck config --changed --workspace shop"""
)
@click.option("--changed", is_flag=True, help="Only what differs from the defaults.")
@options.workspace
@options.config
@options.assignments
@options.as_json
def config(
    *, changed: bool, workspace: str, config: str | None, assignments: tuple[str, ...], as_json: bool
) -> None:
    """Show all settings, and where each comes from.

    The output is a valid settings file. From weak to strong: defaults, what the workspace
    remembers from its last run, the settings file, --set.
    """
    resolved = resolve(config, parse_assignments(assignments), workspace)
    if as_json:
        options.print_json({"settings": resolved.settings.model_dump(mode="json"), "from": resolved.origins})
        return
    for line in render(resolved.settings, resolved.origins, only_changed=changed, comments=not changed):
        click.echo(line)
