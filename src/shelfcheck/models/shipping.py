"""A model's files on their way to other processes: bytes of safetensors and a card, no pickled objects."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shelfcheck.models.kinds import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.models.base import Model


@dataclass(frozen=True)
class ModelFiles:
    """The files of a stored model.

    Attributes:
        digest: SHA-256 of names and bytes, hex.
        files: path below the model's folder -> bytes.
    """

    digest: str
    files: dict[str, bytes]


_loaded: Final[dict[str, Model]] = {}  # the one that this process used last


def read_files(folder: str | Path, only: Sequence[str] = ()) -> ModelFiles:
    """Read what `Model.save` wrote, to send it: all files of the folder, or `only` these."""
    home = Path(folder)
    paths = [home / name for name in only] or sorted(path for path in home.rglob("*") if path.is_file())
    files = {path.relative_to(home).as_posix(): path.read_bytes() for path in paths}
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return ModelFiles(digest.hexdigest(), files)


def loaded(sent: ModelFiles) -> Model:
    """The model that was sent, opened by the loader of stored models; once a process, for one after another.

    Raises:
        WorkspaceError: the files are those of no model that this version reads.
    """
    model = _loaded.get(sent.digest)
    if model is None:
        with tempfile.TemporaryDirectory(prefix="shelfcheck-model-") as folder:
            for name, data in sent.files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            model = load_model(folder)
        _loaded.clear()
        _loaded[sent.digest] = model
    return model
