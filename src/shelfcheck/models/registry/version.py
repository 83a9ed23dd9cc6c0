"""A registered version: its description, its files and their hashes."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION_FILE: Final = "version.json"
_FORMAT: Final = 1


@dataclass(frozen=True)
class Version:
    """A registered model.

    Attributes:
        version: its name, `<model>-<n>`.
        model: kind of model, e.g. `linear`.
        label: what it predicts.
        split: what was held out to judge it: `product`, `time` or `row`.
        created: when it was registered, ISO 8601, UTC.
        sha256: file, relative to the folder -> SHA-256 of its content.
        digest: SHA-256 over the model's own files; equal means the same model.
        bytes: size of all files.
        train_seconds: wall time of learning and calibrating.
        peak_memory_mb: most memory of the process that trained it.
        reviews_per_second: predicted from raw texts in a second; None where it was not judged.
        accuracy: on held-out reviews, 0..1, or None.
        macro_f1: likewise.
        ece: expected calibration error, likewise.
        folder: where it lies.
    """

    version: str
    model: str
    label: str
    split: str
    created: str
    sha256: dict[str, str]
    digest: str
    bytes: int
    train_seconds: float
    peak_memory_mb: int
    reviews_per_second: int | None = None
    accuracy: float | None = None
    macro_f1: float | None = None
    ece: float | None = None
    format: int = _FORMAT
    folder: Path = field(default=Path(), compare=False)

    @property
    def number(self) -> int:
        """The n of `<model>-<n>`."""
        return number(self.version)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the folder."""
        values = asdict(self)
        del values["folder"]
        return values

    def write(self, folder: Path) -> None:
        """Write the description into a folder, read-only."""
        path = folder / VERSION_FILE
        path.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        path.chmod(0o444)

    def differences(self) -> list[str]:
        """What is no longer as it was registered: files that have changed, are missing or were added."""
        here = {name: self.folder / name for name in files(self.folder) if name != VERSION_FILE}
        wrong = [f"{name} is missing" for name in self.sha256 if name not in here]
        for name, path in here.items():
            if name not in self.sha256:
                wrong.append(f"{name} was added")
            elif _sha256(path) != self.sha256[name]:
                wrong.append(f"{name} has changed")
        return wrong


def read(path: Path) -> Version:
    """Read a `version.json`.

    Raises:
        WorkspaceError: it cannot be read.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = Version(
            **{one.name: values[one.name] for one in fields(Version) if one.name != "folder"},
            folder=path.parent,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"{path}: cannot be read ({error}). Restore it, or remove {path.parent}."
        ) from error
    if found.format != _FORMAT:
        raise WorkspaceError(
            f"{path}: of format {found.format}, this version of Shelfcheck reads {_FORMAT}. "
            "Use the version that registered it."
        )
    return found


def number(version: str) -> int:
    """The n of `<model>-<n>`, 0 where there is none."""
    tail = version.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def files(folder: Path) -> list[str]:
    """Every file below a folder, relative to it, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def copy(source: Path, out: Path, names: Iterable[str]) -> dict[str, str]:
    """Copy files, make the copies read-only, and hash them.

    Returns:
        File -> SHA-256.

    Raises:
        WorkspaceError: a file cannot be read.
    """
    hashes = {}
    for name in names:
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source / name, target)
        except OSError as error:
            raise WorkspaceError(f"{source / name}: cannot be registered: {error.strerror}") from error
        target.chmod(0o444)
        hashes[name] = _sha256(target)
    return hashes


def digest(hashes: Mapping[str, str]) -> str:
    """One SHA-256 over files and their hashes."""
    lines = "".join(f"{name} {value}\n" for name, value in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
