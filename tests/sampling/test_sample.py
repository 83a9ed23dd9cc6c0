"""The sample: exact counts, and rows that depend on nothing but the review ids."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sampling_support import lay_out, publish, shop

from shelfcheck import api
from shelfcheck.config import validate
from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.errors import ConfigError, NotEnoughDataError, WorkspaceError
from shelfcheck.progress import NullProgress
from shelfcheck.sampling import cutoffs, reviews
from shelfcheck.sampling.allocation import allocate
from shelfcheck.sampling.run import plan_sample, sample
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_SCHEMA

REVIEWS = shop(3000, seed=7)
WAYS = [("review_month",), ("review_month", "product_category"), ("product_category", "star_rating"), ()]


def draw(prepared, out, *, threads=2, **how):
    out.mkdir(parents=True)
    chosen = validate({"sample": how, "run": {"threads": threads}})
    return sample(prepared, out, chosen, NullProgress())


def ids(folder):
    return pq.read_table(folder / "sample.parquet")["review_id"].to_pylist()


def reference(table, fraction, by, salt=""):
    """The same sample by Python alone: sort each stratum by md5, take its share."""
    strata = defaultdict(list)
    for row in table.select(["review_id", "review_month", "product_category", "star_rating"]).to_pylist():
        strata[tuple(row[name] for name in by)].append(row["review_id"])
    names = sorted(strata, key=lambda key: [(value is None, value) for value in key])
    targets = allocate([len(strata[name]) for name in names], fraction)

    def order(review_id):
        return hashlib.md5((salt + review_id).encode(), usedforsecurity=False).hexdigest(), review_id

    return [
        review_id
        for name, target in zip(names, targets, strict=True)
        for review_id in sorted(strata[name], key=order)[:target]
    ]


@pytest.mark.parametrize(
    ("by", "fraction"), [*((by, fraction) for by in WAYS for fraction in (0.003, 0.55)), (WAYS[0], 1.0)]
)
def test_the_rows_are_those_with_the_smallest_md5(prepared, tmp_path, by, fraction):
    folder = prepared(REVIEWS, parts=2)
    done = draw(folder, tmp_path / "out", by=by, fraction=fraction)
    expected = reference(REVIEWS, fraction, by)
    assert done.rows == done.plan.target == len(expected)
    assert sorted(ids(tmp_path / "out")) == sorted(expected)
    if by == ("review_month",):  # by month, then by md5
        assert ids(tmp_path / "out") == expected


def test_every_column_is_kept_and_weights_give_back_the_population(prepared, tmp_path):
    draw(prepared(REVIEWS), tmp_path / "out", fraction=0.05)
    drawn = pq.read_table(tmp_path / "out/sample.parquet")
    assert drawn.schema.names == [*PREPARED_SCHEMA.names, "sample_weight"]
    assert drawn.schema.remove(17).equals(PREPARED_SCHEMA)
    whole = {row["review_id"]: row for row in REVIEWS.to_pylist()}
    for row in drawn.drop_columns(["sample_weight"]).to_pylist():
        assert row == whole[row["review_id"]]
    weights = Counter()
    for month, weight in zip(
        drawn["review_month"].to_pylist(), drawn["sample_weight"].to_pylist(), strict=True
    ):
        weights[month] += weight
    population = Counter(REVIEWS["review_month"].to_pylist())
    assert weights == pytest.approx(population)
    strata = pq.read_table(tmp_path / "out/strata.parquet")
    assert dict(zip(*strata.select([0, 1]).to_pydict().values(), strict=True)) == population


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """The bytes of one sample, of reviews in one order and one file a month."""
    home = tmp_path_factory.mktemp("once")
    folder = lay_out(REVIEWS, home / "prepared")
    draw(folder, home / "out", threads=1, fraction=0.1)
    return (home / "out/sample.parquet").read_bytes()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    parts=st.integers(1, 5),
    threads=st.sampled_from([1, 2, 4]),
    rows=st.sampled_from([100, 900, 10**6]),
)
def test_order_files_threads_and_batches_change_no_byte(  # noqa: PLR0917 - hypothesis names its own
    once, tmp_path_factory, monkeypatch, seed, parts, threads, rows
):

    home = tmp_path_factory.mktemp("again")
    shuffled = REVIEWS.take(np.random.default_rng(seed).permutation(REVIEWS.num_rows))
    folder = lay_out(shuffled, home / "prepared", parts=parts)
    monkeypatch.setattr(
        "shelfcheck.sampling.run.batches", lambda at, listing: reviews.batches(at, listing, rows)
    )
    draw(folder, home / "out", threads=threads, fraction=0.1)
    assert (home / "out/sample.parquet").read_bytes() == once


@pytest.mark.parametrize(
    "window",
    [
        lambda rows, target: ("", "0"),  # ends too early
        lambda rows, target: ("f", "g"),  # begins too late
        lambda rows, target: ("8", "8"),  # is empty
        lambda rows, target: ("", "g"),  # none
    ],
)
def test_a_window_that_misses_changes_nothing(once, prepared, tmp_path, monkeypatch, window):
    monkeypatch.setattr(cutoffs, "window", window)
    draw(prepared(REVIEWS), tmp_path / "out", fraction=0.1)
    assert (tmp_path / "out/sample.parquet").read_bytes() == once


@given(st.integers(1, 10**9), st.floats(1e-6, 1))
def test_a_window_surrounds_the_share(rows, share):
    target = max(1, int(rows * share))
    low, high = cutoffs.window(rows, target)
    assert low < f"{int(target / rows * 2**52):013x}" < high or target == rows
    assert low == "" or len(low) == 13
    assert high == "g" or len(high) == 13


def test_windows_keep_few_keys(prepared, tmp_path, monkeypatch):
    """The point of windows: far fewer keys are kept than rows are drawn."""
    kept = []
    run = DuckDB.run

    def watched(self, sql, parameters=None):
        if "DROP TABLE keys" in sql:
            kept.extend(run(self, "SELECT count(*) FROM keys WHERE id_md5 IS NOT NULL")[0])
        return run(self, sql, parameters)

    monkeypatch.setattr(DuckDB, "run", watched)
    draw(prepared(shop(20_000, seed=1, months=1)), tmp_path / "out", fraction=0.5)
    assert len(kept) == 1  # no stratum had to be done again
    assert 0 < kept[0] < 2500  # 10,000 are drawn


def test_repeated_ids_are_counted_exactly(prepared, tmp_path):
    repeated = pa.concat_tables([REVIEWS, REVIEWS.slice(0, 1500), REVIEWS.slice(0, 700)])
    done = draw(prepared(repeated), tmp_path / "out", fraction=0.37)
    expected = reference(repeated, 0.37, ("review_month",))
    assert done.rows == len(expected)
    assert Counter(ids(tmp_path / "out")) == Counter(expected)


def test_another_salt_draws_another_sample(prepared, tmp_path):
    draw(prepared(REVIEWS), tmp_path / "out", fraction=0.1, salt="second")
    drawn = ids(tmp_path / "out")
    assert drawn == reference(REVIEWS, 0.1, ("review_month",), salt="second")
    assert drawn != reference(REVIEWS, 0.1, ("review_month",))


@pytest.mark.parametrize("by", WAYS)
def test_rare_categories_are_left_out_and_counted(prepared, tmp_path, by):
    done = draw(prepared(REVIEWS), tmp_path / "out", fraction=0.2, by=by, min_category_share=0.05)
    rare = pc.equal(REVIEWS["product_category"], "Gift_Card")
    assert done.plan.dropped == {"Gift_Card": pc.sum(rare).as_py()}
    kept = REVIEWS.filter(pc.invert(rare))
    assert done.plan.rows == kept.num_rows
    assert sorted(ids(tmp_path / "out")) == sorted(reference(kept, 0.2, by))
    assert done.comparison.population == kept.num_rows
    summary = json.loads((tmp_path / "out/summary.json").read_text(encoding="utf-8"))
    assert summary["dropped_categories"] == done.plan.dropped


def test_nothing_to_draw_from_is_told(prepared, tmp_path):
    with pytest.raises(NotEnoughDataError, match="min_category_share"):
        draw(prepared(REVIEWS), tmp_path / "out", min_category_share=1.0)
    (tmp_path / "empty/reviews").mkdir(parents=True)
    with pytest.raises(NotEnoughDataError, match="no reviews"):
        draw(tmp_path / "empty", tmp_path / "none")


def test_the_sample_can_be_prepared_again(prepared, tmp_path):
    draw(prepared(REVIEWS), tmp_path / "out", fraction=0.1)
    drawn = ids(tmp_path / "out")
    again = api.prepare(tmp_path / "out/sample.parquet", tmp_path / "shop")
    assert again.counts["rows_kept"] == len(drawn)


def test_csv_on_request(prepared, tmp_path):
    draw(prepared(REVIEWS), tmp_path / "out", fraction=0.1, csv=True)
    assert pa_csv.read_csv(tmp_path / "out/sample.csv")["review_id"].to_pylist() == ids(tmp_path / "out")


@pytest.mark.parametrize("by", WAYS)
def test_a_plan_is_what_is_drawn(prepared, tmp_path, by):
    folder = prepared(REVIEWS)
    chosen = validate({"sample": {"fraction": 0.01, "by": by}})
    planned = plan_sample(folder, tmp_path, chosen, NullProgress())
    assert planned == draw(folder, tmp_path / "out", fraction=0.01, by=by).plan
    assert planned.forced == planned.target - 30


def test_a_plan_by_month_reads_no_review(prepared, tmp_path):
    folder = prepared(REVIEWS)
    shutil.rmtree(folder / "reviews")
    planned = plan_sample(folder, tmp_path, validate({}), NullProgress())
    assert planned.rows == 3000


def test_the_function(tmp_path):
    root = publish(REVIEWS, tmp_path / "shop")
    result = api.sample(root, 0.02, ["review_month", "product_category"], overrides={"run.seed": 5})
    assert result.counts["rows"] == len(ids(root)) == api.plan_sample(root, 0.02, result.counts["by"]).target
    assert (root / "sample.parquet").read_bytes() == (result.folder / "sample.parquet").read_bytes()
    assert sorted(file.name for file in result.folder.iterdir()) == [
        "representativeness.json",
        "sample.parquet",
        "shares.csv",
        "shares.parquet",
        "strata.csv",
        "strata.parquet",
        "summary.json",
    ]
    assert api.sample(root, 0.02, result.counts["by"], overrides={"run.seed": 5}).fresh
    assert not api.sample(root, 0.03).fresh


def test_wrong_use_is_told(tmp_path):
    with pytest.raises(WorkspaceError, match="shelfcheck prepare"):
        api.plan_sample(tmp_path / "none")
    root = publish(REVIEWS, tmp_path / "shop")
    with pytest.raises(ConfigError, match=r"sample\.fraction == 3.* less than or equal to 1"):
        api.sample(root, 3)
    with pytest.raises(ConfigError, match=r"sample\.by"):
        api.sample(root, by=["review_month", "colour"])


def test_real_reviews(real_data, tmp_path):
    """Real texts, months and categories, unknown ones too."""
    file = pq.ParquetFile(real_data / "reviews.parquet")
    whole = pa.Table.from_batches([next(file.iter_batches(8000))])
    flags = pa.nulls(whole.num_rows, pa.bool_())  # 'Y' and 'N' in the file
    columns = {name: whole[name] for name in REVIEW_SCHEMA.names} | {
        "review_id": pc.coalesce(whole["review_id"], pa.array([f"H{i}" for i in range(whole.num_rows)])),
        "review_tokens": whole["review_body"],
        "review_month": pc.strftime(whole["review_date"], "%Y-%m"),
        "vine": flags,
        "verified_purchase": flags,
    }
    table = pa.table([columns[name] for name in PREPARED_SCHEMA.names], names=PREPARED_SCHEMA.names)
    table = table.cast(PREPARED_SCHEMA)
    done = draw(lay_out(table, tmp_path / "prepared"), tmp_path / "out", fraction=0.05)
    assert ids(tmp_path / "out") == reference(table, 0.05, ("review_month",))
    assert done.comparison.representative_weighted
