"""Plant faults in real reviews and measure how well each ranking finds them.

    python benchmarks/findings.py REVIEWS [--seeds 3] [--kinds review product ...] [--rows N] [--json]

REVIEWS is anything `shelfcheck prepare` reads. It is prepared once; then for each kind and seed faults
are planted in the prepared reviews, *before* anything is learned (planted labels contaminate the models,
as in life), and the product's own encode, out_of_fold and audit run on the result. Kinds:

- `review`: 3 % of the reviews that have a product are moved to another product of another category, each
  product alike; the review then carries that product's id, title and category.
- `popular`: the same, but products receive reviews in proportion to those they have.
- `same`: moved to another product of the *same* category; the category alone cannot tell.
- `product`: 3 % of the products get the category of another product; all their reviews carry it.

Rivals rank from the same out-of-fold probabilities: the original's rule (predicted is not assigned, by
confidence; for a product its share of such reviews) and cleanlab (self confidence, normalised margin,
confidence-weighted entropy: the best of the three by the truth, which flatters it; for a product the mean
over its reviews). Real faults that the data had before count against every ranking alike.

Of `product`, the rows `products>=N` are the products with at least N reviews: one short review often
tells nothing of its product, and no ranking can then find the fault.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import average_precision_score

from shelfcheck.audit.agreement import Agreement
from shelfcheck.audit.judged import Judged
from shelfcheck.audit.miscategorised_products import score_products
from shelfcheck.audit.misplaced_reviews import score_reviews
from shelfcheck.audit.pooling import Pooled
from shelfcheck.config import Settings
from shelfcheck.models.encode import encode
from shelfcheck.predict.out_of_fold import out_of_fold
from shelfcheck.prepare import iter_prepared, prepare
from shelfcheck.progress import NullProgress
from shelfcheck.schema import PREPARED_SCHEMA
from shelfcheck.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("review", "popular", "same", "product")
SHARE = 0.03
OURS = "shelfcheck"
ORIGINAL = "predicted is not assigned"


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reviews", help="what `shelfcheck prepare` reads")
    parser.add_argument("--seeds", type=int, default=3, help="planted sets of each kind")
    parser.add_argument("--first-seed", type=int, default=100, help="the first of the seeds")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=0, help="use a random sample of the products' reviews")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    settings = Settings.model_validate({"run": {"threads": given.threads}})
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        table = read(given.reviews, home, settings, given.rows)
        for kind in given.kinds:
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                rows = list(measure(table, kind, seed, home, settings))
                found += rows
                print(
                    f"{kind}, seed {seed}: AP {rows[0]['average_precision']:.4f}", file=sys.stderr, flush=True
                )
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        print(markdown(found))
    return 0


def read(reviews: str, home: Path, settings: Settings, rows: int) -> pa.Table:
    """The prepared reviews, or a sample of them."""
    prepare(find_sources([reviews], settings.source), home / "prepared", settings, NullProgress())
    table = pa.Table.from_batches(iter_prepared(home / "prepared"), schema=PREPARED_SCHEMA)
    if rows and rows < table.num_rows:
        keep = np.sort(np.random.default_rng(0).choice(table.num_rows, rows, replace=False))
        table = table.take(pa.array(keep))
    return table


def measure(
    table: pa.Table, kind: str, seed: int, home: Path, settings: Settings
) -> Iterator[dict[str, Any]]:
    """Plant, run the product's own path, compare the rankings."""
    planted, truth = plant(table, kind, seed)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        work = Path(scratch)
        part = work / "prepared" / "reviews" / "review_month=__HIVE_DEFAULT_PARTITION__"
        part.mkdir(parents=True)
        pq.write_table(planted.drop_columns(["review_month"]), part / "part-0.parquet")
        encode(work / "prepared", work / "encoded", settings, NullProgress())
        out_of_fold(work / "encoded", work / "oof", settings, NullProgress())
        judged = Judged.open(work / "oof")
        if kind == "product":
            yield from of_products(judged, truth, seed)
        else:
            yield from of_reviews(judged, truth, kind, seed)


def plant(table: pa.Table, kind: str, seed: int) -> tuple[pa.Table, set[str]]:
    """Reviews with faults, and the ids of the reviews moved or of the products with a wrong category."""
    rng = np.random.default_rng(seed)
    ids = table["product_id"].combine_chunks().dictionary_encode()
    product = np.asarray(ids.indices.fill_null(-1)).astype(np.int64)
    names = table["product_category"].combine_chunks().dictionary_encode()
    category = np.asarray(names.indices).astype(np.int64)
    has = np.flatnonzero(product >= 0)
    _, first = np.unique(product[has], return_index=True)
    example = has[first]  # a review of each product
    n_products = len(example)
    if kind == "product":
        of = category[example]
        moved = rng.choice(n_products, int(SHARE * n_products), replace=False)
        source = draw(
            lambda n: rng.integers(0, n_products, n), lambda c, at: of[c] == of[moved[at]], len(moved)
        )
        new = of.copy()
        new[moved] = of[source]
        wrong = np.zeros(n_products, bool)
        wrong[moved] = True
        rows = has[wrong[product[has]]]
        category[rows] = new[product[rows]]
        planted = table.set_column(
            table.schema.get_field_index("product_category"),
            "product_category",
            names.dictionary.take(pa.array(category)),
        )
        return planted, set(ids.dictionary.take(pa.array(moved)).to_pylist())
    moved = rng.choice(has, int(SHARE * len(has)), replace=False)
    if kind == "same":
        of = category[example]
        several = np.bincount(of, minlength=len(names.dictionary)) > 1
        moved = moved[several[category[moved]]]
        order = np.argsort(of, kind="stable")
        start = np.searchsorted(of[order], np.arange(len(names.dictionary) + 1))
        source = np.empty(len(moved), np.int64)
        left = np.arange(len(moved))
        while len(left):
            k = category[moved[left]]
            source[left] = example[
                order[start[k] + (rng.random(len(left)) * (start[k + 1] - start[k])).astype(int)]
            ]
            left = left[product[source[left]] == product[moved[left]]]
    else:
        pool = example if kind == "review" else has
        source = draw(
            lambda n: rng.choice(pool, n),
            lambda c, at: category[c] == category[moved[at]],
            len(moved),
        )
    place = np.arange(table.num_rows)
    place[moved] = source
    planted = table
    for name in ("product_id", "product_parent", "product_title", "product_category"):
        at = table.schema.get_field_index(name)
        planted = planted.set_column(at, name, table[name].take(pa.array(place)))
    return planted, set(table["review_id"].take(pa.array(moved)).to_pylist())


def draw(candidates: Any, refused: Any, n: int) -> Any:
    """Draw n values, and again those that are refused."""
    found = np.asarray(candidates(n))
    left = np.flatnonzero(refused(found, np.arange(n)))
    while len(left):
        found[left] = candidates(len(left))
        left = left[refused(found[left], left)]
    return found


def rivals(judged: Judged, rows: Any) -> dict[str, Any]:
    """Suspicion of each review by the other rankings."""
    logs = judged.rows_of(rows)
    p = np.exp(logs.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    a = judged.assigned[rows].astype(np.int64)
    found = {ORIGINAL: np.where(p.argmax(axis=1) != a, p.max(axis=1), 0.0)}
    for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        found[f"cleanlab {method}"] = -get_label_quality_scores(a, p, method=method)
    return found


def of_reviews(judged: Judged, truth: set[str], kind: str, seed: int) -> Iterator[dict[str, Any]]:
    """Measures of the rankings of reviews."""
    agreement = Agreement.gather(judged)
    ours = score_reviews(judged, agreement, seed=0)
    ids = pq.read_table(judged.folder / "predictions.parquet", columns=["review_id"])["review_id"]
    faulty = np.array([one in truth for one in ids.take(pa.array(ours.row)).to_pylist()])
    ranks = {OURS: (ours.score, ours.raw), **{k: (v,) for k, v in rivals(judged, ours.row).items()}}
    for name, keys in ranks.items():
        row = figures(kind, seed, name, faulty, keys)
        if name == OURS:
            row |= calibration(ours.score, faulty)
        yield row


def of_products(judged: Judged, truth: set[str], seed: int) -> Iterator[dict[str, Any]]:
    """Measures of the rankings of products, for all and for those with several reviews."""
    pooled = Pooled.gather(judged)
    ours = score_products(pooled, seed=0)
    names = judged.product_ids.take(pa.array(pooled.product)).to_pylist()
    faulty = np.array([one in truth for one in names])
    rows = np.flatnonzero((judged.assigned >= 0) & (judged.product >= 0))
    product = judged.product[rows]
    n = np.maximum(np.bincount(product, minlength=judged.n_products), 1)
    others = rivals(judged, rows)
    others[ORIGINAL] = (others[ORIGINAL] > 0).astype(float)
    logs = judged.rows_of(rows)
    at, a = np.arange(len(rows)), judged.assigned[rows].astype(np.int64)
    own = logs[at, a]
    logs[at, a] = -np.inf
    others["mean log odds"] = (logs.max(axis=1) - own).astype(np.float64)
    means = {
        name: (np.bincount(product, value, judged.n_products) / n)[pooled.product]
        for name, value in others.items()
    }
    for least in (1, 2, 3, 5):
        some = pooled.reviews >= least
        ranks = {OURS: (ours.score, ours.raw), **{k: (v,) for k, v in means.items()}}
        for name, keys in ranks.items():
            row = figures(f"products>={least}", seed, name, faulty[some], tuple(key[some] for key in keys))
            if name == OURS:
                row |= calibration(ours.score[some], faulty[some])
            yield row


def figures(kind: str, seed: int, ranking: str, faulty: Any, keys: tuple[Any, ...]) -> dict[str, Any]:
    """Average precision, precision at k, recall at 2k; ties broken by the later keys, then at random."""
    noise = np.random.default_rng(seed).random(len(faulty))
    order = np.lexsort((noise, *(-key for key in reversed(keys))))
    hit = faulty[order]
    k = int(faulty.sum())
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order), 0, -1)
    return {
        "kind": kind,
        "seed": seed,
        "ranking": ranking,
        "candidates": len(faulty),
        "planted": k,
        "average_precision": float(average_precision_score(faulty, rank)),
        "precision_at_100": float(hit[:100].mean()),
        "precision_at_1000": float(hit[:1000].mean()),
        "precision_at_k": float(hit[:k].mean()),
        "recall_at_2k": float(hit[: 2 * k].sum() / max(k, 1)),
    }


def calibration(score: Any, faulty: Any) -> dict[str, Any]:
    """Expected against planted faults, over all and among the findings (score >= .5)."""
    high = score >= 0.5
    return {
        "expected_faults": float(score.sum()),
        "findings": int(high.sum()),
        "findings_mean_score": float(score[high].mean()) if high.any() else None,
        "findings_planted_share": float(faulty[high].mean()) if high.any() else None,
    }


def markdown(found: list[dict[str, Any]]) -> str:
    """Mean and standard deviation over the seeds; of cleanlab's rankings the best."""
    columns = ("average_precision", "precision_at_100", "precision_at_1000", "precision_at_k", "recall_at_2k")
    lines = [
        "| kind | planted of | ranking | AP | P@100 | P@1000 | P@k | R@2k |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(row["kind"] for row in found):
        mine = [row for row in found if row["kind"] == kind]
        names = list(dict.fromkeys(row["ranking"] for row in mine))
        mean = {n: statistics.fmean(r[columns[0]] for r in mine if r["ranking"] == n) for n in names}
        best = max((n for n in names if n.startswith("cleanlab")), key=lambda n: mean[n])
        for name in (n for n in names if not n.startswith("cleanlab") or n == best):
            rows = [row for row in mine if row["ranking"] == name]
            cells = [_cell([row[column] for row in rows]) for column in columns]
            size = f"{rows[0]['planted']:,} of {rows[0]['candidates']:,}"
            lines.append(f"| {kind} | {size} | {name} | {' | '.join(cells)} |")
    ours = [row for row in found if row["ranking"] == OURS and row["findings"]]
    lines += ["", "Score of the findings (>= .5) against the share of them that was planted:", ""]
    for kind in dict.fromkeys(row["kind"] for row in ours):
        rows = [row for row in ours if row["kind"] == kind]
        score, share = ([r[n] for r in rows] for n in ("findings_mean_score", "findings_planted_share"))
        lines.append(f"- {kind}: mean score {_cell(score)}, planted {_cell(share)}")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {spread:.3f}"


if __name__ == "__main__":
    sys.exit(main())
