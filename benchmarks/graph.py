"""Measure the review graph: build, predictions, index, questions, a Bolt server; beside the original's way.

    python benchmarks/graph.py [PREPARED ...] [--generate 1000000 ...] [--bolt] [--ruruki PYTHON] [--json]

PREPARED is what `prepare` wrote: `WORKSPACE/prepared/FINGERPRINT`; `--generate` makes reviews and prepares
them in a temporary folder first. A process a step, 2 threads. Predictions are made up: for each review its
product's category, or for one in ten another, by an md5 of its id; the likeliest alone becomes an edge.

The original's way adds nodes and edges in a loop: to a networkx graph, of so many reviews as `--rows` says,
and to a ruruki graph (`--ruruki` names a Python that has it installed), of 1,000 and 2,000. `--bolt` starts
ArcadeDB (arcadedb-embedded) in a process of its own, loads the graph over Bolt, asks, adds predictions and
stops; a million reviews need 5 GB and minutes. Its answers, and Ladybug's, must be those of DuckDB.

Questions are asked of the category with most products, the product and the customer with most purchases: of
open stores, in turns, the median of the repeats and their range. Imports are not timed. Past 3 million
reviews neither Ladybug nor a server is asked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ASKED_UP_TO = 3_000_000

COMMON = """
import json, resource, statistics, sys, time
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
def size(folder, ending="*"):
    return round(sum(path.stat().st_size for path in Path(folder).rglob(ending) if path.is_file()) / 1e6, 1)
def most(table, key, by):
    found = duckdb.sql(f"SELECT {key} FROM '{table}' GROUP BY 1 ORDER BY {by} DESC, 1 LIMIT 1")
    return found.fetchall()[0][0]
def values():
    graph = open_graph(home)
    return {"model": "all", "min_confidence": 0.5,
            "category": most(graph.nodes("categories"), "category", "sum(products)"),
            "product_id": most(graph.edges("bought"), "product_id", "count(*)"),
            "customer_id": most(graph.edges("bought"), "customer_id", "count(*)")}
def asked(ways, repeats):
    times = {way: [] for way in ways}
    answers = {}
    for _ in range(repeats):
        for way, call in ways.items():
            start = time.perf_counter()
            answers[way] = call()
            times[way].append((time.perf_counter() - start) * 1000)
    first, *others = answers.values()
    for other in others:
        if other.to_pylist() != first.to_pylist():
            raise SystemExit(f"answers differ: {list(answers)}")
    spread = {way: [round(f(took)) for f in (statistics.median, min, max)] for way, took in times.items()}
    return {"rows": first.num_rows, "ms": spread}
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
given = {"run.threads": 2, "graph.predicted_categories": 1}
built = api.graph_build(root, root / (sys.argv[2] + ".parquet"), sys.argv[2], overrides=given)
told(time.perf_counter() - start, edges=built.predictions[-1].counts["edges"])
"""
INDEX = """
from shelfcheck.graph.index import ensure_index
import ladybug
start = time.perf_counter()
file = ensure_index(open_graph(home), root / "cache", NullProgress(), threads=2)
told(time.perf_counter() - start, disk_mb=size(root / "cache" / "graph_index"))
"""
WORDS = """
from shelfcheck.graph.queries import GraphQueries
with GraphQueries(open_graph(home), threads=2) as ask:
    start = time.perf_counter()
    ask.reviewed_alike("none")
    told(time.perf_counter() - start, disk_mb=size(root / "cache" / "graph_alike"))
"""
QUESTIONS = """
from contextlib import ExitStack
from shelfcheck.graph.queries import GraphQueries
from shelfcheck.graph.reference import QUESTIONS
graph, given, repeats, found = open_graph(home), values(), int(sys.argv[2]), {}
with ExitStack() as stack:
    ask = stack.enter_context(GraphQueries(graph, threads=2))
    index = None
    if sys.argv[3] == "index":
        from shelfcheck.graph.index import GraphIndex, ensure_index
        file = ensure_index(graph, root / "cache", NullProgress())
        index = stack.enter_context(GraphIndex(file, threads=2))
    for name, question in QUESTIONS.items():
        own = {key: given[key] for key in question.parameters}
        ways = {"DuckDB": lambda: question.table(ask, given)}
        if index is not None:
            ways["Ladybug"] = lambda: index.query(question.cypher, own)
        found[name] = asked(ways, repeats)
    found["reviewed_alike"] = asked({"DuckDB": lambda: ask.reviewed_alike(given["product_id"])}, repeats)
told(0, questions=found)
"""
BOLT = """
import os, socket
import arcadedb_embedded
from shelfcheck.graph.ask_server import ask_bolt
from shelfcheck.graph.load_bolt import load_bolt
from shelfcheck.graph.queries import GraphQueries
from shelfcheck.graph.reference import QUESTIONS
def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
port, data = free_port(), root / "arcadedb"
data.mkdir(); os.chdir(data)  # where it logs
config = {"server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin", "bolt_port": port,
          "http_port": free_port()}
server = arcadedb_embedded.create_server(str(data), "benchmark-only", config=config)
server.start(); server.create_database("shop")
address, user = f"bolt://127.0.0.1:{port}", {"user": "root", "password": "benchmark-only", "database": "shop"}
graph, given, repeats, found = open_graph(home), values(), int(sys.argv[2]), {}
def load(**more):
    start = time.perf_counter()
    rows = sum(load_bolt(graph, address, NullProgress(), **user, **more).rows.values())
    seconds = time.perf_counter() - start
    return {"s": round(seconds, 1), "rows": rows, "rows_s": round(rows / seconds)}
loaded = load(models=["all"]) | {"disk_mb": size(data / "databases")}
print("loaded", loaded, file=sys.stderr, flush=True)
with GraphQueries(graph, threads=2) as ask:
    for name, question in QUESTIONS.items():
        own = {key: given[key] for key in question.parameters}
        found[name] = asked({
            "DuckDB": lambda: question.table(ask, given),
            "Bolt": lambda: ask_bolt(address, question.cypher, own, timeout=3600, **user)}, repeats)
        print(name, found[name], file=sys.stderr, flush=True)
added = load(models=["some"], only_predictions=True)
told(0, load=loaded, add=added, questions=found)
server.stop()
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
ROWS = """
files = sorted((root / "prepared").glob("*/reviews/*/*.parquet"))
columns = ["customer_id", "review_id", "product_id", "product_category", "star_rating", "review_headline",
           "verified_purchase"]
table = pyarrow.parquet.ParquetFile(files[0]).read(columns)
for file in files[1:]:
    if table.num_rows >= 2000:
        break
    table = pyarrow.concat_tables([table, pyarrow.parquet.ParquetFile(file).read(columns)])
json.dump(table.slice(0, 2000).to_pylist(), open(root / "rows.json", "w"))
told(0)
"""
RURUKI = """
import collections, collections.abc, json, resource, sys, time
for name in ("MutableSet", "MutableMapping", "Mapping", "Set", "Iterable"):
    # ruruki 1.4.2 wants the names that `collections` had until Python 3.9
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))
from ruruki.graphs import Graph
rows, found = json.load(open(sys.argv[1])), {}
for n in (1000, 2000):
    graph, start = Graph(), time.perf_counter()
    for row in rows[:n]:
        customer = graph.get_or_create_vertex("customer", name=str(row["customer_id"]))
        product = graph.get_or_create_vertex("product", name=str(row["product_id"]))
        category = graph.get_or_create_vertex("category", name=str(row["product_category"]))
        review = graph.get_or_create_vertex("review", name=row["review_id"], stars=row["star_rating"],
                                            title=row["review_headline"] or "")
        if row["verified_purchase"]:
            graph.get_or_create_edge(customer, "BOUGHT", product)
        graph.get_or_create_edge(customer, "WROTE", review)
        graph.get_or_create_edge(review, "REVIEWED", product)
        graph.get_or_create_edge(product, "ASSIGNED", category)
    found[n] = round(time.perf_counter() - start, 2)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"s": found[2000], "s_of_1000": found[1000], "cpu_s": round(time.process_time(), 2),
                  "peak_mb": round(peak)}))
"""


def step(script: str, *arguments: object, python: str = sys.executable, common: str = COMMON) -> dict:
    """Run one step in its own process; what it told."""
    done = subprocess.run(
        [python, "-c", common + script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=sys.stderr if script == BOLT else subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | {"ARCADEDB_JVM_ARGS": "-Xmx4g"},
    )
    if done.returncode:
        raise SystemExit(done.stderr or f"a step failed: {done.returncode}")
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def prepared_of(reviews: int, scratch: Path) -> Path:
    """Generate so many reviews and prepare them; the folder that `prepare` wrote."""
    raw, workspace = scratch / "raw", scratch / "workspace"
    for arguments in (
        ("generate", raw, "--reviews", str(reviews), "--seed", "1"),
        ("prepare", raw, "-w", workspace, "--threads", "2"),
    ):
        command = [sys.executable, "-m", "shelfcheck", *arguments, "-q"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(raw)
    return next(path for path in (workspace / "prepared").iterdir() if path.is_dir())


def measure(prepared: Path, reviews: int, given: argparse.Namespace) -> dict[str, dict]:
    """All steps on the prepared reviews of one workspace, in a workspace of their own."""
    small = reviews <= ASKED_UP_TO
    with tempfile.TemporaryDirectory(prefix="graph-", dir=given.folder) as scratch:
        (Path(scratch) / "prepared").mkdir()
        shutil.copy(prepared.parent / "manifest.json", Path(scratch) / "prepared")
        (Path(scratch) / "prepared" / prepared.name).symlink_to(prepared.resolve())
        found = {"build": step(BUILD, scratch)}
        step(MAKE, scratch)
        found["predictions of all reviews"] = step(ADD, scratch, "all")
        found["words of each product"] = step(WORDS, scratch)
        found["Cypher index"] = step(INDEX, scratch)
        found["questions"] = step(QUESTIONS, scratch, given.repeats, "index" if small else "tables")
        found["predictions of 100,000 reviews"] = step(ADD, scratch, "some")
        if small:
            found["Cypher index again, with them"] = step(INDEX, scratch)
        found["row by row into networkx"] = step(LOOP, scratch, given.rows)
        if given.ruruki:
            step(ROWS, scratch)
            rows = Path(scratch) / "rows.json"
            found["2,000 reviews row by row into ruruki"] = step(RURUKI, rows, python=given.ruruki, common="")
        if given.bolt and small:
            found["bolt"] = step(BOLT, scratch, given.repeats)
    return found


def show(reviews: int, found: dict[str, dict]) -> None:
    """Print the tables of one input."""
    questions = found.pop("questions")["questions"]
    bolt = found.pop("bolt", None)
    print(f"\n{reviews:,} reviews\n\n| what | s | CPU s | peak MB | more |\n|---|---:|---:|---:|---|")
    for name, figures in found.items():
        more = ", ".join(
            f"{key} {value:,}" for key, value in figures.items() if key not in {"s", "cpu_s", "peak_mb"}
        )
        print(f"| {name} | {figures['s']:.1f} | {figures['cpu_s']:.1f} | {figures['peak_mb']:,} | {more} |")
    if bolt is not None:
        for name, what in (("load", "load over Bolt"), ("add", "100,000 predictions over Bolt")):
            more = ", ".join(f"{key} {value:,}" for key, value in bolt[name].items() if key != "s")
            print(f"| {what} | {bolt[name]['s']:.1f} | | {bolt['peak_mb']:,} | {more} |")
        for name, figures in bolt["questions"].items():
            questions[name]["ms"] |= {
                "Bolt": figures["ms"]["Bolt"],
                "DuckDB beside it": figures["ms"]["DuckDB"],
            }
    print(
        "\n| question: median, least, most, ms | rows | DuckDB | Ladybug | Bolt |\n|---|---:|---:|---:|---:|"
    )
    for name, figures in questions.items():
        cells = [figures["ms"].get(way, []) for way in ("DuckDB", "Ladybug", "Bolt")]
        told = " | ".join(f"{cell[0]:,} ({cell[1]:,}–{cell[2]:,})" if cell else "" for cell in cells)
        print(f"| {name} | {figures['rows']:,} | {told} |", flush=True)


def main() -> None:
    """Measure each input and print its tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path, nargs="*", help="what prepare wrote; several may be named")
    parser.add_argument("--generate", type=int, action="append", default=[], help="reviews; may be repeated")
    parser.add_argument("--bolt", action="store_true", help="load into a Bolt server, too")
    parser.add_argument("--ruruki", metavar="PYTHON", help="a Python with ruruki")
    parser.add_argument("--rows", type=int, default=100_000, help="reviews of the loop into networkx")
    parser.add_argument("--repeats", type=int, default=5, help="times that each question is asked")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    parser.add_argument("--json", action="store_true", help="print JSON, a line an input")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="graph-input-", dir=given.folder) as scratch:
        for source in [*given.prepared, *given.generate]:
            prepared = source if isinstance(source, Path) else prepared_of(source, Path(scratch))
            reviews = json.loads((prepared / "summary.json").read_text(encoding="utf-8"))["rows_kept"]
            found = measure(prepared, reviews, given)
            if given.json:
                print(json.dumps({"reviews": reviews} | found), flush=True)
            else:
                show(reviews, found)
            shutil.rmtree(Path(scratch) / "workspace", ignore_errors=True)


if __name__ == "__main__":
    main()
