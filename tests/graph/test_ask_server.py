"""The reference questions through the command: from tables and index, over Bolt, and by Neptune's API."""

from __future__ import annotations

import datetime as dt
import json
import socket
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from graph_support import predict, reviews, workspace_of
from neptune_stand_in import Neptune, serve

from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.errors import UsageError
from shelfcheck.graph import ask_server
from shelfcheck.graph.ask_server import ask_bolt
from shelfcheck.graph.bolt import ServerError
from shelfcheck.graph.index import GraphIndex, ensure_index
from shelfcheck.graph.load_bolt import load_bolt
from shelfcheck.graph.queries import GraphQueries
from shelfcheck.graph.reading import unknown_names
from shelfcheck.graph.reference import QUESTIONS
from shelfcheck.graph.store import open_graph
from shelfcheck.progress import NullProgress
from shelfcheck.workspace import Workspace

pytest.importorskip("neo4j", reason="needs the extra graph")
pytest.importorskip("ladybug", reason="needs the extra graph")

ROWS = reviews(200, seed=6)
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
    folder = tmp_path_factory.mktemp("asked")
    root = workspace_of(ROWS, folder / "w")
    api.graph_build(root, predict(ROWS, folder / "one.parquet"), "one")
    return root


@pytest.fixture(scope="module")
def loaded(workspace, bolt_server):
    """The server with the graph in its database `asked`."""
    bolt_server.create_database("asked")
    user = {"user": bolt_server.user, "password": bolt_server.password}
    graph = open_graph(Workspace(workspace))
    load_bolt(graph, bolt_server.address, NullProgress(), database="asked", **user)
    return bolt_server


@pytest.fixture(scope="module")
def neptune(workspace):
    """A stand-in for Neptune that answers openCypher from the index."""
    pytest.importorskip("boto3", reason="needs the extra aws")
    file = ensure_index(open_graph(Workspace(workspace)), workspace / "cache", NullProgress(), memory="256MB")
    cluster = Neptune(None)
    with GraphIndex(file, "256MB", threads=1) as index:
        cluster.answer = lambda cypher, values: index.query(cypher, values).to_pylist()
        server = serve(cluster)
        cluster.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield cluster
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["duckdb", "ladybug", "bolt", "neptune"])
def way(request, monkeypatch):
    """What makes the command ask: None for the tables, else further arguments."""
    if request.param == "duckdb":
        return None
    if request.param == "ladybug":
        return []
    if request.param == "bolt":
        server = request.getfixturevalue("loaded")
        monkeypatch.setenv("SHELFCHECK_GRAPH_USER", server.user)
        monkeypatch.setenv("SHELFCHECK_GRAPH_PASSWORD", server.password)
        return ["--server", server.address, "--database", "asked"]
    for name, value in (("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "key"), ("REGION", "eu-central-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    endpoint = request.getfixturevalue("neptune").endpoint
    return ["--server", "neptune", "--endpoint", endpoint, "--region", "eu-central-1"]


def run(workspace, *arguments: str):
    return CliRunner().invoke(cli, ["graph", "query", *arguments, "-q", "-w", str(workspace)])


@pytest.fixture(scope="module")
def answers(workspace):
    """The rows that DuckDB gives to each reference question."""
    with GraphQueries(open_graph(Workspace(workspace)), threads=1) as ask:
        return {name: question.table(ask, GIVEN).to_pylist() for name, question in QUESTIONS.items()}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_command_gives_one_answer_by_every_way(name, way, workspace, answers):
    question, expected = QUESTIONS[name], answers[name]
    given = [f"-p{key}:={json.dumps(GIVEN[key])}" for key in question.parameters]
    assert len(expected) > 1
    asked = ["--question", name] if way is None else [question.cypher, *way]
    done = run(workspace, *asked, *given, "--json")
    assert done.exit_code == 0, done.exception
    answer = json.loads(done.stdout)
    if way is None:  # the tables tell more columns, and a history by its dates
        answer = [{column: row[column] for column in expected[0]} for row in answer]
        if name == "customer_history":
            answer.sort(key=lambda row: row["review_id"])
    assert answer == expected


def user(server) -> dict[str, str]:
    return {"user": server.user, "password": server.password, "database": "asked"}


def test_what_a_server_gives_becomes_arrow(loaded, workspace, tmp_path, monkeypatch):
    def ask(cypher: str, **values: object) -> pa.Table:
        return ask_bolt(loaded.address, cypher, values, **user(loaded))

    row = next(row for row in ROWS if row["review_date"] and row["customer_id"])
    found = ask(
        "MATCH (u:Customer)-[w:WROTE]->(r:Review {review_id: $id}) "
        "RETURN u, w, r.date AS date, r.stars AS stars, r.verified AS verified",
        id=row["review_id"],
    )
    assert found.schema.field("date").type == pa.date32()
    assert found.schema.field("stars").type == pa.int64()
    (told,) = found.to_pylist()
    assert told["u"]["_LABEL"] == "Customer"
    assert told["u"]["customer_id"] == row["customer_id"]
    assert told["w"]["_LABEL"] == "WROTE"
    assert told["date"] == row["review_date"]
    kinds = ask("UNWIND [1, 'a', null] AS x RETURN x, datetime('2020-01-01T00:00:00Z') AS t, {a: [1]} AS m")
    assert kinds["x"].to_pylist() == ["1", '"a"', None]  # several kinds in a column: each as JSON
    assert kinds["t"].to_pylist()[0] == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert kinds["m"].to_pylist()[0] == {"a": [1]}
    path = ask("MATCH p = (:Customer)-[:WROTE]->(:Review) RETURN p LIMIT 1")["p"].to_pylist()[0]
    assert [part["_LABEL"] for part in path] == ["Customer", "WROTE", "Review"]

    monkeypatch.setenv("SHELFCHECK_GRAPH_PASSWORD", loaded.password)
    server = ("--server", loaded.address, "--database", "asked", "--user", loaded.user)
    out = tmp_path / "x.parquet"
    count = "MATCH (c:Category) RETURN count(c) AS n"
    assert run(workspace, count, *server, "--output", str(out)).exit_code == 0
    assert pq.read_table(out).to_pylist() == [{"n": 4}]
    assert "No rows" in run(workspace, "MATCH (c:Category {category: 'x'}) RETURN c", *server).stdout


def test_a_server_is_only_read(loaded, workspace):
    count = "MATCH (n:Category) RETURN count(n) AS n"
    before = ask_bolt(loaded.address, count, **user(loaded))
    for writing in ("MATCH (c:Category) DETACH DELETE c", "MERGE (:Category {category: 'x'})"):
        with pytest.raises(UsageError):
            api.graph_query(workspace, writing, server=loaded.address, **user(loaded))
    assert ask_bolt(loaded.address, count, **user(loaded)).equals(before)


def test_errors_of_a_server_name_the_fix(loaded, workspace, monkeypatch):
    def fails(cypher: str, **more: object) -> str:
        with pytest.raises((ServerError, UsageError)) as caught:
            api.graph_query(workspace, cypher, **({"server": loaded.address} | user(loaded) | more))
        return str(caught.value)

    assert "label Produkt" in fails("MATCH (p:Produkt) RETURN p")
    assert "relationship KAUFT" in fails("MATCH (:Customer)-[k:KAUFT]->(p) RETURN p")
    assert "SHELFCHECK_GRAPH_PASSWORD" in fails("RETURN 1", password="wrong")  # noqa: S106
    assert "--database" in fails("RETURN 1", database="other")
    assert "Syntax error" in fails("MATCH (x RETURN x")
    assert "bolt://localhost:7687" in fails("RETURN 1", server="localhost")
    assert "--endpoint" in fails("RETURN 1", server="neptune")
    assert "--server" in fails(None, question="neighbours")
    assert "no shortestPath()" in fails(
        "MATCH p = shortestPath((a:Product)-[*..3]-(b:Product)) RETURN p", for_neptune=True
    )
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        gone = f"bolt://127.0.0.1:{taken.getsockname()[1]}"
        assert "Is the server up" in fails("RETURN 1", server=gone)
    monkeypatch.setattr(ask_server, "_GRACE", 0.1)
    long = (
        "UNWIND range(1, 1200) AS a UNWIND range(1, 1200) AS b "
        "WITH a * b AS c WHERE c % 7 = 1 RETURN sum(c) AS n"
    )
    started = time.monotonic()
    assert "--timeout" in fails(long, timeout=0.1)
    assert time.monotonic() - started < 5


def test_neptune_is_asked_what_it_understands(neptune, workspace, monkeypatch):
    for name, value in (("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "key")):
        monkeypatch.setenv(f"AWS_{name}", value)
    given = {"server": "neptune", "endpoint": neptune.endpoint, "region": "eu-central-1"}
    with pytest.raises(UsageError, match="Neptune cannot run"):
        api.graph_query(workspace, "MATCH (n) WHERE exists { (n)-->() } RETURN n", **given)
    neptune.trouble = [400]
    with pytest.raises(ServerError, match="refused with 400"):
        api.graph_query(workspace, "RETURN 1 AS one", **given)
    neptune.trouble = []
    neptune_node = {
        "~id": "Product:P1",
        "~entityType": "node",
        "~labels": ["Product"],
        "~properties": {"title": "a"},
    }
    with monkeypatch.context() as patch:
        patch.setattr(neptune, "answer", lambda cypher, values: [{"p": neptune_node}])
        answer = api.graph_query(workspace, "MATCH (p:Product) RETURN p", **given)
    assert answer.to_pylist() == [{"p": {"_LABEL": "Product", "title": "a"}}]


def test_questions_by_name_say_what_they_take(workspace):
    def fails(question: str, **given: object) -> str:
        with pytest.raises(UsageError) as caught:
            api.graph_query(workspace, None, given, question=question)
        return str(caught.value)

    assert "customer_history" in fails("nothing")
    assert "needs product_id" in fails("neighbours")
    assert "has no product" in fails("neighbours", product_id="P7", product="P7")
    assert "limit == '5', must be a number" in fails("neighbours", product_id="P7", limit="5")
    assert run(workspace, "--question", "neighbours", "-p", "product_id=P7", "-p", "limit:=2").exit_code == 0
    assert isinstance(run(workspace).exception, UsageError)


@pytest.mark.parametrize(
    ("cypher", "names"),
    [
        ("MATCH (p:Product {title: $title})-[:BOUGHT]-(x) RETURN p", []),
        ("MATCH (p:Produkt)<-[b:BOUGHT|KAUFT]-(:Customer:Person) RETURN p", ["Produkt", "KAUFT", "Person"]),
        ("MATCH (p:`Any thing`) WHERE p.x = '(a:B)' RETURN {a: p.b, c: [x IN y | x]}", []),
    ],
)
def test_names_that_the_graph_does_not_have(cypher, names):
    assert [name for name, _ in unknown_names(cypher)] == names
