"""What models give that go on learning when reviews were added, beside those that stand or are learned anew.

    python benchmarks/continuing.py WORKSPACE --end 2015-05-31 --later 2016-12-31

The workspace holds encoded reviews with dates (`shelfcheck train`). Models are learned from the reviews
up to some month, then the rest up to `--end` comes: the model of before (`kept`), one learned anew, those
that go on for one to three epochs over all, and one that went on month by month. Products are held out by
their id, and models calibrated on others, as `train` does it. Printed: accuracy on the held-out products'
reviews of the earlier months, of those that were added, and of those after; learning steps in epochs over
all; processor seconds with one thread. Two models learned anew, from two seeds, tell what a difference is
worth.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shelfcheck.config import Settings
from shelfcheck.models import split
from shelfcheck.models.calibration import Calibration, product_weights
from shelfcheck.models.continuing import Start
from shelfcheck.models.encoded import NO_DAY, Encoded
from shelfcheck.models.linear import LinearModel
from shelfcheck.models.train import evaluate_rows, labels_for, learnable, product_codes
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    import numpy.typing as npt

MONTHS_BEFORE = (1, 5, 16)  # that come at once
EPOCHS = (1, 2, 3)


def day(date: dt.date) -> int:
    """Days since 1970."""
    return (date - dt.date(1970, 1, 1)).days


def months_before(end: dt.date, months: int) -> dt.date:
    """The last day of the month so many months before that of `end`."""
    number = end.year * 12 + end.month - months
    return dt.date(number // 12, number % 12 + 1, 1) - dt.timedelta(days=1)


@dataclass(frozen=True)
class Task:
    """Encoded reviews, and which of them are for what.

    Attributes:
        encoded: the reviews.
        settings: the defaults.
        categories: those to learn.
        days: day of each review; those without one, or without such a category, are NO_DAY.
    """

    encoded: Encoded
    settings: Settings
    categories: list[str]
    days: npt.NDArray[np.int64]

    @classmethod
    def of(cls, encoded: Encoded) -> Task:
        """Read what all models share."""
        settings = Settings()
        categories, _ = learnable(encoded, settings.train)
        known = labels_for(encoded, categories) >= 0
        return cls(encoded, settings, categories, np.where(known, np.asarray(encoded.day), NO_DAY))

    def rows(self, use: str, first: int, last: int) -> npt.NDArray[np.int64]:
        """Reviews to `train` on, to calibrate on (`held`) or to `test` on, after day `first` up to `last`."""
        parts = split.split(self.encoded, self.settings.train)
        return np.flatnonzero(getattr(parts, use) & (self.days > max(first, NO_DAY)) & (self.days <= last))

    def fit(self, last: int, start: Start | None = None, seed: int = 0) -> tuple[LinearModel, float]:
        """A model of the reviews up to a day, and its processor seconds."""
        rows = self.rows("train", NO_DAY, last)
        began = time.process_time()
        model = LinearModel.fit(
            self.encoded, rows, self.categories, self.settings.train.linear,
            threads=1, seed=seed, start=start, keep_state=True,
        )  # fmt: skip
        spent = time.process_time() - began
        held = self.rows("held", NO_DAY, last)
        logits = model.logits(self.encoded.indptr, self.encoded.ids, held, 1)
        weights = product_weights(product_codes(self.encoded, held))
        labels = labels_for(self.encoded, model.categories, held)
        return model.calibrated(Calibration.fit(logits, labels, weights)), spent

    def judge(self, model: LinearModel, base: int, end: int, later: int) -> dict[str, float]:
        """Accuracy on held-out products, by when their reviews were written."""
        spans = {"earlier": (NO_DAY, base), "added": (base, end), "later": (end, later)}
        found: dict[str, float] = {}
        for name, (first, last) in spans.items():
            judged = evaluate_rows(model, self.encoded, self.rows("test", first, last), 1)
            found |= {f"{name}: accuracy": judged.accuracy, f"{name}: macro F1": judged.macro.f1}
        return found


def measured(task: Task, months: int, end: dt.date, later: int, home: Path) -> dict[str, dict[str, Any]]:
    """Every way to come from the reviews of so many months ago to those of now."""
    ends = [day(months_before(end, n)) for n in range(months, -1, -1)]
    base, last = ends[0], ends[-1]
    found: dict[str, dict[str, Any]] = {}

    def tell(name: str, model: LinearModel, epochs: float, seconds: float) -> None:
        found[name] = task.judge(model, base, last, later) | {"epochs": epochs, "processor s": seconds}

    first, _ = task.fit(base)
    first.save(home / "before")
    tell("kept", first, 0, 0)
    anew = task.settings.train.linear.epochs
    for seed in (0, 1):
        model, spent = task.fit(last, seed=seed)
        tell(f"anew, seed {seed}", model, anew, spent)
    for epochs in EPOCHS:
        model, spent = task.fit(last, Start(home / "before", epochs))
        tell(f"on, {epochs} epochs", model, epochs, spent)
    if months > 1:
        place, total, epochs = home / "before", 0.0, task.settings.train.continue_epochs
        for number, upto in enumerate(ends[1:]):
            model, spent = task.fit(upto, Start(place, epochs))
            place = home / f"month-{number}"
            model.save(place)
            total += spent
        tell("on, month by month", model, epochs * months, total)
    n, old = (len(task.rows("train", NO_DAY, upto)) for upto in (last, base))
    return {f"{n - old:,} to {old:,} ({(n - old) / old:.1%}), {name}": one for name, one in found.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--end", type=dt.date.fromisoformat, required=True, help="a month's last day")
    parser.add_argument("--later", type=dt.date.fromisoformat, required=True)
    parser.add_argument("--months", type=int, nargs="*", default=MONTHS_BEFORE)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    task = Task.of(Encoded.open(Workspace(options.workspace).path("encoded", made_by="shelfcheck train")))
    found: dict[str, dict[str, Any]] = {}
    for months in options.months:
        with tempfile.TemporaryDirectory() as scratch:
            found |= measured(task, months, options.end, day(options.later), Path(scratch))
    if options.json:
        print(json.dumps(found, indent=1))
        return
    columns = list(next(iter(found.values())))
    print(f"| models | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for name, one in found.items():
        cells = (
            f"{one[key]:.1f}" if key in ("epochs", "processor s") else f"{one[key]:.4f}" for key in columns
        )
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
