"""Spelling SQL for Spark: every entry of the allow-list, on both engines, beside values by hand."""

# ruff: noqa: E501 - a case a line

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.engines.sql import ALLOWED, SpellingError, spell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.engines.relations import Relations

T = pa.table(
    {
        "i": pa.array(range(8), pa.int64()),
        "s": pa.array([None, "", "İ", "ß", "ΑΣ", "😀e\u0301", "\u00a0\x0b", "a'b\\n"], pa.string()),
        "g": pa.array(["x", "x", "y", "y", "y", None, None, "z"], pa.string()),
        "n": pa.array([1, 2, 2, None, -3, 5, 5, None], pa.int64()),
        "x": pa.array([0.5, 1.5, None, 2.5, -0.5, 0.0, 1e300, 2.0], pa.float64()),
        "b": pa.array([True, False, None, None, True, False, False, None], pa.bool_()),
        "d": pa.array([dt.date(2015, 8, 31), None, *[dt.date(1969, 12, 31)] * 6], pa.date32()),
    }
)
MD5 = {"": "d41d8cd98f00b204e9800998ecf8427e", "ß": "e11ce22edb052b40813b1e145b704775"}

# What is tested, the query, its rows.
CASES: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    (
        "length counts code points",
        "SELECT length(s) FROM t ORDER BY i",
        [(None,), (0,), (1,), (1,), (2,), (3,), (2,), (5,)],
    ),
    (
        "substr counts code points",
        "SELECT substr(s, 1, 1) FROM t WHERE i BETWEEN 3 AND 7 ORDER BY i",
        [("ß",), ("Α",), ("😀",), ("\u00a0",), ("a",)],
    ),
    ("md5 is of UTF-8", "SELECT md5(s) FROM t WHERE i IN (0, 1, 3) ORDER BY i", [(None,), (MD5[""],), (MD5["ß"],)]),
    ("md5 bucket", "SELECT ('0x' || substr(md5(s), 1, 15))::BIGINT % 1000 FROM t WHERE i = 1", [(0xD41D8CD98F00B20 % 1000,)]),
    ("concat skips null", "SELECT concat('<', s, '>') FROM t WHERE i IN (0, 1, 7) ORDER BY i", [("<>",), ("<>",), ("<a'b\\n>",)]),
    ("|| does not", "SELECT '<' || s FROM t WHERE i IN (0, 4) ORDER BY i", [(None,), ("<ΑΣ",)]),
    ("text is compared by bytes", "SELECT min(s), max(s) FROM t WHERE s <> ''", [("a'b\\n", "😀e\u0301")]),
    ("a literal keeps its backslash", r"SELECT i FROM t WHERE s = 'a''b\n'", [(7,)]),
    ("order puts null last", "SELECT n, i FROM t ORDER BY n, i", [(-3, 4), (1, 0), (2, 1), (2, 2), (5, 5), (5, 6), (None, 3), (None, 7)]),
    ("and descending too", "SELECT n, i FROM t ORDER BY n DESC, i", [(5, 5), (5, 6), (2, 1), (2, 2), (1, 0), (-3, 4), (None, 3), (None, 7)]),
    (
        "row_number and its nulls",
        "SELECT i, row_number() OVER (PARTITION BY g ORDER BY n, i) FROM t ORDER BY i",
        [(0, 1), (1, 2), (2, 2), (3, 3), (4, 1), (5, 1), (6, 2), (7, 1)],
    ),
    ("qualify", "SELECT i FROM t QUALIFY row_number() OVER (PARTITION BY g ORDER BY n DESC, i) = 1 ORDER BY i", [(1,), (2,), (5,), (7,)]),
    ("running sum", "SELECT i, sum(i) OVER (ORDER BY i ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM t ORDER BY i", [(0, 0), (1, 1), (2, 3), (3, 6), (4, 10), (5, 15), (6, 21), (7, 28)]),
    ("counts", "SELECT count(*), count(n), count(DISTINCT n), count_if(b), count(*) FILTER (WHERE n > 1) FROM t", [(8, 6, 4, 2, 4)]),
    ("sums", "SELECT sum(n), min(n), max(n), avg(n), sum(x) FROM t WHERE i < 4", [(5, 1, 2, 5 / 3, 4.5)]),
    ("of no rows", "SELECT count(*), sum(n), avg(n), min(s), bool_or(b) FROM t WHERE i > 99", [(0, None, None, None, None)]),
    ("booleans", "SELECT g, bool_or(b), bool_and(b) FROM t GROUP BY g ORDER BY g", [("x", True, False), ("y", True, True), ("z", None, None), (None, False, False)]),
    ("three values of logic", "SELECT i FROM t WHERE b OR n = 5 ORDER BY i", [(0,), (4,), (5,), (6,)]),
    ("null is not distinct from null", "SELECT a.i, c.i FROM t a JOIN t c ON a.n IS NOT DISTINCT FROM c.n WHERE a.i < c.i ORDER BY 1, 2", [(1, 2), (3, 7), (5, 6)]),
    ("anti join", "SELECT i FROM t ANTI JOIN (SELECT n FROM t WHERE n > 1) USING (n) ORDER BY i", [(0,), (3,), (4,), (7,)]),
    ("semi join", "SELECT i FROM t SEMI JOIN (SELECT n FROM t WHERE n > 1) USING (n) ORDER BY i", [(1,), (2,), (5,), (6,)]),
    ("division", "SELECT i, n / 2, n / NULLIF(i, 0), n // 2, n % 2 FROM t WHERE i IN (0, 1, 4, 7) ORDER BY i", [(0, 0.5, None, 0, 1), (1, 1.0, 2.0, 1, 0), (4, -1.5, -0.75, -1, -1), (7, None, None, None, None)]),
    ("choices", "SELECT coalesce(n, i), CASE WHEN n > 1 THEN 'big' WHEN b THEN 'yes' END, least(n, i), greatest(n, i) FROM t WHERE i IN (3, 4, 5) ORDER BY i", [(3, None, 3, 3), (-3, "yes", -3, 4), (5, "big", 5, 5)]),
    ("casts", "SELECT CAST(n AS DOUBLE), CAST(n AS BIGINT), CAST(NULL AS VARCHAR), abs(n) FROM t WHERE i = 4", [(-3.0, -3, None, 3)]),
    ("dates", "SELECT min(d), max(d), count(d) FROM t", [(dt.date(1969, 12, 31), dt.date(2015, 8, 31), 7)]),
    ("group by all", "SELECT g, b, count(*) FROM t WHERE i > 2 GROUP BY ALL ORDER BY g, b", [("y", True, 1), ("y", None, 1), ("z", None, 1), (None, False, 2)]),
    ("grouping sets", "SELECT g, b, grouping_id(g, b), count(*) FROM t WHERE i < 3 GROUP BY GROUPING SETS ((g), (b)) ORDER BY 3, 1, 2", [("x", None, 1, 2), ("y", None, 1, 1), (None, False, 2, 1), (None, True, 2, 1), (None, None, 2, 1)]),
    ("exists", "SELECT i FROM t a WHERE EXISTS (SELECT 1 FROM t c WHERE c.n = a.i AND c.n > 1) ORDER BY i", [(2,), (5,)]),
    ("parameters", "SELECT i, $name AS name FROM t WHERE i = $i AND s = $text", [(7, None)]),
]  # fmt: skip
PARAMETERS = {"name": None, "i": 7, "text": "a'b\\n"}


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relations]:
    if request.param == "duckdb":
        with DuckDB(tmp_path_factory.mktemp("spill")) as duckdb:
            duckdb.register("t", T)
            yield duckdb
    else:
        settings = request.getfixturevalue("spark_settings")
        from shelfcheck.engines.spark import Spark

        with Spark(settings) as spark:
            spark._session.conf.set("spark.sql.codegen.wholeStage", "true")  # as outside the tests
            spark.view("t", spark.from_arrow(T))
            yield spark


@pytest.mark.parametrize(("sql", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_means_the_same(engine: Relations, sql: str, expected: list[tuple[Any, ...]]) -> None:
    used = {name: value for name, value in PARAMETERS.items() if f"${name}" in sql}
    assert engine.run(sql, used) == expected


def test_every_function_has_a_case() -> None:
    import sqlglot
    from sqlglot import exp

    used = {
        type(node)
        for _, sql, _ in CASES
        for node in sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.Func)
    }
    assert used == ALLOWED


def test_relations_grow(engine: Relations) -> None:
    engine.create("kept", "SELECT i FROM t WHERE i > $least", {"least": 5})
    engine.append("kept", "SELECT i + 10 AS i FROM kept")
    engine.append("kept", "SELECT i FROM t ANTI JOIN kept USING (i) WHERE i < 2")
    assert engine.run("SELECT i FROM kept ORDER BY i") == [(0,), (1,), (6,), (7,), (16,), (17,)]


REFUSED = [
    "SELECT lower(s) FROM t",
    "SELECT hash(s) FROM t",
    "SELECT round(x) FROM t",
    "SELECT max_by(i, n) FROM t",
    "SELECT strip_accents(s) FROM t",
    "SELECT list_slice(s, 1, 2) FROM t",
    "SELECT x / n FROM t",
    "SELECT x % NULLIF(n, 1) FROM t",
    "SELECT x // 0 FROM t",
    "SELECT s LIKE 'a%' FROM t",
    "SELECT s SIMILAR TO 'a' FROM t",
    "SELECT regexp_matches(s, 'a') FROM t",
    "SELECT CAST(x AS INTEGER) FROM t",
    "SELECT CAST(x AS VARCHAR) FROM t",
    "SELECT DISTINCT ON (g) i FROM t",
    "SELECT d + INTERVAL 1 DAY FROM t",
    "SELECT random()",
    "SELECT first(i) FROM t",
    "SELECT i FROM t USING SAMPLE 10%",
    "INSERT INTO t SELECT * FROM t",
    "SELECT FROM WHERE",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_on_the_list_is_refused(sql: str) -> None:
    with pytest.raises(SpellingError) as caught:
        spell(sql)
    assert sql in str(caught.value)


def test_tables_get_other_names() -> None:
    assert spell("SELECT i FROM t JOIN u USING (i)", "duckdb", {"t": "reviews"}).split() == (
        ["SELECT", "i", "FROM", "reviews", "JOIN", "u", "USING", "(i)"]
    )


def test_golden_files_are_up_to_date() -> None:
    from spelled import GOLDEN, statements, text

    found = {path.stem: path.read_text(encoding="utf-8") for path in GOLDEN.glob("*.sql")}
    assert found == {name: text(of) for name, of in statements().items()}, "see tests/engines/spelled.py"
