from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfcheck.models import blocks as module
from shelfcheck.models.blocks import each, numbered


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(-3, 40), st.integers(0, 2**40)), max_size=60), st.integers(1, 9))
def test_numbers_are_ranks_of_codes_without_gaps(values, size):
    codes = np.array(values, np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "blocks", lambda n: _BLOCKS(n, size))
        found, count = numbered(codes)
    known = sorted({value for value in values if value >= 0})
    assert count == len(known)
    assert found.tolist() == [known.index(value) if value >= 0 else -1 for value in values]


def test_each_changes_block_by_block_into_a_type():
    found = each(np.arange(10), lambda own: own * 2, np.int8)
    assert found.dtype == np.int8
    assert found.tolist() == list(range(0, 20, 2))


_BLOCKS = module.blocks
