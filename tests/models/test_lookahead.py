"""Looking ahead changes no result, and asks only for what may be asked for."""

import numpy as np
from numba import njit

from shelfcheck.models.lookahead import ask_places, ask_rows, ask_values, look_up, prefetch
from shelfcheck.models.ngram_kernels import ID_BITS


def test_known_ngrams_keep_their_order_and_their_counts():
    ids = np.array([7, 0, 2 | 3 << ID_BITS, 1, 0, 7], np.uint32)
    position = np.array([5, -1, 9], np.int32)
    tf = np.arange(64, dtype=np.float32)
    features, values = np.zeros(4, np.uint32), np.zeros(4, np.float32)
    assert look_up(ids, 1, 5, position, tf, features, values) == 3
    assert features[:3].tolist() == [5, 9, 5]
    assert values[:3].tolist() == [0, 3, 0]
    assert look_up(ids, 3, 3, position, tf, features, values) == 0


def test_asking_changes_nothing_even_past_the_end():
    matrix = np.arange(48, dtype=np.float32)
    before = matrix.copy()
    features = np.array([0, 1, 1_000_000], np.uint32)

    @njit
    def ask(flat):
        prefetch(flat, 0)
        prefetch(flat, -1)
        prefetch(flat, 1 << 40)

    ask(matrix)
    ask_rows(features, 3, matrix, 24)
    ask_values(features, 3, matrix)
    ask_places(np.array([0, 40], np.uint32), 0, 2, np.zeros(48, np.int32))
    assert np.array_equal(matrix, before)
