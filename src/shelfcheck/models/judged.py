"""Reviews as a model judged them: what intervals, slices and comparisons are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import WorkspaceError
from shelfcheck.models.blocks import blocks, numbered, taken
from shelfcheck.schema import REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Ints = npt.NDArray[np.integer[Any]]

HELD_OUT: Final = "held_out.parquet"
HELD_OUT_SCHEMA: Final = pa.schema(
    [
        (REVIEW_ID, pa.string()),
        ("product", pa.int64()),
        ("label", pa.string()),
        ("predicted", pa.string()),
        ("confidence", pa.float32()),
        ("p_label", pa.float32()),
    ]
)
"""A held-out review as judged: `product` is a code that is the same for the reviews of a product."""
_JUDGED: Final = ("label", "predicted", "confidence", "product")
_BATCH_ROWS: Final = 1 << 18
_MOST_INT32: Final = 2**31 - 1


@dataclass(frozen=True)
class Judged:
    """Reviews as judged, all arrays (n).

    Attributes:
        categories: every class that is assigned or predicted.
        label: place of the assigned class among `categories`.
        predicted: place of the predicted one.
        confidence: float32, calibrated probability of the predicted class, 0..1.
        product: the same for the reviews of a product; a review with -1 counts as a product of its own.
    """

    categories: tuple[str, ...]
    label: Ints
    predicted: Ints
    confidence: npt.NDArray[np.float32]
    product: Ints

    @classmethod
    def of_table(cls, table: pa.Table) -> Judged:
        """From rows of HELD_OUT_SCHEMA."""
        return cls.of_batches(table.select(list(_JUDGED)).to_batches(_BATCH_ROWS))

    @classmethod
    def open(cls, folder: Path) -> Judged:
        """What an evaluation's folder holds, read a batch at a time: 12 bytes a review.

        Raises:
            WorkspaceError: there are no judged reviews that can be read.
        """
        return cls.of_batches(held_out_batches(folder, _JUDGED))

    @classmethod
    def of_batches(cls, batches: Iterable[pa.RecordBatch]) -> Judged:
        """From batches of HELD_OUT_SCHEMA's columns label, predicted, confidence and product."""
        names: dict[str, int] = {}
        label, predicted = [np.zeros(0, np.int16)], [np.zeros(0, np.int16)]
        confidence, product = [np.zeros(0, np.float32)], [np.zeros(0, np.int32)]
        for batch in batches:
            label.append(_coded(batch.column(0), names))
            predicted.append(_coded(batch.column(1), names))
            confidence.append(batch.column(2).to_numpy())
            own = batch.column(3).to_numpy()
            product.append(own.astype(np.int32) if own.max(initial=0) <= _MOST_INT32 else own)
        order = sorted(names)
        place = np.empty(len(names), np.int16)  # of each class, by when it was met
        place[[names[name] for name in order]] = np.arange(len(order))
        return cls(
            tuple(order),
            taken(place, np.concatenate(label)),
            taken(place, np.concatenate(predicted)),
            np.concatenate(confidence),
            np.concatenate(product),
        )

    @property
    def hit(self) -> npt.NDArray[np.bool_]:
        """Whether the assigned class was predicted."""
        right: npt.NDArray[np.bool_] = self.label == self.predicted
        return right

    def clusters(self, most: int) -> tuple[npt.NDArray[np.int32], int, int]:
        """The product of each review as a number from 0 on, how many numbers there are, how many products.

        More than `most` products are put together into `most` groups: groups of independent products are
        themselves independent, so what is resampled by group has the same variance.
        """
        product, products = numbered(self.product)
        for block in blocks(len(product)):
            own = product[block]
            alone = np.flatnonzero(own < 0)
            own[alone] = products + np.arange(len(alone))
            products += len(alone)
            own %= most
        return product, min(products, most), products


def _coded(column: pa.Array, names: dict[str, int]) -> npt.NDArray[np.int16]:
    """Texts as their places among all names, which grow by the new ones."""
    coded = column.dictionary_encode()
    own = [names.setdefault(name, len(names)) for name in coded.dictionary.to_pylist()]
    codes: npt.NDArray[np.int16] = np.array(own, np.int16)[coded.indices.to_numpy()]
    return codes


def judged_rows(
    ids: pa.Array,
    product: Ints,
    labels: Ints,
    probabilities: npt.NDArray[np.float32],
    categories: Sequence[str],
) -> pa.RecordBatch:
    """Rows of HELD_OUT_SCHEMA.

    Args:
        ids: of the reviews, (n).
        product: a code that is the same for the reviews of a product, (n).
        labels: place of the assigned class (n).
        probabilities: float32 (n, categories).
        categories: names, in the order of the columns.
    """
    at, predicted = np.arange(len(labels)), probabilities.argmax(axis=1)
    names = pa.array(categories, pa.string())
    columns = [
        ids,
        pa.array(product, pa.int64()),
        names.take(pa.array(labels)),
        names.take(pa.array(predicted)),
        pa.array(probabilities[at, predicted]),
        pa.array(probabilities[at, labels]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=HELD_OUT_SCHEMA)


def held_out_batches(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The held-out reviews that an evaluation's folder holds, a batch at a time.

    Args:
        folder: with `held_out.parquet`.
        columns: of HELD_OUT_SCHEMA; all when None.

    Raises:
        WorkspaceError: there are none that can be read.
    """
    path = folder / HELD_OUT
    names = list(HELD_OUT_SCHEMA.names if columns is None else columns)
    wanted = pa.schema([HELD_OUT_SCHEMA.field(name) for name in names])
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=names):
                yield batch.select(names).cast(wanted)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise WorkspaceError(
            f"{path}: no judged reviews that can be read ({error}). Make them with: shelfcheck evaluate"
        ) from error


def read_held_out(folder: Path) -> pa.Table:
    """The held-out reviews that an evaluation's folder holds, all in memory.

    Raises:
        WorkspaceError: there are none that can be read.
    """
    return pa.Table.from_batches(held_out_batches(folder), schema=HELD_OUT_SCHEMA)
