"""Evaluations on demand: of any data, and of what was recorded, sliced and compared as asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shelfcheck.errors import UsageError, WorkspaceError
from shelfcheck.models.breakdown import prepared_groups, with_details
from shelfcheck.models.comparison import aligned, compare
from shelfcheck.models.encoded import Encoded
from shelfcheck.models.evaluation import Evaluation
from shelfcheck.models.judged import Judged, read_held_out
from shelfcheck.models.ngrams import row_keys
from shelfcheck.models.slices import STANDARD
from shelfcheck.predict.judging import judge_data
from shelfcheck.predict.labelled_data import labelled_batches
from shelfcheck.progress import NullProgress
from shelfcheck.schema import REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shelfcheck.config import LabelName, Settings
    from shelfcheck.models.base import Model
    from shelfcheck.progress import Progress


def evaluate_data(
    models: Mapping[str, Model],
    specs: Sequence[str],
    settings: Settings,
    progress: Progress | None = None,
    *,
    by: Sequence[str] = (),
    held_out: bool = False,
    encoded: Path | None = None,
) -> Evaluation:
    """Judge a model on any reviews with labels, and compare it with a second one if there is one.

    Args:
        models: name -> model; the first is judged.
        specs: files, folders, globs or URLs; see `labelled_data`.
        settings: `source` and `run` are read.
        progress: told how far it is.
        by: columns to slice by.
        held_out: judge only what the model's own split holds out.
        encoded: the encoded reviews of the workspace, to tell how many products the model has met.
    """
    progress = progress or NullProgress()
    label: LabelName = next(iter(models.values())).card().get("label") or "product_category"
    try:
        judged = judge_data(
            list(models.values()),
            labelled_batches(specs, settings.source, label, by, progress),
            data=", ".join(specs),
            by=by,
            held_out=held_out,
            encoded_rows=None if encoded is None else Encoded.open(encoded).batches(),
            threads=settings.run.threads,
            seed=settings.run.seed,
        )
    finally:
        progress.finish()
    names = tuple(models)
    found = replace(judged[0].evaluation, notes=judged[0].evaluation.notes | {"model": names[0]})
    if len(names) == 1:
        return found
    both = aligned(judged[0].table, judged[1].table)
    return replace(found, comparison=compare(*both, (names[0], names[1]), seed=settings.run.seed))


def evaluate_recorded(
    folders: Mapping[str, Path],
    prepared_dir: Path | None,
    settings: Settings,
    *,
    by: Sequence[str] = (),
) -> Evaluation:
    """The recorded evaluation of a model, sliced by more columns, and compared with a second one's.

    Args:
        folders: name -> folder with `evaluation.json` and `held_out.parquet`; the first is shown.
        prepared_dir: the prepared reviews, to slice by.
        settings: `run.seed` is read.
        by: columns of the prepared reviews to slice by.

    Raises:
        WorkspaceError: a folder holds no evaluation.
        UsageError: the models predict different labels, or share no review, or there is no such column.
    """
    names = tuple(folders)
    found = [_recorded(folder) for folder in folders.values()]
    first = replace(found[0], notes=found[0].notes | {"model": names[0]})
    table = None
    wanted = [name for name in dict.fromkeys([*STANDARD, *by]) if name not in first.slices]
    if not first.intervals or (prepared_dir is not None and wanted):
        table = read_held_out(folders[names[0]])
        if by and prepared_dir is None:
            raise UsageError("There are no prepared reviews in this workspace to slice by. Use --data FILE.")
        keys = row_keys(table.column(REVIEW_ID).combine_chunks())
        groups = prepared_groups(prepared_dir, keys, wanted) if prepared_dir else {}
        first = with_details(first, Judged.of_table(table), groups, settings.run.seed)
    if len(names) == 1:
        return first
    labels = [one.notes.get("label") for one in found]
    if labels[0] != labels[1]:
        raise UsageError(f"{names[0]} predicts {labels[0]}, {names[1]} {labels[1]}: they cannot be compared.")
    tables = [read_held_out(folder) for folder in folders.values()]
    both = aligned(*tables)
    return replace(first, comparison=compare(*both, (names[0], names[1]), seed=settings.run.seed))


def _recorded(folder: Path) -> Evaluation:
    path = folder / "evaluation.json"
    try:
        return Evaluation.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{path}: no evaluation that can be read ({error}). Make one with: shelfcheck evaluate"
        ) from error
