from __future__ import annotations

import json
import shutil
import sys

import pytest
from click.testing import CliRunner
from exchange_support import small_graph

from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.errors import MissingExtraError, UsageError, WorkspaceError
from shelfcheck.workspace import Manifest, Workspace


@pytest.fixture
def shop(tmp_path):
    """A workspace with a small graph."""
    workspace, made = Workspace(tmp_path / "shop"), small_graph(tmp_path / "made")
    for artefact, source in (
        ("graph", made.folder),
        ("graph_predictions/linear-1", made.predicted("linear-1").parent),
    ):
        (workspace.root / artefact).mkdir(parents=True)
        with workspace.writing(artefact.replace("/", "-")) as out:
            shutil.copytree(source, out, dirs_exist_ok=True)
            workspace.publish(out, Manifest(artefact, "0123456789abcdef", inputs={"prepared": "p"}))
    return workspace.root


def run(*arguments):
    result = CliRunner().invoke(cli, ["graph", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_export_tells_tables_and_then_that_nothing_was_to_do(shop, tmp_path):
    out = tmp_path / "out"
    said = run("export", "--to", "neptune", out, "--workspace", shop)
    assert "edges-predicted-linear-1" in said
    assert said.rstrip().endswith(f"{out}/data/")
    assert "(fresh)" in run("export", "--to", "neptune", out, "--workspace", shop)
    told = json.loads(run("export", "--to", "gremlin", out, "--gzip", "--workspace", shop, "--json"))
    assert told["rows"]["nodes-reviews"] == 60
    assert all((out / one["name"]).stat().st_size == one["bytes"] for one in told["files"])


def test_export_of_a_model_that_is_not_there_is_refused(shop, tmp_path):
    with pytest.raises(UsageError, match="no predictions of 'other'"):
        api.graph_export(shop, tmp_path / "out", models=["other"])
    with pytest.raises(WorkspaceError, match="shelfcheck graph build"):
        api.graph_export(tmp_path / "none", tmp_path / "out")
    with pytest.raises(UsageError, match="'csv' is no form"):
        api.graph_export(shop, tmp_path / "out", "csv")


def test_load_says_what_is_missing(shop, monkeypatch):
    with pytest.raises(UsageError, match="--endpoint"):
        api.graph_load(shop, "neptune")
    pytest.importorskip("boto3", reason="needs the extra aws")
    to = {"endpoint": "https://cluster:8182", "region": "eu-central-1"}
    with pytest.raises(UsageError, match=r"--export s3://BUCKET/PREFIX.*--role"):
        api.graph_load(shop, "neptune", **to)
    with pytest.raises(UsageError, match="S3 alone"):
        api.graph_load(shop, "neptune", **to, export="folder", role="arn")
    monkeypatch.setitem(sys.modules, "neo4j", None)
    with pytest.raises(MissingExtraError, match=r"shelfcheck\[graph\]"):
        api.graph_load(shop, "bolt://localhost:7687")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"shelfcheck\[aws\]"):
        api.graph_load(shop, "neptune", **to)


def test_load_into_a_bolt_server(shop, bolt_server, monkeypatch):
    bolt_server.create_database("commands")
    monkeypatch.setenv("SHELFCHECK_GRAPH_PASSWORD", bolt_server.password)
    options = ("--user", bolt_server.user, "--database", "commands", "--workspace", shop)
    said = run("load", "--to", bolt_server.address, *options)
    assert "edges-predicted-linear-1" in said
    told = json.loads(run("load", "--to", bolt_server.address, *options, "--json"))
    assert told["rows"]["nodes-reviews"] == 60


def test_load_into_neptune_exports_starts_and_follows(shop, s3_endpoint, monkeypatch):
    s3fs = pytest.importorskip("s3fs", reason="needs the extra aws")
    from neptune_stand_in import Neptune, serve

    values = {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "ENDPOINT_URL": s3_endpoint}
    for name, value in values.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("commands")
    neptune = Neptune(store)
    server = serve(neptune)
    options = {
        "endpoint": f"http://127.0.0.1:{server.server_port}",
        "region": "us-east-1",
        "export": "s3://commands/shop",
        "role": "arn:aws:iam::123456789012:role/load",
        "poll_seconds": 0,
    }
    loaded = api.graph_load(shop, "neptune", **options)
    assert (loaded.status, loaded.duplicates) == ("LOAD_COMPLETED", 0)
    assert neptune.asked[0]["source"] == "s3://commands/shop/data/"
    assert loaded.records == len(neptune.nodes) + len(neptune.edges)
    arguments = ("--endpoint", options["endpoint"], "--region", "us-east-1", "--load-id", loaded.load_id)
    assert f"(load {loaded.load_id})" in run("load", "--to", "neptune", *arguments)
    assert len(neptune.asked) == 1
    server.shutdown()
    server.server_close()
    s3fs.S3FileSystem.clear_instance_cache()
