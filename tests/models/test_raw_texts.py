"""The short way for raw texts gives what the general way gives, to the bit of the logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from shelfcheck.models.base import Model

PIECES = """plot plot. Author COFFEE strap watch great the a &amp; <br/> <br>tea &#39; İ Σ ΑΣ ß 👍 [[ASIN:1]]
&eacute; don't zzzunknown &lt;b&gt;"""
WORDS = st.lists(st.sampled_from([*PIECES.split(), "\u00a0", "\x0b"]), max_size=12).map(" ".join)
TEXTS = st.one_of(
    st.none(), st.just(""), WORDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
@examples(max_examples=200, deadline=None)
def test_it_agrees_with_the_general_way(model, rows):
    bodies, headlines = [body for body, _ in rows], [headline for _, headline in rows]
    assert np.array_equal(
        model.predict_proba(bodies, headlines), Model.predict_proba(model, bodies, headlines)
    )
    assert np.array_equal(model.predict_proba(bodies), Model.predict_proba(model, bodies))


def test_kernel_does_what_it_can_and_leaves_the_rest(model):
    assert model._raw_texts.logits(["great plot"], None) is not None
    assert model._raw_texts.logits(["great plot", "ΑΣ"], None) is None
    assert model._raw_texts.logits([], None).shape == (0, 4)


def test_long_texts_and_lone_surrogates(model):
    body = "plot author chapter " * 50_000
    assert np.array_equal(model.predict_proba([body]), Model.predict_proba(model, [body]))
    assert np.array_equal(model.predict_proba(["plot \ud800 author"]), model.predict_proba(["plot ? author"]))


def test_a_stemmer_takes_the_general_way(model):
    stemmed = replace(model, text=model.text.model_copy(update={"stemmer": "english"}))
    assert stemmed._raw_texts is None
    assert stemmed.predict_proba(["great plot"]).sum() == pytest.approx(1)
