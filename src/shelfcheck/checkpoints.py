"""Unfinished work that is kept: what a killed step had done stands for the step that goes on.

A checkpoint is a folder of pieces. A piece is some files and a record of them, `<piece>.json`, which is
written last and in one step; it names their sizes and CRC-32 sums, and a piece whose files do not agree with
its record is not there. Whoever goes on must come to the same result as who never stopped, so a checkpoint
belongs to one stage and one fingerprint: `.partial/<stage>-<fingerprint>/` of the workspace.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

FOLDER: Final = ".partial"
SECONDS: Final = 60.0  # of work that may be lost: what takes less is not worth the writing
_CHUNK: Final = 1 << 22


@dataclass
class Checkpoint:
    """A folder for the pieces of unfinished work; made when the first is kept.

    Attributes:
        folder: where they are.
        seconds: `due` says yes when so many have passed since the last piece was kept.
    """

    folder: Path
    seconds: float = SECONDS
    _kept: float = field(default_factory=time.monotonic)

    def part(self, name: str) -> Checkpoint:
        """A checkpoint inside this one, for a part of the work."""
        return Checkpoint(self.folder / name, self.seconds, self._kept)

    @property
    def due(self) -> bool:
        """Whether enough work has been done since the last piece to keep the next."""
        return time.monotonic() - self._kept >= self.seconds

    def keep(self, piece: str, files: Sequence[str], told: Mapping[str, Any] | None = None) -> None:
        """Record files of the folder as a whole piece.

        Args:
            piece: its name; an earlier one of that name is replaced.
            files: their names in the folder.
            told: JSON values to be had back.
        """
        sums = {}
        for name in files:
            with (self.folder / name).open("rb+") as file:
                os.fsync(file.fileno())
            sums[name] = _sums(self.folder / name)
        record = {"files": sums, "told": dict(told or {})}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / f"{piece}.json", json.dumps(record) + "\n")
        self._kept = time.monotonic()

    def kept(self, piece: str) -> dict[str, Any] | None:
        """What was told of a piece; None where it is not there whole."""
        try:
            record = json.loads((self.folder / f"{piece}.json").read_text(encoding="utf-8"))
            if any(_sums(self.folder / name) != sums for name, sums in record["files"].items()):
                return None
            told: dict[str, Any] = record["told"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return told

    def save(
        self, piece: str, arrays: Mapping[str, npt.NDArray[Any]], told: Mapping[str, Any] | None = None
    ) -> None:
        """Keep arrays as a piece; the earlier arrays of that name stand until these are whole."""
        import numpy as np  # noqa: PLC0415 - kept out of the start of every command

        self.folder.mkdir(parents=True, exist_ok=True)
        mark = uuid.uuid4().hex[:8]
        names = {name: f"{piece}-{mark}-{name}.npy" for name in arrays}
        for name, values in arrays.items():
            np.save(self.folder / names[name], values, allow_pickle=False)
        self.keep(piece, list(names.values()), {"arrays": names, "told": dict(told or {})})
        for other in self.folder.glob(f"{piece}-????????-*.npy"):
            if other.name not in names.values():
                other.unlink(missing_ok=True)

    def saved(self, piece: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]] | None:
        """The arrays of a piece and what was told with them; None where it is not there whole."""
        import numpy as np  # noqa: PLC0415

        record = self.kept(piece)
        if record is None:
            return None
        arrays = {
            name: np.load(self.folder / file, allow_pickle=False) for name, file in record["arrays"].items()
        }
        return arrays, record["told"]

    def drop(self, piece: str) -> None:
        """Remove a piece."""
        (self.folder / f"{piece}.json").unlink(missing_ok=True)
        for file in self.folder.glob(f"{piece}-????????-*.npy"):
            file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything that was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _sums(path: Path) -> list[int]:
    """Size and CRC-32 of a file."""
    size = total = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total = zlib.crc32(chunk, total)
            size += len(chunk)
    return [size, total]


def checkpoint_of(root: Path, stage: str, fingerprint: str) -> Checkpoint:
    """The place for a stage's unfinished work; what is left of other fingerprints of it is removed.

    Args:
        root: the workspace's folder on the local disk.
        stage: name of the stage.
        fingerprint: of the work.
    """
    home = root / FOLDER
    name = f"{stage}-{fingerprint[:12]}"
    if home.is_dir():
        for other in home.iterdir():
            if other.name.rpartition("-")[0] == stage and other.name != name:
                shutil.rmtree(other, ignore_errors=True)
    return Checkpoint(home / name)
