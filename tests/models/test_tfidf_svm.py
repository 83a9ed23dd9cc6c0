from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from review_corpus import reviews, write_prepared
from shelfcheck.config import TextSettings, validate
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.models import split
from shelfcheck.models.base import Model
from shelfcheck.models.examples import Examples
from shelfcheck.models.kinds import load_model
from shelfcheck.models.tfidf_svm import TfidfSvmModel
from shelfcheck.models.train import fit_calibrated, judge
from shelfcheck.progress import NullProgress


def settings_with(**values):
    return validate({"run": {"threads": 1}, "train": {"model": "tfidf_svm", "tfidf_svm": values}})


@pytest.fixture(scope="module")
def examples():
    settings = settings_with()
    return Examples.of_table(reviews(), settings.train.linear, settings.text, 1)


@pytest.fixture(scope="module")
def svm(examples) -> TfidfSvmModel:
    return fit_calibrated(examples, settings_with())


def test_it_is_a_model(svm):
    assert isinstance(svm, Model)
    assert svm.predict(["author chapter prose", "suitcase wheel handle"]) == ["Books", "Luggage"]
    assert svm.facts["classes_not_converged"] == 0


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"max_terms": 30, "word_ngrams": 1, "sublinear_tf": False, "fields": ["review_body"]},
        {"word_ngrams": 3, "min_document_frequency": 5, "c": 0.1},
    ],
)
def test_margins_are_those_of_scikit_learn(examples, values):
    settings = settings_with(**values)
    own = settings.train.tfidf_svm
    rows = np.flatnonzero(examples.encoded.bucket >= 300)
    # Without held reviews no slope or shift is found: the margins are bare.
    model = TfidfSvmModel.learn(examples, rows, np.zeros(0, np.int64), settings, NullProgress())
    texts = examples.texts.to_pylist()

    def joined(row):
        headline = " ".join(f"headline:{w}" for w in (row["review_headline"] or "").split())
        if "review_headline" not in own.fields:
            headline = ""
        return f"{headline} {'. ' * 9} {row['review_tokens'] or ''}"

    # scikit-learn's own tokenisation; a row of dots keeps n-grams from bridging headline and body, and
    # n-grams of a headline carry a prefix at each word there.
    peer = TfidfVectorizer(
        token_pattern=r"\S+",  # noqa: S106 - no password
        lowercase=False, ngram_range=(1, own.word_ngrams), max_features=own.max_terms,
        min_df=own.min_document_frequency, sublinear_tf=own.sublinear_tf, dtype=np.float32,
    )  # fmt: skip
    if own.fields == ("review_body",):
        documents = [row["review_tokens"] for row in texts]
        x = peer.fit_transform([documents[i] for i in rows])
        assert tuple(peer.get_feature_names_out()) == model.terms
        machine = LinearSVC(C=own.c, random_state=0).fit(x, examples.label[rows])
        expected = machine.decision_function(peer.transform(documents))
        known = np.diff(peer.transform(documents).indptr) > 0
        found = model.logits_of(examples, np.arange(len(documents)))
        assert found[known] == pytest.approx(expected[known], abs=2e-3)
    else:
        peer.fit([joined(texts[i]) for i in rows])
        names = {
            " ".join(word.removeprefix("headline:") for word in name.split())
            for name in peer.get_feature_names_out()
            if "." not in name
        }
        assert {name.removeprefix("headline:") for name in model.terms} == names


def test_stored_model_predicts_the_same(svm, tmp_path):
    texts = ["the plot of this novel", "zipper broke at the airport", "", None, "Great!"]
    headlines = ["great", None, "love", None, ""]
    svm.save(tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again, TfidfSvmModel)
    assert np.array_equal(svm.predict_proba(texts, headlines), again.predict_proba(texts, headlines))
    assert again.card() == svm.card()
    assert {file.name for file in tmp_path.iterdir()} == {"model.safetensors", "card.json"}
    json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("share", [0.02, 0.9])
def test_stored_sparse_or_dense_coefficients_are_the_same(svm, tmp_path, share):
    from dataclasses import replace

    kept = np.random.default_rng(0).random(svm.coefficients.shape) < share
    model = replace(svm, coefficients=np.where(kept, svm.coefficients, 0).astype(np.float32))
    model.save(tmp_path)
    assert np.array_equal(TfidfSvmModel.load(tmp_path).coefficients, model.coefficients)


def test_one_seed_gives_the_same_bits_for_any_number_of_processes(examples, monkeypatch):
    from shelfcheck.models import one_vs_rest

    one = fit_calibrated(examples, settings_with())
    monkeypatch.setattr(one_vs_rest, "_WORTH_A_PROCESS", 0)
    several = settings_with()
    several = several.model_copy(update={"run": several.run.model_copy(update={"threads": 2})})
    two = fit_calibrated(examples, several)
    assert np.array_equal(one.coefficients, two.coefficients)
    assert np.array_equal(one.intercepts, two.intercepts)


def test_texts_and_examples_agree(svm, examples):
    table = reviews()
    rows = np.arange(0, 2000, 7)
    from_texts = svm.predict_proba(
        table["review_body"].take(pa.array(rows)).to_pylist(),
        table["review_headline"].take(pa.array(rows)).to_pylist(),
    )
    logits = svm.logits_of(examples, rows)
    assert from_texts == pytest.approx(np.exp(svm.calibration.log_probabilities(logits)), abs=1e-6)


def test_text_without_a_known_word_gets_the_prior(svm):
    found = svm.predict_proba(["", "qqq zzz", None])
    clean = np.exp(svm.prior)
    expected = clean * (1 - svm.calibration.noise) + svm.calibration.noise / len(clean)
    assert found == pytest.approx(np.tile(expected, (3, 1)), abs=1e-5)


def test_headline_and_body_are_different_terms(svm):
    assert "great" in svm.terms
    assert "headline:great" in svm.terms
    first, second = svm.logits_batch(
        pa.table({"review_body": ["great", ""], "review_headline": ["", "great"]})
    )
    assert not np.allclose(first, second)


def test_explanation_adds_up(svm):
    found = svm.explain("great", "the plot of this novel, bag", k=100)
    logits = svm.logits_batch(
        pa.table({"review_body": ["the plot of this novel, bag"], "review_headline": ["great"]})
    )[0]
    names = svm.categories
    own, other = names.index(found.category), names.index(found.against)
    assert found.log_odds == pytest.approx(svm.calibration.scale * (logits[own] - logits[other]), rel=1e-5)
    assert sum(term.weight for term in found.terms) + found.rest == pytest.approx(found.log_odds, rel=1e-5)
    assert found.category == "Books"
    assert found.terms[0].term in {"plot", "novel", "plot novel"}
    back = svm.explain("great", "the plot of this novel, bag", found.against, found.category, k=100)
    assert back.log_odds == pytest.approx(-found.log_odds)


def test_probabilities_are_calibrated_on_held_out_products(svm, examples):
    test = np.flatnonzero(split.is_test(examples.encoded.bucket, 0.2))
    found = judge(svm, examples, test, 1)
    assert found.accuracy > 0.7
    assert found.ece < 0.12


def test_too_little_is_told(examples):
    with pytest.raises(NotEnoughDataError, match=r"train\.tfidf_svm\.min_document_frequency"):
        fit_calibrated(examples, settings_with(min_document_frequency=10_000))
    alone = Examples.of_table(
        reviews(300, categories=("Books",)), settings_with().train.linear, TextSettings(), 1
    )
    with pytest.raises(NotEnoughDataError, match="must be >= 2"):
        fit_calibrated(alone, settings_with())


def test_two_classes(tmp_path):
    settings = settings_with()
    table = reviews(600, categories=("Books", "Luggage"))
    model = fit_calibrated(Examples.of_table(table, settings.train.linear, settings.text, 1), settings)
    assert model.predict(["author chapter prose", "suitcase wheel handle"]) == ["Books", "Luggage"]


@pytest.mark.parametrize("damage", ["none there", "other model", "cut short"])
def test_damaged_model_is_refused(svm, tmp_path, damage):
    svm.save(tmp_path)
    card, tensors = tmp_path / "card.json", tmp_path / "model.safetensors"
    if damage == "none there":
        card.unlink()
    elif damage == "other model":
        card.write_text(card.read_text(encoding="utf-8").replace('"tfidf_svm"', '"other"'), encoding="utf-8")
    else:
        tensors.write_bytes(tensors.read_bytes()[:100])
    with pytest.raises(WorkspaceError, match="shelfcheck train"):
        TfidfSvmModel.load(tmp_path)


def test_stages_train_and_evaluate_it(tmp_path):
    from shelfcheck.models.encode import encode
    from shelfcheck.models.train import evaluate_held_out, train

    settings = settings_with()
    prepared = write_prepared(reviews(800), tmp_path / "p")
    encode(prepared, tmp_path / "e", settings)
    counts = train(tmp_path / "e", tmp_path / "m", settings, prepared_dir=prepared)
    assert counts["model"] == "tfidf_svm"
    told = evaluate_held_out(tmp_path / "e", tmp_path / "m", tmp_path / "v", settings, prepared_dir=prepared)
    assert told["accuracy"] > 0.6
