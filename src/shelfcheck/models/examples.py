"""What models learn from and are judged on: reviews with classes, as n-grams or as texts."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from shelfcheck.checkpoints import Checkpoint
from shelfcheck.config import EncodingSettings, TextSettings, validate
from shelfcheck.errors import WorkspaceError
from shelfcheck.models.encode import encode, encode_table
from shelfcheck.models.encoded import FORMAT, Encoded
from shelfcheck.models.ngrams import row_keys
from shelfcheck.prepare.read import iter_prepared
from shelfcheck.schema import REVIEW_BODY, REVIEW_HEADLINE, REVIEW_ID, REVIEW_TOKENS

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.progress import Progress

_TEXTS: Final = (REVIEW_HEADLINE, REVIEW_BODY, REVIEW_TOKENS)
_SPEC: Final = ("fields", "word_ngrams", "prefixes", "hash_bits")


@dataclass(frozen=True)
class Examples:
    """Reviews in one order, shuffled: their classes, products, n-grams and texts.

    Attributes:
        encoded: n-grams as `linear` wants them, classes (`label`, `categories`), product buckets.
        source: the prepared reviews that these are, a folder; or a table in the same order; None where
            n-grams are all that is wanted.
        cache: folder for other encodings of the same reviews; they are made in memory when None.
    """

    encoded: Encoded
    source: Path | pa.Table | None = None
    cache: Path | None = None

    @classmethod
    def of_table(
        cls, table: pa.Table, spec: EncodingSettings, text: TextSettings, threads: int = 0
    ) -> Examples:
        """Reviews in memory, in the order of the table, which should be shuffled."""
        return cls(encode_table(table, spec, text, threads), table)

    @property
    def categories(self) -> tuple[str, ...]:
        """The classes, sorted."""
        return self.encoded.categories

    @property
    def label(self) -> npt.NDArray[np.int16]:
        """Place of each review's class among `categories`, -1 for none. (n)."""
        return self.encoded.label

    @cached_property
    def texts(self) -> pa.Table:
        """Headline, body and body's tokens of each review, all in memory, in order. (n)."""
        if self.source is None:
            raise WorkspaceError("Texts are wanted, and only n-grams are here. Name the prepared reviews.")
        if isinstance(self.source, pa.Table):
            columns = {
                name: self.source.column(name)
                if name in self.source.schema.names
                else pa.nulls(self.source.num_rows, pa.string())
                for name in (REVIEW_HEADLINE, REVIEW_BODY)
            }
            if REVIEW_TOKENS in self.source.schema.names:
                columns[REVIEW_TOKENS] = self.source.column(REVIEW_TOKENS)
            else:
                from shelfcheck.text.tokens import tokens  # noqa: PLC0415 - loads Numba

                columns[REVIEW_TOKENS] = tokens(columns[REVIEW_BODY], self.encoded.text, 1)
            return pa.table(columns)
        table = pa.Table.from_batches(iter_prepared(self.source, [REVIEW_ID, *_TEXTS]))
        keys = row_keys(table.column(REVIEW_ID).combine_chunks())
        table = table.take(pa.array(np.argsort(keys, kind="stable")))
        encoded = pa.chunked_array(
            [chunk for rows in self.encoded.batches([REVIEW_ID]) for chunk in rows.column(0).chunks],
            pa.string(),
        )
        if not table.column(REVIEW_ID).equals(encoded):
            raise WorkspaceError(
                f"{self.source}: these are not the reviews that were encoded. "
                "Encode again with: shelfcheck train"
            )
        return table.select(_TEXTS)

    def encoded_as(
        self, spec: EncodingSettings, threads: int = 0, progress: Progress | None = None
    ) -> Encoded:
        """The same reviews as other n-grams, with the same classes, in the same order."""
        own = self.encoded
        if all(getattr(own, name) == getattr(spec, name) for name in _SPEC):
            return own
        if self.source is None:
            raise WorkspaceError("Other n-grams are wanted than are here. Name the prepared reviews.")
        if isinstance(self.source, pa.Table):
            made = encode_table(self.source, spec, own.text, threads)
        else:
            made = self._stored(spec, threads, progress)
        # Only the n-grams differ: labels may have been chosen, and lie in the same order.
        return replace(made, label=own.label, categories=own.categories)

    def _stored(self, spec: EncodingSettings, threads: int, progress: Progress | None) -> Encoded:
        assert isinstance(self.source, Path)  # noqa: S101 - the other case was dealt with
        if self.cache is None:
            reviews = pa.Table.from_batches(iter_prepared(self.source))
            order = np.argsort(row_keys(reviews.column(REVIEW_ID).combine_chunks()), kind="stable")
            return encode_table(reviews.take(pa.array(order)), spec, self.encoded.text, threads)
        own = f"{FORMAT} {self.encoded.n_ids} {self.encoded.fields}"
        described = f"{own} {spec.model_dump_json(include=set(_SPEC))}"
        folder = self.cache / hashlib.sha256(described.encode()).hexdigest()[:16]
        if (folder / "meta.json").exists():
            return Encoded.open(folder)
        # Written aside and renamed, so that a killed run leaves no half encoding that looks whole.
        aside = folder.with_name(f".{folder.name}")
        shutil.rmtree(aside, ignore_errors=True)
        kept = Checkpoint(folder.with_name(f".{folder.name}-unfinished"))
        settings = validate({"run": {"threads": threads}, "text": self.encoded.text.model_dump()})
        encode(self.source, aside, settings, progress, spec=spec, checkpoint=kept)
        aside.rename(folder)
        kept.clear()
        return Encoded.open(folder)
