"""The OpenAPI document, and a page that shows it without a network."""

from __future__ import annotations

import html as escaping
import json
from typing import TYPE_CHECKING, Any

from shelfcheck.__about__ import __version__
from shelfcheck.serve.contract import JSON, JSON_LINES

if TYPE_CHECKING:
    from shelfcheck.config import ServeSettings

_K = {"type": "integer", "minimum": 1, "default": 1, "description": "Classes wanted, likeliest first."}
_PREFIX = {
    "enum": ["", "__label__"],
    "description": "What stands before labels; the server's serve.label_prefix when absent.",
}
_ERROR = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "position": {"type": "integer", "description": "Byte of the body at which it stops being JSON."},
        "line": {"type": "integer", "description": "Line of application/jsonlines, from 1."},
    },
}
_TEXT = {
    "oneOf": [
        {"type": "string", "description": "A review's body."},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "headline": {"type": ["string", "null"]},
                "body": {"type": ["string", "null"]},
            },
        },
    ]
}
_PREDICTION = {
    "type": "object",
    "required": ["label", "prob"],
    "properties": {
        "label": {"type": "array", "items": {"type": "string"}},
        "prob": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
    },
}
_STATUS = {
    "400": "The body is empty or no JSON; `position` says where it stops being so.",
    "406": "`accept` names neither type.",
    "408": "The body took too long to arrive.",
    "413": "The body is too large, or has too many reviews.",
    "415": "`content-type` is neither type.",
    "422": "JSON of another shape; the message says where.",
    "500": "The prediction failed.",
    "503": "The prediction took too long, or too many reviews wait already.",
}


def openapi(settings: ServeSettings) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    body = {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["instances"],
                "additionalProperties": False,
                "properties": {
                    "instances": {"type": "array", "items": _TEXT, "maxItems": settings.max_instances},
                    "configuration": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"k": _K, "label_prefix": _PREFIX},
                    },
                },
            },
            "example": {"instances": ["A novel that I could not put down"], "configuration": {"k": 2}},
        },
        JSON_LINES: {
            "schema": {
                "type": "object",
                "required": ["source"],
                "additionalProperties": False,
                "properties": {"source": _TEXT, "k": _K, "label_prefix": _PREFIX},
                "description": "One on each line.",
            },
            "example": '{"source": "A novel that I could not put down", "k": 2}\n',
        },
    }
    example = {"label": ["Books", "Video_DVD"], "prob": [0.93, 0.04]}
    answer = {
        "description": "A prediction for each review, in order, likeliest class first; calibrated.",
        "headers": {
            "x-amzn-invoked-production-variant": {
                "description": "The version of the model that answered.",
                "schema": {"type": "string"},
            }
        },
        "content": {
            JSON: {"schema": {"type": "array", "items": _PREDICTION}, "example": [example]},
            JSON_LINES: {"schema": _PREDICTION, "example": json.dumps(example) + "\n"},
        },
    }
    errors = {
        status: {"description": told, "content": {JSON: {"schema": _ERROR}}}
        for status, told in _STATUS.items()
    }
    attributes = {
        "name": "x-amzn-sagemaker-custom-attributes",
        "in": "header",
        "description": "`label_prefix=__label__`, where the body says nothing of it.",
        "schema": {"type": "string"},
    }

    def get(summary: str, kind: str = JSON) -> dict[str, Any]:
        return {
            "get": {"summary": summary, "responses": {"200": {"description": "Done.", "content": {kind: {}}}}}
        }

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Shelfcheck",
            "version": __version__,
            "description": "Predicts what a review is about, by the contract of SageMaker's BlazingText.",
        },
        "paths": {
            "/ping": get("Whether a model is loaded: 200."),
            "/invocations": {
                "post": {
                    "summary": "Predict classes of reviews.",
                    "parameters": [attributes],
                    "requestBody": {"required": True, "content": body},
                    "responses": {"200": answer, **errors},
                }
            },
            "/models": get("The registered models, their aliases and quality, and the one that answers."),
            "/metrics": get(
                "Requests, times, batch sizes and the model's version, for Prometheus.", "text/plain"
            ),
            "/execution-parameters": get("What SageMaker's batch transform may send."),
            "/openapi.json": get("This document."),
            "/": get("This document as a page.", "text/html"),
        },
    }


def html(document: dict[str, Any]) -> str:
    """The document as one page that loads nothing."""
    parts = []
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            parts.append(f"<h2><code>{method.upper()} {path}</code></h2><p>{_text(told['summary'])}</p>")
            for kind, content in told.get("requestBody", {}).get("content", {}).items():
                parts.append(f"<h3>Body, <code>{kind}</code></h3>{_block(content['example'])}")
                parts.append(f"<details><summary>Schema</summary>{_block(content['schema'])}</details>")
            parts += [
                f"<h3>Header <code>{one['name']}</code></h3><p>{_text(one['description'])}</p>"
                for one in told.get("parameters", [])
            ]
            rows = []
            for status, answer in told["responses"].items():
                kinds = ", ".join(f"<code>{kind}</code>" for kind in answer["content"])
                rows.append(
                    f"<tr><td>{status}</td><td>{_text(answer['description'])}</td><td>{kinds}</td></tr>"
                )
            parts.append(f"<table>{''.join(rows)}</table>")
            for kind, content in told["responses"]["200"]["content"].items():
                if "example" in content:
                    parts.append(f"<h3>Answer, <code>{kind}</code></h3>{_block(content['example'])}")
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{info["title"]}</title>'
        '<meta name="viewport" content="width=device-width">'
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
        "pre{background:#f3f3f3;padding:.7rem;overflow:auto}"
        "td{padding:.1rem .8rem .1rem 0;vertical-align:top}"
        "h2{border-top:1px solid #ccc;padding-top:1rem}</style>"
        f"<h1>{info['title']} {info['version']}</h1><p>{_text(info['description'])} "
        f'<a href="openapi.json">openapi.json</a></p>{"".join(parts)}</html>'
    )


def _text(value: str) -> str:
    pieces = escaping.escape(value).split("`")
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))


def _block(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, indent=2)
    return f"<pre>{escaping.escape(text)}</pre>"
