"""Adding new sources to prepared reviews gives what reading all of them would."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from prepare_support import Rows, ids, read, review, run

from shelfcheck.prepare import earlier
from shelfcheck.prepare.record import Record, compare, in_order_of_arrival, read_record

if TYPE_CHECKING:
    from pathlib import Path

    from prepare_support import Row

ROW = st.one_of(
    st.none(),
    st.builds(
        review,
        st.integers(0, 5),
        review_id=st.sampled_from([None, None, "A", "B", "C", "D", "E"]),
        product_category=st.sampled_from([None, "Books", "Books", "Toys", "Games"]),
        review_body=st.sampled_from(["", "short", "a body that is long enough", "another body", "x" * 60]),
        marketplace=st.sampled_from([None, "US", "DE"]),
        review_date=st.sampled_from([None, dt.date(2015, 8, 2), dt.date(2015, 9, 3), dt.date(1999, 1, 31)]),
    ),
)


def rejected(out: Path) -> list[Row]:
    return pq.read_table(out / "rejected" / "rejected.parquet").to_pylist()


def sorted_rows(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: repr(sorted(row.items(), key=lambda item: item[0])))


def record_of(out: Path) -> Record:
    found = read_record(out)
    assert found is not None
    return found


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@settings(max_examples=20, deadline=None)
@given(
    files=st.lists(st.lists(ROW, max_size=12), min_size=2, max_size=5),
    data=st.data(),
    rule=st.sampled_from(["fixed", "fixed", "sd", "quantile"]),
    duplicates=st.booleans(),
    share=st.sampled_from([0.0, 0.0, 0.3]),
    in_order=st.booleans(),
)
def test_the_same_rows_and_counts_as_a_full_run(
    *,
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[Row | None]],
    data: st.DataObject,
    rule: str,
    duplicates: bool,
    share: float,
    in_order: bool,
) -> None:
    options: dict[str, Any] = {
        "prepare__length_rule": rule,
        "prepare__length_quantiles": (0.1, 0.9),
        "prepare__drop_duplicates": duplicates,
        "prepare__min_category_share": share,
        "prepare__marketplaces": data.draw(st.sampled_from([(), ("US",)])),
        "prepare__max_rejected_share": 1.0,
    }
    whole = [Rows(rows, path=str(i)) for i, rows in enumerate(files)]
    arrival = list(range(len(files))) if in_order else data.draw(st.permutations(range(len(files))))
    cuts = sorted({data.draw(st.integers(1, len(files) - 1)), len(files)})
    folder = tmp_path_factory.mktemp("prepared")
    previous = None
    for cut in cuts:  # each run has the files that came so far, in the order of their paths
        out = folder / str(cut)
        named = [whole[i] for i in sorted(arrival[:cut])]
        before = None if previous is None else digests(previous)
        summary = run(out, *named, previous=previous, **options)
        if previous is not None:
            assert digests(previous) == before
        full = folder / f"full{cut}"
        assert summary == run(full, *named, **options)
        assert (out / "summary.json").read_bytes() == (full / "summary.json").read_bytes()
        assert sorted_rows(read(out)) == sorted_rows(read(full))
        assert sorted_rows(rejected(out)) == sorted_rows(rejected(full))
        found = record_of(out)
        event("anew" if found.anew else "added" if previous else "first")
        read_in_order = [source.path for source in found.sources] == [source.path for source in named]
        if read_in_order:
            assert read(out) == read(full)
            assert rejected(out) == rejected(full)
        if in_order:
            assert read_in_order
            if rule == "fixed" and share == 0:
                assert not found.anew  # rows that come later take no earlier row's place
        previous = out


def months(*numbers: int, month: int, **values: Any) -> list[Row | None]:
    return [review(n, review_date=dt.date(2015, month, 1 + n % 28), **values) for n in numbers]


def test_only_new_sources_are_read_and_old_files_are_shared(tmp_path: Path) -> None:
    class Once(Rows):
        def batches(self, batch_rows: int = 65536):  # type: ignore[no-untyped-def]
            assert not hasattr(self, "done"), f"{self.path} is read again"
            self.done = True
            return super().batches(batch_rows)

    first = Once([*months(1, 2, month=1), *months(3, 4, month=2)], path="a")
    second = Once([*months(5, month=2), *months(6, month=3), None], path="b")
    run(tmp_path / "1", first, prepare__csv=True)
    summary = run(
        tmp_path / "2",
        first,
        second,
        previous=tmp_path / "1",
        prepare__csv=True,
        prepare__max_rejected_share=0.5,
    )
    assert (summary.rows_read, summary.rows_kept) == (7, 6)
    assert ids(tmp_path / "2") == ["R1", "R2", "R3", "R4", "R5", "R6"]

    def same_file(name: str) -> bool:
        return (tmp_path / "1" / name).stat().st_ino == (tmp_path / "2" / name).stat().st_ino

    for name in (
        "reviews/review_month=2015-01/part-00000.parquet",
        "reviews/review_month=2015-02/part-00000.parquet",
        "keys/part-00000.parquet",
        "csv/2015-01.csv.gz",
    ):
        assert same_file(name)
    assert not same_file("csv/2015-02.csv.gz")
    assert record_of(tmp_path / "2").added == {
        "reviews/review_month=2015-02/part-00001.parquet": 0,
        "reviews/review_month=2015-03/part-00000.parquet": 0,
    }


def test_without_hard_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    first, second = Rows(months(1, 2, month=1), path="a"), Rows(months(3, month=1), path="b")
    run(tmp_path / "1", first)
    run(tmp_path / "2", first, second, previous=tmp_path / "1")
    assert not record_of(tmp_path / "2").anew
    assert ids(tmp_path / "2") == ["R1", "R2", "R3"]


CHANGES = [
    ({"rows": [review(1), review(2), review(9)]}, "a file has changed: a"),
    ({"category": "Toys"}, "a file has changed: a"),
    ({"path": "c"}, "a file is no longer there: a"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_what_has_changed_is_read_anew(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    values: dict[str, Any] = {"rows": [review(1), review(2)], "path": "a", "fingerprint": "1"}
    run(tmp_path / "1", Rows(**values))
    changed = Rows(**values | change)
    changed.fingerprint = str(len(changed.rows))
    if "path" in change:
        changed.fingerprint = "1"
    new = Rows([review(3)], path="b")
    run(tmp_path / "2", changed, new, previous=tmp_path / "1")
    assert record_of(tmp_path / "2").anew == told
    assert ids(tmp_path / "2") == [row["review_id"] for row in [*changed.rows, review(3)] if row]


def test_a_file_that_sorts_first_and_holds_a_copy_of_an_old_row(tmp_path: Path) -> None:
    old = Rows(months(1, 2, month=1), path="b")
    run(tmp_path / "1", old)
    copy = Rows(months(2, 3, month=1, product_title="the first to be read"), path="a")
    run(tmp_path / "2", copy, old, previous=tmp_path / "1")
    told = record_of(tmp_path / "2").anew
    assert told == "the new rows change what becomes of some of the others (repeated_review_id 1)"
    assert ids(tmp_path / "2") == ["R2", "R3", "R1"]
    new = Rows(months(4, month=1), path="0")
    run(tmp_path / "3", new, copy, old, previous=tmp_path / "2")
    assert not record_of(tmp_path / "3").anew
    assert ids(tmp_path / "3") == ["R2", "R3", "R1", "R4"]  # new rows stand behind, wherever their file sorts


def test_a_category_that_is_rare_no_longer(tmp_path: Path) -> None:
    old = Rows([*(review(i) for i in range(9)), review(9, product_category="Toys")], path="a")
    run(tmp_path / "1", old, prepare__min_category_share=0.2)
    more = Rows([review(10 + i, product_category="Toys") for i in range(9)], path="b")
    summary = run(tmp_path / "2", old, more, previous=tmp_path / "1", prepare__min_category_share=0.2)
    assert "(rare_category 1)" in record_of(tmp_path / "2").anew
    assert summary.categories == {"Books": 9, "Toys": 10}


def test_numbers_behind_made_up_ids_go_on(tmp_path: Path) -> None:
    same = review(1, review_id=None)
    old, new = Rows([same, same], path="a"), Rows([same], path="b")
    run(tmp_path / "1", old, prepare__drop_duplicates=False)
    run(tmp_path / "2", old, new, previous=tmp_path / "1", prepare__drop_duplicates=False)
    assert not record_of(tmp_path / "2").anew
    found = ids(tmp_path / "2")
    assert [name.partition("-")[2] for name in found] == ["", "2", "3"]


def test_months_of_many_files_are_written_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "MOST_PARTS", 3)
    monkeypatch.setattr(earlier, "ROW_GROUP_ROWS", 4)
    named: list[Rows] = []
    previous = None
    for i in range(6):
        named.append(Rows([*months(2 * i, 2 * i + 1, month=1), *months(100 + i, month=2 + i)], path=str(i)))
        run(tmp_path / str(i), *named, previous=previous)
        previous = tmp_path / str(i)
        run(tmp_path / f"full{i}", *named)
        assert read(previous) == read(tmp_path / f"full{i}")
    parts = [len(list((tmp_path / str(i) / "reviews/review_month=2015-01").iterdir())) for i in range(6)]
    assert parts == [1, 2, 3, 1, 2, 3]
    assert record_of(tmp_path / "3").added["reviews/review_month=2015-01/part-00000.parquet"] == 6
    assert record_of(tmp_path / "4").added["reviews/review_month=2015-01/part-00001.parquet"] == 0


def test_without_keys_all_is_read(tmp_path: Path) -> None:
    old, new = Rows([review(1)], path="a"), Rows([review(2)], path="b")
    run(tmp_path / "1", old, run__incremental=False)
    assert not (tmp_path / "1" / "keys").exists()
    run(tmp_path / "2", old, new, previous=tmp_path / "1")
    assert "run.incremental was off" in record_of(tmp_path / "2").anew
    run(tmp_path / "3", old, new, previous=tmp_path / "2", run__incremental=False)
    assert record_of(tmp_path / "3").keys == ()
    assert ids(tmp_path / "3") == ["R1", "R2"]


def test_keys_that_someone_removed_are_not_missed(tmp_path: Path) -> None:
    old, new = Rows([review(1)], path="a"), Rows([review(2)], path="b")
    run(tmp_path / "1", old)
    (tmp_path / "1" / "keys" / "part-00000.parquet").unlink()
    run(tmp_path / "2", old, new, previous=tmp_path / "1")
    assert record_of(tmp_path / "2").anew == "keys of the earlier run are missing (part-00000.parquet)"
    assert ids(tmp_path / "2") == ["R1", "R2"]


def test_too_many_broken_rows_are_judged_over_all_files(tmp_path: Path) -> None:
    old = Rows([review(i) for i in range(95)], path="a")
    run(tmp_path / "1", old)
    summary = run(tmp_path / "2", old, Rows([None] * 5, path="b"), previous=tmp_path / "1")
    assert summary.rejected == {"bad_date": 5}
    with pytest.raises(Exception, match="6 of 101 rows read in all are broken"):
        run(tmp_path / "3", old, Rows([None] * 6, path="b"), previous=tmp_path / "1")


def test_what_is_new_changed_and_gone(tmp_path: Path) -> None:
    a, b, c = (Rows([review(i)] * 3, path=path) for i, path in enumerate("abc"))
    run(tmp_path, a, c)
    record = record_of(tmp_path)
    changes = compare(record, [a, b, c])  # type: ignore[list-item]
    assert (changes.same, changes.new, changes.changed, changes.gone) == (("a", "c"), ("b",), (), ())
    assert (changes.new_bytes, changes.new_rows, changes.only_new) == (30, 3, True)
    assert [source.path for source in in_order_of_arrival(record, [a, b, c])] == ["a", "c", "b"]  # type: ignore[list-item]
    other = Rows([review(1)], path="a", fingerprint="other")
    changes = compare(record, [b, other])  # type: ignore[list-item]
    assert (changes.new, changes.changed, changes.gone) == (("b",), ("a",), ("c",))
    assert changes.why_anew() == "a file has changed: a; a file is no longer there: c"
    assert in_order_of_arrival(record, [b, other]) == [b, other]  # type: ignore[list-item]
