"""Tune models and judge default and tuned settings on held-out products, which no trial has seen.

    python benchmarks/tune.py prepared/ --models linear embedding --trials 30 --products 0.3 --output tune.md

Prints a Markdown table: accuracy and macro F1 of the defaults and of the best settings on validation products
(by which the best were chosen) and on test products (by which nothing was), the seconds of the study, and how
many trials were stopped early.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shelfcheck import api
from shelfcheck.config import Settings, validate
from shelfcheck.models import split
from shelfcheck.models.encode import encode
from shelfcheck.models.labels import labelled
from shelfcheck.models.train import fit_calibrated, judge, open_examples
from shelfcheck.progress import NullProgress
from shelfcheck.schema import PRODUCT_ID, REVIEW_ID
from shelfcheck.tuning import space_of, tune

if TYPE_CHECKING:
    from shelfcheck.models.examples import Examples


def subset(examples: Examples, share: float) -> Examples:
    """The same reviews, those of other products without a class, which nothing reads then."""
    if share >= 1:
        return examples
    rows = examples.encoded.rows()
    own = split.buckets(
        rows.column(PRODUCT_ID).combine_chunks(), rows.column(REVIEW_ID).combine_chunks(), "subset"
    )
    label = np.where(own < round(1000 * share), examples.encoded.label, -1).astype(np.int16)
    return replace(examples, encoded=replace(examples.encoded, label=label))


def judged(examples: Examples, settings: Settings) -> tuple[float, float]:
    """Accuracy and macro F1 on test products."""
    model = fit_calibrated(examples, settings)
    given = labelled(examples.encoded, settings.train)
    own = replace(examples, encoded=given.encoded)
    test = np.flatnonzero(split.split(given.encoded, settings.train).test & (given.encoded.label >= 0))
    found = judge(model, own, test, settings.run.threads)
    return found.accuracy, found.macro.f1


def row(examples: Examples, name: str, home: Path, options: argparse.Namespace) -> str:
    """Tune one model: a row of the table."""
    model, _, space = name.partition(":")
    settings = validate(
        {"run": {"threads": options.threads, "seed": options.seed}, "train": {"model": model}}
    )
    given = replace(examples, encoded=labelled(examples.encoded, settings.train).encoded)
    started = time.perf_counter()
    result = tune(
        given,
        settings,
        space_of(model, space or "default"),
        home / name.replace(":", "-"),
        NullProgress(),
        trials=options.trials,
        jobs=1,
        timeout=options.minutes,
    )
    seconds = time.perf_counter() - started
    if result.best is None:
        raise SystemExit(f"{name}: no trial came to its end; give it more --minutes")
    stopped = result.trials["state"].to_pylist().count("stopped early")
    before, after = judged(examples, settings), judged(examples, result.best)
    own = getattr(result.best.train, model)
    best = ", ".join(
        f"{one.name} {getattr(own, one.name):.3g}"
        if not one.choices
        else f"{one.name} {getattr(own, one.name)}"
        for one in space_of(model, space or "default").dimensions
    )
    print(f"{name}: {best}", flush=True)
    default = "–" if result.default_value is None else f"{result.default_value:.4f}"
    return (
        f"| {name} | {default} | {result.best_value:.4f} | {before[0]:.4f} | {after[0]:.4f} | "
        f"{before[1]:.4f} | {after[1]:.4f} | {result.trials.num_rows} ({stopped}) | {seconds:.0f} |"
    )


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="reviews in any form, or a folder of prepared reviews")
    parser.add_argument("--models", nargs="+", default=["linear", "embedding"], help="name or name:space")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--minutes", type=float, help="end each study after these")
    parser.add_argument("--products", type=float, default=0.3, help="share of the products that is used")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        prepared = Path(options.source)
        if not (prepared / "reviews").is_dir():
            prepared = api.prepare(options.source, home / "workspace").folder
        encode(prepared, home / "encoded", validate({"run": {"threads": options.threads}}))
        examples = subset(open_examples(home / "encoded", prepared, home / "cache"), options.products)
        lines = [row(examples, name, home, options) for name in options.models]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parent,
    ).stdout.strip()  # fmt: skip
    head = (
        f"{options.products:.0%} of the products, {int((examples.label >= 0).sum()):,} reviews; "
        f"{options.threads} threads; {platform.machine()}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}; commit {commit or 'unknown'}; {dt.datetime.now(dt.UTC).date()}."
    )
    columns = (
        "| model | validation, default | tuned | test accuracy, default | tuned | test macro F1, default "
        "| tuned | trials (stopped early) | s |"
    )
    text = "\n".join([head, "", columns, "|---|---|---|---|---|---|---|---|---|", *lines])
    print("\n" + text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
