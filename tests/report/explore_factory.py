"""Explored reviews to make pages of: real ones in small, and tables as large as a long history makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.config import Settings
from shelfcheck.explore import explore
from shelfcheck.prepare.months import STORED_SCHEMA
from shelfcheck.prepare.read import NO_MONTH
from shelfcheck.prepare.summary import PrepareSummary
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, Any]


def explored(home: Path, table: pa.Table) -> Path:
    """The artefact of `explore` over reviews of STORED_SCHEMA."""
    prepared, out = home / "prepared", home / "explore"
    out.mkdir(parents=True)
    months = np.array(table["review_date"].cast(pa.timestamp("s")).to_numpy(), "datetime64[M]").astype(str)
    counts: dict[str, int] = {}
    for month in sorted(set(months)):
        name = NO_MONTH if month == "NaT" else month
        folder = prepared / "reviews" / f"review_month={name}"
        folder.mkdir(parents=True)
        own = table.filter(pa.array(months == month))
        pq.write_table(own, folder / "part-00000.parquet")
        counts["unknown" if month == "NaT" else month] = own.num_rows
    categories = table["product_category"].value_counts().to_pylist()
    summary = PrepareSummary(
        rows_read=table.num_rows + 1,
        rows_kept=table.num_rows,
        filtered={"exact_duplicate": 1},
        rejected={},
        sources={},
        categories={one["values"]: one["counts"] for one in categories},
        months=counts,
        length_bounds=(1, 5000),
    )
    (prepared / "summary.json").write_text(summary.to_json(), encoding="utf-8")
    explore(prepared, out, Settings(), NullProgress())
    return out


def history(
    n: int, years: int, categories: int, *, evil: str = "", dense: bool = False, seed: int = 0
) -> pa.Table:
    """Reviews over years and categories, one in twenty without a date.

    `evil` stands in every text; `dense` puts a review into every month of every category.
    """
    rng = np.random.default_rng(seed)
    months = (np.arange(n) // categories if dense else rng.integers(0, 12 * years, n)) % (12 * years)
    days = (np.datetime64("2003-01") + months).astype("datetime64[D]") + rng.integers(0, 28, n)
    category = np.arange(n) % categories if dense else rng.integers(0, categories, n)
    bodies = ["plain words of reviews "[: 23 - n % 5] * n + evil for n in rng.integers(1, 30, n).tolist()]
    columns: Row = {
        "marketplace": pa.array(["US"] * n),
        "customer_id": pa.array([f"U{one}" for one in rng.integers(0, n, n)], mask=rng.random(n) < 0.3),
        "review_id": [f"R{one}" for one in range(n)],
        "product_id": [f"P{one}" for one in rng.integers(0, max(n // 10, 1), n)],
        "product_parent": pa.nulls(n, pa.string()),
        "product_title": [f"Title {one}{evil}" for one in range(n)],
        "product_category": [f"Category_{one}{evil}" for one in category],
        "star_rating": pa.array(rng.integers(1, 6, n), pa.int32(), mask=rng.random(n) < 0.1),
        "helpful_votes": rng.integers(0, 3, n).astype(np.int32),
        "total_votes": rng.integers(3, 6, n).astype(np.int32),
        "vine": rng.random(n) < 0.05,
        "verified_purchase": rng.random(n) < 0.8,
        "review_headline": pa.nulls(n, pa.string()),
        "review_body": bodies,
        "review_date": pa.array(days, pa.date32(), mask=rng.random(n) < (0.0 if dense else 0.05)),
        "review_tokens": [body.strip() for body in bodies],
    }
    return pa.table({name: columns[name] for name in STORED_SCHEMA.names}, schema=STORED_SCHEMA)
