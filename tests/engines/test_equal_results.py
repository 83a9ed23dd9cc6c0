"""Equal results: each stage, run on DuckDB and on Spark over nasty and real data, publishes the same.

A stage joins by a line in `STAGES`. What it cannot have equal by nature stands there too, with what is
compared instead; everything else must be equal: Parquet row by row in order, JSON by value, other files by
byte, and the counts of the manifest.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nasty_reviews import write_nasty

from shelfcheck.config import Settings, validate
from shelfcheck.pipeline import run_stages
from shelfcheck.prepare import iter_prepared, read_listing
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
from shelfcheck.workspace import Workspace

pytest.importorskip("shelfcheck.engines.spark", reason="needs the extra spark")

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from shelfcheck.config import SparkSettings


@dataclass(frozen=True)
class Equality:
    """What of a stage's folder differs by nature, and what must be equal of it all the same.

    Attributes:
        files: beginning of a path -> why it differs.
        counts: of the manifest -> why they differ.
        instead: name -> what is made of the folder and must be equal.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, Callable[[Path], Any]] = field(default_factory=dict)


def reviews_in_order(folder: Path) -> pa.Table:
    return pa.Table.from_batches(iter_prepared(folder))


def models_of_folds(folder: Path) -> list[object]:
    cards = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("fold-*/card.json"))]
    assert cards
    told = [{key: value for key, value in card.items() if key != "seconds"} for card in cards]
    return [told, [file.read_bytes() for file in sorted(folder.glob("fold-*/model.safetensors"))]]


STAGES: dict[str, Equality] = {
    "prepared": Equality(
        files={
            "reviews/": "Spark cuts months into files by rows, one machine by what its memory holds",
            "months.json": "names these files and their bytes",
            "keys/": "what a later run adds to; Spark reads all files",
            "falls/": "as keys/",
            "sources.json": "names keys/, and how rows were staged",
        },
        counts={"files": "as reviews/", "bytes": "as reviews/"},
        instead={
            "reviews": reviews_in_order,
            "rows by month": lambda folder: read_listing(folder).rows_by_month(),
        },
    ),
    "sample": Equality(instead={"bytes": lambda folder: (folder / "sample.parquet").read_bytes()}),
    "explore": Equality(files={"explore.html": "says when it was written; shows the tables"}),
    "language": Equality(files={"language.html": "as explore.html"}),
    "graph": Equality(),
    "out_of_fold": Equality(  # by one thread: several learn a little otherwise in every run
        files={"fold-": "cards tell seconds"}, instead={"models": models_of_folds}
    ),
    "misplaced_reviews": Equality(),
    "miscategorised_products": Equality(),
}

NEEDED = {
    "out_of_fold": ["encoded"],
    "misplaced_reviews": ["out_of_fold"],
    "miscategorised_products": ["out_of_fold"],
}
ONE_THREAD: dict[str, Any] = {"run.threads": 1, "audit.folds": 2, "train.linear": {"hash_bits": 16}}

# Stage, data, settings.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("prepared", "nasty", {}),
    (
        "prepared",
        "nasty",
        {
            "prepare.drop_duplicates": False,
            "prepare.length_rule": "quantile",
            "prepare.length_quantiles": [0.1, 0.9],
            "prepare.marketplaces": ["US"],
            "prepare.csv": True,
        },
    ),
    (
        "prepared",
        "nasty",
        {"prepare.length_rule": "sd", "prepare.min_category_share": 0.2, "text.stemmer": "english"},
    ),
    ("prepared", "real", {}),
    (
        "sample",
        "nasty",
        {"sample.fraction": 0.3, "sample.by": ["review_month", "star_rating"], "sample.salt": "s"},
    ),
    ("explore", "nasty", {}),
    ("explore", "real", {}),
    (
        "language",
        "real",
        {"language.min_reviews": 30, "language.permutations": 99, "language.word_ngrams": 2},
    ),
    ("graph", "nasty", {"prepare.drop_duplicates": False}),
    ("graph", "real", {"graph.bought": "all"}),
    ("out_of_fold", "real", ONE_THREAD),
    ("misplaced_reviews", "real", ONE_THREAD | {"audit.min_score": 0.01}),
    ("miscategorised_products", "real", ONE_THREAD | {"audit.min_score": 0.01}),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {"nasty": write_nasty(folder / "nasty"), "real": folder / "real"}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut as a large input would be: files into pieces, months into files, rows that wait for others."""
    from shelfcheck.prepare.spark import keys, months, pieces, run
    from shelfcheck.sampling import run as sampling

    monkeypatch.setattr(pieces, "SMALLEST", 8_000)
    monkeypatch.setattr(pieces, "LARGEST", 8_000)
    monkeypatch.setattr(sampling, "batches", partial(sampling.batches, rows=100))
    monkeypatch.setattr(keys, "_RUN_ROWS", 20)
    monkeypatch.setattr(months, "SMALLEST", 50)
    monkeypatch.setattr(months, "LARGEST", 60)
    monkeypatch.setattr(run, "LEAST_BUDGET", 30_000)
    monkeypatch.setattr(run, "memory_bytes", lambda settings: 0)


def settings_for(values: dict[str, Any], engine: str, spark: SparkSettings) -> Settings:
    nested: dict[str, Any] = {
        "prepare": {"max_rejected_share": 1.0},
        "run": {"engine": engine, "threads": 2},
        "spark": spark.model_dump(),
    }
    for key, value in values.items():
        section, name = key.split(".", 1)
        nested.setdefault(section, {})[name] = value
    return validate(nested)


def sources_of(data: Path, request: pytest.FixtureRequest) -> list[str]:
    if data.name != "real":
        return [str(data)]
    raw = request.getfixturevalue("real_data") / "raw"
    return [str(raw / "pds-parquet"), str(raw / "ucsd-2018")]


def made(stage: str, home: Path, sources: Sequence[str], settings: Settings) -> Path:
    """A workspace with what a stage needs, made on one machine; cases of one data and one need share it."""
    needed = NEEDED.get(stage, ["prepared"])
    workspace = home / needed[-1]
    found = find_sources(sources, settings.source)
    run_stages(Workspace(workspace), settings, NullProgress(), needed, sources=found)
    return workspace


def published(
    stage: str, workspace: Path, sources: Sequence[str], settings: Settings
) -> tuple[Path, dict[str, Any]]:
    """The folder and the counts of a stage that was run."""
    found = find_sources(sources, settings.source)
    result = run_stages(Workspace(workspace), settings, NullProgress(), [stage], sources=found).stages[-1]
    assert result.stage == stage
    assert not result.fresh
    return result.folder, result.counts


def content(path: Path) -> object:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    return path.read_bytes()


def assert_equal(one: object, other: object, what: str) -> None:
    if isinstance(one, pa.Table):
        assert one.schema == other.schema, what  # type: ignore[attr-defined]
        assert one.num_rows == other.num_rows, what  # type: ignore[attr-defined]
        if not one.equals(other):
            rows = zip(one.to_pylist(), other.to_pylist(), strict=True)  # type: ignore[attr-defined]
            first = next(pair for pair in rows if pair[0] != pair[1])
            pytest.fail(f"{what}: {first[0]} != {first[1]}")
        return
    assert one == other, what


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join([*case[:2], *case[2]]))
def test_equal(
    case: tuple[str, str, dict[str, Any]],
    data: dict[str, Path],
    tmp_path: Path,
    spark_settings: SparkSettings,
    request: pytest.FixtureRequest,
) -> None:
    stage, name, values = case
    declared = STAGES[stage]
    sources = sources_of(data[name], request)
    bases = data[name].parent / f"bases-{name}"
    folders, counts = {}, {}
    for engine in ("duckdb", "spark"):
        settings = settings_for(values, engine, spark_settings)
        if stage != "prepared":
            alone = settings_for(values, "duckdb", spark_settings)
            shutil.copytree(made(stage, bases, sources, alone), tmp_path / engine)
        folders[engine], counts[engine] = published(stage, tmp_path / engine, sources, settings)
    compared: dict[str, set[str]] = {
        engine: {
            path
            for path in (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
            if not path.startswith(tuple(declared.files))
        }
        for engine, folder in folders.items()
    }
    assert compared["duckdb"] == compared["spark"]
    for path in sorted(compared["duckdb"]):
        assert_equal(content(folders["duckdb"] / path), content(folders["spark"] / path), path)
    for what, of in declared.instead.items():
        assert_equal(of(folders["duckdb"]), of(folders["spark"]), what)
    if (stage, name, values) == ("prepared", "nasty", {}):  # months were cut into files
        assert len(list((folders["spark"] / "reviews" / "review_month=2015-08").glob("*.parquet"))) > 2
    told = [{key: n for key, n in all_.items() if key not in declared.counts} for all_ in counts.values()]
    assert told[0] == told[1]
    assert told[0]
    manifests = [Workspace(tmp_path / engine).manifest(stage) for engine in folders]
    assert manifests[0].fingerprint == manifests[1].fingerprint  # type: ignore[union-attr]
    shutil.rmtree(tmp_path)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("drop", [True, False])
def test_spark_and_the_driver_let_the_same_rows_fall(
    data: dict[str, Path],
    tmp_path: Path,
    spark_settings: SparkSettings,
    monkeypatch: pytest.MonkeyPatch,
    drop: bool,
) -> None:
    """Few rows that are alike are compared by the driver, many by Spark."""
    from shelfcheck.prepare.spark import falls, prepare_on_spark

    settings = settings_for({"prepare.drop_duplicates": drop}, "spark", spark_settings)
    sources = find_sources([str(data["nasty"])], settings.source)
    by_driver = prepare_on_spark(sources, tmp_path / "driver", settings, NullProgress())
    monkeypatch.setattr(falls, "FEW", 0)
    by_spark = prepare_on_spark(sources, tmp_path / "spark", settings, NullProgress())
    assert by_spark == by_driver
    assert (by_driver.filtered["exact_duplicate"] > 0) == drop
    assert reviews_in_order(tmp_path / "spark").equals(reviews_in_order(tmp_path / "driver"))


def test_the_nasty_data_is_cut(data: dict[str, Path], small_pieces: None) -> None:
    """What `test_equal` compares went through pieces of a file, and files that are one piece."""
    from shelfcheck.prepare.spark.pieces import cut

    sources = find_sources([str(data["nasty"])], Settings().source)
    pieces = cut(sources, 2)
    assert any(item.reader.row_groups not in {None, (0, 7)} for piece in pieces for item in piece)
    assert any(len(piece) > 2 for piece in pieces)
