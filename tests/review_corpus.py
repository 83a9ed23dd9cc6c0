"""A small shop whose categories share praise and differ in a few words; for tests of models and audits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_MONTH

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {
    "Books": "novel plot author chapter page story reader character ending prose",
    "Grocery": "coffee taste flavor bag snack sugar roast tea chocolate spice",
    "Luggage": "suitcase zipper wheel handle carry strap airport pocket trip bag",
    "Watches": "strap dial battery wrist band clock second hand watch face",
}
PRAISE = [
    "great",
    "love",
    "good",
    "nice",
    "bought",
    "perfect",
    "gift",
    "happy",
    "work",
    "price",
    "quality",
    "recommend",
    "day",
    "box",
    "old",
]


def reviews(n: int = 2000, seed: int = 0, categories: tuple[str, ...] = tuple(WORDS)) -> pa.Table:
    """Prepared reviews, products of Zipf-like size, a few categories; the same for the same seed."""
    random = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        product = int(random.zipf(1.5)) % 150
        category = categories[product % len(categories)]
        own = WORDS[category].split()
        body = [str(w) for w in random.choice(PRAISE, random.integers(2, 8))]
        body += [str(w) for w in random.choice(own, random.integers(0, 5))]
        random.shuffle(body)
        text = " ".join(body)
        row = dict.fromkeys(PREPARED_SCHEMA.names)
        row |= {
            "review_id": f"R{i:06d}",
            "product_id": f"P{product}" if i % 17 else None,
            "product_category": category,
            "star_rating": 5,
            "review_headline": str(random.choice(PRAISE)) if i % 5 else None,
            "review_body": text + "!",
            "review_tokens": text,
            "review_month": "2015-01",
        }
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=PREPARED_SCHEMA)


def write_prepared(table: pa.Table, folder: Path) -> Path:
    """Lay reviews out as `prepare` does."""
    home = folder / "reviews" / f"{REVIEW_MONTH}=2015-01"
    home.mkdir(parents=True)
    pq.write_table(table.drop_columns([REVIEW_MONTH]), home / "part-00000.parquet")
    return folder
