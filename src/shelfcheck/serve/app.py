"""The application: paths, limits and errors. Texts of reviews are never logged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from shelfcheck.serve import contract, pages
from shelfcheck.serve.batching import Batcher
from shelfcheck.serve.contract import RequestError
from shelfcheck.serve.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from shelfcheck.config import ServeSettings
    from shelfcheck.serve.loaded import Holder, Loaded

logger = logging.getLogger("shelfcheck.serve")

_VARIANT: Final = b"x-amzn-invoked-production-variant"  # what boto3 gives as InvokedProductionVariant
_encode: Final = msgspec.json.Encoder().encode


class Invocations:
    """`POST /invocations`, as an ASGI application: it is the path that must be fast."""

    def __init__(self, batcher: Batcher, metrics: Metrics, settings: ServeSettings) -> None:
        self._batcher = batcher
        self._metrics = metrics
        self._settings = settings
        self._most_bytes = int(settings.max_body_mb * 1_000_000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = time.perf_counter()
        status, version = 200, b""
        try:
            content, kind, loaded = await self._answer(scope, receive)
            version = loaded.version.encode()
        except RequestError as error:
            status, kind, content = error.status, contract.JSON, _encode(error.body)
        except _GoneError:
            return
        except Exception as error:  # noqa: BLE001 - the message may hold a text, so only the kind is logged
            logger.error("POST /invocations failed: %s at %s", type(error).__name__, _place(error))  # noqa: TRY400
            told = {"code": "internal", "message": "The prediction failed. The server's log says where."}
            status, kind, content = 500, contract.JSON, _encode(told)
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(content))]
        if version:
            headers.append((_VARIANT, version))
        if status in {408, 413}:  # the rest of the body is not read
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        self._metrics.answered("/invocations", status)
        self._metrics.seconds.observe(time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[bytes, str, Loaded]:
        kind, accept, attributes, length = _headers(scope)
        own = contract.media_type(kind)
        wanted = contract.answer_type(accept, own)
        prefix = contract.custom_prefix(attributes)
        if length is not None and length.isdigit() and int(length) > self._most_bytes:
            raise self._too_large(int(length))
        settings, body = self._settings, None
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                body = await self._body(receive)
                asked = contract.read(
                    body, own, settings.max_instances, settings.label_prefix if prefix is None else prefix
                )
                loaded, found = await self._batcher.predict(asked)
        except TimeoutError:
            limit = f"more than {settings.timeout_seconds:g} s (serve.timeout_seconds)."
            if body is None:
                raise RequestError(408, "timeout", f"The body took {limit}") from None
            raise RequestError(503, "timeout", f"The prediction took {limit}") from None
        return contract.write(asked, found, loaded.model.categories, wanted), wanted, loaded

    async def _body(self, receive: Receive) -> bytes:
        parts = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > self._most_bytes:
                raise self._too_large(size)
            parts.append(part)
            if not message.get("more_body", False):
                return part if len(parts) == 1 else b"".join(parts)

    def _too_large(self, size: int) -> RequestError:
        most = f"{self._settings.max_body_mb:g} MB (serve.max_body_mb)"
        return RequestError(413, "too_large", f"The body has {size:,} bytes or more, must be <= {most}.")


class _GoneError(Exception):
    """The client is no longer there."""


class _Service:
    """The other paths, and the watch for promotions."""

    def __init__(
        self, holder: Holder, metrics: Metrics, settings: ServeSettings, transform: dict[str, Any] | None
    ) -> None:
        self._holder = holder
        self._metrics = metrics
        self._settings = settings
        self._transform = transform or {}
        self._document = pages.openapi(settings)
        self._page = pages.html(self._document)

    def _json(self, content: object, path: str, status: int = 200, **headers: str) -> Response:
        self._metrics.answered(path, status)
        return Response(_encode(content), status, headers, contract.JSON)

    async def ping(self, _: Request) -> Response:
        return self._json({"status": "ok", "version": self._holder.loaded.version}, "/ping")

    async def models(self, _: Request) -> Response:
        return self._json(await run_in_threadpool(_models, self._holder), "/models")

    async def parameters(self, _: Request) -> Response:
        return self._json(self._transform, "/execution-parameters")

    async def metrics(self, _: Request) -> Response:
        self._metrics.answered("/metrics", 200)
        return PlainTextResponse(self._metrics.text(), media_type=CONTENT_TYPE)

    async def openapi(self, _: Request) -> Response:
        return self._json(self._document, "/openapi.json")

    async def page(self, _: Request) -> Response:
        self._metrics.answered("/", 200)
        return HTMLResponse(self._page)

    async def failed(self, _: Request, error: Exception) -> Response:
        """What Starlette refuses: unknown paths and methods."""
        if not isinstance(error, HTTPException):
            raise error
        headers = dict(error.headers or {})
        told = {
            404: ("not_found", f"No such path. There are {', '.join(self._document['paths'])}."),
            405: ("method_not_allowed", f"No such method here, must be {headers.get('Allow', 'another')}."),
        }
        code, message = told.get(error.status_code, ("refused", error.detail))
        return self._json({"code": code, "message": message}, "other", error.status_code, **headers)

    async def watch(self) -> None:
        """Take up what is promoted, for as long as the server runs."""
        while True:
            await asyncio.sleep(self._settings.reload_seconds)
            done = await run_in_threadpool(self._holder.refresh)
            if done is not None:
                self._metrics.reloaded(done=done)
            if done:
                self._metrics.serving(self._holder.loaded)


def make_app(holder: Holder, settings: ServeSettings, transform: dict[str, Any] | None = None) -> ASGIApp:
    """The application.

    Args:
        holder: has the model.
        settings: limits.
        transform: what `GET /execution-parameters` answers to SageMaker's batch transform.
    """
    metrics = Metrics()
    metrics.serving(holder.loaded)
    batcher = Batcher(holder, metrics, settings.batch_reviews, settings.max_waiting)
    invocations = Invocations(batcher, metrics, settings)
    service = _Service(holder, metrics, settings, transform)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(service.watch())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        batcher.close()

    routes = [
        Route("/ping", service.ping, methods=["GET"]),
        Route("/invocations", invocations, methods=["POST"]),  # other methods are refused by it
        # The path that SageMaker's own clients ask for.
        Route("/endpoints/{name}/invocations", invocations, methods=["POST"]),
        Route("/execution-parameters", service.parameters, methods=["GET"]),
        Route("/models", service.models, methods=["GET"]),
        Route("/metrics", service.metrics, methods=["GET"]),
        Route("/openapi.json", service.openapi, methods=["GET"]),
        Route("/", service.page, methods=["GET"]),
    ]
    others = Starlette(routes=routes, exception_handlers={HTTPException: service.failed}, lifespan=lifespan)
    others.router.redirect_slashes = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # The path that must be fast does not walk the routes.
        if scope.get("path") == "/invocations" and scope.get("method") == "POST":
            await invocations(scope, receive, send)
        else:
            await others(scope, receive, send)

    return app


def _models(holder: Holder) -> list[dict[str, Any]]:
    loaded, registry = holder.loaded, holder.source.registry
    found = [
        {
            **{name: value for name, value in one.to_json().items() if name not in {"sha256", "format"}},
            "aliases": registry.aliases_of(one.version),
            "serving": one.version == loaded.version,
        }
        for one in registry.versions()
    ]
    if not any(one["serving"] for one in found):
        found.append(
            {
                "version": loaded.version,
                "model": loaded.model.name,
                "label": loaded.label,
                "aliases": [],
                "serving": True,
            }
        )
    for one in found:
        if one["serving"]:
            one["since"] = loaded.since
            one["card"] = {
                name: loaded.card[name]
                for name in ("categories", "settings", "text", "calibration", "training_reviews")
                if name in loaded.card
            }
    return found


def _headers(scope: Scope) -> tuple[str | None, str | None, str | None, str | None]:
    """Content type, accepted types, custom attributes and length of a request."""
    kind = accept = attributes = length = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value.decode("latin-1")
        elif name == b"accept":
            accept = value.decode("latin-1")
        elif name == b"content-length":
            length = value.decode("latin-1")
        elif name == b"x-amzn-sagemaker-custom-attributes":
            attributes = value.decode("latin-1")
    return kind, accept, attributes, length


def _place(error: BaseException) -> str:
    """File and line where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
