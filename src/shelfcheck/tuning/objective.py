"""What a trial is judged by: how well it predicts validation products.

A trial learns from a ninth of the training products, then from a third, then from all, and stops as soon as
it does worse than half of the others did at that share (successive halving by data: Jamieson and Talwalkar,
AISTATS 2016; the median rule: Golovin et al., Google Vizier, KDD 2017). It asks nothing of a model but to
learn.

Validation products are those that calibration uses. Test products are never looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models import split
from shelfcheck.models.kinds import model_class
from shelfcheck.models.train import labels_for
from shelfcheck.progress import NullProgress
from shelfcheck.schema import PRODUCT_ID, REVIEW_ID

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.config import Settings
    from shelfcheck.models.examples import Examples

Metric = Literal["accuracy", "macro_f1"]

STEPS: Final = (1, 3, 9)  # ninths of the training products
LEAST_REVIEWS: Final = 2000  # to learn from; a smaller share says too little
_SALT: Final = "tuning"


@dataclass(frozen=True)
class Task:
    """Reviews to learn from and to judge by.

    Attributes:
        examples: reviews with the classes to learn.
        rows: int64, for each step the reviews to learn from.
        steps: the steps of STEPS that have enough reviews; the last is the whole.
        held: int64, the reviews of validation products.
        metric: what is maximised.
    """

    examples: Examples
    rows: tuple[npt.NDArray[np.int64], ...]
    steps: tuple[int, ...]
    held: npt.NDArray[np.int64]
    metric: Metric

    @classmethod
    def of(cls, examples: Examples, settings: Settings, metric: Metric, share: float = 1.0) -> Task:
        """Split labelled reviews.

        Args:
            examples: reviews with the classes to learn.
            settings: `train` says the split.
            metric: what is maximised.
            share: of the training products that the last step learns from, in (0, 1].

        Raises:
            NotEnoughDataError: there is nothing to learn from or to judge by.
        """
        parts = split.split(examples.encoded, settings.train)
        known = examples.label >= 0
        rows, held = np.flatnonzero(parts.train & known), np.flatnonzero(parts.held & known)
        if len(rows) == 0 or len(held) == 0:
            raise NotEnoughDataError(
                f"{len(rows)} reviews to learn from and {len(held)} of validation products, must be >= 1 "
                "each. Add reviews, or raise train.calibration_share."
            )
        batches = examples.encoded.batches([PRODUCT_ID, REVIEW_ID])
        own = np.concatenate([split.buckets(batch.column(0), batch.column(1), _SALT) for batch in batches])[
            rows
        ]
        parts_of = [rows[own < round(split.BUCKETS * share * step / STEPS[-1])] for step in STEPS]
        kept = [i for i, part in enumerate(parts_of) if len(part) >= LEAST_REVIEWS or i == len(STEPS) - 1]
        return cls(examples, tuple(parts_of[i] for i in kept), tuple(STEPS[i] for i in kept), held, metric)


class Score:
    """A function of settings and a step: learns, and says how good the model is on validation products."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.seconds = 0.0

    def __call__(self, settings: Settings, place: int) -> float:
        """The metric, 0..1.

        Args:
            settings: `train` and `run` are read.
            place: of the step among `task.steps`.

        Raises:
            NotEnoughDataError: these settings leave nothing to learn from.
        """
        started = time.perf_counter()
        task = self.task
        rows = task.rows[place]
        model = model_class(settings.train.model).learn(
            task.examples, rows, task.held, settings, NullProgress()
        )
        logits = model.logits_of(task.examples, task.held, settings.run.threads)
        labels = labels_for(task.examples.encoded, model.categories)[task.held]
        predicted = logits.argmax(axis=1)
        self.seconds += time.perf_counter() - started
        # A class that was not learned is an error, never a hit: its label is -1.
        if task.metric == "accuracy":
            return float((predicted == labels).mean())
        return macro_f1(labels, predicted, logits.shape[1])


def macro_f1(labels: npt.NDArray[np.int16], predicted: npt.NDArray[np.intp], classes: int) -> float:
    """The mean F1 over the classes that the labels have; -1 counts as one more class, of which none is hit.

    Args:
        labels: (n), -1..classes-1.
        predicted: (n), 0..classes-1.
        classes: their number.
    """
    support = np.bincount(labels + 1, minlength=classes + 1)
    named = np.bincount(predicted + 1, minlength=classes + 1)
    hits = np.bincount(labels[labels == predicted] + 1, minlength=classes + 1)
    present = support > 0
    return float((2 * hits[present] / (support[present] + named[present])).mean())
