"""The `embedding` model beside fastText and `linear`: same tokens, same product split, one run.

    python benchmarks/embedding.py reviews.parquet --seeds 0 1 2 --output embedding.md

Prints a Markdown table: accuracy and macro F1 on held-out products (mean and standard deviation over
seeds), seconds, and million words per second: the tokens of the training reviews times the epochs, over
the seconds from token strings to a fitted model (ours: encoding all reviews, counting, learning,
calibrating; fastText: writing its file, reading and learning). Bodies only. The methods take turns within
each seed, so that the load of the machine meets all of them: ratios stand, timings are only of this run.
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
from typing import Any

import numpy as np

from shelfcheck import api
from shelfcheck.config import BLAZINGTEXT, EmbeddingSettings, Settings, validate
from shelfcheck.models import split
from shelfcheck.models.encode import encode
from shelfcheck.models.train import labels_for, learnable
from train import Row, Task, body_tokens, commit, fasttext, warm_up
from train import linear as fit_and_judge

FIELDS = ["review_body"]
TUNED = {"vector_dim": 100, "learning_rate": 0.5, "min_count": 2}  # what suits fastText on these reviews
PLAIN = BLAZINGTEXT.model_dump() | {"fields": FIELDS}

# What each method is called, its model and settings; None for fastText's own.
METHODS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "linear": ("linear", "linear", {}),
    "ours": ("embedding, our defaults", "embedding", {}),
    "plain": ("embedding as fastText: dim 100, rate .5", "embedding", PLAIN | TUNED),
    "fasttext": ("fastText: dim 100, rate .5", "fasttext", PLAIN | TUNED),
    "plain-original": ("embedding, BlazingText's defaults", "embedding", PLAIN),
    "fasttext-original": ("fastText, BlazingText's defaults", "fasttext", PLAIN),
}


def settings_of(model: str, own: dict[str, Any], options: argparse.Namespace, seed: int) -> Settings:
    """Settings of one of our methods."""
    return validate(
        {
            "run": {"threads": options.threads, "seed": seed},
            "train": {"model": model, model: {"fields": FIELDS} | own},
        }
    )


def epochs_of(name: str) -> int:
    """Passes that a method makes."""
    _, model, own = METHODS[name]
    default = EmbeddingSettings() if model != "linear" else validate({}).train.linear
    epochs: int = own.get("epochs", default.epochs)
    return epochs


def run(prepared: Path, home: Path, options: argparse.Namespace) -> tuple[dict[str, list[Row]], int]:
    """Run every method with every seed; also the number of words of the training reviews."""
    encoded = encode(prepared, home / "any", settings_of("linear", {}, options, 0))
    settings = settings_of("linear", {}, options, 0).train
    categories, _ = learnable(encoded, settings)
    labels = labels_for(encoded, categories)
    texts = body_tokens(prepared, encoded.rows()["review_id"])
    test = split.is_test(encoded.bucket, settings.test_share)
    held = split.is_calibration(encoded.bucket, settings.test_share, settings.calibration_share)
    known = labels >= 0
    task = Task(texts, labels, categories, known & ~test & ~held, known & test, options.threads)
    words = sum(len(text.split()) for text in texts[task.train])
    print(f"{task.train.sum():,} training reviews, {words:,} words, {task.test.sum():,} held-out reviews")
    found: dict[str, list[Row]] = defaultdict(list)
    for seed in options.seeds:
        for name in options.methods:
            _, model, own = METHODS[name]
            if model == "fasttext":
                row = fasttext(
                    task,
                    dim=own["vector_dim"],
                    wordNgrams=own["word_ngrams"],
                    lr=own["learning_rate"],
                    epoch=own["epochs"],
                    minCount=own["min_count"],
                    bucket=own["buckets"],
                    seed=seed,
                )
            else:
                ours = settings_of(model, own, options, seed)
                started = time.perf_counter()
                spec = ours.train.linear if model == "linear" else ours.train.embedding
                encoded = encode(prepared, home / name, ours, spec=spec)
                seconds = time.perf_counter() - started
                row = fit_and_judge(encoded, ours, encoded.bucket, seconds)
            found[name].append(row)
            print(f"seed {seed}: {METHODS[name][0]}: " + "  ".join(f"{v:.4f}" for v in row), flush=True)
    return found, words


def table(found: dict[str, list[Row]], words: int, options: argparse.Namespace) -> str:
    """The Markdown table; speed is beside fastText at the same settings where there is one."""
    head = (
        f"{len(options.seeds)} seed(s), mean ± standard deviation; {options.threads} threads; "
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; "
        f"commit {commit()}; {dt.datetime.now(dt.UTC).date()}."
    )
    lines = [
        head,
        "",
        "| method | accuracy | macro F1 | ECE | total s | of it fit s | Mwords/s | beside fastText |",
        "|---|---|---|---|---|---|---|---|",
    ]
    seconds = {name: float(np.median([row.encode + row.fit for row in rows])) for name, rows in found.items()}
    speed = {name: words * epochs_of(name) / 1e6 / seconds[name] for name in found}
    for name, rows in found.items():
        values = np.array(rows)
        mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1 if len(rows) > 1 else 0)
        peer = "fasttext-original" if name.endswith("original") else "fasttext"
        cells = [METHODS[name][0]]
        cells += [f"{mean[i]:.4f} ± {sd[i]:.4f}" for i in range(3)]
        cells += [f"{seconds[name]:.1f}", f"{np.median(values[:, 4]):.1f}", f"{speed[name]:.2f}"]
        cells.append(f"{speed[name] / speed[peer]:.1f} ×" if peer in speed else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def warm_embedding(home: Path, options: argparse.Namespace) -> None:
    """Compile the kernels on the made-up reviews of `warm_up`."""
    warm_up(home, options)
    for own in ({}, PLAIN):
        settings = settings_of("embedding", own, options, 0)
        encoded = encode(home / "warm", home / "warm-body", settings, spec=settings.train.embedding)
        fit_and_judge(encoded, settings, encoded.bucket, 0)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="reviews in any form, or a folder of prepared reviews")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        prepared = Path(options.source)
        if not (prepared / "reviews").is_dir():
            prepared = api.prepare(options.source, home / "workspace").folder
        warm_embedding(home, options)
        text = table(*run(prepared, home, options), options)
    print("\n" + text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
