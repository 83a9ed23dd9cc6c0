"""Category names have one spelling."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfcheck.sources.categories import normalise, normalise_name

CASES = [
    ("Gift Card", "Gift_Card"),
    ("Gift_Card", "Gift_Card"),
    ("gift card ", "Gift_Card"),
    ("gift_card", "Gift_Card"),
    ("GIFT CARD", "Gift_Card"),
    ("Health & Personal Care", "Health_Personal_Care"),
    ("Health &amp; Personal Care", "Health_Personal_Care"),
    ("Health_Personal_Care", "Health_Personal_Care"),
    ("Lawn and Garden", "Lawn_and_Garden"),
    ("lawn and garden", "Lawn_and_Garden"),
    ("LAWN AND GARDEN", "Lawn_and_Garden"),
    ("PC", "PC"),
    ("VIDEO DVD", "Video_DVD"),
    ("Video DVD", "Video_DVD"),
    ("eBooks", "eBooks"),
    ("Women's Clothing", "Womens_Clothing"),
    ("Arts, Crafts/Sewing", "Arts_Crafts_Sewing"),
    ("Küche", "Küche"),
    ("küche", "Küche"),
    ("A\u0308pfel", "Äpfel"),
    ("书", "书"),
    ("", None),
    (" _ & ", None),
    (None, None),
]


@pytest.mark.parametrize(("name", "expected"), CASES)
def test_case_table(name: str | None, expected: str | None) -> None:
    assert normalise_name(name) == expected


def test_arrays_keep_order_nulls_and_slices() -> None:
    names = pa.array([name for name, _ in CASES], pa.string())
    expected = [name for _, name in CASES]
    assert normalise(names).to_pylist() == expected
    assert normalise(names[3:7]).to_pylist() == expected[3:7]
    assert normalise(names.dictionary_encode()).to_pylist() == expected
    assert normalise(pa.array([], pa.string())).to_pylist() == []


@given(st.text())
def test_normalising_again_changes_nothing(name: str) -> None:
    once = normalise_name(name)
    assert normalise_name(once) == once
