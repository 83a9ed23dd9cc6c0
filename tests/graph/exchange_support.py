"""A small graph with awkward names, and a reader of what was exported."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.graph.store import EDGES, NODES, PREDICTED_SCHEMA, Graph
from shelfcheck.workspace import Manifest

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = ["Books", 'Home, "Garden"', "100% Wool > Silk", "Spiel\r\nzeug; ü"]
TITLES = ["plain", 'said "no"', "a,b", "line\nbreak", "", "  spaces ", "Größe 東京 🙂", None]


def small_graph(
    folder: Path, reviews: int = 60, models: tuple[str, ...] = ("linear-1",), seed: int = 3
) -> Graph:
    """Write the tables of a graph of so many reviews, and open them."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    customers, products = [f"C{n:03d}" for n in range(7)], [f"P>{n}%" for n in range(5)]
    day = dt.date(2020, 1, 1)
    rows = [
        {
            "review_id": f"R{n:04d}",
            "date": None if n % 6 == 0 else day + dt.timedelta(n),
            "stars": 1 + n % 5,
            "title": TITLES[n % len(TITLES)],
            "tokens": "good book",
            "verified": n % 3 > 0,
            "helpful_votes": n,
            "customer_id": draw.choice(customers),
            "product_id": draw.choice(products),
        }
        for n in range(reviews)
    ]
    nodes = {
        "customers": [{"customer_id": name, "reviews": 1} for name in customers],
        "products": [
            {"product_id": name, "title": TITLES[n], "reviews": 2, "stars": 3.5 + n / 7, "first_date": day}
            for n, name in enumerate(products)
        ],
        "reviews": rows,
        "categories": [{"category": name, "reviews": 1, "products": 1} for name in CATEGORIES],
    }
    pairs = sorted({(row["customer_id"], row["product_id"]) for row in rows if row["verified"]})
    edges = {
        "wrote": rows,
        "reviewed": rows,
        "bought": [{"customer_id": a, "product_id": b, "reviews": 1, "first_date": day} for a, b in pairs],
        "assigned": [
            {"product_id": name, "category": CATEGORIES[n % 4], "reviews": 1, "current": n % 2 == 0}
            for n, name in enumerate(products)
        ],
    }
    for kind, tables, schemas in (("nodes", nodes, NODES), ("edges", edges, EDGES)):
        (folder / kind).mkdir(parents=True)
        for name, values in tables.items():
            pq.write_table(pa.Table.from_pylist(values, schemas[name]), folder / kind / f"{name}.parquet")
    predictions = {name: _predicted(folder, name, rows) for name in models}
    manifest = Manifest("graph", f"{reviews}-{seed}")
    return Graph(folder, f"{reviews}-{seed}-{models}", manifest, predictions)


def _predicted(folder: Path, model: str, rows: list[dict]) -> Path:
    path = folder / "predictions" / model / "0123456789ab" / "predicted.parquet"
    path.parent.mkdir(parents=True)
    values = [
        {"review_id": row["review_id"], "category": category, "confidence": c, "rank": rank, "model": model}
        for row in rows
        for rank, (category, c) in enumerate(zip(CATEGORIES[:2], (0.9, 0.1), strict=True), 1)
    ]
    pq.write_table(pa.Table.from_pylist(values, PREDICTED_SCHEMA), path)
    return path


def lines_of(data: bytes, name: str) -> list[list[str]]:
    """The fields of each line of an exported CSV file, the header first."""
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
