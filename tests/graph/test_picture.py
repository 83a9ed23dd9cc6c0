"""What a picture shows: nothing is lost by pooling, nothing lies on another, the same twice."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from graph_support import CATEGORIES
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_support import MODEL, hostile_shop, mismatches

from shelfcheck.config import validate
from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.errors import UsageError
from shelfcheck.graph.picture import Request, draw, layout
from shelfcheck.graph.picture.layout import Forces, part, settle
from shelfcheck.graph.picture.model import BIN_SQL, BINS, bin_of
from shelfcheck.graph.store import open_graph
from shelfcheck.progress import NullProgress
from shelfcheck.workspace import Workspace

SETTINGS = validate({"run": {"threads": 1}})


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    workspace, rows, predicted = hostile_shop(tmp_path_factory.mktemp("picture"))
    home = Workspace(workspace)
    prepared = home.path("prepared", made_by="")

    def drawn(**asked):
        return draw(open_graph(home), prepared, Request(model=MODEL, **asked), SETTINGS, NullProgress())

    return drawn, rows, mismatches(rows, predicted)


def checked(picture):
    keys = [node.key for node in picture.nodes]
    assert len(set(keys)) == len(keys)
    assert picture.counts["nodes"] == len(keys)
    for node in picture.nodes:
        assert 0 <= node.x <= picture.width
        assert 0 <= node.y <= picture.height
    for edge in picture.edges:
        assert {edge.source, edge.target} <= set(range(len(keys)))
        assert edge.source != edge.target
    return picture


@pytest.mark.parametrize("least", [0.0, 0.5])
def test_categories_show_every_confusion(shop, least):
    drawn, _, judged = shop
    picture = checked(drawn(min_confidence=least))
    expected = Counter(
        (row["assigned"], row["predicted"])
        for row in judged
        if row["assigned"] != row["predicted"] and row["confidence"] >= least
    )
    names = [node.name for node in picture.nodes]
    found = {(names[edge.source], names[edge.target]): edge.reviews for edge in picture.edges}
    assert found == expected
    sizes = Counter(row["assigned"] for row in judged)
    for edge in picture.edges:
        assert edge.share == pytest.approx(edge.reviews / sizes[names[edge.source]])
    strengths = [edge.reviews * edge.share for edge in picture.edges]
    assert strengths == sorted(strengths, reverse=True)
    assert picture.counts["mismatching_reviews"] == sum(expected.values())
    assert picture.counts["judged_reviews"] == len(judged)


def test_links_beyond_the_limit_are_counted(shop):
    drawn, _, _ = shop
    everything, few = drawn(), drawn(limit=10)
    assert len(everything.edges) == 12
    assert [edge.reviews for edge in few.edges] == [edge.reviews for edge in everything.edges[:10]]
    left = sum(edge.reviews for edge in everything.edges[10:])
    assert few.pooled == {"pairs_left_out": 2, "reviews_left_out": left}


@settings(max_examples=12, deadline=None)
@given(
    limit=st.integers(10, 400),
    least=st.sampled_from([0.0, 0.35, 0.8]),
    category=st.sampled_from(CATEGORIES),
)
def test_a_category_loses_no_review_however_it_is_pooled(shop, limit, least, category):
    drawn, _, judged = shop
    picture = checked(drawn(category=category, limit=limit, min_confidence=least))
    expected = Counter(
        row["predicted"]
        for row in judged
        if row["assigned"] == category != row["predicted"] and row["confidence"] >= least
    )
    assert picture.counts["mismatching_reviews"] == sum(expected.values())
    read_as = Counter()
    for edge in picture.edges:
        if edge.kind == "predicted":
            read_as[picture.nodes[edge.target].name] += edge.reviews
    assert read_as == expected
    assert len(picture.nodes) <= max(limit, 2 * len(CATEGORIES) - 1)
    if not picture.pooled:
        alone = sum(node.kind == "review" for node in picture.nodes)
        assert alone == sum(expected.values())
    for node in picture.nodes:
        if node.kind in ("review", "reviews"):
            assert node.about["predicted"] != category


def test_what_is_pooled_first_and_what_last(shop):
    drawn, _, judged = shop
    astray = [row for row in judged if row["assigned"] == "Books" != row["predicted"]]
    pairs = {(row["product_id"], row["predicted"]) for row in astray}
    products = {row["product_id"] for row in astray}
    targets = {row["predicted"] for row in astray}
    fixed = len(products) + len(targets) + 1
    alone = drawn(category="Books", limit=len(astray) + fixed)
    assert alone.pooled == {}
    paired = drawn(category="Books", limit=len(astray) + fixed - 1)
    assert set(paired.pooled) == {"reviews_of_one_product_and_category"}
    assert sum(node.kind in ("review", "reviews") for node in paired.nodes) == len(pairs)
    few = drawn(category="Books", limit=len(pairs) + fixed - 1)
    assert few.pooled["other_products_by_predicted_category"] >= 1
    sure = defaultdict(float)
    for row in astray:
        sure[row["product_id"]] += row["confidence"]
    kept = {node.about["product_id"] for node in few.nodes if node.kind == "product"}
    assert min(sure[one] for one in kept) >= max(sure[one] for one in products - kept)


def test_reviews_bring_their_texts(shop):
    drawn, rows, _ = shop
    bodies = {row["review_id"]: " ".join(row["review_body"].split()) for row in rows}
    nodes = [node for node in drawn(category="Toys", limit=400).nodes if node.kind == "review"]
    assert nodes
    for node in nodes:
        body = node.about["body"]
        assert len(body) <= 361
        assert bodies[node.about["review_id"]].startswith(body.rstrip("…"))


def test_a_product_shows_its_reviews_its_customers_and_their_products(shop):
    drawn, rows, judged = shop
    own = [row for row in rows if row["product_id"] == "P3"]
    customers = {row["customer_id"] for row in own} - {None}
    others = {
        (row["customer_id"], row["product_id"])
        for row in rows
        if row["customer_id"] in customers and row["product_id"] not in (None, "P3")
    }
    picture = checked(drawn(product="P3", limit=1000))
    counts = picture.counts
    assert counts["reviews"] == len(own)
    assert counts["customers"] == len(customers)
    assert counts["customers_of_other_products"] == len({who for who, _ in others})
    assert counts["other_products"] == len({product for _, product in others})
    assert counts["mismatching_reviews"] == sum(
        row["product_id"] == "P3" and row["assigned"] != row["predicted"] for row in judged
    )
    nodes = picture.nodes
    found = {
        (nodes[edge.source].about["customer_id"], nodes[edge.target].about["product_id"])
        for edge in picture.edges
        if edge.kind == "bought"
    }
    assert found == others
    reviewed = [nodes[edge.source].reviews for edge in picture.edges if edge.kind == "reviewed"]
    assert sum(reviewed) == len(own)
    written = {
        (nodes[edge.source].about["customer_id"], nodes[edge.target].about["review_id"])
        for edge in picture.edges
        if edge.kind == "wrote" and nodes[edge.target].kind == "review"
    }
    assert written <= {(row["customer_id"], row["review_id"]) for row in own}


def test_a_product_with_too_many_neighbours_has_them_pooled_and_counted(shop):
    drawn, _, _ = shop
    few, whole = drawn(product="P3", limit=20), drawn(product="P3", limit=1000)
    assert few.counts["other_products"] == whole.counts["other_products"]
    assert {"other_products_by_category", "more_customers"} <= set(few.pooled)
    drawn_alone = sum(node.kind == "product" for node in few.nodes) - 1
    pooled = sum(node.about["products"] for node in few.nodes if node.kind == "products")
    assert drawn_alone + pooled == few.counts["other_products"]
    kept = sum(node.kind == "customer" for node in few.nodes)
    left = sum(node.about["customers"] for node in few.nodes if node.kind == "customers")
    assert kept + left == few.counts["customers_of_other_products"]
    reviewed = [few.nodes[edge.source].reviews for edge in few.edges if edge.kind == "reviewed"]
    assert sum(reviewed) == few.counts["reviews"]


@pytest.mark.parametrize("asked", [{}, {"category": "Toys"}, {"product": "P3"}])
def test_the_same_picture_twice(shop, asked):
    drawn, _, _ = shop
    first, second = drawn(**asked), drawn(**asked)
    assert first.nodes == second.nodes
    assert first.edges == second.edges


def test_what_is_not_there_is_said_with_what_is(shop):
    drawn, _, _ = shop
    with pytest.raises(UsageError, match=r"no category 'kitchn'. Did you mean Kitchen\?"):
        drawn(category="kitchn")
    with pytest.raises(UsageError, match=r"no category 'xyz'. It has Books, Garden's, Kitchen, Toys"):
        drawn(category="xyz")
    with pytest.raises(UsageError, match=r"no product 'P999'.*most reviews are P"):
        drawn(product="P999")


def test_bins_are_the_same_in_python_and_in_the_engine(tmp_path):
    values = [0.0, 1.0, 0.049, *(at / 20 for at in range(21)), 0.999, 0.12345]
    with DuckDB(tmp_path, "100MB", 1) as engine:
        listed = ", ".join(f"(CAST({value!r} AS FLOAT))" for value in values)
        rows = engine.run(f"SELECT confidence, {BIN_SQL} FROM (VALUES {listed}) made(confidence)")  # noqa: S608
    assert [n for _, n in rows] == [bin_of(value) for value, _ in rows]
    assert [bin_of(at / 20) for at in range(BINS)] == list(range(BINS))
    assert bin_of(float(np.float32(0.35))) == 7


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_boxes_come_apart_and_pins_stay(seed, n):
    dice = np.random.default_rng(seed)
    places, width, height = dice.normal(0, 30, (n, 2)), dice.uniform(1, 20, n), dice.uniform(1, 20, n)
    pinned = np.zeros(n, bool)
    pinned[0] = True
    found = part(places, width, height, pinned, rounds=5000)
    assert found[0].tolist() == places[0].tolist()
    for i in range(n):
        for j in range(i):
            over_x = (width[i] + width[j]) / 2 - abs(found[i, 0] - found[j, 0])
            over_y = (height[i] + height[j]) / 2 - abs(found[i, 1] - found[j, 1])
            assert min(over_x, over_y) < 0.1


def test_far_groups_taken_as_one_push_as_their_nodes_do():
    dice = np.random.default_rng(1)
    n = 500
    places = np.concatenate([dice.normal(0, 40, (n - 40, 2)), dice.normal(300, 1, (40, 2))])
    places[7] = places[8]  # two at one place
    mass, radius = dice.uniform(1, 5, n), dice.uniform(1, 4, n)
    room = 8 * n + 64
    for apart in (False, True):
        exact, taken = np.zeros((n, 2)), np.zeros((n, 2))
        layout._repel(places, radius, mass, exact, 80.0, apart)
        child, box, sums = np.empty((room, 4), np.int64), np.empty((room, 3)), np.empty((room, 4))
        cells = layout._grow(places, radius, mass, child, box, sums)
        assert sums[0, 0] == pytest.approx(mass.sum())
        layout._repel_by_cells(places, radius, mass, taken, child[:cells], box, sums, 80.0, apart)
        assert np.linalg.norm(exact - taken) < 0.05 * np.linalg.norm(exact)


@pytest.mark.parametrize("exact", [layout.EXACT, 10])
def test_forces_bring_together_what_is_joined(exact):
    dice = np.random.default_rng(0)
    n = 40
    start, pinned = dice.normal(0, 50, (n, 2)), np.zeros(n, bool)
    pinned[0] = True
    groups = np.arange(n) % 2
    edges = np.array([(i, j) for i in range(n) for j in range(i) if groups[i] == groups[j]])
    forces = Forces(300, 80.0)
    found = settle(
        start, np.full(n, 3.0), edges, np.ones(len(edges)), pinned=pinned, forces=forces, exact=exact
    )
    assert np.isfinite(found).all()
    assert found[0].tolist() == start[0].tolist()
    centres = [found[groups == group].mean(axis=0) for group in (0, 1)]
    spread = max(np.linalg.norm(found[groups == group] - centres[group], axis=1).mean() for group in (0, 1))
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread
