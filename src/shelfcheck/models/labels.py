"""What is predicted: the category, the stars, or the category together with the year or the stars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.config import LabelName
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.schema import PRODUCT_CATEGORY, REVIEW_DATE, STAR_RATING

if TYPE_CHECKING:
    from shelfcheck.config import TrainSettings
    from shelfcheck.models.encode import Encoded

LABELS: Final = get_args(LabelName)


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

    Raises:
        NotEnoughDataError: fewer than two classes are.
    """
    names, codes = _coded(encoded, settings.label)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
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
    return Labelled(replace(encoded, label=place[codes], categories=classes), dropped, int((codes < 0).sum()))


def _coded(encoded: Encoded, label: LabelName) -> tuple[list[str], np.ndarray]:
    """All classes, sorted, and the place of each review's among them, -1 where it has none."""
    if label == "product_category":
        return list(encoded.categories), encoded.label.astype(np.int64)
    values = label_values(encoded.rows(), label).combine_chunks()
    coded = values.dictionary_encode()
    found = np.asarray(coded.dictionary.to_pylist(), object)
    order = np.argsort(found)
    rank = np.full(len(found) + 1, -1, np.int64)
    rank[order] = np.arange(len(found))
    return found[order].tolist(), rank[coded.indices.fill_null(len(found)).to_numpy()]
