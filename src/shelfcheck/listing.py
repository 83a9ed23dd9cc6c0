"""The listing of prepared reviews: each month's files with their rows and bytes.

`prepare` writes it as `months.json` beside the reviews, so that how many there are is known without opening
one of them. It is plain JSON and imports nothing heavy: who counts waits for milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from shelfcheck.errors import WorkspaceError

LISTING_FILE: Final = "months.json"
UNKNOWN_MONTH: Final = "unknown"
"""Month of reviews without a date, wherever months are named to people."""
_FORMAT: Final = 1


@dataclass(frozen=True)
class ListedFile:
    """A Parquet file of prepared reviews: its path relative to the artefact's folder, its rows and bytes."""

    path: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Listing:
    """Every file of prepared reviews, by month.

    Attributes:
        months: 'YYYY-MM' or `unknown` -> its files, both in the order of reading.
    """

    months: dict[str, tuple[ListedFile, ...]]

    @property
    def rows(self) -> int:
        """Reviews in all files."""
        return sum(file.rows for file in self.files())

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files())

    def files(self) -> list[ListedFile]:
        """Every file, in the order of reading."""
        return [file for files in self.months.values() for file in files]

    def rows_by_month(self) -> dict[str, int]:
        """Reviews of each month."""
        return {month: sum(file.rows for file in files) for month, files in self.months.items()}

    def to_json(self) -> str:
        """The listing as JSON, with the sums that people look for."""
        months = {
            month: {
                "rows": sum(file.rows for file in files),
                "bytes": sum(file.bytes for file in files),
                "files": [{"path": file.path, "rows": file.rows, "bytes": file.bytes} for file in files],
            }
            for month, files in self.months.items()
        }
        values = {"format": _FORMAT, "rows": self.rows, "bytes": self.bytes, "months": months}
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = LISTING_FILE) -> Listing:
        """Read what `to_json` wrote.

        Raises:
            WorkspaceError: it is no listing, or one of a later format.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            months = {
                month: tuple(
                    ListedFile(file["path"], int(file["rows"]), int(file["bytes"])) for file in entry["files"]
                )
                for month, entry in values["months"].items()
            }
            written_as = values["format"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WorkspaceError(
                f"{where}: not a listing of prepared reviews ({type(error).__name__}: {error}). "
                "Remove the file: the reviews are then counted by their footers."
            ) from error
        if written_as != _FORMAT:
            raise WorkspaceError(
                f"{where}: its format is {written_as!r}, not {_FORMAT}: of another version of Shelfcheck. "
                "Remove the file: the reviews are then counted by their footers."
            )
        return cls(months)
