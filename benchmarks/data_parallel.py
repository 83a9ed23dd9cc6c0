"""Learn `linear` in shards, and see what it costs in accuracy and what would travel.

    python benchmarks/data_parallel.py WORKSPACE
    python benchmarks/data_parallel.py WORKSPACE --on validation --shards 8 --rules met:sum:0 growth:mean:0
    python benchmarks/data_parallel.py WORKSPACE --shards 4 --spark 'local[2]'

WORKSPACE holds encoded reviews (`shelfcheck train` makes them). Shards are learned in this process, by the
code that Spark's tasks run; `--spark` learns each number of shards on Spark besides, and says whether the
model is the same to the bit. Prints a Markdown table: accuracy, macro F1 and log loss on held-out products
(or on those that the model is calibrated on, to choose by), the points behind one shard with the same seed,
the MB of changes that come back in an epoch (MB), these as a share of all shards sending all parameters as
often, and processor seconds of the whole, which beside other work say little.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import subprocess
import time
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

import numpy as np

from shelfcheck.config import validate
from shelfcheck.models import fitting, shards, shards_spark, split
from shelfcheck.models.averaging import GROWTH, RULE, STRETCH, Average
from shelfcheck.models.blocks import where
from shelfcheck.models.examples import Examples
from shelfcheck.models.labels import labelled
from shelfcheck.models.train import fit_calibrated, judge, open_examples
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.config import Settings
    from shelfcheck.models.linear import LinearModel

BEST = f"{RULE}:{GROWTH}:{STRETCH}"
travelled: list[
    tuple[int, int]
] = []  # of each step: bytes of changes, bytes of all parameters for all shards


class Counted(shards.Threads):
    """Workers in this process that count what would travel."""

    def step(self, number: int, start: shards.Parameters, progress: object) -> Iterator[shards.Learned]:
        """Learn, and count."""
        back, shards_done = 0, 0
        for learned in super().step(number, start, progress):
            back += sum(values.nbytes for values in learned.change)
            shards_done += 1
            yield learned
        travelled.append((back, shards_done * sum(values.nbytes for values in start)))


class Row(NamedTuple):
    """One model."""

    accuracy: float
    macro_f1: float
    log_loss: float
    megabytes: float
    share: float
    seconds: float


def learned(  # noqa: PLR0917 - what varies
    examples: Examples, options: argparse.Namespace, n: int, rule: str, averages: int, seed: int
) -> tuple[LinearModel, Row]:
    """Learn in shards by a rule, and judge."""
    settings = settings_for(options, n, averages, seed)
    weighed, growth, stretch = rule.split(":")
    travelled.clear()
    started = time.process_time()
    with (
        patch.object(
            shards, "Average", partial(Average, rule=weighed, growth=growth, stretch=float(stretch))
        ),
        patch.object(fitting, "Threads", Counted),
    ):
        model = fit_calibrated(examples, settings, examples.encoded.bucket)
    seconds = time.process_time() - started
    found = judge(model, *judged(examples, settings, options.on), options.threads)
    back, dense = (sum(one[i] for one in travelled) / settings.train.linear.epochs for i in (0, 1))
    return model, Row(
        found.accuracy, found.macro.f1, found.nll, back / 1e6, back / dense if dense else 0.0, seconds
    )


def judged(examples: Examples, settings: Settings, on: str) -> tuple[Examples, np.ndarray]:
    """The reviews to judge by, with their classes."""
    given = labelled(examples.encoded, settings.train)
    parts = split.split(given.encoded, settings.train)
    chosen = parts.test if on == "test" else parts.held
    return Examples(given.encoded), where(len(chosen), lambda block: chosen[block])


def settings_for(options: argparse.Namespace, n: int, averages: int, seed: int, **more: object) -> Settings:
    """Everything but the shards as it is by default."""
    told = {
        "run": {"threads": options.threads, "seed": seed},
        "train": {"linear": {"shards": n, "averages": averages}},
    }
    if options.epochs:
        told["train"]["linear"]["epochs"] = options.epochs
    told["run"] |= more.pop("run", {})
    return validate(told | more)


def on_spark(
    examples: Examples, options: argparse.Namespace, n: int, averages: int, model: LinearModel
) -> str:
    """Learn the same on Spark; what there is to tell."""
    spark = {"master": options.spark, "memory": "1g"}
    settings = settings_for(options, n, averages, options.seeds[0], run={"engine": "spark"}, spark=spark)
    made: list[shards_spark.SparkWorkers] = []
    begin = shards_spark.SparkWorkers.__init__

    def kept(self: shards_spark.SparkWorkers, *given: object) -> None:
        begin(self, *given)
        made.append(self)

    with patch.object(shards_spark.SparkWorkers, "__init__", kept):
        other = fit_calibrated(examples, settings, examples.encoded.bucket)
    same = np.array_equal(other.weights, model.weights) and np.array_equal(other.bias, model.bias)
    epochs = 1e6 * settings.train.linear.epochs
    sent, back = sum(made[0].sent) / epochs, sum(made[0].returned) / epochs
    return (
        f"{n} shards on {options.spark}: {'the same model, bit for bit' if same else 'ANOTHER MODEL'}; an "
        f"epoch writes {sent:.1f} MB of parameters and {back:.1f} MB of changes."
    )


def table(rows: dict[tuple[str, int, int], list[Row]], base: list[Row], options: argparse.Namespace) -> str:
    """The Markdown table."""
    head = (
        f"On {options.on} products; seeds {', '.join(map(str, options.seeds))}: mean ± standard deviation; "
        f"{options.threads} thread(s), {platform.machine()}, commit {commit()}, {dt.datetime.now(dt.UTC):%F}."
    )
    lines = [
        head,
        "",
        "| shards | averages | rule | accuracy | macro F1 | log loss | behind | MB | share | CPU s |",
        "|---:|---:|---|---|---|---|---|---:|---:|---:|",
    ]
    for (rule, averages, n), found in rows.items():
        values = np.array(found)
        mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1 if len(found) > 1 else 0)
        behind = 100 * (np.array([row.accuracy for row in base]) - values[:, 0])
        spread = behind.std(ddof=1 if len(found) > 1 else 0)
        quality = [f"{mean[i]:.4f} ± {sd[i]:.4f}" for i in range(3)]
        told = [f"{behind.mean():.2f} ± {spread:.2f}", f"{mean[3]:.0f}", f"{mean[4]:.0%}", f"{mean[5]:.0f}"]
        lines.append(
            "| " + " | ".join([str(n), *((str(averages), rule) if n > 1 else "––"), *quality, *told]) + " |"
        )
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
    parser.add_argument("workspace", type=Path, help="a workspace, or a folder of encoded reviews")
    parser.add_argument("--shards", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument(
        "--rules", nargs="+", default=[BEST], help="all, met or growth : sum or mean : stretch"
    )
    parser.add_argument("--averages", type=int, nargs="+", default=[1, 4], help="how often in an epoch")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, help="as by default when not given")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--on", choices=["test", "validation"], default="test")
    parser.add_argument("--spark", metavar="MASTER", help="learn on Spark besides, e.g. local[2]")
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    folder = options.workspace
    if not (folder / "meta.json").exists():
        folder = Workspace(folder).path("encoded", made_by="shelfcheck train")
    examples = open_examples(folder)
    rows: dict[tuple[str, int, int], list[Row]] = {}
    told = []
    base = options.rules[0], options.averages[0], 1
    for rule, averages, n in [base, *product(options.rules, options.averages, options.shards)]:
        for seed in options.seeds:
            model, row = learned(examples, options, n, rule, averages, seed)
            rows.setdefault((rule, averages, n), []).append(row)
            print(n, averages, rule, seed, "  ".join(f"{value:.4f}" for value in row), flush=True)
            if options.spark and n > 1 and seed == options.seeds[0] and rule == BEST:
                told.append(on_spark(examples, options, n, averages, model))
                print(told[-1], flush=True)
    text = table(rows, rows[base], options) + "".join(f"\n{line}\n" for line in told)
    print("\n" + text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
