"""Made-up artefacts with the columns that the stages before the report write."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.models.evaluation import Evaluation, evaluate
from shelfcheck.models.intervals import intervals
from shelfcheck.models.judged import HELD_OUT_SCHEMA, Judged
from shelfcheck.models.registry import Registry
from shelfcheck.models.slices import grouping, slices
from shelfcheck.report import ReportInputs, StageTime

if TYPE_CHECKING:
    from pathlib import Path

WORDS = pa.list_(pa.struct([("term", pa.string()), ("weight", pa.float32())]))
MISPLACED = pa.schema(
    [
        ("rank", pa.int64()),
        ("score", pa.float64()),
        ("review_id", pa.string()),
        ("product_id", pa.string()),
        ("product_title", pa.string()),
        ("assigned_category", pa.string()),
        ("suggested_category", pa.string()),
        ("p_assigned", pa.float64()),
        ("p_suggested", pa.float64()),
        ("product_reviews", pa.int64()),
        ("product_agreeing", pa.int64()),
        ("words", WORDS),
        ("star_rating", pa.int32()),
        ("review_date", pa.date32()),
        ("review_headline", pa.string()),
        ("review_body", pa.string()),
    ]
)
MISCATEGORISED = pa.schema(
    [
        ("rank", pa.int64()),
        ("score", pa.float64()),
        ("product_id", pa.string()),
        ("product_title", pa.string()),
        ("assigned_category", pa.string()),
        ("suggested_category", pa.string()),
        ("reviews", pa.int64()),
        ("reviews_for_suggested", pa.int64()),
        ("reviews_for_assigned", pa.int64()),
        ("reviews_undecided", pa.int64()),
        ("words", WORDS),
        (
            "sample_reviews",
            pa.list_(
                pa.struct(
                    [
                        ("review_id", pa.string()),
                        ("headline", pa.string()),
                        ("body", pa.string()),
                        ("p_suggested", pa.float64()),
                    ]
                )
            ),
        ),
    ]
)

LEXICON: dict[str, tuple[str, tuple[str, ...]]] = {
    "Kitchen": (
        "Copper saucepan, 2 litres",
        ("pan", "boils over", "lid fits", "handle gets hot", "dishwasher safe"),
    ),
    "Books": (
        "The lighthouse keeper's winter",
        ("last chapter", "the characters", "author", "paperback", "plot"),
    ),
    "Camera": (
        "Travel tripod with ball head",
        ("tripod", "shutter speed", "lens", "battery life", "low light"),
    ),
    "Pet_Products": ("Slow feeder bowl", ("my cat", "puppy", "litter", "chew toy", "leash")),
    "Shoes": ("Trail runner, women's", ("half size", "arch support", "the sole", "laces", "blister")),
    "Toys": (
        "Wooden marble run",
        ("my grandson", "pieces", "plays for hours", "batteries not included", "age group"),
    ),
    "Music": ("Live at the harbour (CD)", ("second track", "album", "the vocals", "bass line", "remaster")),
    "Home_Entertainment": (
        "Soundbar 2.1",
        ("remote", "hdmi", "subwoofer", "picture quality", "surround sound"),
    ),
    "Watches": ("Field watch 38 mm", ("dial", "strap", "keeps time", "bezel", "scratch")),
    "Garden": ("Anvil secateurs", ("roses", "pruning", "soil", "hose", "seedlings")),
    "Health_Personal_Care": ("Electric toothbrush heads", ("gums", "dentist", "scent", "skin", "brush head")),
    "Office_Products": ("Gel pens, 12 pieces", ("ink", "paper jam", "printer", "stapler", "envelope")),
    "Digital_Ebook_Purchase": (
        "A river with no name",
        ("kindle", "sequel", "read it in one sitting", "series", "heroine"),
    ),
    "Major_Appliances": (
        "Fridge-freezer 340 l",
        ("freezer", "compressor", "delivery men", "ice maker", "noisy"),
    ),
}
FILLER = (
    "I bought this in spring and have used it nearly every day since. ",
    "It arrived two days early and well packed. ",
    "To be honest I expected less for the price. ",
    "My sister has the same one and likes it too. ",
    "Would I buy it again? Probably, yes. ",
    "The description could be clearer, but customer service answered at once. ",
)


def write_inputs(root: Path, findings: int = 60, seed: int = 0) -> ReportInputs:
    """Every artefact that a report shows, in one folder each."""
    prepared, evaluation, model = root / "prepared", root / "evaluation", root / "model"
    for folder in (prepared, evaluation, model):
        folder.mkdir(parents=True)
    categories = category_counts(seed)
    write_json(prepared / "summary.json", summary(categories))
    (evaluation / "evaluation.json").write_text(evaluated(categories, seed).to_json(), encoding="utf-8")
    write_json(
        model / "card.json",
        {"model": "linear", "accuracy": 0.887, "settings": {"epochs": 5, "fields": ["a", "b"]}},
    )
    return ReportInputs(
        prepared=prepared,
        evaluation=evaluation,
        model=model,
        misplaced_reviews=write_misplaced(root / "misplaced_reviews", misplaced(findings, seed)),
        miscategorised_products=write_miscategorised(
            root / "miscategorised_products", miscategorised(findings // 2, seed)
        ),
        registry=write_registry(root / "shop"),
        title="Shelfcheck report",
        made_at="2026-11-23T08:30:00+00:00",
        stages=(StageTime("Preparing reviews", 2.31), StageTime("Training", 9.2, fresh=True)),
    )


def write_registry(workspace: Path, models: int = 3, reviews: int = 900) -> Path:
    """A workspace with registered models, each a little worse than the one before; one split by row."""
    rng = np.random.default_rng(3)
    product = rng.integers(0, 120, reviews)
    names = list(LEXICON)[:4]
    label = product % len(names)
    for at in range(models + 1):
        folder = workspace.parent / f"made-{at}"
        (folder / "model").mkdir(parents=True)
        (folder / "evaluation").mkdir()
        write_json(folder / "model" / "card.json", {"model": "linear", "format": 1, "at": at})
        wrong = rng.random(reviews) < 0.1 + 0.08 * at
        predicted = np.where(wrong, (label + 1) % len(names), label)
        shares = np.full((reviews, len(names)), 0.05, np.float32)
        shares[np.arange(reviews), predicted] = 0.85
        split = "row" if at == models else "product"
        found = evaluate(label.astype(np.int16), shares, names, products=product)
        (folder / "evaluation" / "evaluation.json").write_text(found.to_json(), encoding="utf-8")
        rows = {
            "review_id": [f"R{one}" for one in range(reviews)],
            "product": product,
            "label": [names[one] for one in label],
            "predicted": [names[one] for one in predicted],
            "confidence": shares.max(axis=1),
            "p_label": shares[np.arange(reviews), label],
        }
        pq.write_table(pa.table(rows, schema=HELD_OUT_SCHEMA), folder / "evaluation" / "held_out.parquet")
        counts = {"model": "linear", "label": "product_category", "split": split}
        cost = {"train_seconds": 2.5 * (at + 1), "peak_memory_mb": 300, "reviews_per_second": 40_000 - at}
        Registry(workspace).register(folder / "model", folder / "evaluation", counts | cost)
    return workspace


def write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def category_counts(seed: int) -> dict[str, int]:
    rng = random.Random(seed)  # noqa: S311 - made-up data
    names = [*LEXICON, *(f"Further_Category_{n}" for n in range(8))]
    return {name: int(60_000 / (at + 1) ** 1.3) + rng.randrange(50) for at, name in enumerate(names)}


def summary(categories: dict[str, int]) -> dict[str, Any]:
    kept = sum(categories.values())
    months = {f"{2005 + at // 12}-{at % 12 + 1:02d}": at * at // 6 for at in range(5, 120) if at % 17}
    months["unknown"] = kept - sum(months.values())
    filtered = {"too_short": 812, "repeated_review_id": 2210, "exact_duplicate": 431, "missing_body": 12}
    rejected = {"too_many_fields": 83, "bad_star_rating": 9, "invalid_utf8": 2}
    read = kept + sum(filtered.values()) + sum(rejected.values())
    return {
        "rows_read": read,
        "rows_kept": kept,
        "filtered": filtered,
        "rejected": rejected,
        "sources": {
            "reviews-0.tsv.gz": {
                "rows_read": read,
                "rows_kept": kept,
                "filtered": filtered,
                "rejected": rejected,
            }
        },
        "categories": categories,
        "months": months,
        "length_bounds": [6, 4999],
    }


def evaluated(categories: dict[str, int], seed: int) -> Evaluation:
    """The evaluation of a made-up model that is worse at smaller categories."""
    rng = np.random.default_rng(seed)
    names = list(categories)
    labels = np.repeat(np.arange(len(names)), [n // 20 for n in categories.values()]).astype(np.int16)
    noise = rng.gumbel(size=(len(labels), len(names))) + np.log(list(categories.values())) * 0.3
    noise[np.arange(len(labels)), labels] += 6 - labels * 0.15
    shares = np.exp(noise - noise.max(axis=1, keepdims=True)) ** 0.8
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    found = evaluate(labels, shares, names)
    predicted, product = shares.argmax(axis=1), rng.integers(0, 400, len(labels))
    judged = Judged(tuple(names), labels.astype(np.int64), predicted, shares.max(axis=1), product)
    groups = {
        "body_tokens": grouping("body_tokens", pa.array(rng.integers(0, 300, len(labels)))),
        "star_rating": grouping("star_rating", pa.array(rng.integers(1, 6, len(labels)))),
        "year": grouping("year", pa.array(rng.integers(2010, 2016, len(labels)))),
    }
    return dataclasses.replace(
        found,
        intervals=intervals(judged, resamples=50),
        slices=slices(judged, groups, resamples=50),
        notes={"split": "product", "label": "product_category"},
    )


def body(rng: random.Random, category: str, sentences: int) -> str:
    parts = []
    for _ in range(sentences):
        parts.append(rng.choice(FILLER))
        phrase = rng.choice(LEXICON[category][1])
        parts.append(f"What struck me is the {phrase}: that alone is worth it. ")
    return "".join(parts).strip()


def misplaced(n: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)  # noqa: S311 - made-up data
    names = list(LEXICON)
    rows = []
    for at in range(n):
        assigned, suggested = rng.sample(names[:10] if at % 3 else names[:4], 2)
        reviews = rng.choice((0, 1, 2, 14, 230))
        rows.append(
            {
                "rank": at + 1,
                "score": 0.995 - 0.49 * (at / max(n, 2)) ** 1.5,
                "review_id": f"R{rng.randrange(10**12):012d}",
                "product_id": f"B{rng.randrange(10**9):09d}" if at % 13 else None,
                "product_title": LEXICON[assigned][0] if at % 7 else None,
                "assigned_category": assigned,
                "suggested_category": suggested,
                "p_assigned": 0.02,
                "p_suggested": 0.91,
                "product_reviews": reviews,
                "product_agreeing": rng.randint(0, reviews),
                "words": [
                    {"term": term, "weight": 2.0 - place / 4}
                    for place, term in enumerate(("cat", "last chapter", *LEXICON[suggested][1][:5]))
                ],
                "star_rating": rng.randint(1, 5) if at % 11 else None,
                "review_date": dt.date(2008, 1, 1) + dt.timedelta(days=rng.randrange(4000))
                if at % 6
                else None,
                "review_headline": rng.choice(("Just what I wanted", "Not for me", "Five stars", None)),
                "review_body": body(rng, suggested, 12 if at % 9 == 4 else rng.randint(1, 3)),
            }
        )
    return rows


def miscategorised(n: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed + 1)  # noqa: S311 - made-up data
    names = list(LEXICON)
    rows = []
    for at in range(n):
        assigned, suggested = rng.sample(names, 2)
        reviews = rng.choice((3, 9, 41, 612))
        for_suggested = int(reviews * (0.6 + rng.random() * 0.3))
        for_assigned = (reviews - for_suggested) // 3
        rows.append(
            {
                "rank": at + 1,
                "score": 0.999 - 0.45 * at / max(n, 1),
                "product_id": f"B{rng.randrange(10**9):09d}",
                "product_title": LEXICON[suggested][0],
                "assigned_category": assigned,
                "suggested_category": suggested,
                "reviews": reviews,
                "reviews_for_suggested": for_suggested,
                "reviews_for_assigned": for_assigned,
                "reviews_undecided": reviews - for_suggested - for_assigned,
                "words": [
                    {"term": term, "weight": 2.0 - place / 4}
                    for place, term in enumerate(LEXICON[suggested][1])
                ],
                "sample_reviews": [
                    {
                        "review_id": f"R{at}-{one}",
                        "headline": "Good",
                        "body": body(rng, suggested, one + 1),
                        "p_suggested": 0.97 - one / 10,
                    }
                    for one in range(min(reviews, 3))
                ],
            }
        )
    return rows


def write_misplaced(folder: Path, rows: list[dict[str, Any]]) -> Path:
    return _write(folder, rows, MISPLACED, "misplaced_reviews")


def write_miscategorised(folder: Path, rows: list[dict[str, Any]]) -> Path:
    return _write(folder, rows, MISCATEGORISED, "miscategorised_products")


def _write(folder: Path, rows: list[dict[str, Any]], schema: pa.Schema, kind: str) -> Path:
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "findings.parquet")
    write_json(
        folder / "summary.json",
        {
            "kind": kind,
            "findings": len(rows),
            "candidates": 40 * len(rows) + 311,
            "cannot_tell": 7 * len(rows),
            "skipped": {"no_product_id": 41},
            "expected_faults": sum(row["score"] for row in rows),
        },
    )
    return folder
