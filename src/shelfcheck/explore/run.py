"""Explore prepared reviews: scan them once, then write one table after the other."""

from __future__ import annotations

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from shelfcheck import schema
from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.explore import texts
from shelfcheck.explore.calendar import Calendar, month_name
from shelfcheck.explore.groups import LENGTHS, Groups
from shelfcheck.explore.lengths import bin_bounds
from shelfcheck.explore.output import FIGURES_FILE, write_table
from shelfcheck.explore.scan import NULLABLE, scan
from shelfcheck.explore.subjects import ACTIVITY, SUBJECTS, count_subjects
from shelfcheck.prepare.summary import PrepareSummary
from shelfcheck.prepare.units import units
from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from shelfcheck.config import Settings
    from shelfcheck.engines.relations import Relations
    from shelfcheck.explore.subjects import Counts
    from shelfcheck.prepare.units import Unit
    from shelfcheck.progress import Progress

_GROUPINGS: Final = (
    ("whole", "whole", False),
    ("by_category", "whole", True),
    ("by_month", "month", False),
    ("by_year", "year", False),
    ("by_month_and_category", "month", True),
    ("by_year_and_category", "year", True),
)
"""Name of the table, level of time, whether by category."""
_DUPLICATES: Final = frozenset({"repeated_review_id", "exact_duplicate"})
_STEPS: Final = len(SUBJECTS) + 3


def explore(prepared_dir: Path, out: Path, settings: Settings, progress: Progress) -> Mapping[str, Any]:
    """Describe prepared reviews in tables; `docs/how-to/explore-reviews.md` describes each.

    The texts are read once. Distinct products, customers and texts are found over 64-bit fingerprints that
    the engine sorts within `run.memory_limit`, on disk past it.

    Args:
        prepared_dir: what `prepare` wrote.
        out: where `tables/NAME.parquet`, `tables/NAME.csv` and `figures.json` go.
        settings: `run.threads` and `run.memory_limit`; neither changes a result.
        progress: told how far the work is.

    Returns:
        Key figures: `reviews`, `unique_products` and so on.

    Raises:
        NotEnoughDataError: prepare kept no review.
        WorkspaceError: there are no prepared reviews, or their summary cannot be read.
    """
    prepared_dir, out = Path(prepared_dir), Path(out)
    summary, todo, groups = begin(prepared_dir)
    categories, calendar = groups.categories, groups.calendar
    threads = settings.run.threads or os.cpu_count() or 1
    with tempfile.TemporaryDirectory(dir=out, prefix=".work-") as work:
        keys = Path(work, "keys.parquet")
        groups.collect(scan(todo, categories, keys, threads, progress))
        with DuckDB(Path(work, "spill"), settings.run.memory_limit, threads) as engine:
            engine.run("SET preserve_insertion_order = false")  # what hangs on an order names it
            path = str(keys).replace("'", "''")
            engine.run(f"CREATE VIEW keys AS SELECT * FROM read_parquet('{path}')")  # noqa: S608 - our own path
            with ThreadPoolExecutor(len(SUBJECTS) + 1, thread_name_prefix="explore") as pool:

                def count(subject: str) -> Counts:
                    return count_subjects(engine.beside(), subject, len(categories), calendar)

                # Each is sorted by the engine, then gone over by one thread: beside each other, none waits.
                counting = {subject: pool.submit(count, subject).result for subject in SUBJECTS}
                return write_tables(engine, groups, counting, todo, summary, out, progress)


def write_tables(  # noqa: PLR0917 - one call an engine
    engine: Relations,
    groups: Groups,
    counting: Mapping[str, Callable[[], Counts]],
    todo: Sequence[Unit],
    summary: PrepareSummary,
    out: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Write every table and `figures.json`.

    Args:
        engine: has the view `keys`.
        groups: what the scan found.
        counting: of products and of customers, what gives their counts when they are wanted.
        todo: what was read.
        summary: of `prepare`.
        out: where they go.
        progress: told how far the work is.

    Returns:
        The key figures.
    """
    categories = groups.categories
    progress.start("Counting", _STEPS, "steps")
    repeated = texts.repeated_by_category(engine)
    write_table(_repeated_by_category(repeated, groups), out, "repeated_texts_by_category")
    write_table(_repeated_texts(texts.repeated_texts(engine, todo)), out, "repeated_texts")
    progress.advance(1)
    write_table(_top_products(texts.top_products(engine, todo), categories), out, "top_products")
    progress.advance(1)
    subjects = {}
    for subject, counted in counting.items():
        subjects[subject] = counted()
        progress.advance(1)
    made = {name: groups.table(level, by_category=by, subjects=subjects) for name, level, by in _GROUPINGS}
    for name, table in made.items():
        write_table(table, out, name)
    for subject, counts in subjects.items():
        write_table(_recurrence(subject, counts, groups), out, f"{subject}s_by_recurrence")
        write_table(_activity(subject, counts, categories), out, f"{subject}s_by_reviews")
    write_table(_lengths(groups), out, "lengths")
    write_table(_missing(groups), out, "missing_values")
    write_table(_left_out(summary), out, "left_out")
    progress.advance(1)
    progress.finish()
    whole = made["whole"].to_pylist()[0]
    told = ("reviews", *(f"unique_{one}s" for one in SUBJECTS))
    told += tuple(f"{one}s_with_several_reviews" for one in SUBJECTS)
    told += ("first_month", "last_month", "undated_reviews", "mean_stars", "verified_share", "vine_share")
    told += ("helpful_share", "characters_mean", "characters_p50", "tokens_mean", "tokens_p50")
    figures = {
        **{name: whole[name] for name in told},
        "categories": len(categories),
        "reviews_with_repeated_text": sum(one for one, _ in repeated.values()),
        "rows_read": summary.rows_read,
        "duplicates_left_out": sum(n for rule, n in summary.filtered.items() if rule in _DUPLICATES),
        "period": groups.calendar.period,
    }
    write_atomically(out / FIGURES_FILE, json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    return figures


def _names(codes: Sequence[int] | NDArray[np.int64], categories: Sequence[str]) -> pa.Array:
    """Categories by their place; null for the place behind them, which is all."""
    return pa.array([*categories, None], pa.string()).take(pa.array(codes, pa.int64()))


def _month(code: int | None) -> str | None:
    return None if code is None or code < 0 else month_name(code)


def _repeated_by_category(repeated: Mapping[int, tuple[int, int]], groups: Groups) -> pa.Table:
    reviews = groups.sums["whole"][:, 0, 0]
    every = len(groups.categories)
    found = {**repeated, every: tuple(sum(part) for part in zip((0, 0), *repeated.values(), strict=True))}
    codes = [every, *range(every)]
    return pa.table(
        {
            schema.PRODUCT_CATEGORY: _names(codes, groups.categories),
            "reviews": reviews[codes],
            "reviews_with_repeated_text": [found.get(code, (0, 0))[0] for code in codes],
            "long_reviews_with_repeated_text": [found.get(code, (0, 0))[1] for code in codes],
        }
    )


def _repeated_texts(rows: list[dict[str, Any]]) -> pa.Table:
    told = [row | {"first_month": _month(row["first"]), "last_month": _month(row["last"])} for row in rows]
    counts = ("reviews", "tokens", "unique_products", "unique_customers", "categories")
    fields = [(schema.REVIEW_BODY, pa.string()), *((name, pa.int64()) for name in counts)]
    fields += [("first_month", pa.string()), ("last_month", pa.string())]
    return pa.Table.from_pylist(told, schema=pa.schema(fields))


def _top_products(rows: list[dict[str, Any]], categories: Sequence[str]) -> pa.Table:
    told = [
        row
        | {
            schema.PRODUCT_CATEGORY: categories[row["category"]],
            "first_month": _month(row["first"]),
            "last_month": _month(row["last"]),
        }
        for row in rows
    ]
    texts_ = (schema.PRODUCT_CATEGORY, schema.PRODUCT_ID, schema.PRODUCT_TITLE)
    fields = [
        *((name, pa.string()) for name in texts_),
        ("reviews", pa.int64()),
        ("mean_stars", pa.float64()),
    ]
    fields += [("first_month", pa.string()), ("last_month", pa.string())]
    return pa.Table.from_pylist(told, schema=pa.schema(fields))


def _recurrence(subject: str, counts: Counts, groups: Groups) -> pa.Table:
    """The rows of `Counts.recurrence` that are not 0."""
    category, period, earlier = np.nonzero(counts.recurrence.any(axis=-1))
    found = counts.recurrence[category, period, earlier]
    name = groups.calendar.period
    return pa.table(
        {
            schema.PRODUCT_CATEGORY: _names(category, groups.categories),
            f"review_{name}": groups.period_names(period),
            f"earlier_{name}": groups.period_names(earlier - 1),
            f"unique_{subject}s": found[:, 0],
            f"{subject}s_with_several_reviews": found[:, 1],
        }
    )


def _activity(subject: str, counts: Counts, categories: Sequence[str]) -> pa.Table:
    category, at = np.nonzero(counts.activity[:, :, 0])
    ends = [*(first - 1 for first in ACTIVITY[1:]), None]
    return pa.table(
        {
            schema.PRODUCT_CATEGORY: _names(category, categories),
            "reviews_from": np.array(ACTIVITY)[at],
            "reviews_to": pa.array(ends, pa.int64()).take(pa.array(at)),
            f"{subject}s": counts.activity[category, at, 0],
            "reviews": counts.activity[category, at, 1],
        }
    )


def _lengths(groups: Groups) -> pa.Table:
    """Reviews by category, period and length, in bins a quarter of a doubling wide."""
    found = np.concatenate(groups.bins, axis=1)
    unit, category, period, place, reviews = found[:, np.lexsort(found[3::-1])]
    first, last = bin_bounds(place)
    return pa.table(
        {
            "unit": pa.array(LENGTHS, pa.string()).take(pa.array(unit)),
            schema.PRODUCT_CATEGORY: _names(category, groups.categories),
            f"review_{groups.calendar.period}": groups.period_names(period),
            "length_from": first,
            "length_to": last,
            "reviews": reviews,
        }
    )


def _missing(groups: Groups) -> pa.Table:
    reviews = groups.sums["whole"][:, 0, 0]
    every = len(groups.categories)
    codes = [code for code in [every, *range(every)] for _ in NULLABLE]
    missing = groups.missing[[every, *range(every)]].ravel()
    return pa.table(
        {
            schema.PRODUCT_CATEGORY: _names(codes, groups.categories),
            "column": list(NULLABLE) * (every + 1),
            "missing": missing,
            "missing_share": missing / reviews[codes],
        }
    )


def _left_out(summary: PrepareSummary) -> pa.Table:
    """What `prepare` left out, by rule or reason; duplicates are among the rules."""
    rows = [("filtered", rule, n) for rule, n in summary.filtered.items() if n]
    rows += [("rejected", reason, n) for reason, n in summary.rejected.items() if n]
    fields = pa.schema([("how", pa.string()), ("rule_or_reason", pa.string()), ("rows", pa.int64())])
    return pa.Table.from_pylist([dict(zip(fields.names, row, strict=True)) for row in rows], schema=fields)


def begin(prepared_dir: Path) -> tuple[PrepareSummary, list[Unit], Groups]:
    """What `prepare` says of the reviews, the units to read, and groups in which nothing is counted yet.

    Raises:
        NotEnoughDataError: prepare kept no review.
        WorkspaceError: there are no prepared reviews, or their summary cannot be read.
    """
    summary = _summary(prepared_dir)
    todo = units(prepared_dir)
    if not todo:
        raise NotEnoughDataError(f"{prepared_dir}: prepare kept no review. Its summary.json says why.")
    calendar = Calendar.of(part.month for unit in todo for part in unit.parts)
    return summary, todo, Groups(sorted(summary.categories), calendar)


def _summary(prepared_dir: Path) -> PrepareSummary:
    path = prepared_dir / "summary.json"
    try:
        return PrepareSummary.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{path}: cannot be read ({error}). Run shelfcheck prepare again.") from error
