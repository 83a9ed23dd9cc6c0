"""What is asked and answered over HTTP, by a real server."""

from __future__ import annotations

import json
import re
import socket

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from shelfcheck.serve.contract import JSON, JSON_LINES

TEXTS = ["a novel with a great plot", "coffee and tea", "", "zzz unknown", "İ ΑΣ 👍 &eacute;"]


def ask(client, instances, **configuration):
    body = {"instances": instances} | ({"configuration": configuration} if configuration else {})
    return client.post("/invocations", json=body)


def test_ping_tells_the_version(client):
    answer = client.get("/ping")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": "linear-1"})


def test_json_is_what_the_model_says(client, models):
    answer = ask(client, TEXTS, k=3)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == JSON
    assert answer.headers["x-amzn-invoked-production-variant"] == "linear-1"
    chances = models[0].predict_proba(TEXTS)
    for told, own in zip(answer.json(), chances, strict=True):
        order = np.argsort(-own, kind="stable")[:3]
        assert told["label"] == [models[0].categories[i] for i in order]
        assert told["prob"] == pytest.approx(own[order], abs=1e-6)


def test_k_is_one_unless_asked_and_at_most_all(client, models):
    assert [len(one["label"]) for one in ask(client, TEXTS).json()] == [1] * 5
    (all_of_them,) = ask(client, TEXTS[:1], k=1000).json()
    assert sorted(all_of_them["label"]) == sorted(models[0].categories)
    assert sum(all_of_them["prob"]) == pytest.approx(1, abs=1e-5)
    assert ask(client, []).json() == []


def test_headline_and_body_are_told_apart(client, models):
    reviews = [{"headline": "coffee", "body": "a great plot"}, {"body": "tea"}, {"headline": None}, "tea", {}]
    own = (
        models[0]
        .predict_proba(["a great plot", "tea", None, "tea", None], ["coffee", *[None] * 4])
        .max(axis=1)
    )
    assert [one["prob"][0] for one in ask(client, reviews).json()] == pytest.approx(own, abs=1e-6)


def test_json_lines(client):
    lines = ['{"source": "a great plot", "k": 2}', "", '{"source": {"body": "tea"}}', "  "]
    answer = client.post("/invocations", content="\n".join(lines), headers={"content-type": JSON_LINES})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == JSON_LINES
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [len(row["label"]) for row in rows] == [2, 1]
    assert rows == ask(client, ["a great plot"], k=2).json() + ask(client, ["tea"]).json()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("*/*", JSON), (JSON_LINES, JSON_LINES), (f"text/html, {JSON_LINES};q=0.5", JSON_LINES), (JSON, JSON)],
)
def test_accept_chooses_the_form_of_the_answer(client, accept, kind):
    answer = client.post("/invocations", json={"instances": ["tea", "plot"]}, headers={"accept": accept})
    assert answer.headers["content-type"] == kind
    assert len(answer.text.splitlines()) == (2 if kind == JSON_LINES else 1)


def test_labels_carry_the_prefix_where_it_is_asked_for(client):
    assert ask(client, ["plot"]).json()[0]["label"] == ["Books"]
    assert ask(client, ["plot"], label_prefix="__label__").json()[0]["label"] == ["__label__Books"]
    header = {"x-amzn-sagemaker-custom-attributes": "trace=1;label_prefix=__label__"}
    assert client.post("/invocations", json={"instances": ["plot"]}, headers=header).json()[0]["label"] == [
        "__label__Books"
    ]
    line = '{"source": "plot", "label_prefix": "__label__"}\n{"source": "plot"}'
    answer = client.post("/invocations", content=line, headers={"content-type": JSON_LINES})
    assert [json.loads(one)["label"] for one in answer.text.splitlines()] == [["__label__Books"], ["Books"]]


@pytest.mark.parametrize(
    ("kind", "body", "status", "code", "told"),
    [
        (JSON, b"", 400, "empty_body", "The body is empty"),
        (JSON_LINES, b" \n\n", 400, "empty_body", "The body is empty"),
        (JSON, b'{"instances": ["a",', 400, "bad_json", "truncated at byte 19"),
        (JSON, b'{"instances": ["a", }', 400, "bad_json", "invalid character at byte 20"),
        (JSON, b'{"instances": ["\xff"]}', 400, "bad_json", "invalid UTF-8 at byte 16"),
        (JSON, b'{"instances": ["a"]} x', 400, "bad_json", "trailing characters"),
        (JSON, b'{"instances": ["\\ud800"]}', 400, "bad_json", "not JSON"),
        (JSON, b"[" * 10_000, 422, "wrong_shape", "Expected `object`"),
        (JSON, b'{"x":' + b"[" * 10_000, 422, "wrong_shape", "unknown field `x`"),
        (
            JSON_LINES,
            b'{"source": "a"}\n{"source": }',
            400,
            "bad_json",
            "line 2: not JSON: invalid character at byte 27",
        ),
        (JSON, b"[]", 422, "wrong_shape", "Expected `object`, got `array`"),
        (JSON, b"{}", 422, "wrong_shape", "missing required field `instances`"),
        (JSON, b'{"instances": "a"}', 422, "wrong_shape", "$.instances"),
        (JSON, b'{"instances": ["a", 1]}', 422, "wrong_shape", "$.instances[1]"),
        (JSON, b'{"instances": [null]}', 422, "wrong_shape", "$.instances[0]"),
        (JSON, b'{"instances": [{"text": "a"}]}', 422, "wrong_shape", "unknown field `text`"),
        (JSON, b'{"instances": ["a"], "configuration": {"k": 0}}', 422, "wrong_shape", "$.configuration.k"),
        (JSON, b'{"instances": ["a"], "configuration": {"k": "1"}}', 422, "wrong_shape", "$.configuration.k"),
        (
            JSON,
            b'{"instances": ["a"], "configuration": {"top": 1}}',
            422,
            "wrong_shape",
            "unknown field `top`",
        ),
        (
            JSON,
            b'{"instances": ["a"], "configuration": {"label_prefix": "x"}}',
            422,
            "wrong_shape",
            "label_prefix",
        ),
        (JSON_LINES, b'{"source": "a"}\n{"text": "a"}', 422, "wrong_shape", "line 2: "),
        (JSON, json.dumps({"instances": ["a"] * 51}).encode(), 413, "too_many_instances", "must be <= 50"),
        (JSON_LINES, b'{"source": "a"}\n' * 51, 413, "too_many_instances", "must be <= 50"),
        (JSON, b'{"instances": ["' + b"a" * 20_000 + b'"]}', 413, "too_large", "must be <= 0.02 MB"),
        ("text/csv", b"a", 415, "unsupported_type", "'text/csv', must be application/json or"),
        (None, b"a", 415, "unsupported_type", "no content-type"),
    ],
)
def test_bad_bodies_are_told(client, kind, body, status, code, told):  # noqa: PLR0917 - a row of the table
    headers = {} if kind is None else {"content-type": f"{kind}; charset=utf-8"}
    answer = client.post("/invocations", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == JSON
    assert answer.json()["code"] == code
    assert told in answer.json()["message"]
    position = re.search(r"at byte (\d+)", answer.json()["message"])
    assert answer.json().get("position") == (int(position[1]) if position else None)
    assert client.get("/ping").status_code == 200


def test_bad_headers_are_told(client):
    answer = client.post("/invocations", json={"instances": ["a"]}, headers={"accept": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    header = {"x-amzn-sagemaker-custom-attributes": "label_prefix=label:"}
    answer = client.post("/invocations", json={"instances": ["a"]}, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_shape")


def test_a_body_without_length_is_limited_too(client):
    answer = client.post(
        "/invocations", content=(b"a" * 5000 for _ in range(100)), headers={"content-type": JSON}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "not_found"),
        ("GET", "/ping/", 404, "not_found"),
        ("POST", "/endpoints/x/y", 404, "not_found"),
        ("GET", "/invocations", 405, "method_not_allowed"),
        ("POST", "/ping", 405, "method_not_allowed"),
    ],
)
def test_unknown_paths_and_methods_are_told_as_json(client, method, path, status, code):
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("allow" in answer.headers) == (status == 405)


def test_models_tells_versions_and_the_one_that_answers(client):
    first, second = client.get("/models").json()
    assert (first["version"], first["aliases"], first["serving"]) == ("linear-1", ["champion"], True)
    assert first["card"]["categories"] == ["Books", "Grocery", "Luggage", "Watches"]
    assert (second["version"], second["aliases"], second["serving"]) == ("linear-2", [], False)


def test_metrics_count(client):
    def value(name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    names = [
        'shelfcheck_requests_total{path="/invocations",status="200"}',
        'shelfcheck_requests_total{path="/invocations",status="422"}',
        "shelfcheck_invocation_seconds_count",
        "shelfcheck_batch_reviews_sum",
    ]
    before = [value(name) for name in names]
    ask(client, ["a", "b", "c"])
    ask(client, 1)
    assert [value(name) - was for name, was in zip(names, before, strict=True)] == [1, 1, 2, 3]
    assert value('shelfcheck_model_info{label="product_category",model="linear",version="linear-1"}') == 1
    assert client.get("/metrics").headers["content-type"].startswith("text/plain")
    assert value("process_resident_memory_bytes") > 0


def test_openapi_describes_every_path_and_its_examples_work(client):
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        if "get" in methods:
            assert client.get(path).status_code == 200
    content = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    for kind, told in content.items():
        example = told["example"]
        body = example if isinstance(example, str) else json.dumps(example)
        assert client.post("/invocations", content=body, headers={"content-type": kind}).status_code == 200
    page = client.get("/").text
    assert all(path in page for path in document["paths"])
    assert "src=" not in page
    assert re.findall(r'href="([^"]+)"', page) == ["openapi.json"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NEAR = st.fixed_dictionaries(
    {"instances": st.lists(st.text(max_size=30) | JSON_VALUES, max_size=4)},
    optional={"configuration": st.fixed_dictionaries({}, optional={"k": JSON_VALUES | st.integers(1, 9)})},
)


@given(
    st.one_of(JSON_VALUES, NEAR).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
    st.sampled_from([JSON, JSON_LINES]),
)
@examples(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_the_server_fail(client, body, kind):
    answer = client.post("/invocations", content=body, headers={"content-type": kind})
    assert answer.status_code in {200, 400, 413, 422}, answer.text
    assert answer.status_code == 200 or set(answer.json()) >= {"code", "message"}


@given(st.lists(st.text(max_size=60), max_size=8))
@examples(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts_are_answered_in_order(client, models, texts):
    sendable = [text.encode("utf-8", "replace").decode() for text in texts]
    answer = ask(client, sendable)
    assert answer.status_code == 200
    expected = models[0].predict_proba(sendable).max(axis=1) if texts else []
    assert [one["prob"][0] for one in answer.json()] == pytest.approx(list(expected), abs=1e-6)


HEAD = (
    b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n"
)


def test_a_client_that_leaves_does_no_harm(client, url):
    host, port = url.removeprefix("http://").split(":")
    for sent in (b"", b'{"instances": ["a"'):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(HEAD + sent)
    assert client.get("/ping").status_code == 200


def test_a_body_that_does_not_arrive_is_given_up(url):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(HEAD + b"{")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until the server closes
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"The body took more than 2 s (serve.timeout_seconds)" in answer
