"""Models that are slow or fail, versions that break: in one process, without a network."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import numpy as np
import pytest
from serve_process import register

from shelfcheck.config import ServeSettings
from shelfcheck.models.registry import Registry
from shelfcheck.serve.app import make_app
from shelfcheck.serve.batching import Batcher
from shelfcheck.serve.contract import Asked
from shelfcheck.serve.loaded import Holder, Loaded, Source
from shelfcheck.serve.metrics import Metrics
from shelfcheck.serve.server import of_environment
from shelfcheck.workspace import Manifest, Workspace


class Fake:
    """A model that says what it is told to, and remembers the sizes of its batches."""

    name = "fake"
    categories = ("a", "b")

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[int] = []
        self.threads: set[str] = set()

    def predict_proba(self, bodies, headlines=None):
        self.batches.append(len(bodies))
        self.threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        if "poison" in bodies:
            raise ValueError(f"cannot read {bodies}")
        first = np.array([float(body or 0) for body in bodies], np.float32)
        return np.stack([first, 1 - first], axis=1)


class Held:
    source = None

    def __init__(self, model: Fake) -> None:
        self.loaded = Loaded("fake-1", model, "product_category", {}, model.seconds)


def asked(*values) -> Asked:
    return Asked([str(value) for value in values], None, 1, "")


async def together(model, requests, most=64, most_waiting=100):
    batcher = Batcher(Held(model), Metrics(), most, most_waiting)
    try:
        return await asyncio.gather(*(batcher.predict(one) for one in requests), return_exceptions=True)
    finally:
        batcher.close()


def test_what_waits_in_one_turn_is_predicted_together():
    model = Fake()
    found = asyncio.run(together(model, [asked(0.9), asked(0.2, 0.7), asked(0.6)]))
    assert [best.places for _, best in found] == [[[0]], [[1], [0]], [[0]]]
    assert [best.chances for _, best in found] == [[[0.9]], [[0.8], [0.7]], [[0.6]]]
    assert model.batches == [4]
    assert model.threads == {"MainThread"}


def test_batches_have_a_bound_and_large_requests_stay_whole():
    model = Fake()
    asyncio.run(together(model, [asked(1), asked(1, 1, 1, 1, 1), asked(1), asked(1), asked(1)], most=2))
    assert model.batches == [1, 5, 2, 1]


def test_slow_models_predict_in_a_thread_while_the_next_batch_gathers():
    model = Fake(0.05)
    found = asyncio.run(together(model, [asked(0.9) for _ in range(9)]))
    assert len(found) == 9
    assert model.batches == [1, 8]
    assert all(name.startswith("shelfcheck-predict") for name in model.threads)


def test_too_many_that_wait_are_told_so():
    found = asyncio.run(together(Fake(0.05), [asked(0.9)] * 5, most_waiting=3))
    assert [getattr(one, "status", 200) for one in found] == [200, 200, 200, 200, 503]
    assert found[4].body["code"] == "busy"
    alone = asyncio.run(together(Fake(0.05), [asked(0.9), asked(*[0.5] * 9)], most_waiting=3))
    assert [len(best.places) for _, best in alone] == [1, 9]


def test_one_request_that_fails_does_not_fail_the_others():
    for seconds in (0.0, 0.01):
        found = asyncio.run(together(Fake(seconds), [asked(0.9), asked("poison"), asked(0.2)]))
        assert [isinstance(one, ValueError) for one in found] == [False, True, False]
        assert found[2][1].places == [[1]]


def request(app, method, path, **content):
    async def run():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return await client.request(method, path, **content)

    return asyncio.run(run())


def ask(model, body, **limits):
    return request(make_app(Held(model), ServeSettings(**limits)), "POST", "/invocations", json=body)


def test_a_failure_is_told_without_the_text(caplog):
    answer = ask(Fake(), {"instances": ["poison"]})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "POST /invocations failed: ValueError at " in caplog.text
    assert "poison" not in caplog.text + answer.text


def test_a_prediction_that_takes_too_long_is_given_up():
    answer = ask(Fake(0.3), {"instances": ["1"]}, timeout_seconds=0.05)
    assert (answer.status_code, answer.json()["code"]) == (503, "timeout")
    assert "The prediction took more than 0.05 s" in answer.json()["message"]


def test_a_version_that_cannot_be_loaded_leaves_the_one_before(shop, caplog):
    holder = Holder(Source(shop))
    assert holder.refresh() is None
    registry = Registry(shop)
    registry.promote("linear-2")
    file = registry.resolve("linear-2").folder / "model.safetensors"
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole[:-1])
    assert holder.refresh() is False
    assert holder.loaded.version == "linear-1"
    assert "linear-1 stays" in caplog.text
    assert "model.safetensors has changed" in caplog.text
    assert holder.refresh() is None  # the alias has not changed since
    file.write_bytes(whole)
    registry.promote("linear-2", "challenger")
    assert holder.refresh() is True
    assert holder.loaded.version == "linear-2"


def test_a_fixed_version_stays(shop):
    holder = Holder(Source(shop, "linear-1"))
    Registry(shop).promote("linear-2")
    assert holder.refresh() is None
    assert holder.loaded.version == "linear-1"


@pytest.mark.parametrize("name", [None, "champion"])
def test_the_estimate_follows_the_model(shop, name):
    assert 0 < Holder(Source(shop, name)).loaded.seconds < 1


def test_whatever_is_wrong_with_the_new_version_the_old_one_answers(shop, monkeypatch, caplog):
    holder = Holder(Source(shop))
    monkeypatch.setattr(Source, "newer", lambda *_: {}["missing"])
    assert holder.refresh() is False
    assert "linear-1 stays: KeyError('missing')" in caplog.text


def test_an_alias_can_be_served(shop):
    Registry(shop).promote("linear-2", "challenger")
    app = make_app(Holder(Source(shop, "challenger")), ServeSettings(label_prefix="__label__"))
    assert request(app, "GET", "/ping").json()["version"] == "linear-2"
    answer = request(app, "POST", "/invocations", json={"instances": ["plot"]})
    assert answer.json()[0]["label"] == ["__label__Books"]


def test_what_was_trained_is_served_where_nothing_is_registered(models, tmp_path):
    shelf = Workspace(tmp_path / "shop")
    with shelf.locked(), shelf.writing("model") as out:
        models[0].save(out)
        shelf.publish(out, Manifest("model", "f" * 64))
    holder = Holder(Source(shelf.root))
    app = make_app(holder, ServeSettings())
    assert request(app, "GET", "/ping").json()["version"] == "unregistered"
    (told,) = request(app, "GET", "/models").json()
    assert (told["version"], told["serving"]) == ("unregistered", True)
    assert holder.refresh() is None
    register(models, shelf.root)
    assert holder.refresh() is True
    assert request(app, "GET", "/ping").json()["version"] == "linear-1"


def test_a_batch_transform_is_told_what_it_may_send(shop):
    variables = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
        "BATCH_STRATEGY": "SINGLE_RECORD",
    }
    settings, transform = of_environment(ServeSettings(), variables)
    app = make_app(Holder(Source(shop)), settings, transform)
    assert request(app, "GET", "/execution-parameters").json() == {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 1,
    }
    header = {"content-type": "application/json"}
    assert request(app, "POST", "/invocations", content=b" " * 1_000_001, headers=header).status_code == 413
