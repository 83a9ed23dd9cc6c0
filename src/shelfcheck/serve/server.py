"""Start uvicorn with a model, and stop it without losing what it was asked."""

from __future__ import annotations

import logging
import signal
import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from shelfcheck.errors import ConfigError, UsageError
from shelfcheck.serve.app import make_app
from shelfcheck.serve.loaded import Holder, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from shelfcheck.config import ServeSettings
    from shelfcheck.serve.loaded import Loaded

_PREFIX: Final = "SAGEMAKER_"


def serve(
    workspace: str | Path,
    settings: ServeSettings,
    *,
    model: str | None = None,
    environment: Mapping[str, str] | None = None,
    started: Callable[[str, Loaded], None] | None = None,
) -> None:
    """Answer until SIGTERM or SIGINT; requests in flight are finished.

    Args:
        workspace: the folder with the models.
        settings: address and limits.
        model: a version or an alias; the champion, or else what was trained last, when None.
        environment: SageMaker's variables are read from it.
        started: told the URL and the model when the port is open.

    Raises:
        WorkspaceError: there is no model, or it was changed since it was registered.
        UsageError: the address cannot be used.
    """
    settings, transform = of_environment(settings, environment or {})
    holder = Holder(Source(workspace, model))
    app = make_app(holder, settings, transform)
    listening = _listen(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        # uvicorn takes signals over while it runs, and gives them back after it has stopped. A signal that
        # comes before that must stop it, too; one that comes after it was heard already.
        server.should_exit = True

    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        if started is not None:
            host, port = listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            started(f"http://{shown}:{port}", holder.loaded)
        server.run(sockets=[listening])
    finally:
        listening.close()
        for one, handler in before.items():
            signal.signal(one, handler)


def of_environment(
    settings: ServeSettings, environment: Mapping[str, str]
) -> tuple[ServeSettings, dict[str, Any]]:
    """What SageMaker's variables say, which count where they are set, with or without `SAGEMAKER_`.

    `BIND_TO_PORT` is the port; `MAX_PAYLOAD_IN_MB` the largest body; that, `BATCH_STRATEGY` and
    `MAX_CONCURRENT_TRANSFORMS` are told to the batch transform. `BATCH` tells that it is one.

    Returns:
        The settings, and the answer to `GET /execution-parameters`.

    Raises:
        ConfigError: a variable cannot be read.
    """

    def number(name: str, least: int) -> int | None:
        key, value = _variable(environment, name)
        if not value:
            return None
        if not value.isdecimal() or int(value) < least:
            raise ConfigError(f"{key} == {value!r}, must be a whole number >= {least}.")
        return int(value)

    changes: dict[str, Any] = {}
    payload, port = number("MAX_PAYLOAD_IN_MB", 0), number("BIND_TO_PORT", 1)
    if port is not None:
        changes["port"] = port
    if payload:  # 0 stands for no limit: the setting holds
        changes["max_body_mb"] = float(payload)
    strategy = _variable(environment, "BATCH_STRATEGY")[1] or "MULTI_RECORD"
    if strategy not in {"SINGLE_RECORD", "MULTI_RECORD"}:
        raise ConfigError(f"BATCH_STRATEGY == {strategy!r}, must be SINGLE_RECORD or MULTI_RECORD.")
    settings = settings.model_copy(update=changes)
    return settings, {
        "MaxConcurrentTransforms": number("MAX_CONCURRENT_TRANSFORMS", 0) or 4,
        "BatchStrategy": strategy,
        "MaxPayloadInMB": max(1, int(settings.max_body_mb)),
    }


def _variable(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    for key in (_PREFIX + name, name):
        # The short names are common words: they count in a batch transform only.
        if key in environment and (key != name or environment.get(f"{_PREFIX}BATCH", "").lower() == "true"):
            return key, environment[key].strip()
    return name, ""


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a port in use is told before anything else."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(2048)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise UsageError(
            f"{host}:{port}: cannot listen there ({error.strerror}). "
            "Name another with --host and --port; --port 0 takes a free one."
        ) from error
    return listening
