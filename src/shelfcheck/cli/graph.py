"""`shelfcheck graph`: its commands."""

from __future__ import annotations

from typing import Final

import click

from shelfcheck.cli.lazy import LazyGroup

# In the order in which people meet them. Name of the command: (module, what it does).
COMMANDS: Final = {
    "build": ("shelfcheck.cli.graph_build", "Build the graph, or add a model's predictions to it."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog="""\b
Examples:
  shelfcheck graph build --workspace shop""",
)
def graph() -> None:
    """Build, ask and hand on the graph of customers, products, reviews and categories."""
