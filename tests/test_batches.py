"""Batches cut anew hold the rows that they should, in batches that are full."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shelfcheck.batches import filled, span

_LENGTHS = st.lists(st.integers(0, 9), max_size=8)


@given(_LENGTHS, st.integers(0, 40), st.none() | st.integers(0, 40), st.integers(1, 12))
def test_a_span_in_full_batches(lengths, skip, rows, size):
    values = iter(range(sum(lengths)))
    batches = [
        pa.record_batch({"n": pa.array([next(values) for _ in range(n)], pa.int64())}) for n in lengths
    ]
    found = [batch["n"].to_pylist() for batch in filled(span(batches, skip, rows), size)]
    whole = list(range(sum(lengths)))[skip:][:rows]
    assert found == [whole[at : at + size] for at in range(0, len(whole), size)]


def test_nothing_is_read_past_a_span():
    def batches():
        yield pa.record_batch({"n": [1, 2, 3]})
        raise AssertionError

    assert sum(batch.num_rows for batch in span(batches(), 1, 2)) == 2
