from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfcheck.config import Settings, flatten, validate
from shelfcheck.errors import ConfigError, UsageError
from shelfcheck.settings_file import parse_assignments, remember, render, resolve


def test_rendered_settings_read_back_the_same():
    text = "\n".join(render(Settings(), comments=True))
    assert validate(tomllib.loads(text)) == Settings()


@given(
    st.dictionaries(st.text(min_size=1), st.text(), max_size=3),
    st.lists(st.text(), max_size=3),
    st.floats(0.001, 100),
)
def test_any_settings_survive_being_written(columns, words, rate):
    settings = validate(
        {
            "source": {"columns": columns},
            "text": {"extra_stop_words": words},
            "train": {"linear": {"learning_rate": rate}},
        }
    )
    assert validate(tomllib.loads("\n".join(render(settings, only_changed=True)))) == settings


def test_every_error_is_told_at_once_with_its_key():
    values = {"run": {"threads": -1}, "prepare": {"length_rule": "foo"}, "train": {"lineer": {}}}
    with pytest.raises(ConfigError) as caught:
        validate(values)
    told = str(caught.value)
    assert "run.threads == -1, must be greater than or equal to 0" in told
    assert "prepare.length_rule == 'foo', must be 'fixed', 'sd' or 'quantile'" in told
    assert "train.lineer: no such setting. Did you mean train.linear" in told


def test_flags_beat_the_file_and_the_file_beats_what_is_remembered(tmp_path):
    workspace = tmp_path / "ws"
    workspace.mkdir()
    old = validate({"train": {"linear": {"epochs": 1}}, "audit": {"folds": 3}, "run": {"seed": 7}})
    (workspace / "settings.toml").write_text(remember(old))
    file = tmp_path / "my.toml"
    file.write_text("[train.linear]\nepochs = 2\n[audit]\nfolds = 4\n")
    resolved = resolve(file, {"audit.folds": 6}, workspace)
    assert resolved.settings.train.linear.epochs == 2
    assert resolved.settings.audit.folds == 6
    assert resolved.settings.run.seed == 7
    assert resolved.origins["audit.folds"] == "--set"
    assert resolved.origins["train.linear.epochs"] == str(file)


def test_shelfcheck_toml_in_the_current_folder_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shelfcheck.toml").write_text("[run]\nseed = 5\n")
    assert resolve().settings.run.seed == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [("a = ", "cannot be read as TOML"), ("[nothing]\n", "nothing: no such setting"), ("run = 3", "run")],
)
def test_a_wrong_file_is_told(tmp_path, text, message):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        resolve(file)


def test_a_missing_file_names_the_fix(tmp_path):
    with pytest.raises(ConfigError, match="shelfcheck config >"):
        resolve(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("run.seed=3", 3),
        ("text.stemmer=english", "english"),
        ("prepare.csv=true", True),
        ('source.columns={review_body="Text"}', {"review_body": "Text"}),
    ],
)
def test_assignments_are_toml_or_text(assignment, value):
    assert list(parse_assignments([assignment]).values()) == [value]


@pytest.mark.parametrize("assignment", ["run.seed", "=3"])
def test_an_assignment_without_key_or_value_is_told(assignment):
    with pytest.raises(UsageError, match="key=value"):
        parse_assignments([assignment])


def test_assigning_through_a_setting_is_told():
    with pytest.raises(ConfigError, match="seed is a setting, not a section"):
        resolve(overrides={"run.seed": 1, "run.seed.deep": 2})


def test_every_setting_says_what_it_does():
    assert [key for key, _, description in flatten(Settings()) if not description] == []
