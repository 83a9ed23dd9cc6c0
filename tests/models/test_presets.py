from __future__ import annotations

import pytest

from shelfcheck.config import validate
from shelfcheck.errors import UsageError
from shelfcheck.models.presets import PRESETS, preset_overrides
from shelfcheck.settings_file import resolve

ALL = [(model, name) for model, own in PRESETS.items() for name in own]


@pytest.mark.parametrize(("model", "name"), ALL)
def test_every_preset_validates_and_is_whole(model, name):
    overrides = preset_overrides(model, name)
    settings = resolve(overrides=overrides).settings
    assert settings.train.model == model
    assert getattr(settings.train, model) == PRESETS[model][name]
    section = PRESETS[model][name]
    said = {key.removeprefix(f"train.{model}.") for key in overrides} - {"train.model"}
    assert said == {key for key in type(section).model_fields if getattr(section, key) is not None}


def test_the_originals_vectorizer():
    values = preset_overrides("tfidf_svm", "original")
    assert values["train.tfidf_svm.max_terms"] == 10_000
    assert values["train.tfidf_svm.word_ngrams"] == 1
    assert values["train.tfidf_svm.sublinear_tf"] is False
    assert values["train.tfidf_svm.fields"] == ("review_body",)


def test_blazingtexts_defaults():
    # Amazon SageMaker's guide, "BlazingText Hyperparameters", Text Classification.
    values = preset_overrides("embedding", "blazingtext")
    expected = {
        "vector_dim": 100, "word_ngrams": 2, "epochs": 5, "learning_rate": 0.05, "min_count": 5,
        "buckets": 2_000_000, "early_stopping": False, "patience": 4, "min_epochs": 5,
    }  # fmt: skip
    assert {key: values[f"train.embedding.{key}"] for key in expected} == expected


def test_a_preset_is_stronger_than_a_file_and_weaker_than_set(tmp_path):
    from click.testing import CliRunner

    from shelfcheck.cli.models import train

    file = tmp_path / "s.toml"
    file.write_text("[train]\nmodel = 'tfidf_svm'\n[train.tfidf_svm]\nmax_terms = 77\nc = 3.0\n")
    given = {}

    def record(workspace, **arguments):
        given.update(arguments)
        raise UsageError("recorded")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shelfcheck.api.train", record)
        arguments = ["-w", str(tmp_path), "-c", str(file), "--preset", "original"]
        done = CliRunner().invoke(train, [*arguments, "-s", "train.tfidf_svm.c=0.5"])
    assert str(done.exception) == "recorded"
    settings = resolve(given["config"], given["overrides"]).settings
    assert settings.train.tfidf_svm.max_terms == 10_000
    assert settings.train.tfidf_svm.c == 0.5


def test_unknown_presets_are_told():
    with pytest.raises(UsageError, match=r"embedding; it has blazingtext, original"):
        preset_overrides("embedding", "nonsense")
    with pytest.raises(UsageError, match="linear; it has none"):
        preset_overrides("linear", "original")
    assert validate({}).train.model == "linear"
