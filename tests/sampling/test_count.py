"""Counts from metadata: the same as counting the rows, wherever they stand."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sampling_support import publish, shop

from shelfcheck import api
from shelfcheck.errors import SourceError, UsageError, WorkspaceError
from shelfcheck.listing import Listing
from shelfcheck.prepare import list_prepared
from shelfcheck.sampling.count import count

REVIEWS = shop(700, seed=4)
MONTHS = Counter(month or "unknown" for month in REVIEWS["review_month"].to_pylist())


@pytest.mark.parametrize("inside", ["", "prepared", "prepared/aaa"])
@pytest.mark.parametrize("listed", [True, False])
def test_a_workspace_is_counted(tmp_path, inside, listed):
    publish(REVIEWS, tmp_path, listed=listed)
    rejected = tmp_path / "prepared/aaa/rejected"
    rejected.mkdir()
    pq.write_table(pa.table({"reason": ["too few fields"]}), rejected / "rejected.parquet")
    found = count(tmp_path / inside, by="month")
    assert found.rows == 700
    assert found.months == dict(MONTHS)
    assert list(found.months) == sorted(found.months)
    assert found.files == len(MONTHS)
    sizes = (file.stat().st_size for file in (tmp_path / "prepared/aaa/reviews").rglob("*.parquet"))
    assert found.bytes == sum(sizes)
    assert ("months.json" in found.used) == listed
    assert count(tmp_path / inside).months is None


def test_the_listing_alone_answers(tmp_path):
    publish(REVIEWS, tmp_path)
    shutil.rmtree(tmp_path / "prepared/aaa/reviews")
    assert api.count(workspace=tmp_path).rows == 700


def test_a_listing_comes_back_as_it_was(prepared):
    listing = list_prepared(prepared(REVIEWS, parts=3))
    assert Listing.from_json(listing.to_json()) == listing
    assert listing.rows_by_month() == dict(MONTHS)
    assert listing.rows == 700


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "months": {"2015-01": 3}}', '{"format": 2}'])
def test_a_damaged_listing_is_told_with_the_way_out(tmp_path, text):
    publish(REVIEWS, tmp_path)
    (tmp_path / "prepared/aaa/months.json").write_text(text, encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"months\.json.*Remove the file"):
        count(tmp_path)


def test_prepare_lists_what_it_writes(tmp_path):
    api.generate(tmp_path / "raw", reviews=2000, seed=1)
    result = api.prepare(tmp_path / "raw", tmp_path / "shop")
    listing = Listing.from_json((result.folder / "months.json").read_text(encoding="utf-8"))
    assert listing == list_prepared(result.folder)
    assert listing.rows == result.counts["rows_kept"]
    counted = {name: result.counts[name] for name in ("months", "files", "bytes")}
    assert counted == {
        "months": len(listing.months),
        "files": len(listing.files()),
        "bytes": listing.bytes,
    }


def dated(days: list[str | None]) -> pa.Table:
    dates = [None if day is None else dt.date.fromisoformat(day) for day in days]
    return pa.table({"review_date": pa.array(dates, pa.date32())})


def test_months_come_from_the_dates_of_row_groups(tmp_path):
    days = ["2015-01-01", "2015-01-31", "2015-02-01", "2015-02-02", None, None]
    pq.write_table(dated(days), tmp_path / "a.parquet", row_group_size=2)
    pq.write_table(dated(["2015-02-03"]), tmp_path / "b.pq")
    (tmp_path / "notes.txt").write_text("not counted", encoding="utf-8")
    found = count(tmp_path, by="month")
    assert found.months == {"2015-01": 2, "2015-02": 3, "unknown": 2}
    assert (found.rows, found.files, found.other_files) == (7, 2, 1)
    assert found.used == "footers of 2 Parquet files"


@pytest.mark.parametrize("days", [["2015-01-01", "2015-02-01"], ["2015-01-01", None]])
def test_months_that_metadata_do_not_tell_are_not_guessed(tmp_path, days):
    pq.write_table(dated(days), tmp_path / "a.parquet")
    assert count(tmp_path / "a.parquet").rows == 2
    with pytest.raises(UsageError, match="shelfcheck prepare"):
        count(tmp_path / "a.parquet", by="month")


def test_a_place_that_tells_nothing(tmp_path):
    with pytest.raises(SourceError, match="no such file or folder"):
        count(tmp_path / "none")
    with pytest.raises(SourceError, match="no Parquet file there"):
        count(tmp_path)
    (tmp_path / "half.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceError, match="not a whole Parquet file"):
        count(tmp_path)


def test_the_command_loads_nothing_heavy(tmp_path):
    publish(REVIEWS, tmp_path)
    code = (
        "import sys; from shelfcheck.cli.main import cli\n"
        f"cli.main(['count', '--json', '--workspace', {str(tmp_path)!r}], standalone_mode=False)\n"
        "heavy = ('pydantic', 'rich', 'numpy', 'pyarrow', 'fsspec')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, _, loaded = done.stdout.rpartition("}\n")
    assert json.loads(told + "}")["rows"] == 700
    assert loaded.strip() == "[]"


@pytest.fixture(scope="module")
def memory():
    fsspec = pytest.importorskip("fsspec")
    fs = fsspec.filesystem("memory")
    yield fs
    fs.rm("/", recursive=True)


@pytest.mark.parametrize("listed", [True, False])
def test_an_object_store_is_counted(tmp_path, memory, listed):
    publish(REVIEWS, tmp_path / "shop", listed=listed)
    memory.put(str(tmp_path / "shop"), f"/bucket-{listed}/shop", recursive=True)
    for inside in ("", "/prepared", "/prepared/aaa"):
        found = count(f"memory://bucket-{listed}/shop{inside}", by="month")
        assert (found.rows, found.months, found.files) == (700, dict(MONTHS), len(MONTHS))
        assert ("months.json" in found.used) == listed
    one = next(
        file for file in memory.find(f"/bucket-{listed}") if file.endswith("2015-01/part-00000.parquet")
    )
    assert count(f"memory:/{one}", by="month").months == {"2015-01": MONTHS["2015-01"]}
    with pytest.raises(SourceError, match="no Parquet file there"):
        count("memory://bucket-none")


def test_a_footer_longer_than_the_first_read(tmp_path, memory):
    wide = pa.table({f"column_{i}": [i] for i in range(1500)})
    pq.write_table(wide, tmp_path / "wide.parquet")
    memory.put(str(tmp_path / "wide.parquet"), "/wide/wide.parquet")
    assert pq.read_metadata(tmp_path / "wide.parquet").serialized_size > 1 << 16
    assert count("memory://wide").rows == 1
