"""The folder of the local disk that mirrors a workspace in an object store: where it is, and who it is."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shelfcheck.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE_VARIABLE: Final = "SHELFCHECK_CACHE_DIR"


def mirror_of(url: str) -> Path:
    """The folder of the local disk that mirrors a workspace."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        home = Path(given)
    else:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shelfcheck"
    return home / "workspaces" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def identity(path: Path) -> str:
    """What names a mirror, made once and kept in a file."""
    with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
        file.write(uuid.uuid4().hex)
    return path.read_text(encoding="utf-8")


def stamp_of(created: str) -> int:
    """The time of change that files of a publication carry, in ns: by it they are known without reading them.

    Args:
        created: when it was made, in ISO 8601.
    """
    try:
        made = dt.datetime.fromisoformat(created)
    except ValueError:
        return 1_000_000_000
    return int(made.timestamp()) * 1_000_000_000


@contextlib.contextmanager
def in_mirror(root: Path, place: str) -> Iterator[None]:
    """Say of the disk's errors that they are the mirror's; that a file is missing is told as it is.

    Args:
        root: the mirror.
        place: URL of the workspace.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise WorkspaceError(
            f"{root}: the mirror of {place} cannot be written: {error.strerror}. "
            f"Free space there, or name another folder with {CACHE_VARIABLE}."
        ) from error
