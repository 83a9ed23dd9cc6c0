"""Tables on standard output, drawn by rich where a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def console() -> Console:
    """Standard output; wide where it is no terminal, so that nothing is cut in a pipe."""
    found = Console()
    return found if found.is_terminal else Console(width=160)


def show(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Iterable[int] = ()
) -> None:
    """Print a table; columns whose index is in `numeric` are set to the right."""
    right = set(numeric)
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[str(cell).replace("[", r"\[") for cell in row])
    console().print(table)


def said(value: object) -> str:
    """A figure as people read it: thousands set apart, two decimals, `unknown` for None."""
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
