"""How bad a review is for its product, as numbers that can be compared within the product.

- `stars`: minus the stars, ties broken by a hash of the id.
- `language`: how much the text complains beside other texts of its category with as many stars and about as
  many words; so it is no second count of the stars, sees texts that complain while the stars still stand, and
  does not take a fashion of short reviews for a change.
- `both`: the stars and half the language, a standard deviation of which counts as half a star.

Each is freed of what the category does at that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.audit.declining_products.drift import remove_drift
from shelfcheck.audit.room import Room
from shelfcheck.models.blocks import blocks, counted, taken, where

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.audit.declining_products.histories import Histories
    from shelfcheck.models.encoded import Encoded

    Floats = npt.NDArray[np.float32]

_ENOUGH: Final = (
    200  # reviews of a category with as many stars; else those of all categories are compared with
)
_LANGUAGE_WEIGHT: Final = 0.5  # stars a standard deviation; docs/log.md has what others found
_LENGTHS: Final = 6  # groups of about equally many texts, by their number of n-grams


@dataclass(frozen=True)
class Badness:
    """Float32 (n) each, in the order of the histories; higher is worse."""

    stars: Floats
    language: Floats
    both: Floats

    @classmethod
    def measure(
        cls, histories: Histories, encoded: Encoded, complaint: Floats, room: Room | None = None
    ) -> Badness:
        """Measure every review of the histories.

        Args:
            histories: the reviews.
            encoded: all reviews, those compared with.
            complaint: what `complaint_scores` said of them.
            room: for what is held of every review.
        """
        from scipy.special import ndtri  # noqa: PLC0415 - slow to load

        room = room or Room()
        share = language_given_stars(histories, encoded, complaint, room)

        def normal(block: slice) -> npt.NDArray[np.float64]:
            found: npt.NDArray[np.float64] = ndtri(np.clip(share[block], 1e-4, 1 - 1e-4))
            return found

        def minus(block: slice) -> npt.NDArray[np.float64]:
            return -histories.stars[block].astype(np.float64)

        def untied(block: slice) -> npt.NDArray[np.float64]:
            return minus(block) + histories.u[block] - 0.5

        language = remove_drift(histories, normal, room)
        both = remove_drift(histories, minus, room)
        for block in blocks(len(both)):
            both[block] = (both[block] + _LANGUAGE_WEIGHT * language[block]).astype(np.float32)
        return cls(stars=remove_drift(histories, untied, room), language=language, both=both)


def language_given_stars(
    histories: Histories, encoded: Encoded, complaint: Floats, room: Room | None = None
) -> npt.NDArray[np.float64]:
    """Share of the texts of its category, stars and length that complain less, 0..1, (n).

    Equal scores (the same two words) are spread at random by a hash of the id.

    Memory: 12 bytes a review of the largest group that is compared.
    """
    n = len(histories.row)
    share: npt.NDArray[np.float64] = (room or Room()).array(n, np.float64)
    key = np.empty(n, np.int32)
    for block in blocks(n):
        label = encoded.label[histories.row[block]].astype(np.int32)
        key[block] = label * 10 + histories.stars[block]
    for one in (np.flatnonzero(counted(key + 10)) - 10).tolist():  # a category may be none, -1
        category, stars = one // 10, one % 10
        here = where(n, lambda block, one=one: key[block] == one)  # type: ignore[misc]

        def of_category(block: slice, category: int = category, stars: int = stars) -> npt.NDArray[np.bool_]:
            found: npt.NDArray[np.bool_] = encoded.label[block] == category
            found &= encoded.stars[block] == stars
            return found

        def of_any(block: slice, stars: int = stars) -> npt.NDArray[np.bool_]:
            found: npt.NDArray[np.bool_] = encoded.stars[block] == stars
            return found

        others = where(encoded.n_rows, of_category)
        if len(others) < _ENOUGH:
            others = where(encoded.n_rows, of_any)
        length = _lengths(encoded, others)
        cuts = np.unique(_quantiles(counted(length), np.arange(1, _LENGTHS) / _LENGTHS))
        own_group, group = _groups(_lengths(encoded, histories.row[here]), cuts), _groups(length, cuts)
        for g in np.flatnonzero(counted(own_group)).tolist():
            rows = here[own_group == g]
            known = taken(complaint, others[group == g])
            known.sort()
            for block in blocks(len(rows)):
                part = rows[block]
                own = complaint[histories.row[part]]
                low = np.searchsorted(known, own, side="left")
                high = np.searchsorted(known, own, side="right")
                share[part] = (low + histories.u[part] * (high - low) + 0.5) / (len(known) + 1)
    return share


def _lengths(encoded: Encoded, rows: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Number of n-grams of some reviews. (rows)."""
    found = np.empty(len(rows), np.int32)
    for block in blocks(len(rows)):
        at = rows[block].astype(np.int64)
        found[block] = encoded.indptr[at + 1] - encoded.indptr[at]
    return found


def _groups(length: npt.NDArray[np.int32], cuts: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """Which group of about equally long texts each is in. (n)."""
    found = np.empty(len(length), np.int8)
    for block in blocks(len(length)):
        found[block] = np.searchsorted(cuts, length[block], side="left")
    return found


def _quantiles(counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`np.quantile` of whole numbers of which each place tells how many there are."""
    ends = np.cumsum(counts)
    at = (ends[-1] - 1) * shares
    low = np.floor(at).astype(np.int64)
    below = np.searchsorted(ends, low, side="right").astype(np.float64)
    above = np.searchsorted(ends, np.minimum(low + 1, ends[-1] - 1), side="right").astype(np.float64)
    part, step = at - low, above - below
    found: npt.NDArray[np.float64] = np.where(part >= 0.5, above - step * (1 - part), below + step * part)
    return found
