"""Errors that a user can act on.

Each says what happened, where, and how to fix it. The command line prints them
without a traceback; anything else that escapes is a defect of Shelfcheck.
"""

from __future__ import annotations


class ShelfcheckError(Exception):
    """Base of all errors that are the world's fault, not the program's."""

    exit_code = 1


class UsageError(ShelfcheckError):
    """A command or function was called in a way that cannot work."""

    exit_code = 2


class ConfigError(UsageError):
    """Settings are wrong: unknown keys, values out of bounds."""


class SourceError(ShelfcheckError):
    """An input cannot be read at all: missing, of no known format, unreadable."""


class RejectedShareError(ShelfcheckError):
    """Too many rows of the input were broken to go on."""


class WorkspaceError(ShelfcheckError):
    """An artefact is missing, of another version, or the workspace is in use."""


class NotEnoughDataError(ShelfcheckError):
    """There is too little data for a stage to say anything: one category, no text."""


class MissingExtraError(UsageError):
    """An optional capability was asked for, whose packages are not installed."""

    def __init__(self, capability: str, extra: str) -> None:
        super().__init__(
            f"{capability} needs packages that are not installed. "
            f"You can fix this by running: pip install 'shelfcheck[{extra}]'"
        )
