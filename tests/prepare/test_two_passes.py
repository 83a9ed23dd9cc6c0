"""`prepare`: rules, files, order, counts and limits, over small sources in memory."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepare_support import Rows, ids, read, review, run

from shelfcheck.errors import RejectedShareError, WorkspaceError
from shelfcheck.prepare import PrepareSummary, count_prepared, iter_prepared
from shelfcheck.schema import PREPARED_SCHEMA, REJECTED_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path


def test_rows_and_files(tmp_path: Path) -> None:
    rows = [
        review(1, review_date=dt.date(2015, 8, 31), review_body="It&#39;s GREAT<br />Buy!"),
        review(2, review_date=None),
        review(3, review_date=dt.date(1969, 12, 31)),
        review(4, review_date=dt.date(2015, 8, 1)),
    ]
    summary = run(tmp_path, Rows([*rows, None]), prepare__max_rejected_share=0.5)
    folders = sorted(folder.name for folder in (tmp_path / "reviews").iterdir())
    assert folders == [
        "review_month=1969-12",
        "review_month=2015-08",
        "review_month=__HIVE_DEFAULT_PARTITION__",
    ]
    done = read(tmp_path)
    assert [row["review_id"] for row in done] == ["R3", "R1", "R4", "R2"]
    assert [row["review_month"] for row in done] == ["1969-12", "2015-08", "2015-08", None]
    assert done[1]["review_tokens"] == "great buy"
    assert done[1]["review_body"] == "It&#39;s GREAT<br />Buy!"
    assert next(iter_prepared(tmp_path)).schema == PREPARED_SCHEMA
    assert count_prepared(tmp_path) == 4
    assert summary.months == {"1969-12": 1, "2015-08": 2, "unknown": 1}
    assert summary.categories == {"Books": 4}
    assert summary.rejected == {"bad_date": 1}
    assert pq.read_table(tmp_path / "rejected" / "rejected.parquet").num_rows == 1
    assert PrepareSummary.from_json((tmp_path / "summary.json").read_text("utf-8")) == summary
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as file:
        assert ["rejected", "bad_date", "1"] in list(csv.reader(file))
    assert "rows kept" in summary.text()
    assert not (tmp_path / ".staging").exists()


RULES = [
    ("missing_body", {"review_body": None}, {}),
    ("missing_body", {"review_body": ""}, {}),
    ("missing_body", {"review_body": " \n\u00a0"}, {}),
    ("missing_category", {"product_category": None}, {}),
    ("missing_category", {"product_category": ""}, {}),
    ("missing_body", {"review_body": None, "product_category": None}, {}),  # the first rule counts
    ("marketplace", {"marketplace": "DE"}, {"prepare__marketplaces": ("US", "UK")}),
    ("too_short", {"review_body": "12345"}, {}),
    ("too_long", {"review_body": "x" * 5000}, {}),
    ("repeated_review_id", {"review_id": "R0"}, {}),
]


@pytest.mark.parametrize(("rule", "values", "options"), RULES)
def test_each_rule_drops_its_row(tmp_path: Path, rule: str, values: dict, options: dict) -> None:  # type: ignore[type-arg]
    summary = run(tmp_path, Rows([review(0), review(1, **values), review(2)]), **options)
    assert {name: n for name, n in summary.filtered.items() if n} == {rule: 1}
    assert ids(tmp_path) == ["R0", "R2"]


def test_bounds_are_exclusive_and_count_characters(tmp_path: Path) -> None:
    rows = [review(1, review_body="😀ßΣéa!"), review(2, review_body="x" * 4999)]
    assert run(tmp_path, Rows(rows)).rows_kept == 2


def test_rows_without_marketplace_are_kept(tmp_path: Path) -> None:
    rows = [review(1), review(2, marketplace="US"), review(3, marketplace="us")]
    run(tmp_path, Rows(rows), prepare__marketplaces=("US",))
    assert ids(tmp_path) == ["R1", "R2"]


def test_exact_duplicates_keep_the_first(tmp_path: Path) -> None:
    def same(name: str, **values: object) -> dict[str, object]:
        return review(0, review_id=name, **values)

    rows = [
        same("first", review_date=dt.date(2015, 8, 2)),
        same("second", review_date=dt.date(2015, 8, 2), product_title="titles do not count"),
        same("third", review_date=dt.date(2015, 8, 3)),
        same("fourth", review_date=dt.date(2015, 8, 2), star_rating=4),
        same("fifth", review_date=dt.date(2015, 8, 2), customer_id=""),
        same("sixth", review_date=dt.date(2015, 8, 2), review_headline=None),
        same("seventh", review_date=dt.date(2015, 8, 2), review_headline=""),
        same("eighth", review_date=dt.date(2015, 8, 2)),
    ]
    summary = run(tmp_path, Rows(rows[:4]), Rows(rows[4:], path="more"))
    assert ids(tmp_path) == ["first", "third", "fourth", "fifth", "sixth", "seventh"]
    assert summary.filtered["exact_duplicate"] == 2
    assert summary.sources["more"].filtered == {"exact_duplicate": 1}


def test_a_repeated_id_is_no_first_of_duplicates(tmp_path: Path) -> None:
    # R1's second row falls for its id; the third row has that content, and is then the first with it
    rows = [review(1), review(2, review_id="R1"), review(2, review_id="R3")]
    summary = run(tmp_path, Rows(rows))
    assert ids(tmp_path) == ["R1", "R3"]
    assert summary.filtered["repeated_review_id"] == 1


def test_duplicates_may_stay(tmp_path: Path) -> None:
    rows = [review(1), review(1), review(2, review_id="R1")]
    assert run(tmp_path, Rows(rows), prepare__drop_duplicates=False).rows_kept == 3


def test_ids_are_made_of_content(tmp_path: Path) -> None:
    plain = {"review_id": None, "product_id": "P", "customer_id": None, "review_date": dt.date(2015, 8, 2)}
    rows = [review(1, **plain), review(2), review(1, **plain), review(3, **plain), review(1, **plain)]
    content = "P\x1f\0\x1fHeadline 1\x1fThe body of number 1\x1f2015-08-02\x1f5"
    made = "H" + hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()[:16].upper()
    run(tmp_path / "kept", Rows(rows), prepare__drop_duplicates=False)
    kept = ids(tmp_path / "kept")
    assert [kept[0], kept[1], kept[3]] == [made, f"{made}-2", f"{made}-3"]
    assert len(set(kept)) == 5
    run(tmp_path / "dropped", Rows(rows))
    assert ids(tmp_path / "dropped") == [made, kept[2], "R2"]


def test_rare_categories(tmp_path: Path) -> None:
    rows = [review(i) for i in range(8)] + [review(i, product_category="Rare") for i in (8, 9)]
    rows += [
        review(i, review_id="R8", product_category="Rare") for i in range(10, 40)
    ]  # repeats do not count
    summary = run(tmp_path / "a", Rows(rows), prepare__min_category_share=0.21)
    assert summary.filtered["rare_category"] == 2
    assert summary.categories == {"Books": 8}
    assert run(tmp_path / "b", Rows(rows), prepare__min_category_share=0.2).rows_kept == 10


def test_lengths_from_the_data(tmp_path: Path) -> None:
    lengths = [10] * 50 + [20] * 50 + [100]
    rows = [review(i, review_body=f"{i:0>{length}}") for i, length in enumerate(lengths)]
    # mean 15.84, population sd 9.76 by hand: 3 sd reach -13 .. 45
    summary = run(tmp_path / "sd", Rows(rows), prepare__length_rule="sd")
    assert summary.filtered["too_long"] == 1
    assert summary.length_bounds == (-13, 45)
    quantile = {"prepare__length_rule": "quantile", "prepare__length_quantiles": (0.6, 0.95)}
    summary = run(tmp_path / "quantile", Rows(rows), **quantile)
    assert summary.length_bounds == (20, 20)
    assert (summary.filtered["too_short"], summary.filtered["too_long"]) == (50, 1)


def test_too_many_broken_rows_stop_it(tmp_path: Path) -> None:
    rows = [review(1), None, None, None, None, None, None, review(2)]
    with pytest.raises(RejectedShareError) as caught:
        run(tmp_path, Rows(rows, path="broken.tsv"))
    message = str(caught.value)
    assert "6 of 8 rows" in message
    assert "75.0%, must be <= 5.0%" in message
    assert "bad_date 6" in message
    assert message.count("broken.tsv:") == 5
    assert "broken.tsv:2: bad_date: 'x'" in message
    assert not (tmp_path / "summary.json").exists()


def test_a_large_broken_input_fails_early(tmp_path: Path) -> None:
    seen: list[int] = []

    class Watched(Rows):
        def batches(self, batch_rows: int = 65536):  # type: ignore[no-untyped-def]
            for batch in super().batches(batch_rows):
                seen.append(batch.rejected.num_rows)
                yield batch

    with pytest.raises(RejectedShareError, match="so far"):
        run(tmp_path, Watched([None] * 400_000, batch=10_000))
    assert sum(seen) < 200_000


def test_a_broken_first_file_does_not_stop_a_large_input(tmp_path: Path) -> None:
    bad = Rows([None] * 100_000, path="bad", batch=20_000)
    good = Rows([], path="good")
    good.size = 99 * bad.size
    with pytest.raises(RejectedShareError, match="in all"):  # judged at the end, not before
        run(tmp_path, bad, good)


def test_an_old_result_is_not_mixed_with(tmp_path: Path) -> None:
    run(tmp_path, Rows([review(1)]))
    with pytest.raises(WorkspaceError, match="empty folder"):
        run(tmp_path, Rows([review(2)]))


def test_nothing_to_keep(tmp_path: Path) -> None:
    summary = run(tmp_path, Rows([]), Rows([review(1, review_body=None)], path="other"))
    assert (summary.rows_read, summary.rows_kept) == (1, 0)
    assert ids(tmp_path) == []
    rejected = pq.read_table(tmp_path / "rejected" / "rejected.parquet")
    assert (rejected.num_rows, rejected.schema) == (0, REJECTED_SCHEMA)


def test_csv_by_month(tmp_path: Path) -> None:
    rows = [review(1, review_date=dt.date(2015, 8, 2), review_body='He said "no",\nthen left')]
    run(tmp_path, Rows([*rows, review(2)]), prepare__csv=True)
    assert sorted(file.name for file in (tmp_path / "csv").iterdir()) == ["2015-08.csv.gz", "unknown.csv.gz"]
    with gzip.open(tmp_path / "csv" / "2015-08.csv.gz", "rt", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == PREPARED_SCHEMA.names
    assert found[0]["review_body"] == 'He said "no",\nthen left'
    assert found[0]["review_month"] == "2015-08"


def test_batches_are_full_and_columns_as_asked(tmp_path: Path) -> None:
    rows = [review(i, review_date=dt.date(2000 + i % 20, 1, 1)) for i in range(100)]
    run(tmp_path, Rows(rows))
    batches = list(iter_prepared(tmp_path, ["review_month", "review_id"], batch_rows=30))
    assert [batch.num_rows for batch in batches] == [30, 30, 30, 10]
    assert batches[0].schema.names == ["review_month", "review_id"]
    assert [i for b in batches for i in b.column(1).to_pylist()] == ids(tmp_path)
    months = [month for b in batches for month in b.column(0).to_pylist()]
    assert months == sorted(months)
    with pytest.raises(WorkspaceError, match="nonsense"):
        list(iter_prepared(tmp_path, ["nonsense"]))
    with pytest.raises(WorkspaceError, match="no such folder"):
        list(iter_prepared(tmp_path / "nowhere"))


def test_same_files_whatever_the_threads(tmp_path: Path) -> None:
    rows = [
        review(
            i % 9000, review_id=None if i % 3 else f"R{i}", review_date=dt.date(2000 + i % 7, 1 + i % 12, 1)
        )
        for i in range(12_000)
    ]
    # a budget of 16 MB is passed several times
    for row in rows:
        row["review_body"] = row["review_body"] * 150
    found = []
    for threads in (1, 2, 5):
        out = tmp_path / str(threads)
        run(out, Rows(rows, batch=997), run__threads=threads, run__memory_limit="1MB")
        files = sorted((out / "reviews").rglob("*.parquet"))
        found.append([(f.relative_to(out), hashlib.sha256(f.read_bytes()).hexdigest()) for f in files])
    assert found[0] == found[1] == found[2]
    assert any(pq.read_metadata(tmp_path / "1" / name).num_row_groups > 1 for name, _ in found[0])


def test_full_files_give_way_to_new_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Footers of open files must not pile up in memory; order and result stay."""
    monkeypatch.setattr("shelfcheck.prepare.months._OPEN_ROW_GROUPS", 1)
    monkeypatch.setattr("shelfcheck.prepare.months.ROW_GROUP_ROWS", 300)
    rows = [
        review(i, review_body=f"{i} some words" * 250, review_date=dt.date(2001, 1 + i % 2, 1))
        for i in range(8_000)
    ]
    for threads in (1, 3):
        run(tmp_path / str(threads), Rows(rows, batch=997), run__threads=threads, run__memory_limit="1MB")
    parts = sorted((tmp_path / "1" / "reviews").rglob("*.parquet"))
    assert [file.name for file in parts[:2]] == ["part-00000.parquet", "part-00001.parquet"]
    others = sorted((tmp_path / "3" / "reviews").rglob("*.parquet"))
    assert [file.read_bytes() for file in parts] == [file.read_bytes() for file in others]
    wanted = [f"R{i}" for month in (0, 1) for i in range(month, 8_000, 2)]
    assert ids(tmp_path / "1") == wanted


def test_falls_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shelfcheck.prepare.falls._READ_ROWS", 3)
    rows = [review(i, review_id=f"R{i // 2}") for i in range(200)]
    summary = run(tmp_path / "out", Rows(rows, batch=31))
    assert summary.filtered["repeated_review_id"] == 100
    assert ids(tmp_path / "out") == [f"R{i}" for i in range(100)]


ROW = st.one_of(
    st.none(),
    st.builds(
        review,
        st.integers(0, 6),
        review_id=st.sampled_from([None, "A", "B", "C"]),
        product_category=st.sampled_from([None, "", "Books", "Toys"]),
        review_body=st.sampled_from([None, "", " ", "short", "a body that is long enough", "x" * 6000]),
        marketplace=st.sampled_from([None, "US", "DE"]),
        review_date=st.sampled_from([None, dt.date(2015, 8, 2), dt.date(1999, 1, 31)]),
    ),
)


@settings(max_examples=15, deadline=None)
@given(
    parts=st.lists(st.lists(ROW, max_size=15), max_size=3),
    marketplaces=st.sampled_from([(), ("US",)]),
    rule=st.sampled_from(["fixed", "sd", "quantile"]),
    duplicates=st.booleans(),
    share=st.sampled_from([0.0, 0.3]),
)
def test_every_row_is_accounted_for(
    *,
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[dict[str, object] | None]],
    marketplaces: tuple[str, ...],
    rule: str,
    duplicates: bool,
    share: float,
) -> None:
    out = tmp_path_factory.mktemp("prepared")
    summary = run(
        out,
        *(Rows(rows, path=str(i)) for i, rows in enumerate(parts)),
        prepare__marketplaces=marketplaces,
        prepare__length_rule=rule,
        prepare__drop_duplicates=duplicates,
        prepare__min_category_share=share,
        prepare__max_rejected_share=1.0,
    )
    assert summary.rows_read == sum(len(rows) for rows in parts)
    assert summary.rows_read == (
        summary.rows_kept + sum(summary.filtered.values()) + sum(summary.rejected.values())
    )
    assert count_prepared(out) == summary.rows_kept == len(read(out))
    made = [name for name in ids(out) if name.startswith("H")]
    assert len(set(made)) == len(made)


def test_lost_rows_are_noticed(tmp_path: Path) -> None:
    summary = run(tmp_path, Rows([review(1)]))
    with pytest.raises(AssertionError, match="2 rows read, but 1 kept"):
        PrepareSummary(**(vars(summary) | {"rows_read": 2}))


def test_real_reviews(tmp_path: Path, real_data: Path) -> None:
    from shelfcheck.config import Settings
    from shelfcheck.prepare import prepare
    from shelfcheck.progress import NullProgress
    from shelfcheck.sources import find_sources

    chosen = Settings.model_validate({"run": {"threads": 2}})
    sources = find_sources([str(real_data / "raw" / "pds-parquet")], chosen.source)
    summary = prepare(sources, tmp_path, chosen, NullProgress())
    assert summary.rows_kept > 0.9 * summary.rows_read > 0
    assert count_prepared(tmp_path) == summary.rows_kept
