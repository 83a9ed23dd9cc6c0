"""`evaluate` and `leaderboard` on a small shop with two registered models."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from review_corpus import reviews
from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.errors import ShelfcheckError
from shelfcheck.schema import REVIEW_SCHEMA

SMALL = {"train.linear.hash_bits": 14, "run.threads": 1, "train.linear.epochs": 2}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    table = reviews().select(REVIEW_SCHEMA.names)
    dates = pa.array([f"20{10 + i % 6}-03-01" for i in range(table.num_rows)]).cast(pa.date32())
    table = table.set_column(table.schema.get_field_index("review_date"), "review_date", dates)
    table = table.append_column("source", pa.array([f"shop {i % 3}" for i in range(table.num_rows)]))
    path = tmp_path_factory.mktemp("raw") / "reviews.parquet"
    pq.write_table(table, path)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory, raw):
    workspace = tmp_path_factory.mktemp("shop")
    api.prepare(raw, workspace)
    api.train(workspace, overrides=SMALL)
    api.train(workspace, overrides=SMALL | {"train.linear.dropout": 0.8})
    return workspace


def told(*arguments):
    done = CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def settings(**more):
    return [flag for key, value in (SMALL | more).items() for flag in ("--set", f"{key}={value}")]


def test_evaluate_tells_split_label_intervals_and_slices(shop):
    text = told("evaluate", "-w", shop, "-q", *settings())
    for words in (
        "Label product_category",
        "Product split: the model learned from no review of these products.",
        "With 95 % intervals over products: accuracy",
        "By body tokens",
        "By year",
        "By star rating",
    ):
        assert words in text


def test_the_row_split_is_told_to_flatter_and_the_time_split_its_date(shop):
    assert "which flatters" in told("evaluate", "-w", shop, "-q", *settings(**{"train.split": "row"}))
    dated = {"train.split": "time", "train.split_date": "2014-01-01"}
    assert "from 2014-01-01 on" in told("evaluate", "-w", shop, "-q", *settings(**dated))


def test_a_registered_version_by_name_and_by_another_column(shop):
    found = json.loads(told("evaluate", "-w", shop, "--model", "linear-2", "--by", "customer_id", "--json"))
    assert found["notes"]["model"] == "linear-2"
    assert sum(one["reviews"] for one in found["slices"]["customer_id"]) == found["reviews"]
    assert found["intervals"]["accuracy"]["estimate"] == pytest.approx(found["accuracy"])


def test_two_versions_are_compared(shop):
    text = told("evaluate", "-w", shop, "-q", "--model", "linear-1", "--against", "linear-2")
    assert "linear-1 against linear-2" in text
    assert "points" in text


def test_data_is_judged_by_the_champion_and_sliced_by_its_own_columns(shop, raw):
    text = told("evaluate", "-w", shop, "-q", "--data", raw, "--by", "source")
    assert "By source" in text
    assert "stand among this workspace's training reviews" in text
    found = json.loads(told("evaluate", "-w", shop, "-q", "--data", raw, "--held-out", "--json"))
    held = json.loads(told("evaluate", "-w", shop, "--model", "champion", "--json"))
    assert found["notes"]["model"] == "linear-1"
    assert found["accuracy"] == pytest.approx(held["accuracy"])
    assert found["reviews"] == held["reviews"]


def test_wrong_use_is_refused(shop, raw):
    for flags, words in (
        (["--held-out"], "--held-out goes with --data"),
        (["--model", "linear-1", "--against", "linear-1"], "the very model"),
    ):
        done = CliRunner().invoke(cli, ["evaluate", "-w", str(shop), *flags])
        assert done.exit_code == 2
        assert words in done.output
    with pytest.raises(ShelfcheckError, match="prepared reviews have no such column"):
        api.evaluate(shop, model="linear-1", by=["source"])
    with pytest.raises(ShelfcheckError, match="no version or alias"):
        api.evaluate(shop, raw, model="linear-9")


def test_leaderboard_as_table_json_and_markdown(shop, tmp_path):
    table = told("leaderboard", "-w", shop)
    assert "product_category, product split" in table
    assert "linear-1 (champion)" in table
    found = json.loads(told("leaderboard", "-w", shop, "--json"))
    rows = found["groups"][0]["rows"]
    assert {"linear-1", "linear-2"} <= {row["version"] for row in rows}
    assert rows[0]["p_value"] is None
    assert 0 < rows[1]["p_value"] <= rows[1]["p_adjusted"] <= 1
    assert "| linear-2 |" in told("leaderboard", "-w", shop, "--markdown")
    assert "No model is registered" in told("leaderboard", "-w", tmp_path)
