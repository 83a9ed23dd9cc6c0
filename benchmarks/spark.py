"""Prepare on one machine, on local Spark, and as the original's notebook would do it on Spark, in one run.

    python benchmarks/spark.py [REVIEWS.parquet | --reviews 300000] [--repeats 3] [--cores 2] [--json]

Ways, each in processes of its own, on the same Parquet file and the same number of cores:
`shelfcheck prepare` (DuckDB), `shelfcheck prepare --engine spark`, and a naive PySpark job: text cleaned by a
Python UDF row by row, repeated ids dropped, CSV by month, as the original's notebook wrote it. The naive job
rejects nothing, checks nothing and finds no equal contents: a lower bound of the work.

Repeats are interleaved. Seconds of work do not hold the start of Python and of Spark, which stand in a column
of their own; memory is the peak of all processes together, Java among them. The rows of both engines are
compared at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pyarrow.parquet as pq

DUCKDB = """
import json, sys, time
started = time.perf_counter()
import duckdb, shelfcheck.text.kernel, shelfcheck.prepare.duplicates
from shelfcheck.config import validate
from shelfcheck.prepare import prepare
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
source, out, cores, memory = sys.argv[1:]
settings = validate({"run": {"threads": int(cores)}})
begun = time.perf_counter()
prepare(find_sources([source], settings.source), out, settings, NullProgress())
print(json.dumps({"start": begun - started, "work": time.perf_counter() - begun}))
"""
SPARK = """
import json, sys, time
started = time.perf_counter()
import shelfcheck.text.kernel, shelfcheck.prepare.duplicates
from shelfcheck.config import validate
from shelfcheck.engines.spark import Spark
from shelfcheck.prepare.spark import prepare_on_spark
from shelfcheck.progress import NullProgress
from shelfcheck.sources import find_sources
source, out, cores, memory = sys.argv[1:]
settings = validate({"spark": {"master": f"local[{cores}]", "memory": memory}})
Spark(settings.spark).run("SELECT 1")
begun = time.perf_counter()
prepare_on_spark(find_sources([source], settings.source), out, settings, NullProgress())
print(json.dumps({"start": begun - started, "work": time.perf_counter() - begun}))
"""
NAIVE = """
import html, json, os, re, string, sys, time
started = time.perf_counter()
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
from pyspark.sql import SparkSession, functions as F
from shelfcheck.config import TextSettings
from shelfcheck.text.tokens import stop_words
source, out, cores, memory = sys.argv[1:]
spark = (SparkSession.builder.master(f"local[{cores}]").config("spark.driver.memory", memory)
         .config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
         .config("spark.ui.showConsoleProgress", "false").getOrCreate())
spark.sql("SELECT 1").collect()
words = frozenset(stop_words(TextSettings()))
delete = str.maketrans("", "", string.punctuation)
tags = re.compile("<[^>]*>")

def clean(text):
    split = (word.translate(delete) for word in tags.sub(" ", html.unescape(text)).lower().split())
    return " ".join(word for word in split if word and word not in words)

begun = time.perf_counter()
reviews = spark.read.parquet(source).where("length(review_body) > 5 AND length(review_body) < 5000")
reviews = reviews.where("product_category IS NOT NULL").dropDuplicates(["review_id"])
reviews = reviews.withColumn("review_tokens", F.udf(clean, "string")("review_body"))
reviews = reviews.withColumn("review_month", F.date_format("review_date", "yyyy-MM"))
reviews.write.partitionBy("review_month").option("header", True).csv(out)
print(json.dumps({"start": begun - started, "work": time.perf_counter() - begun}))
"""
WAYS = {
    "one machine (DuckDB)": DUCKDB,
    "Spark, shelfcheck": SPARK,
    "Spark, Python UDF row by row": NAIVE,
}
ENGINES = ("one machine (DuckDB)", "Spark, shelfcheck")


class Watch(threading.Thread):
    """Watches a process and all below it: peak memory together, processor time of each."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self._cpu: dict[int, float] = {}
        self.peak = 0  # bytes

    @property
    def cpu(self) -> float:
        """Processor seconds."""
        return sum(self._cpu.values())

    def run(self) -> None:
        """Look twice a second: what a large process holds takes a while to add up."""
        while not self._over.wait(0.5):
            self.peak = max(self.peak, sum(map(self._look, self._below())))

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()

    def _below(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                children.setdefault(parent, []).append(int(entry.name))
        found = [self._pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def _look(self, pid: int) -> int:
        """Bytes in memory, what forks share counted in part; notes the processor time."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            return 0
        self._cpu[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 1024 * int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))


def measure(code: str, source: Path, out: Path, cores: int, memory: str) -> dict[str, float]:
    """Seconds of start and work, processor seconds, peak megabytes of one way."""
    command = [sys.executable, "-W", "ignore", "-c", code, str(source), str(out), str(cores), memory]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watch = Watch(process.pid)
    watch.start()
    told, wrong = process.communicate()
    watch.stop()
    if process.returncode:
        sys.exit(wrong[-3000:])
    return json.loads(told) | {"cpu": watch.cpu, "peak_mb": watch.peak / 1e6}


def equal(one: Path, other: Path) -> bool:
    """Whether both hold the same rows in the same order."""
    from shelfcheck.prepare import iter_prepared

    return all(a.equals(b) for a, b in zip(iter_prepared(one), iter_prepared(other), strict=True))


def table(runs: dict[str, list[dict[str, float]]], rows: int, naive: str) -> str:
    """A markdown table of medians; ratios are medians over the repeats, each against its neighbour."""
    columns = ("work s, median (min–max)", "reviews/s", "start s", "CPU s", "peak MB", f"time / {naive}")
    lines = [f"| {rows:,} reviews | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for way, found in runs.items():
        work = [one["work"] for one in found]
        ratio = statistics.median(
            one["work"] / other["work"] for one, other in zip(found, runs[naive], strict=True)
        )
        middle = {key: statistics.median(one[key] for one in found) for key in ("start", "cpu", "peak_mb")}
        lines.append(
            f"| {way} | {statistics.median(work):.1f} ({min(work):.1f}–{max(work):.1f}) "
            f"| {rows / statistics.median(work):,.0f} | {middle['start']:.1f} | {middle['cpu']:.1f} "
            f"| {middle['peak_mb']:.0f} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run all ways and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?", help="Parquet file; generated when not given")
    parser.add_argument("--reviews", type=int, default=300_000, help="reviews to generate")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="2g", help="memory of Spark's driver")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--json", action="store_true", help="print all single measurements")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = options.file
        if source is None:
            from shelfcheck import api

            api.generate(Path(scratch) / "raw", reviews=options.reviews)
            source = Path(scratch) / "raw" / "reviews*.parquet"  # a glob, which all ways understand
        rows = sum(pq.read_metadata(file).num_rows for file in source.parent.glob(source.name))
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in options.ways}
        for repeat in range(options.repeats):
            for number, way in enumerate(options.ways):
                out = Path(scratch) / f"out-{number}"
                subprocess.run(["rm", "-rf", str(out)], check=True)
                runs[way].append(measure(WAYS[way], source, out, options.cores, options.memory))
                print(f"{repeat + 1} of {options.repeats}: {way}: {runs[way][-1]}", file=sys.stderr)
        same = None
        if set(ENGINES) <= set(runs):
            same = equal(*(Path(scratch) / f"out-{options.ways.index(way)}" for way in ENGINES))
    if options.json:
        print(json.dumps({"rows": rows, "runs": runs, "equal": same, "load": os.getloadavg()}, indent=2))
        return
    print(f"{options.repeats} repeats, {options.cores} cores, load average {os.getloadavg()[0]:.1f}", end="")
    print("" if same is None else f"; rows of both engines equal: {'yes' if same else 'NO'}", end="\n\n")
    print(table(runs, rows, options.ways[-1]))
    if same is False:
        sys.exit("The engines' rows differ.")


if __name__ == "__main__":
    main()
