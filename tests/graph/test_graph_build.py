from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from graph_support import predict, reviews, row_by_row, workspace_of

from shelfcheck import api
from shelfcheck.errors import SourceError, UsageError, WorkspaceError
from shelfcheck.graph.store import EDGES, NODES, PREDICTED_SCHEMA, open_graph
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


def rows_of(path: Path, *columns: str) -> list[tuple]:
    return [tuple(row[name] for name in columns) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(params=[0, 1, 2])
def rows(request):
    return reviews(seed=request.param)


def test_set_operations_give_what_a_loop_over_the_rows_gives(rows, tmp_path):
    graph = api.graph_build(workspace_of(rows, tmp_path)).graph
    expected = row_by_row(rows)
    for name in ("wrote", "reviewed"):
        assert rows_of(graph.edges(name), *EDGES[name].names) == expected[name]
    assert rows_of(graph.edges("bought"), *EDGES["bought"].names) == expected["bought"]
    assigned = rows_of(graph.edges("assigned"), "product_id", "category", "reviews", "current")
    assert assigned == expected["assigned"]
    assert dict(rows_of(graph.nodes("products"), "product_id", "title")) == expected["titles"]


def test_tables_have_the_columns_of_the_store_and_sorted_unique_keys(rows, tmp_path):
    built = api.graph_build(workspace_of(rows, tmp_path))
    for kind, tables, ends in (("nodes", NODES, 1), ("edges", EDGES, 2)):
        for name, schema in tables.items():
            table = pq.read_table(built.graph.folder / kind / f"{name}.parquet")
            assert table.schema.equals(schema)
            keys = rows_of(built.graph.folder / kind / f"{name}.parquet", *schema.names[:ends])
            assert keys == sorted(set(keys))
            assert not any(None in key for key in keys)
            assert built.stage.counts[name] == len(keys) > 0


def test_edges_lead_to_nodes(rows, tmp_path):
    graph = api.graph_build(workspace_of(rows, tmp_path), predict(rows, tmp_path / "p.parquet"), "one").graph
    keys = {
        schema.names[0]: set(rows_of(graph.nodes(name), schema.names[0])) for name, schema in NODES.items()
    }
    files = [(graph.edges(name), schema) for name, schema in EDGES.items()]
    for path, schema in [*files, (graph.predicted("one"), PREDICTED_SCHEMA)]:
        for end in schema.names[:2]:
            assert set(rows_of(path, end)) <= keys[end]


def test_what_lacks_is_counted_by_reason(rows, tmp_path):
    counts = api.graph_build(workspace_of(rows, tmp_path)).stage.counts
    assert counts["reviews_read"] == len(rows)
    for name, column in (("customer", "customer_id"), ("product", "product_id"), ("date", "review_date")):
        assert counts[f"without_{name}"] == sum(row[column] is None for row in rows) > 0
    assert counts["wrote"] == counts["reviews_read"] - counts["without_customer"]
    assert counts["reviewed"] == counts["reviews_read"] - counts["without_product"]
    assert counts["not_verified"] == sum(row["verified_purchase"] is not True for row in rows)


def test_bytes_hang_neither_on_threads_nor_on_memory(rows, tmp_path):
    one = api.graph_build(workspace_of(rows, tmp_path / "a"), overrides={"run.threads": 1}).graph
    two = api.graph_build(
        workspace_of(rows, tmp_path / "b"), overrides={"run.threads": 2, "run.memory_limit": "64MB"}
    ).graph
    for path in one.folder.rglob("*.parquet"):
        assert path.read_bytes() == (two.folder / path.relative_to(one.folder)).read_bytes()


def test_a_second_build_is_fresh_and_all_purchases_count_when_asked(tmp_path):
    root = workspace_of(reviews(), tmp_path)
    first = api.graph_build(root).stage
    assert api.graph_build(root).stage.fresh
    every = api.graph_build(root, overrides={"graph.bought": "all"}).stage
    assert not every.fresh
    assert every.counts["bought"] > first.counts["bought"]


def test_of_rows_with_one_id_the_first_counts(tmp_path):
    rows = reviews(50)
    again = rows[7] | {"product_id": "P99", "customer_id": "C99"}
    counts = api.graph_build(workspace_of([*rows, again], tmp_path)).stage.counts
    assert (counts["reviews"], counts["repeated_ids"], counts["reviews_read"]) == (50, 1, 51)
    assert ("R00007", "P99") not in rows_of(
        open_graph(Workspace(tmp_path)).edges("reviewed"), "review_id", "product_id"
    )


def test_predictions_of_models_stand_side_by_side_without_a_build(tmp_path):
    rows = reviews()
    root = workspace_of(rows, tmp_path / "w")
    before = api.graph_build(root).graph
    for seed, name in enumerate(("one", "two")):
        built = api.graph_build(root, predict(rows, tmp_path / f"{name}.parquet", seed), name)
        assert built.stage.fresh
        assert built.predictions[0].counts["edges"] == 3 * len(rows)
    assert built.graph.models == ("one", "two")
    assert built.graph.folder == before.folder
    assert built.graph.fingerprint != before.fingerprint
    table = pq.read_table(built.graph.predicted("two"))
    assert table.cast(PREDICTED_SCHEMA).schema.types == table.schema.types
    given = {row["review_id"]: row for row in pq.read_table(tmp_path / "two.parquet").to_pylist()}
    for row in table.to_pylist():
        source = given[row["review_id"]]
        assert row["category"] == source["top_categories"][row["rank"] - 1]
        assert row["confidence"] == source["top_probabilities"][row["rank"] - 1]
    assert api.graph_build(root, tmp_path / "two.parquet", "two").predictions[0].fresh
    fewer = api.graph_build(
        root, tmp_path / "two.parquet", "two", overrides={"graph.predicted_categories": 1}
    )
    assert fewer.predictions[0].counts["edges"] == len(rows)


def test_predictions_for_other_reviews_are_left_out_and_named(tmp_path):
    rows = reviews()
    api.graph_build(workspace_of(rows, tmp_path / "w"), predict(rows[:100], tmp_path / "p.parquet"), "one")
    manifest = tmp_path / "w" / "prepared" / "manifest.json"
    changed = json.loads(manifest.read_text()) | {"fingerprint": "f" * 64}
    manifest.write_text(json.dumps(changed))
    built = api.graph_build(tmp_path / "w")
    assert built.graph.models == ()
    assert "other reviews" in built.left_out["one"]


def test_predictions_of_unknown_reviews_and_categories_are_counted(tmp_path):
    rows = reviews(60)
    root = workspace_of([row for row in rows if row["product_category"] != "Toys"][:40], tmp_path / "w")
    counts = api.graph_build(root, predict(rows, tmp_path / "p.parquet"), "one").predictions[0].counts
    assert (counts["read"], counts["reviews"], counts["left_out_reviews"]) == (60, 40, 20)
    assert counts["edges"] + counts["left_out_edges"] == 3 * 40
    assert counts["left_out_edges"] > 0


def test_errors_say_what_to_do(tmp_path):
    with pytest.raises(WorkspaceError, match="shelfcheck graph build"):
        open_graph(Workspace(tmp_path))
    rows = reviews(30)
    root = workspace_of(rows, tmp_path / "w")
    with pytest.raises(UsageError, match="--as"):
        api.graph_build(root, tmp_path / "p.parquet")
    with pytest.raises(UsageError, match="no name"):
        api.graph_build(root, tmp_path / "p.parquet", "../up")
    with pytest.raises(SourceError, match=r"p\.parquet"):
        api.graph_build(root, tmp_path / "p.parquet", "one")
    other = predict([row | {"review_id": "X" + row["review_id"]} for row in rows], tmp_path / "x.parquet")
    with pytest.raises(UsageError, match="none of its 30"):
        api.graph_build(root, other, "one")
    with pytest.raises(UsageError, match="no predictions of 'one'"):
        open_graph(Workspace(root)).predicted("one")


def test_a_build_killed_at_random_leaves_the_old_graph_or_the_new_one(tmp_path):
    rows = reviews(400)
    root = workspace_of(rows, tmp_path / "w")
    wanted = {}
    for bought in ("verified", "all"):
        folder = api.graph_build(root, overrides={"graph.bought": bought}).graph.folder
        wanted[bought] = {p.name: p.read_bytes() for p in folder.rglob("*.parquet")}
    draw = random.Random(5)  # noqa: S311 - no secret
    code = (
        "import sys\nfrom shelfcheck import api\nprint('up', flush=True)\n"
        "for _ in range(1000):\n    for bought in ('verified', 'all'):\n"
        "        api.graph_build(sys.argv[1], overrides={'graph.bought': bought, 'run.threads': 1})\n"
    )
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(draw.uniform(0.5, 1.5))
            os.kill(process.pid, signal.SIGKILL)
        graph = open_graph(Workspace(root))
        left = {path.name: path.read_bytes() for path in graph.folder.rglob("*.parquet")}
        assert left == wanted[graph.manifest.settings["graph.bought"]]
        assert api.graph_build(root).graph.folder.is_dir()
