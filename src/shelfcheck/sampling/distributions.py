"""Counts of reviews by month, category, stars and length: what a sample is planned and judged by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shelfcheck.sampling.reviews import relation
from shelfcheck.sampling.scan import Query
from shelfcheck.schema import PRODUCT_CATEGORY, REVIEW_BODY, REVIEW_MONTH, SAMPLE_WEIGHT, STAR_RATING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import pyarrow as pa

    from shelfcheck.sampling.reviews import Batch
    from shelfcheck.sampling.scan import Scan

Values = tuple[Any, ...]


@dataclass
class Counts:
    """Reviews by what they are.

    Attributes:
        strata: (month, category, further columns asked for) -> reviews.
        stars: (category, stars) -> reviews.
        lengths: (category, characters of the body) -> reviews.
    """

    strata: Counter[Values] = field(default_factory=Counter)
    stars: Counter[Values] = field(default_factory=Counter)
    lengths: Counter[Values] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """All reviews."""
        return self.strata.total()

    def categories(self) -> Counter[str | None]:
        """Reviews by category."""
        return _summed(self.strata, 1)

    def without(self, categories: Collection[str | None]) -> Counts:
        """The counts of the reviews of all other categories."""
        return Counts(
            Counter({key: n for key, n in self.strata.items() if key[1] not in categories}),
            Counter({key: n for key, n in self.stars.items() if key[0] not in categories}),
            Counter({key: n for key, n in self.lengths.items() if key[0] not in categories}),
        )

    def distributions(self) -> dict[str, Counter[Any]]:
        """Reviews by month, by category, by stars, and by length."""
        return {
            PRODUCT_CATEGORY: self.categories(),
            STAR_RATING: _summed(self.stars, 1),
            "body_length": _summed(self.lengths, 1),
            REVIEW_MONTH: _summed(self.strata, 0),
        }


def _summed(counts: Counter[Values], at: int) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for key, n in counts.items():
        found[key[at]] += n
    return found


def count_strata(scan: Scan, batches: Sequence[Batch], by: Sequence[str]) -> Counter[Values]:
    """Reviews by month, category and what else `by` names: reads no text."""
    columns = strata_columns(by)

    def sql(batch: Batch) -> str:
        return f"SELECT {', '.join(columns)}, count(*) FROM {relation(batch, columns)} GROUP BY ALL"  # noqa: S608

    found: Counter[Values] = Counter()
    for *key, n in _rows(scan(batches, Query(sql), "Counting")):
        found[tuple(key)] += n
    return found


def count_all(
    scan: Scan, batches: Sequence[Batch], by: Sequence[str], label: str, *, weighted: bool = False
) -> Counts:
    """All counts, in one scan; of a sample, on request, how many reviews its own stand for."""
    measure, weight = "count(*)", []
    if weighted:  # sums of floating-point numbers hang on their order, but not in the sixth place
        measure, weight = f"round(sum({SAMPLE_WEIGHT}), 6)", [SAMPLE_WEIGHT]
    columns = strata_columns(by)
    # Under a name of their own, because the strata may name the stars, too.
    derived = f"{STAR_RATING} AS stars, length({REVIEW_BODY}) AS characters"
    select = f"""
        SELECT {", ".join(columns)}, stars, characters, GROUPING_ID({REVIEW_MONTH}, stars) AS level, {measure}
        FROM (SELECT *, {derived} FROM {{reviews}})
        GROUP BY GROUPING SETS (
            ({", ".join(columns)}), ({PRODUCT_CATEGORY}, stars), ({PRODUCT_CATEGORY}, characters))
    """  # noqa: S608 - our own names
    source = list(dict.fromkeys([*columns, STAR_RATING, REVIEW_BODY, *weight]))

    def sql(batch: Batch) -> str:
        return select.format(reviews=relation(batch, source))

    found = Counts()
    for *key, stars, characters, level, n in _rows(scan(batches, Query(sql), label)):
        if level == 1:  # stars are summed over
            found.strata[tuple(key)] += n
        elif level == 2:  # months are
            found.stars[key[1], stars] += n
        else:
            found.lengths[key[1], characters] += n
    return found


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def strata_columns(by: Sequence[str]) -> list[str]:
    """Columns of the keys of `Counts.strata`."""
    return list(dict.fromkeys([REVIEW_MONTH, PRODUCT_CATEGORY, *by]))
