"""The commands on a workspace in a real S3 server: what they leave; a second machine; a kill."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from faulty_proxy import Fault, faulty
from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.pipeline import MAIN_JOB
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve
from shelfcheck.stores import open_store, retry
from shelfcheck.stores.mirror import CACHE_VARIABLE
from shelfcheck.workspace import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"run.threads": 1, "audit.folds": 2, "train.linear.epochs": 1, "train.linear.hash_bits": 16}
REVIEWS = 1000


@pytest.fixture(scope="module")
def shop(s3_endpoint, tmp_path_factory):
    """A run of a small shop on the local disk, and one on S3, made through a network that fails at times."""
    home = tmp_path_factory.mktemp("runs")
    patience = classmethod(lambda cls: cls(attempts=8, first=0.005, longest=0.05))
    with pytest.MonkeyPatch.context() as patch, faulty(s3_endpoint) as proxy:
        for name, value in environment(s3_endpoint, home / "one").items():
            patch.setenv(name, value)
        from shelfcheck.stores.s3 import filesystem

        filesystem().call_s3("create_bucket", Bucket="runs")
        api.generate("s3://runs/shop/raw", reviews=REVIEWS, seed=3)
        api.generate(home / "raw", reviews=REVIEWS, seed=3)
        local = api.run(home / "raw", home / "local", overrides=SETTINGS)
        patch.setattr(retry.Patience, "of_environment", patience)
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        chance = random.Random(7)  # noqa: S311 - no secret
        for kind in ("slow_down", "reset", "lost_answer", "truncated"):
            proxy.faults.append(Fault(kind, lambda *_: chance.random() < 0.02, times=10**6))
        remote = api.run(home / "raw", "s3://runs/shop", overrides=SETTINGS)
        assert sum(fault.done for fault in proxy.faults) > 3, "the network was too good"
        patch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
        yield home, local, remote


def environment(endpoint: str, cache: Path) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        CACHE_VARIABLE: str(cache),
    }


@pytest.fixture
def second(shop, monkeypatch):
    """Another machine: its mirror is empty."""
    cache = shop[0] / "two"
    shutil.rmtree(cache, ignore_errors=True)
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    return cache


def contents(place: str | Path, stages=MAIN_JOB) -> dict[str, bytes]:
    """Every file of every artefact, but for what tells times."""
    workspace, found = open_workspace(place), {}
    for stage in stages:
        folder = workspace.path(stage, made_by="run")
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name not in {"report.html", "card.json"}:
                found[f"{stage}/{file.relative_to(folder)}"] = file.read_bytes()
    return found


def test_artefacts_are_those_of_a_local_run(shop):
    home, _, remote = shop
    assert [stage.stage for stage in remote.stages] == list(MAIN_JOB)
    assert not any(stage.fresh for stage in remote.stages)
    assert contents(home / "local") == contents("s3://runs/shop")
    tops = {name for name in open_store("s3://runs/shop").listing() if "/" not in name and name[0] != "."}
    assert tops == {
        path.name for path in (home / "local").iterdir() if path.is_file() and path.name[0] != "."
    }
    assert remote.stage("model").place.startswith("s3://runs/shop/model/")


def test_every_object_is_one_that_a_manifest_names(shop):
    store = open_store("s3://runs/shop")
    found = store.listing()
    for stage in MAIN_JOB:
        manifest = json.loads(store.get(f"{stage}/{MANIFEST}").data)
        named = {f"{stage}/{manifest['folder']}/{one['path']}" for one in manifest["files"]}
        assert {name for name in found if name.startswith(f"{stage}/")} == named | {f"{stage}/{MANIFEST}"}
        assert all(
            found[f"{stage}/{manifest['folder']}/{f['path']}"].size == f["bytes"] for f in manifest["files"]
        )


def test_a_second_machine_skips_all_and_fetches_next_to_nothing(shop, second):
    result = api.run(shop[0] / "raw", "s3://runs/shop", overrides=SETTINGS)
    assert all(stage.fresh for stage in result.stages)
    fetched = sum(path.stat().st_size for path in second.rglob("*") if path.is_file())
    stored = sum(entry.size for entry in open_store("s3://runs/shop").listing().values())
    assert fetched < 0.02 * stored
    assert set(api.status("s3://runs/shop", shop[0] / "raw").values()) == {"fresh", "missing"}


def test_counting_reads_the_listing_alone(shop, second):
    found = api.count(workspace="s3://runs/shop", by="month")
    assert found.rows == shop[1].stage("prepared").counts["rows_kept"]
    assert not second.exists()
    planned = api.plan_sample("s3://runs/shop", 0.1)
    assert planned.rows == found.rows
    assert not list(second.rglob("*.parquet"))


def test_the_report_needs_no_reviews(shop, second):
    page = api.report("s3://runs/shop", force=True)
    assert "<html" in page.read_text(encoding="utf-8")
    assert open_store("s3://runs/shop").get("report.html").data == page.read_bytes()
    assert not list(second.rglob("review_month=*"))
    assert not list(second.rglob("model.safetensors"))


def test_reviews_in_s3_give_the_same_artefact(shop, second):
    """Sources, workspace and outputs are URLs; sources of one name in S3 and on disk are read alike."""
    result = api.prepare("s3://runs/shop/raw", "s3://runs/from-s3", overrides=SETTINGS)
    local = {
        name: data for name, data in contents(shop[0] / "local", ["prepared"]).items() if "reviews/" in name
    }
    found = contents("s3://runs/from-s3", ["prepared"])
    assert {name: found[name] for name in local} == local
    assert result.counts["rows_kept"] == shop[1].stage("prepared").counts["rows_kept"]


def test_predictions_go_to_a_url(shop, second):
    done = api.predict("s3://runs/shop/raw", "s3://runs/out/predicted.parquet", "s3://runs/shop")
    api.predict(shop[0] / "raw", shop[0] / "predicted.parquet", shop[0] / "local")
    data = open_store("s3://runs/out").get("predicted.parquet").data
    (shop[0] / "of-s3.parquet").write_bytes(data)
    assert pq.read_table(shop[0] / "of-s3.parquet").equals(pq.read_table(shop[0] / "predicted.parquet"))
    assert done.reviews == REVIEWS


def test_models_are_promoted_verified_and_rolled_back_anywhere(shop, second, monkeypatch):
    place = "s3://runs/shop"
    (first,) = api.models_list(place)
    assert first.aliases == ("champion",)
    other = api.train(place, overrides=SETTINGS | {"run.seed": 1})
    name = other.counts["version"]
    assert api.models_promote(name, place).aliases == ("champion",)
    monkeypatch.setenv(CACHE_VARIABLE, str(shop[0] / "one"))  # the first machine sees it
    assert api.models_show("champion", place).version.version == name
    assert [row.version for row in api.leaderboard(place).groups[0].rows]
    assert api.models_rollback(place).version.version == first.version.version
    monkeypatch.setenv(CACHE_VARIABLE, str(second))
    assert api.models_show("champion", place).version.version == first.version.version
    assert api.models_verify(place) == {first.version.version: [], name: []}
    store = open_store(f"{place}/models/versions/{name}")
    card = store.get("card.json").data
    store.put("card.json", card.replace(b"linear", b"LINEAR"))
    assert api.models_verify(place, [name]) == {name: ["card.json has changed"]}
    store.put("card.json", card)
    assert [change.what for change in api.models_show("champion", place).history].count("rollback") == 1


def test_the_sample_and_the_graph(shop, second):
    place = "s3://runs/shop"
    drawn = api.sample(place, 0.2)
    assert pq.read_table(drawn.file("sample.parquet")).num_rows == drawn.counts["rows"]
    assert api.sample(place, 0.2).fresh
    assert "sample.parquet" in open_store(place).listing()
    built = api.graph_build(place)
    assert [one.model for one in built.predictions] == ["out_of_fold"]
    built = api.graph_build(place, "s3://runs/out/predicted.parquet", "elsewhere")
    assert built.graph.models == ("elsewhere", "out_of_fold")
    done = api.graph_export(place, "s3://runs/neptune", "neptune")
    assert {one.name for one in done.files} <= set(open_store("s3://runs/neptune").listing())
    assert api.graph_export(place, "s3://runs/neptune", "neptune").fresh


def test_the_commands_speak_in_urls(shop, second, tmp_path):
    def run(*words):
        done = CliRunner().invoke(cli, [*words, "--workspace", "s3://runs/shop", "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    source = str(shop[0] / "raw")
    settings = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    told = run("run", "--source", source, "--quiet", *settings)
    assert told["report"] == "s3://runs/shop/report.html"
    assert all(stage["folder"].startswith("s3://runs/shop/") for stage in told["stages"])
    assert run("status")["prepared"]["state"] == "fresh"
    assert run("config")["settings"]["train"]["linear"]["epochs"] == 1  # as the first machine ran
    assert run("models", "list")[0]["version"] == "linear-1"
    shown = CliRunner().invoke(cli, ["run", "--source", source, "-w", "s3://runs/shop", "-q", *settings])
    assert "s3://runs/shop/report.html" in shown.stdout
    assert "cache" not in shown.stdout


def test_tuning_goes_on_elsewhere(shop, second, monkeypatch):
    pytest.importorskip("optuna", reason="needs the extra tune")
    place = "s3://runs/shop"
    first = api.tune(place, trials=1, overrides=SETTINGS)
    assert first.place == f"{place}/tuning/linear-product_category"
    monkeypatch.setenv(CACHE_VARIABLE, str(shop[0] / "three"))
    result = api.tune(place, trials=2, overrides=SETTINGS)
    assert result.trials.num_rows == 2
    assert json.loads(open_store(place).get("tuning/history.jsonl").data.splitlines()[-1])["trials"] == 2
    best = resolve(f"{result.place}/best.toml").settings.train.linear
    assert best == result.best.train.linear


def test_the_endpoint_takes_up_what_another_machine_promoted(shop, second):
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    from shelfcheck.serve.loaded import Holder, Source

    place = "s3://runs/shop"
    versions = [one.version.version for one in api.models_list(place)]
    if len(versions) < 2:
        api.train(place, overrides=SETTINGS | {"run.seed": 5})
        versions = [one.version.version for one in api.models_list(place)]
    holder = Holder(Source(place))
    before = holder.loaded.version
    assert holder.refresh() is None
    api.models_promote(next(name for name in versions if name != before), place)
    assert holder.refresh() is True
    assert holder.loaded.version != before
    api.models_rollback(place)


KILLED = """if True:
    import json, sys
    from shelfcheck import api
    api.run(sys.argv[1], sys.argv[2], overrides=json.loads(sys.argv[3]))
"""


def test_killed_at_random_it_ends_with_the_same_artefacts(shop, s3_endpoint, monkeypatch):
    home = shop[0]
    cache = home / "killed"
    given = os.environ | environment(s3_endpoint, cache)
    command = [sys.executable, "-c", KILLED, str(home / "raw"), "s3://runs/killed", json.dumps(SETTINGS)]
    chance = random.Random(11)  # noqa: S311 - no secret
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 120
        # Killed some time after it began to work, wherever that is.
        while process.poll() is None and time.monotonic() < deadline:
            if (cache / "workspaces").exists() and chance.random() < 0.01:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.01)
        _, told = process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}, told.decode()
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    api.run(home / "raw", "s3://runs/killed", overrides=SETTINGS)
    assert kills, "nothing was killed"
    assert contents("s3://runs/killed") == contents(home / "local")
    store = open_store("s3://runs/killed")
    for stage in MAIN_JOB:
        assert len({name.split("/")[1] for name in store.listing(f"{stage}/")}) == 2, "leftovers"
    assert [model.version.version for model in api.models_list("s3://runs/killed")] == ["linear-1"]
