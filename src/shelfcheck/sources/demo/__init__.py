"""Generates reviews with planted faults and the truth beside them.

A shop of 22 categories sells products under Zipf's law to customers who write in template
sentences: some tell of the product in words of its type, some say what fits anything, some are
two words long. The work goes in chunks that depend on the seed and their number alone, so memory
is bounded (about 350 MB, and 100 bytes a product) and the files are the same on every machine.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import SourceError, UsageError
from shelfcheck.progress import NullProgress, Progress
from shelfcheck.sources.demo.language import Language
from shelfcheck.sources.demo.reviews import Reviews, write_chunk
from shelfcheck.sources.demo.shop import FIRST_DAY, Shop, open_shop
from shelfcheck.sources.demo.words import CATEGORIES
from shelfcheck.sources.demo.writing import write_parquet, write_tsv

__all__ = ["TRUTH_FILE", "TRUTH_SCHEMA", "GeneratedFiles", "generate"]

CHUNK_ROWS: Final = 50_000
TRUTH_FILE: Final = "truth.parquet"
TRUTH_SCHEMA: Final = pa.schema(
    [
        ("kind", pa.string()),
        ("review_id", pa.string()),
        ("product_id", pa.string()),
        ("true_category", pa.string()),
        ("detail", pa.string()),
    ]
)
"""Planted faults. Kinds and what `detail` tells:

- `misplaced_review`: a review of another product; which. `true_category` is that of the text.
- `miscategorised_product`: the category that the catalogue gives. `true_category` is the real one.
- `declining_product`: the day since which its reviews are worse.
- `duplicate`, `repeated_id`: a copy under its own id, or under the same one; the original's id.
- `broken_row`: the reason it will be rejected for, and `file:line`.
"""


@dataclass(frozen=True)
class GeneratedFiles:
    """What `generate` wrote."""

    reviews: tuple[Path, ...]
    truth: Path
    rows: int
    planted: dict[str, int]  # faults by kind


def generate(
    out_dir: str | Path,
    reviews: int,
    seed: int = 0,
    *,
    format: Literal["parquet", "tsv"] = "parquet",  # noqa: A002 - the command's flag
    rare_words: float = 0.0,
    progress: Progress | None = None,
) -> GeneratedFiles:
    """Write `reviews` reviews in the Amazon Customer Reviews schema, and `truth.parquet` beside them.

    Files `reviews-00000.parquet` (or `.tsv.gz`) hold 50,000 rows each. Files that an earlier
    run left in `out_dir` under these names are removed.

    Args:
        out_dir: folder to write to; made where missing.
        reviews: rows, broken ones and duplicates included.
        seed: the same seed and number of reviews give the same bytes.
        format: `parquet` or `tsv` (gzip, no quoting).
        rare_words: made-up words that a review has on average beside those of the templates; 10 give texts
            about as long and with about as many different words as real ones. See `rare`.
        progress: told of rows written.

    Raises:
        UsageError: `reviews` is less than 1, or the seed or `rare_words` negative.
        SourceError: the folder cannot be written.
    """
    if reviews < 1:
        raise UsageError(f"reviews == {reviews}, must be >= 1. Pass --reviews.")
    if seed < 0:
        raise UsageError(f"seed == {seed}, must be >= 0. Pass --seed.")
    if rare_words < 0:
        raise UsageError(f"rare_words == {rare_words}, must be >= 0. Pass --rare-words.")
    if format not in {"parquet", "tsv"}:
        raise UsageError(f"format == {format!r}, must be 'parquet' or 'tsv'. Pass --format.")
    out = Path(out_dir)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _generate(out, reviews, seed, format, rare_words, progress or NullProgress())
    except OSError as error:
        raise SourceError(
            f"{out}: cannot be written: {error}. Name a folder that can, with free space."
        ) from error


def _generate(  # noqa: PLR0917 - the arguments of `generate`
    out: Path, total: int, seed: int, form: str, rare_words: float, progress: Progress
) -> GeneratedFiles:
    for stale in (*out.glob("reviews-[0-9]*.parquet"), *out.glob("reviews-[0-9]*.tsv.gz"), out / TRUTH_FILE):
        stale.unlink(missing_ok=True)
    language = Language()
    shop = open_shop(total, seed, language)
    truth = _shop_truth(shop)
    files = []
    progress.start("Generating reviews", total)
    for chunk, first in enumerate(range(0, total, CHUNK_ROWS)):
        n = min(CHUNK_ROWS, total - first)
        written = write_chunk(shop, language, seed, chunk, first, n, total, rare_words)
        file = out / (f"reviews-{chunk:05d}" + (".parquet" if form == "parquet" else ".tsv.gz"))
        truth += written.truth + _write(written, file, form)
        files.append(file)
        progress.advance(n)
    progress.finish()
    table = pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(zip(*truth, strict=True), TRUTH_SCHEMA, strict=True)]
        if truth
        else [pa.array([], f.type) for f in TRUTH_SCHEMA],
        schema=TRUTH_SCHEMA,
    )
    pq.write_table(table, out / TRUTH_FILE)
    planted: dict[str, int] = {}
    for kind, *_ in truth:
        planted[kind] = planted.get(kind, 0) + 1
    return GeneratedFiles(tuple(files), out / TRUTH_FILE, total, planted)


def _write(
    written: Reviews, file: Path, form: str
) -> list[tuple[str, str | None, str | None, str | None, str]]:
    part = file.with_name(f".{file.name}.part")
    broken = (write_parquet if form == "parquet" else write_tsv)(written, part)
    part.replace(file)
    return [("broken_row", None, None, None, f"{reason} {file.name}:{line}") for line, reason in broken]


def _shop_truth(shop: Shop) -> list[tuple[str, str | None, str | None, str | None, str]]:
    rows: list[tuple[str, str | None, str | None, str | None, str]] = [
        (
            "miscategorised_product",
            None,
            shop.ids[i].as_py(),
            CATEGORIES[shop.true_category[i]].name,
            f"stands in {CATEGORIES[shop.category[i]].name}",
        )
        for i in shop.miscategorised.tolist()
    ]
    for i in shop.declining.tolist():
        since = FIRST_DAY + dt.timedelta(days=int(shop.decline_day[i]))
        rows.append(
            (
                "declining_product",
                None,
                shop.ids[i].as_py(),
                CATEGORIES[shop.true_category[i]].name,
                f"since {since}",
            )
        )
    return rows
