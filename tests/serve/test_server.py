"""The server's life: boto3, promotion under load, graceful stop, settings, what it refuses to start with."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from serve_process import running

from shelfcheck import api
from shelfcheck.config import ServeSettings
from shelfcheck.errors import ConfigError, UsageError, WorkspaceError
from shelfcheck.models.registry import Registry
from shelfcheck.serve.server import of_environment, serve


@pytest.fixture
def runtime(url, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name="eu-west-1",
        config=Config(retries={"max_attempts": 1}),
    )
    yield client
    client.close()


def test_the_unmodified_sagemaker_client(runtime, models):
    answer = runtime.invoke_endpoint(
        EndpointName="reviews",
        ContentType="application/json",
        Body=json.dumps({"instances": ["a great plot"], "configuration": {"k": 2}}),
    )
    (told,) = json.loads(answer["Body"].read())
    assert told["label"][0] == models[0].predict(["a great plot"])[0]
    assert len(told["prob"]) == 2
    assert answer["InvokedProductionVariant"] == "linear-1"
    assert answer["ContentType"] == "application/json"

    answer = runtime.invoke_endpoint(
        EndpointName="reviews",
        ContentType="application/jsonlines",
        Accept="application/jsonlines",
        CustomAttributes="label_prefix=__label__",
        Body=b'{"source": "a great plot"}\n{"source": "coffee", "k": 2}',
    )
    rows = [json.loads(line) for line in answer["Body"].read().splitlines()]
    assert [len(row["label"]) for row in rows] == [1, 2]
    assert rows[0]["label"] == ["__label__Books"]


def test_the_sagemaker_client_is_told_what_is_wrong(runtime):
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(
            EndpointName="reviews", ContentType="application/json", Body=b'{"instances": 1}'
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 422
    assert "$.instances" in caught.value.response["Error"]["Message"]


def test_promotion_under_load_loses_no_request(shop, models):
    text = "a great plot with coffee"
    expected = {
        f"linear-{i + 1}": round(float(model.predict_proba([text]).max()), 6)
        for i, model in enumerate(models)
    }
    seen: list[tuple[int, str, float]] = []
    with running(shop, "--set", "serve.reload_seconds=0.05") as (_, url):
        stop = threading.Event()
        failures: list[Exception] = []

        def load():
            connection = http.client.HTTPConnection(*url.removeprefix("http://").split(":"))
            body = json.dumps({"instances": [text]})
            try:
                while not stop.is_set():
                    connection.request("POST", "/invocations", body, {"content-type": "application/json"})
                    answer = connection.getresponse()
                    (told,) = json.loads(answer.read())
                    seen.append(
                        (
                            answer.status,
                            answer.getheader("x-amzn-invoked-production-variant"),
                            told["prob"][0],
                        )
                    )
            except Exception as error:  # noqa: BLE001 - any failure fails the test
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        registry = Registry(shop)
        for change in (
            lambda: registry.promote("linear-2"),
            registry.rollback,
            lambda: registry.promote("linear-2"),
        ):
            change()
            wanted = registry.aliases()["champion"]
            wait_for(lambda wanted=wanted: httpx.get(f"{url}/ping", timeout=60).json()["version"] == wanted)
        time.sleep(0.1)
        stop.set()
        for thread in threads:
            thread.join()
        metrics = httpx.get(f"{url}/metrics", timeout=60).text
    assert failures == []
    assert {status for status, _, _ in seen} == {200}
    assert {version for _, version, _ in seen} == set(expected)
    assert all(chance == expected[version] for _, version, chance in seen)
    assert 'shelfcheck_model_reloads_total{result="done"} 3.0' in metrics
    assert 'version="linear-2"} 1.0' in metrics
    assert 'version="linear-1"}' not in metrics


def wait_for(condition, seconds=120.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_stop_finishes_what_was_begun(shop):
    with running(shop) as (process, url):
        host, port = url.removeprefix("http://").split(":")
        body = b'{"instances": ["coffee"]}'
        with socket.create_connection((host, int(port)), timeout=120) as connection:
            head = "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:5])
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: refused(host, int(port)))
            assert process.poll() is None
            connection.sendall(body[5:])
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"Grocery" in answer
        assert process.wait(120) == 0


def refused(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_right_after_the_start_is_heard(shared_shop):
    with running(shared_shop) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0


def test_variables_of_sagemaker():
    settings, told = of_environment(
        ServeSettings(),
        {
            "SAGEMAKER_BIND_TO_PORT": "9000",
            "MAX_PAYLOAD_IN_MB": "3",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "8",
        },
    )
    assert (settings.port, settings.max_body_mb) == (
        9000,
        6.0,
    )  # the short name counts in a batch transform only
    assert told == {"MaxConcurrentTransforms": 8, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
    batch = {"SAGEMAKER_BATCH": "true"}
    assert of_environment(ServeSettings(), batch | {"MAX_PAYLOAD_IN_MB": "3"})[0].max_body_mb == 3.0
    with pytest.raises(ConfigError, match="SAGEMAKER_MAX_PAYLOAD_IN_MB == 'x', must be a whole number"):
        of_environment(ServeSettings(), {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "x"})
    with pytest.raises(ConfigError, match="must be SINGLE_RECORD or MULTI_RECORD"):
        of_environment(ServeSettings(), batch | {"BATCH_STRATEGY": "ALL"})


def test_it_refuses_what_it_cannot_serve(shop, tmp_path):
    with pytest.raises(WorkspaceError, match="no model here yet"):
        serve(tmp_path / "empty", ServeSettings(port=0))
    with pytest.raises(WorkspaceError, match="Nearest: linear-"):
        serve(shop, ServeSettings(port=0), model="linear-7")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot listen there"):
            serve(shop, ServeSettings(port=taken.getsockname()[1]))
    with pytest.raises(UsageError, match=r"nowhere\.invalid:0: cannot listen"):
        serve(shop, ServeSettings(host="nowhere.invalid", port=0))
    file = Registry(shop).resolve("champion").folder / "card.json"
    file.chmod(0o644)
    file.write_text(file.read_text() + " ")
    with pytest.raises(WorkspaceError, match=r"card\.json has changed"):
        api.serve(shop, overrides={"serve.port": 0})


def test_without_the_extra_it_says_how_to_install_it(tmp_path):
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "from shelfcheck.cli.main import main; sys.argv = ['shelfcheck', 'serve']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert "pip install 'shelfcheck[serve]'" in done.stderr
