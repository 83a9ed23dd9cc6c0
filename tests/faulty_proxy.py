"""A TCP proxy in front of an S3 server that does to requests what networks and busy stores do."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Kind = Literal["slow_down", "reset", "lost_answer", "truncated", "late", "error"]
_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


@dataclass
class Fault:
    """What happens to requests.

    Attributes:
        kind: `slow_down`: a 503; `error`: a 500; `reset`: the connection breaks before the server hears;
            `lost_answer`: after the server has done it; `truncated`: in the middle of the answer's body;
            `late`: it takes `seconds`.
        applies: told method, path with query, and how many requests came before.
        times: how often.
    """

    kind: Kind
    applies: Callable[[str, str, int], bool] = lambda *_: True
    times: int = 1
    seconds: float = 0.05
    done: int = field(default=0)


class FaultyProxy:
    """Forwards to a server; faults are added and removed while it runs."""

    def __init__(self, target: str) -> None:
        host, port = target.removeprefix("http://").split(":")
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self) -> None:
                proxy.serve(self, host, int(port))

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Broken connections are what this is for."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            number = len(self.requests)
            self.requests.append(f"{method} {path}")
            for one in self.faults:
                if one.done < one.times and one.applies(method, path, number):
                    one.done += 1
                    return one
        return None

    def serve(self, handler: http.server.BaseHTTPRequestHandler, host: str, port: int) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        fault = self.fault(handler.command, handler.path)
        kind = fault.kind if fault else None
        if kind == "late":
            time.sleep(fault.seconds)
        if kind == "reset":
            _break(handler)
            return
        if kind in {"slow_down", "error"}:
            handler.send_response(503 if kind == "slow_down" else 500)
            told = _SLOW_DOWN if kind == "slow_down" else _SLOW_DOWN.replace(b"SlowDown", b"InternalError")
            handler.send_header("Content-Length", str(len(told)))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(told)
            return
        connection = http.client.HTTPConnection(host, port, timeout=30)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
        connection.request(handler.command, handler.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if kind == "lost_answer":
            _break(handler)
            return
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {*_HOP, "content-length", "date", "server"}:
                handler.send_header(name, value)
        length = answer.getheader("Content-Length") if handler.command == "HEAD" else str(len(data))
        handler.send_header("Content-Length", length or "0")
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if kind == "truncated" and data:
            handler.wfile.write(data[: len(data) // 2])
            handler.wfile.flush()
            _break(handler)
            return
        handler.wfile.write(data)


def _break(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Reset the connection: no orderly end."""
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()


@contextlib.contextmanager
def faulty(target: str) -> Iterator[FaultyProxy]:
    """A proxy that runs in this process."""
    proxy = FaultyProxy(target)
    thread = threading.Thread(target=proxy.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()
