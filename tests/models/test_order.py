"""In which order an epoch meets the reviews: shuffled by blocks, or as an experiment wants it."""

from __future__ import annotations

import numpy as np
import pytest

from shelfcheck.config import EmbeddingSettings, LinearSettings
from shelfcheck.models.embedding_fitting import fit_embedding
from shelfcheck.models.fitting import fit_linear, met_in
from shelfcheck.models.kernels import BLOCK
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.split import is_test
from shelfcheck.progress import NullProgress

ROWS = np.arange(100, 100 + 5 * BLOCK - 3, dtype=np.uint32)
LABELS = (ROWS % 7).astype(np.int16)


def test_every_epoch_meets_every_block_in_another_order():
    random = np.random.default_rng(0)
    orders = []
    for epoch in range(6):
        blocks, rows, labels = met_in(epoch, ROWS, LABELS, random, None)
        assert rows is ROWS  # no copy
        assert labels is LABELS
        assert sorted(blocks.tolist()) == list(range(5))
        orders.append(tuple(blocks.tolist()))
    assert len(set(orders)) > 1


def test_an_order_of_ones_own():
    def order(epoch):
        return np.arange(len(ROWS))[:: -1 if epoch else 1]

    for epoch in range(2):
        blocks, rows, labels = met_in(epoch, ROWS, LABELS, np.random.default_rng(0), order)
        assert blocks.tolist() == list(range(5))
        assert rows.tolist() == sorted(ROWS.tolist(), reverse=bool(epoch))
        assert np.array_equal(labels, (rows % 7).astype(np.int16))


def training_rows(encoded):
    rows = np.flatnonzero(~is_test(encoded.bucket, 0.2)).astype(np.uint32)
    return rows[: len(rows) // BLOCK * BLOCK]  # a short block would shift those that come after it


def fitted(encoded, order, epochs=2, model="linear"):
    rows = training_rows(encoded)
    data = encoded.indptr, encoded.ids, rows, np.asarray(encoded.label)[rows]
    given = {
        "n_classes": len(encoded.categories),
        "hash_bits": encoded.hash_bits,
        "threads": 1,
        "seed": 0,
        "progress": NullProgress(),
        "order": order,
    }
    if model == "linear":
        return fit_linear(*data, settings=LinearSettings(hash_bits=16, epochs=epochs), **given)
    none = np.zeros(0, np.uint32), np.zeros(0, np.int16)
    settings = EmbeddingSettings(hash_bits=16, epochs=epochs, vector_dim=8)
    return fit_embedding(*data, held=none, settings=settings, **given)


@pytest.mark.parametrize("model", ["linear", "embedding"])
def test_the_shuffled_order_given_by_hand_learns_the_same(encoded, model):
    random = np.random.default_rng(0)
    if model == "embedding":  # which draws its first vectors from the same
        random.random(fitted(encoded, None, 1, model).arrays[2].shape, dtype=np.float32)
    drawn = [random.permutation(len(training_rows(encoded)) // BLOCK) for _ in range(2)]

    def order(epoch):
        return (drawn[epoch][:, None] * BLOCK + np.arange(BLOCK)).reshape(-1)

    ours, given = fitted(encoded, None, model=model), fitted(encoded, order, model=model)
    for one, other in zip(ours.arrays, given.arrays, strict=True):
        assert np.array_equal(one, other)


def test_by_category_the_first_ones_are_forgotten(encoded):
    rows = training_rows(encoded)
    places = np.argsort(np.asarray(encoded.label)[rows], kind="stable")
    test = np.flatnonzero(is_test(encoded.bucket, 0.2))
    truth = np.asarray(encoded.label)[test]
    right = []
    for order in (None, lambda _: places):
        model = LinearModel(
            encoded.categories,
            *fitted(encoded, order, epochs=1).arrays,
            settings=LinearSettings(hash_bits=16),
            text=encoded.text,
        )
        found = model.logits(encoded.indptr, encoded.ids, test, 1).argmax(axis=1)
        right.append(np.bincount(truth[found == truth], minlength=4) / np.bincount(truth, minlength=4))
    assert right[1][0] < right[0][0] - 0.1
    assert right[1][-1] > right[0][-1]
