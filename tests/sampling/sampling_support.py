"""Small shops whose prepared reviews are laid out by month, as `prepare` does it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck.listing import LISTING_FILE
from shelfcheck.prepare import list_prepared
from shelfcheck.prepare.months import STORED_SCHEMA
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_MONTH

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = ("Books", "Garden", "Kitchen", "Gift_Card")


def shop(n: int, seed: int = 0, months: int = 5) -> pa.Table:
    """Prepared reviews: a few months of unequal size, one of them unknown, categories of unequal share."""
    random = np.random.default_rng(seed)
    month = random.zipf(1.4, n) % (months + 1)
    words = [["word"] * k for k in random.integers(2, 60, n).tolist()]
    columns = {
        "review_id": [f"R{seed}-{i:06d}" for i in range(n)],
        "customer_id": [f"C{i}" for i in range(n)],  # or some would be exact duplicates
        "product_id": [f"P{i % 90}" for i in range(n)],
        "product_category": random.choice(CATEGORIES, n, p=[0.5, 0.3, 0.19, 0.01]).tolist(),
        "star_rating": random.choice([1, 2, 3, 4, 5], n, p=[0.1, 0.05, 0.1, 0.2, 0.55]).tolist(),
        "review_body": [" ".join(some) + "!" for some in words],
        "review_tokens": [" ".join(some) for some in words],
        "review_month": [f"2015-{m:02d}" if m else None for m in month.tolist()],
    }
    return pa.table(
        {name: columns.get(name, [None] * n) for name in PREPARED_SCHEMA.names}, schema=PREPARED_SCHEMA
    )


def lay_out(table: pa.Table, folder: Path, *, parts: int = 1, listed: bool = True) -> Path:
    """Write a table as an artefact of `prepare`, each month in so many files."""
    for month in table[REVIEW_MONTH].unique().to_pylist():
        chosen = pc.is_null(table[REVIEW_MONTH]) if month is None else pc.equal(table[REVIEW_MONTH], month)
        rows = table.filter(chosen).select(STORED_SCHEMA.names)
        home = folder / "reviews" / f"{REVIEW_MONTH}={month or '__HIVE_DEFAULT_PARTITION__'}"
        home.mkdir(parents=True)
        step = max(1, -(-rows.num_rows // parts))
        for part, start in enumerate(range(0, rows.num_rows, step)):
            pq.write_table(rows.slice(start, step), home / f"part-{part:05d}.parquet", row_group_size=97)
    if listed:
        (folder / LISTING_FILE).write_text(list_prepared(folder).to_json(), encoding="utf-8")
    return folder


def publish(table: pa.Table, root: Path, *, listed: bool = True) -> Path:
    """A workspace that holds a table as its prepared reviews."""
    lay_out(table, root / "prepared" / "aaa", listed=listed)
    digest = hashlib.sha256(str(table.num_rows).encode()).hexdigest()
    manifest = {"artefact": "prepared", "fingerprint": digest, "folder": "aaa", "format": 1}
    (root / "prepared" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return root
