from __future__ import annotations

import pyarrow as pa

from review_corpus import reviews, write_prepared
from shelfcheck.models.speed import reviews_per_second, sample_texts


class Counting:
    """Stands in for a model that takes no time."""

    def __init__(self):
        self.sizes = []

    def predict_batch(self, batch, threads):
        self.sizes.append(batch.num_rows)


def test_batches_grow_and_every_review_is_predicted_once_after_the_warm_up():
    model = Counting()
    assert reviews_per_second(model, pa.table({"review_body": ["x"] * 2000})) > 0
    assert model.sizes == [32, 256, 512, 1024, 208]


def test_a_slow_model_is_stopped():
    model = Counting()
    reviews_per_second(model, pa.table({"review_body": ["x"] * 2000}), seconds=0)
    assert model.sizes == [32]


def test_the_sample_has_texts_without_tokens(tmp_path):
    sample = sample_texts(write_prepared(reviews(), tmp_path))
    assert sample.schema.names == ["review_headline", "review_body"]
    assert sample.num_rows == 1024


def test_a_real_model_is_measured(model):
    assert reviews_per_second(model, reviews(500).select(["review_body"]), threads=1) > 100
