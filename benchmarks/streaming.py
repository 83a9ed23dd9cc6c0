"""In which order reviews are met: shuffled on disk, drawn anew in memory, by date, by category.

    python benchmarks/streaming.py PREPARED --seeds 0 1 2 --output streaming.md

PREPARED is a folder of prepared reviews, a workspace, or raw reviews in any form. Every method learns from
the same dated reviews of the training products and is judged on the same dated reviews of held-out products:

- `streamed`: as Shelfcheck trains: n-grams on disk in the order of a hash of the review id, blocks of 256
  shuffled anew each epoch; `streamed 1`: one epoch of it, to tell a lack of epochs from a wrong order;
- `memory`: every epoch in a random order of its own, drawn over all reviews in memory;
- `date`, `date 1`: by date, five epochs or one, as a system feeds itself that reads month after month; the
  learning rate falls to 0 over the whole of it;
- `category`, `category 1`: one category after another, by date within, as a listing of files gives them.

Prints Markdown: accuracy and macro F1 (over categories that the held-out reviews have), mean ± standard
deviation over seeds, and the recall of each category beside when its reviews were written, which shows what
was forgotten.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shelfcheck import api
from shelfcheck.config import BLAZINGTEXT, Settings, validate
from shelfcheck.models import split
from shelfcheck.models.embedding import EmbeddingModel
from shelfcheck.models.embedding_fitting import fit_embedding
from shelfcheck.models.encode import Encoded, encode
from shelfcheck.models.evaluation import evaluate
from shelfcheck.models.fitting import fit_linear
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.train import labels_for, learnable
from shelfcheck.progress import NullProgress
from train import commit

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "linear": ("`linear`", "linear", {}),
    "embedding": ("`embedding`", "embedding", {}),
    "blazingtext": ("`embedding`, BlazingText's settings", "embedding", BLAZINGTEXT.model_dump()),
}
ORDERS = {
    "streamed": "streamed, shuffled",
    "streamed 1": "streamed, one epoch",
    "memory": "in memory, random",
    "date": "by date, five epochs",
    "date 1": "by date, one epoch",
    "category": "by category, five epochs",
    "category 1": "by category, one epoch",
}


class Task(NamedTuple):
    """What is learned from and judged on."""

    rows: np.ndarray  # uint32 (m), training reviews in the order of the encoded ones
    labels: np.ndarray  # int16 (m)
    days: np.ndarray  # int32 (m)
    test: np.ndarray  # int64 (v)
    test_labels: np.ndarray  # int16 (v)
    categories: list[str]


class Outcome(NamedTuple):
    """What one run reached."""

    accuracy: float
    macro_f1: float
    recall: np.ndarray  # (categories,), nan where none is held out
    seconds: float


def settings_of(name: str, options: argparse.Namespace, seed: int, epochs: int | None) -> Settings:
    """Settings of a model of MODELS."""
    _, model, own = MODELS[name]
    passes = {} if epochs is None else {"epochs": epochs}
    return validate(
        {"run": {"threads": options.threads, "seed": seed}, "train": {"model": model, model: own | passes}}
    )


def task_of(encoded: Encoded, settings: Settings) -> Task:
    """Split the dated reviews by product."""
    categories, _ = learnable(encoded, settings.train)
    labels = labels_for(encoded, categories)
    days = np.asarray(encoded.day)
    known = (labels >= 0) & (days != split.NO_DAY)
    test = split.is_test(encoded.bucket, settings.train.test_share)
    held = split.is_calibration(encoded.bucket, settings.train.test_share, settings.train.calibration_share)
    rows, judged = np.flatnonzero(known & ~test & ~held), np.flatnonzero(known & test)
    return Task(rows.astype(np.uint32), labels[rows], days[rows], judged, labels[judged], categories)


def order_of(order: str, task: Task, seed: int) -> Callable[[int], np.ndarray] | None:
    """Places of the training reviews in the order of an epoch; None for Shelfcheck's own."""
    if order.startswith("streamed"):
        return None
    if order == "memory":
        draw = np.random.default_rng([seed, 7])
        return lambda _: draw.permutation(len(task.rows))
    # Ties within a day stay in the shuffled order.
    if order.startswith("date"):
        places = np.argsort(task.days, kind="stable")
    else:
        places = np.lexsort((task.days, task.labels))
    return lambda _: places


def run_one(name: str, order: str, encoded: Encoded, task: Task, settings: Settings) -> Outcome:
    """Learn in one order and judge on the held-out products."""
    model, seed, threads = MODELS[name][1], settings.run.seed, settings.run.threads
    own = getattr(settings.train, model)
    given: dict[str, Any] = {
        "n_classes": len(task.categories),
        "hash_bits": encoded.hash_bits,
        "settings": own,
        "threads": threads,
        "seed": seed,
        "progress": NullProgress(),
        "order": order_of(order, task, seed),
    }
    started = time.perf_counter()
    learned: LinearModel | EmbeddingModel
    if model == "linear":
        fitted = fit_linear(encoded.indptr, encoded.ids, task.rows, task.labels, **given)
        learned = LinearModel(tuple(task.categories), *fitted.arrays, settings=own, text=settings.text)
    else:
        none = np.zeros(0, np.uint32), np.zeros(0, np.int16)
        fitted = fit_embedding(encoded.indptr, encoded.ids, task.rows, task.labels, held=none, **given)
        learned = EmbeddingModel(tuple(task.categories), *fitted.arrays, settings=own, text=settings.text)
    seconds = time.perf_counter() - started
    logits = learned.logits(encoded.indptr, encoded.ids, task.test, threads)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    found = evaluate(task.test_labels, chances, task.categories)
    counts = np.bincount(task.test_labels, minlength=len(task.categories))
    right = np.bincount(task.test_labels[logits.argmax(axis=1) == task.test_labels], minlength=len(counts))
    recall = np.where(counts, right / np.maximum(counts, 1), np.nan)
    return Outcome(found.accuracy, found.macro.f1, recall, seconds)


def table(found: dict[tuple[str, str], list[Outcome]]) -> str:
    """Accuracy and macro F1."""
    lines = ["| model | order | accuracy | macro F1 | beside streamed | s |", "|---|---|---|---|---|---:|"]
    for (name, order), outcomes in found.items():
        accuracy, f1 = ([getattr(one, what) for one in outcomes] for what in ("accuracy", "macro_f1"))
        streamed = np.mean([one.accuracy for one in found[name, "streamed"]])
        behind = "" if order == "streamed" else f"{np.mean(accuracy) - streamed:+.4f}"
        seconds = np.median([one.seconds for one in outcomes])
        cells = [MODELS[name][0], ORDERS[order], *map(spread, (accuracy, f1)), behind, f"{seconds:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean ± standard deviation."""
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1 if len(values) > 1 else 0):.4f}"


def recalls(found: dict[tuple[str, str], list[Outcome]], task: Task, name: str) -> str:
    """Recall of each category by order, the categories by the median date of their training reviews."""
    orders = [order for own, order in found if own == name]
    lines = [
        "| category | half of its reviews until | training | held out | " + " | ".join(orders) + " |",
        "|---|---|---:|---:|" + "---:|" * len(orders),
    ]
    median = [
        np.median(task.days[task.labels == i]) if (task.labels == i).any() else 0
        for i in range(len(task.categories))
    ]
    for i in np.argsort(median).tolist():
        held = int((task.test_labels == i).sum())
        if not held:
            continue
        day = dt.date(1970, 1, 1) + dt.timedelta(days=int(median[i]))
        cells = [f"`{task.categories[i]}`", f"{day:%Y-%m}", f"{(task.labels == i).sum():,}", f"{held:,}"]
        cells += [f"{np.mean([one.recall[i] for one in found[name, order]]):.2f}" for order in orders]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def prepared_of(source: str, home: Path) -> Path:
    """The folder of prepared reviews."""
    given = Path(source)
    if (given / "reviews").is_dir():
        return given
    stands = sorted((given / "prepared").glob("*/reviews"))
    return stands[0].parent if stands else api.prepare(source, home / "workspace").folder


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="prepared reviews, a workspace, or reviews in any form")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--orders", nargs="+", default=list(ORDERS), choices=ORDERS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    found: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    tasks = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        prepared = prepared_of(options.source, home)
        for name in options.models:
            settings = settings_of(name, options, 0, None)
            spec = getattr(settings.train, MODELS[name][1])
            encoded = encode(prepared, home / name, settings, spec=spec)
            tasks[name] = task = task_of(encoded, settings)
            few = task._replace(rows=task.rows[:4096], labels=task.labels[:4096])
            run_one(name, "streamed", encoded, few, settings)  # compiles the kernels
            for seed in options.seeds:
                for order in dict.fromkeys(["streamed", *options.orders]):
                    own = settings_of(name, options, seed, 1 if order.endswith(" 1") else None)
                    outcome = run_one(name, order, encoded, task, own)
                    found[name, order].append(outcome)
                    told = "  ".join(f"{one:.4f}" for one in outcome[:2])
                    print(f"seed {seed}: {name}, {order}: {told}  {outcome.seconds:.1f} s", flush=True)
    head = (
        f"{len(task.rows):,} training and {len(task.test):,} held-out reviews with dates; "
        f"{len(options.seeds)} seed(s); {options.threads} threads; {platform.machine()}, {os.cpu_count()} "
        f"processors, Python {platform.python_version()}; commit {commit()}; "
        f"{dt.datetime.now(dt.UTC).date()}."
    )
    parts = [f"Recall, {MODELS[name][0]}:\n\n{recalls(found, tasks[name], name)}" for name in options.models]
    text = "\n\n".join([head, table(found), *parts]) + "\n"
    print("\n" + text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
