"""Measure `sample` and `count` beside their peers, in one run.

    python benchmarks/sample.py WORKSPACE... [--fraction 0.01] [--repeats 3] [--draws 20] [--part PART]...

Each WORKSPACE holds prepared reviews. Parts:

`speed`: the sample, whole and without the comparison; DuckDB's `USING SAMPLE`, which has no strata and
draws others each time; and one window over all rows. Each runs in a process of its own, two threads,
interleaved; peak memory is that of the process.

`identity`: the same reviews laid out in other orders, in more files, with 1, 2 and 4 threads, in other
batches: bytes of the sample.

`distances`: samples from all reviews: ours (with other salts), simple random ones, and the original's, which
took the first rows of each month's file; with files in the order of the input, and category after category,
as they come when files of one category each are read in turn.

`count`: milliseconds of `count` by listing and by footers, of the whole process, of a scan by DuckDB, and of
counting the rows of the original's layout, gzip CSV by month (needs `prepare.csv = true`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.config import validate
from shelfcheck.prepare import iter_prepared, list_prepared, prepared_files
from shelfcheck.progress import NullProgress
from shelfcheck.sampling.allocation import allocate
from shelfcheck.sampling.count import count
from shelfcheck.sampling.representativeness import compare
from shelfcheck.sampling.run import sample
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_MONTH
from shelfcheck.workspace import Workspace

OURS = """
import sys, time, resource
from pathlib import Path
import duckdb, scipy.stats, pyarrow.csv
from shelfcheck.config import validate
from shelfcheck.progress import NullProgress
from shelfcheck.sampling import run
source, out, fraction, compare = sys.argv[1:]
settings = validate({"sample": {"fraction": float(fraction)}, "run": {"threads": 2}})
laps = {}
class Laps(NullProgress):
    def start(self, label, *_):
        self.label, self.begun = label, time.perf_counter()
    def finish(self):
        laps[self.label] = time.perf_counter() - self.begun
if compare == "no":
    # Months are the strata: their sizes stand in the listing, and one scan less is needed.
    def rows_only(prepared, out, settings):
        from shelfcheck.prepare import read_listing
        planned = run.plan_sample(prepared, out, settings, NullProgress())
        groups = list(run.batches(Path(prepared), read_listing(prepared)))
        with run._engine(Path(out), settings) as engine:
            found = run.find_cutoffs(engine, groups, planned, salt="", progress=NullProgress())
            return run.draw(engine, groups, planned, found, Path(out) / "sample.parquet", salt="",
                            progress=NullProgress())
    work = lambda: rows_only(source, out, settings)
else:
    work = lambda: run.sample(source, out, settings, Laps()).rows
cpu, start = time.process_time(), time.perf_counter()
rows = work()
seconds = time.perf_counter() - start
print(seconds, time.process_time() - cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, rows)
"""
PEER = """
import sys, time, resource, duckdb
source, out, fraction, way = sys.argv[1:]
con = duckdb.connect(config={"threads": 2, "memory_limit": "1GB", "temp_directory": out + "/spill"})
con.execute("SET enable_progress_bar = false")
hive = "hive_partitioning = true, hive_types = {'review_month': VARCHAR}"
reviews = f"read_parquet('{source}/reviews/*/*.parquet', {hive})"
cpu, start = time.process_time(), time.perf_counter()
if way == "using sample":
    sql = f"SELECT * FROM {reviews} USING SAMPLE {float(fraction) * 100} PERCENT (bernoulli)"
else:
    sql = (f"SELECT * EXCLUDE (place, n) FROM (SELECT *, row_number() OVER (PARTITION BY review_month "
           f"ORDER BY md5(review_id), review_id) AS place, count(*) OVER (PARTITION BY review_month) AS n "
           f"FROM {reviews}) WHERE place <= greatest(1, round(n * {fraction}))")
con.execute(f"COPY ({sql}) TO '{out}/sample.parquet' (FORMAT parquet, COMPRESSION zstd)")
seconds = time.perf_counter() - start
rows = con.execute(f"SELECT count(*) FROM '{out}/sample.parquet'").fetchone()[0]
print(seconds, time.process_time() - cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, rows)
"""


def prepared_of(workspace: str) -> Path:
    """The folder of prepared reviews."""
    return Workspace(workspace).path("prepared", made_by="shelfcheck prepare")


def speed(prepared: Path, fraction: float, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds, processor seconds, peak megabytes and rows of each way."""
    ways = {
        "`shelfcheck sample`": (OURS, "yes"),
        "its rows alone": (OURS, "no"),
        "DuckDB `USING SAMPLE` (Bernoulli, no strata)": (PEER, "using sample"),
        "DuckDB, one window over all rows": (PEER, "window"),
    }
    found: dict[str, dict[str, list[float]]] = {
        way: {"seconds": [], "cpu": [], "peak_mb": [], "rows": []} for way in ways
    }
    for _ in range(repeats):
        for way, (code, argument) in ways.items():
            with tempfile.TemporaryDirectory(dir=os.environ.get("SCRATCH")) as out:
                arguments = [str(prepared), out, str(fraction), argument]
                done = subprocess.run(
                    [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
                )
                if done.returncode:
                    print(f"{way}: {done.stderr.strip().splitlines()[-1][:200]}", file=sys.stderr)
                    continue
                for name, value in zip(found[way], done.stdout.split(), strict=True):
                    found[way][name].append(float(value))
    return found


def identity(prepared: Path, fraction: float) -> list[tuple[str, str, int]]:
    """The sample's hash and rows for several layouts of the same reviews."""
    table = pa.Table.from_batches(list(iter_prepared(prepared)))
    random = np.random.default_rng(5)
    layouts = [("as prepared", np.arange(table.num_rows), 1, 2, 10**6)]
    layouts += [
        (
            f"shuffled, {parts} files a month, {threads} threads, batches of {rows:,}",
            None,
            parts,
            threads,
            rows,
        )
        for parts, threads, rows in ((1, 1, 10**6), (3, 2, 50_000), (7, 4, 300_000))
    ]
    found = []
    import shelfcheck.sampling.run as module
    from shelfcheck.sampling.reviews import batches

    for told, order, parts, threads, rows in layouts:
        with tempfile.TemporaryDirectory(dir=os.environ.get("SCRATCH")) as folder:
            home, out = Path(folder) / "prepared", Path(folder) / "out"
            out.mkdir()
            chosen = random.permutation(table.num_rows) if order is None else order
            lay_out(table.take(pa.array(chosen)), home, parts)
            module.batches = lambda at, listing, n=rows: batches(at, listing, n)
            settings = validate({"sample": {"fraction": fraction}, "run": {"threads": threads}})
            drawn = sample(home, out, settings, NullProgress())
            digest = hashlib.sha256((out / "sample.parquet").read_bytes()).hexdigest()[:16]
            found.append((told, digest, drawn.rows))
    module.batches = batches
    return found


def lay_out(table: pa.Table, folder: Path, parts: int) -> None:
    """Write reviews by month, each month in so many files."""
    stored = [name for name in PREPARED_SCHEMA.names if name != REVIEW_MONTH]
    for month in table[REVIEW_MONTH].unique().to_pylist():
        of = pc.is_null(table[REVIEW_MONTH]) if month is None else pc.equal(table[REVIEW_MONTH], month)
        rows = table.filter(of).select(stored)
        home = folder / "reviews" / f"{REVIEW_MONTH}={month or '__HIVE_DEFAULT_PARTITION__'}"
        home.mkdir(parents=True)
        step = -(-rows.num_rows // parts)
        for part, start in enumerate(range(0, rows.num_rows, step)):
            pq.write_table(rows.slice(start, step), home / f"part-{part:05d}.parquet")


def distances(prepared: Path, fraction: float, draws: int) -> list[tuple[str, int, dict[str, float], float]]:
    """Mean distance of each way to sample, and how often it is called representative."""
    names = ["review_id", REVIEW_MONTH, "product_category", "star_rating", "review_body"]
    table = pa.Table.from_batches(list(iter_prepared(prepared, names)))
    columns = {
        "product_category": table["product_category"],
        "star_rating": table["star_rating"],
        "body_length": pc.utf8_length(table["review_body"]),
        REVIEW_MONTH: table[REVIEW_MONTH],
    }
    codes, values = {}, {}
    for name, column in columns.items():
        encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
        codes[name], values[name] = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()

    def distribution(rows: np.ndarray, weights: np.ndarray | None = None) -> dict[str, Counter]:
        found = {}
        for name, code in codes.items():
            n = np.bincount(code[rows], weights=weights, minlength=len(values[name])).tolist()
            found[name] = Counter(dict(zip(values[name], n, strict=True)))
        return found

    population = distribution(np.arange(table.num_rows))
    by_month = defaultdict(list)
    for row, month in enumerate(codes[REVIEW_MONTH].tolist()):
        by_month[month].append(row)
    months = [np.array(rows) for rows in by_month.values()]
    targets = allocate([len(rows) for rows in months], fraction)
    weights = np.concatenate([np.full(k, len(rows) / k) for rows, k in zip(months, targets, strict=True)])
    ids = table["review_id"].to_pylist()

    def ours(draw: int) -> np.ndarray:
        keys = [hashlib.md5(f"{draw}{i}".encode(), usedforsecurity=False).hexdigest() for i in ids]
        drawn = [
            sorted(rows.tolist(), key=keys.__getitem__)[:k] for rows, k in zip(months, targets, strict=True)
        ]
        return np.concatenate([np.array(rows) for rows in drawn])

    def original(order: np.ndarray) -> np.ndarray:
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return np.concatenate(
            [rows[np.argsort(place[rows])][: max(1, int(len(rows) * fraction))] for rows in months]
        )

    as_read = np.arange(table.num_rows)
    by_category = np.argsort(codes["product_category"], kind="stable")
    random = np.random.default_rng(1)
    size = round(table.num_rows * fraction)
    ways = {
        "ours, by month": (ours, None, draws),
        "ours, by month, weighted": (ours, weights, draws),
        "simple random": (lambda _: random.choice(table.num_rows, size, replace=False), None, draws),
        "the original's: first rows, files in the order of the input": (lambda _: original(as_read), None, 1),
        "the original's: first rows, category after category": (lambda _: original(by_category), None, 1),
    }
    found = []
    for way, (draw, weight, times) in ways.items():
        told: dict[str, list[float]] = defaultdict(list)
        representative = 0
        for i in range(times):
            rows = draw(i)
            sampled = distribution(rows)
            weighted = sampled if weight is None else distribution(rows, weight)
            compared = compare(population, sampled, weighted, i)
            for one in compared.distances:
                judged = one.judged if weight is None else one.weighted
                told[f"{one.what} {one.measure}"].append(judged.observed)
            representative += compared.representative if weight is None else compared.representative_weighted
        means = {name: statistics.mean(values_) for name, values_ in told.items()}
        found.append((way, len(rows), means, representative / times))
    return found


def counts(workspace: str, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each way to count."""
    prepared = prepared_of(workspace)
    files = [str(file) for file, _ in prepared_files(prepared)]
    listed = (prepared / "months.json").is_file()
    import duckdb

    engine = duckdb.connect(config={"threads": 2})
    engine.execute("SET enable_progress_bar = false")
    csv = sorted((prepared / "csv").glob("*.csv.gz"))
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def command() -> None:
        subprocess.run(
            ["shelfcheck", "count", "--workspace", workspace],
            check=True,
            capture_output=True,
            env=environment,
        )

    ways = {
        "`count`, the listing": lambda: count(workspace),
        "`count --by month`, the listing": lambda: count(workspace, by="month"),
        f"`count`, footers of {len(files):,} files": lambda: count(prepared / "reviews"),
        "`shelfcheck count`, the process": command,
        "DuckDB, `count(*)` (footers)": lambda: engine.execute(
            "SELECT count(*) FROM read_parquet(?)", [files]
        ),
        "DuckDB, counting a column": lambda: engine.execute(
            "SELECT count(review_body) FROM read_parquet(?)", [files]
        ).fetchall(),
    }
    if csv:
        ways[f"DuckDB, {len(csv):,} gzip CSV by month"] = lambda: engine.execute(
            "SELECT count(*) FROM read_csv(?, header = true, all_varchar = true, sample_size = 1000)",
            [[str(file) for file in csv]],
        ).fetchall()
    if not listed:
        del ways["`count`, the listing"], ways["`count --by month`, the listing"]
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, work in ways.items():
            start = time.perf_counter()
            work()
            found[way].append((time.perf_counter() - start) * 1000)
    return found


def spread(values: list[float], digits: int = 1) -> str:
    """Median (least to most)."""
    if not values:
        return "failed"
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def main() -> None:
    """Measure what is asked for and print Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspaces", nargs="+")
    parser.add_argument("--fraction", type=float, default=0.01)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--part", action="append", choices=["speed", "identity", "distances", "count"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = arguments.part or ["speed", "identity", "distances", "count"]
    results: dict[str, dict[str, object]] = {}
    for workspace in arguments.workspaces:
        prepared = prepared_of(workspace)
        rows = list_prepared(prepared).rows
        told = results[workspace] = {"reviews": rows}
        print(f"\n## {workspace}: {rows:,} reviews\n", flush=True)
        if "speed" in parts:
            told["speed"] = measured = speed(prepared, arguments.fraction, arguments.repeats)
            print("| way | s | CPU s | peak MB | rows |\n|---|---|---|---|---|")
            for way, one in measured.items():
                rows_drawn = " ".join(sorted({f"{n:,.0f}" for n in one["rows"]}))
                print(
                    f"| {way} | {spread(one['seconds'])} | {spread(one['cpu'])} "
                    f"| {spread(one['peak_mb'], 0)} | {rows_drawn} |",
                    flush=True,
                )
        if "identity" in parts:
            told["identity"] = same = identity(prepared, arguments.fraction)
            print("\n| layout | sha256 of sample.parquet | rows |\n|---|---|---|")
            print("\n".join(f"| {layout} | {digest} | {n:,} |" for layout, digest, n in same), flush=True)
        if "distances" in parts:
            told["distances"] = far = distances(prepared, arguments.fraction, arguments.draws)
            print("\n| way | rows | " + " | ".join(far[0][2]) + " | representative |")
            print("|---" * (len(far[0][2]) + 3) + "|")
            for way, n, means, share in far:
                cells = " | ".join(f"{value:.4f}" for value in means.values())
                print(f"| {way} | {n:,} | {cells} | {share:.0%} |", flush=True)
        if "count" in parts:
            told["count"] = milliseconds = counts(workspace, max(5, arguments.repeats))
            print("\n| way | ms |\n|---|---|")
            print("\n".join(f"| {way} | {spread(ms)} |" for way, ms in milliseconds.items()), flush=True)
    if arguments.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
