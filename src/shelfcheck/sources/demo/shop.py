"""The generated shop: its products, how well they sell, and what is wrong with some of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.sources.checks import int64
from shelfcheck.sources.demo.ids import product_ids
from shelfcheck.sources.demo.words import BRAND_ENDS, BRAND_STARTS, CATEGORIES, SEASONS, TITLE_EXTRAS

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.sources.demo.language import Language

FIRST_DAY: Final = dt.date(2012, 1, 1)
DAYS: Final = (dt.date(2016, 1, 1) - FIRST_DAY).days
_REVIEWS_A_PRODUCT: Final = 14  # on average, as in the published data
_MAX_PRODUCTS: Final = 400_000  # bounds the memory of the catalogue: about 40 MB
_MISCATEGORISED: Final = 0.02  # share of products
_DECLINING: Final = 0.06  # share of the products with enough reviews to see it
_DECLINE_REVIEWS: Final = 80  # expected; of 40, two of twelve declines could be told from chance


@dataclass(frozen=True)
class Shop:
    """Products in order of how well they sell; arrays have one entry a product."""

    ids: pa.Array
    titles: pa.Array
    parents: pa.Array
    types: npt.NDArray[np.int64]
    nouns: npt.NDArray[np.int64]  # which of its type's nouns a product is called by
    true_category: npt.NDArray[np.int64]
    category: npt.NDArray[np.int64]  # as the catalogue has it
    quality: npt.NDArray[np.float64]  # shifts the stars
    decline_day: npt.NDArray[np.int64]  # days since FIRST_DAY; DAYS for products that stay as they are
    popularity: npt.NDArray[np.float64]  # cumulative, ends at 1
    days: npt.NDArray[np.float64]  # (n_categories, DAYS) cumulative share of reviews up to a day

    @property
    def miscategorised(self) -> npt.NDArray[np.int64]:
        """Products that stand in a wrong category."""
        return np.flatnonzero(self.category != self.true_category)

    @property
    def declining(self) -> npt.NDArray[np.int64]:
        """Products that get worse."""
        return np.flatnonzero(self.decline_day < DAYS)


def open_shop(reviews: int, seed: int, language: Language) -> Shop:
    """The shop that `reviews` reviews will be written of."""
    rng = np.random.default_rng([seed, 0])
    n = min(max(reviews // _REVIEWS_A_PRODUCT, 4 * len(CATEGORIES)), _MAX_PRODUCTS)
    shares = np.cumsum([category.weight for category in CATEGORIES])
    category = np.searchsorted(shares / shares[-1], rng.random(n), side="right")
    first_type = np.searchsorted(language.type_category, np.arange(len(CATEGORIES)))
    type_counts = np.array([len(item.types) for item in CATEGORIES])
    types = first_type[category] + (rng.random(n) * type_counts[category]).astype(np.int64)
    weights = (np.arange(n) + 8.0) ** -0.85  # Zipf, with a blunted head
    weights /= weights.sum()

    assigned = category.copy()
    wrong = np.flatnonzero(rng.random(n) < _MISCATEGORISED)
    assigned[wrong] = (assigned[wrong] + rng.integers(1, len(CATEGORIES), len(wrong))) % len(CATEGORIES)

    decline = np.full(n, DAYS)
    eligible = np.flatnonzero((weights * reviews >= _DECLINE_REVIEWS) & (assigned == category))
    worse = eligible[rng.permutation(len(eligible))[: -(-int(len(eligible) * _DECLINING * 1000) // 1000)]]
    decline[worse] = rng.integers(int(DAYS * 0.5), int(DAYS * 0.8), len(worse))
    index = np.arange(n, dtype=np.uint64)
    noun_counts = np.array([len(kind.nouns) for item in CATEGORIES for kind in item.types])
    nouns = (rng.random(n) * noun_counts[types]).astype(np.int64)
    return Shop(
        ids=product_ids(index, seed),
        titles=_titles(rng, types, nouns),
        parents=int64((index * 7919 + 100_000_007).astype(np.int64) % 999_999_937).cast(pa.string()),
        types=types,
        nouns=nouns,
        true_category=category,
        category=assigned,
        quality=rng.standard_normal(n) * 0.5,
        decline_day=decline,
        popularity=np.cumsum(weights) / weights.sum(),
        days=_calendar(),
    )


def _titles(rng: np.random.Generator, types: npt.NDArray[np.int64], nouns: npt.NDArray[np.int64]) -> pa.Array:
    """Titles that fit the product's type: a brand, a quality, what it is, and something more."""
    kinds = [kind for category in CATEGORIES for kind in category.types]
    brands = pa.array([start + end for start in BRAND_STARTS for end in BRAND_ENDS])
    extras = pa.array(TITLE_EXTRAS)
    counts = np.array([len(kind.qualities) for kind in kinds])
    quality = _choose(
        [kind.qualities for kind in kinds], types, (rng.random(len(types)) * counts[types]).astype(np.int64)
    )
    brand = brands.take(int64(rng.integers(0, len(brands), len(types))))
    extra = extras.take(int64(rng.integers(0, len(extras), len(types))))
    noun = pc.binary_join_element_wise(_choose([kind.nouns for kind in kinds], types, nouns), extra, "")
    return pc.binary_join_element_wise(brand, quality, noun, " ")


def _choose(
    options: list[tuple[str, ...]], types: npt.NDArray[np.int64], choice: npt.NDArray[np.int64]
) -> pa.Array:
    counts = np.array([len(words) for words in options])
    flat = pa.array([_capitals(word) for words in options for word in words])
    return flat.take(int64((np.cumsum(counts) - counts)[types] + choice))


def _capitals(phrase: str) -> str:
    small = {"of", "to", "and", "on", "in", "for", "the"}
    return " ".join(word if word in small else word[:1].upper() + word[1:] for word in phrase.split())


def _calendar() -> npt.NDArray[np.float64]:
    """Cumulative share of a category's reviews up to each day: seasons, a quiet weekend, and growth."""
    days = [FIRST_DAY + dt.timedelta(days=i) for i in range(DAYS)]
    month = np.array([day.month - 1 for day in days])
    week = np.array([0.9 if day.weekday() >= 5 else 1.0 for day in days])
    growth = np.linspace(1.0, 3.0, DAYS)
    rows = [np.array(SEASONS[category.season])[month] * week * growth for category in CATEGORIES]
    total = np.cumsum(np.array(rows), axis=1)
    shares: npt.NDArray[np.float64] = total / total[:, -1:]
    return shares
