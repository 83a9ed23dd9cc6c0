"""Models that go on learning when reviews were added, with `train.update = "continue"`.

A model may go on where one may stand with `keep`: old reviews are unchanged, the classes are the same, and
the reviews have grown by no more than `train.max_growth` since it last began from nothing. It needs the
state of learning beside it, which a run with `continue` leaves. The result is not that of a full run and
carries the fingerprint of what it went on from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shelfcheck.pipeline.keeping import CONTINUED_FROM, Learned, growth, learned_now, standing_models
from shelfcheck.pipeline.names import ENCODED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.models.continuing import Start
    from shelfcheck.stages import Context


@dataclass(frozen=True)
class Learning:
    """How models of a stage are learned in this run.

    Attributes:
        learned: from what.
        checkpoint: for unfinished work: another one for everything that it may go on from.
        start: what to go on from; None: from nothing.
        counts: what to tell of it.
    """

    learned: Learned
    checkpoint: Checkpoint
    start: Start | None = None
    counts: dict[str, Any] = field(default_factory=dict)


def model_learning(context: Context) -> Learning:
    """How the model is learned: from the one that stands, or from nothing."""
    if context.settings.train.model != "linear":
        return _anew(context)
    return _learning(context, _classes_of_model, lambda folder: [folder])


def folds_learning(context: Context) -> Learning:
    """How the models of the folds are learned: from those that stand, or from nothing."""
    folds = range(context.settings.audit.folds)
    return _learning(context, _classes_of_folds, lambda folder: [folder / f"fold-{fold}" for fold in folds])


def _learning(
    context: Context,
    same_classes: Callable[[Context, Path], bool],
    models: Callable[[Path], list[Path]],
) -> Learning:
    from shelfcheck.models.continuing import STATE, Start  # noqa: PLC0415 - loads when a stage runs

    found = standing_models(context, "continue")
    if found is None or context.standing is None:
        return _anew(context)
    folder, before = found
    now = learned_now(context)
    whole = all((model / STATE).is_file() for model in models(folder))
    if now.prepared == before.prepared or not whole or not same_classes(context, folder):
        return _anew(context)
    epochs = context.settings.train.continue_epochs
    base = context.standing.manifest.fingerprint
    context.carried[CONTINUED_FROM] = f"{base} +{epochs}"
    return Learning(
        replace(now, reviews=before.reviews),
        context.checkpoint.part(f"continued-{base[:12]}-{epochs}"),
        Start(folder, epochs),
        {"continued_while_reviews_grew": growth(context, before)},
    )


def _anew(context: Context) -> Learning:
    return Learning(learned_now(context), context.checkpoint)


def _classes_of_model(context: Context, folder: Path) -> bool:
    from shelfcheck.models.encoded import Encoded  # noqa: PLC0415 - loads when a stage runs
    from shelfcheck.models.labels import labelled  # noqa: PLC0415

    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    given = labelled(Encoded.open(context.inputs[ENCODED]), context.settings.train)
    return set(given.encoded.categories) == set(card["categories"])


def _classes_of_folds(context: Context, folder: Path) -> bool:
    from shelfcheck.models.encoded import Encoded  # noqa: PLC0415 - loads when a stage runs
    from shelfcheck.models.train import learnable  # noqa: PLC0415

    told = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    found, _ = learnable(Encoded.open(context.inputs[ENCODED]), context.settings.train)
    return set(found) == set(told["categories"])
