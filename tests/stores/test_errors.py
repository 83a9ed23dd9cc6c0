"""Every failure of a store is one line that names the way out."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from shelfcheck import api
from shelfcheck.cli.main import cli
from shelfcheck.errors import MissingExtraError, ShelfcheckError
from shelfcheck.stores import StoreError, open_store


def one_line(call, *given, **named) -> str:
    with pytest.raises(ShelfcheckError) as raised:
        call(*given, **named)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "call",
    [
        api.status,
        api.count,
        api.models_list,
        lambda place: api.predict_text("x", workspace=place),
        lambda place: api.generate(place, reviews=5),
        api.report,
    ],
)
def test_a_missing_bucket(s3_environment, call):
    told = one_line(call, "s3://nobody-made-this/shop")
    assert "nobody-made-this" in told
    assert "there is no bucket 'nobody-made-this'" in told
    assert "aws s3 mb s3://nobody-made-this" in told


def test_denied_writes(bucket):
    """moto keeps to a bucket's policy."""
    name = bucket.removeprefix("s3://")
    store = open_store(bucket)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": f"arn:aws:s3:::{name}/*",
            }
        ],
    }
    store._fs.call_s3("put_bucket_policy", Bucket=name, Policy=json.dumps(policy))
    told = one_line(store.put, "a", b"x")
    assert "access denied" in told
    assert "docs/how-to/object-stores.md" in told


def answer(code: str, status: int, more: str = "", headers: tuple[tuple[str, str], ...] = ()):
    body = f"<Error><Code>{code}</Code><Message>told by the store</Message>{more}</Error>".encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_any(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_any  # noqa: N815

        def log_message(self, *_):
            """Say nothing."""

    return Handler


@contextmanager
def standing_in(handler):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("code", "status", "more", "expected"),
    [
        ("AccessDenied", 403, "", "access denied. The credentials need to list the bucket"),
        ("InvalidAccessKeyId", 403, "", "does not know these credentials (InvalidAccessKeyId)"),
        ("SignatureDoesNotMatch", 403, "", "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        ("ExpiredToken", 400, "", "the credentials have expired. Log in again"),
        ("RequestTimeTooSkewed", 403, "", "this machine's clock is wrong"),
        (
            "AuthorizationHeaderMalformed",
            400,
            "<Region>eu-west-1</Region>",
            "Set AWS_DEFAULT_REGION=eu-west-1",
        ),
        ("IllegalLocationConstraintException", 400, "", "the bucket is in another region"),
        ("PermanentRedirect", 301, "", "the bucket is in another region eu-west-1"),
        (
            "SlowDown",
            503,
            "",
            "overloaded or failing: SlowDown. Run the same command again later. (tried 6 times)",
        ),
        ("InvalidRequest", 400, "", "told by the store"),
    ],
)
def test_what_a_store_refuses(  # noqa: PLR0917 - its table
    s3_environment, monkeypatch, code, status, more, expected
):
    headers = (("x-amz-bucket-region", "eu-west-1"),) if code == "PermanentRedirect" else ()
    with standing_in(answer(code, status, more, headers)) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        told = one_line(open_store("s3://bucket/shop").get, "settings.toml")
    assert told.startswith("s3://bucket/shop/settings.toml: ")
    assert expected in told


def test_no_server_answers(s3_environment, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    told = one_line(api.status, "s3://bucket/shop")
    assert "the store does not answer" in told
    assert "AWS_ENDPOINT_URL is http://127.0.0.1:9." in told
    assert "tried 6 times" in told


def test_no_credentials(s3_environment, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:10")  # clients are kept by address
    told = one_line(api.status, "s3://bucket/shop")
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" in told


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("s3://b/shop", "s3fs", "aws"), ("gs://b/shop", "gcsfs", "gcp"), ("az://b/shop", "adlfs", "azure")],
)
def test_a_missing_extra_is_named(url, package, extra):
    code = f"""if True:
        import sys
        sys.modules[{package!r}] = None  # as where it is not installed
        from shelfcheck.errors import MissingExtraError
        from shelfcheck.stores import open_store
        try:
            open_store({url!r})
        except MissingExtraError as error:
            print(error.exit_code, error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"2 Using {url} needs packages that are not installed. "
        f"You can fix this by running: pip install 'shelfcheck[{extra}]'\n"
    )
    assert MissingExtraError("x", extra).exit_code == 2


@pytest.mark.parametrize("url", ["s3://", "ftp://x/y", "/local"])
def test_what_is_no_place_in_a_store(url):
    with pytest.raises(StoreError, match=r"names no bucket|is in no object store"):
        open_store(url)


def test_a_command_tells_it_without_a_traceback(s3_environment, capsys, monkeypatch):
    from shelfcheck.cli import main

    monkeypatch.setattr(sys, "argv", ["shelfcheck", "status", "--workspace", "s3://nobody-made-this/shop"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("Error: s3://nobody-made-this/shop")
    assert "Traceback" not in told
    assert cli.name == "cli"
