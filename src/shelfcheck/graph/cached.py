"""What is made from a graph and can be made again: whole or not there, one of a kind."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shelfcheck.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def made_once(
    home: Path, made_from: object, file: str, make: Callable[[Path], None], *, rebuild: bool = False
) -> Path:
    """A file in a folder that is named by what it was made from; made if it does not stand.

    It is made aside and renamed, so that one that stands is whole, and a reader of an older one can go on.

    Args:
        home: the folder of its kind; whatever else is in there is removed once the new one stands.
        made_from: told as JSON; equal means equal content.
        file: its name.
        make: writes it, given its path.
        rebuild: make it even if it stands.

    Raises:
        WorkspaceError: another process is making one, or the folder cannot be written to.
    """
    target = home / hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:12]
    if (target / file).exists() and not rebuild:
        return target / file
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home):
            aside = home / f".building-{uuid.uuid4().hex[:8]}"
            aside.mkdir()
            try:
                make(aside / file)
                for other in home.iterdir():  # of other graphs, or left by a build that was killed
                    if other.is_dir() and other != aside:
                        shutil.rmtree(other, ignore_errors=True)
                aside.rename(target)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise WorkspaceError(f"{home}: cannot be written to ({error.strerror or error}).") from error
    return target / file


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    with (home / ".lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WorkspaceError(f"{home}: another process is building it. Wait for it.") from error
        yield
