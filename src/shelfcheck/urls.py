"""Which inputs are URLs: a path of the local disk needs no file system's client."""

from __future__ import annotations

from typing import Final

STORE_EXTRAS: Final = {
    "s3": "aws", "s3a": "aws", "gs": "gcp", "gcs": "gcp", "az": "azure", "abfs": "azure", "abfss": "azure",
}  # fmt: skip
"""Protocol of an object store -> the extra whose packages speak it."""


def is_url(path: str) -> bool:
    """Whether a path goes through fsspec's remote file systems."""
    return "://" in path and not path.startswith("file://")


def is_store(path: str) -> bool:
    """Whether a path is in an object store that can be written to: `s3://`, `gs://`, `az://`."""
    return is_url(path) and path.partition("://")[0].lower() in STORE_EXTRAS


def local_path(path: str) -> str:
    """A local path without `file://`."""
    return path.removeprefix("file://")
