from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from review_corpus import reviews, write_prepared
from shelfcheck.config import LinearSettings, validate
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.models import split
from shelfcheck.models.base import Model
from shelfcheck.models.count_kernels import count_classes, count_documents, relevance
from shelfcheck.models.encode import encode
from shelfcheck.models.evaluation import Evaluation
from shelfcheck.models.examples import Examples
from shelfcheck.models.fitting import _class_weights
from shelfcheck.models.kernels import learn
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.ngrams import term_buckets
from shelfcheck.models.train import evaluate_held_out, evaluate_rows, fit_calibrated, train


def fit(encoded, settings, *, threads=1, seed=0):
    rows = np.flatnonzero(encoded.bucket >= 300)
    return LinearModel.fit(
        encoded, rows, encoded.categories, settings.train.linear, threads=threads, seed=seed
    )


def with_linear(settings, **values):
    linear = settings.train.linear.model_copy(update=values)
    return settings.model_copy(update={"train": settings.train.model_copy(update={"linear": linear})})


def test_one_thread_and_one_seed_give_the_same_bits(encoded, settings):
    one, two = fit(encoded, settings), fit(encoded, settings)
    assert np.array_equal(one.weights, two.weights)
    assert np.array_equal(one.bias, two.bias)
    assert not np.array_equal(one.weights, fit(encoded, settings, seed=1).weights)


def test_two_threads_differ_little(encoded, settings):
    one, two = fit(encoded, settings), fit(encoded, settings, threads=2)
    a, b = (
        np.exp(m.calibration.log_probabilities(m.logits(encoded.indptr, encoded.ids))) for m in (one, two)
    )
    assert np.abs(a - b).mean() < 0.02


def test_learns_what_logistic_regression_learns(encoded, model):
    test = np.flatnonzero(split.is_test(encoded.bucket, 0.2))
    ours = evaluate_rows(model, encoded, test, 1).accuracy
    from scipy.sparse import csr_matrix

    x = csr_matrix(
        (np.ones(encoded.n_ids, np.float32), encoded.ids & np.uint32((1 << 26) - 1), encoded.indptr),
        shape=(encoded.n_rows, 1 << 16),
    )
    rows = np.flatnonzero(encoded.bucket >= 300)
    peer = LogisticRegression(max_iter=200).fit(x[rows], encoded.label[rows])
    assert ours > peer.score(x[test], encoded.label[test]) - 0.02
    assert ours > 0.7


def test_first_step_is_the_gradient_worked_by_hand():
    # One review with one n-gram that is known and one that is not, two classes, bias 0: p = (.5, .5),
    # g = (-.5, .5), x = 1 after the norm, squares = 1 + .5, step = rate * x / sqrt(1.5) * g.
    weights, squares = np.zeros((1, 8), np.float32), np.ones(1, np.float32)
    bias, bias_squares = np.zeros(8, np.float32), np.ones(8, np.float32)
    loss = learn(
        np.array([0, 2]), np.array([1, 0], np.uint32), np.array([0, -1], np.int32), np.array([0], np.uint32),
        np.array([0], np.int16), np.array([0]), np.array([3], np.float32), np.ones(64, np.float32), weights,
        squares, bias, bias_squares, np.ones(2, np.float32), 2, 4.0, 4.0, 0.0, 1,
    )  # fmt: skip
    assert loss == pytest.approx(np.log(2))
    assert squares[0] == pytest.approx(1.5)
    assert weights[0, :2] == pytest.approx([2 / 1.5**0.5, -2 / 1.5**0.5], rel=1e-5)
    assert bias[:2] == pytest.approx([0.4 * 0.5 / 1.25**0.5, -0.4 * 0.5 / 1.25**0.5], rel=1e-5)
    assert not weights[0, 2:].any()


def test_where_memory_is_free_changes_no_bit():
    """Compiled loops take another path where arrays lie close together."""
    random = np.random.default_rng(2)
    n, features, classes = 400, 50, 21
    ids = random.integers(0, features, 20 * n).astype(np.uint32)
    labels = random.integers(0, classes, n).astype(np.int16)
    idf, counts = random.uniform(1, 5, features).astype(np.float32), np.arange(1, 65, dtype=np.float32)

    def learned():
        held.append(np.empty(random.integers(1, 100), np.float32))
        weights, squares = np.zeros((features, 24), np.float32), np.ones(features, np.float32)
        bias, bias_squares = np.zeros(24, np.float32), np.ones(24, np.float32)
        loss = learn(
            np.arange(0, 20 * n + 1, 20), ids, np.arange(features, dtype=np.int32),
            np.arange(n, dtype=np.uint32), labels, np.array([0, 1]), idf, counts, weights, squares, bias,
            bias_squares, np.ones(classes, np.float32), classes, 0.5, 0.1, 0.3, 1,
        )  # fmt: skip
        held.append(bias)
        return loss, *(array.tobytes() for array in (weights, squares, bias, bias_squares))

    held = []
    found = [learned() for _ in range(20)]
    with ThreadPoolExecutor(1) as thread:  # whose memory is its own, and free
        found += thread.map(lambda _: learned(), range(20))
    assert len(set(found)) == 1


def test_reviews_of_rare_classes_count_more():
    # Of 100 reviews in 4 classes, 25 are enough: 9 count (25/9)^½ each, an empty class as one review would.
    labels = np.repeat(np.array([0, 1, 2], np.int16), [9, 25, 66])
    assert _class_weights(labels, 4, 1000) == pytest.approx([5 / 3, 1, 1, 5])
    assert _class_weights(labels, 4, 16) == pytest.approx([4 / 3, 1, 1, 4])
    assert _class_weights(labels, 4, 0).tolist() == [1, 1, 1, 1]


def test_relevance_worked_by_hand():
    # Two classes with shares of a half. Feature 0 stands in one review of either: with 5 further reviews of
    # each, the shares stay a half and it tells nothing. Feature 1 stands in two reviews of class 1: shares
    # 5/12 and 7/12. Counts within a review (the high bits) do not matter.
    # Bucket 2 is no feature.
    ids = np.array([0, 1, 2, 0, 1 | 5 << 26], np.uint32)
    indptr, rows = np.array([0, 1, 3, 4, 5]), np.arange(4, dtype=np.uint32)
    position, labels = np.array([0, 1, -1], np.int32), np.array([0, 1, 1, 1], np.int16)
    found, counts = np.full(2, np.nan), np.zeros((2, 2), np.int32)
    for first, last in ((0, 1), (1, 2)):
        count_classes(indptr, ids, position, rows, labels, first, last, counts)
        relevance(counts, np.array([0.5, 0.5]), first, last, found)
    assert counts.tolist() == [[1, 1], [0, 2]]
    assert found == pytest.approx([0, 5 / 12 * np.log(10 / 12) + 7 / 12 * np.log(14 / 12)], abs=1e-12)


def test_relevant_words_weigh_more(encoded, settings):
    plain = fit(encoded, with_linear(settings, idf_power=0.5, relevance_power=0.0))
    ours = fit(encoded, with_linear(settings, idf_power=0.5, relevance_power=0.5))
    rows = np.flatnonzero(encoded.bucket >= 300)
    frequency = np.zeros(1 << encoded.hash_bits, np.int32)
    count_documents(encoded.indptr, encoded.ids, rows, frequency)
    rarity = np.log((1 + len(rows)) / (1 + frequency[plain.buckets])) + 1
    assert plain.idf == pytest.approx(np.sqrt(rarity), rel=1e-6)
    factor = ours.idf / plain.idf
    assert factor.min() >= 0.05**0.5 - 1e-6  # that of an n-gram that tells nothing
    novel, great = (ours.position[term_buckets([w], "review_body", 16)[0]] for w in ("novel", "great"))
    assert factor[novel] > 2 * factor[great]


def test_relevance_is_the_same_for_any_number_of_threads(encoded, settings):
    one, three = fit(encoded, settings), fit(encoded, settings, threads=3)
    assert np.array_equal(one.idf, three.idf)


def test_stored_model_predicts_the_same(model, tmp_path):
    texts = ["the plot of this novel", "zipper broke at the airport", "", None, "Great!"]
    model.save(tmp_path)
    again = LinearModel.load(tmp_path)
    assert np.array_equal(model.predict_proba(texts), again.predict_proba(texts))
    assert again.card() == model.card()
    assert {file.name for file in tmp_path.iterdir()} == {"model.safetensors", "card.json"}


def test_texts_and_encoded_rows_agree(model, encoded):
    table = reviews()
    by_id = {row["review_id"]: row for row in table.to_pylist()}
    rows = [by_id[one] for one in encoded.rows()["review_id"].to_pylist()[:200]]
    ours = model.predict_proba([r["review_body"] for r in rows], [r["review_headline"] for r in rows])
    logits = model.logits(encoded.indptr, encoded.ids, np.arange(200), threads=1)
    assert ours == pytest.approx(np.exp(model.calibration.log_probabilities(logits)), abs=1e-6)
    assert ours.sum(axis=1) == pytest.approx(np.ones(200), abs=1e-5)


def test_text_without_a_known_word_gets_the_prior(model):
    found = model.predict_proba(["", "qqq zzz", None])
    assert found == pytest.approx(np.tile(np.exp(model.prior), (3, 1)), abs=1e-5)


def test_it_is_a_model(model):
    assert isinstance(model, Model)
    assert model.predict(["author chapter prose", "suitcase wheel handle"]) == ["Books", "Luggage"]


def test_categories_with_few_reviews_are_named_not_learned(settings, tmp_path):
    table = reviews(600)
    rare = table.slice(0, 5).set_column(
        table.schema.get_field_index("product_category"), "product_category", pa.array(["Rare"] * 5)
    )
    rare = rare.set_column(
        0 + table.schema.get_field_index("review_id"), "review_id", pa.array([f"X{i}" for i in range(5)])
    )
    encoded = encode(
        write_prepared(pa.concat_tables([table, rare]), tmp_path / "p"), tmp_path / "e", settings
    )
    model = fit_calibrated(Examples(encoded), settings, encoded.bucket)
    assert "Rare" not in model.categories
    assert model.facts["categories_skipped"] == {"Rare": 5}
    found = evaluate_rows(model, encoded, np.arange(encoded.n_rows), 1)
    assert found.notes == {"reviews_of_unknown_categories": 5}
    assert found.reviews == 600


def test_one_category_is_not_enough(settings, tmp_path):
    encode(write_prepared(reviews(100, categories=("Books",)), tmp_path / "p"), tmp_path / "e", settings)
    with pytest.raises(NotEnoughDataError, match=r"1 of 1 classes .* must be >= 2"):
        train(tmp_path / "e", tmp_path / "m", settings)


def test_no_word_is_frequent_enough(encoded):
    linear = LinearSettings(min_document_frequency=10**6)
    with pytest.raises(NotEnoughDataError, match="min_document_frequency"):
        LinearModel.fit(encoded, np.arange(encoded.n_rows), encoded.categories, linear, threads=1)


def test_stages_write_what_they_say(encoded, settings, tmp_path):
    counts = train(encoded.folder, tmp_path / "m", settings)
    assert counts["categories_learned"] == 4
    told = evaluate_held_out(encoded.folder, tmp_path / "m", tmp_path / "e", settings)
    found = Evaluation.from_json((tmp_path / "e" / "evaluation.json").read_text(encoding="utf-8"))
    assert told["accuracy"] == round(found.accuracy, 4)
    assert found.ece_uncalibrated is not None
    assert "accuracy" in (tmp_path / "e" / "evaluation.txt").read_text(encoding="utf-8")
    card = json.loads((tmp_path / "m" / "card.json").read_text(encoding="utf-8"))
    assert card["model"] == "linear"
    assert card["split"]["test_share"] == 0.2


@pytest.mark.parametrize("damage", ["none there", "other model", "cut short"])
def test_damaged_model_is_refused(model, tmp_path, damage):
    model.save(tmp_path)
    card, tensors = tmp_path / "card.json", tmp_path / "model.safetensors"
    if damage == "none there":
        card.unlink()
    elif damage == "other model":
        card.write_text(card.read_text(encoding="utf-8").replace('"linear"', '"other"'), encoding="utf-8")
    else:
        tensors.write_bytes(tensors.read_bytes()[:100])
    with pytest.raises(WorkspaceError, match="shelfcheck train"):
        LinearModel.load(tmp_path)


def test_real_reviews_by_product(real_data, tmp_path):
    import pyarrow.parquet as pq

    from shelfcheck.models.ngrams import field_tokens
    from shelfcheck.schema import PREPARED_SCHEMA

    raw = pq.read_table(real_data / "reviews.parquet").slice(0, 30_000)
    tokens = field_tokens(raw, ["review_body"], validate({}).text, 2)[0]
    columns = {name: raw[name] for name in PREPARED_SCHEMA.names if name in raw.schema.names}
    for name in ("vine", "verified_purchase"):
        columns[name] = pa.nulls(raw.num_rows, pa.bool_())
    columns |= {"review_tokens": tokens, "review_month": pa.nulls(raw.num_rows, pa.string())}
    table = pa.table(columns).select(PREPARED_SCHEMA.names).cast(PREPARED_SCHEMA)
    settings = validate({"run": {"threads": 2}})
    encoded = encode(write_prepared(table, tmp_path / "p"), tmp_path / "e", settings)
    model = fit_calibrated(Examples(encoded), settings, encoded.bucket)
    found = evaluate_rows(model, encoded, np.flatnonzero(split.is_test(encoded.bucket, 0.2)), 2)
    assert found.accuracy > 0.80
    assert found.macro.f1 > 0.50
    assert found.ece < 0.03


def test_rounding_is_bfloat16():
    from shelfcheck.models.ngram_weights import rounded

    # 8 bits of precision: 1 + 1/128 is exact, 1 + 1/256 is a tie (to even: 1), a little more is up.
    values = np.array([1, 1 + 1 / 128, 1 + 1 / 256, 1 + 1 / 256 + 1e-5, -3.14159, 0], np.float32)
    assert rounded(values).tolist() == [1, 1 + 1 / 128, 1, 1 + 1 / 128, -3.140625, 0]
    assert np.array_equal(rounded(rounded(values)), rounded(values))
