"""Reviews to word pieces: what the encoder reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.text.clean import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from shelfcheck.progress import Progress

CHUNK_ROWS: Final = 16_384  # reviews that are read, cut into pieces and sorted together


@dataclass(frozen=True)
class Tokens:
    """Word pieces of texts, end to end, the encoder's own marks included.

    Attributes:
        ids: int32 (pieces).
        indptr: int64 (n + 1), where each text begins and ends.
    """

    ids: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Pieces of each text, (n)."""
        return np.diff(self.indptr)


def joined(columns: Sequence[Sequence[str | None]], separator: str) -> list[str]:
    """One text a review: its fields without markup, the empty ones left out.

    Args:
        columns: the raw texts of each field, (n) each.
        separator: what stands between two of them.
    """
    return [
        separator.join(text for text in (clean(field or "").strip() for field in review) if text)
        for review in zip(*columns, strict=True)
    ]


def separator(tokenizer: Any) -> str:
    """What stands between headline and body: the encoder's own mark for it, where it has one."""
    return f" {tokenizer.sep_token} " if tokenizer.sep_token else "\n"


def iter_joined(
    table: pa.Table | pa.RecordBatch,
    fields: Sequence[str],
    between: str,
    rows: npt.NDArray[np.integer[Any]] | None = None,
) -> Iterator[list[str]]:
    """The texts of some reviews, `CHUNK_ROWS` at a time.

    Args:
        table: reviews; a field that it does not have counts as empty.
        fields: `review_headline`, `review_body`.
        between: what stands between two fields.
        rows: int64 (m), which reviews; all when None.
    """
    import pyarrow as pa  # noqa: PLC0415 - loads slowly

    n = table.num_rows if rows is None else len(rows)
    names = [field for field in fields if field in table.schema.names]
    for first in range(0, n, CHUNK_ROWS):
        last = min(n, first + CHUNK_ROWS)
        if rows is None:
            part = table.slice(first, last - first).select(names)
        else:
            part = table.select(names).take(pa.array(rows[first:last]))
        columns = [part.column(name).to_pylist() for name in names]
        yield joined(columns, between) if columns else [""] * (last - first)


def tokenise(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> Tokens:
    """Cut texts into word pieces, at most `max_tokens` each."""
    if not texts:
        return Tokens(np.zeros(0, np.int32), np.zeros(1, np.int64))
    found = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_tokens,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )["input_ids"]
    indptr = np.zeros(len(found) + 1, np.int64)
    np.cumsum([len(ids) for ids in found], out=indptr[1:])
    return Tokens(np.concatenate([np.asarray(ids, np.int32) for ids in found]), indptr)


def tokenise_rows(
    tokenizer: Any,
    table: pa.Table,
    fields: Sequence[str],
    rows: npt.NDArray[np.integer[Any]],
    *,
    max_tokens: int,
    progress: Progress,
) -> Tokens:
    """Word pieces of some reviews, all in memory: about 4 bytes a piece."""
    parts = []
    for texts in iter_joined(table, fields, separator(tokenizer), rows):
        parts.append(tokenise(tokenizer, texts, max_tokens))
        progress.advance(len(texts))
    if not parts:
        return tokenise(tokenizer, [], max_tokens)
    lengths = np.concatenate([part.lengths for part in parts])
    return Tokens(np.concatenate([part.ids for part in parts]), np.concatenate([[0], np.cumsum(lengths)]))
