"""Any CSV, TSV, Parquet or JSON lines, with `settings.source.columns` naming what its columns are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shelfcheck.sources.files import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import SourceSettings
    from shelfcheck.sources.base import Chunk, Source
    from shelfcheck.sources.checks import Rejects


def check(path: str, settings: SourceSettings, category: str | None) -> None:
    raise UnreadableError(f"{path}: no known form of reviews.", "no_reviews")


def read(source: Source, rejects: Rejects, batch_rows: int) -> Iterator[Chunk]:
    raise NotImplementedError
