"""The contract of `POST /invocations`: what SageMaker's BlazingText takes and gives.

`application/json`: `{"instances": ["text", ...], "configuration": {"k": 1}}` is answered by
`[{"label": ["Books"], "prob": [0.97]}, ...]`. `application/jsonlines`: a line `{"source": "text", "k": 1}`
is answered by a line `{"label": ["Books"], "prob": [0.97]}`. A text may also be
`{"headline": ..., "body": ...}`.
Labels come as plain names, or after `__label__` where that is asked for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

JSON: Final = "application/json"
JSON_LINES: Final = "application/jsonlines"
PREFIX: Final = "__label__"
_CUSTOM: Final = re.compile(r"(?:^|[,;\s])label_prefix=(?P<prefix>[^,;\s]*)")


class RequestError(Exception):
    """A request that cannot be answered: a status of 4xx or 503, a code, and a sentence for a person."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, **more}


class Review(msgspec.Struct, forbid_unknown_fields=True):
    """A review as headline and body."""

    body: str | None = None
    headline: str | None = None


class Configuration(msgspec.Struct, forbid_unknown_fields=True):
    """How many classes are wanted for each review, and how labels are written."""

    k: Annotated[int, msgspec.Meta(ge=1)] = 1
    label_prefix: Literal["", "__label__"] | None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[str | Review]
    configuration: Configuration = msgspec.field(default_factory=Configuration)


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    source: str | Review
    k: Annotated[int, msgspec.Meta(ge=1)] = 1
    label_prefix: Literal["", "__label__"] | None = None


class Asked(NamedTuple):
    """What a request asks for.

    Attributes:
        bodies: of the reviews, (n,).
        headlines: of the reviews, (n,); None where no review has one.
        k: classes wanted, for all reviews, or for each, (n,).
        prefixes: what stands before labels, likewise.
    """

    bodies: list[str | None]
    headlines: list[str | None] | None
    k: int | list[int]
    prefixes: str | list[str]

    @property
    def most(self) -> int:
        """The most classes wanted for a review."""
        return self.k if isinstance(self.k, int) else max(self.k, default=1)


_BODY: Final = msgspec.json.Decoder(_Body)
_LINE: Final = msgspec.json.Decoder(_Line)
_encode: Final = msgspec.json.Encoder().encode


def read(body: bytes, content_type: str, most: int, prefix: str = "") -> Asked:
    """What a body asks for.

    Args:
        body: of the request.
        content_type: JSON or JSON_LINES.
        most: most reviews allowed.
        prefix: what stands before labels where the body does not say.

    Raises:
        RequestError: 400 where it is no JSON, 422 where it is other JSON than the contract's, 413 where it
            holds too many reviews.
    """
    if not body.strip():
        raise RequestError(400, "empty_body", f"The body is empty. {_EXAMPLES[content_type]}")
    if content_type == JSON_LINES:
        return _read_lines(body, most, prefix)
    asked = _decoded(_BODY, body, 0, JSON)
    _check_number(len(asked.instances), most)
    configuration = asked.configuration
    own = configuration.label_prefix
    bodies, headlines = _texts(asked.instances)
    return Asked(bodies, headlines, configuration.k, prefix if own is None else own)


def _read_lines(body: bytes, most: int, prefix: str) -> Asked:
    lines: list[_Line] = []
    offset = 0
    for line in body.split(b"\n"):
        if line.strip():
            _check_number(len(lines) + 1, most)
            lines.append(_decoded(_LINE, line, offset, JSON_LINES, len(lines)))
        offset += len(line) + 1
    bodies, headlines = _texts([line.source for line in lines])
    prefixes = [prefix if line.label_prefix is None else line.label_prefix for line in lines]
    return Asked(bodies, headlines, [line.k for line in lines], prefixes)


class Best(NamedTuple):
    """The likeliest classes of some reviews.

    Attributes:
        places: of the classes among the model's, likeliest first, (n, k).
        chances: their probabilities, (n, k).
    """

    places: list[list[int]]
    chances: list[list[float]]


def best(probabilities: npt.NDArray[np.float32], k: int) -> Best:
    """The k likeliest classes of each review, or all where there are fewer.

    Args:
        probabilities: float32 (n, classes).
        k: how many, at least 1.
    """
    rows = np.arange(len(probabilities))[:, None]
    if k == 1:
        places = probabilities.argmax(axis=1)[:, None]
    else:
        places = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return Best(places.tolist(), probabilities[rows, places].astype(np.float64).round(6).tolist())


def write(asked: Asked, found: Best, names: Sequence[str], accept: str) -> bytes:
    """The body of the answer.

    Args:
        asked: the request.
        found: at least as many classes of each review as are asked for.
        names: of the classes.
        accept: JSON or JSON_LINES.
    """
    rows = []
    for i, (places, chances) in enumerate(zip(*found, strict=True)):
        k = asked.k if isinstance(asked.k, int) else asked.k[i]
        prefix = asked.prefixes if isinstance(asked.prefixes, str) else asked.prefixes[i]
        rows.append({"label": [prefix + names[place] for place in places[:k]], "prob": chances[:k]})
    if accept == JSON:
        return _encode(rows)
    return b"".join(_encode(row) + b"\n" for row in rows)


@lru_cache(maxsize=64)  # clients send the same few
def media_type(header: str | None) -> str:
    """The type of a request's body, by its `content-type`.

    Raises:
        RequestError: 415, it is missing or of another type.
    """
    found = (header or "").partition(";")[0].strip().lower()
    if found not in {JSON, JSON_LINES}:
        given = f"content-type {found!r}" if found else "no content-type"
        raise RequestError(415, "unsupported_type", f"{given}, must be {JSON} or {JSON_LINES}.")
    return found


@lru_cache(maxsize=64)
def answer_type(header: str | None, own: str) -> str:
    """The type of the answer, by the request's `accept`: that of the body unless another is asked for.

    Raises:
        RequestError: 406, only other types are accepted.
    """
    if not header or header == "*/*":
        return own
    wanted = [part.partition(";")[0].strip().lower() for part in header.split(",")]
    if own in wanted or "*/*" in wanted or "application/*" in wanted:
        return own
    for found in (JSON, JSON_LINES):
        if found in wanted:
            return found
    raise RequestError(406, "not_acceptable", f"accept {header!r}, must name {JSON} or {JSON_LINES}.")


def custom_prefix(header: str | None) -> str | None:
    """`label_prefix=...` in SageMaker's custom attributes.

    Raises:
        RequestError: 422, it is neither empty nor `__label__`.
    """
    found = _CUSTOM.search(header) if header else None
    if found is None:
        return None
    if found["prefix"] not in {"", PREFIX}:
        raise RequestError(
            422,
            "wrong_shape",
            f"label_prefix={found['prefix']} in the attributes, must be empty or {PREFIX}.",
        )
    return found["prefix"]


_EXAMPLES: Final = {
    JSON: 'Send {"instances": ["a review"], "configuration": {"k": 1}}.',
    JSON_LINES: 'Send a line for each review: {"source": "a review", "k": 1}.',
}


def _decoded(decoder: Any, data: bytes, offset: int, content_type: str, line: int | None = None) -> Any:
    told = "" if line is None else f"line {line + 1}: "
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise RequestError(
            422,
            "wrong_shape",
            f"{told}{error}. {_EXAMPLES[content_type]}",
            **({} if line is None else {"line": line + 1}),
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        at = _position(error, data)
        where = {} if at is None else {"position": offset + at}
        what = "nested too deeply" if isinstance(error, RecursionError) else _reason(error)
        raise RequestError(
            400,
            "bad_json",
            f"{told}not JSON: {what}" + (f" at byte {offset + at}." if at is not None else "."),
            **where,
            **({} if line is None else {"line": line + 1}),
        ) from None


def _position(error: Exception, data: bytes) -> int | None:
    if isinstance(error, UnicodeDecodeError):
        try:
            data.decode()
        except UnicodeDecodeError as first:
            return first.start
    found = re.search(r"\(byte (\d+)\)", str(error))
    if found:
        return int(found[1])
    return len(data) if "truncated" in str(error) else None


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "invalid UTF-8"
    return re.sub(r"^JSON is malformed: |\s*\(byte \d+\)", "", str(error)).lower()


def _check_number(n: int, most: int) -> None:
    if n > most:
        raise RequestError(
            413, "too_many_instances", f"{n} or more reviews, must be <= {most} (serve.max_instances)."
        )


def _texts(found: list[str | Review]) -> tuple[list[str | None], list[str | None] | None]:
    bodies: list[str | None] = [one if isinstance(one, str) else one.body for one in found]
    if all(isinstance(one, str) for one in found):
        return bodies, None
    return bodies, [None if isinstance(one, str) else one.headline for one in found]
