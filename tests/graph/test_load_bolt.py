from __future__ import annotations

import socket

import pytest

pytest.importorskip("neo4j", reason="needs the extra graph")
import pyarrow as pa
import pyarrow.parquet as pq
from exchange_support import CATEGORIES, small_graph

from shelfcheck.errors import UsageError
from shelfcheck.graph import load_bolt as loading
from shelfcheck.graph.bolt import ServerError
from shelfcheck.graph.load_bolt import load_bolt, removals, statement
from shelfcheck.graph.neptune_lint import lacks
from shelfcheck.graph.property_graph import EDGE_KINDS, NODE_KINDS, PREDICTED_KIND, tables
from shelfcheck.graph.reference import QUESTIONS
from shelfcheck.progress import NullProgress


@pytest.fixture(scope="module")
def server(bolt_server):
    bolt_server.create_database("shop")
    return bolt_server


@pytest.fixture(scope="module")
def ask(server):
    import neo4j

    with (
        neo4j.GraphDatabase.driver(server.address, auth=(server.user, server.password)) as driver,
        driver.session(database="shop") as session,
    ):
        yield lambda cypher, **values: session.run(cypher, **values).data()


def load(graph, server, **more):
    options = {"user": server.user, "password": server.password, "database": "shop", "batch": 25}
    return load_bolt(graph, server.address, NullProgress(), **(options | more))


def counts(ask):
    found = {f"nodes-{kind.table}": f"MATCH (n:{kind.label}) RETURN count(n) AS n" for kind in NODE_KINDS}
    kinds = [*EDGE_KINDS, PREDICTED_KIND]
    found |= {f"edges-{kind.table}": f"MATCH ()-[e:{kind.type}]->() RETURN count(e) AS n" for kind in kinds}
    return {name: ask(cypher)[0]["n"] for name, cypher in found.items()}


def test_a_server_gets_the_graph_once_however_often_it_is_loaded(server, ask, tmp_path, monkeypatch):
    graph = small_graph(tmp_path / "one")
    expected = {table.name.removesuffix("-linear-1"): table.rows for table in tables(graph)}
    run, calls = loading._run, []

    def failing(transaction, cypher, rows, load):
        """What a killed load leaves: some batches, and a transaction that was not ended."""
        calls.append(cypher)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return run(transaction, cypher, rows, load)

    monkeypatch.setattr(loading, "_run", failing)
    with pytest.raises(KeyboardInterrupt):
        load(graph, server)
    monkeypatch.setattr(loading, "_run", run)
    first = load(graph, server)
    assert counts(ask) == expected
    assert first.without_key == ()
    assert "ArcadeDB" in first.server
    load(graph, server)
    assert counts(ask) == expected
    shown = ask(
        "MATCH (c:Customer)-[:WROTE]->(r:Review)-[:REVIEWED]->(p:Product) "
        "RETURN r.review_id AS review_id, c.customer_id AS customer_id, p.product_id AS product_id, "
        "r.title AS title, r.stars AS stars, r.verified AS verified, toString(r.date) AS date"
    )
    reviews = pq.read_table(graph.nodes("reviews")).to_pylist()
    wrote = {row["review_id"]: row["customer_id"] for row in pq.read_table(graph.edges("wrote")).to_pylist()}
    about = {
        row["review_id"]: row["product_id"] for row in pq.read_table(graph.edges("reviewed")).to_pylist()
    }
    assert sorted(shown, key=lambda row: row["review_id"]) == [
        {
            "review_id": row["review_id"],
            "customer_id": wrote[row["review_id"]],
            "product_id": about[row["review_id"]],
            "title": row["title"],
            "stars": row["stars"],
            "verified": row["verified"],
            "date": None if row["date"] is None else row["date"].isoformat(),
        }
        for row in reviews
    ]

    # Another model stands beside the first; a changed property is brought up to date.
    both = small_graph(tmp_path / "both", models=("linear-1", "other"))
    changed = pq.read_table(both.nodes("categories")).set_column(1, "reviews", pa.array([7] * 4, pa.int64()))
    pq.write_table(changed, both.nodes("categories"))
    load(both, server)
    assert counts(ask) == expected | {"edges-predicted": 2 * expected["edges-predicted"]}
    told = ask("MATCH (c:Category) RETURN c.category AS category, c.reviews AS reviews")
    assert sorted((row["category"], row["reviews"]) for row in told) == sorted(
        (name, 7) for name in CATEGORIES
    )

    # Predictions alone join the nodes that are there.
    alone = load(small_graph(tmp_path / "more", models=("more",)), server, only_predictions=True)
    assert alone.rows == {"edges-predicted-more": expected["edges-predicted"]}
    assert counts(ask) == expected | {"edges-predicted": 3 * expected["edges-predicted"]}

    # Edges whose nodes are not there are told.
    edges = pa.table({"customer_id": ["nobody"], "review_id": ["R0001"]})
    pq.write_table(edges, both.edges("wrote"))
    with pytest.raises(ServerError, match="merged 0 of 1 rows"):
        load(both, server)
    with pytest.raises(ServerError, match="password"):
        load(graph, server, password="wrong")  # noqa: S106


def test_a_load_that_replaces_removes_what_earlier_loads_wrote_and_nothing_else(bolt_server, tmp_path):
    import neo4j

    bolt_server.create_database("replaced")
    before = small_graph(tmp_path / "before", reviews=60, models=("linear-1", "other"))
    after = small_graph(tmp_path / "after", reviews=20)
    with (
        neo4j.GraphDatabase.driver(
            bolt_server.address, auth=(bolt_server.user, bolt_server.password)
        ) as driver,
        driver.session(database="replaced") as session,
    ):

        def ask(cypher, **values):
            return session.run(cypher, **values).data()

        def keys():
            edges = [*EDGE_KINDS, PREDICTED_KIND]
            nodes = {kind.table: f"MATCH (n:{kind.label}) RETURN n.{kind.key} AS a" for kind in NODE_KINDS}
            ends = {
                kind.table: f"MATCH (a:{kind.start.label})-[e:{kind.type}]->(b:{kind.end.label}) "
                f"RETURN a.{kind.start.key} AS a, b.{kind.end.key} AS b, e.model AS model"
                for kind in edges
            }
            return {name: sorted(map(str, ask(cypher))) for name, cypher in (nodes | ends).items()}

        load(after, bolt_server, database="replaced")
        wanted = keys()
        load(before, bolt_server, database="replaced")
        ask("CREATE (:Review {review_id: 'mine'})")
        assert load(after, bolt_server, database="replaced").removed == {}
        mixed = keys()
        assert all(len(mixed[name]) > len(wanted[name]) for name in ("reviews", "wrote", "predicted"))
        told = load(after, bolt_server, database="replaced", replace=True, batch=7)
        ours = keys()
        assert ours["reviews"] == sorted([*wanted["reviews"], "{'a': 'mine'}"])  # no load wrote that one
        assert ours | {"reviews": wanted["reviews"]} == wanted
        assert told.removed["reviews"] == 40
        assert told.removed["predicted"] > 0  # of the other model, on reviews that stay
        assert not any(load(after, bolt_server, database="replaced", replace=True).removed.values())
    with pytest.raises(UsageError, match="--replace"):
        load(after, bolt_server, replace=True, only_predictions=True)


def test_a_server_that_is_not_there_is_told(tmp_path):
    graph = small_graph(tmp_path / "graph", reviews=5)
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ServerError, match="Is the server up"):
            load_bolt(graph, f"bolt://127.0.0.1:{taken.getsockname()[1]}", NullProgress())
    with pytest.raises(UsageError, match="bolt://"):
        load_bolt(graph, "http://127.0.0.1:1", NullProgress())


def test_neptune_would_understand_what_is_sent():
    kinds = (*NODE_KINDS, *EDGE_KINDS, PREDICTED_KIND)
    sent = [statement(kind) for kind in kinds] + [one for kind in kinds for one in removals(kind)]
    sent += [question.cypher for question in QUESTIONS.values()]
    assert not any(lacks(cypher) for cypher in sent)
