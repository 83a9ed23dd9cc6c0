"""Train the `linear` model and its peers on the same tokens and the same product split.

    python benchmarks/train.py reviews.parquet --salts 0 1 2 --output train.md

Prints a Markdown table: accuracy, macro F1 (over categories that the held-out products have), expected
calibration error (15 equal-width bins of the top probability), and seconds. Every method learns from the
same training products and is judged on the same held-out ones; `linear` uses a further share of the
products to calibrate, which nobody learns from. Seconds are wall time from token strings to a fitted
model: `encode` makes features from all reviews (for peers: from the training reviews), `fit` learns.
Reading files and predicting are not counted. A small run first compiles the kernels and is not counted;
its seconds are told.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import api
from shelfcheck.config import Settings, validate
from shelfcheck.models import split
from shelfcheck.models.encode import Encoded, encode
from shelfcheck.models.evaluation import evaluate
from shelfcheck.models.examples import Examples
from shelfcheck.models.train import evaluate_rows, fit_calibrated, labels_for, learnable
from shelfcheck.prepare.read import iter_prepared

PEERS = ("svc", "svc-10k", "fasttext", "fasttext-original", "body", "both")


class Row(NamedTuple):
    """What one method reached on one split."""

    accuracy: float
    macro_f1: float
    ece: float  # nan where a method gives no probabilities
    encode: float
    fit: float


class Task(NamedTuple):
    """One split: texts (token strings of the body) and labels, in the order of the encoded reviews."""

    texts: np.ndarray
    labels: np.ndarray
    categories: list[str]
    train: np.ndarray
    test: np.ndarray
    threads: int


def svc(task: Task, **vectorizer: object) -> Row:
    """TF-IDF and a linear support vector machine of scikit-learn."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    started = time.perf_counter()
    tfidf = TfidfVectorizer(
        token_pattern=r"\S+",  # noqa: S106 - no password
        lowercase=False,
        **vectorizer,
    )
    x = tfidf.fit_transform(task.texts[task.train])
    encoded = time.perf_counter()
    model = LinearSVC().fit(x, task.labels[task.train])
    done = time.perf_counter()
    predicted = model.predict(tfidf.transform(task.texts[task.test]))
    sure = np.eye(len(task.categories), dtype=np.float32)[predicted]
    found = evaluate(task.labels[task.test], sure, task.categories)
    return Row(found.accuracy, found.macro.f1, float("nan"), encoded - started, done - encoded)


def fasttext(task: Task, **options: object) -> Row:
    """Supervised fastText."""
    import fasttext as ft

    ft.FastText.eprint = lambda *_: None
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        started = time.perf_counter()
        for text, label in zip(task.texts[task.train], task.labels[task.train], strict=True):
            file.write(f"__label__{label} {text}\n")
        file.flush()
        encoded = time.perf_counter()
        model = ft.train_supervised(file.name, thread=task.threads, verbose=0, **options)
        done = time.perf_counter()
    names, chances = model.predict(list(task.texts[task.test]), k=-1)
    p = np.zeros((len(names), len(task.categories)), np.float32)
    for i, (own, values) in enumerate(zip(names, chances, strict=True)):
        p[i, [int(name.removeprefix("__label__")) for name in own]] = values
    found = evaluate(task.labels[task.test], p, task.categories)
    return Row(found.accuracy, found.macro.f1, found.ece, encoded - started, done - encoded)


def linear(encoded: Encoded, settings: Settings, bucket: np.ndarray, seconds: float) -> Row:
    """Our model, calibration included in its time."""
    started = time.perf_counter()
    model = fit_calibrated(Examples(encoded), settings, bucket)
    done = time.perf_counter()
    test = np.flatnonzero(split.is_test(bucket, settings.train.test_share))
    found = evaluate_rows(model, encoded, test, settings.run.threads)
    return Row(found.accuracy, found.macro.f1, found.ece, seconds, done - started)


NAMES = {
    "svc": "tf-idf(1,2) + LinearSVC",
    "svc-10k": "tf-idf(10 k terms) + LinearSVC, the original's",
    "fasttext": "fastText, dim 100, pairs",
    "fasttext-original": "fastText, the original's settings",
    "body": "linear, body",
    "both": "linear, headline + body",
}


def settings_for(fields: tuple[str, ...], options: argparse.Namespace, seed: int = 0) -> Settings:
    """Default settings but for fields, threads and seed."""
    return validate(
        {"run": {"threads": options.threads, "seed": seed}, "train": {"linear": {"fields": list(fields)}}}
    )


def encoded_for(
    prepared: Path, out: Path, fields: tuple[str, ...], options: argparse.Namespace
) -> tuple[Encoded, float]:
    """Encode, and say how many seconds it took."""
    started = time.perf_counter()
    found = encode(prepared, out, settings_for(fields, options))
    return found, time.perf_counter() - started


def body_tokens(prepared: Path, review_ids: pa.ChunkedArray) -> np.ndarray:
    """Token strings of the bodies, in the order of the given ids."""
    table = pa.Table.from_batches(iter_prepared(prepared, ["review_id", "review_tokens"]))
    place = pc.index_in(review_ids, value_set=table["review_id"].combine_chunks())
    texts: np.ndarray = table["review_tokens"].take(place).to_numpy(zero_copy_only=False)
    texts[texts == None] = ""  # noqa: E711 - element-wise
    return texts


def run(prepared: Path, home: Path, options: argparse.Namespace) -> dict[str, list[Row]]:
    """Run every method on every split."""
    body, body_seconds = encoded_for(prepared, home / "body", ("review_body",), options)
    both, both_seconds = encoded_for(prepared, home / "both", ("review_headline", "review_body"), options)
    rows = body.rows()
    texts = body_tokens(prepared, rows["review_id"])
    settings = settings_for(("review_body",), options)
    categories, _ = learnable(body, settings.train)
    labels = labels_for(body, categories)
    found: dict[str, list[Row]] = defaultdict(list)
    for salt in options.salts:
        bucket = split.buckets(rows["product_id"], rows["review_id"], "" if salt == "0" else salt)
        test = split.is_test(bucket, settings.train.test_share)
        held = split.is_calibration(bucket, settings.train.test_share, settings.train.calibration_share)
        known = labels >= 0
        task = Task(texts, labels, categories, known & ~test & ~held, known & test, options.threads)
        for peer in options.peers:
            if peer == "svc":
                row = svc(task, ngram_range=(1, 2), sublinear_tf=True, min_df=2)
            elif peer == "svc-10k":
                row = svc(task, max_features=10_000)
            elif peer == "fasttext":
                row = fasttext(task, dim=100, wordNgrams=2, lr=0.5, epoch=5, minCount=2, bucket=2_000_000)
            elif peer == "fasttext-original":
                row = fasttext(task, dim=100, wordNgrams=2, lr=0.05, epoch=10, minCount=2)
            elif peer == "body":
                row = linear(body, settings, bucket, body_seconds)
            else:
                row = linear(both, settings_for(both.fields, options), bucket, both_seconds)
            found[peer].append(row)
            print(f"split {salt}: {NAMES[peer]}: " + "  ".join(f"{v:.4f}" for v in row), flush=True)
        print(
            f"split {salt}: {task.train.sum():,} training, {task.test.sum():,} held-out reviews", flush=True
        )
    if options.seeds > 1:
        spread = [
            linear(both, settings_for(both.fields, options, s), both.bucket, 0) for s in range(options.seeds)
        ]
        values = [row.accuracy for row in spread]
        print(f"headline + body, {options.seeds} seeds: accuracy {min(values):.4f}..{max(values):.4f}")
    return found


def table(found: dict[str, list[Row]], options: argparse.Namespace) -> str:
    """The Markdown table."""
    splits = len(options.salts)
    head = (
        f"{splits} product split(s); mean ± standard deviation over splits; {options.threads} threads; "
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; "
        f"commit {commit()}; {dt.datetime.now(dt.UTC).date()}."
    )
    lines = [
        head,
        "",
        "| method | accuracy | macro F1 | ECE | encode s | fit s | total s | speed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = np.mean([row.encode + row.fit for row in found["svc"]]) if "svc" in found else None
    for peer, rows in found.items():
        values = np.array(rows)
        mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1 if splits > 1 else 0)
        total = mean[3] + mean[4]
        cells = [NAMES[peer]]
        cells += [f"{mean[i]:.4f} ± {sd[i]:.4f}" if np.isfinite(mean[i]) else "–" for i in range(3)]
        cells += [f"{mean[3]:.1f}", f"{mean[4]:.1f}", f"{total:.1f}"]
        cells.append(f"{base / total:.1f} ×" if base else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def commit() -> str:
    """The commit that is measured."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="reviews in any form, or a folder of prepared reviews")
    parser.add_argument(
        "--salts", nargs="+", default=["0"], help="product splits to draw; 0 is the default one"
    )
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1, help="seeds of which to state the spread")
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        prepared = Path(options.source)
        if not (prepared / "reviews").is_dir():
            prepared = api.prepare(options.source, home / "workspace").folder
        started = time.perf_counter()
        warm_up(home, options)
        print(f"compiling and loading: {time.perf_counter() - started:.1f} s", flush=True)
        text = table(run(prepared, home, options), options)
    print("\n" + text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


def warm_up(home: Path, options: argparse.Namespace) -> None:
    """Compile the kernels on a few made-up reviews."""
    import pyarrow.parquet as pq

    from shelfcheck.schema import PREPARED_SCHEMA

    folder = home / "warm" / "reviews" / "review_month=2015-01"
    folder.mkdir(parents=True)
    rows = [
        {
            "review_id": f"R{i}",
            "product_id": f"P{i}",
            "product_category": "ab"[i % 2],
            "review_headline": "x",
            "review_tokens": f"w{i % 2} w{i % 5}",
        }
        for i in range(2000)
    ]
    schema = pa.schema([field for field in PREPARED_SCHEMA if field.name != "review_month"])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "part-00000.parquet")
    encoded, _ = encoded_for(
        home / "warm", home / "warm-encoded", ("review_headline", "review_body"), options
    )
    linear(encoded, settings_for(encoded.fields, options), encoded.bucket, 0)


if __name__ == "__main__":
    main()
