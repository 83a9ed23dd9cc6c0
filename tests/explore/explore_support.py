"""Prepared reviews to explore, and the same tables by plain Python."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.config import validate
from shelfcheck.explore import explore
from shelfcheck.prepare.months import STORED_SCHEMA
from shelfcheck.prepare.read import NO_MONTH
from shelfcheck.prepare.summary import PrepareSummary
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Row = dict[str, Any]

WORDS = ("great", "bad", "größe", "naïve", "İ", "👍", "ok", "x")


def review(number: int, **values: Any) -> Row:
    """One review; what is not said is null."""
    row = dict.fromkeys(STORED_SCHEMA.names)
    return row | {"review_id": f"R{number}", "review_body": "a text", "review_tokens": "text"} | values


def made_up(n: int, seed: int, *, years: int = 3, categories: int = 4) -> list[Row]:
    """Reviews with unknown values everywhere, products in several categories, repeated texts."""
    draw = random.Random(seed)  # noqa: S311 - no secret

    def maybe(value: Any, share: float = 0.2) -> Any:
        return None if draw.random() < share else value

    rows = []
    for number in range(n):
        tokens = draw.choices(WORDS, k=min(int(draw.paretovariate(0.7)) - 1, 40))
        body = " ".join(["<b>", *tokens])
        day = dt.date(2010, 11, 1) + dt.timedelta(days=int(draw.random() ** 2 * 365 * years))
        rows.append(
            review(
                number,
                product_category=f"C{int(draw.random() ** 2 * categories)}",
                product_id=maybe(f"P{int(draw.paretovariate(0.8))}"),
                customer_id=maybe(f"U{int(draw.paretovariate(0.5))}", 0.4),
                product_title=maybe("Title"),
                star_rating=maybe(draw.randint(1, 5)),
                helpful_votes=maybe(draw.choice([0, 0, 0, 1, 7])),
                total_votes=maybe(9),
                vine=maybe(draw.random() < 0.1),
                verified_purchase=maybe(draw.random() < 0.7),
                review_headline=maybe("Head"),
                marketplace=maybe("US"),
                review_body=body,
                review_tokens=" ".join(tokens),
                review_date=maybe(day),
            )
        )
    return rows


def month(row: Row) -> str | None:
    date = row["review_date"]
    return None if date is None else f"{date:%Y-%m}"


def lay_out(folder: Path, rows: Iterable[Row], *, row_group: int = 1000, files: int = 1) -> Path:
    """Write rows as `prepare` does, a month in `files` files."""
    rows = list(rows)
    months: defaultdict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        months[month(row)].append(row)
    (folder / "reviews").mkdir(parents=True)
    for name, found in months.items():
        home = folder / "reviews" / f"review_month={name or NO_MONTH}"
        home.mkdir()
        for part in range(files):
            table = pa.Table.from_pylist(found[part::files], schema=STORED_SCHEMA)
            if table.num_rows:
                pq.write_table(table, home / f"part-{part:05d}.parquet", row_group_size=row_group)
    counts = Counter(row["product_category"] for row in rows)
    by_month = {name or "unknown": len(found) for name, found in months.items()}
    summary = PrepareSummary(
        rows_read=len(rows) + 3,
        rows_kept=len(rows),
        filtered={"exact_duplicate": 2, "too_short": 1},
        rejected={},
        sources={},
        categories=dict(sorted(counts.items())),
        months=by_month,
        length_bounds=(1, 5000),
    )
    (folder / "summary.json").write_text(summary.to_json(), encoding="utf-8")
    return folder


def explored(prepared: Path, out: Path, *, threads: int = 2, memory: str = "1GB") -> dict[str, pa.Table]:
    """Every table of the reviews."""
    out.mkdir(parents=True)
    settings = validate({"run": {"threads": threads, "memory_limit": memory}})
    figures = explore(prepared, out, settings, NullProgress())
    assert json.loads((out / "figures.json").read_text(encoding="utf-8")) == figures
    assert sorted(path.name for path in out.iterdir()) == ["figures.json", "tables"]  # nothing left behind
    return {path.stem: pq.read_table(path) for path in sorted((out / "tables").glob("*.parquet"))}


def measured(rows: list[Row]) -> Row:
    """What a table says of a group of reviews, but for first and last months."""

    def known(name: str) -> list[Any]:
        return [row[name] for row in rows if row[name] is not None]

    def mean(values: list[Any]) -> float | None:
        return sum(values) / len(values) if values else None

    said: Row = {"reviews": len(rows)}
    for subject in ("product", "customer"):
        ids = Counter(known(f"{subject}_id"))
        said[f"unique_{subject}s"] = len(ids)
        said[f"{subject}s_with_several_reviews"] = sum(n > 1 for n in ids.values())
    stars = known("star_rating")
    said |= {"rated": len(stars), "mean_stars": mean(stars)}
    said |= {f"stars_{at}": stars.count(at) for at in range(1, 6)}
    for name, column in (("verified", "verified_purchase"), ("vine", "vine")):
        flags = known(column)
        said |= {f"{name}_known": len(flags), name: sum(flags), f"{name}_share": mean(flags)}
    helpful = known("helpful_votes")
    said |= {
        "votes_known": len(helpful),
        "helpful_reviews": sum(votes > 0 for votes in helpful),
        "helpful_votes": sum(helpful),
        "helpful_share": mean([votes > 0 for votes in helpful]),
        "total_votes": sum(known("total_votes")),
    }
    for unit, lengths in (
        ("characters", sorted(len(row["review_body"]) for row in rows)),
        ("tokens", sorted(len(row["review_tokens"].split()) for row in rows)),
    ):
        centre = sum(lengths) / len(lengths)
        squares = sum((length - centre) ** 2 for length in lengths)
        said |= {
            unit: sum(lengths),
            f"{unit}_mean": centre,
            f"{unit}_sd": math.sqrt(squares / (len(lengths) - 1)) if len(lengths) > 1 else None,
        }
        for per_cent in (5, 25, 50, 75, 95):
            rank = -(-per_cent * len(lengths) // 100)  # the smallest rank that covers so many
            said[f"{unit}_p{per_cent:02d}"] = lengths[rank - 1]
    return said


def ends(rows: list[Row], subject: str, of: list[Row]) -> tuple[int, int]:
    """How many subjects have their first, and their last review of `rows` among `of`."""
    spans: dict[str, list[str]] = {}
    for row in rows:
        if row[f"{subject}_id"] is not None and month(row) is not None:
            spans.setdefault(row[f"{subject}_id"], []).append(month(row))
    inside = {month(row) for row in of}
    return (
        sum(min(months) in inside for months in spans.values()),
        sum(max(months) in inside for months in spans.values()),
    )
