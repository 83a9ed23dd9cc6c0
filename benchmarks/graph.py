"""Measure the review graph: build, predictions, index, questions; beside the original's way, row by row.

    python benchmarks/graph.py PREPARED [PREPARED ...] [--rows 100000] [--repeats 5] [--json]

PREPARED is what `prepare` wrote: `WORKSPACE/prepared/FINGERPRINT`. A process a step. Predictions are made up:
for each review its product's category, or for one in ten another, by an md5 of its id; three ranks. The
original's way adds nodes and edges to a networkx graph in a loop, of so many reviews as `--rows` says.
Questions are asked of the category with most products, the product and the customer with most purchases: of
open stores, in turns, the median of the repeats. Imports are not timed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMMON = """
import json, resource, sys, time
from pathlib import Path
from shelfcheck import api
from shelfcheck.config import validate
from shelfcheck.graph.store import open_graph
from shelfcheck.progress import NullProgress
from shelfcheck.workspace import Workspace
import duckdb, pyarrow, pyarrow.parquet
root = Path(sys.argv[1]); settings = validate({"run": {"threads": 2}}); home = Workspace(root)
def told(seconds, **more):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu = time.process_time() - STARTED
    print(json.dumps({"s": round(seconds, 2), "cpu_s": round(cpu, 2), "peak_mb": round(peak), **more}))
def size(folder, ending):
    return round(sum(path.stat().st_size for path in Path(folder).rglob(ending)) / 1e6, 1)
STARTED = time.process_time()
"""
BUILD = """
start = time.perf_counter()
built = api.graph_build(root, overrides={"run.threads": 2})
told(time.perf_counter() - start, disk_mb=size(built.graph.folder, "*.parquet"),
     nodes=sum(built.stage.counts[name] for name in ("customers", "products", "reviews", "categories")),
     edges=sum(built.stage.counts[name] for name in ("wrote", "reviewed", "bought", "assigned")))
"""
MAKE = """
graph = open_graph(home)
duckdb.sql("SET memory_limit = '2GB'")
found = duckdb.sql(f"SELECT category FROM '{graph.nodes('categories')}' ORDER BY 1").fetchall()
names = [row[0] for row in found]
for file, limit in (("all", ""), ("some", "LIMIT 100000")):
    duckdb.execute(f'''COPY (
        SELECT review_id, named[1] AS predicted_category, 0.7::FLOAT AS confidence, named AS top_categories,
            [0.5 + bucket / 2100, 0.3 - bucket / 4000, 0.01]::FLOAT[] AS top_probabilities
        FROM (
            SELECT review_id, bucket, list_transform([(bucket % 10 = 0)::INT, 2, 3],
                lambda shift: list_extract($names, ((own - 1 + shift) % len($names) + 1)::INT)) AS named
            FROM (
                SELECT review_id, list_position($names, category) AS own,
                    ('0x' || substr(md5(review_id), 1, 8))::BIGINT % 1000 AS bucket
                FROM '{graph.edges("reviewed")}' JOIN '{graph.edges("assigned")}' USING (product_id)
                WHERE current
            )
        ) ORDER BY review_id {limit}
    ) TO '{root / file}.parquet' (FORMAT parquet)''', {"names": names})
told(0)
"""
ADD = """
start = time.perf_counter()
built = api.graph_build(root, root / (sys.argv[2] + ".parquet"), sys.argv[2], overrides={"run.threads": 2})
told(time.perf_counter() - start, edges=built.predictions[-1].counts["edges"])
"""
INDEX = """
from shelfcheck.graph.index import ensure_index
import ladybug
start = time.perf_counter()
file = ensure_index(open_graph(home), root / "cache", NullProgress(), threads=2)
told(time.perf_counter() - start, disk_mb=size(root / "cache", "*"))
"""
QUESTIONS = """
import statistics
from shelfcheck.graph.index import GraphIndex, ensure_index
from shelfcheck.graph.queries import GraphQueries
from shelfcheck.graph.reference import QUESTIONS
graph = open_graph(home)
file = ensure_index(graph, root / "cache", NullProgress())
def most(table, key, by):
    found = duckdb.sql(f"SELECT {key} FROM '{table}' GROUP BY 1 ORDER BY {by} DESC, 1 LIMIT 1")
    return found.fetchall()[0][0]
given = {"model": "all", "min_confidence": 0.5,
         "category": most(graph.nodes("categories"), "category", "sum(products)"),
         "product_id": most(graph.edges("bought"), "product_id", "count(*)"),
         "customer_id": most(graph.edges("bought"), "customer_id", "count(*)")}
found = {}
with GraphQueries(graph, threads=2) as ask, GraphIndex(file, threads=2) as index:
    for name, question in QUESTIONS.items():
        values = {key: given[key] for key in question.parameters}
        ways = {"DuckDB": lambda: question.table(ask, given),
                "Ladybug": lambda: index.query(question.cypher, values)}
        times = {way: [] for way in ways}
        for _ in range(int(sys.argv[2])):
            for way, call in ways.items():
                start = time.perf_counter()
                rows = call().num_rows
                times[way].append((time.perf_counter() - start) * 1000)
        found[name] = {"rows": rows} | {way: round(statistics.median(took)) for way, took in times.items()}
told(0, questions=found)
"""
LOOP = """
import networkx
files = sorted((root / "prepared").glob("*/reviews/*/*.parquet"))
columns = ["customer_id", "review_id", "product_id", "product_title", "product_category", "star_rating",
           "review_headline", "review_date", "review_tokens", "verified_purchase"]
wanted, left, tables = int(sys.argv[2]), int(sys.argv[2]), []
for file in files:
    table = pyarrow.parquet.ParquetFile(file).read(columns).slice(0, left)
    left -= table.num_rows
    tables.append(table)
    if not left:
        break
rows = pyarrow.concat_tables(tables)
graph = networkx.MultiDiGraph()
start = time.perf_counter()
for row in rows.to_pylist():
    review = ("review", row["review_id"])
    graph.add_node(review, title=row["review_headline"], date=row["review_date"], stars=row["star_rating"],
                   tokens=row["review_tokens"])
    customer, product = ("customer", row["customer_id"]), ("product", row["product_id"])
    category = ("category", row["product_category"])
    graph.add_node(product, title=row["product_title"])
    if row["verified_purchase"] and not graph.has_edge(customer, product, "BOUGHT"):
        graph.add_edge(customer, product, "BOUGHT")
    graph.add_edge(customer, review, "WROTE")
    graph.add_edge(review, product, "REVIEWED")
    graph.add_edge(product, category, "ASSIGNED")
told(time.perf_counter() - start, reviews=rows.num_rows, nodes=len(graph), edges=graph.number_of_edges())
"""


def step(script: str, *arguments: object) -> dict[str, object]:
    """Run one step in its own process; what it told."""
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(prepared: Path, rows: int, repeats: int) -> dict[str, object]:
    """All steps on the prepared reviews of one workspace, in a workspace of their own."""
    with tempfile.TemporaryDirectory(prefix="graph-") as scratch:
        (Path(scratch) / "prepared").mkdir()
        shutil.copy(prepared.parent / "manifest.json", Path(scratch) / "prepared")
        (Path(scratch) / "prepared" / prepared.name).symlink_to(prepared.resolve())
        found = {"build": step(BUILD, scratch)}
        step(MAKE, scratch)
        found["predictions of all reviews"] = step(ADD, scratch, "all")
        found["index"] = step(INDEX, scratch)
        found["predictions of 100,000 reviews"] = step(ADD, scratch, "some")
        found["index again, with them"] = step(INDEX, scratch)
        found["row by row into networkx"] = step(LOOP, scratch, rows)
        found["questions"] = step(QUESTIONS, scratch, repeats)["questions"]
    return found


def main() -> None:
    """Measure each input and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path, nargs="+", help="what prepare wrote; several may be named")
    parser.add_argument("--rows", type=int, default=100_000, help="reviews of the loop")
    parser.add_argument("--repeats", type=int, default=5, help="times that each question is asked")
    parser.add_argument("--json", action="store_true", help="print JSON, a line an input")
    options = parser.parse_args()
    for prepared in options.prepared:
        reviews = json.loads((prepared / "summary.json").read_text(encoding="utf-8"))["rows_kept"]
        found = measure(prepared, options.rows, options.repeats)
        if options.json:
            print(json.dumps({"reviews": reviews} | found), flush=True)
            continue
        print(f"\n{reviews:,} reviews\n\n| what | s | CPU s | peak MB | more |\n|---|---:|---:|---:|---|")
        for name, figures in found.items():
            if name != "questions":
                own = {"s", "cpu_s", "peak_mb"}
                more = ", ".join(f"{key} {value:,}" for key, value in figures.items() if key not in own)
                took = f"{figures['s']:.1f} | {figures['cpu_s']:.1f}"
                print(f"| {name} | {took} | {figures['peak_mb']:,} | {more} |")
        print("\n| question, ms | rows | DuckDB | Ladybug |\n|---|---:|---:|---:|")
        for name, figures in found["questions"].items():
            print(f"| {name} | {figures['rows']:,} | {figures['DuckDB']:,} | {figures['Ladybug']:,} |")


if __name__ == "__main__":
    main()
