from __future__ import annotations

import hashlib
import io
import itertools
import json
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exchange_support import files_of, lines_of, small_graph
from hypothesis import given
from hypothesis import strategies as st

from shelfcheck.errors import UsageError
from shelfcheck.graph import csv_forms, export, export_files, property_graph
from shelfcheck.graph.export import MANIFEST, export_graph
from shelfcheck.graph.folder import Folder, FolderError
from shelfcheck.graph.property_graph import EDGE_KINDS, NODE_KINDS, PREDICTED_KIND, REVIEW, edge_ids
from shelfcheck.progress import NullProgress

HEADERS = {
    "neptune": {
        "nodes-customers": ":ID,:LABEL,customer_id:String,reviews:Long",
        "nodes-products": ":ID,:LABEL,product_id:String,title:String,parent:String,reviews:Long,stars:Double,"
        "first_date:DateTime,last_date:DateTime",
        "edges-wrote": ":ID,:START_ID,:END_ID,:TYPE",
        "edges-assigned": ":ID,:START_ID,:END_ID,:TYPE,reviews:Long,first_date:DateTime,last_date:DateTime,"
        "current:Bool",
        "edges-predicted-linear-1": ":ID,:START_ID,:END_ID,:TYPE,confidence:Double,rank:Int,model:String",
    },
    "gremlin": {
        "nodes-customers": "~id,~label,customer_id:String(single),reviews:Long(single)",
        "edges-wrote": "~id,~from,~to,~label",
        "edges-bought": "~id,~from,~to,~label,reviews:Long,first_date:Date",
    },
    "neo4j": {
        "nodes-reviews": "review_id:ID(Review),:LABEL,date:date,stars:int,title:string,tokens:string,"
        "verified:boolean,helpful_votes:int",
        "edges-reviewed": ":START_ID(Review),:END_ID(Product),:TYPE",
    },
}


@pytest.fixture
def graph(tmp_path):
    return small_graph(tmp_path / "graph")


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of seven rows, so that a small graph has many."""
    monkeypatch.setattr(property_graph, "BATCH_ROWS", 7)
    monkeypatch.setattr(export, "BATCH_ROWS", 7)
    monkeypatch.setattr(export_files, "BATCH_ROWS", 7)


def written(graph, output, target, **options):
    return export_graph(graph, output, target, NullProgress(), **options)


@pytest.mark.parametrize("target", HEADERS)
def test_headers_are_those_that_the_loader_wants(graph, tmp_path, target):
    found = written(graph, tmp_path / "out", target)
    files = files_of(tmp_path / "out")
    heads = {}
    for file in found.files:
        heads.setdefault(file.table, files[file.name].split(b"\r\n")[0].decode())
    assert {name: heads[name] for name in HEADERS[target]} == HEADERS[target]


@pytest.mark.parametrize("target", ["neptune", "gremlin"])
def test_ids_are_unique_and_edges_end_at_nodes(graph, tmp_path, target):
    found = written(graph, tmp_path / "out", target)
    files = files_of(tmp_path / "out")
    nodes, edges = set(), set()
    for file in found.files:
        _, *rows = lines_of(files[file.name], file.name)
        assert len(rows) == file.rows
        ids = {row[0] for row in rows}
        assert len(ids) == len(rows)
        assert not ids & (nodes | edges)
        if file.table.startswith("nodes-"):
            assert {row[1] for row in rows} == {next(iter(ids)).partition(":")[0]}
            nodes |= ids
        else:
            assert {end for row in rows for end in row[1:3]} <= nodes
            edges |= ids
    assert len(edges) == sum(rows for name, rows in found.rows.items() if name.startswith("edges-"))


def test_values_come_back_from_the_files(graph, tmp_path):
    found = written(graph, tmp_path / "out", "neptune")
    files = files_of(tmp_path / "out")
    for table in property_graph.tables(graph):
        (file,) = (one for one in found.files if one.table == table.name)
        head, *rows = lines_of(files[file.name], file.name)
        names = [name.partition(":")[0] for name in head]
        for field in table.kind.properties:
            came = [row[names.index(field.name)] or None for row in rows]
            if pa.types.is_boolean(field.type):
                came = [None if value is None else value == "true" for value in came]
            else:
                came = pa.array(came, pa.string()).cast(field.type).to_pylist()
            expected = pq.read_table(table.path)[field.name].to_pylist()
            assert came == [None if value == "" else value for value in expected]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
def test_any_text_comes_back(texts):
    schema = REVIEW.schema
    batch = pa.RecordBatch.from_pylist(
        [{"review_id": str(n), "title": t} for n, t in enumerate(texts)], schema
    )
    rows = lines_of(csv_forms.rows(REVIEW, "neptune", batch), "")
    assert [row[5] for row in rows] == texts


@given(st.lists(st.tuples(*[st.text("a>%:", max_size=3)] * 3), unique=True, max_size=30))
def test_no_two_edges_share_an_id(keys):
    rows = [{"model": model, "review_id": start, "category": end} for model, start, end in keys]
    batch = pa.RecordBatch.from_pylist(rows, PREDICTED_KIND.schema)
    ids = edge_ids(PREDICTED_KIND, batch).to_pylist()
    assert len(set(ids)) == len(keys)
    batch = pa.RecordBatch.from_pylist(
        [{"customer_id": a, "review_id": b} for a, b, _ in keys], EDGE_KINDS[0].schema
    )
    assert len(set(edge_ids(EDGE_KINDS[0], batch).to_pylist())) == len({key[:2] for key in keys})


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("group", [1, 5, 7, 14, 100])
def test_a_span_of_batches_is_that_of_all_batches(tmp_path, group):
    path = tmp_path / "customers.parquet"
    schema = NODE_KINDS[0].schema
    rows = [{"customer_id": f"C{n}", "reviews": n} for n in range(40)]
    pq.write_table(pa.Table.from_pylist(rows, schema), path, group)
    table = property_graph.Table("nodes-customers", NODE_KINDS[0], path, 40)
    whole = [batch.to_pylist() for batch in table.batches()]
    assert whole == [rows[at : at + 7] for at in range(0, 40, 7)]
    for skip, most in itertools.product(range(8), (None, 0, 1, 2, 6, 9)):
        own = whole[skip:] if most is None else whole[skip : skip + most]
        assert [batch.to_pylist() for batch in table.batches(skip, most)] == own


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("compress", [False, True])
def test_parts_hold_what_one_file_would(graph, tmp_path, compress):
    whole = written(graph, tmp_path / "whole", "neptune")
    parts = written(graph, tmp_path / "parts", "neptune", max_bytes=600, compress=compress)
    assert len(parts.files) > len(whole.files) * 2
    files, one = files_of(tmp_path / "parts"), files_of(tmp_path / "whole")
    for name, made in itertools.groupby(parts.files, lambda file: file.table):
        lines = [lines_of(files[file.name], file.name) for file in made]
        (file,) = (file for file in whole.files if file.table == name)
        assert [lines[0][0], *(row for part in lines for row in part[1:])] == lines_of(
            one[file.name], file.name
        )


def test_the_manifest_tells_each_file(graph, tmp_path):
    written(graph, tmp_path / "out", "gremlin", compress=True)
    files = files_of(tmp_path / "out")
    told = json.loads(files.pop(MANIFEST))
    assert {one["name"] for one in told["files"]} == set(files)
    for one in told["files"]:
        assert one["bytes"] == len(files[one["name"]])
        assert one["sha256"] == hashlib.sha256(files[one["name"]]).hexdigest()


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("target", ["neptune", "neo4j", "parquet"])
def test_an_export_killed_after_any_file_goes_on_to_the_same_bytes(graph, tmp_path, monkeypatch, target):
    options = {"max_bytes": 3000, "compress": target == "neptune"}
    whole = written(graph, tmp_path / "whole", target, **options)
    expected = files_of(tmp_path / "whole")
    put = Folder.put
    for kept in (0, len(whole.files) // 2, len(whole.files) - 1):
        out = tmp_path / f"killed-{kept}"
        count = itertools.count()

        def killed(folder, path, name, count=count, kept=kept):
            if next(count) == kept:
                raise KeyboardInterrupt
            put(folder, path, name)

        monkeypatch.setattr(Folder, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            written(graph, out, target, **options)
        monkeypatch.setattr(Folder, "put", put)
        left = files_of(out)
        assert MANIFEST not in left
        assert {name: left[name] for name in left if name.startswith("data/")}.items() <= expected.items()
        again = written(graph, out, target, **options)
        assert (again.reused, again.files) == (kept, whole.files)
        assert files_of(out) == expected


def test_a_killed_process_leaves_no_half_file(graph, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    code = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[3])\n"
        "from exchange_support import small_graph\n"
        "from shelfcheck.graph import csv_forms; from shelfcheck.graph.export import export_graph\n"
        "from shelfcheck.progress import NullProgress\n"
        "header = csv_forms.header\n"
        "def half(kind, form):\n"
        "    if getattr(kind, 'type', '') == 'WROTE': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return header(kind, form)\n"
        "csv_forms.header = half\n"
        "export_graph(small_graph(Path(sys.argv[1])), sys.argv[2], 'neptune', NullProgress())\n"
    )
    arguments = [str(tmp_path / "other"), str(out), __file__.rpartition("/")[0]]
    ended = subprocess.run([sys.executable, "-c", code, *arguments], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert any(name.startswith(".tmp-export/") for name in files_of(out))
    assert written(graph, out, "neptune").reused == 4
    written(graph, whole, "neptune")
    assert files_of(out) == files_of(whole)


def test_a_second_export_writes_nothing_and_a_damaged_one_what_is_missing(graph, tmp_path):
    out = tmp_path / "out"
    first = written(graph, out, "neptune")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = written(graph, out, "neptune")
    assert again.fresh
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    (out / first.files[2].name).unlink()
    assert written(graph, out, "neptune").reused == len(first.files) - 1
    assert written(graph, out, "neptune", force=True).reused == 0


def test_a_new_model_is_added_and_a_removed_one_taken_away(tmp_path):
    out = tmp_path / "out"
    written(small_graph(tmp_path / "one"), out, "neptune")
    both = small_graph(tmp_path / "both", models=("linear-1", "other"))
    assert written(both, out, "neptune").reused == 9
    assert "data/edges-predicted-other-00000.csv" in files_of(out)
    written(both, out, "neptune", models=["linear-1"])
    assert "data/edges-predicted-other-00000.csv" not in files_of(out)


def test_another_graph_replaces_all(graph, tmp_path):
    out = tmp_path / "out"
    written(graph, out, "neptune", max_bytes=1)
    other = small_graph(tmp_path / "other", reviews=20)
    assert written(other, out, "gremlin").reused == 0
    written(other, tmp_path / "new", "gremlin")
    assert files_of(out) == files_of(tmp_path / "new")


def test_a_folder_of_others_is_refused(graph, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"jpg")
    with pytest.raises(UsageError, match=r"graph/|photo\.jpg"):
        written(graph, tmp_path, "neptune")
    (tmp_path / "out" / "data").mkdir(parents=True)
    (tmp_path / "out" / "data" / "mine.csv").write_text("x")
    with pytest.raises(UsageError, match=r"mine\.csv"):
        written(graph, tmp_path / "out", "neptune")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FolderError, match="file"):
        written(graph, tmp_path / "file", "neptune")


def test_parquet_are_the_tables(graph, tmp_path):
    found = written(graph, tmp_path / "out", "parquet")
    files = files_of(tmp_path / "out")
    for table, file in zip(property_graph.tables(graph), found.files, strict=True):
        assert pq.read_table(io.BytesIO(files[file.name])).equals(pq.read_table(table.path))


def test_neo4j_admin_is_told_headers_first(graph, tmp_path):
    written(graph, tmp_path / "out", "neo4j", compress=True)
    told = json.loads((tmp_path / "out" / MANIFEST).read_text())["neo4j_admin"]
    assert told[0] == "--nodes=data/nodes-customers-header.csv,data/nodes-customers-00000.csv.gz"
    assert told[-1].startswith("--relationships=data/edges-predicted-linear-1-header.csv,")


def test_an_empty_table_has_no_file(tmp_path):
    graph = small_graph(tmp_path / "graph", reviews=0)
    found = written(graph, tmp_path / "out", "neptune")
    assert {file.table for file in found.files} == {
        "nodes-customers", "nodes-products", "nodes-categories", "edges-assigned"
    }  # fmt: skip
    assert written(graph, tmp_path / "out", "neptune").fresh


def test_s3_gets_the_same_bytes(graph, tmp_path, monkeypatch, s3_endpoint):
    import s3fs

    for name, value in (
        ("ACCESS_KEY_ID", "any"),
        ("SECRET_ACCESS_KEY", "any"),
        ("ENDPOINT_URL", s3_endpoint),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("graphs")
    found = written(graph, "s3://graphs/shop", "neptune", compress=True)
    assert found.data == "s3://graphs/shop/data/"
    written(graph, tmp_path / "out", "neptune", compress=True)
    expected = files_of(tmp_path / "out")
    assert {name.removeprefix("graphs/shop/"): store.cat(name) for name in store.find("graphs")} == expected
    assert written(graph, "s3://graphs/shop", "neptune", compress=True).fresh
    store.rm("graphs/shop/manifest.json")
    store.rm(f"graphs/shop/{found.files[0].name}")
    with pytest.raises(UsageError, match="holds files"):
        written(graph, "s3://graphs/shop", "neptune", compress=True)
    with pytest.raises(FolderError, match="s3://none"):
        written(graph, "s3://none/shop", "neptune")
    s3fs.S3FileSystem.clear_instance_cache()
