"""Prepared reviews of a small shop with all that is missing in real ones, and a row-by-row graph of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.prepare.months import STORED_SCHEMA
from shelfcheck.schema import PREDICTION_SCHEMA, PREPARED_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = ("Books", "Garden's", "Kitchen", "Toys")


def reviews(n: int = 300, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of PREPARED_SCHEMA: unknown customers, products, categories and dates; products that move."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    rows = []
    for i in range(n):
        product = draw.randrange(25)
        date = dt.date(2014, 1, 1) + dt.timedelta(draw.randrange(300)) if draw.random() < 0.8 else None
        moved = product % 6 == 0 and draw.random() < 0.4
        rows.append(
            dict.fromkeys(PREPARED_SCHEMA.names)
            | {
                "review_id": f"R{i:05d}",
                "customer_id": f"C{draw.randrange(40)}" if draw.random() < 0.8 else None,
                "product_id": f"P{product}" if draw.random() < 0.9 else None,
                "product_title": draw.choice(["The thing", "A thing", None]),
                "product_category": CATEGORIES[(product + moved) % 4] if draw.random() < 0.95 else None,
                "star_rating": draw.randint(1, 5),
                "verified_purchase": draw.choice([True, True, False, None]),
                "review_headline": draw.choice(['"Good"', "it's bad", "línea\nnueva", None]),
                "review_body": "so it is",
                "review_tokens": "so",
                "helpful_votes": i % 3,
                "review_date": date,
                "review_month": date.strftime("%Y-%m") if date else None,
            }
        )
    return rows


def workspace_of(rows: list[dict[str, Any]], root: Path) -> Path:
    """A workspace that holds them as its prepared reviews."""
    for month in sorted({row["review_month"] or "__HIVE_DEFAULT_PARTITION__" for row in rows}):
        home = root / "prepared" / "aaa" / "reviews" / f"review_month={month}"
        home.mkdir(parents=True)
        chosen = [row for row in rows if (row["review_month"] or "__HIVE_DEFAULT_PARTITION__") == month]
        pq.write_table(pa.Table.from_pylist(chosen, STORED_SCHEMA), home / "part-0.parquet")
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()
    manifest = {"artefact": "prepared", "fingerprint": digest, "folder": "aaa", "format": 1}
    (root / "prepared" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return root


def predict(rows: list[dict[str, Any]], path: Path, seed: int = 0) -> Path:
    """A file of predictions as `predict` writes them."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    made = []
    for row in rows:
        names = draw.sample(CATEGORIES, 4)
        chances = sorted((draw.random() for _ in names), reverse=True)
        made.append(
            {
                "review_id": row["review_id"],
                "predicted_category": names[0],
                "confidence": chances[0],
                "top_categories": names,
                "top_probabilities": chances,
            }
        )
    pq.write_table(pa.Table.from_pylist(made, PREDICTION_SCHEMA), path)
    return path


def row_by_row(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The graph's tables, made in a loop; what `build` must say in set operations."""
    wrote, reviewed, titles = set(), set(), defaultdict(Counter)
    bought: dict[tuple[str, str], list] = defaultdict(list)
    assigned: dict[tuple[str, str], list] = defaultdict(list)
    for row in rows:
        customer, product, category = row["customer_id"], row["product_id"], row["product_category"]
        if customer:
            wrote.add((customer, row["review_id"]))
        if product:
            reviewed.add((row["review_id"], product))
            if row["product_title"]:
                titles[product][row["product_title"]] += 1
        if customer and product and row["verified_purchase"]:
            bought[customer, product].append(row["review_date"])
        if product and category:
            assigned[product, category].append(row["review_date"])
    current = {}
    for (product, category), dates in sorted(assigned.items()):
        last = max((date for date in dates if date), default=dt.date.min)
        best = current.get(product)
        if best is None or (last, len(dates)) > best[1:]:  # the first by name stays on ties
            current[product] = (category, last, len(dates))
    return {
        "wrote": sorted(wrote),
        "reviewed": sorted(reviewed),
        "bought": sorted(
            (*ends, len(dates), min((date for date in dates if date), default=None))
            for ends, dates in bought.items()
        ),
        "assigned": sorted(
            (*ends, len(dates), current[ends[0]][0] == ends[1]) for ends, dates in assigned.items()
        ),
        "titles": {p: min(c, key=lambda title, c=c: (-c[title], title)) for p, c in titles.items()},
    }
