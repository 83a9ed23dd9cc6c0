"""The Jensen-Shannon divergence, plain and compiled, is scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon

from shelfcheck.language import kernels
from shelfcheck.language.divergence import jensen_shannon

N_LOG_N = np.array([0.0] + [n * np.log(n) for n in range(1, 20)])
counts = arrays(np.int64, 9, elements=st.integers(0, 60)).filter(lambda values: values.sum() > 0)


@settings(deadline=None, max_examples=50)
@given(counts, counts)
def test_same_as_scipy(a: np.ndarray, b: np.ndarray) -> None:
    expected = jensenshannon(a, b, base=2) ** 2
    assert jensen_shannon(a, b) == pytest.approx(expected, abs=1e-12)
    assert kernels.divergence(a, b, N_LOG_N) == pytest.approx(
        expected, abs=1e-12
    )  # of counts beyond the table, too


def test_ends() -> None:
    assert jensen_shannon([3, 1, 0], [6, 2, 0]) == 0
    assert jensen_shannon([1, 0], [0, 7]) == pytest.approx(1)
    assert np.isnan(jensen_shannon([0, 0], [1, 2]))
    assert np.isnan(kernels.divergence(np.array([0, 0]), np.array([1, 2]), N_LOG_N))
    assert jensen_shannon([[1, 0], [1, 1]], [[0, 1], [1, 1]]).tolist() == [1, 0]
