"""The language of each category over the years and between star ratings: tables and a summary."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.interrupts import deferred
from shelfcheck.language.analysis import analyse
from shelfcheck.language.answer import answer
from shelfcheck.language.facet import FACETS, Facet, OneMachine
from shelfcheck.language.tables import FACET, TABLES, write_tables
from shelfcheck.language.trend import pooled_trend, trend
from shelfcheck.progress import NullProgress
from shelfcheck.schema import PRODUCT_CATEGORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.language.analysis import Rows
    from shelfcheck.language.facet import Counting, Usable
    from shelfcheck.language.trend import Trend
    from shelfcheck.progress import Progress

MEASURES: Final = ("overlap", "matched_overlap", "beyond_chance")
"""What trends are fitted to. `beyond_chance`: overlap of the reviews drawn, less that of the permutations."""


def language(
    prepared_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
    *,
    counting: Counting | None = None,
) -> Mapping[str, Any]:
    """Compare the language of each category between years and between star ratings.

    Args:
        prepared_dir: output of `prepare`.
        out_dir: folder to fill with the tables of `tables.TABLES` (Parquet and CSV) and `summary.json`.
        settings: `language` and `run` are read.
        progress: told how far the work is.
        counting: counts the reviews; DuckDB on this machine when None.

    Returns:
        Counts worth telling: categories, pairs, shifted pairs, by facet.

    Raises:
        NotEnoughDataError: no category has two neighbouring years or ratings with enough reviews.
        WorkspaceError: there are no prepared reviews.
    """
    with deferred():  # DuckDB's module aborts the process when Ctrl-C comes while it is loaded
        from shelfcheck.engines.duckdb import DuckDB  # noqa: PLC0415 - loads DuckDB

    progress = progress or NullProgress()
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    threads = settings.run.threads or os.cpu_count() or 1
    rows: dict[str, Rows] = defaultdict(list)
    usable: dict[str, Usable] = {}
    with (
        DuckDB(out / ".spill", settings.run.memory_limit, threads) as engine,
        ThreadPoolExecutor(threads) as pool,
    ):
        if counting is None:
            counting = OneMachine(prepared_dir, settings.language, settings.run.seed)
        for facet in FACETS:
            progress.start(f"Counting terms by {facet}", None, "terms")
            read = Facet(engine, counting, facet, settings.language)
            progress.finish()
            usable[facet] = read.usable
            progress.start(f"Comparing language by {facet}", len(read.usable.categories), "categories")
            for category in read:
                found = analyse(category, settings.language, settings.run.seed, pool)
                for name in ("groups", "top_terms", "pairs", "changed_terms"):
                    rows[name] += getattr(found, name)
                progress.advance(1)
            progress.finish()
    if not rows["pairs"]:
        raise NotEnoughDataError(_nothing(usable, settings))
    judge_pairs(rows["pairs"], settings.language.false_discovery_rate)
    rows["trends"] = fit_trends(rows["pairs"], settings.run.seed)
    write_tables(rows, out)
    summary = _summary(rows, usable)
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    counts: dict[str, Any] = summary["counts"]
    return counts


def judge_pairs(pairs: Rows, rate: float) -> None:
    """Fill `q` and `shifted`: p-values adjusted for the false discovery rate over the pairs of a facet.

    The adjustment is that of Benjamini and Hochberg (Journal of the Royal Statistical Society B 57, 1995).
    """
    from scipy import stats  # noqa: PLC0415 - heavy

    for facet in FACETS:
        tested = [row for row in pairs if row[FACET] == facet and row["p"] is not None]
        adjusted = stats.false_discovery_control([row["p"] for row in tested]) if tested else []
        for row, q in zip(tested, adjusted, strict=True):
            row["q"] = float(q)
            row["shifted"] = bool(q <= rate)
    for row in pairs:
        row.setdefault("q", None)
        row.setdefault("shifted", False)


def fit_trends(pairs: Sequence[Mapping[str, Any]], seed: int = 0) -> Rows:
    """Trends of each measure of overlap: of each category, and of all together (category None)."""
    series: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in pairs:
        series[row[FACET], row[PRODUCT_CATEGORY]].append(dict(row))
    found: Rows = []
    for facet in FACETS:
        for measure in MEASURES:
            points = []
            for (of, category), rows in series.items():
                if of != facet:
                    continue
                x = np.array([row["group_a"] for row in rows], np.float64)
                y = np.array([_measured(row, measure) for row in rows])
                points.append((x, y))
                found += _trend_row(category, facet, measure, trend(x, y))
            found += _trend_row(None, facet, measure, pooled_trend(points, seed=seed))
    return found


def _measured(row: Mapping[str, Any], measure: str) -> float:
    if measure == "beyond_chance":
        return float(row["drawn_overlap"] - row["expected_overlap"])
    return float(row[measure])


def _trend_row(category: str | None, facet: str, measure: str, fitted: Trend | None) -> Rows:
    if fitted is None:
        return []
    return [
        {
            PRODUCT_CATEGORY: category,
            FACET: facet,
            "measure": measure,
            "pairs": fitted.points,
            "slope": fitted.slope,
            "low": fitted.low,
            "high": fitted.high,
            "tau": fitted.tau,
            "p": fitted.p,
        }
    ]


def _summary(rows: Mapping[str, Rows], usable: Mapping[str, Usable]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for facet in FACETS:
        pairs = [row for row in rows["pairs"] if row[FACET] == facet]
        counts[f"{facet}_categories"] = len({row[PRODUCT_CATEGORY] for row in pairs})
        counts[f"{facet}_pairs"] = len(pairs)
        counts[f"{facet}_pairs_shifted"] = sum(row["shifted"] for row in pairs)
    return {
        "counts": counts,
        "reviews": {
            facet: {"used": found.used, "not_used": found.skipped} for facet, found in usable.items()
        },
        "answer": answer(rows["trends"]),
        "trends": [row for row in rows["trends"] if row[PRODUCT_CATEGORY] is None],
        "tables": {name: len(rows[name]) for name in TABLES},
    }


def _nothing(usable: Mapping[str, Usable], settings: Settings) -> str:
    lacking = "; ".join(
        f"by {facet}: {', '.join(f'{n:,} with {why}' for why, n in found.skipped.items()) or 'no review'}"
        for facet, found in usable.items()
    )
    return (
        "no category has two neighbouring years or star ratings with "
        f"language.min_reviews == {settings.language.min_reviews} reviews each ({lacking}). "
        "Prepare more reviews, or set language.min_reviews lower."
    )
