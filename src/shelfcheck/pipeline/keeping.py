"""Models that stand while reviews are added: whether they may judge the new ones, by `train.update`.

Beside what it learned, a stage writes `learned.json`: from which prepared reviews, how they were encoded, and
how many they were. A later run with `train.update = "keep"` takes the models over when its reviews are those
and new ones, no more than `train.max_growth` of them; with `continue` they go on learning (`continuing`).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.pipeline.names import ENCODED, PREPARED
from shelfcheck.stages import carried

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.stages import Context

LEARNED_FILE: Final = "learned.json"
LEARNED_FROM: Final = "learned_from"
"""What a stage carries: fingerprint of the prepared reviews that its models were learned from."""
CONTINUED_FROM: Final = "continued_from"
"""What a stage carries: fingerprint of the models that it went on from, and for how many epochs."""


@dataclass(frozen=True)
class Learned:
    """What models were learned from.

    Attributes:
        prepared: fingerprint of the prepared reviews.
        encoding: how they were encoded: format, fields, n-grams, text settings.
        reviews: how many were encoded when they were last learned from nothing.
    """

    prepared: str
    encoding: dict[str, Any]
    reviews: int


def carries(settings: Settings) -> tuple[str, ...]:
    """What models may carry: with `keep`, those that went on may stand, too; with `continue` they alone."""
    allowed = {"retrain": (), "keep": (LEARNED_FROM, CONTINUED_FROM), "continue": (CONTINUED_FROM,)}
    return allowed[settings.train.update]


def learned_now(context: Context) -> Learned:
    """What models that a stage learns in this run are learned from."""
    told = json.loads((context.inputs[ENCODED] / "meta.json").read_text(encoding="utf-8"))
    encoding = {
        name: told[name] for name in ("format", "fields", "hash_bits", "word_ngrams", "prefixes", "text")
    }
    made = context.workspace.manifest(ENCODED)
    return Learned("" if made is None else made.inputs[PREPARED], encoding, told["rows"])


def standing_models(context: Context, update: str) -> tuple[Path, Learned] | None:
    """The folder of models that stand and may be updated so, and what they were learned from."""
    standing, settings = context.standing, context.settings
    if standing is None or not standing.same_work or settings.train.update != update:
        return None
    file = standing.folder(LEARNED_FILE) / LEARNED_FILE
    if not file.is_file():
        return None
    learned = Learned(**json.loads(file.read_text(encoding="utf-8")))
    now = learned_now(context)
    if learned.encoding != now.encoding or now.reviews > (1 + settings.train.max_growth) * learned.reviews:
        return None
    if learned.prepared != now.prepared and learned.prepared not in _ancestors(context):
        return None
    return standing.folder(), learned


def write_learned(out: Path, learned: Learned) -> None:
    """Write `learned.json`."""
    text = json.dumps(asdict(learned), indent=1, ensure_ascii=False)
    (out / LEARNED_FILE).write_text(f"{text}\n", encoding="utf-8")


def take_over_model(context: Context) -> Mapping[str, Any] | None:
    """Put the model that stands in the place of one that would be learned; None where it may not stay."""
    kept = standing_models(context, "keep")
    standing = context.standing
    if kept is None or standing is None:
        return None
    folder, learned = kept
    if not _knows_all_classes(context, folder):
        return None
    shutil.copytree(folder, context.out, dirs_exist_ok=True)
    context.carried.update(carried(standing.manifest) | {LEARNED_FROM: learned.prepared})
    return {**standing.manifest.counts, "kept_while_reviews_grew": growth(context, learned)}


def take_over_folds(context: Context) -> Mapping[str, Any] | None:
    """Judge new reviews by the fold models that stand; None where these must be learned anew."""
    kept = standing_models(context, "keep")
    if kept is None or context.standing is None:
        return None
    from shelfcheck.predict.out_of_fold_added import add_out_of_fold  # noqa: PLC0415 - loads when it runs

    folder, learned = kept
    counts = add_out_of_fold(context.inputs[ENCODED], folder, context.out, context.settings, context.progress)
    if counts is None:
        return None
    write_learned(context.out, learned)
    context.carried.update(carried(context.standing.manifest) | {LEARNED_FROM: learned.prepared})
    return {**counts, "kept_while_reviews_grew": growth(context, learned)}


def growth(context: Context, learned: Learned) -> float:
    """By what share there are more reviews now than models last began from nothing with."""
    return round(learned_now(context).reviews / learned.reviews - 1, 4)


def _knows_all_classes(context: Context, folder: Path) -> bool:
    from shelfcheck.models.encoded import Encoded  # noqa: PLC0415 - loads when a stage runs
    from shelfcheck.models.labels import labelled  # noqa: PLC0415

    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    given = labelled(Encoded.open(context.inputs[ENCODED]), context.settings.train)
    return set(given.encoded.categories) <= set(card["categories"])


def _ancestors(context: Context) -> tuple[str, ...]:
    from shelfcheck.prepare.record import RECORD_FILE, read_record  # noqa: PLC0415 - loads pyarrow

    workspace = context.workspace
    record = read_record(workspace.path(PREPARED, made_by="shelfcheck run", only=(RECORD_FILE,)))
    return () if record is None else record.extends
