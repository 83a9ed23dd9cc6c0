from __future__ import annotations

import math

import pytest

from shelfcheck.models.explain import explain, explain_many

BODY = "The strap of this suitcase is great, the zipper and the wheel too. A great story!"
HEADLINE = "great zipper"


@pytest.mark.parametrize(("headline", "body"), [(HEADLINE, BODY), (None, BODY), (HEADLINE, None), ("", "")])
@pytest.mark.parametrize(("category", "against"), [(None, None), ("Books", "Luggage"), ("Grocery", None)])
def test_terms_and_rest_add_up_to_the_log_odds(model, headline, body, category, against):
    found = explain(model, headline, body, category, against, k=10_000)
    assert sum(term.weight for term in found.terms) + found.rest == pytest.approx(found.log_odds, abs=1e-4)
    p = dict(zip(model.categories, model.predict_proba([body], [headline])[0], strict=True))
    assert found.log_odds == pytest.approx(math.log(p[found.category] / p[found.against]), abs=1e-3)


def test_every_term_stands_in_the_text_once(model):
    found = explain(model, HEADLINE, BODY, k=10_000)
    names = [term.term for term in found.terms]
    assert len(names) == len(set(names))
    assert {"zipper", "strap", "great"} <= set(names)
    words = {"strap", "suitcase", "great", "zipper", "wheel", "story"}
    prefixes = {name for name in names if name.endswith("*")}
    assert set(" ".join(set(names) - prefixes).split()) <= words
    assert {"zipp*", "suit*", "suitca*"} <= prefixes
    assert prefixes <= {word[:n] + "*" for word in words for n in (4, 6)}


def test_the_words_that_carry_it_come_first(model):
    found = explain(model, None, "great suitcase with a zipper", k=3)
    assert found.category == "Luggage"
    assert found.terms[0].term.rstrip("*") in {"suitcase", "suitca", "zipper"}  # or the start of one
    weights = [term.weight for term in found.terms]
    assert weights == sorted(weights, reverse=True)
    assert len(weights) <= 3


def test_predicted_and_runner_up_are_the_defaults(model):
    found = explain(model, None, BODY)
    order = model.predict_proba([BODY])[0].argsort()[::-1]
    assert [found.category, found.against] == [model.categories[i] for i in order[:2]]
    assert explain(model, None, BODY, found.category).against == found.against
    assert model.explain(None, BODY) == found


def test_explaining_the_less_likely_turns_the_signs(model):
    one = explain(model, HEADLINE, BODY, "Books", "Luggage", k=10_000)
    two = explain(model, HEADLINE, BODY, "Luggage", "Books", k=10_000)
    assert one.log_odds == pytest.approx(-two.log_odds)
    assert {t.term: pytest.approx(-t.weight) for t in one.terms} == {t.term: t.weight for t in two.terms}


def test_many_at_once(model):
    texts = [BODY, "coffee flavor", "", None]
    found = explain_many(model, [None] * 4, texts, [None] * 4, [None] * 4, k=5)
    assert found == [explain(model, None, text, k=5) for text in texts]
    assert found[2].terms == []


def test_unknown_category(model):
    with pytest.raises(KeyError):
        explain(model, None, BODY, "Toys")
