from __future__ import annotations

import pytest

from review_corpus import reviews, write_prepared
from shelfcheck.config import validate
from shelfcheck.models.encode import Encoded, encode
from shelfcheck.models.examples import Examples
from shelfcheck.models.train import fit_calibrated


@pytest.fixture(scope="session")
def settings():
    return validate({"run": {"threads": 1}, "train": {"linear": {"hash_bits": 16}}})


@pytest.fixture(scope="session")
def encoded(tmp_path_factory, settings) -> Encoded:
    folder = tmp_path_factory.mktemp("encoded")
    return encode(write_prepared(reviews(), folder / "prepared"), folder / "out", settings)


@pytest.fixture(scope="session")
def model(encoded, settings):
    return fit_calibrated(Examples(encoded), settings, encoded.bucket)
