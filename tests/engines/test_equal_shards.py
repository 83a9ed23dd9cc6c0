"""Learning in shards: Spark and one machine learn the same model, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from review_corpus import reviews, write_prepared
from shelfcheck.checkpoints import Checkpoint
from shelfcheck.config import validate
from shelfcheck.models import shards_spark
from shelfcheck.models.encode import encode
from shelfcheck.models.train import train
from shelfcheck.predict.folds_spark import out_of_fold_on_spark
from shelfcheck.predict.out_of_fold import out_of_fold
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("shelfcheck.engines.spark", reason="needs the extra spark")

SHARDS = 3
TRAVEL = ["ids", "indptr", "labels", "rows"]


def settings_of(spark_settings, engine="duckdb", averages=1, **spark):
    return validate(
        {
            "run": {"threads": 2, "engine": engine},
            "audit": {"folds": 2},
            "train": {"linear": {"hash_bits": 14, "epochs": 3, "shards": SHARDS, "averages": averages}},
            "spark": spark_settings.model_dump() | spark,
        }
    )


@pytest.fixture(scope="module")
def encoded(tmp_path_factory, spark_settings):
    prepared = write_prepared(reviews(2500), tmp_path_factory.mktemp("prepared"))
    return encode(prepared, tmp_path_factory.mktemp("encoded"), settings_of(spark_settings)).folder


@pytest.fixture(scope="module")
def one_machine(encoded, tmp_path_factory, spark_settings):
    folder = tmp_path_factory.mktemp("one")
    train(encoded, folder, settings_of(spark_settings))
    return folder


@pytest.fixture
def written(monkeypatch):
    """Names of the arrays in each file that the driver leaves for tasks."""
    found, write = {}, shards_spark._write

    def told(exchange, name, arrays):
        found[name] = list(arrays)
        return write(exchange, name, arrays)

    monkeypatch.setattr(shards_spark, "_write", told)
    return found


def same(one: Path, other: Path) -> bool:
    name = "model.safetensors"
    return (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize("exchanged", [False, True], ids=["in place", "through the exchange"])
def test_spark_learns_what_one_machine_learns(  # noqa: PLR0917 - fixtures
    encoded, one_machine, spark_settings, tmp_path, written, exchanged
):
    exchange = {"exchange": str(tmp_path / "exchange")} if exchanged else {}
    settings = settings_of(spark_settings, "spark", **exchange)
    kept = Checkpoint(tmp_path / "kept")
    train(encoded, tmp_path / "out", settings, checkpoint=kept)
    assert same(tmp_path / "out", one_machine)
    assert sorted(written["shard-00000.safetensors"]) == (TRAVEL if exchanged else TRAVEL[-2:])
    assert len([name for name in written if name.startswith("start-")]) == 3  # epochs
    assert not list(tmp_path.rglob("shards*"))  # what tasks left one another is gone


def test_it_goes_on_where_it_was_stopped(encoded, one_machine, spark_settings, tmp_path, monkeypatch):
    settings = settings_of(spark_settings, "spark")
    kept = Checkpoint(tmp_path / "kept", seconds=0)
    epoch, begun = shards_spark.SparkWorkers.step, []

    def stops(workers, number, start, progress):
        begun.append(number)
        if begun == [0, 1]:
            raise KeyboardInterrupt
        return epoch(workers, number, start, progress)

    monkeypatch.setattr(shards_spark.SparkWorkers, "step", stops)
    with pytest.raises(KeyboardInterrupt):
        train(encoded, tmp_path / "out", settings, checkpoint=kept)
    assert not (kept.folder / "shards").exists()
    train(encoded, tmp_path / "out", settings, checkpoint=kept)
    assert begun == [0, 1, 1, 2]
    assert same(tmp_path / "out", one_machine)


def test_a_task_that_runs_again_changes_nothing(encoded, one_machine, spark_settings, tmp_path, monkeypatch):
    """Every shard is learned twice, as after a failure or by speculation; the later file counts."""
    run = shards_spark.SparkWorkers._work

    def twice(workers, number, begun):
        work = run(workers, number, begun)

        def again(shard):
            list(work(shard))
            yield from work(shard)

        return again

    monkeypatch.setattr(shards_spark.SparkWorkers, "_work", twice)
    train(encoded, tmp_path / "out", settings_of(spark_settings, "spark"))
    assert same(tmp_path / "out", one_machine)


def test_folds(encoded, spark_settings, tmp_path):
    out_of_fold(encoded, tmp_path / "one", settings_of(spark_settings, averages=2))
    on_spark = settings_of(spark_settings, "spark", averages=2)
    out_of_fold_on_spark(encoded, tmp_path / "many", on_spark, NullProgress())
    for fold in range(2):
        assert same(tmp_path / "one" / f"fold-{fold}", tmp_path / "many" / f"fold-{fold}")
    one, many = (pq.read_table(tmp_path / name / "predictions.parquet") for name in ("one", "many"))
    assert many.equals(one)
    assert not list(tmp_path.rglob("shards"))
