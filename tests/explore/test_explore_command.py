"""`shelfcheck explore`: the key figures, the page and the tables of a workspace."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from shelfcheck import api
from shelfcheck.cli.main import cli


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    home = tmp_path_factory.mktemp("shop")
    api.generate(home / "raw", reviews=2000)
    api.prepare(home / "raw", home / "shop")
    return home / "shop"


def test_key_figures_as_json(shop):
    said = CliRunner().invoke(cli, ["explore", "--json", "--quiet", "-w", str(shop)])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    whole = pq.read_table(f"{told['folder']}/tables/whole.parquet").to_pylist()[0]
    for name in ("reviews", "unique_products", "products_with_several_reviews", "mean_stars", "last_month"):
        assert told[name] == whole[name]
    assert (shop / "explore.html").stat().st_size > 100_000
    assert told["stage"] == "explore"


def test_a_second_run_does_nothing_and_a_person_reads_a_table(shop):
    CliRunner().invoke(cli, ["explore", "--quiet", "-w", str(shop)])
    said = CliRunner().invoke(cli, ["explore", "--quiet", "-w", str(shop)])
    assert said.exit_code == 0
    assert "unique products" in said.stdout
    assert f"{shop}/explore.html" in said.stdout.replace("\n", "")
    assert api.explore(shop).fresh


def test_without_prepared_reviews(tmp_path):
    said = CliRunner().invoke(cli, ["explore", "--quiet", "-w", str(tmp_path)])
    assert said.exit_code != 0
    assert "shelfcheck prepare" in str(said.exception)
