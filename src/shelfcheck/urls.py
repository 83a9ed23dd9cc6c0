"""Which inputs are URLs: a path of the local disk needs no file system's client."""

from __future__ import annotations


def is_url(path: str) -> bool:
    """Whether a path goes through fsspec's remote file systems."""
    return "://" in path and not path.startswith("file://")


def local_path(path: str) -> str:
    """A local path without `file://`."""
    return path.removeprefix("file://")
