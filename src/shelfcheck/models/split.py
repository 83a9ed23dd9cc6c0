"""Which reviews are learned from, calibrated on and held out: one rule, in Python and in SQL.

Every product falls into one of 1000 buckets by the md5 of its id, so that all its reviews stand on
one side of any split, whatever the engine, the order of the rows or the number of threads. Reviews
without a product id go by their text, so that no copy of a text stands on the other side; one without
a text, too, counts as a product of its own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.blocks import taken
from shelfcheck.schema import REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pyarrow as pa

    from shelfcheck.config import TrainSettings
    from shelfcheck.models.encoded import Encoded

BUCKETS: Final = 1000
NO_DAY: Final = -(1 << 31)  # day of a review without a date; importing the rule must stay light
_TEXT: Final = "text\n"  # stands before a text that takes the place of a product id


def bucket(identifier: str, salt: str = "") -> int:
    """The bucket of an id, 0..999: the first 15 hex digits of md5(salt + id), modulo 1000."""
    digest = hashlib.md5((salt + identifier).encode(), usedforsecurity=False).hexdigest()
    return int(digest[:15], 16) % BUCKETS


def bucket_sql(expression: str, salt: str = "") -> str:
    """The same rule as a DuckDB SQL expression over a string column or expression."""
    if salt:
        quoted = salt.replace("'", "''")
        expression = f"('{quoted}' || {expression})"
    return f"(('0x' || substr(md5({expression}), 1, 15))::BIGINT % {BUCKETS})"


def buckets(
    product_ids: pa.Array, review_ids: pa.Array, salt: str = "", *, texts: pa.Array | None = None
) -> npt.NDArray[np.int16]:
    """The buckets of reviews: by product id, where that is null by text, and without one by review id.

    Args:
        product_ids: strings, nulls allowed, (n,).
        review_ids: strings, (n,).
        salt: draws another split.
        texts: strings, nulls allowed, (n,): the tokens of the body; None where texts do not matter.

    Returns:
        int16 in 0..999, (n,).
    """
    import pyarrow as pa  # noqa: PLC0415 - importing the rule must stay light
    import pyarrow.compute as pc  # noqa: PLC0415

    keys = product_ids
    if texts is not None and product_ids.null_count:
        # What stands in no product id keeps a text of one word apart from the product of that name.
        said = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
        keys = pc.coalesce(keys, pc.binary_join_element_wise(pa.scalar(_TEXT), said, ""))
    keys = pc.coalesce(keys, review_ids, pa.scalar("", pa.string()))
    if isinstance(keys, pa.ChunkedArray):
        keys = keys.combine_chunks()
    coded = keys.dictionary_encode()
    by_key = np.fromiter((bucket(key, salt) for key in coded.dictionary.to_pylist()), np.int16)
    indices: npt.NDArray[np.int64] = coded.indices.to_numpy(zero_copy_only=False)
    return by_key[indices] if len(by_key) else np.zeros(0, np.int16)


def is_test(bucket_of: npt.NDArray[np.int16], test_share: float) -> npt.NDArray[np.bool_]:
    """Reviews of held-out products: the first `test_share` of the buckets. (n,)."""
    return bucket_of < round(BUCKETS * test_share)


def is_calibration(
    bucket_of: npt.NDArray[np.int16], test_share: float, calibration_share: float
) -> npt.NDArray[np.bool_]:
    """Reviews of products kept for calibration: the buckets that follow those of the test. (n,)."""
    first = round(BUCKETS * test_share)
    return (bucket_of >= first) & (bucket_of < first + round(BUCKETS * calibration_share))


def fold(bucket_of: npt.NDArray[np.int16], folds: int) -> npt.NDArray[np.int16]:
    """The fold of each review, 0..folds-1: equal ranges of buckets. (n,)."""
    of_bucket = (np.arange(BUCKETS) * folds // BUCKETS).astype(np.int16)
    return taken(of_bucket, bucket_of)


@dataclass(frozen=True)
class Split:
    """What each review is for. A review may be for nothing.

    Attributes:
        kind: `product`, `time` or `row`, as it is to be named beside every figure.
        train: bool (n), learned from.
        held: bool (n), to calibrate, to validate and to stop early by.
        test: bool (n), to evaluate on, and for nothing else.
    """

    kind: str
    train: npt.NDArray[np.bool_]
    held: npt.NDArray[np.bool_]
    test: npt.NDArray[np.bool_]


def split(encoded: Encoded, settings: TrainSettings, bucket_of: npt.NDArray[np.int16] | None = None) -> Split:
    """Split reviews as `train.split` says.

    - `product`: no product stands on two sides.
    - `time`: reviews from `train.split_date` on are the test; earlier ones are split by product to learn
      and to calibrate. Reviews without a date are left out.
    - `row`: like `product`, by review instead: products stand on all sides, which flatters.

    Args:
        encoded: the reviews.
        settings: `split`, `split_date`, `test_share` and `calibration_share` are read.
        bucket_of: bucket of each review's product, (n); `encoded.bucket` when None.

    Raises:
        NotEnoughDataError: split by time, nothing is left to learn from.
    """
    parts = assign(
        settings,
        encoded.bucket if bucket_of is None else bucket_of,
        days=lambda: encoded.day,
        review_ids=lambda: encoded.rows().column(REVIEW_ID),
    )
    if parts.kind == "time" and not parts.train.any():
        undated = int(np.count_nonzero(np.asarray(encoded.day) == NO_DAY))
        raise NotEnoughDataError(
            f"no review of before {settings.split_date} to learn from; {undated:,} of {encoded.n_rows:,} "
            "have no date. Choose another train.split_date, or train.split = 'product'."
        )
    return parts


def assign(
    settings: TrainSettings,
    bucket_of: npt.NDArray[np.int16],
    *,
    days: Callable[[], npt.NDArray[np.int32]],
    review_ids: Callable[[], pa.Array],
) -> Split:
    """The rule of `split`, for reviews that need not be encoded.

    Args:
        settings: as for `split`.
        bucket_of: bucket of each review's product, (n).
        days: gives the day of each review, int32 (n), since 1970, or NO_DAY; a `time` split alone asks.
        review_ids: gives the id of each review, (n); a `row` split alone asks.
    """
    if settings.split == "time":
        assert settings.split_date is not None  # noqa: S101 - the settings demand it
        day = np.asarray(days())
        first = (settings.split_date - dt.date(1970, 1, 1)).days
        test = day >= first
        before = ~test & (day != NO_DAY)
        held = before & is_calibration(bucket_of, 0.0, settings.calibration_share)
        return Split("time", before & ~held, held, test)
    if settings.split == "row":
        ids = review_ids()
        bucket_of = buckets(ids, ids)
    test = is_test(bucket_of, settings.test_share)
    held = is_calibration(bucket_of, settings.test_share, settings.calibration_share)
    return Split(settings.split, ~test & ~held, held, test)
