"""The analysis of the graph: its measures against plain definitions, and its tables on made-up catalogues."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfcheck.config import Settings, validate
from shelfcheck.errors import NotEnoughDataError, UsageError, WorkspaceError
from shelfcheck.graph.analysis import analyse
from shelfcheck.graph.analysis.expected import one_way, quasi_independence
from shelfcheck.graph.analysis.network import (
    Network,
    assortativity,
    communities,
    components,
    load_networkit,
    modularity,
    page_rank,
    participation,
)
from shelfcheck.graph.analysis.products import verdicts
from shelfcheck.graph.analysis.tables import TABLES
from shelfcheck.graph.queries import GraphQueries
from shelfcheck.graph.store import EDGES, NODES, PREDICTED_SCHEMA, Graph
from shelfcheck.progress import NullProgress
from shelfcheck.report import ReportInputs
from shelfcheck.report.graph import read_graph
from shelfcheck.report.page import render
from shelfcheck.workspace import Manifest

NASTY = "<script>alert(1)</script>"


def ring_of_cliques(cliques: int, size: int) -> Network:
    edges = [
        (clique * size + i, clique * size + j)
        for clique in range(cliques)
        for i, j in itertools.combinations(range(size), 2)
    ]
    edges += [(clique * size, ((clique + 1) % cliques) * size) for clique in range(cliques)]
    edges = sorted({tuple(sorted(edge)) for edge in edges})
    a, b = np.array(edges, np.int64).T
    return Network(cliques * size, a, b, np.ones(len(edges)))


def test_communities_of_a_ring_of_cliques_are_the_cliques():
    network = ring_of_cliques(4, 6)
    found = communities(network, 0)
    assert {tuple(found[at * 6 : at * 6 + 6]) for at in range(4)} == {(group,) * 6 for group in range(4)}
    assert found[0] == 0  # of equal ones the first node's comes first
    assert np.array_equal(found, communities(network, 0))
    graph = load_networkit().GraphFromCoo(
        (network.weight, (network.a.astype(np.uint64), network.b.astype(np.uint64))), n=24, weighted=True
    )
    partition = load_networkit().structures.Partition(24)
    partition.setUpperBound(24)
    for node, group in enumerate(found):
        partition.addToSubset(int(group), node)
    theirs = load_networkit().community.Modularity().getQuality(partition, graph)
    assert modularity(network, found) == pytest.approx(theirs)


def test_measures_of_a_network_by_hand():
    # Two pairs of nodes and one that is alone; weights 3 and 1.
    network = Network(5, np.array([0, 2]), np.array([1, 3]), np.array([3.0, 1.0]))
    assert components(network).tolist() == [0, 0, 1, 1, 2]
    assert modularity(network, np.array([0, 0, 1, 1, 2])) == pytest.approx(1 - (0.75**2 + 0.25**2))
    assert modularity(network, np.array([0, 0, 0, 0, 0])) == pytest.approx(0)
    assert assortativity(network, np.array([0, 0, 1, 1, -1])) == pytest.approx(1)
    assert assortativity(network, np.array([0, 1, 0, 1, -1])) == pytest.approx(-1)
    assert assortativity(network, np.zeros(5, np.int64)) is None
    ranks = page_rank(network)
    assert ranks.sum() == pytest.approx(1)
    assert ranks[:4] == pytest.approx([ranks[0]] * 4)
    assert ranks[4] < ranks[0]
    star = Network(4, np.array([0, 0, 0]), np.array([1, 2, 3]), np.ones(3))
    spread = participation(star.towards(np.array([0, 1, 2, 3]), 4))
    assert spread == pytest.approx([2 / 3, 0, 0, 0])


@given(st.integers(3, 7), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_expected_counts_have_the_margins_of_the_counts(n, seed):
    counts = np.random.default_rng(seed).integers(1, 50, (n, n)).astype(float)
    expected = quasi_independence(counts)
    np.fill_diagonal(counts, 0)
    assert np.diag(expected).tolist() == [0] * n
    assert expected.sum(axis=1) == pytest.approx(counts.sum(axis=1), rel=1e-4)
    assert expected.sum(axis=0) == pytest.approx(counts.sum(axis=0), rel=1e-4)


def test_where_only_sizes_count_the_expected_are_the_counts():
    product = np.outer([1.0, 2.0, 3.0, 4.0], [5.0, 1.0, 2.0, 3.0])
    np.fill_diagonal(product, 99)
    expected = quasi_independence(product)
    np.fill_diagonal(product, 0)
    assert expected == pytest.approx(product, rel=1e-6)


def test_a_way_is_judged_against_what_sizes_give():
    assert one_way(80, 20, 50, 50) < 0.001
    assert one_way(80, 20, 80, 20) == pytest.approx(1)
    assert one_way(0, 0, 1, 1) == 1


class Shop:
    """A catalogue whose reviews are predicted as the tests say."""

    def __init__(self) -> None:
        self.products: dict[str, str] = {}
        self.reviews: list[tuple[str, str | None, str, str | None, str, float]] = []

    def add(self, product, category, read_as, *, reviews=3, tokens="fine item", customers=None, sure=0.9):
        """Reviews of a product, all of them predicted in `read_as`."""
        self.products[product] = category
        for at in range(reviews):
            customer = customers[at % len(customers)] if customers else f"U{len(self.reviews)}"
            self.reviews.append((f"R{len(self.reviews):05}", product, read_as, customer, tokens, sure))

    def graph(self, folder) -> Graph:
        (folder / "nodes").mkdir(parents=True)
        (folder / "edges").mkdir()
        names = sorted({*self.products.values(), *(row[2] for row in self.reviews)})

        def write(kind, name, schema, rows):
            whole = [dict.fromkeys(schema.names) | row for row in rows]
            pq.write_table(pa.Table.from_pylist(whole, schema=schema), folder / kind / f"{name}.parquet")

        held = {p: sum(row[1] == p for row in self.reviews) for p in self.products}
        write("nodes", "categories", NODES["categories"], [{"category": name} for name in names])
        write(
            "nodes",
            "products",
            NODES["products"],
            [{"product_id": p, "title": f"The {p}", "reviews": held[p]} for p in sorted(self.products)],
        )
        write(
            "nodes",
            "reviews",
            NODES["reviews"],
            [{"review_id": row[0], "tokens": row[4], "title": "=1+1"} for row in self.reviews],
        )
        write("nodes", "customers", NODES["customers"], [])
        write(
            "edges",
            "assigned",
            EDGES["assigned"],
            [
                {"product_id": p, "category": c, "reviews": held[p], "current": True}
                for p, c in sorted(self.products.items())
            ],
        )
        write(
            "edges",
            "reviewed",
            EDGES["reviewed"],
            [{"review_id": row[0], "product_id": row[1]} for row in self.reviews if row[1]],
        )
        write(
            "edges",
            "wrote",
            EDGES["wrote"],
            [{"review_id": row[0], "customer_id": row[3]} for row in self.reviews if row[3]],
        )
        predicted = [
            {"review_id": row[0], "category": row[2], "confidence": row[5], "rank": 1, "model": "out_of_fold"}
            for row in self.reviews
        ]
        pq.write_table(pa.Table.from_pylist(predicted, PREDICTED_SCHEMA), folder / "predicted.parquet")
        manifest = Manifest(artefact="graph", fingerprint="f", inputs={"prepared": "p"})
        return Graph(folder, "f", manifest, {"out_of_fold": folder / "predicted.parquet"})


def a_shop() -> Shop:
    """Mugs and Cups read alike; a part of Toys reads like Games; Misc reads like Lamps; customers mix two."""
    shop = Shop()
    for at in range(60):
        for category in ("Cups", "Games", "Lamps", "Mugs", "Rugs", "Toys"):
            read_as = category
            if category == "Mugs" and at < 20:
                read_as = "Cups"
            if category == "Cups" and at < 20:
                read_as = "Mugs"
            if category == "Toys" and at < 12:
                read_as = "Games"
            if category in {"Lamps", "Rugs"} and at in {30, 31}:
                read_as = "Lamps" if category == "Rugs" else "Games"
            words = f"fine item {category.lower()}" + (" dice" if read_as == "Games" else "")
            # The customers of mugs buy cups as well, in small circles.
            circle = "mugs" if category in {"Cups", "Mugs"} else category
            customers = [f"{circle}-{at // 5}-{n}" for n in range(3)]
            shop.add(f"{category}{at:02}", category, read_as, tokens=words, customers=customers)
    for at in range(12):
        shop.add(f"Misc{at:02}", NASTY, NASTY if at < 3 else "Lamps")
    shop.reviews.append(("R99999", None, "Cups", None, "lost", 0.5))
    return shop


def analysed(shop: Shop, folder, threads=2, **told):
    graph, out = shop.graph(folder / "graph"), folder / "out"
    out.mkdir()
    given = validate({"graph": {"analysis": told}, "run": {"threads": threads, "memory_limit": "500MB"}})
    counts = analyse(graph, out, given, NullProgress())
    return counts, {name: pq.read_table(out / f"{name}.parquet").to_pylist() for name in TABLES}, out


@pytest.fixture(scope="module")
def shop_analysed(tmp_path_factory):
    return analysed(a_shop(), tmp_path_factory.mktemp("analysis"))


def test_every_review_and_product_is_accounted_for(shop_analysed):
    counts, tables, _ = shop_analysed
    assert counts["judged_reviews"] == (6 * 60 + 12) * 3
    assert counts["not_judged_reviews"] == 1
    elsewhere = 20 + 20 + 12 + 2 + 2 + 9
    assert counts["mismatched_reviews"] == elsewhere * 3 == len(tables["mismatches"])
    assert counts["products_read_elsewhere"] == elsewhere
    rows = {row["subgraph"]: row for row in tables["subgraphs"]}
    assert rows["assigned"]["edges"] == 372 == rows["both"]["edges"] + rows["only_assigned"]["edges"]
    assert rows["only_predicted"]["edges"] == elsewhere
    assert rows["assigned"]["components"] == 7
    for graph, node in {(row["graph"], row["node"]) for row in tables["degrees"]}:
        held = [row for row in tables["degrees"] if (row["graph"], row["node"]) == (graph, node)]
        if graph in rows:
            assert sum(row["degree"] * row["nodes"] for row in held) == rows[graph]["edges"]


def test_what_is_planted_is_suggested_and_nothing_else(shop_analysed):
    _, tables, _ = shop_analysed
    found = {(row["kind"], row["category"], row["other"]): row for row in tables["suggestions"]}
    assert set(found) == {("merge", "Cups", "Mugs"), ("split", "Toys", "Games"), ("rename", NASTY, "Lamps")}
    assert "33% of the reviews of Cups" in found["merge", "Cups", "Mugs"]["evidence"]
    assert "customers have reviewed in both" in found["merge", "Cups", "Mugs"]["evidence"]
    assert "12 of 60 judged products of Toys" in found["split", "Toys", "Games"]["evidence"]


def test_pairs_words_customers_and_communities(shop_analysed):
    _, tables, _ = shop_analysed
    pairs = {(row["assigned"], row["predicted"]): row for row in tables["confused_pairs"]}
    toys = pairs["Toys", "Games"]
    assert (toys["reviews"], toys["products"], toys["share"]) == (36, 12, pytest.approx(0.2))
    assert toys["back_reviews"] == 0
    assert toys["q"] < 0.05
    assert toys["lift"] > pairs["Lamps", "Games"]["lift"]
    words = [
        row for row in tables["confused_words"] if (row["assigned"], row["predicted"]) == ("Toys", "Games")
    ]
    assert words[0]["word"] == "dice"
    assert words[0]["reviews"] == 36
    assert words[0]["right_share"] == 0
    (shared,) = [row for row in tables["common_customers"] if row["common"]]
    assert (shared["category_a"], shared["category_b"], shared["common"]) == ("Cups", "Mugs", 36)
    joined = [row for row in tables["products"] if row["neighbours"]]
    assert math.isclose(sum(row["page_rank"] for row in joined), 1)
    mugs = next(row for row in joined if row["product_id"] == "Mugs00")
    assert mugs["neighbours"] == 9  # five mugs and five cups of a circle, less itself
    assert mugs["own_category_share"] == pytest.approx(4 / 9)
    assert (mugs["other_category"], mugs["other_category_share"]) == ("Cups", pytest.approx(5 / 9))
    assert {row["community"] for row in joined if row["product_id"] in {"Mugs00", "Cups04"}} == {
        mugs["community"]
    }


def test_a_former_category_of_a_product_is_no_mismatch(tmp_path):
    shop = a_shop()
    graph = shop.graph(tmp_path / "graph")
    file = graph.edges("assigned")
    rows = pq.read_table(file).to_pylist()
    rows += [
        {"product_id": f"Toys{at:02}", "category": "Games", "reviews": 1, "current": False}
        for at in range(12)
    ]
    whole = [dict.fromkeys(EDGES["assigned"].names) | row for row in rows]
    pq.write_table(pa.Table.from_pylist(whole, EDGES["assigned"]), file)
    (tmp_path / "out").mkdir()
    counts = analyse(graph, tmp_path / "out", Settings(), NullProgress())
    assert counts["right_by_a_former_category"] == 36
    assert counts["mismatched_reviews"] == (20 + 20 + 2 + 2 + 9) * 3
    pq.write_table(EDGES["bought"].empty_table(), graph.edges("bought"))
    with GraphQueries(graph, threads=1) as ask:  # questions and analysis mean the same by a mismatch
        asked = ask.mismatches(graph.models[0])
        pairs = ask.category_confusion(graph.models[0]).to_pylist()
    told = pq.read_table(tmp_path / "out" / "mismatches.parquet")
    assert asked.select(["review_id", "assigned", "predicted"]).equals(
        told.select(["review_id", "assigned", "predicted"])
    )
    assert asked.num_rows == counts["mismatched_reviews"]
    right = sum(row["reviews"] for row in pairs if row["assigned"] == row["predicted"])
    assert right == counts["judged_reviews"] - counts["mismatched_reviews"]


def test_a_product_counts_where_more_than_half_of_its_reviews_are_predicted():
    nodes = pa.table(
        {
            "category": pa.chunked_array([pa.array([0, 0, 0, None, 1], pa.int32())]),
            "read_as": pa.chunked_array([pa.array([1, 1, 0, 0, None], pa.int32())]),
            "judged_reviews": pa.chunked_array([pa.array([4, 4, 2, 9, None], pa.int64())]),
            "read_as_reviews": pa.chunked_array([pa.array([2, 3, 2, 9, None], pa.int64())]),
        }
    )
    assert verdicts(nodes, 2, 3).tolist() == [[0, 1], [0, 0]]  # a tie, too few, no category, no prediction
    assert verdicts(nodes, 2, 1).tolist() == [[1, 1], [0, 0]]


def test_the_same_graph_gives_the_same_bytes(shop_analysed, tmp_path):
    _, _, first = shop_analysed
    _, _, again = analysed(a_shop(), tmp_path, threads=1)
    for name in (*(f"{table}.parquet" for table in TABLES), "summary.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_csv_is_harmless_and_bounds_hold(shop_analysed, tmp_path):
    _, _, out = shop_analysed
    assert "'=1+1" in (out / "mismatches.csv").read_text(encoding="utf-8")
    _, tables, _ = analysed(a_shop(), tmp_path, max_mismatches=7, max_customer_products=2, listed_pairs=1)
    assert len(tables["mismatches"]) == 7
    assert all(row["neighbours"] is None for row in tables["products"])
    assert len({(row["assigned"], row["predicted"]) for row in tables["confused_words"]}) <= 1


def test_what_cannot_be_analysed_is_told(tmp_path):
    one = Shop()
    one.add("P1", "Cups", "Cups")
    with pytest.raises(NotEnoughDataError, match="two categories"):
        analysed(one, tmp_path)
    (tmp_path / "b").mkdir()
    with pytest.raises(UsageError, match="no predictions of 'other'"):
        analysed(a_shop(), tmp_path / "b", model="other")


def test_the_report_has_the_chapter_escaped(shop_analysed):
    _, _, out = shop_analysed
    chapter = read_graph(out)
    assert chapter.suggestions[0][0] == "Merge? Cups and Mugs"
    assert "195 of 1,116 reviews" in chapter.sentences[0]
    pairs = pq.read_table(out / "confused_pairs.parquet").to_pylist()
    sure = [row for row in pairs if row["q"] <= 0.05]
    drawn = chapter.chart.spec["datasets"]["rows"]
    assert [(row["products"], row["expected"]) for row in drawn] == [
        (row["products"], row["expected_products"]) for row in sure
    ]
    assert chapter.chart.rows[0][0] == f"{sure[0]['assigned']} → {sure[0]['predicted']}"
    page = render(ReportInputs(graph=out, made_at=""), Settings())
    assert 'href="#graph"' in page
    assert "Products confused beyond what sizes give" in page
    assert NASTY not in page
    assert "&lt;script&gt;alert" in page
    assert 'href="#graph"' not in render(ReportInputs(made_at=""), Settings())


def test_a_damaged_analysis_is_told_with_the_way_out(shop_analysed, tmp_path):
    _, _, out = shop_analysed
    (tmp_path / "summary.json").write_text(
        (out / "summary.json").read_text(encoding="utf-8"), encoding="utf-8"
    )
    with pytest.raises(WorkspaceError, match="shelfcheck graph analyse --force"):
        read_graph(tmp_path)
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["categories"] == 7
