"""Vectors of words and products of an `embedding` model, and what lies near them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from shelfcheck.errors import WorkspaceError
from shelfcheck.models.blocks import taken
from shelfcheck.models.embedding_fitting import each_pooled
from shelfcheck.models.encoded import NO_PRODUCT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shelfcheck.models.embedding import EmbeddingModel
    from shelfcheck.models.examples import Examples

    Floats = npt.NDArray[np.float32]


class ProductVectors(NamedTuple):
    """Mean vectors of the reviews of products.

    Attributes:
        products: their ids, sorted, (p).
        vectors: float32 (p, vector_dim).
        reviews: how many reviews each is a mean of, int64 (p).
    """

    products: list[str]
    vectors: Floats
    reviews: npt.NDArray[np.int64]


def cosines(target: Floats, others: Floats) -> Floats:
    """The cosine of one vector with each of others, -1..1; 0 where a vector is zero.

    Args:
        target: float32 (dim).
        others: float32 (n, dim).

    Returns:
        float32 (n).
    """
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(target)
    found: Floats = (others @ target) / np.maximum(lengths, np.float32(1e-30))
    return found


def nearest_words(model: EmbeddingModel, term: str, k: int, names: Sequence[str]) -> list[tuple[str, float]]:
    """See `EmbeddingModel.nearest_words`."""
    if not names:
        raise WorkspaceError(
            "The model keeps no words by name. Pass `among`, or train with train.embedding.named_words > 0 "
            "on reviews whose texts are at hand."
        )
    target = model.word_vector(term)
    places = model.places(names)
    kept = [i for i, name in enumerate(names) if places[i] >= 0 and name != term]
    found = cosines(target, model.vectors[places[kept], : len(target)])
    best = np.argsort(-found, kind="stable")[:k].tolist()
    return [(names[kept[i]], float(found[i])) for i in best]


def product_vectors(
    model: EmbeddingModel, examples: Examples, rows: npt.NDArray[np.integer[Any]] | None, threads: int
) -> ProductVectors:
    """See `EmbeddingModel.product_vectors`."""
    encoded = examples.encoded_as(model.settings, threads)
    chosen = np.arange(encoded.n_rows, dtype=np.uint32) if rows is None else rows.astype(np.uint32)
    codes = taken(encoded.product, chosen)
    order = np.argsort(codes, kind="stable")
    order = order[: np.searchsorted(codes[order], NO_PRODUCT)]
    codes, chosen = codes[order].astype(np.int64), chosen[order]
    ids = encoded.product_ids
    dim = model.settings.vector_dim
    sums = np.zeros((len(ids), dim), np.float64)
    counts = np.zeros(len(ids), np.int64)

    def add(first: int, pooled: Floats, known: npt.NDArray[np.int32]) -> None:
        part = codes[first : first + len(pooled)]
        starts = np.flatnonzero(np.diff(part, prepend=-1))
        sums[part[starts]] += np.add.reduceat(pooled[:, :dim], starts, axis=0)
        counts[part[starts]] += np.add.reduceat((known > 0).astype(np.int64), starts)

    # One thread: a product's reviews may lie in two chunks.
    each_pooled(encoded.indptr, encoded.ids, chosen, model.pooling, add, threads=1)
    kept = np.flatnonzero(counts)
    means = (sums[kept] / counts[kept, None]).astype(np.float32)
    return ProductVectors(ids.take(pa.array(kept)).to_pylist(), means, counts[kept])
