"""Training files: the split of the models, the order of the md5, the same texts and labels when read back."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_corpus import reviews
from shelfcheck import api
from shelfcheck.config import SourceSettings, validate
from shelfcheck.errors import NotEnoughDataError, UsageError
from shelfcheck.export.lines import fasttext_lines, manifest_lines
from shelfcheck.models.labels import labelled
from shelfcheck.models.split import split
from shelfcheck.prepare.read import iter_prepared
from shelfcheck.sources import find_sources

SIDES = ("train", "validation", "test")
SMALL = {"train.linear.hash_bits": 16, "train.min_category_reviews": 30, "run.threads": 1}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A workspace whose reviews lack some products, dates and stars; a small class, an empty text, copies."""
    import pyarrow.parquet as pq

    home = tmp_path_factory.mktemp("shop")
    rows = reviews(2400, seed=3).to_pylist()
    for i, row in enumerate(rows):
        row["review_date"] = dt.date(2014, 1, 1) + dt.timedelta(days=i % 700) if i % 11 else None
        row["star_rating"] = 1 + i % 5 if i % 13 else None
        row["review_body"] = f"{row['review_body']} é\x01日 <br /> no{i % 900}"
    rows[5]["review_body"], rows[5]["review_headline"] = "it was so!!!", None
    for i in range(40, 60):
        rows[i]["product_category"] = "Rare"
    names = [name for name in rows[0] if name not in {"review_tokens", "review_month"}]
    table = pa.Table.from_pylist([{name: row[name] for name in names} for row in rows])
    pq.write_table(table, home / "raw.parquet")
    api.prepare(home / "raw.parquet", home / "shop", overrides={"run.threads": 1})
    return home / "shop"


def exported(
    shop: Path, output: Path | str, to: str = "augmented-manifest", **more: Any
) -> api.LabelledExport:
    overrides = SMALL | more.pop("overrides", {})
    return api.export(shop, output, to, overrides=overrides, **more)  # type: ignore[arg-type]


def lines_of(output: Path, side: str) -> list[str]:
    found = []
    for path in sorted((output / side).iterdir()):
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        assert text.endswith("\n")
        found += text[:-1].split("\n")
    return found


def objects_of(output: Path, side: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(output, side)]


def sides_of_the_models(shop: Path, folder: Path, overrides: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Review id -> side and class, as training takes them."""
    from shelfcheck.models.encode import encode

    values: dict[str, Any] = {"run": {"threads": 1}, "train": {"linear": {"hash_bits": 16}}}
    values["train"] |= {key.removeprefix("train."): value for key, value in overrides.items()}
    settings = validate(values)
    encoded = encode(next((shop / "prepared").glob("*/reviews")).parent, folder, settings)
    given = labelled(encoded, settings.train)
    parts = split(given.encoded, settings.train)
    ids = encoded.rows().column("review_id").to_pylist()
    found = {}
    for side, mask in zip(SIDES, (parts.train, parts.held, parts.test), strict=True):
        for row in np.flatnonzero(mask & (given.encoded.label >= 0)).tolist():
            found[ids[row]] = (side, given.encoded.categories[given.encoded.label[row]])
    return found


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"train.split": "row", "train.test_share": 0.3},
        {"train.split": "time", "train.split_date": "2015-03-01"},
        {"train.label": "star_rating"},
        {"train.label": "product_category_year", "train.min_category_reviews": 50},
    ],
)
def test_the_split_and_the_classes_are_those_of_the_models(shop, tmp_path, overrides):
    found = exported(shop, tmp_path / "out", columns=["review_id"], labels="names", overrides=overrides)
    wanted = sides_of_the_models(shop, tmp_path / "encoded", {"train.min_category_reviews": 30} | overrides)
    texts = dict(read_texts(shop))
    empty = {one for one in wanted if not texts[one]}
    written = {
        row["review_id"]: (side, row["label"]) for side in SIDES for row in objects_of(tmp_path / "out", side)
    }
    assert written == {one: told for one, told in wanted.items() if one not in empty}
    assert found.rows == {side: Counter(side for side, _ in written.values())[side] for side in SIDES}
    assert sum(found.rows.values()) + sum(found.left_out.values()) == len(texts)
    assert {side: sum(own[side] for own in found.labels.values()) for side in SIDES} == found.rows


def read_texts(shop: Path) -> list[tuple[str, str]]:
    """Review id, and the tokens of headline and body by the definition in plain Python."""
    from shelfcheck.config import TextSettings
    from shelfcheck.text.tokens import reference, stop_words

    words = stop_words(TextSettings())
    folder = next((shop / "prepared").glob("*/reviews")).parent
    found = []
    for batch in iter_prepared(folder, ["review_id", "review_headline", "review_body"]):
        for row in batch.to_pylist():
            both = [reference(row[name] or "", words) for name in ("review_headline", "review_body")]
            found.append((row["review_id"], " ".join(text for text in both if text)))
    return found


def test_texts_are_those_that_the_model_reads(shop, tmp_path):
    exported(shop, tmp_path / "out", columns=["review_id"])
    texts = dict(read_texts(shop))
    rows = [row for side in SIDES for row in objects_of(tmp_path / "out", side)]
    assert {row["review_id"]: row["source"] for row in rows} == {
        row["review_id"]: texts[row["review_id"]] for row in rows
    }
    exported(shop, tmp_path / "body", columns=["review_id"], fields=["review_body"])
    bodies = {row["review_id"]: row["source"] for row in objects_of(tmp_path / "body", "train")}
    assert all(texts[one].endswith(body) for one, body in bodies.items())
    assert any(texts[one] != body for one, body in bodies.items())


def test_each_side_is_in_the_order_of_the_md5(shop, tmp_path):
    exported(shop, tmp_path / "out", columns=["review_id", "review_date"])
    for side in SIDES:
        rows = objects_of(tmp_path / "out", side)
        ids = [row["review_id"] for row in rows]
        assert ids == sorted(ids, key=lambda one: hashlib.md5(one.encode()).digest())  # noqa: S324 - no secret
    days = [dt.date.fromisoformat(row["review_date"]).toordinal() for row in rows if row["review_date"]]
    assert abs(np.corrcoef(days, np.arange(len(days)))[0, 1]) < 0.15


def test_a_manifest_as_blazingtext_wants_it(shop, tmp_path):
    found = exported(shop, tmp_path / "out")
    names = json.loads((tmp_path / "out" / "label_map.json").read_text())
    assert list(names.values()) == list(range(len(names)))
    assert names == {name: own["number"] for name, own in found.labels.items()}
    assert "Rare" not in names
    assert found.left_out == {"no_label": 0, "no_text": 1, "no_side": 0, "small_class": 20}
    for side in SIDES:
        for row in objects_of(tmp_path / "out", side):
            assert list(row) == ["source", "label"]
            assert isinstance(row["source"], str)
            assert row["source"]
            assert row["label"] in names.values()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["rows"] == found.rows
    for one in manifest["files"]:
        path = tmp_path / "out" / one["name"]
        assert one["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert one["bytes"] == path.stat().st_size
        assert one["rows"] == len(lines_of(tmp_path / "out", one["side"]))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "label_map.json",
        "manifest.json",
        *sorted(SIDES),
    ]


@pytest.mark.parametrize("to", ["augmented-manifest", "fasttext"])
@pytest.mark.parametrize("labels", ["numbers", "names"])
@pytest.mark.parametrize("compress", [False, True])
def test_what_is_read_back_is_what_was_written(shop, tmp_path, to, labels, compress):
    """Export, then the reader of the same form: the same texts, the same labels, the same sides."""
    exported(shop, tmp_path / "out", to, labels=labels, compress=compress, max_megabytes=1)
    exported(shop, tmp_path / "plain", labels="names")
    assert (tmp_path / "out" / "label_map.json").exists() == (labels == "numbers")
    sources = find_sources([str(tmp_path / "out")], SourceSettings())
    assert {source.format for source in sources} == {to.replace("-", "_")}
    found: dict[str, list[tuple[str, str]]] = {side: [] for side in SIDES}
    for source in sources:
        for batch in source.batches():
            assert batch.rejected.num_rows == 0
            for row in batch.reviews.to_pylist():
                found[Path(source.path).parent.name].append((row["product_category"], row["review_body"]))
    for side in SIDES:
        wanted = [(row["label"], row["source"]) for row in objects_of(tmp_path / "plain", side)]
        assert found[side] == wanted


def test_a_manifest_with_columns_makes_the_same_split_again(shop, tmp_path):
    columns = ["review_id", "product_id", "review_date", "star_rating"]
    exported(shop, tmp_path / "out", columns=columns, fields=["review_body"])
    api.prepare(
        tmp_path / "out", tmp_path / "again", overrides={"run.threads": 1, "prepare.min_characters": 0}
    )
    overrides = {"train.min_category_reviews": 30}
    before = sides_of_the_models(shop, tmp_path / "a", overrides)
    after = sides_of_the_models(tmp_path / "again", tmp_path / "b", overrides)
    kept = {one: before[one] for one in after}
    # Copies of a text without a product are dropped as duplicates, and nothing else is.
    assert after == kept
    assert len(before) - len(after) < 30
    exported(tmp_path / "again", tmp_path / "more", columns=columns, fields=["review_body"])
    first = {row["review_id"]: row for side in SIDES for row in objects_of(tmp_path / "out", side)}
    for side in SIDES:
        for row in objects_of(tmp_path / "more", side):
            assert row == first[row["review_id"]]


def test_columns_are_json(shop, tmp_path):
    columns = ["review_id", "review_date", "star_rating", "vine", "review_headline"]
    exported(shop, tmp_path / "out", columns=columns)
    by_id = {}
    for batch in iter_prepared(next((shop / "prepared").glob("*/reviews")).parent, columns):
        by_id |= {row["review_id"]: row for row in batch.to_pylist()}
    for row in objects_of(tmp_path / "out", "test"):
        wanted = by_id[row["review_id"]]
        day = wanted["review_date"]
        assert {name: row[name] for name in columns} == wanted | {"review_date": day and day.isoformat()}


def test_fasttext_learns_from_the_files(shop, tmp_path):
    pytest.importorskip("fasttext")
    found = exported(shop, tmp_path / "out", "fasttext")
    (train,), (test,) = ((tmp_path / "out" / side).iterdir() for side in ("train", "test"))
    # A process of its own, and pairs: this build of fastText seems to read memory never set, and gives NaN.
    code = (
        "import json, sys, fasttext\n"
        "model = fasttext.train_supervised(sys.argv[1], dim=20, wordNgrams=2, lr=0.5, epoch=5, minCount=2,\n"
        "    bucket=1_000_000, thread=1, verbose=0)\n"
        "print(json.dumps([sorted(model.labels), *model.test(sys.argv[2])]))\n"
    )
    command = [sys.executable, "-c", code, str(train), str(test)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    labels, n, precision, _ = json.loads(done.stdout)
    assert labels == [f"__label__{name}" for name in sorted(found.labels)]
    assert n == found.rows["test"]
    assert precision > 0.75


def test_shards_hold_the_same_lines(shop, tmp_path, monkeypatch):
    whole = exported(shop, tmp_path / "whole", "fasttext")
    monkeypatch.setattr("shelfcheck.export.rows.PART_ROWS", 300)  # several parts, too
    cut = api.export(shop, tmp_path / "cut", "fasttext", overrides=SMALL, max_megabytes=None)
    assert [one.sha256 for one in cut.files] == [one.sha256 for one in whole.files]
    from shelfcheck.export import Options

    sharded = export_with(shop, tmp_path / "shards", Options("fasttext", max_bytes=5000))
    assert len(sharded.files) > 20
    for side in SIDES:
        pieces = [one for one in sharded.files if one.side == side]
        data = b"".join((tmp_path / "shards" / one.name).read_bytes() for one in pieces)
        assert data == (tmp_path / "whole" / side / f"{side}-00000.txt").read_bytes()
        assert all(5000 <= one.bytes < 6000 for one in pieces[:-1])
    zipped = export_with(shop, tmp_path / "zip", Options("fasttext", max_bytes=5000, compress=True))
    for one, other in zip(sharded.files, zipped.files, strict=True):
        assert other.name == f"{one.name}.gz"
        assert other.rows == one.rows
        data = gzip.decompress((tmp_path / "zip" / other.name).read_bytes())
        assert data == (tmp_path / "shards" / one.name).read_bytes()


def export_with(shop: Path, output: Path, options: Any, progress: Any = None) -> Any:
    from shelfcheck.export import Prepared, export_labelled
    from shelfcheck.progress import NullProgress
    from shelfcheck.settings_file import resolve
    from shelfcheck.workspace import Workspace

    manifest = Workspace(shop).manifest("prepared")
    folder = Workspace(shop).path("prepared", made_by="")
    return export_labelled(
        Prepared(folder, manifest.fingerprint),
        output,
        options,
        resolve(None, SMALL, shop).settings,
        progress or NullProgress(),
    )


class _Stopped(Exception):  # noqa: N818 - not an error of ours
    pass


class _StopsAt:
    """Progress that breaks the work off at the n-th piece."""

    def __init__(self, n: int) -> None:
        self.left = n

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        self.writing = label.startswith("Writing")

    def advance(self, n: int, **counters: int) -> None:
        if self.writing:
            self.left -= 1
            if not self.left:
                raise _Stopped

    def finish(self) -> None:
        pass


@pytest.mark.parametrize("at", [1, 4, 9])
def test_a_stopped_export_goes_on(shop, tmp_path, monkeypatch, at):
    from shelfcheck.export import Options

    monkeypatch.setattr("shelfcheck.export.rows.PART_ROWS", 300)
    options = Options("augmented-manifest", max_bytes=4000)
    clean = export_with(shop, tmp_path / "clean", options)
    with pytest.raises(_Stopped):
        export_with(shop, tmp_path / "out", options, _StopsAt(at))
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not (tmp_path / "out" / ".tmp-export").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jsonl")}
    gone_on = export_with(shop, tmp_path / "out", options)
    assert gone_on.reused == len(kept) > 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert asdict(gone_on) | {"output": "", "reused": 0} == asdict(clean) | {"output": "", "reused": 0}
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "clean")
    assert export_with(shop, tmp_path / "out", options).fresh


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_killed_export_goes_on(shop, tmp_path):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from shelfcheck.export import journal\n"
        "add = journal.Journal.add\n"
        "def slow(self, *given):\n"
        "    add(self, *given); print('file', flush=True); time.sleep(.2)\n"
        "journal.Journal.add = slow\n"  # so that the kill comes between two files
        "from shelfcheck import api\n"
        f"api.export({str(shop)!r}, sys.argv[1], 'fasttext', overrides={SMALL!r}, compress=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (tmp_path / "out" / "export.partial.json").exists()
    assert not (tmp_path / "out" / "manifest.json").exists()
    gone_on = exported(shop, tmp_path / "out", "fasttext", compress=True)
    assert 0 < gone_on.reused < 3
    exported(shop, tmp_path / "clean", "fasttext", compress=True)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "clean")


def test_other_options_replace_an_export(shop, tmp_path):
    exported(shop, tmp_path / "out", max_megabytes=1)
    assert exported(shop, tmp_path / "out", max_megabytes=1).fresh
    again = exported(shop, tmp_path / "out", max_megabytes=1, force=True)
    assert not again.fresh
    other = exported(shop, tmp_path / "out", "fasttext")
    assert other.reused == 0
    assert sorted(bytes_of(tmp_path / "out")) == sorted(["manifest.json", *(one.name for one in other.files)])
    (tmp_path / "out" / other.files[1].name).write_bytes(b"damaged")
    assert exported(shop, tmp_path / "out", "fasttext").reused == 2


def test_a_dry_run_counts_and_writes_nothing(shop, tmp_path):
    planned = exported(shop, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    written = exported(shop, tmp_path / "out")
    assert asdict(planned) | {"files": ()} == asdict(written) | {"files": ()}
    assert not planned.fresh


def test_s3_gets_the_same_bytes(shop, tmp_path, monkeypatch, s3_endpoint):
    import s3fs

    for name, value in (
        ("ACCESS_KEY_ID", "any"),
        ("SECRET_ACCESS_KEY", "any"),
        ("DEFAULT_REGION", "us-east-1"),
        ("ENDPOINT_URL", s3_endpoint),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("labelled")
    exported(shop, tmp_path / "out", compress=True)
    written = exported(shop, "s3://labelled/bt", compress=True)
    assert written.output == "s3://labelled/bt"
    found = {path.removeprefix("labelled/bt/"): store.cat_file(path) for path in store.find("labelled/bt")}
    assert found == bytes_of(tmp_path / "out")
    assert exported(shop, "s3://labelled/bt", compress=True).fresh
    sources = find_sources(["s3://labelled/bt"], SourceSettings())
    assert {source.label_map for source in sources} == {"s3://labelled/bt/label_map.json"}
    rows = [row for batch in sources[0].batches() for row in batch.reviews.to_pylist()]
    assert {row["product_category"] for row in rows} == set(written.labels)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"to": "csv"}, "'csv' is no form"),
        ({"to": "fasttext", "columns": ["review_id"]}, "labels and texts alone"),
        ({"columns": ["review_body"]}, "review_body: cannot be written beside"),
        ({"fields": ["product_title"]}, "must be one or both"),
        ({"fields": ["review_body", "review_body"]}, "must be one or both"),
        ({"max_megabytes": 0}, "at least one byte"),
    ],
)
def test_wrong_options(shop, tmp_path, wrong, told):
    with pytest.raises(UsageError, match=told):
        exported(shop, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_other_files_are_left_alone(shop, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        exported(shop, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


def test_nothing_to_write(shop, tmp_path):
    with pytest.raises(NotEnoughDataError, match="small_class 2,3"):
        exported(shop, tmp_path / "out", overrides={"train.min_category_reviews": 100_000})
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_the_command(shop, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "shelfcheck", "export", *arguments, "--workspace", str(shop)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    dry = run(str(tmp_path / "out"), "--to", "fasttext", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "Would be written to" in dry.stdout
    assert "left out: 1 reviews that have no token" in dry.stdout
    done = run(
        str(tmp_path / "out"), "--to", "augmented-manifest", "--json", "--columns", "review_id, product_id"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["rows"] == {side: len(lines_of(tmp_path / "out", side)) for side in SIDES}
    assert told["fresh"] is False
    assert list(objects_of(tmp_path / "out", "test")[0]) == ["source", "label", "review_id", "product_id"]
    again = run(str(tmp_path / "out"), "--to", "augmented-manifest", "--columns", "review_id,product_id")
    assert "(fresh)" in again.stdout
    absent = subprocess.run(
        [sys.executable, "-m", "shelfcheck", "export", "x", "--to", "fasttext", "-w", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert absent.returncode == 1
    assert "shelfcheck prepare" in absent.stderr
    assert "Traceback" not in absent.stderr


texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(texts, st.integers(0, 40), st.none() | texts), max_size=6))
def test_any_text_is_json(rows: list[tuple[str, int, str | None]]) -> None:
    columns = list(zip(*rows, strict=True)) or [[], [], []]
    said, numbers, more = (
        pa.array(column, kind)
        for column, kind in zip(columns, (pa.string(), pa.int32(), pa.string()), strict=True)
    )
    lines = manifest_lines(said, numbers, ["review_id"], [more]).to_pylist()
    assert [tuple(json.loads(line).values()) for line in lines] == rows
    assert all(line.endswith("}\n") and line.count("\n") == 1 for line in lines)


def test_fasttext_lines_by_hand() -> None:
    lines = fasttext_lines(pa.array(["a novel", "日"]), pa.array(["Books", "3"]))
    assert lines.to_pylist() == ["__label__Books a novel\n", "__label__3 日\n"]
    assert fasttext_lines(pa.array(["x"]), pa.array([7], pa.int32())).to_pylist() == ["__label__7 x\n"]


def test_time_passes_no_bytes(shop, tmp_path):
    exported(shop, tmp_path / "a", compress=True)
    time.sleep(1.1)  # gzip's clock has seconds
    exported(shop, tmp_path / "b", compress=True)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
