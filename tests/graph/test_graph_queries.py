"""The five reference questions give the same answers by every way; what each one means, by a loop."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from graph_support import predict, reviews, row_by_row, workspace_of

from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.errors import UsageError, WorkspaceError
from shelfcheck.graph.index import CypherError, GraphIndex, ensure_index
from shelfcheck.graph.load_bolt import load_bolt
from shelfcheck.graph.queries import GraphQueries, minus, union
from shelfcheck.graph.reading import refuse_writes
from shelfcheck.graph.reference import QUESTIONS
from shelfcheck.graph.store import open_graph
from shelfcheck.progress import NullProgress
from shelfcheck.workspace import Workspace

ROWS = reviews(400, seed=4)
BUYER = next(row["customer_id"] for row in ROWS if row["customer_id"] and row["product_id"] is None)
GIVEN = {
    "model": "one",
    "min_confidence": 0.6,
    "category": "Garden's",
    "product_id": "P7",
    "customer_id": BUYER,
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    root = workspace_of(ROWS, folder / "w")
    for seed, name in enumerate(("one", "two")):
        api.graph_build(root, predict(ROWS, folder / f"{name}.parquet", seed), name)
    return root


@pytest.fixture(scope="module")
def ask(workspace):
    with GraphQueries(open_graph(Workspace(workspace)), threads=2) as queries:
        yield queries


@pytest.fixture(scope="module", params=["ladybug", "bolt"])
def cypher(request, workspace):
    """Asks in Cypher: query and parameters to rows."""
    graph = open_graph(Workspace(workspace))
    if request.param == "bolt":
        server = request.getfixturevalue("bolt_server")
        import neo4j

        server.create_database("questions")
        user = {"user": server.user, "password": server.password}
        load_bolt(graph, server.address, NullProgress(), database="questions", **user)
        with (
            neo4j.GraphDatabase.driver(server.address, auth=(server.user, server.password)) as driver,
            driver.session(database="questions") as session,
        ):
            yield lambda query, parameters: session.run(query, parameters).data()
        return
    pytest.importorskip(request.param, reason="needs the extra graph")
    file = ensure_index(graph, workspace / "cache", NullProgress(), memory="256MB")
    with GraphIndex(file, "256MB", threads=1) as index:
        yield lambda query, parameters: index.query(query, parameters).to_pylist()


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_store_gives_the_answer_of_duckdb(name, ask, cypher):
    question = QUESTIONS[name]
    expected = question.table(ask, GIVEN).to_pylist()
    assert len(expected) > 1
    assert cypher(question.cypher, {key: GIVEN[key] for key in question.parameters}) == expected


def test_questions_are_those_of_the_interface():
    assert all(callable(getattr(GraphQueries, name)) for name in QUESTIONS)


def current() -> dict[str, str]:
    return {product: category for product, category, _, now in row_by_row(ROWS)["assigned"] if now}


def test_products_of_a_category(ask):
    expected = {}
    for product, category in current().items():
        own = [row for row in ROWS if row["product_id"] == product]
        if category == "Garden's":
            customers = {row["customer_id"] for row in own} - {None}
            expected[product] = (len(own), len(customers))
    rows = ask.products_of_category("Garden's").to_pylist()
    assert {row["product_id"]: (row["reviews"], row["customers"]) for row in rows} == expected
    assert [row["reviews"] for row in rows] == sorted((row["reviews"] for row in rows), reverse=True)


def ever() -> set[tuple[str, str]]:
    """Products with each category that they are or were in."""
    return {(product, category) for product, category, *_ in row_by_row(ROWS)["assigned"]}


def test_mismatches_and_confusion_agree_with_a_loop(ask, workspace):
    predicted = pq.read_table(open_graph(Workspace(workspace)).predicted("one")).to_pylist()
    first = {row["review_id"]: row for row in predicted if row["rank"] == 1}
    pairs, moved = Counter(), 0
    expected = set()
    for row in ROWS:
        if row["product_id"] in current():
            stands, said = current()[row["product_id"]], first[row["review_id"]]
            if (row["product_id"], said["category"]) in ever():  # a former category is no fault
                moved += stands != said["category"]
                stands = said["category"]
            pairs[stands, said["category"]] += 1
            if stands != said["category"] and said["confidence"] >= 0.6:
                expected.add((row["review_id"], stands, said["category"], said["confidence"]))
    rows = ask.mismatches("one", 0.6).to_pylist()
    told = {(row["review_id"], row["assigned"], row["predicted"], row["confidence"]) for row in rows}
    assert told == expected
    assert moved > 0
    assert ask.mismatches("one", 0.6, limit=3).to_pylist() == rows[:3]
    confusion = ask.category_confusion("one").to_pylist()
    assert {(row["assigned"], row["predicted"]): row["reviews"] for row in confusion} == pairs


def test_neighbours_share_customers(ask):
    buyers: dict[str, set[str]] = {}
    for customer, product, *_ in row_by_row(ROWS)["bought"]:
        buyers.setdefault(product, set()).add(customer)
    own = buyers["P7"]
    rows = ask.neighbours("P7").to_pylist()
    expected = {name: len(own & theirs) for name, theirs in buyers.items() if name != "P7" and own & theirs}
    assert {row["product_id"]: row["common_customers"] for row in rows} == expected
    for row in rows:
        theirs = buyers[row["product_id"]]
        assert row["similarity"] == pytest.approx(len(own & theirs) / len(own | theirs))


def test_history_has_reviews_without_a_product(ask):
    rows = ask.customer_history(BUYER).to_pylist()
    own = [row for row in ROWS if row["customer_id"] == BUYER]
    assert {row["review_id"] for row in rows} == {row["review_id"] for row in own}
    assert any(row["product_id"] is None for row in rows)
    dates = [row["date"] for row in rows if row["date"]]
    assert dates == sorted(dates)


def test_union_and_minus_are_those_of_sets(ask):
    one, two = ask.mismatches("one"), ask.mismatches("two")
    ids = [set(table["review_id"].to_pylist()) for table in (one, two)]
    assert set(union(one, two, "review_id")["review_id"].to_pylist()) == ids[0] | ids[1]
    assert union(one, two, "review_id").num_rows == len(ids[0] | ids[1])
    assert set(minus(one, two, "review_id")["review_id"].to_pylist()) == ids[0] - ids[1]
    assert minus(one, one, "review_id").num_rows == 0
    with pytest.raises(UsageError, match="no column 'x'"):
        minus(one, two, "x")
    with pytest.raises(UsageError, match="same columns"):
        union(one, two.drop_columns(["confidence"]), "review_id")


def test_a_question_without_an_answer_has_its_columns(ask):
    none = ask.customer_history("nobody")
    assert none.num_rows == 0
    assert none.schema.names == ask.customer_history(BUYER).schema.names
    assert none.schema.types == ask.customer_history(BUYER).schema.types
    with pytest.raises(UsageError, match="'three'"):
        ask.mismatches("three")


@pytest.mark.parametrize(
    "query",
    [
        "MATCH (c:Category) DELETE c",
        "match (c:Category) set c.reviews = 1",
        "MATCH (c:Category) /* quiet */ DETACH DELETE c",
        "CREATE (:Category {category: 'x'})",
        "COPY (MATCH (c:Category) RETURN c.*) TO 'x.csv'",
        "MATCH (c) RETURN c; DROP TABLE Category",
        "UNWIND [1] AS x MERGE (:Category {category: 'x'})",
        "LOAD FROM '/etc/passwd' RETURN *",
        "CALL threads = 1",
        "",
        "// nothing",
    ],
)
def test_only_reading_passes(query):
    with pytest.raises(UsageError):
        refuse_writes(query)


@pytest.mark.parametrize(
    "query",
    [
        "MATCH (c:Category) WHERE c.category = 'DELETE; it\\'s' RETURN c",
        'MATCH (c:Category) WHERE c.set = "CREATE" RETURN c.`drop`;',
        "MATCH (c) // DELETE\nRETURN c /* SET */",
        "OPTIONAL MATCH (c:Merge) RETURN $copy",
    ],
)
def test_words_of_writing_in_texts_and_names_pass(query):
    refuse_writes(query)


def query(workspace, *arguments: str):
    return CliRunner().invoke(cli, ["graph", "query", *arguments, "-q", "-w", str(workspace)])


def test_the_command_gives_a_table_json_and_parquet(workspace, tmp_path):
    pytest.importorskip("ladybug")
    cypher = "MATCH (c:Category) WHERE c.category = $name RETURN c.category AS category, c.reviews AS reviews"
    given = ("--parameter", "name=Garden's")
    n = sum(row["product_category"] == "Garden's" for row in ROWS)
    assert str(n) in query(workspace, cypher, *given).stdout
    assert json.loads(query(workspace, cypher, *given, "--json").stdout) == [
        {"category": "Garden's", "reviews": n}
    ]
    out = tmp_path / "x.parquet"
    assert query(workspace, cypher, *given, "--output", str(out)).exit_code == 0
    assert pq.read_table(out).to_pylist() == [{"category": "Garden's", "reviews": n}]
    number = query(
        workspace, "MATCH (r:Review) WHERE r.stars = $n RETURN count(r) AS n", "-p", "n:=5", "--json"
    )
    assert json.loads(number.stdout) == [{"n": sum(row["star_rating"] == 5 for row in ROWS)}]
    wrong = query(workspace, "MATCH (x RETURN")
    assert isinstance(wrong.exception, CypherError)
    assert isinstance(query(workspace, "MATCH (x) DELETE x").exception, UsageError)
    assert query(workspace, cypher, "-p", "name").exit_code == 2


def test_the_index_follows_the_graph_and_is_disposable(tmp_path):
    pytest.importorskip("ladybug")
    rows = reviews(60)
    root = workspace_of(rows, tmp_path / "w")
    api.graph_build(root)
    count = "MATCH (:Review)-[q:PREDICTED]->() RETURN count(q) AS n"
    assert api.graph_query(root, count).to_pylist() == [{"n": 0}]
    api.graph_build(root, predict(rows, tmp_path / "p.parquet"), "one")
    assert api.graph_query(root, count).to_pylist() == [{"n": 180}]
    home = root / "cache" / "graph_index"
    (first,) = (entry for entry in home.iterdir() if entry.is_dir())
    (first / "graph.lbug").unlink()
    assert api.graph_query(root, count).to_pylist() == [{"n": 180}]
    with pytest.raises(WorkspaceError, match="graph build"):
        api.graph_query(tmp_path / "none", count)


_ADDING = """
import shutil, sys, time
from shelfcheck import api
root, *files = sys.argv[1:]
def cycle():
    for file in files:
        api.graph_build(root, file, "one")
        api.graph_query(root, "MATCH (r:Review) RETURN count(r) AS n")
        shutil.rmtree(root + "/cache/graph_alike", ignore_errors=True)
        api.graph_query(root, None, {"product_id": "P7"}, question="reviewed_alike")
start = time.monotonic()
cycle()
print(time.monotonic() - start, flush=True)
while True:
    cycle()
"""


def test_predictions_index_and_words_killed_at_random_are_whole(tmp_path):
    """Predictions are the old ones or the new ones; what is made from them is made again, and fits them."""
    pytest.importorskip("ladybug")
    root = workspace_of(ROWS, tmp_path / "w")
    files = [predict(ROWS, tmp_path / f"{seed}.parquet", seed) for seed in (0, 1)]
    count = "MATCH (:Review)-[:PREDICTED {rank: 1}]->(c:Category) RETURN c.category AS name, count(*) AS n"
    wanted = []
    for file in files:
        made = api.graph_build(root, file, "one").graph.predicted("one").read_bytes()
        wanted.append((made, sorted(api.graph_query(root, f"{count} ORDER BY name").to_pylist(), key=str)))
    alike = {"product_id": "P7"}
    words = api.graph_query(root, None, alike, question="reviewed_alike")
    draw = random.Random(2)  # noqa: S311 - no secret
    for _ in range(3):
        command = [sys.executable, "-c", _ADDING, str(root), *map(str, files)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            time.sleep(draw.uniform(0, float(process.stdout.readline())))
            os.kill(process.pid, signal.SIGKILL)
        left = open_graph(Workspace(root)).predicted("one").read_bytes()
        (at,) = (at for at, (made, _) in enumerate(wanted) if made == left)
        assert sorted(api.graph_query(root, f"{count} ORDER BY name").to_pylist(), key=str) == wanted[at][1]
        assert api.graph_query(root, None, alike, question="reviewed_alike").equals(words)
        with Workspace(root).locked():
            assert not any((root / ".tmp").glob("*"))
    api.graph_query(root, count, force=True)  # what a killed build left beside goes with the next one
    assert len([entry for entry in (root / "cache" / "graph_index").iterdir() if entry.is_dir()]) == 1
