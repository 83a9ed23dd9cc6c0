"""Measure `explore` beside a bare scan and the original's loops, a process a run, interleaved.

    python benchmarks/explore.py PREPARED [PREPARED ...] [--repeats 5] [--loops 1] [--json]

PREPARED is what `prepare` wrote: `WORKSPACE/prepared/FINGERPRINT`. The bare scan is DuckDB asking for the
count, the least and the greatest value of every column that `explore` reads, on as many threads. The loops
are what the original notebook did with pandas: for each category and month, filter the frame, count
reviews, `nunique` and `value_counts` of products, `describe` the lengths; kindly: months are filtered within
their category, and only the columns needed are loaded. Imports are not timed; compiled kernels are cached.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

REPORT = """
import json, resource, time
def told(cpu, start):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu,
                      "peak_mb": usage.ru_maxrss / 1024}))
"""
SCAN = """
import sys, duckdb
from pathlib import Path
from shelfcheck.explore.scan import SCANNED
files = [str(path) for path in sorted(Path(sys.argv[1]).glob("reviews/*/*.parquet"))]
con = duckdb.connect(config={"threads": 2, "memory_limit": "1GB"})
con.execute("SET enable_progress_bar = false")
columns = ", ".join(f"count({name}), min({name}), max({name})" for name in SCANNED)
cpu, start = time.process_time(), time.perf_counter()
con.execute(f"SELECT {columns} FROM read_parquet({files})").fetchall()
told(cpu, start)
"""
EXPLORE = """
import sys, tempfile, duckdb
from pathlib import Path
from shelfcheck.config import validate
from shelfcheck.explore import explore
from shelfcheck.progress import NullProgress
settings = validate({"run": {"threads": 2}})
with tempfile.TemporaryDirectory() as out:
    cpu, start = time.process_time(), time.perf_counter()
    explore(Path(sys.argv[1]), Path(out), settings, NullProgress())
    told(cpu, start)
"""
LOOPS = """
import sys
import pandas as pd
import pyarrow.parquet as pq
from pathlib import Path
cpu, start = time.process_time(), time.perf_counter()
columns = ["product_category", "product_id", "review_body", "star_rating"]
parts = []
for path in sorted(Path(sys.argv[1]).glob("reviews/*/*.parquet")):
    part = pq.ParquetFile(path).read(columns=columns).to_pandas()
    part["review_month"] = path.parent.name.partition("=")[2]
    parts.append(part)
df = pd.concat(parts, ignore_index=True)
df["length"] = df["review_body"].str.len()
rows = []
for category in df["product_category"].unique():
    of_category = df[df["product_category"] == category]
    for month in of_category["review_month"].unique():
        group = of_category[of_category["review_month"] == month]
        counts = group["product_id"].value_counts()
        lengths = group["length"].describe()
        rows.append({"product_category": category, "review_month": month, "reviews": len(group),
                     "unique products": group["product_id"].nunique(),
                     "products with > 1 reviews": int((counts > 1).sum()),
                     "stars": group["star_rating"].mean(), **lengths})
pd.DataFrame(rows)
told(cpu, start)
"""
WAYS = {"bare DuckDB scan": SCAN, "shelfcheck explore": EXPLORE, "the original's loops": LOOPS}


def measure(script: str, prepared: Path) -> dict[str, float]:
    """Seconds and peak memory of one run."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT + script, str(prepared)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure every way on every input and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path, nargs="+", help="what prepare wrote; several may be named")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loops", type=int, default=1, help="runs of the original's loops; 0: none")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    results = []
    for prepared in options.prepared:
        reviews = json.loads((prepared / "summary.json").read_text(encoding="utf-8"))["rows_kept"]
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
        measure(EXPLORE, prepared)  # compiles, and reads the files once
        for repeat in range(max(options.repeats, options.loops)):
            for name, script in WAYS.items():
                if repeat < (options.loops if script is LOOPS else options.repeats):
                    runs[name].append(measure(script, prepared))
        results.append({"reviews": reviews, "runs": runs})
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print("| reviews | what | s, median (min–max) | CPU s | peak MB | time / bare scan | CPU / bare scan |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    for result in results:
        base = None
        for name, found in result["runs"].items():
            if not found:
                continue
            wall = [run["wall_s"] for run in found]
            cpu = statistics.median(run["cpu_s"] for run in found)
            middle = statistics.median(wall)
            base = base or (middle, cpu)
            peak = max(run["peak_mb"] for run in found)
            print(
                f"| {result['reviews']:,} | {name} "
                f"| {middle:.2f} ({min(wall):.2f}–{max(wall):.2f}) | {cpu:.2f} "
                f"| {peak:,.0f} | {middle / base[0]:.1f} | {cpu / base[1]:.1f} |"
            )


if __name__ == "__main__":
    main()
