"""How long work is: what a stage tells, whoever listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by a stage how far it is. The command line draws it, a notebook may ignore it."""

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        """Begin a step of `total` units; None where the total is unknown."""

    def advance(self, n: int, **counters: int) -> None:
        """`n` more units are done; counters are shown as they are, e.g. `rows=1200`."""

    def finish(self) -> None:
        """The step that was started last is done."""


class NullProgress:
    """Progress that nobody watches."""

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        """Ignore it."""

    def advance(self, n: int, **counters: int) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""


class PartOf:
    """Progress of one of several equal parts: says which after each label, e.g. `Training 2 of 5`."""

    def __init__(self, progress: Progress, part: int, parts: int) -> None:
        self._progress = progress
        self._told = f"{part} of {parts}"

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        """Begin a step, and say of which part it is."""
        self._progress.start(f"{label} {self._told}", total, unit)

    def advance(self, n: int, **counters: int) -> None:
        """Pass it on."""
        self._progress.advance(n, **counters)

    def finish(self) -> None:
        """Pass it on."""
        self._progress.finish()
