"""Product metadata: titles and categories to join to reviews that name only the product."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.sources.checks import Rejects, int64, to_text
from shelfcheck.sources.files import line_blocks, open_stream
from shelfcheck.sources.jsonlines import read_block

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from shelfcheck.sources.base import Source

_ENDING: Final = re.compile(r"(\.(jsonl?|ndjson|parquet|csv|tsv|txt))?(\.(gz|zst|zstd))?$", re.IGNORECASE)
_PREFIX: Final = re.compile(r"^(meta|reviews|raw_review|raw_meta)_", re.IGNORECASE)
_CORE: Final = re.compile(r"_\d{1,2}$")
_PARTS: Final = re.compile(r"[-.](part)?-?\d+$")
_MAX_ID: Final = 64  # bytes; longer product ids get no metadata


def stem(path: str) -> str:
    """The category part of a file's name: `reviews_Books_5.json.gz`, `meta_Books.jsonl` -> `Books`."""
    name = _ENDING.sub("", path.rstrip("/").rsplit("/", 1)[-1])
    return _CORE.sub("", _PREFIX.sub("", _PARTS.sub("", name)))


def category_of_name(path: str) -> str | None:
    """The category that a file's name gives to its reviews; None where it gives none."""
    name = stem(path)
    return None if not re.search("[A-Za-z]{2}", name) or name.lower() in _NO_CATEGORY else name


_NO_CATEGORY: Final = frozenset(
    ("reviews", "review", "data", "part", "train", "test", "sample", "all", "complete")
)


class Products(NamedTuple):
    """Titles and categories by product id."""

    ids: npt.NDArray[np.bytes_]  # sorted, distinct
    titles: pa.Array  # string, in the order of ids
    categories: pa.Array  # dictionary of string, in the order of ids

    def join(self, ids: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Title and category of each id; null where unknown."""
        if not len(self.ids):
            return pa.nulls(len(ids), pa.string()), pa.nulls(len(ids), pa.string())
        keys = _keys(ids)
        at = np.minimum(np.searchsorted(self.ids, keys), len(self.ids) - 1)
        known = (self.ids[at] == keys) & (keys != b"")
        index = int64(np.where(known, at, -1))
        index = pc.if_else(pc.less(index, 0), None, index)
        return self.titles.take(index), self.categories.take(index).dictionary_decode()


class Metadata(NamedTuple):
    """How a format's metadata names things."""

    types: Mapping[str, pa.DataType | None]  # keys to read
    id: str
    title: str
    category: Callable[[Mapping[str, pa.Array]], pa.Array]  # from the columns


def products_of(source: Source, form: Metadata, rejects: Rejects) -> Products | None:
    """The products of a source's metadata files; None where it has none.

    Broken rows go to `rejects` as `bad_metadata` once a run, with the first source that has the file.
    Memory: about 60 bytes and the title a product, for the metadata of one source at a time.
    """
    if not source.metadata:
        return None
    loaded = _load(source.metadata, source.fingerprint, form.id, _Hashable(form))
    for file, line, reason, detail in loaded.broken:
        if file in source.report_metadata:
            rejects.add(line, "bad_metadata", f"{reason}: {detail}", file)
    return loaded.products


class _Hashable:
    """Carries a Metadata through lru_cache; all of one format are the same."""

    def __init__(self, form: Metadata) -> None:
        self.form = form

    def __hash__(self) -> int:
        return hash(self.form.id + self.form.title)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and other.form[1:3] == self.form[1:3]


class _Loaded(NamedTuple):
    products: Products
    broken: list[tuple[str, int, str, str]]


@lru_cache(maxsize=1)
def _load(paths: tuple[str, ...], fingerprint: str, key: str, carried: _Hashable) -> _Loaded:  # noqa: ARG001
    form = carried.form
    ids: list[npt.NDArray[np.bytes_]] = []
    titles: list[pa.Array] = []
    categories: list[pa.Array] = []
    broken: list[tuple[str, int, str, str]] = []
    for path in paths:
        rejects = Rejects(path)
        with open_stream(path) as stream:
            for block in line_blocks(stream, rejects):
                columns, _ = read_block(block, form.types, rejects)
                ids.append(_keys(to_text(columns[form.id])[0]))
                titles.append(to_text(columns[form.title])[0])
                categories.append(form.category(columns))
        broken += [tuple(row.values()) for row in rejects.take().to_pylist()]
    if not ids:
        empty = pa.array([], pa.string())
        return _Loaded(Products(np.array([], "S1"), empty, empty.dictionary_encode()), broken)
    distinct, first = np.unique(np.concatenate(ids), return_index=True)
    take = int64(first)
    title = pa.chunked_array(titles).take(take).combine_chunks()
    category = pa.chunked_array(categories).dictionary_encode().combine_chunks().take(take)
    return _Loaded(Products(distinct, title, category), broken)


def _keys(ids: pa.Array) -> npt.NDArray[np.bytes_]:
    """Ids as fixed-width bytes; b"" for null and over-long ones."""
    usable = pc.less_equal(pc.binary_length(ids), _MAX_ID).fill_null(False)  # noqa: FBT003
    known = pc.if_else(usable, ids, "").fill_null("").cast(pa.binary())
    width = max(pc.max(pc.binary_length(known)).as_py() or 1, 1)
    return np.array(known.to_numpy(zero_copy_only=False), dtype=f"S{width}")
