"""What the reviews since a change speak of: terms that came up, and which of them stand together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.language.log_odds import informative_prior, log_odds

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS: Final = 12  # terms of a finding
THEMES: Final = 4
_IN_A_THEME: Final = 4  # terms that name one
_LEAST_REVIEWS: Final = 3  # since the change that hold a term
_LEAST_Z: Final = 1.96
_PRIOR: Final = 500.0  # size of the prior, in terms
_TOGETHER: Final = 0.3  # Jaccard similarity from which two terms belong to one theme


@dataclass(frozen=True)
class Term:
    """A word or pair of words.

    Attributes:
        term: as it stands among the tokens.
        weight: weighted log odds (z) of the reviews since the change against those before.
        since: reviews since the change that hold it, of those looked at.
        before: the same of those before.
    """

    term: str
    weight: float
    since: int
    before: int


@dataclass(frozen=True)
class Theme:
    """Terms that stand in the same reviews."""

    terms: tuple[str, ...]
    weight: float
    since: int  # reviews that hold at least one of them
    before: int


def terms_of(tokens: str | None) -> set[str]:
    """The distinct words and pairs of neighbouring words of a token string."""
    words = (tokens or "").split(" ")
    pairs = (f"{one} {other}" for one, other in pairwise(words))
    return {*words, *pairs} - {""}


def new_terms(since: Sequence[set[str]], before: Sequence[set[str]], background: Counter[str]) -> list[Term]:
    """Terms that more reviews hold since the change, the surest first; numbers alone are left out.

    Args:
        since: terms of the reviews since the change that are to be explained.
        before: terms of the reviews before it.
        background: in how many reviews of the category each term stands.
    """
    now, then = (
        Counter(t for review in since for t in review),
        Counter(t for review in before for t in review),
    )
    names = sorted(t for t, n in now.items() if n >= _LEAST_REVIEWS and not t.replace(" ", "").isdigit())
    if len(names) < 2:
        return []
    a, b, common = (np.array([counter[t] for t in names], np.float64) for counter in (now, then, background))
    # What is not named counts, too, or a rare word's share would be of the named ones alone.
    rest = [
        sum(counter.values()) - part.sum() for counter, part in ((now, a), (then, b), (background, common))
    ]
    prior = informative_prior(np.append(common + 1, max(rest[2], 1.0)), _PRIOR)
    _, z = log_odds(np.append(a, max(rest[0], 0.0)), np.append(b, max(rest[1], 0.0)), prior)
    order = np.lexsort((np.array(names), -z[:-1]))
    found: list[Term] = []
    for i in order.tolist():
        if z[i] < _LEAST_Z or len(found) == WORDS:
            break
        one = Term(names[i], float(z[i]), now[names[i]], then[names[i]])
        if not any(_says_the_same(one, other) for other in found):
            found.append(one)
    return found


def themes(terms: Sequence[Term], since: Sequence[set[str]], before: Sequence[set[str]]) -> list[Theme]:
    """Group terms that stand in the same reviews, the surest term first."""
    holders = [frozenset(i for i, review in enumerate(since) if term.term in review) for term in terms]
    groups: list[list[int]] = []
    for i, own in enumerate(holders):
        for group in groups:
            lead = holders[group[0]]
            if len(group) < _IN_A_THEME and len(own & lead) >= _TOGETHER * len(own | lead):
                group.append(i)
                break
        else:
            groups.append([i])
    found = []
    for group in groups[:THEMES]:
        names = {terms[i].term for i in group}
        found.append(
            Theme(
                terms=tuple(terms[i].term for i in group),
                weight=terms[group[0]].weight,
                since=len(frozenset().union(*(holders[i] for i in group))),
                before=sum(not names.isdisjoint(review) for review in before),
            )
        )
    return found


def _says_the_same(one: Term, other: Term) -> bool:
    """A word and a pair that holds it, in nearly the same reviews."""
    inside = set(one.term.split()) <= set(other.term.split()) or set(other.term.split()) <= set(
        one.term.split()
    )
    return inside and min(one.since, other.since) >= 0.8 * max(one.since, other.since)
