"""Exporting a graph in each form, and loading it into a Bolt server that runs in this process.

    python benchmarks/graph_exchange.py WORKSPACE [--load]

WORKSPACE holds a graph (`shelfcheck graph build`). The server is ArcadeDB (arcadedb-embedded) on the same
processors, with at most 4 GB. Prints seconds, rows a second and bytes; peak memory is of each export's own
process. ArcadeDB writes a log to `log/` in the current folder.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shelfcheck import api
from shelfcheck.graph.load_bolt import load_bolt
from shelfcheck.graph.store import open_graph
from shelfcheck.progress import NullProgress
from shelfcheck.workspace import Workspace

FORMS = (("neptune", False), ("gremlin", False), ("neo4j", False), ("parquet", False), ("neptune", True))


def export_once(workspace: str, form: str, *, compress: bool) -> dict[str, float]:
    """Export to an empty folder, then again."""
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        written = api.graph_export(workspace, out, form, compress=compress)
        seconds = time.perf_counter() - started
        again = time.perf_counter()
        api.graph_export(workspace, out, form, compress=compress)
        return {
            "seconds": seconds,
            "again": time.perf_counter() - again,
            "rows": sum(written.rows.values()),
            "mb": sum(one.bytes for one in written.files) / 1e6,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def load(workspace: str) -> None:
    """Load the graph into an empty database, then again."""
    import arcadedb_embedded

    graph, port, password = open_graph(Workspace(workspace)), free_port(), "benchmark-only"
    config = {
        "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "bolt_port": port,
        "http_port": free_port(),
    }
    with tempfile.TemporaryDirectory() as root:
        server = arcadedb_embedded.create_server(root, password, config=config)
        server.start()
        server.create_database("shop")
        for what in ("load", "the same again"):
            started = time.perf_counter()
            loaded = load_bolt(
                graph,
                f"bolt://127.0.0.1:{port}",
                NullProgress(),
                user="root",
                password=password,
                database="shop",
            )
            seconds, rows = time.perf_counter() - started, sum(loaded.rows.values())
            print(f"{what}: {rows:,} rows in {seconds:.0f} s, {rows / seconds:,.0f} rows/s", flush=True)
        server.stop()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace")
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(export_once(given.workspace, given.one[0], compress=given.one[1] == "True")))
        return
    found: dict[tuple[str, bool], list[dict[str, float]]] = {form: [] for form in FORMS}
    for _ in range(given.repeats):
        for form, compress in FORMS:
            command = [sys.executable, str(Path(__file__)), given.workspace, "--one", form, str(compress)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[form, compress].append(json.loads(said.splitlines()[-1]))
    for (form, compress), runs in found.items():
        seconds = [run["seconds"] for run in runs]
        middle = statistics.median(seconds)
        print(
            f"{form}{' gzip' if compress else ''}: {middle:.1f} s ({min(seconds):.1f}–{max(seconds):.1f}), "
            f"{runs[0]['rows'] / middle:,.0f} rows/s, {runs[0]['mb']:.0f} MB, "
            f"peak {max(run['peak_mb'] for run in runs):.0f} MB, "
            f"again {statistics.median(run['again'] for run in runs):.2f} s",
            flush=True,
        )
    if given.load:
        load(given.workspace)


if __name__ == "__main__":
    main()
