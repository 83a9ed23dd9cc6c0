"""What is predicted: the category, the stars, or the category together with the year or the stars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.config import LabelName
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.blocks import blocks, counted, taken
from shelfcheck.models.encoded import NO_DAY
from shelfcheck.schema import PRODUCT_CATEGORY, REVIEW_DATE, STAR_RATING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from shelfcheck.config import TrainSettings
    from shelfcheck.models.encoded import Encoded

    _Part = Callable[[slice], npt.NDArray[np.int64]]

LABELS: Final = get_args(LabelName)
_WIDE: Final = 1 << 32  # two numbers in one
_SHIFT: Final = 1 << 20  # keeps years and stars above 0
_UNKNOWN: Final = 0


@dataclass(frozen=True)
class Labelled:
    """Reviews with the classes to learn.

    Attributes:
        encoded: the reviews; `label` is an index into `categories`, the classes to learn, or -1.
        dropped: classes that are too small to be learned, with their number of reviews.
        unlabelled: reviews that have no label at all, e.g. no date where the year is wanted.
    """

    encoded: Encoded
    dropped: dict[str, int]
    unlabelled: int


def label_values(rows: pa.Table, label: LabelName) -> pa.ChunkedArray:
    """The class of each review as a string, null where something that it is made of is missing.

    Args:
        rows: rows with the columns of `encode.ROW_SCHEMA`.
        label: `product_category` ("Books"), `star_rating` ("5"), `product_category_year`
            ("Books_2014") or `product_category_star_rating` ("Books_5").
    """
    category = rows.column(PRODUCT_CATEGORY)
    if label == "product_category":
        return category
    stars = pc.cast(rows.column(STAR_RATING), pa.string())
    if label == "star_rating":
        return stars
    if label == "product_category_star_rating":
        return pc.binary_join_element_wise(category, stars, "_")
    return pc.binary_join_element_wise(category, pc.cast(pc.year(rows.column(REVIEW_DATE)), pa.string()), "_")


def labelled(encoded: Encoded, settings: TrainSettings) -> Labelled:
    """Give reviews the labels that `train.label` names, of classes that are large enough.

    Memory: 2 bytes a review, none where every category is learned.

    Raises:
        NotEnoughDataError: fewer than two classes are.
    """
    names, codes = _coded(encoded, settings.label)
    counts = counted(codes, len(names))
    least = max(settings.min_category_reviews, settings.min_class_share * counts.sum())
    kept = counts >= least
    if kept.sum() < 2:
        raise NotEnoughDataError(
            f"{kept.sum()} of {len(names)} classes of {settings.label} has {least:.0f} reviews or more, must "
            "be >= 2. Add reviews, or lower train.min_category_reviews or train.min_class_share."
        )
    place = np.full(len(names) + 1, -1, np.int16)
    place[:-1][kept] = np.arange(kept.sum())
    classes = tuple(name for name, keep in zip(names, kept.tolist(), strict=True) if keep)
    dropped = {
        name: n for name, n, keep in zip(names, counts.tolist(), kept.tolist(), strict=True) if not keep
    }
    label = codes if kept.all() else taken(place, codes)
    return Labelled(
        replace(encoded, label=label, categories=classes), dropped, len(codes) - int(counts.sum())
    )


def _coded(encoded: Encoded, label: LabelName) -> tuple[list[str], npt.NDArray[np.int16]]:
    """All classes, sorted, and the place of each review's among them, -1 where it has none."""
    if label == "product_category":
        return list(encoded.categories), encoded.label
    first, second = _parts(encoded, label)
    made = np.empty(encoded.n_rows, np.int16)  # codes of the pairs that are met, in the order of meeting
    met: dict[tuple[int, int], int] = {}
    for block in blocks(encoded.n_rows):
        one, other = first(block), second(block)
        pairs, at = np.unique(one * _WIDE + other, return_inverse=True)
        codes = [
            -1 if a < 0 or b == _UNKNOWN else met.setdefault((a, b), len(met))
            for a, b in ((pair // _WIDE, pair % _WIDE) for pair in pairs.tolist())
        ]
        made[block] = np.array(codes, np.int16)[at]
    found = [_name(encoded, label, pair) for pair in met]
    order = sorted(range(len(found)), key=found.__getitem__)
    rank = np.full(len(found) + 1, -1, np.int16)
    rank[order] = np.arange(len(found))
    return [found[at] for at in order], taken(rank, made)


def _parts(encoded: Encoded, label: LabelName) -> tuple[_Part, _Part]:
    """Two numbers that make a label, of the reviews of a block: -1 or _UNKNOWN where they are not known."""

    def category(block: slice) -> npt.NDArray[np.int64]:
        return np.asarray(encoded.label[block]).astype(np.int64)

    def stars(block: slice) -> npt.NDArray[np.int64]:
        given = np.asarray(encoded.stars[block]).astype(np.int64)
        return np.where(given == 0, _UNKNOWN, given + _SHIFT)

    def year(block: slice) -> npt.NDArray[np.int64]:
        day = np.asarray(encoded.day[block])
        years = day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
        return np.where(day == NO_DAY, _UNKNOWN, years + _SHIFT)

    def nothing(block: slice) -> npt.NDArray[np.int64]:
        return np.zeros(block.stop - block.start, np.int64)

    if label == "star_rating":
        return nothing, stars
    return category, stars if label == "product_category_star_rating" else year


def _name(encoded: Encoded, label: LabelName, pair: tuple[int, int]) -> str:
    told = str(pair[1] - _SHIFT)
    return told if label == "star_rating" else f"{encoded.categories[pair[0]]}_{told}"
