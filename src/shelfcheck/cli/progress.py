"""Progress bars with rate and time left, on a terminal; plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from types import TracebackType

_QUIET_SECONDS = 15.0  # how often a log that is no terminal gets a line


class ConsoleProgress:
    """Draws one bar a step on standard error; a context manager.

    Where standard error is no terminal (a log file, CI), it writes a line when a step ends and
    one every 15 seconds, so that logs stay readable.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._label = ""
        self._unit = "rows"
        self._total: int | None = None
        self._done = 0
        self._started = 0.0
        self._told = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        """Begin a step of `total` units."""
        if self._task is not None:
            self.finish()
        self._label, self._unit, self._total, self._done = label, unit, total, 0
        self._started = self._told = time.monotonic()
        self._task = self._bars.add_task(label, total=total, rate="", note="")

    def advance(self, n: int, **counters: int) -> None:
        """`n` more units are done."""
        if self._task is None:
            return
        self._done += n
        now = time.monotonic()
        rate = self._done / max(now - self._started, 1e-3)
        note = "  ".join(f"{value:,} {name}" for name, value in counters.items())
        self._bars.update(self._task, advance=n, rate=_rate(rate, self._unit), note=note)
        if not self._console.is_terminal and now - self._told > _QUIET_SECONDS:
            self._told = now
            share = f"{self._done / self._total:.0%} " if self._total else ""
            self._console.print(f"{self._label}: {share}{_rate(rate, self._unit)} {note}", highlight=False)

    def finish(self) -> None:
        """The step is done: the bar goes, a line stays."""
        if self._task is None:
            return
        self._bars.remove_task(self._task)
        self._task = None
        seconds = time.monotonic() - self._started
        rate = f", {_rate(self._done / seconds, self._unit)}" if seconds > 1 and self._done else ""
        self._console.print(f"[green]✓[/] {self._label} [dim]{seconds:.1f} s{rate}[/]", highlight=False)


def _rate(per_second: float, unit: str) -> str:
    if unit == "bytes":
        return f"{per_second / 1e6:,.1f} MB/s"
    return f"{per_second:,.0f} {unit}/s"
