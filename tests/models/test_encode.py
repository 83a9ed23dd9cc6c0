from __future__ import annotations

import itertools
import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from review_corpus import reviews, write_prepared
from shelfcheck.config import validate
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.models import encode as module
from shelfcheck.models import split
from shelfcheck.models.encode import Encoded, encode
from shelfcheck.models.ngrams import encode_tokens, term_buckets, terms

BODY, HEADLINE = "review_body", "review_headline"


def bag(indptr, ids, row):
    own = ids[indptr[row] : indptr[row + 1]]
    return {int(code & 0x3FFFFFF): int(code >> 26) + 1 for code in own}


def expected(text, field, bits=20):
    """Counts of n-grams by bucket, from Python's own splitting."""
    words = text.split()
    grams = words + [f"{a} {b}" for a, b in itertools.pairwise(words)]
    found = {}
    for gram in grams:
        place = int(term_buckets([gram], field, bits)[0])
        found[place] = found.get(place, 0) + 1
    return found


@hypothesis_settings(deadline=None)  # the first call compiles
@given(st.lists(st.text("ab ß日", max_size=30), min_size=1, max_size=5))
def test_rows_hold_each_word_and_pair_with_its_count(texts):
    indptr, ids = encode_tokens([pa.array(texts)], [BODY], 20)
    for row, text in enumerate(texts):
        assert bag(indptr, ids, row) == expected(" ".join(text.split(" ")), BODY)


def test_fields_are_kept_apart():
    body, headline = term_buckets(["good"], BODY, 26), term_buckets(["good"], HEADLINE, 26)
    assert body[0] != headline[0]
    indptr, ids = encode_tokens([pa.array(["good"]), pa.array(["good good"])], [HEADLINE, BODY], 26)
    assert bag(indptr, ids, 0) == {int(headline[0]): 1} | expected("good good", BODY, 26)


def test_counts_stop_at_64():
    indptr, ids = encode_tokens([pa.array([" ".join(["so"] * 500)])], [BODY], 20)
    assert sorted(bag(indptr, ids, 0).values()) == [64, 64]


def test_long_texts_fit_and_threads_do_not_matter():
    random = np.random.default_rng(0)
    texts = [" ".join(map(str, random.integers(0, 9**6, n))) for n in (0, 1, 40_000, 3, 900)] * 5000
    texts = texts[:3] + [text for text in texts if len(text) < 100]
    one = encode_tokens([pa.array(texts)], [BODY], 22, threads=1)
    two = encode_tokens([pa.array(texts)], [BODY], 22, threads=2)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert np.diff(one[0])[:3].tolist() == [0, 1, np.diff(one[0])[2]]
    assert np.diff(one[0])[2] > 70_000


def test_sliced_and_null_columns():
    column = pa.array(["x", "a b", None, "a"]).slice(1)
    indptr, ids = encode_tokens([column], [BODY], 20)
    assert np.diff(indptr).tolist() == [3, 0, 1]
    assert bag(indptr, ids, 2).keys() <= bag(indptr, ids, 0).keys()


@hypothesis_settings(deadline=None)
@given(st.lists(st.text("ab ß日", max_size=30), min_size=1, max_size=5))
def test_first_letters_of_longer_words_are_terms_too(texts):
    indptr, ids = encode_tokens([pa.array(texts)], [BODY], 26, prefixes=(2, 4))
    for row, text in enumerate(texts):
        words = [word for word in text.split(" ") if word]
        found = expected(" ".join(words), BODY, 26)
        for letters in (2, 4):
            for word in words:
                if len(word) > letters:
                    place = int(term_buckets([word[:letters] + "*"], HEADLINE, 26)[0])
                    found[place] = found.get(place, 0) + 1
        assert bag(indptr, ids, row) == found


def test_a_prefix_is_the_same_in_all_fields_and_no_word():
    buckets = [term_buckets(["guit*", "guit"], field, 26).tolist() for field in (BODY, HEADLINE)]
    assert buckets[0][0] == buckets[1][0]
    assert len({*buckets[0], *buckets[1]}) == 3
    indptr, ids = encode_tokens(
        [pa.array(["guitar guit"]), pa.array(["guit"])], [BODY, HEADLINE], 26, prefixes=[4]
    )
    assert bag(indptr, ids, 0)[buckets[0][0]] == 1


def test_terms_in_order_of_appearance():
    assert terms("a b a b") == ["a", "b", "a b", "b a"]
    assert terms("") == []
    assert terms("äöüß a äöüße", 1, (2, 4)) == ["äöüß", "äö*", "a", "äöüße", "äöüß*"]


def test_rows_labels_and_buckets_stand_in_one_order(encoded):
    table = reviews()
    by_id = {row["review_id"]: row for row in table.to_pylist()}
    rows = encoded.rows().to_pylist()
    assert sorted(row["review_id"] for row in rows) == sorted(by_id)
    for i in range(0, encoded.n_rows, 37):
        row = by_id[rows[i]["review_id"]]
        assert encoded.categories[encoded.label[i]] == row["product_category"]
        key = row["product_id"] or "text\n" + row["review_tokens"]
        assert encoded.bucket[i] == split.bucket(key)
        texts = [pa.array([row["review_headline"]], pa.string()), pa.array([row["review_tokens"]])]
        _indptr, ids = encode_tokens(texts, encoded.fields, encoded.hash_bits, prefixes=encoded.prefixes)
        assert ids.tolist() == encoded.ids[encoded.indptr[i] : encoded.indptr[i + 1]].tolist()


def test_order_is_shuffled_and_independent_of_input_order(encoded, settings, tmp_path):
    table = reviews()
    other = encode(
        write_prepared(table.take(np.arange(len(table))[::-1]), tmp_path / "p"), tmp_path / "o", settings
    )
    ids = encoded.rows()["review_id"].to_pylist()
    assert ids == other.rows()["review_id"].to_pylist()
    assert np.array_equal(encoded.ids, other.ids)
    place = np.array([int(one[1:]) for one in ids])
    assert abs(np.corrcoef(place, np.arange(len(place)))[0, 1]) < 0.1


def test_parts_give_the_same_as_one_part(encoded, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PART_ROWS", 300)
    monkeypatch.setattr(module, "_SEGMENT_ROWS", 170)
    other = encode(write_prepared(reviews(), tmp_path / "p"), tmp_path / "o", settings)
    for name in ("indptr", "ids", "label", "bucket"):
        assert np.array_equal(getattr(encoded, name), getattr(other, name)), name
    assert encoded.rows().equals(other.rows())
    assert not (tmp_path / "o" / ".parts").exists()


def test_nothing_to_encode(settings, tmp_path):
    with pytest.raises(NotEnoughDataError, match="no reviews"):
        encode(write_prepared(reviews(0), tmp_path / "p"), tmp_path / "o", settings)


@pytest.mark.parametrize("damage", ["missing", "short", "format"])
def test_damaged_folder_is_refused(encoded, tmp_path, damage):
    shutil.copytree(encoded.folder, tmp_path, dirs_exist_ok=True)
    if damage == "missing":
        (tmp_path / "meta.json").unlink()
    elif damage == "short":
        (tmp_path / "ids.u32").write_bytes(b"1234")
    else:
        meta = (tmp_path / "meta.json").read_text(encoding="utf-8")
        (tmp_path / "meta.json").write_text(meta.replace('"format": 4', '"format": 99'), encoding="utf-8")
    with pytest.raises(WorkspaceError, match="shelfcheck train"):
        Encoded.open(tmp_path)


def test_fields_setting(tmp_path):
    body = validate({"run": {"threads": 1}, "train": {"linear": {"fields": [BODY], "hash_bits": 16}}})
    one = encode(write_prepared(reviews(50), tmp_path / "p"), tmp_path / "o", body)
    assert one.fields == (BODY,)
    both = encode(tmp_path / "p", tmp_path / "o2", validate({"train": {"linear": {"hash_bits": 16}}}))
    assert both.n_ids > one.n_ids
