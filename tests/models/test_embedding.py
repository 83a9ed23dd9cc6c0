from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from review_corpus import reviews
from shelfcheck.config import BLAZINGTEXT, EmbeddingSettings, validate
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.models import split
from shelfcheck.models.base import Model
from shelfcheck.models.embedding import EmbeddingModel
from shelfcheck.models.embedding_kernels import learn
from shelfcheck.models.examples import Examples
from shelfcheck.models.explain import explain
from shelfcheck.models.kernels import BLOCK
from shelfcheck.models.kinds import load_model
from shelfcheck.models.train import fit_calibrated, judge
from shelfcheck.progress import NullProgress

PLAIN = BLAZINGTEXT.model_dump(exclude={"hash_bits"}) | {
    "learning_rate": 0.5,
    "min_count": 2,
    "vector_dim": 20,
    "epochs": 8,
}
OURS = {"vector_dim": 12, "epochs": 8}
TABLE = reviews()


def settings_of(threads=1, seed=0, **embedding):
    own = {"hash_bits": 16} | embedding
    return validate(
        {"run": {"threads": threads, "seed": seed}, "train": {"model": "embedding", "embedding": own}}
    )


def examples_of(settings, table=TABLE):
    return Examples.of_table(table, settings.train.embedding, settings.text, 1)


def fit(examples, **options):
    settings = settings_of(**options)
    bucket = examples.encoded.bucket
    rows, held = np.flatnonzero(bucket >= 300), np.flatnonzero((bucket >= 200) & (bucket < 300))
    return EmbeddingModel.learn(examples, rows, held, settings, NullProgress())


@pytest.fixture(scope="module")
def examples():
    return examples_of(settings_of())


@pytest.fixture(scope="module", params=[PLAIN, OURS], ids=["plain", "ours"])
def model(request, examples):
    return fit_calibrated(examples, settings_of(**request.param))


def test_learns_and_is_a_model(model, examples):
    test = np.flatnonzero(split.is_test(examples.encoded.bucket, 0.2))
    assert isinstance(model, Model)
    assert judge(model, examples, test, 1).accuracy > 0.7
    assert model.predict(["author chapter prose", "suitcase wheel handle"]) == ["Books", "Luggage"]


def descend(x, labels, start, *, rate, unit_norm):
    """One pass of stochastic gradient descent in float64, written from the formulas."""
    v, w, b = (one.astype(np.float64) for one in start)
    loss = 0.0
    for row, label in zip(x, labels, strict=True):
        part = row / (np.linalg.norm(row) if unit_norm else row.sum())
        h = part @ v
        z = w @ h + b
        p = np.exp(z - z.max())
        p /= p.sum()
        loss -= np.log(p[label])
        p[label] -= 1
        slope = w.T @ p
        w -= rate * np.outer(p, h)
        b -= 0.1 * rate * p
        v -= rate * np.outer(part, slope)
    return loss, v, w, b


@pytest.mark.parametrize("unit_norm", [True, False])
def test_kernel_descends_the_gradient(unit_norm):
    random = np.random.default_rng(1)
    n, features, classes, width = 7, 5, 3, 8
    counts = random.integers(0, 3, (n, features))
    counts[:, 0] += 1
    factor = random.uniform(0.5, 2, features + 1).astype(np.float32)
    rows = [np.flatnonzero(row) for row in counts]
    ids = np.concatenate(
        [f | (counts[i, f] - 1) << 26 for i, f in enumerate(rows)]
    ).astype(np.uint32)  # fmt: skip
    ends = np.cumsum([len(row) for row in rows])
    labels = random.integers(0, classes, n).astype(np.int16)
    tf = np.arange(1, 65, dtype=np.float32)
    vectors = random.normal(size=(features + 1, width)).astype(np.float32)  # and the end
    output = random.normal(size=(classes, width)).astype(np.float32)
    bias = random.normal(size=classes).astype(np.float32)
    x = np.hstack([counts, np.ones((n, 1))]) * factor
    expected = descend(x, labels, (vectors, output, bias), rate=0.3, unit_norm=unit_norm)
    loss = learn(
        np.concatenate([[0], ends]), ids, np.arange(features, dtype=np.int32), np.arange(n, dtype=np.uint32),
        labels, np.array([0]), factor, tf, unit_norm, vectors, np.ones(features + 1, np.float32), output,
        np.ones(classes, np.float32), bias, False, 0.3, 0.3, 0.0, 1,
    )  # fmt: skip
    for ours, right in zip((loss, vectors, output, bias), expected, strict=True):
        assert ours == pytest.approx(right, rel=1e-4, abs=1e-5)


def test_where_memory_is_free_changes_no_bit():
    """Compiled loops take another path where arrays lie close together."""
    random = np.random.default_rng(2)
    n, features, classes, width = 400, 50, 21, 24
    ids = random.integers(0, features, 20 * n).astype(np.uint32)
    labels = random.integers(0, classes, n).astype(np.int16)
    factor, counts = (
        random.uniform(0.5, 2, features + 1).astype(np.float32),
        np.arange(1, 65, dtype=np.float32),
    )
    first = random.normal(size=(features + 1 + classes, width)).astype(np.float32)

    def learned():
        held.append(np.empty(random.integers(1, 100), np.float32))
        vectors, output = first[: features + 1].copy(), first[features + 1 :].copy()
        squares, output_squares = np.ones(features + 1, np.float32), np.ones(classes, np.float32)
        bias = np.zeros(classes, np.float32)
        loss = learn(
            np.arange(0, 20 * n + 1, 20), ids, np.arange(features, dtype=np.int32),
            np.arange(n, dtype=np.uint32), labels, np.array([0, 1]), factor, counts, True, vectors, squares,
            output, output_squares, bias, True, 0.5, 0.1, 0.3, 1,
        )  # fmt: skip
        held.append(bias)
        return loss, *(array.tobytes() for array in (vectors, squares, output, output_squares, bias))

    held = []
    found = [learned() for _ in range(20)]
    with ThreadPoolExecutor(1) as thread:  # whose memory is its own, and free
        found += thread.map(lambda _: learned(), range(20))
    assert len(set(found)) == 1


def test_first_adagrad_step_worked_by_hand():
    # One n-gram (x = 1, vector (1, 0, …)), an end without weight, two classes with outputs (±1, 0, …),
    # bias 0: logits ±1, p = 1 / (1 + e^-2) for the wrong class 0, g = (p, -p), slope = 2 p. Squares: of
    # the vector 1 + 4 p², of either output 1 + p² (h has length 1).
    vectors, output = np.zeros((2, 8), np.float32), np.zeros((2, 8), np.float32)
    vectors[0, 0], output[0, 0], output[1, 0] = 1, 1, -1
    squares, output_squares = np.ones(2, np.float32), np.ones(2, np.float32)
    bias = np.zeros(2, np.float32)
    loss = learn(
        np.array([0, 1]), np.array([0], np.uint32), np.array([0], np.int32), np.array([0], np.uint32),
        np.array([1], np.int16), np.array([0]), np.array([1, 0], np.float32), np.ones(64, np.float32), True,
        vectors, squares, output, output_squares, bias, True, 0.5, 0.5, 0.0, 1,
    )  # fmt: skip
    p = 1 / (1 + math.exp(-2))
    assert loss == pytest.approx(-math.log(1 - p), rel=1e-5)
    assert squares[0] == pytest.approx(1 + 4 * p * p)
    assert vectors[0, 0] == pytest.approx(1 - 0.5 * 2 * p / math.sqrt(1 + 4 * p * p))
    step = 0.5 * p / math.sqrt(1 + p * p)
    assert output[:, 0] == pytest.approx([1 - step, -1 + step])
    assert bias == pytest.approx([-0.1 * step, 0.1 * step])
    assert not vectors[0, 1:].any()


def test_one_thread_and_one_seed_give_the_same_bits(examples):
    one, two = fit(examples, **OURS), fit(examples, **OURS)
    assert np.array_equal(one.vectors, two.vectors)
    assert np.array_equal(one.output, two.output)
    assert np.array_equal(one.bias, two.bias)
    assert not np.array_equal(one.vectors, fit(examples, seed=1, **OURS).vectors)


def test_two_threads_differ_little():
    settings = settings_of(**OURS)
    examples = examples_of(settings, reviews(26 * BLOCK))  # 18 blocks to learn from, in chunks of 16
    a, b = (
        np.exp(m.calibration.log_probabilities(m.logits_of(examples, np.arange(2000), 1)))
        for m in (fit(examples, **OURS), fit(examples, threads=2, **OURS))
    )
    assert np.abs(a - b).mean() < 0.02


def test_stored_model_predicts_the_same(model, tmp_path):
    texts = ["the plot of this novel", "zipper broke at the airport", "", None, "Great!"]
    model.save(tmp_path)
    again = load_model(tmp_path)
    assert np.array_equal(model.predict_proba(texts), again.predict_proba(texts))
    assert again.card() == model.card()
    assert again.words == model.words
    assert {file.name for file in tmp_path.iterdir()} == {"model.safetensors", "card.json"}


@pytest.mark.parametrize("damage", ["none there", "other model", "cut short"])
def test_damaged_model_is_refused(model, tmp_path, damage):
    model.save(tmp_path)
    card, tensors = tmp_path / "card.json", tmp_path / "model.safetensors"
    if damage == "none there":
        card.unlink()
    elif damage == "other model":
        card.write_text(card.read_text(encoding="utf-8").replace('"embedding"', '"other"'), encoding="utf-8")
    else:
        tensors.write_bytes(tensors.read_bytes()[:100])
    with pytest.raises(WorkspaceError, match="shelfcheck train"):
        EmbeddingModel.load(tmp_path)


def test_texts_and_encoded_rows_agree(model, examples):
    rows = TABLE.slice(0, 200).to_pylist()
    ours = model.predict_proba([r["review_body"] for r in rows], [r["review_headline"] for r in rows])
    logits = model.logits_of(examples, np.arange(200), 1)
    assert ours == pytest.approx(np.exp(model.calibration.log_probabilities(logits)), abs=1e-6)


def test_text_without_a_known_word_gets_the_prior(model):
    found = model.predict_proba(["", "qqq zzz", None])
    assert found == pytest.approx(np.tile(np.exp(model.prior), (3, 1)), abs=1e-5)


@pytest.mark.parametrize(
    "body", ["The strap of this suitcase is great, a great story! Great zipper", "", None]
)
@pytest.mark.parametrize(("category", "against"), [(None, None), ("Books", "Luggage")])
def test_terms_and_rest_add_up_to_the_log_odds(model, body, category, against):
    found = model.explain("great zipper", body, category, against, k=10_000)
    assert sum(term.weight for term in found.terms) + found.rest == pytest.approx(found.log_odds, abs=1e-4)
    p = dict(zip(model.categories, model.predict_proba([body], ["great zipper"])[0], strict=True))
    clean = model.calibration.log_probabilities_of_truth(model.logits_batch(text_of(body), threads=1))[0]
    place = model.categories.index
    assert found.log_odds == pytest.approx(
        float(clean[place(found.category)] - clean[place(found.against)]), abs=1e-3
    )
    assert p[found.category] > p[found.against] or category is not None


def text_of(body):
    import pyarrow as pa

    return pa.table({"review_headline": ["great zipper"], "review_body": pa.array([body], pa.string())})


def test_rest_is_what_the_biases_and_the_end_add(model):
    found = explain(model, None, "suitcase zipper", "Luggage", "Books", k=100)
    one, two = (model.categories.index(name) for name in ("Luggage", "Books"))
    names = ["suitcase", "suitcase zipper", "zipper"]
    names += ["suit*", "suitca*", "zipp*"] if model.settings.prefixes else []
    assert {term.term for term in found.terms} == set(names)
    x = np.append(model.factor[model.places(names)], model.factor[-1])
    share = x[-1] / (np.linalg.norm(x) if model.settings.pooling == "norm" else x.sum())
    end = share * model.vectors[-1] @ (model.output[one] - model.output[two])
    rest = model.bias[one] - model.bias[two] + end
    assert found.rest == pytest.approx(model.calibration.scale * rest, abs=1e-4)


def test_early_stopping_stops_and_keeps_the_best(examples):
    model = fit(
        examples, early_stopping=True, patience=2, min_epochs=3, epochs=40, vector_dim=8, learning_rate=3.0
    )
    accuracies = model.facts["validation_accuracy_by_epoch"]
    best = model.facts["best_epoch"]
    assert 3 <= len(accuracies) < 40
    assert len(accuracies) - best >= 2
    assert accuracies[best - 1] == max(accuracies)
    bucket = examples.encoded.bucket
    held = np.flatnonzero((bucket >= 200) & (bucket < 300))
    predicted = model.logits_of(examples, held, 1).argmax(axis=1)
    assert (predicted == examples.label[held]).mean() == pytest.approx(max(accuracies), abs=0.005)


def test_min_epochs_are_run(examples):
    model = fit(examples, early_stopping=True, patience=1, min_epochs=9, epochs=10, vector_dim=8)
    assert len(model.facts["validation_accuracy_by_epoch"]) >= 9


def test_most_frequent_ngrams_get_the_vectors():
    settings = settings_of(buckets=1000, min_count=1)
    examples = examples_of(settings)
    model = fit(examples, buckets=1000, min_count=1, vector_dim=4, epochs=1)
    assert len(model.buckets) == 1000
    every = fit(examples, min_count=1, vector_dim=4, epochs=1)
    assert np.array_equal(model.buckets, every.buckets[:1000])


def test_no_word_is_frequent_enough(examples):
    with pytest.raises(NotEnoughDataError, match=r"lower train\.embedding\.min_count"):
        fit(examples, min_count=10**6)


def test_one_category_is_not_enough():
    examples = examples_of(settings_of(), reviews(100, categories=("Books",)))
    with pytest.raises(NotEnoughDataError, match="must be >= 2"):
        fit(examples)


def test_neighbours_of_a_word_are_of_its_category(model):
    near = [word for word, cosine in model.nearest_words("novel", 4) if cosine > 0.5]
    assert {"plot", "author", "chapter", "page", "story", "reader", "character", "ending", "prose"} >= set(
        near
    )
    assert len(near) == 4
    assert [word for word, _ in model.nearest_words("novel", among=["zipper", "plot", "qqq", "novel"])] == [
        "plot",
        "zipper",
    ]
    assert model.word_vector("novel").shape == (model.settings.vector_dim,)
    with pytest.raises(KeyError, match="'qqq' has no vector"):
        model.word_vector("qqq")


def test_neighbours_need_names(examples):
    model = fit(examples, named_words=0, vector_dim=4, epochs=1)
    assert model.words == ()
    with pytest.raises(WorkspaceError, match="named_words"):
        model.nearest_words("novel")


def test_product_vectors_are_the_means_of_their_reviews(model, examples):
    found = model.product_vectors(examples)
    ids = TABLE["product_id"].to_pylist()
    assert found.products == sorted({one for one in ids if one is not None})
    assert found.reviews.sum() == sum(one is not None for one in ids)
    product = "P1"
    rows = np.array([i for i, one in enumerate(ids) if one == product])
    # Logits are linear in the vectors: their mean over the product's reviews is that of its vector.
    logits = model.logits_of(examples, rows, 1).mean(axis=0)
    vector = found.vectors[found.products.index(product)]
    dim = model.settings.vector_dim
    assert model.output[:, :dim] @ vector + model.bias == pytest.approx(logits, abs=1e-4)
    some = model.product_vectors(examples, rows)
    assert some.products == [product]
    assert some.vectors[0] == pytest.approx(vector, abs=1e-6)


def test_as_good_as_fasttext_on_real_reviews(real_data, tmp_path):
    fasttext = pytest.importorskip("fasttext")
    import pyarrow.parquet as pq

    from shelfcheck.models.ngrams import field_tokens

    columns = ["review_id", "product_id", "product_category", "review_body"]
    raw = pq.read_table(real_data / "reviews.parquet", columns=columns)
    raw = raw.take(np.random.default_rng(0).permutation(raw.num_rows)[:16_000])
    tokens = field_tokens(raw, ["review_body"], validate({}).text, 2)[0]
    raw = raw.append_column("review_tokens", tokens)
    plain = PLAIN | {"epochs": 5, "fields": ["review_body"], "hash_bits": 20, "vector_dim": 20}
    settings = settings_of(2, **plain)
    examples = examples_of(settings, raw)
    bucket, label = examples.encoded.bucket, examples.label
    rows = np.flatnonzero((bucket >= 200) & (label >= 0))
    test = np.flatnonzero((bucket < 200) & (label >= 0))
    texts = tokens.to_pylist()
    file = tmp_path / "train.txt"
    file.write_text(
        "".join(f"__label__{label[i]} {texts[i] or ''}\n" for i in rows.tolist()), encoding="utf-8"
    )
    peer = fasttext.train_supervised(
        str(file), dim=20, wordNgrams=2, lr=0.5, epoch=5, minCount=2, bucket=1_000_000, thread=1, verbose=0
    )
    theirs = np.array([int(one[0][9:]) for one in peer.predict([texts[i] or "" for i in test.tolist()])[0]])
    right = label[test]

    def accuracy(settings):
        model = EmbeddingModel.learn(examples, rows, rows[:0], settings, NullProgress())
        return (model.logits_of(examples, test, 2).argmax(axis=1) == right).mean()

    assert accuracy(settings) > (theirs == right).mean() - 0.01
    ours = EmbeddingSettings(fields=("review_body",), hash_bits=20).model_dump()
    assert accuracy(settings_of(2, **ours)) > (theirs == right).mean() + 0.01
