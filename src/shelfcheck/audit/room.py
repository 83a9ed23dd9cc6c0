"""Room for what an audit holds of every review or product: in memory while that is little, else in files.

Arrays in files are memory-mapped: the system keeps their pages in memory while there is room and drops them
when there is none, so that the memory of an audit does not grow with the reviews.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

IN_MEMORY: Final = 1 << 26  # bytes of an array that need no file
AT_ONCE: Final = 1 << 29  # bytes of sums by product that are held at a time


@dataclass
class Room:
    """Where arrays are put.

    Attributes:
        folder: for the files; None where all is held in memory.
        in_memory: bytes of an array that needs no file.
        at_once: bytes of sums by product that are held at a time.
    """

    folder: Path | None = None
    in_memory: int = IN_MEMORY
    at_once: int = AT_ONCE
    _made: int = 0

    def array(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of zeros."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.folder is None or size <= self.in_memory:
            return np.zeros(shape, dtype)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._made += 1
        return np.memmap(self.folder / f"{self._made}", dtype, "w+", shape=shape)

    def spans(self, products: int, bytes_each: int) -> Iterator[tuple[int, int]]:
        """Cut the products where the sums of each part fit: first product, and the one after the last."""
        if self.folder is None:
            yield 0, products
            return
        step = max(1, self.at_once // max(bytes_each, 1))
        for first in range(0, max(products, 1), step):
            yield first, min(products, first + step)


@contextmanager
def room_in(folder: Path) -> Iterator[Room]:
    """Room in a folder that is removed at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield Room(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
