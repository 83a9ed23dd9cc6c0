"""Files of lines that may be gzipped: the same lines give the same bytes."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def written(path: Path, *, compress: bool) -> Iterator[IO[bytes]]:
    """A file to write lines to."""
    with path.open("wb") as raw:
        if not compress:
            yield raw
            return
        # No name and no time in the header.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
            yield cast("IO[bytes]", file)
