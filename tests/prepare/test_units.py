"""Units of prepared reviews: they hold every row once, in order, and a place leads back to its row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shelfcheck.prepare import units as module
from shelfcheck.prepare.units import NO_DATE, look_up, places, tasks_of, units


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A month larger than a unit, small ones, one of two files, reviews without a date."""
    monkeypatch.setattr(module, "UNIT_ROWS", 10)
    number = 0
    for month, sizes in {
        "2014-12": [2],
        "2015-01": [25, 3],
        "2015-02": [1],
        "2015-03": [10],
        "__HIVE_DEFAULT_PARTITION__": [4],
    }.items():
        folder = tmp_path / "reviews" / f"review_month={month}"
        folder.mkdir(parents=True)
        for part, rows in enumerate(sizes):
            ids = pa.array([f"R{number + i}" for i in range(rows)])
            pq.write_table(pa.table({"review_id": ids}), folder / f"part-{part}.parquet", row_group_size=4)
            number += rows
    return tmp_path


def test_every_row_once_and_in_order(prepared):
    found = units(prepared)
    assert [unit.number for unit in found] == list(range(len(found)))
    ids = [one for unit in found for one in unit.read(["review_id"])["review_id"].to_pylist()]
    assert ids == [f"R{i}" for i in range(45)]
    assert {part.month for unit in found for part in unit.parts} == {
        2014 * 12 + 11, 2015 * 12, 2015 * 12 + 1, 2015 * 12 + 2, NO_DATE,
    }  # fmt: skip
    assert max(unit.rows for unit in found) <= 13  # whole row groups: less than one too many
    assert any(len(unit.parts) > 1 for unit in found)


def test_a_place_leads_to_its_row(prepared):
    found = units(prepared)
    all_places = np.concatenate([places(unit, 0, unit.rows) for unit in found]).tolist()
    assert all_places == sorted(all_places)
    assert list(look_up(found, all_places, ["review_id"]).values()) == [
        {"review_id": f"R{i}"} for i in range(45)
    ]
    assert look_up(found, [all_places[30], all_places[2]], ["review_id"]) == {
        all_places[30]: {"review_id": "R30"},
        all_places[2]: {"review_id": "R2"},
    }
    assert look_up(found, [], ["review_id"]) == {}


@pytest.mark.parametrize("slots", [1, 3, 100])
def test_tasks_hold_all_units_in_order(prepared, slots):
    found = units(prepared)
    tasks = tasks_of(found, slots)
    assert [unit.number for task in tasks for unit in task] == [unit.number for unit in found]
    assert all(tasks)
    assert len(tasks) >= min(len(found), 2 * slots)
    assert all(part.metadata is None for task in tasks for unit in task for part in unit.parts)
    assert tasks[-1][-1].read(["review_id"])["review_id"].to_pylist()[-1] == "R44"  # without its footer


def test_no_reviews(tmp_path):
    (tmp_path / "reviews").mkdir()
    assert units(tmp_path) == []
    assert tasks_of([], 2) == []
