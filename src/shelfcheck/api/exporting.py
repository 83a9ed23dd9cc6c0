"""Prepared reviews as training files for other systems: export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelfcheck import pipeline
from shelfcheck.errors import WorkspaceError
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shelfcheck.export import LabelledExport
    from shelfcheck.export.options import Form, LabelForm
    from shelfcheck.progress import Progress


def export(
    workspace: str | Path,
    output: str | Path,
    to: Form,
    *,
    fields: Sequence[str] | None = None,
    labels: LabelForm | None = None,
    columns: Sequence[str] = (),
    compress: bool = False,
    max_megabytes: int | None = None,
    dry_run: bool = False,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> LabelledExport:
    """Write the prepared reviews as labelled texts: train, validation and test files, each shuffled.

    The sides are those that the models use: `train.split` says how, by product or by date.

    Args:
        workspace: the folder with the prepared reviews.
        output: a folder, or a URL such as `s3://bucket/prefix`; new, empty or of an earlier export.
        to: `augmented-manifest` (SageMaker's JSON lines) or `fasttext` (`__label__` lines).
        fields: texts of a review to join; None takes those that `train.model` reads.
        labels: `numbers`, with a label map beside, or `names`; None takes numbers for a manifest, names
            for fastText.
        columns: of a manifest: further columns of a review, which SageMaker ignores and `prepare` reads back.
        compress: gzip the files.
        max_megabytes: close a file at this size, before gzip; None writes one a side, as BlazingText wants.
        dry_run: count, and write nothing.
        config: as for `run`.
        overrides: as for `run`.
        progress: told how far the work is.
        force: write what is there already, too.

    Raises:
        ShelfcheckError: nothing was prepared, an option is wrong, or the folder cannot be written to or
            holds other files.
    """
    from shelfcheck.export import Options, Prepared, export_labelled, plan_labelled  # noqa: PLC0415 - pyarrow

    settings = resolve(config, overrides, workspace).settings
    home = open_workspace(workspace)
    folder = home.path(pipeline.PREPARED, made_by=f"shelfcheck prepare SOURCE... --workspace {workspace}")
    manifest = home.manifest(pipeline.PREPARED)
    if manifest is None:
        raise WorkspaceError(f"{workspace}: the prepared reviews have just been removed. Prepare them again.")
    options = Options(
        to,
        None if fields is None else tuple(fields),
        labels,
        tuple(columns),
        compress,
        None if max_megabytes is None else max_megabytes * 1_000_000,
    )
    prepared = Prepared(folder, manifest.fingerprint)
    told = progress or NullProgress()
    if dry_run:
        return plan_labelled(prepared, output, options, settings, told)
    return export_labelled(prepared, output, options, settings, told, force=force)
