"""Ctrl-C at moments that cannot bear it, or do not hear it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_came = threading.Event()


def watch() -> None:
    """Remember Ctrl-C as well as raising `KeyboardInterrupt`: some libraries swallow that while they load."""
    _came.clear()

    def handle(number: int, frame: FrameType | None) -> None:
        _came.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, handle)


def check() -> None:
    """Raise what was swallowed.

    Raises:
        KeyboardInterrupt: Ctrl-C came since `watch`.
    """
    if _came.is_set():
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block, e.g. while a library is loaded that aborts on it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came and callable(before):
            before(came[0], None)
