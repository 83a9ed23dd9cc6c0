"""Products whose reviews became worse, or better, and since when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.audit.declining_products.badness import Badness
from shelfcheck.audit.declining_products.complaints import complaint_scores
from shelfcheck.audit.declining_products.evidence import findings_table
from shelfcheck.audit.declining_products.histories import Histories
from shelfcheck.audit.declining_products.judging import ALARM, judge
from shelfcheck.audit.output import write_findings
from shelfcheck.audit.room import room_in
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.encoded import Encoded
from shelfcheck.models.ngrams import thread_count
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    import pyarrow as pa

    from shelfcheck.config import Settings
    from shelfcheck.progress import Progress

KIND: Final = "declining_products"


def declining_products(
    prepared_dir: str | Path,
    encoded_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Find products whose reviews changed; write `findings.parquet`, `findings.csv` and `summary.json`.

    Memory: at most 16 bytes a review and 40 bytes a product, 64 MB for the weights of the n-grams, and the
    texts of the findings' reviews. What is held of every review beside lies in files in `out_dir` until the
    end: 12 bytes a review, and some 60 bytes a review of the products that are judged.

    Args:
        prepared_dir: output of `prepare`.
        encoded_dir: output of `encode`.
        out_dir: folder to fill.
        settings: `audit.declining`, `audit.max_findings` and `run.threads` are read.
        progress: told how far it is.

    Returns:
        Counts for the manifest.

    Raises:
        NotEnoughDataError: no product has enough reviews with a date and stars.
        WorkspaceError: an input is missing or incomplete.
    """
    progress = progress or NullProgress()
    threads = thread_count(settings.run.threads)
    encoded = Encoded.open(encoded_dir)
    least = settings.audit.declining.min_reviews
    with room_in(Path(out_dir) / ".room") as room:
        progress.start("Ordering reviews by product and time", None)
        histories = Histories.gather(encoded, least, threads=threads, room=room)
        progress.finish()
        if not histories.n_products:
            raise NotEnoughDataError(_lacking(histories.skipped, least))
        complaint = complaint_scores(encoded, threads, progress, room)
        progress.start("Comparing stars and language", None)
        badness = Badness.measure(histories, encoded, complaint, room)
        worse, better = judge(histories, badness, threads)
        progress.finish()
        table = findings_table(
            histories, badness, (worse, better), encoded, prepared_dir, settings.audit, progress
        )
    summary = {
        "kind": KIND,
        "findings": table.num_rows,
        "candidates": histories.n_products,
        "worse": _count(table, "worse"),
        "better": _count(table, "better"),
        "reviews": len(histories.row),
        "alarms_expected_by_chance": round(ALARM * histories.n_products, 1),
        "alarms_worse": int((worse.p <= ALARM).sum()),
        "alarms_better": int((better.p <= ALARM).sum()),
        "max_false_share": settings.audit.declining.max_false_share,
        "skipped": histories.skipped,
    }
    write_findings(table, summary, Path(out_dir))
    return {name: summary[name] for name in ("findings", "worse", "better", "candidates", "reviews")}


def _count(table: pa.Table, direction: str) -> int:
    return int(np.sum(np.array(table["direction"].to_pylist(), object) == direction))


def _lacking(skipped: dict[str, int], least: int) -> str:
    told = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in skipped.items() if n)
    return (
        f"no product has {least} reviews with a product id, a date and stars ({told or 'no reviews'}). "
        "Lower audit.declining.min_reviews, or add reviews that have them."
    )
