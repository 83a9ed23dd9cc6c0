"""Reads what is compared: the reviews of each category by year, or by star rating.

DuckDB counts the terms of all reviews, and draws the reviews that the tests look at: at most so many of each
group, by a hash of the review id. Categories are then handed out one at a time, so that memory holds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa

from shelfcheck.language.counts import GROUPS, REVIEW_YEAR, TERM, files_of, term_counts_sql
from shelfcheck.language.sparse import Reviews, review_terms
from shelfcheck.language.terms import rarity
from shelfcheck.schema import PRODUCT_CATEGORY, PRODUCT_ID, REVIEW_ID, REVIEW_TOKENS, STAR_RATING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from shelfcheck.config import LanguageSettings
    from shelfcheck.engines.duckdb import DuckDB

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

YEAR: Final = "year"
STARS: Final = "stars"
FACETS: Final = {YEAR: REVIEW_YEAR, STARS: STAR_RATING}
"""What reviews of a category are told apart by, and its column."""

_COUNTED: Final = pa.schema(
    [("value", pa.int32()), (TERM, pa.string()), ("n", pa.int64()), ("f", pa.int64())]
)
_DRAWN: Final = pa.schema(
    [("value", pa.int32()), ("product", pa.string()), ("tokens", pa.string()), ("key", pa.int64())]
)
_KEY_BITS: Final = 60  # of the md5 of a review id
_MARGIN: Final = 5.0  # standard deviations more than wanted are drawn, and the surplus is cut


@dataclass(frozen=True)
class Group:
    """A category's year or star rating: its reviews, their words and products."""

    value: int
    reviews: int
    words: int
    products: int


@dataclass(frozen=True)
class CategoryLanguage:
    """The language of one category by year or by stars.

    Attributes:
        category: its name.
        facet: `year` or `stars`.
        groups: those with enough reviews, ascending.
        terms: its terms, in the order of their names; the most frequent, every group counting the same.
        counts: int64 (n_groups, n_terms), over all reviews.
        rarity: float64 (n_terms), see `terms.rarity`.
        reviews: the reviews drawn for the tests; `group` numbers `groups`.
    """

    category: str
    facet: str
    groups: tuple[Group, ...]
    terms: tuple[str, ...]
    counts: Ints
    rarity: Floats
    reviews: Reviews

    @cached_property
    def shares(self) -> Floats:
        """Share of each term in the words of each group, (n_groups, n_terms)."""
        words = np.array([group.words for group in self.groups], np.float64)
        found: Floats = self.counts / words[:, None]
        return found


@dataclass(frozen=True)
class Usable:
    """How many reviews a facet uses, and why it cannot use the others.

    Attributes:
        used: reviews in groups that are large enough.
        skipped: reason -> reviews.
        categories: categories with at least two groups.
    """

    used: int
    skipped: dict[str, int]
    categories: tuple[str, ...]


def grouped_sql(facts: str, column: str) -> str:
    """A query of the size of each group, with and without words.

    Args:
        facts: of each review its category, year, stars, product and number of words; a relation.
        column: what is told apart by.
    """
    return f"""
        SELECT {PRODUCT_CATEGORY}, {column}, words > 0 AS has_words, count(*) AS reviews, sum(words) AS words,
            count(DISTINCT {PRODUCT_ID}) + count(CASE WHEN {PRODUCT_ID} IS NULL THEN 1 END) AS products
        FROM {facts}
        GROUP BY {PRODUCT_CATEGORY}, {column}, words > 0
    """  # noqa: S608 - names are of GROUPS and of the schema


def drawn_sql(facts: str, column: str, more: Sequence[str]) -> str:
    """A query of the reviews that are drawn for the tests: by a hash of the id, below their group's bound.

    Reads the relation `bounds` (category, `column`, below), and the parameter `seed`.

    Args:
        facts: of each review what `grouped_sql` reads, its id, and `more`.
        column: what is told apart by.
        more: columns that are wanted beside.
    """
    also = "".join(f", f.{name}" for name in more)
    return f"""
        SELECT f.{PRODUCT_CATEGORY}, f.{column} AS value, f.{PRODUCT_ID}, f.{REVIEW_ID}, f.key{also}
        FROM (
            SELECT r.*, ('0x' || substr(md5($seed || {REVIEW_ID}), 1, 15))::BIGINT AS key FROM {facts} r
            WHERE words > 0
        ) f
        JOIN bounds g ON g.{PRODUCT_CATEGORY} = f.{PRODUCT_CATEGORY} AND g.{column} = f.{column}
        WHERE f.key < g.below
    """  # noqa: S608 - names are of GROUPS and of the schema


def seed_of(seed: int) -> str:
    """The parameter `seed` of `drawn_sql`."""
    return f"{seed}:" if seed else ""


class Counting(Protocol):
    """Counts the reviews of a facet, and draws some, into tables of DuckDB."""

    def group(self, engine: DuckDB, column: str) -> None:
        """Make the table `grouped`, rows of `grouped_sql`."""

    def count_and_draw(self, engine: DuckDB, column: str) -> None:
        """Make `counted` (category, `column`, term, n: terms that are frequent enough) and `drawn`.

        `drawn` has the rows of `drawn_sql` by the table `bounds`, and their tokens.
        """


class OneMachine:
    """Counting by DuckDB itself, over the files of prepared reviews.

    Args:
        prepared_dir: output of `prepare`.
        settings: which terms count.
        seed: draws other reviews for the tests.
    """

    def __init__(self, prepared_dir: str | Path, settings: LanguageSettings, seed: int) -> None:
        self._files = files_of(prepared_dir)
        self._settings = settings
        self._seed = seed
        columns = f"{PRODUCT_CATEGORY}, {PRODUCT_ID}, {REVIEW_ID}, {REVIEW_TOKENS}"
        values = ", ".join(f"{GROUPS[column]} AS {column}" for column in FACETS.values())
        self._facts = f"""(
            SELECT {columns}, {values},
                CASE WHEN {REVIEW_TOKENS} <> ''
                     THEN length({REVIEW_TOKENS}) - length(replace({REVIEW_TOKENS}, ' ', '')) + 1
                     ELSE 0 END AS words
            FROM read_parquet($files, hive_partitioning = false)
        )"""  # noqa: S608

    def group(self, engine: DuckDB, column: str) -> None:
        """See `Counting`."""
        engine.run(f"CREATE OR REPLACE TABLE grouped AS {grouped_sql(self._facts, column)}", self._files)

    def count_and_draw(self, engine: DuckDB, column: str) -> None:
        """See `Counting`."""
        counted = term_counts_sql(
            (PRODUCT_CATEGORY, column),
            word_ngrams=self._settings.word_ngrams,
            min_count=self._settings.min_count,
        )
        engine.run(f"CREATE OR REPLACE TABLE counted AS {counted}", self._files)
        drawn = drawn_sql(self._facts, column, (REVIEW_TOKENS,))
        engine.run(f"CREATE OR REPLACE TABLE drawn AS {drawn}", {**self._files, "seed": seed_of(self._seed)})


class Facet:
    """One way to tell the reviews of a category apart, counted in an engine's tables.

    Args:
        engine: holds the counts; its tables `grouped`, `groups`, `bounds`, `counted`, `totals` and `drawn`
            are replaced.
        counting: counts the reviews.
        facet: `year` or `stars`.
        settings: which groups and terms count.
    """

    def __init__(self, engine: DuckDB, counting: Counting, facet: str, settings: LanguageSettings) -> None:
        self._engine = engine
        self._facet = facet
        self._settings = settings
        self._column = FACETS[facet]
        counting.group(engine, self._column)
        self._bound_groups()
        self.usable = self._usable()
        if self.usable.categories:
            counting.count_and_draw(engine, self._column)
            engine.run(
                f"""
                CREATE OR REPLACE TABLE totals AS
                SELECT {TERM}, sum(n)::BIGINT AS f FROM counted GROUP BY {TERM}
                """  # noqa: S608
            )
            ((self._words_a_class,),) = engine.run("SELECT avg(words) FROM groups WHERE words > 0")

    def _bound_groups(self) -> None:
        most = self._settings.max_reviews
        drawn = most + _MARGIN * most**0.5
        self._engine.run(
            f"""
            CREATE OR REPLACE TABLE groups AS
            SELECT *, reviews >= {self._settings.min_reviews} AND {PRODUCT_CATEGORY} IS NOT NULL
                AND {self._column} IS NOT NULL AS enough
            FROM grouped
            """  # noqa: S608 - names are of GROUPS and of the schema
        )
        self._engine.run(
            f"""
            CREATE OR REPLACE TABLE bounds AS
            SELECT {PRODUCT_CATEGORY}, {self._column},
                (least(1.0, {drawn!r}::DOUBLE / reviews) * {1 << _KEY_BITS})::BIGINT AS below
            FROM groups WHERE enough AND has_words
            """  # noqa: S608
        )

    def _usable(self) -> Usable:
        rows = self._engine.run(
            f"""
            SELECT CASE WHEN {PRODUCT_CATEGORY} IS NULL THEN 'no category'
                        WHEN {self._column} IS NULL THEN $lacking
                        WHEN NOT has_words THEN 'no words'
                        WHEN NOT enough THEN 'too few reviews in the {self._facet}' END AS reason,
                   sum(reviews)::BIGINT
            FROM groups GROUP BY reason ORDER BY reason
            """,  # noqa: S608
            {"lacking": "no date" if self._facet == YEAR else "no stars"},
        )
        counts = dict(rows)
        categories = self._engine.run(
            f"""
            SELECT {PRODUCT_CATEGORY} FROM groups WHERE enough AND has_words
            GROUP BY 1 HAVING count(*) > 1 ORDER BY 1
            """  # noqa: S608
        )
        used = counts.pop(None, 0)
        return Usable(used, counts, tuple(name for (name,) in categories))

    def __iter__(self) -> Iterator[CategoryLanguage]:
        """Each category that has something to compare, by name."""
        for category in self.usable.categories:
            yield self._category(category)

    def _category(self, category: str) -> CategoryLanguage:
        named = {"category": category}
        groups = tuple(
            Group(*row)
            for row in self._engine.run(
                f"""
                SELECT {self._column}, reviews, words, products FROM groups
                WHERE {PRODUCT_CATEGORY} = $category AND enough AND has_words ORDER BY 1
                """,  # noqa: S608
                named,
            )
        )
        table = self._table(
            _COUNTED,
            f"""
            SELECT {self._column} AS value, {TERM}, n, f FROM counted JOIN totals USING ({TERM})
            WHERE {PRODUCT_CATEGORY} = $category ORDER BY {TERM}, value
            """,  # noqa: S608
            named,
        )
        terms, counts, frequency = _matrix(table, groups, self._settings.max_terms)
        reviews = self._reviews(named, groups, terms)
        return CategoryLanguage(
            category,
            self._facet,
            groups,
            tuple(terms.to_pylist()),
            counts,
            rarity(frequency, self._words_a_class),
            reviews,
        )

    def _reviews(self, named: dict[str, Any], groups: tuple[Group, ...], terms: pa.Array) -> Reviews:
        table = self._table(
            _DRAWN,
            f"""
            SELECT value, {PRODUCT_ID} AS product, {REVIEW_TOKENS} AS tokens, key FROM drawn
            WHERE {PRODUCT_CATEGORY} = $category
            QUALIFY row_number() OVER (PARTITION BY value ORDER BY key, {REVIEW_ID})
                <= {self._settings.max_reviews}
            ORDER BY value, key, {REVIEW_ID}
            """,  # noqa: S608
            named,
        )
        values = np.array([group.value for group in groups])
        indptr, ids, times, words = review_terms(
            table["tokens"].combine_chunks(), terms, self._settings.word_ngrams
        )
        return Reviews(
            indptr,
            ids,
            times,
            len(terms),
            np.searchsorted(values, table["value"].to_numpy()),
            _numbered(table["product"].combine_chunks()),
            table["key"].to_numpy().astype(np.uint64),
            words,
        )

    def _table(self, schema: pa.Schema, sql: str, parameters: dict[str, Any]) -> pa.Table:
        batches = [batch.cast(schema) for batch in self._engine.stream(sql, parameters)]
        return pa.Table.from_batches(batches, schema)


def _matrix(table: pa.Table, groups: tuple[Group, ...], most: int) -> tuple[pa.Array, Ints, Ints]:
    """Terms, their counts by group (n_groups, n_terms), and their frequency in all classes (n_terms)."""
    coded = table[TERM].combine_chunks().dictionary_encode()  # in the order of the names
    term = coded.indices.to_numpy()
    values = np.array([group.value for group in groups])
    value = table["value"].to_numpy()
    place = np.minimum(np.searchsorted(values, value), len(values) - 1)
    inside = values[place] == value
    counts = np.zeros((len(groups), len(coded.dictionary)), np.int64)
    counts[place[inside], term[inside]] = table["n"].to_numpy()[inside]
    frequency = np.zeros(len(coded.dictionary), np.int64)
    frequency[term] = table["f"].to_numpy()
    shares = counts / np.array([group.words for group in groups])[:, None]
    weight = shares.sum(axis=0)
    kept = np.sort(np.argsort(-weight, kind="stable")[:most])
    kept = kept[weight[kept] > 0]
    return coded.dictionary.take(pa.array(kept)), counts[:, kept], frequency[kept]


def _numbered(products: pa.Array) -> Ints:
    """Products as numbers; each null is one of its own."""
    coded = products.dictionary_encode()
    numbers: Ints = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    unknown = np.flatnonzero(numbers < 0)
    numbers[unknown] = len(coded.dictionary) + np.arange(len(unknown))
    return numbers
