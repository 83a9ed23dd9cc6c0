"""Is the growing overlap of consecutive years a matter of size? And does the permutation test hold its level?

    python benchmarks/language.py PREPARED [--generated N...] [--top-k K...] [--trials N] [--parts ...]

PREPARED is a folder of `shelfcheck prepare`. Prints tables:

- `slopes`: slope of the overlap of consecutive years by category: of all reviews, with all years cut to one
  size, and less what permutations give; and of all categories together, for several K;
- `generated`: the same for generated reviews, whose language is constant while their number grows;
- `alarms`: false alarms of the test where products come and go and nothing else changes, beside a test that
  shuffles single reviews;
- `power`: how often a planted shift is found, by its strength and the number of reviews;
- `time`: seconds and memory of the whole command, beside the original's TF-IDF by scikit-learn, which tells
  overlaps only.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from shelfcheck import api
from shelfcheck.config import Settings, validate
from shelfcheck.engines.duckdb import DuckDB
from shelfcheck.language.facet import YEAR, CategoryLanguage, Facet, OneMachine
from shelfcheck.language.permutation import permutation_test
from shelfcheck.language.run import language
from shelfcheck.language.terms import overlap, top_terms
from shelfcheck.language.trend import Trend, pooled_trend

THREADS = 2
MEASURES = ("overlap", "matched_overlap", "beyond_chance")


def settings(**values: Any) -> Settings:
    """Settings with these of `language`."""
    return validate({"language": values, "run": {"threads": THREADS}})


def told(row: dict[str, Any] | None) -> str:
    """A trend in a cell."""
    if row is None:
        return "–"
    between = "" if row["low"] is None else f" [{row['low']:+.1f}, {row['high']:+.1f}]"
    p = "" if row["p"] is None else f" p={row['p']:.3f}"
    return f"{row['slope']:+.2f}{between}{p}"


def slopes(prepared: Path, top_k: list[int]) -> None:
    """Trends of the overlap, by category and of all."""
    for k in top_k:
        with tempfile.TemporaryDirectory() as out:
            counts = language(prepared, out, settings(top_k=k))
            trends = [
                row for row in pq.read_table(Path(out) / "trends.parquet").to_pylist() if row["facet"] == YEAR
            ]
            pairs = [
                row for row in pq.read_table(Path(out) / "pairs.parquet").to_pylist() if row["facet"] == YEAR
            ]
        found = {(row["product_category"], row["measure"]): row for row in trends}
        print(f"\n| category (top {k}) | pairs | reviews a year | raw | at one size | beyond chance |")
        print("|---|---|---|---|---|---|")
        categories = sorted({row["product_category"] for row in pairs})
        for category in [*categories, None]:
            mine = [row for row in pairs if category in (None, row["product_category"])]
            if len(mine) < 4:
                continue
            sizes = [row["reviews_a"] for row in mine] + [row["reviews_b"] for row in mine]
            cells = " | ".join(told(found.get((category, measure))) for measure in MEASURES)
            name = category or "all together"
            print(f"| {name} | {len(mine)} | {min(sizes):,} to {max(sizes):,} | {cells} |")
        within(pairs)
        print(f"\n{counts['year_pairs_shifted']} of {counts['year_pairs']} pairs of years shifted; "
              f"{counts['stars_pairs_shifted']} of {counts['stars_pairs']} of ratings")  # fmt: skip


def within(pairs: list[dict[str, Any]]) -> None:
    """Least squares within categories: overlap by year, by size, and by both."""
    categories = np.array([row["product_category"] for row in pairs])

    def centred(values: list[float]) -> np.ndarray:
        found = np.array(values, np.float64)
        for category in np.unique(categories):
            found[categories == category] -= found[categories == category].mean()
        return found

    year = centred([row["group_a"] for row in pairs])
    size = centred([np.log2(min(row["words_a"], row["words_b"])) for row in pairs])
    y = centred([row["overlap"] for row in pairs])
    print("\n| raw overlap within categories, by | a year | a doubling of words | R2 |\n|---|---|---|---|")
    for name, columns in (("year", [year]), ("size", [size]), ("year and size", [year, size])):
        x = np.stack(columns, axis=1)
        slope = np.linalg.lstsq(x, y, rcond=None)[0]
        by = dict(zip(name.split(" and "), slope, strict=True))
        cells = " | ".join(f"{by[key]:+.2f}" if key in by else "–" for key in ("year", "size"))
        print(f"| {name} | {cells} | {1 - ((y - x @ slope) ** 2).sum() / (y**2).sum():.2f} |")


def generated(reviews: list[int], top_k: list[int]) -> None:
    """Trends where the truth is known."""
    for n in reviews:
        with tempfile.TemporaryDirectory() as home:
            api.generate(Path(home) / "raw", reviews=n, seed=n)
            prepared = api.prepare(Path(home) / "raw", Path(home) / "shop").folder
            print(f"\n### {n:,} generated reviews: constant language")
            slopes(prepared, top_k)


def categories(prepared: Path, **values: Any) -> list[CategoryLanguage]:
    """Every category by year."""
    with tempfile.TemporaryDirectory() as scratch, DuckDB(scratch, "1GB", THREADS) as engine:
        return list(
            Facet(
                engine,
                OneMachine(prepared, settings(**values).language, 0),
                YEAR,
                settings(**values).language,
            )
        )


def alarms(prepared: Path, trials: int) -> None:
    """Products are sold in the one half, in the other, or in both; their reviews are what they are."""
    rng = np.random.default_rng(1)
    read = [one for one in categories(prepared) if _largest(one, 500, 50) is not None]
    print(
        f"\n{len(read)} categories, their year with most reviews, cut in two by product; {trials} trials each"
    )
    print("| shuffled | reviews, share of the first half | p <= .05 | p <= .01 | overlap p <= .05 |")
    print("|---|---|---|---|---|")
    for share in (0.5, 0.2):
        found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        with ThreadPoolExecutor(THREADS) as pool:
            for one in read:
                rows = _largest(one, 500, 50)
                for _ in range(trials):
                    reviews = one.reviews.take(rng.choice(rows, min(len(rows), 1500), replace=False))
                    when = rng.random(reviews.product.max() + 1)[reviews.product]
                    both = rng.random(len(reviews)) < share
                    in_a = np.where(when < 0.5, both, when < 0.5 + share / 2)
                    if not 0.02 < in_a.mean() < 0.98:
                        continue
                    for by_product in (True, False):
                        shift = permutation_test(
                            reviews, ~in_a, one.rarity, 50, permutations=99, seed=int(rng.integers(1 << 30)),
                            by_product=by_product, pool=pool,
                        )  # fmt: skip
                        if shift.p_divergence is not None:
                            found[by_product].append((shift.p_divergence, shift.p_overlap or 1.0))
        for by_product, name in ((True, "by product"), (False, "single reviews")):
            p = np.array(found[by_product])
            cells = [(p[:, 0] <= 0.05), (p[:, 0] <= 0.01), (p[:, 1] <= 0.05)]
            print(
                f"| {name} | {share} ({len(p)} trials) | "
                + " | ".join(f"{c.mean():.3f}" for c in cells)
                + " |"
            )


def _largest(one: CategoryLanguage, reviews: int, products: int) -> Any:
    """Rows of the group with most reviews drawn; None where they are few."""
    group = int(np.bincount(one.reviews.group).argmax())
    rows = np.flatnonzero(one.reviews.group == group)
    enough = len(rows) >= reviews and len(np.unique(one.reviews.product[rows])) >= products
    return rows if enough else None


def power(prepared: Path, trials: int) -> None:
    """In one half, a share of the words of ten frequent terms is said with ten other terms."""
    rng = np.random.default_rng(2)
    read = [one for one in categories(prepared) if _largest(one, 2000, 100) is not None]
    print(f"\n{len(read)} categories; share of tests with p <= .05, 99 permutations, {trials} trials each")
    print(
        "| reviews, both halves | " + " | ".join(f"{s:.0%} replaced" for s in (0, 0.1, 0.25, 0.5, 1.0)) + " |"
    )
    print("|---|---|---|---|---|---|")
    with ThreadPoolExecutor(THREADS) as pool:
        for n in (200, 500, 2000):
            rates = []
            for strength in (0.0, 0.1, 0.25, 0.5, 1.0):
                found = []
                for one in read:
                    for _ in range(trials):
                        rows = rng.choice(_largest(one, 2000, 100), n, replace=False)
                        reviews = one.reviews.take(rows)
                        in_b = rng.random(n) < 0.5
                        frequent = np.argsort(-reviews.total(np.arange(n)))
                        swap = np.arange(reviews.terms)
                        swap[frequent[10:20]] = frequent[500:510]
                        row = np.repeat(np.arange(n), np.diff(reviews.indptr))
                        moved = in_b[row] & (rng.random(len(row)) < strength)
                        ids = np.where(moved, swap[reviews.ids], reviews.ids).astype(np.int32)
                        shift = permutation_test(
                            replace(reviews, ids=ids), in_b, one.rarity, 50, permutations=99,
                            seed=int(rng.integers(1 << 30)), pool=pool,
                        )  # fmt: skip
                        if shift.p_divergence is not None:
                            found.append(shift.p_divergence <= 0.05)
                rates.append(f"{np.mean(found):.2f}")
            print(f"| {n} | " + " | ".join(rates) + " |")


def original(prepared: Path, k: int) -> None:
    """The original's way: scikit-learn's TF-IDF, a document a category and year; overlaps of top terms."""
    import pyarrow.compute as pc
    from sklearn.feature_extraction.text import TfidfVectorizer

    from shelfcheck.prepare.read import iter_prepared

    texts: dict[tuple[str, int], list[str]] = {}
    for batch in iter_prepared(prepared, ["product_category", "review_date", "review_tokens"]):
        years = pc.year(batch.column(1)).to_pylist()
        for category, year, tokens in zip(
            batch.column(0).to_pylist(), years, batch.column(2).to_pylist(), strict=True
        ):
            if category is not None and year is not None:
                texts.setdefault((category, year), []).append(tokens)
    kept = sorted(key for key, reviews in texts.items() if len(reviews) >= 100)
    vectors = TfidfVectorizer(max_features=10_000, token_pattern=r"\S+")  # noqa: S106 - no password
    weights = vectors.fit_transform(" ".join(texts[key]) for key in kept).toarray()
    top = dict(zip(kept, top_terms(weights, k), strict=True))
    series: dict[str, list[tuple[int, float]]] = {}
    for category, year in kept:
        if (category, year + 1) in top:
            share = overlap(top[category, year], top[category, year + 1])[0]
            series.setdefault(category, []).append((year, share))
    fitted = pooled_trend(
        [tuple(np.array(v) for v in zip(*points, strict=True)) for points in series.values()]
    )
    print(f"raw slope of the original's top {k}, all together: {_short(fitted)}")


def _short(fitted: Trend | None) -> str:
    return (
        "–"
        if fitted is None
        else told({"slope": fitted.slope, "low": fitted.low, "high": fitted.high, "p": fitted.p})
    )


def timing(prepared: Path, repeats: int) -> None:
    """Each in a process of its own, in turns; after one that compiles."""
    code = {
        "shelfcheck language": "language.once(p)",
        "the original's TF-IDF, overlaps only": "language.original(p, 50)",
    }
    home = Path(__file__).parent
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in code}
    for repeat in range(repeats + 1):
        for name, call in code.items():
            text = (
                f"import sys; sys.path.insert(0, {str(home)!r}); import language; from pathlib import Path; "
            )
            text += f"p = Path({str(prepared)!r}); {call}; language.usage()"
            started = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
            cpu, peak = (float(v) for v in done.stdout.split()[-2:])
            if repeat:
                found[name].append((time.perf_counter() - started, cpu, peak))
    print("\n| what | s, median (min–max) | CPU s | peak MB |")
    print("|---|---|---|---|")
    for name, runs in found.items():
        wall, cpu, peak = (np.array(column) for column in zip(*runs, strict=True))
        spread = f"{np.median(wall):.1f} ({wall.min():.1f}–{wall.max():.1f})"
        print(f"| {name} | {spread} | {np.median(cpu):.1f} | {peak.max():.0f} |")


def once(prepared: Path) -> None:
    """The whole comparison, with default settings."""
    with tempfile.TemporaryDirectory() as out:
        language(prepared, out, settings())


def usage() -> None:
    """Print CPU seconds and peak MB of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--generated", type=int, nargs="*", default=[20_000, 100_000])
    parser.add_argument("--top-k", type=int, nargs="+", default=[50])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parts = ["slopes", "generated", "alarms", "power", "time"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    given = parser.parse_args()
    if "slopes" in given.parts:
        slopes(given.prepared, given.top_k)
        for k in given.top_k:
            original(given.prepared, k)
    if "generated" in given.parts:
        generated(given.generated, given.top_k)
    if "alarms" in given.parts:
        alarms(given.prepared, given.trials)
    if "power" in given.parts:
        power(given.prepared, max(1, given.trials // 2))
    if "time" in given.parts:
        timing(given.prepared, given.repeats)


if __name__ == "__main__":
    main()
