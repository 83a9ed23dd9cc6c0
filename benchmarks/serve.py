"""Requests a second, latency and memory of `shelfcheck serve` under wrk, on the loopback.

    python benchmarks/serve.py WORKSPACE [--reviews FOLDER] [--seconds 10] [--memory-seconds 300]

Starts the server on one core and wrk on the others, sends real bodies (prepared reviews, all different),
first one review a request, then 100, and prints requests and reviews a second, p50 and p99, and how the
server's memory went. `cpu_us` is the server's processor time for a request: 1,000,000 / cpu_us requests a
second are what a core gives that has nothing else to do, however busy the machine was.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

LUA = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local i = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  i = i %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[i])
end
done = function(summary, latency, requests)
  io.write(string.format("JSON %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""
COLUMNS = (
    "reviews", "connections", "batching", "requests_s", "reviews_s", "p50_ms", "p99_ms", "cpu_us", "errors"
)  # fmt: skip


def main() -> None:
    """Run the benchmark and print a table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--reviews", type=Path, help="prepared reviews; those of the workspace when absent")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    parser.add_argument("--memory-seconds", type=int, default=0, help="of load while memory is watched")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--batching", type=int, nargs="+", default=[64], help="serve.batch_reviews; 1: none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed")
    texts = read_texts(options.reviews or prepared(options.workspace))
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        one, hundred = (write_script(Path(name), texts, size) for size in (1, 100))
        for most in options.batching:
            with Server(options.workspace, most) as server:
                server.measure(one, 16, 2)  # the first requests pay for what is done once
                found += [server.row(one, 1, n, options.seconds) for n in options.connections]
                found.append(server.row(hundred, 100, 8, options.seconds))
                if options.memory_seconds and most == options.batching[0]:
                    found.append(server.row(one, 1, 64, options.memory_seconds))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(" ".join(f"{name:>11}" for name in COLUMNS), "  memory over time, MB")
    for row in found:
        print(" ".join(f"{row[name]:>11,}" for name in COLUMNS), "  ", row["memory_mb"])


class Server:
    """`shelfcheck serve` on the first core; a context manager."""

    def __init__(self, workspace: Path, batching: int) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.other_cores = set(cores[1:] or cores)
        self.batching = batching
        command = [sys.executable, "-m", "shelfcheck", "serve", "--workspace", str(workspace), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--set", f"serve.batch_reviews={batching}"],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]),  # noqa: PLW1509 - no thread runs yet
        )
        self._told = self.process.stderr
        line = self._told.readline()
        if "http" not in line:
            sys.exit(line + self._told.read())
        self.url = line.split()[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._told.close()

    def row(self, script: Path, size: int, connections: int, seconds: int) -> dict[str, Any]:
        """One measurement."""
        before = cpu_seconds(self.process.pid)
        with Memory(self.process.pid, every=max(1.0, seconds / 10)) as memory:
            requests, duration, p50, p99, errors = self.measure(script, connections, seconds)
        return {
            "reviews": size,
            "connections": connections,
            "batching": self.batching,
            "requests_s": round(requests / duration),
            "reviews_s": round(size * requests / duration),
            "p50_ms": round(p50, 2),
            "p99_ms": round(p99, 2),
            "cpu_us": round((cpu_seconds(self.process.pid) - before) / max(1, requests) * 1e6),
            "errors": errors,
            "seconds": round(duration, 1),
            "memory_mb": memory.seen,
        }

    def measure(self, script: Path, connections: int, seconds: int) -> tuple[int, float, float, float, int]:
        """Requests, seconds, p50 and p99 in ms, and errors."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
        places = ",".join(str(core) for core in sorted(self.other_cores))
        done = subprocess.run(
            ["taskset", "-c", places, *command, f"{self.url}/invocations"],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        )
        numbers = re.search(r"^JSON (.*)$", done.stdout, re.MULTILINE)
        if numbers is None:
            sys.exit(done.stdout + done.stderr)
        requests, micros, p50, p99, refused, broken = map(int, numbers[1].split())
        return requests, micros / 1e6, p50 / 1e3, p99 / 1e3, refused + broken


class Memory:
    """Watches the resident memory of a process; a context manager."""

    def __init__(self, pid: int, every: float) -> None:
        self.seen: list[int] = []
        self._status = Path(f"/proc/{pid}/status")
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            found = re.search(r"VmRSS:\s+(\d+)", self._status.read_text())
            if found:
                self.seen.append(round(int(found[1]) * 1024 / 1e6))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def prepared(workspace: Path) -> Path:
    """The folder of the workspace's prepared reviews."""
    manifest = json.loads((workspace / "prepared" / "manifest.json").read_text())
    return workspace / "prepared" / manifest["folder"]


def read_texts(folder: Path, n: int = 20_000) -> list[str]:
    """Bodies of reviews."""
    from shelfcheck.prepare.read import iter_prepared

    texts: list[str] = []
    for batch in iter_prepared(folder, ["review_body"]):
        texts += [text for text in batch.column(0).to_pylist() if text]
        if len(texts) >= n:
            break
    return texts[:n]


def write_script(folder: Path, texts: list[str], size: int) -> Path:
    """A script for wrk that sends the texts, `size` in a request."""
    bodies = folder / f"bodies-{size}.jsonl"
    with bodies.open("w", encoding="utf-8") as file:
        for start in range(0, len(texts) - size + 1, size):
            body = {"instances": texts[start : start + size], "configuration": {"k": 1}}
            file.write(json.dumps(body, ensure_ascii=False) + "\n")
    script = folder / f"send-{size}.lua"
    script.write_text(LUA % bodies)
    return script


if __name__ == "__main__":
    main()
