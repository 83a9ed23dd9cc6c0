"""Writes prepared reviews as the training files of BlazingText and fastText, with the split the models use.

    OUTPUT/train/train-00000.jsonl[.gz]     and so for validation/ and test/: a folder a channel
    OUTPUT/label_map.json                   category -> number, where labels are numbers
    OUTPUT/manifest.json                    settings, counts, every file with rows, bytes, SHA-256; last
    OUTPUT/export.partial.json              the same while the export is going on

The same reviews and options give the same bytes. A killed export goes on after the last finished file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.export.journal import ExportedFile, Journal
from shelfcheck.export.lines import fasttext_lines, manifest_lines
from shelfcheck.export.rows import SIDES, Counts, Reader, Shuffled, gather, parts_of, scatter
from shelfcheck.export.shards import Shards
from shelfcheck.graph.folder import Folder
from shelfcheck.prepare.read import count_prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.export.options import Options
    from shelfcheck.progress import Progress

_FORMAT: Final = 1
_SPLIT: Final = (
    "label",
    "split",
    "split_date",
    "test_share",
    "calibration_share",
    "min_category_reviews",
    "min_class_share",
)


@dataclass(frozen=True)
class LabelledExport:
    """What an export wrote, found written, or would write.

    Attributes:
        output: the folder.
        form: of its files.
        rows: side -> reviews; the sides are `train`, `validation`, `test`.
        labels: class -> its number and its reviews on each side.
        left_out: reason -> reviews: `no_label`, `no_text`, `no_side` (no date, split by time), `small_class`.
        files: every file, by side; none of a dry run.
        reused: how many of them stood there from an earlier export.
    """

    output: str
    form: str
    rows: dict[str, int]
    labels: dict[str, dict[str, int]]
    left_out: dict[str, int]
    files: tuple[ExportedFile, ...] = ()
    reused: int = 0

    @property
    def fresh(self) -> bool:
        """Whether all of it was there already."""
        return bool(self.files) and self.reused == len(self.files)


@dataclass(frozen=True)
class Prepared:
    """Prepared reviews: their folder and their fingerprint."""

    folder: Path
    fingerprint: str


def plan_labelled(
    prepared: Prepared, output: str | Path, options: Options, settings: Settings, progress: Progress
) -> LabelledExport:
    """Count what `export_labelled` would write, and write nothing. Arguments as there."""
    options = options.checked(settings)
    reader = _reader(prepared, options, settings)
    counts = Counts()
    progress.start("Counting", count_prepared(prepared.folder))
    for _ in reader.batches(counts, progress):
        pass
    progress.finish()
    return _told(output, options, _summary(counts, settings))


def export_labelled(
    prepared: Prepared,
    output: str | Path,
    options: Options,
    settings: Settings,
    progress: Progress,
    *,
    force: bool = False,
) -> LabelledExport:
    """Write the reviews that a model learns from, calibrates on and is judged by, each side shuffled.

    Sides are those of `split.split`; classes too small to be learned are left out, as in training. The
    order hangs on the md5 of the review id, never on date or file. Memory does not grow with the reviews;
    on disk the texts are needed once while it runs, compressed.

    Args:
        prepared: the reviews.
        output: a folder, or a URL such as `s3://bucket/prefix`; new, empty or of an earlier export.
        options: form, texts, labels and files.
        settings: `train` (model, label and split), `text` and `run.threads` are read.
        progress: told the reviews.
        force: write what is there already, too.

    Raises:
        UsageError: an option is wrong, or the folder holds other files.
        NotEnoughDataError: no review can be written.
        FolderError: the folder cannot be written to.
    """
    options = options.checked(settings)
    folder = Folder(output)
    journal = Journal.open(folder, _described(prepared, options, settings), force=force)
    reused = len(journal.files)
    if journal.whole:
        return _told(output, options, journal.counts, journal.ordered(), reused)
    reader = _reader(prepared, options, settings)
    total = count_prepared(prepared.folder)
    parts = parts_of(total)
    counts = Counts()
    with folder.spool() as spool:
        progress.start("Shuffling", total)
        scatter(reader.batches(counts, progress), spool / "parts", parts, reader.schema)
        progress.finish()
        journal.begin(_summary(counts, settings))
        classes = sorted(journal.counts["labels"])
        progress.start(f"Writing {options.form}", sum(journal.counts["rows"].values()))
        with Shards(
            journal, spool, options.ending, compress=options.compress, max_bytes=options.max_bytes
        ) as shards:
            for rows in gather(spool / "parts", parts, options.columns, classes):
                shards.write(rows.side, _lines(rows, options, classes))
                progress.advance(len(rows.texts))
        progress.finish()
    numbers = {name: own["number"] for name, own in journal.counts["labels"].items()}
    text = json.dumps(numbers, indent=2, ensure_ascii=False) + "\n"
    journal.end(text if options.labels == "numbers" else None)
    return _told(output, options, journal.counts, journal.ordered(), reused)


def _reader(prepared: Prepared, options: Options, settings: Settings) -> Reader:
    return Reader(prepared.folder, settings, options.fields or (), options.columns)


def _described(prepared: Prepared, options: Options, settings: Settings) -> dict[str, Any]:
    """What makes the bytes of an export, and a fingerprint of it."""
    own = asdict(options)
    form = own.pop("form")
    train = settings.train.model_dump(mode="json", include=set(_SPLIT))
    text = settings.text.model_dump(mode="json")
    told = {"format": _FORMAT, "form": form, "options": own, "train": train, "text": text}
    told["reviews"] = prepared.fingerprint
    whole = json.dumps(told, sort_keys=True, ensure_ascii=False)
    return told | {"fingerprint": hashlib.sha256(whole.encode()).hexdigest()}


def _summary(counts: Counts, settings: Settings) -> dict[str, Any]:
    """Rows by side, classes with their numbers, and what is left out.

    Raises:
        NotEnoughDataError: nothing is left.
    """
    train = settings.train
    least = max(train.min_category_reviews, train.min_class_share * counts.labelled.total())
    names = sorted(name for name, n in counts.labelled.items() if n >= least)
    labels = {
        name: {"number": number} | {side: counts.usable[name, i] for i, side in enumerate(SIDES)}
        for number, name in enumerate(names)
    }
    rows = {side: sum(own[side] for own in labels.values()) for side in SIDES}
    left_out = {reason: counts.left_out[reason] for reason in ("no_label", "no_text", "no_side")}
    left_out["small_class"] = counts.usable.total() - sum(rows.values())
    if not sum(rows.values()):
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in left_out.items() if n) or "there are none"
        raise NotEnoughDataError(
            f"no review to write ({reasons}; {len(names)} of {len(counts.labelled)} classes of "
            f"{train.label} have {least:.0f} reviews or more). Prepare more reviews, lower "
            "train.min_category_reviews, or choose another train.label or train.split."
        )
    return {"rows": rows, "left_out": left_out, "labels": labels}


def _told(
    output: str | Path,
    options: Options,
    counts: Mapping[str, Any],
    files: tuple[ExportedFile, ...] = (),
    reused: int = 0,
) -> LabelledExport:
    rows, labels, left_out = (dict(counts[name]) for name in ("rows", "labels", "left_out"))
    return LabelledExport(str(output).rstrip("/"), options.form, rows, labels, left_out, files, reused)


def _lines(rows: Shuffled, options: Options, classes: list[str]) -> pa.Array:
    labels = rows.labels
    if options.labels == "numbers":
        labels = pc.index_in(labels, value_set=pa.array(classes, pa.string()))
    if options.form == "fasttext":
        return fasttext_lines(rows.texts, labels)
    return manifest_lines(rows.texts, labels, options.columns, rows.columns)
