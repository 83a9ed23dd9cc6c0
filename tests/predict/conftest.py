from __future__ import annotations

import pytest

from review_corpus import reviews, write_prepared
from shelfcheck.config import validate
from shelfcheck.models.encode import Encoded, encode


@pytest.fixture(scope="session")
def settings():
    return validate({"run": {"threads": 1}, "audit": {"folds": 3}, "train": {"linear": {"hash_bits": 16}}})


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    return write_prepared(reviews(), tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def encoded(tmp_path_factory, prepared, settings) -> Encoded:
    return encode(prepared, tmp_path_factory.mktemp("encoded"), settings)
