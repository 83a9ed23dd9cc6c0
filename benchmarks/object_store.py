"""What a workspace on S3 costs over one on the local disk, beside each other in one run.

    python benchmarks/object_store.py [--reviews 100000]... [--repeats 3] [--latency 0.02] [--json FILE]

The store is moto's server in a process of its own, on this machine, over HTTP: a stand-in. It says what
uploading, checksums, manifests and the mirror cost in processor time and requests; of the speed of a real
store, its distance and its limits it says nothing. `--latency` adds as many seconds to each answer, by a
proxy, so that the cost of waiting shows.

For each size, interleaved: a main job in an empty local workspace, one in an empty workspace on S3, a
second run there (all fresh), and a second machine that fetches every artefact into an empty mirror.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETTINGS = {"run.threads": 2}
SERVER = """
import sys
from moto.server import main
import logging; logging.getLogger("werkzeug").setLevel(logging.ERROR)
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""
WORK = """
import json, resource, sys, time
started = time.perf_counter()
from shelfcheck import api
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
what, source, place, settings = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
moved = {"Uploading": [0, 0.0], "Fetching": [0, 0.0]}
class Moved(NullProgress):
    kind = None
    def start(self, label, total=None, unit="rows"):
        self.kind = label.split()[0] if unit == "bytes" and label.split()[0] in moved else None
        self.begun = time.perf_counter()
    def advance(self, n, **counters):
        if self.kind:
            moved[self.kind][0] += n
    def finish(self):
        if self.kind:
            moved[self.kind][1] += time.perf_counter() - self.begun
        self.kind = None
if what == "run":
    result = api.run(source, place, overrides=settings, progress=Moved())
    stages = {stage.stage: 0.0 if stage.fresh else stage.seconds for stage in result.stages}
else:
    from shelfcheck.pipeline import MAIN_JOB
    home = open_workspace(place)
    home.told = Moved()
    stages = {}
    for stage in MAIN_JOB:
        home.path(stage, made_by="run")
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": time.perf_counter() - started, "cpu": usage.ru_utime + usage.ru_stime,
    "peak_mb": usage.ru_maxrss / 1024, "stages": sum(stages.values()), "moved": moved}))
"""


def main() -> None:
    """Measure each size, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reviews", type=int, action="append")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shelfcheck-bench-") as made, server(given.latency) as endpoint:
        rows = [
            row
            for reviews in given.reviews or [100_000, 1_000_000]
            for row in measure(Path(made), endpoint, reviews, given.repeats)
        ]
    print(table(rows))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def measure(home: Path, endpoint: str, reviews: int, repeats: int) -> list[dict[str, object]]:
    """The rows of the table for one size."""
    raw = home / f"raw-{reviews}"
    command = [sys.executable, "-m", "shelfcheck", "generate", str(raw), "--reviews", str(reviews), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, list[dict[str, object]]] = {}
    for turn in range(repeats):
        local, place = home / f"local-{turn}", f"s3://bench/shop-{reviews}-{turn}"
        steps = (
            ("local disk", "run", str(local), "one"),
            ("S3", "run", place, "one"),
            ("S3, all fresh", "run", place, "one"),
            ("second machine", "fetch", place, "two"),
        )
        for name, what, where, cache in steps:
            mirror = home / f"cache-{cache}-{turn}"
            found.setdefault(name, []).append(work(what, raw, where, mirror, endpoint))
        for path in home.glob(f"*-{turn}"):
            shutil.rmtree(path, ignore_errors=True)
    return [summary(reviews, name, runs) for name, runs in found.items()]


def work(what: str, raw: Path, where: str, mirror: Path, endpoint: str) -> dict[str, object]:
    """One step, in a process of its own."""
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "SHELFCHECK_CACHE_DIR": str(mirror),
    }
    command = [sys.executable, "-c", WORK, what, str(raw), where, json.dumps(SETTINGS)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def summary(reviews: int, name: str, runs: list[dict]) -> dict[str, object]:
    """Medians and extremes of the repeats."""
    seconds = [run["seconds"] for run in runs]
    row: dict[str, object] = {
        "reviews": reviews,
        "what": name,
        "seconds": statistics.median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "cpu": statistics.median(run["cpu"] for run in runs),
        "peak_mb": max(run["peak_mb"] for run in runs),
    }
    for kind in ("Uploading", "Fetching"):
        moved = [run["moved"][kind] for run in runs]
        row[kind] = statistics.median(n for n, _ in moved) / 1e6
        row[f"{kind} s"] = statistics.median(s for _, s in moved)
    return row


def table(rows: list[dict]) -> str:
    """As Markdown."""
    lines = [
        "| reviews | workspace | s, median (min–max) | CPU s | up MB, MB/s | down MB, MB/s | peak MB |",
        "|---:|---|---|---:|---|---|---:|",
    ]
    for row in rows:
        moved = [
            f"{row[kind]:,.0f}, {row[kind] / row[f'{kind} s']:,.0f}" if row[f"{kind} s"] else "–"
            for kind in ("Uploading", "Fetching")
        ]
        lines.append(
            f"| {row['reviews']:,} | {row['what']} "
            f"| {row['seconds']:.1f} ({row['least']:.1f}–{row['most']:.1f}) | {row['cpu']:.1f} "
            f"| {moved[0]} | {moved[1]} | {row['peak_mb']:,.0f} |"
        )
    return "\n".join(lines)


@contextlib.contextmanager
def server(latency: float):
    """The address of a new S3 server, with a bucket `bench`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        address = f"http://127.0.0.1:{port}"
        import boto3

        os.environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
        client.create_bucket(Bucket="bench")
        if not latency:
            yield address
            return
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
        from faulty_proxy import Fault, faulty

        with faulty(address) as proxy:
            proxy.faults.append(Fault("late", times=10**9, seconds=latency))
            yield proxy.url
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
