"""Writes the reviews of one chunk: who bought what when, what they thought, and the faults among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import schema
from shelfcheck.sources.checks import int64
from shelfcheck.sources.demo import language as lang
from shelfcheck.sources.demo.ids import review_ids
from shelfcheck.sources.demo.rare import rare_texts, with_rare_words
from shelfcheck.sources.demo.shop import DAYS, FIRST_DAY
from shelfcheck.sources.demo.words import CATEGORIES

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.sources.demo.language import Language
    from shelfcheck.sources.demo.shop import Shop

    Ints = npt.NDArray[np.int64]

# The published form: flags are 'Y' and 'N'.
PDS_SCHEMA: Final = pa.schema(
    [
        field.with_type(pa.string()) if field.name in {schema.VINE, schema.VERIFIED_PURCHASE} else field
        for field in schema.REVIEW_SCHEMA
    ]
)

# Shares of rows, one after another on [0, 1).
MISPLACED: Final = 0.015
DUPLICATE: Final = 0.003
REPEATED_ID: Final = 0.002
BROKEN: Final = 0.001

_STAR_BOUNDS: Final = np.array(
    [-1.57, -1.26, -0.86, -0.26]
)  # of a normal of variance 1.25: skewed to 5 stars
_DECLINE: Final = 1.7  # taken off that normal when a product got worse
_POLARITY: Final = np.array(  # cumulative chance that a sentence is bad, neutral (or good), by stars - 1
    [[0.86, 0.97], [0.66, 0.88], [0.35, 0.65], [0.12, 0.37], [0.02, 0.17]]
)
_SHORT: Final = 0.06  # share of reviews that are a short phrase
_STYLES: Final = np.array([0.2, 0.65, 0.88])  # how much of a review tells of the product
_STYLE_SHARES: Final = np.array([0.05, 0.25, 1.0])  # cumulative
_SENTENCES: Final = np.cumsum(
    [0.08, 0.16, 0.18, 0.15, 0.11, 0.08, 0.06, 0.045, 0.03, 0.02, 0.015, 0.012, 0.01, 0.008, 0.008]
)  # of 1 to 15; the rest are long
_LOWER: Final = 0.05  # share of reviews in lower case
_CUSTOMERS: Final = 90_000_000
_EPOCH_OFFSET: Final = FIRST_DAY.toordinal() - 719_163  # days since 1970
_FUTURE_DAY: Final = 47_117  # 2099-01-01 in days since 1970
_BROKEN_STARS: Final = 7


class Reviews(NamedTuple):
    """A chunk and what was planted in it."""

    table: pa.RecordBatch  # PDS_SCHEMA
    truth: list[tuple[str, str | None, str | None, str | None, str]]  # columns of TRUTH_SCHEMA
    broken: Ints  # rows that a text file can break by their number of fields


def write_chunk(  # noqa: PLR0917
    shop: Shop,
    language: Language,
    seed: int,
    chunk: int,
    first: int,
    n: int,
    total: int,
    rare_words: float = 0.0,
) -> Reviews:
    """Rows `first` to `first + n` of `total`; the same for the same arguments, whatever ran before."""
    rng = np.random.default_rng([seed, 1, chunk])
    role = rng.random(n)
    misplaced = role < MISPLACED
    bounds = np.cumsum([MISPLACED, DUPLICATE, REPEATED_ID, BROKEN])
    copies = np.flatnonzero((role >= bounds[0]) & (role < bounds[2]))
    broken = np.flatnonzero((role >= bounds[2]) & (role < bounds[3]))

    product = np.searchsorted(shop.popularity, rng.random(n), side="right")
    written_of = product.copy()  # the product that the text is about
    where = np.flatnonzero(misplaced)
    product[where] = _other_products(rng, shop, product[where])
    misplaced[where] = shop.category[product[where]] != shop.true_category[written_of[where]]

    category = shop.true_category[written_of]
    day = np.empty(n, np.int64)
    u = rng.random(n)
    for c in range(len(CATEGORIES)):
        rows = np.flatnonzero(category == c)
        day[rows] = np.searchsorted(shop.days[c], u[rows], side="right")
    day = np.minimum(day, DAYS - 1)

    mood = rng.standard_normal(n) + shop.quality[written_of]
    mood -= np.where(day >= shop.decline_day[written_of], _DECLINE, 0.0)
    stars = np.searchsorted(_STAR_BOUNDS, mood) + 1
    helpful = np.floor(rng.pareto(1.3, n) * 0.6).astype(np.int64)
    others = np.floor(rng.pareto(1.5, n) * 0.4).astype(np.int64)
    helpful, votes = np.minimum(helpful, 20_000), np.minimum(helpful + others, 40_000)

    body, headline = _texts(rng, language, stars, shop.types[written_of], shop.nouns[written_of])
    if rare_words:  # drawn apart, so that all else is the same with and without them
        body = with_rare_words(body, rare_texts(np.random.default_rng([seed, 2, chunk]), n, rare_words))
    index = np.arange(first, first + n, dtype=np.uint64)
    names = pa.array([item.name for item in CATEGORIES])
    customer = np.floor(rng.random(n) ** 2 * max(total // 3, 1)).astype(np.int64)
    columns = {
        schema.MARKETPLACE: pa.repeat("US", n),
        schema.CUSTOMER_ID: int64(10_000_000 + customer * 48_271 % _CUSTOMERS).cast(pa.string()),
        schema.REVIEW_ID: review_ids(index, seed),
        schema.PRODUCT_ID: shop.ids.take(int64(product)),
        schema.PRODUCT_PARENT: shop.parents.take(int64(product)),
        schema.PRODUCT_TITLE: shop.titles.take(int64(product)),
        schema.PRODUCT_CATEGORY: names.take(int64(shop.category[product])),
        schema.STAR_RATING: int64(stars).cast(pa.int32()),
        schema.HELPFUL_VOTES: int64(helpful).cast(pa.int32()),
        schema.TOTAL_VOTES: int64(votes).cast(pa.int32()),
        schema.VINE: _flags(rng, n, 0.005),
        schema.VERIFIED_PURCHASE: _flags(rng, n, 0.85),
        schema.REVIEW_HEADLINE: headline,
        schema.REVIEW_BODY: body,
        schema.REVIEW_DATE: int64(day + _EPOCH_OFFSET).cast(pa.int32()).cast(pa.date32()),
    }
    table = pa.RecordBatch.from_arrays([columns[name] for name in PDS_SCHEMA.names], schema=PDS_SCHEMA)
    truth = _misplaced_truth(table, shop, written_of, np.flatnonzero(misplaced))
    table, more = _plant_copies(rng, table, copies, np.flatnonzero(role >= bounds[3]), role, bounds[1])
    return Reviews(table, truth + more, broken)


def break_values(table: pa.RecordBatch, rows: Ints) -> tuple[pa.RecordBatch, list[str]]:
    """Give rows a star rating of 7 or a date of 2099, in turns; and the reasons they will be rejected for."""
    stars = table.column(schema.STAR_RATING).to_numpy().copy()
    days = table.column(schema.REVIEW_DATE).cast(pa.int32()).to_numpy().copy()
    stars[rows[::2]], days[rows[1::2]] = _BROKEN_STARS, _FUTURE_DAY
    for name, values in ((schema.STAR_RATING, stars), (schema.REVIEW_DATE, days)):
        field = table.schema.field(name)
        column = int64(values.astype(np.int64)).cast(pa.int32()).cast(field.type)
        table = table.set_column(table.schema.get_field_index(name), field, column)
    return table, ["bad_star_rating" if i % 2 == 0 else "future_date" for i in range(len(rows))]


def _texts(
    rng: np.random.Generator, language: Language, stars: Ints, types: Ints, nouns: Ints
) -> tuple[pa.Array, pa.Array]:
    n = len(stars)
    sentences = np.searchsorted(_SENTENCES, rng.random(n), side="right") + 1
    long = np.flatnonzero(sentences > len(_SENTENCES))
    sentences[long] += np.minimum(np.floor(rng.pareto(1.2, len(long)) * 6), 100).astype(np.int64)
    short = rng.random(n) < _SHORT
    sentences[short] = 1
    style = _STYLES[np.searchsorted(_STYLE_SHARES, rng.random(n), side="right")]

    text = np.repeat(np.arange(n), sentences)
    polarity = _polarities(rng, stars[text])
    group = np.where(rng.random(len(text)) < style[text], lang.PRODUCT, lang.ANY)
    group[short[text]] = lang.SHORT
    lower = rng.random(n) < _LOWER
    body = language.compose(rng, sentences, language.templates_of(rng, group, polarity), types, nouns, lower)
    chosen = language.templates_of(rng, np.full(n, lang.HEADLINE), _polarities(rng, stars))
    return body, language.compose(rng, np.ones(n, np.int64), chosen, types, nouns, lower)


def _polarities(rng: np.random.Generator, stars: Ints) -> Ints:
    bounds = _POLARITY[stars - 1]
    u = rng.random(len(stars))
    polarity: Ints = (u >= bounds[:, 0]).astype(np.int64) + (u >= bounds[:, 1])
    return polarity


def _other_products(rng: np.random.Generator, shop: Shop, product: Ints) -> Ints:
    """Products of another category to put reviews on, popular ones more often."""
    other = np.searchsorted(shop.popularity, rng.random((len(product), 4)), side="right")
    differs = shop.category[other] != shop.true_category[product][:, None]
    chosen: Ints = other[np.arange(len(product)), differs.argmax(axis=1)]
    return chosen


def _misplaced_truth(
    table: pa.RecordBatch, shop: Shop, written_of: Ints, rows: Ints
) -> list[tuple[str, str | None, str | None, str | None, str]]:
    at = int64(rows)
    ids, products = table.column(schema.REVIEW_ID).take(at), table.column(schema.PRODUCT_ID).take(at)
    real = shop.ids.take(int64(written_of[rows]))
    names = [CATEGORIES[c].name for c in shop.true_category[written_of[rows]]]
    return [
        ("misplaced_review", review, on, name, f"written of {of}")
        for review, on, name, of in zip(
            ids.to_pylist(), products.to_pylist(), names, real.to_pylist(), strict=True
        )
    ]


def _plant_copies(  # noqa: PLR0917
    rng: np.random.Generator,
    table: pa.RecordBatch,
    copies: Ints,
    plain: Ints,
    role: npt.NDArray[np.float64],
    bound: float,
) -> tuple[pa.RecordBatch, list[tuple[str, str | None, str | None, str | None, str]]]:
    """Rows that repeat an earlier or later plain row, some with its id and some under their own."""
    if not len(copies) or not len(plain):
        return table, []
    source = plain[rng.integers(0, len(plain), len(copies))]
    rows = np.arange(table.num_rows)
    rows[copies] = source
    own = table.column(schema.REVIEW_ID)
    same_id = role[copies] >= bound
    ids = np.arange(table.num_rows)
    ids[copies[same_id]] = source[same_id]
    table = table.take(int64(rows))
    at = table.schema.get_field_index(schema.REVIEW_ID)
    table = table.set_column(at, table.schema.field(at), own.take(int64(ids)))
    review, product = (
        table.column(name).take(int64(copies)).to_pylist() for name in (schema.REVIEW_ID, schema.PRODUCT_ID)
    )
    original = own.take(int64(source)).to_pylist()
    return table, [
        ("repeated_id" if same else "duplicate", review[i], product[i], None, f"copy of {original[i]}")
        for i, same in enumerate(same_id.tolist())
    ]


def _flags(rng: np.random.Generator, n: int, share: float) -> pa.Array:
    return pc.take(pa.array(["N", "Y"]), int64((rng.random(n) < share).astype(np.int64)))
