"""What stands in for Neptune's data plane: the loader's requests over HTTP, with its checks, and questions.

It reads the files from S3 as the loader would, and refuses what the user guide says is refused: unknown
system columns, values that are not of their column's type, ids that come twice, edges to no node.
"""

from __future__ import annotations

import datetime as dt
import http.server
import json
import re
import threading
from typing import TYPE_CHECKING, Any

from exchange_support import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

_SYSTEM = {
    "opencypher": ({":ID", ":LABEL"}, {":ID", ":START_ID", ":END_ID", ":TYPE"}),
    "csv": ({"~id", "~label"}, {"~id", "~from", "~to", "~label"}),
}
_TYPES = {
    "Long": int,
    "Int": int,
    "Double": float,
    "String": str,
    "Bool": {"true": True, "false": False}.__getitem__,
    "DateTime": dt.datetime.fromisoformat,
    "Date": dt.datetime.fromisoformat,
}


class Neptune:
    """A cluster without a graph. Failures are put into `trouble`: HTTP statuses of the next answers."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.asked: list[dict[str, Any]] = []
        self.trouble: list[int] = []
        self.loads: dict[str, dict[str, Any]] = {}
        self.nodes: set[str] = set()
        self.edges: set[str] = set()
        self.answer: Callable[[str, dict[str, Any]], list[dict[str, Any]]] = lambda _cypher, _values: []

    def start(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(asked)
        load = {"polls": 0, "records": 0, "duplicates": 0, "errors": [], "uri": asked["source"]}
        names = sorted(self.store.find(asked["source"].removeprefix("s3://")))
        files = [(name, lines_of(self.store.cat(name), name)) for name in names]
        plain = {
            name: [column.partition(":")[0] if asked["format"] == "csv" else column for column in lines[0]]
            for name, lines in files
        }
        node_columns, edge_columns = _SYSTEM[asked["format"]]
        starts = next(iter(sorted(edge_columns - node_columns)))
        # The loader looks at all files, and loads those of nodes first.
        for name, (head, *rows) in sorted(files, key=lambda file: starts in file[1][0]):
            self._load(load, name, head, rows, edge_columns if starts in head else node_columns)
        assert plain
        load_id = f"load-{len(self.loads)}"
        self.loads[load_id] = load
        return {"status": "200 OK", "payload": {"loadId": load_id}}

    def _load(
        self, load: dict[str, Any], name: str, head: list[str], rows: list[list[str]], system: set[str]
    ) -> None:
        found = set(head[: len(system)])
        if found != system:
            load["errors"].append((name, 0, f"system columns {sorted(found)}"))
            return
        types = [re.fullmatch(r"\w+:(\w+)(\(single\))?", column)[1] for column in head[len(system) :]]
        ids = self.edges if len(system) == 4 else self.nodes
        for number, row in enumerate(rows, 1):
            load["records"] += 1
            if row[0] in ids:
                load["duplicates"] += 1
            ids.add(row[0])
            if len(system) == 4 and not set(row[1:3]) <= self.nodes:
                load["errors"].append((name, number, f"no node {row[1:3]}"))
            for value, kind in zip(row[len(system) :], types, strict=True):
                try:
                    if value:
                        _TYPES[kind](value)
                except (ValueError, KeyError):
                    load["errors"].append((name, number, f"{value!r} is no {kind}"))

    def status(self, load_id: str) -> dict[str, Any]:
        load = self.loads[load_id]
        load["polls"] += 1
        ended = "LOAD_FAILED" if load["errors"] else "LOAD_COMPLETED"
        status = ("LOAD_NOT_STARTED", "LOAD_IN_PROGRESS")[load["polls"] - 1] if load["polls"] < 3 else ended
        overall = {
            "fullUri": load["uri"],
            "runNumber": 1,
            "retryNumber": 0,
            "status": status,
            "totalTimeSpent": load["polls"],
            "startTime": 0,
            "totalRecords": load["records"] * min(load["polls"], 3) // 3,
            "totalDuplicates": load["duplicates"],
            "parsingErrors": 0,
            "datatypeMismatchErrors": len(load["errors"]),
            "insertErrors": 0,
        }
        logs = [
            {"errorCode": "PARSING_ERROR", "errorMessage": why, "fileName": name, "recordNum": number}
            for name, number, why in load["errors"]
        ]
        return {"status": "200 OK", "payload": {"overallStatus": overall, "errors": {"errorLogs": logs}}}


def serve(neptune: Neptune) -> http.server.ThreadingHTTPServer:
    """Answer over HTTP on a free port; the caller closes the server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/opencypher":
                values = json.loads(body.get("parameters", "{}"))
                self._answer(True, lambda: {"results": neptune.answer(body["query"], values)})
                return
            self._answer(self.path == "/loader", lambda: neptune.start(body))

        def do_GET(self) -> None:
            load_id = self.path.removeprefix("/loader/").partition("?")[0]
            self._answer(load_id in neptune.loads, lambda: neptune.status(load_id))

        def _answer(self, known: bool, answer: Any) -> None:
            status = neptune.trouble.pop(0) if neptune.trouble else 200
            if not known:
                status = 400
            problem = {
                "code": "ThrottlingException" if status == 429 else "BadRequestException",
                "detailedMessage": f"refused with {status}",
                "requestId": "1",
            }
            body = json.dumps(answer() if status == 200 else problem).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
