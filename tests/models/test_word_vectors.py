from __future__ import annotations

import sys

import numpy as np
import pytest

from review_corpus import WORDS, reviews, write_prepared
from shelfcheck.errors import MissingExtraError, NotEnoughDataError, UsageError, WorkspaceError
from shelfcheck.models.word_vectors import WordVectors, train_word_vectors


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return write_prepared(reviews(), tmp_path_factory.mktemp("words") / "prepared")


def learn(prepared, folder, **options):
    pytest.importorskip("gensim")
    given = {"vector_dim": 16, "epochs": 8, "min_count": 3, "threads": 1} | options
    return train_word_vectors(prepared, folder, **given)


@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
def test_words_of_one_category_are_neighbours(prepared, tmp_path, algorithm):
    found = learn(prepared, tmp_path, algorithm=algorithm, epochs=15, sample=0)
    own = set(WORDS["Books"].split())
    near = [word for word, _ in found.nearest("novel", 5)]
    assert len(own & set(near)) >= 4
    assert "novel" not in near


def test_one_thread_and_one_seed_give_the_same_bits(prepared, tmp_path):
    one, two = (learn(prepared, tmp_path / str(i)) for i in range(2))
    assert one.words == two.words
    assert np.array_equal(one.vectors, two.vectors)
    assert not np.array_equal(one.vectors, learn(prepared, tmp_path / "3", seed=1).vectors)


def test_stored_vectors_are_read_back(prepared, tmp_path):
    found = learn(prepared, tmp_path)
    again = WordVectors.load(tmp_path)
    assert again.words == found.words
    assert np.array_equal(again.vectors, found.vectors)
    assert again.facts == found.facts
    assert again.facts["reviews"] == 2000
    assert {file.name for file in tmp_path.iterdir()} == {
        "card.json",
        "vectors.safetensors",
        "vocabulary.json",
    }


def test_cosines_worked_by_hand():
    found = WordVectors(("a", "b", "c"), np.array([[1, 0], [3, 4], [-2, 0]], np.float32))
    assert found.nearest("a") == [("b", pytest.approx(0.6)), ("c", pytest.approx(-1))]
    assert found.nearest("a", 1) == [("b", pytest.approx(0.6))]
    assert found.vector("b").tolist() == [3, 4]
    with pytest.raises(KeyError, match="'d' has no vector"):
        found.nearest("d")


def test_too_rare_words_are_an_error(prepared, tmp_path):
    with pytest.raises(NotEnoughDataError, match="lower min_count"):
        learn(prepared, tmp_path, min_count=10**6)
    assert not list(tmp_path.iterdir())


def test_missing_extra_is_named(prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(MissingExtraError, match=r"shelfcheck\[vectors\]"):
        train_word_vectors(prepared, tmp_path)


def test_wrong_algorithm_is_refused(prepared, tmp_path):
    with pytest.raises(UsageError, match="'glove', must be 'skipgram' or 'cbow'"):
        train_word_vectors(prepared, tmp_path, algorithm="glove")


@pytest.mark.parametrize("damage", ["none there", "words missing", "cut short"])
def test_damaged_vectors_are_refused(tmp_path, damage):
    WordVectors(("a", "b"), np.ones((2, 2), np.float32)).save(tmp_path)
    if damage == "none there":
        (tmp_path / "card.json").unlink()
    elif damage == "words missing":
        (tmp_path / "vocabulary.json").write_text('["a"]', encoding="utf-8")
    else:
        (tmp_path / "vectors.safetensors").write_bytes(b"no")
    with pytest.raises(WorkspaceError, match=r"can be read|1 words, \(2, 2\) vectors"):
        WordVectors.load(tmp_path)
