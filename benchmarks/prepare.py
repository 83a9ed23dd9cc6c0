"""Measure the tokens kernel and `prepare` beside their peers, in one run.

    python benchmarks/prepare.py REVIEWS.parquet [--rows 50000] [--repeats 5] [--json]

Tokens: ours on one and two threads; the original's Python over a pandas column; DuckDB SQL
(no tags, no Unicode rules: a lower bound of its work). Prepare, end to end: ours on two
threads; DuckDB copying the same file to month partitions without any text work. Repeats
are interleaved, so that whatever else the machine does falls on all alike. Every `prepare`
and COPY runs in a process of its own, whose peak memory is reported and whose imports are
not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

COPY = """
import sys, time, resource, duckdb
source, out = sys.argv[1:]
con = duckdb.connect(config={"threads": 2})
con.execute("SET enable_progress_bar = false")
cpu, start = time.process_time(), time.perf_counter()
con.execute(f"COPY (SELECT *, strftime(review_date, '%Y-%m') AS review_month FROM '{source}') TO '{out}' "
            "(FORMAT parquet, PARTITION_BY (review_month), COMPRESSION zstd)")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.perf_counter() - start, time.process_time() - cpu, peak)
"""
PREPARE = """
import sys, time, resource
import duckdb
import shelfcheck.text.kernel, shelfcheck.prepare.fingerprint, shelfcheck.prepare.duplicates
from shelfcheck.config import Settings
from shelfcheck.prepare import prepare
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
source, out = sys.argv[1:]
settings = Settings.model_validate({"run": {"threads": 2}})
cpu, start = time.process_time(), time.perf_counter()
prepare(find_sources([source], settings.source), out, settings, NullProgress())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.perf_counter() - start, time.process_time() - cpu, peak)
"""
SQL_TOKENS = """
SELECT array_to_string(list_filter(list_transform(
    regexp_split_to_array(lower(body), '\\s+'),
    lambda x: regexp_replace(x, '[[:punct:]]', '', 'g')),
    lambda x: x <> '' AND NOT list_contains($words, x)), ' ') AS tokens
FROM texts
"""


def tokens_runs(file: Path, rows: int, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds and megabytes a second of each way to make tokens."""
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from shelfcheck.config import TextSettings
    from shelfcheck.text.tokens import stop_words, tokens

    settings = TextSettings()
    reader = pq.ParquetFile(file)
    table = pa.Table.from_batches(reader.iter_batches(rows, columns=["review_body"])).slice(0, rows)
    texts = table["review_body"].combine_chunks()
    texts = texts.filter(texts.is_valid())
    megabytes = texts.nbytes / 1e6
    frame = pd.Series(texts.to_pylist(), dtype=object)
    words = stop_words(settings)
    delete = str.maketrans("", "", string.punctuation)

    def original() -> None:
        def one(text: str) -> str:
            split = (word.translate(delete) for word in text.lower().split())
            return " ".join(word for word in split if word and word not in words)

        frame.map(one)

    engine = duckdb.connect(config={"threads": 2})
    engine.register("texts", pa.table({"body": texts}))
    ways = {
        "shelfcheck, 1 thread": lambda: tokens(texts, settings, 1),
        "shelfcheck, 2 threads": lambda: tokens(texts, settings, 2),
        "the original's Python, 1 thread": original,
        "DuckDB SQL, 2 threads": lambda: (
            engine.execute(SQL_TOKENS, {"words": sorted(words)}).fetch_arrow_table()
            if hasattr(engine, "fetch_arrow_table")
            else engine.execute(SQL_TOKENS, {"words": sorted(words)}).to_arrow_table()
        ),
    }
    tokens(texts.slice(0, 1), settings)  # compiled before the clock starts
    found: dict[str, dict[str, list[float]]] = {way: {"seconds": [], "cpu": []} for way in ways}
    for _ in range(repeats):
        for way, work in ways.items():
            cpu, start = time.process_time(), time.perf_counter()
            work()
            found[way]["seconds"].append(time.perf_counter() - start)
            found[way]["cpu"].append(time.process_time() - cpu)
    for way in ways:
        found[way]["mb_per_second"] = [megabytes / s for s in found[way]["seconds"]]
    return found


def prepare_runs(file: Path, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds, processor seconds and peak megabytes of `prepare` and of DuckDB's COPY."""
    ways = {"DuckDB COPY by month, 2 threads": COPY, "shelfcheck prepare, 2 threads": PREPARE}
    found: dict[str, dict[str, list[float]]] = {
        way: {"seconds": [], "cpu": [], "peak_mb": []} for way in ways
    }
    for _ in range(repeats):
        for way, code in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [sys.executable, "-c", code, str(file), str(Path(folder) / "out")],
                    capture_output=True,
                    text=True,
                    check=True,
                )
            seconds, cpu, peak = map(float, done.stdout.split())
            found[way]["seconds"].append(seconds)
            found[way]["cpu"].append(cpu)
            found[way]["peak_mb"].append(peak / 1e3)
    return found


def table(title: str, runs: dict[str, dict[str, list[float]]], base: str, extra: str, unit: str) -> str:
    """A markdown table of medians; ratios are medians over the repeats, each against its neighbour."""
    lines = [
        f"| {title} | s, median (min–max) | CPU s | {unit} | time / {base} |",
        "|---|---|---|---|---|",
    ]
    for way, values in runs.items():
        seconds = values["seconds"]
        ratios = [a / b for a, b in zip(seconds, runs[base]["seconds"], strict=True)]
        lines.append(
            f"| {way} | {statistics.median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f}) "
            f"| {statistics.median(values['cpu']):.2f} | {statistics.median(values[extra]):.0f} "
            f"| {statistics.median(ratios):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run both benchmarks and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="Parquet file of reviews")
    parser.add_argument("--rows", type=int, default=50_000, help="reviews to make tokens of")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print all single measurements")
    options = parser.parse_args()
    texts = tokens_runs(options.file, options.rows, options.repeats)
    whole = prepare_runs(options.file, options.repeats)
    if options.json:
        print(json.dumps({"tokens": texts, "prepare": whole, "load": os.getloadavg()}, indent=2))
        return
    rows = pq.read_metadata(options.file).num_rows
    print(f"{rows:,} reviews; tokens of the first {options.rows:,}; {options.repeats} repeats;", end=" ")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    print(table("tokens", texts, "the original's Python, 1 thread", "mb_per_second", "MB/s"))
    print()
    print(table("prepare", whole, "DuckDB COPY by month, 2 threads", "peak_mb", "peak MB"))


if __name__ == "__main__":
    main()
