"""What is done to a batch of reviews in each pass, and to the counts at the end: the same on every engine."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import schema
from shelfcheck.listing import LISTING_FILE
from shelfcheck.prepare.months import STORED_SCHEMA
from shelfcheck.prepare.read import list_prepared
from shelfcheck.prepare.rules import RULES, screen
from shelfcheck.prepare.summary import NO_MONTH_NAME, PrepareSummary, Tally
from shelfcheck.text.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shelfcheck.config import Settings
    from shelfcheck.prepare.rules import LengthBounds, Screened

BATCH_ROWS: Final = 16_384  # reviews are some 500 bytes: 8 MB a batch, a few of them under way
_UNITS: Final = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


class First(NamedTuple):
    """A batch after the first pass's work."""

    screened: Screened
    keys: pa.RecordBatch  # KEY_SCHEMA; ordinals count from the batch's first row
    lengths: Counter[int] | None  # characters -> standing reviews; None where the bounds are known


def first(reviews: pa.RecordBatch, settings: Settings, bounds: LengthBounds | None) -> First:
    """Screen a batch by the rules that need no other row, and make the keys of what stands.

    Args:
        reviews: REVIEW_SCHEMA, (n,).
        settings: the section `prepare` holds.
        bounds: lengths to keep; None where they will come from the data.
    """
    from shelfcheck.prepare.duplicates import key_batch  # noqa: PLC0415 - loads Numba

    screened = screen(reviews, settings.prepare, bounds)
    lengths = Counter(screened.lengths[screened.standing].tolist()) if bounds is None else None
    return First(screened, key_batch(screened), lengths)


def second(reviews: pa.RecordBatch, suffixes: Mapping[int, int], settings: Settings) -> pa.RecordBatch:
    """Give reviews their ids and tokens.

    Args:
        reviews: REVIEW_SCHEMA, (n,).
        suffixes: row -> occurrence of its content, from 2.
        settings: the section `text` holds.

    Returns:
        STORED_SCHEMA, (n,).
    """
    from shelfcheck.prepare.review_ids import fill_review_ids  # noqa: PLC0415 - loads Numba

    reviews = fill_review_ids(reviews, suffixes)
    body = tokens(reviews.column(schema.REVIEW_BODY), settings.text)
    return pa.RecordBatch.from_arrays([*reviews.columns, body], schema=STORED_SCHEMA)


def counted(values: pa.Array) -> Counter[str]:
    """How often each value stands in an array."""
    counts = pc.value_counts(values)
    return Counter(
        dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
    )


def summarise(
    paths: Sequence[str],
    tallies: Sequence[Tally],
    bounds: LengthBounds,
    categories: Mapping[str, int],
    months: Mapping[str | None, int],
) -> PrepareSummary:
    """The summary of a run.

    Args:
        paths: of each source; one may stand several times.
        tallies: of each source.
        bounds: lengths that were kept.
        categories: category -> reviews kept.
        months: 'YYYY-MM' or None -> reviews kept.
    """
    whole = Tally()
    by_path: defaultdict[str, Tally] = defaultdict(Tally)
    for path, tally in zip(paths, tallies, strict=True):
        for target in (whole, by_path[path]):
            target.add(tally)
    counts = whole.counts(RULES)
    return PrepareSummary(
        rows_read=whole.read,
        rows_kept=whole.kept,
        filtered={rule: whole.filtered[rule] for rule in RULES},
        rejected=counts.rejected,
        sources={path: tally.counts(RULES) for path, tally in by_path.items()},
        categories=dict(sorted(categories.items())),
        months={
            NO_MONTH_NAME if month is None else month: rows
            for month, rows in sorted(months.items(), key=lambda item: item[0] or "~")
        },
        length_bounds=(bounds.least, bounds.most),
    )


def write_summary(out: Path, summary: PrepareSummary) -> None:
    """Write `summary.csv`, `summary.json` and, from the files' footers, `months.json`."""
    (out / "summary.csv").write_text(summary.to_csv(), encoding="utf-8")
    (out / "summary.json").write_text(summary.to_json(), encoding="utf-8")
    (out / LISTING_FILE).write_text(list_prepared(out).to_json(), encoding="utf-8")


def memory_bytes(settings: Settings) -> int:
    """`run.memory_limit` in bytes."""
    text = settings.run.memory_limit
    return int(float(text[:-2]) * _UNITS[text[-2:]])
