"""Stages after `prepare` on one machine and on local Spark: seconds, processor seconds, peak memory.

    python benchmarks/spark_stages.py [--reviews 300000] [--repeats 3] [--cores 2] [--stages explore graph]

Reviews are generated and prepared once, and what the stages need is made once on one machine; each run is
a process of its own that makes one stage anew. Repeats are interleaved. Seconds of work do not hold the
start of Python and of Spark. Whether the results are equal is the tests' business: they are in
tests/engines/test_equal_results.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from shelfcheck import api
from spark import measure

CODE = """
import json, sys, time
started = time.perf_counter()
from shelfcheck import api
from shelfcheck.pipeline import run_stages
from shelfcheck.progress import NullProgress
from shelfcheck.settings_file import resolve
from shelfcheck.workspace import Workspace
source, place, cores, memory = sys.argv[1:]
overrides = GIVEN | {"run.threads": int(cores), "run.engine": ENGINE, "spark.master": f"local[{cores}]",
                     "spark.memory": memory}
settings = resolve(None, overrides, place).settings
if ENGINE == "spark":
    from shelfcheck.engines.spark import Spark
    Spark(settings.spark).run("SELECT 1")
begun = time.perf_counter()
if STAGE == "predict":
    api.predict(source, f"{place}/../predictions-{ENGINE}", place, overrides=overrides)
else:
    run_stages(Workspace(place), settings, NullProgress(), [STAGE], force=True)
print(json.dumps({"start": begun - started, "work": time.perf_counter() - begun}))
"""
GIVEN = {"train.linear.epochs": 1, "audit.folds": 2, "language.min_reviews": 20}
AUDITS = ("misplaced_reviews", "miscategorised_products")
STAGES = ("sample", "explore", "language", "graph", "predict", "out_of_fold", *AUDITS)
ENGINES = ("duckdb", "spark")


def main() -> None:
    """Run all stages on both engines and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reviews", type=int, default=300_000, help="reviews to generate")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="2g", help="memory of Spark's driver")
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        raw, shop = Path(scratch) / "raw", Path(scratch) / "shop"
        api.generate(raw, reviews=options.reviews, rare_words=10)
        given = GIVEN | {"run.threads": options.cores}
        api.prepare(raw, shop, overrides=given)
        if {"predict", "out_of_fold", *AUDITS} & set(options.stages):
            api.train(shop, overrides=given)
        if set(AUDITS) & set(options.stages):
            api.audit(shop, list(AUDITS), overrides=given)
        runs: dict[tuple[str, str], list[dict[str, float]]] = {}
        for repeat in range(options.repeats):
            for stage in options.stages:
                for engine in ENGINES:
                    for left in Path(scratch).glob("predictions-*"):
                        shutil.rmtree(left) if left.is_dir() else left.unlink()
                    code = f"STAGE, ENGINE, GIVEN = {stage!r}, {engine!r}, {GIVEN!r}\n{CODE}"
                    found = measure(code, raw, shop, options.cores, options.memory)
                    runs.setdefault((stage, engine), []).append(found)
                    print(f"{repeat + 1} of {options.repeats}: {stage} {engine}: {found}", file=sys.stderr)
    print(f"{options.repeats} repeats, {options.cores} cores, load average {os.getloadavg()[0]:.1f}\n")
    columns = ("engine", "work s, median (min–max)", "start s", "CPU s", "peak MB", "time / DuckDB")
    print(f"| {options.reviews:,} reviews | {' | '.join(columns)} |")
    print("|---" * 7 + "|")
    for (stage, engine), found in runs.items():
        work = [one["work"] for one in found]
        middle = {key: statistics.median(one[key] for one in found) for key in ("start", "cpu", "peak_mb")}
        beside = [one["work"] for one in runs[stage, "duckdb"]]
        ratio = statistics.median(own / other for own, other in zip(work, beside, strict=True))
        print(
            f"| {stage} | {engine} | {statistics.median(work):.1f} ({min(work):.1f}–{max(work):.1f}) "
            f"| {middle['start']:.1f} | {middle['cpu']:.1f} | {middle['peak_mb']:.0f} "
            f"| {ratio:.2f} |"
        )


if __name__ == "__main__":
    main()
