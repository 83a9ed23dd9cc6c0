"""Train, list, promote, roll back and verify, from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.errors import ShelfcheckError

FAST = {"run.threads": 1, "train.linear.epochs": 1, "train.linear.hash_bits": 16}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A workspace with two versions of `linear` and one that predicts stars."""
    folder = tmp_path_factory.mktemp("shop")
    api.generate(folder / "raw", reviews=3000, seed=5)
    api.prepare(folder / "raw", folder)
    first = api.train(folder, overrides=FAST)
    assert first.counts["version"] == "linear-1"
    assert 0.3 < first.counts["accuracy"] <= 1
    assert api.train(folder, overrides=FAST).counts["version"] == "linear-1"
    api.train(folder, overrides=FAST | {"train.linear.epochs": 2})
    return folder


@pytest.fixture
def shelfcheck(shop):
    def run(*arguments: str):
        result = CliRunner().invoke(cli, [*arguments, "--workspace", str(shop)], catch_exceptions=True)
        if isinstance(result.exception, ShelfcheckError):
            return result.exception.exit_code, str(result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout

    return run


def test_list_show_promote_and_roll_back(shop, shelfcheck):
    listed = json.loads(shelfcheck("models", "list", "--json")[1])
    assert [(one["version"], one["aliases"]) for one in listed] == [
        ("linear-1", ["champion"]),
        ("linear-2", []),
    ]
    assert "linear-2" in shelfcheck("models", "list")[1]
    assert shelfcheck("models", "promote", "linear-2")[1] == "champion: linear-1 -> linear-2\n"
    assert shelfcheck("models", "promote", "linear-2")[1] == "champion is linear-2 already.\n"
    told = json.loads(shelfcheck("models", "show", "--json")[1])
    assert (told["version"], told["card"]["settings"]["epochs"]) == ("linear-2", 2)
    assert [change["what"] for change in told["history"]] == ["register", "promote"]
    assert told["sha256"]["model.safetensors"] in shelfcheck("models", "show", "linear-2")[1]
    assert json.loads(shelfcheck("models", "rollback", "--json")[1])["version"] == "linear-1"
    code, error = shelfcheck("models", "rollback")
    assert code == 1
    assert "champion has named linear-1 only, there is nothing to go back to" in error
    code, error = shelfcheck("models", "show", "linear-3")
    assert code == 1
    assert "Nearest: linear-2, linear-1" in error


def test_predict_takes_a_version_and_the_champion_otherwise(shop, shelfcheck):
    def chances(*arguments: str):
        return json.loads(
            shelfcheck("predict", "--text", "the strings stay in tune", "--json", *arguments)[1]
        )

    assert chances() == chances("--model", "linear-1") == chances("--model", "champion")
    assert chances() != chances("--model", "linear-2")
    code, error = shelfcheck("predict", "--text", "tune", "--model", "linear-9")
    assert code == 1
    assert "no version or alias 'linear-9'" in error


def test_another_label_does_not_become_champion(shop, shelfcheck):
    code, told = shelfcheck(
        "train",
        *("--model", "linear", "--label", "star_rating", "--threads", "1"),
        *("-s", "train.linear.epochs=1", "-s", "train.linear.hash_bits=16"),
    )
    assert code == 0
    assert told.endswith("Registered as linear-3: champion:star_rating\n")
    code, error = shelfcheck("models", "promote", "linear-3")
    assert code == 2
    assert "--alias champion:star_rating" in error


def test_verify_tells_what_was_changed(shop, shelfcheck):
    assert shelfcheck("models", "verify", "linear-1")[0] == 0
    file = api.models_show("linear-2", shop).version.folder / "card.json"
    file.chmod(0o644)
    file.write_text(file.read_text() + " ")
    code, told = shelfcheck("models", "verify", "--json")
    assert code == 1
    found = json.loads(told)
    assert found["linear-2"] == {"intact": False, "wrong": ["card.json has changed"]}
    assert found["linear-1"]["intact"]
    assert shelfcheck("models", "promote", "linear-2")[0] == 1


def test_an_empty_workspace_says_how_to_fill_it(tmp_path):
    result = CliRunner().invoke(cli, ["models", "list", "--workspace", str(tmp_path)])
    assert "Train one with: shelfcheck train" in result.stdout
