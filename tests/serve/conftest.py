from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from serve_process import register, running

from review_corpus import reviews, write_prepared
from shelfcheck.config import validate
from shelfcheck.models.encode import encode
from shelfcheck.models.examples import Examples
from shelfcheck.models.train import fit_calibrated


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Two versions of a small `linear` model that differ in what they say."""
    folder = tmp_path_factory.mktemp("serve")
    settings = validate({"run": {"threads": 1}, "train": {"linear": {"hash_bits": 16}}})
    encoded = encode(write_prepared(reviews(), folder / "prepared"), folder / "encoded", settings)
    model = fit_calibrated(Examples(encoded), settings, encoded.bucket)
    return [model, replace(model, calibration=replace(model.calibration, scale=model.calibration.scale / 3))]


@pytest.fixture
def shop(models, tmp_path):
    """A workspace with both versions registered; the first is champion."""
    return register(models, tmp_path / "shop")


@pytest.fixture(scope="session")
def shared_shop(models, tmp_path_factory):
    return register(models, tmp_path_factory.mktemp("shared") / "shop")


@pytest.fixture(scope="session")
def url(shared_shop):
    limits = ("max_body_mb=0.02", "max_instances=50", "timeout_seconds=2")
    with running(shared_shop, *(f"--set=serve.{limit}" for limit in limits)) as (_, found):
        yield found


@pytest.fixture
def client(url):
    with httpx.Client(base_url=url, timeout=60) as found:
        yield found
