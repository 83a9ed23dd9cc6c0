"""Stops on input that is broken beyond what the settings allow."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from shelfcheck import schema
from shelfcheck.errors import RejectedShareError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.sources import SourceBatch

EXAMPLES: Final = 5
"""Rejected rows that an error shows."""
_SENSIBLE_ROWS: Final = 100_000  # before so many, a share says little about the whole


class RejectedLimit:
    """Watches the share of rejected rows.

    Args:
        share: the largest share allowed, 0..1.
        sizes: bytes of the sources; 0 where unknown.
    """

    def __init__(self, share: float, sizes: Sequence[int]) -> None:
        self._share = share
        self._total = sum(sizes) if all(sizes) else 0
        self._bytes = 0
        self._rows = 0
        self._reasons: Counter[str] = Counter()
        self._examples: list[dict[str, object]] = []

    def add(self, batch: SourceBatch) -> None:
        """Count a batch.

        Raises:
            RejectedShareError: so many rows were rejected that the whole input, by the size of
                what was read, cannot stay within the share. A broken first file alone does
                not stop a large input that is fine.
        """
        self._bytes += batch.bytes_read
        reasons = Counter(batch.rejected.column(schema.REASON).to_pylist())
        examples = batch.rejected.slice(0, EXAMPLES).to_pylist()
        self.add_counts(batch.reviews.num_rows + batch.rejected.num_rows, reasons, examples)
        if self._rows >= _SENSIBLE_ROWS and self._bytes and self._total:
            rows = self._rows * self._total / self._bytes
            # Rows differ in size between files: leave room for an estimate that is off.
            if sum(self._reasons.values()) > 1.5 * self._share * rows:
                self._stop("so far")

    def add_counts(
        self, rows: int, reasons: Counter[str], examples: list[dict[str, object]], bytes_read: int = 0
    ) -> None:
        """Count rows that were read elsewhere: how many, those rejected by reason, the first few of these."""
        self._bytes += bytes_read
        self._rows += rows
        self._reasons.update(reasons)
        self._examples += examples[: EXAMPLES - len(self._examples)]

    def check(self) -> None:
        """Judge the whole input.

        Raises:
            RejectedShareError: too many rows were rejected.
        """
        if sum(self._reasons.values()) > self._share * self._rows:
            self._stop("in all")

    def _stop(self, when: str) -> None:
        rejected = sum(self._reasons.values())
        share = f"{rejected / self._rows:.1%}, must be <= {self._share:.1%} (prepare.max_rejected_share)."
        lines = [
            f"{rejected:,} of {self._rows:,} rows read {when} are broken: {share}",
            "By reason: " + ", ".join(f"{reason} {n:,}" for reason, n in self._reasons.most_common()),
            "The first of them:",
        ]
        for row in self._examples:
            line = row[schema.SOURCE_LINE]
            where = row[schema.SOURCE_FILE] if line is None else f"{row[schema.SOURCE_FILE]}:{line}"
            lines.append(f"  {where}: {row[schema.REASON]}: {str(row[schema.DETAIL] or '')[:120]!r}")
        lines.append(
            "Check the files and their format (--format), or allow more with "
            "--set prepare.max_rejected_share=SHARE."
        )
        raise RejectedShareError("\n".join(lines))
