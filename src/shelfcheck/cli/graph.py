"""`shelfcheck graph`: its commands."""

from __future__ import annotations

from typing import Final

import click

from shelfcheck.cli.lazy import LazyGroup

# In the order in which people meet them. Name of the command: (module, what it does).
COMMANDS: Final = {
    "build": ("shelfcheck.cli.graph_build", "Build the graph, or add a model's predictions to it."),
    "query": ("shelfcheck.cli.graph_query", "Ask the graph a question in openCypher."),
    "analyse": ("shelfcheck.cli.graph_analyse", "Confused categories, communities, what to merge or split."),
    "show": ("shelfcheck.cli.graph_show", "Draw it: categories, one category, or one product."),
    "export": ("shelfcheck.cli.graph_export", "Write the graph as files for Neptune, Gremlin or Neo4j."),
    "load": ("shelfcheck.cli.graph_load", "Load the graph into a Bolt server or into Neptune."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog="""\b
Examples:
  shelfcheck graph build --workspace shop
  shelfcheck graph query "MATCH (c:Category) RETURN c.category, c.products" --workspace shop""",
)
def graph() -> None:
    """Build, ask and hand on the graph of customers, products, reviews and categories."""
