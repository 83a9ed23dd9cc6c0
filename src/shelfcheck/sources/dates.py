"""Dates as inputs spell them: ISO, UCSD's `09 1, 2016`, month names, numbers since 1970."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

_EPOCH: Final = dt.date(1970, 1, 1)
FIRST_DAY: Final = (dt.date(1990, 1, 1) - _EPOCH).days  # days since 1970; an earlier date is no review's
_ISO: Final = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:$|[T ]\d)")
_UCSD: Final = re.compile(r"(\d{1,2}) (\d{1,2}), ?(\d{4})$")
_NAMED: Final = re.compile(r"([A-Za-z]{3,9})\.? (\d{1,2}),? (\d{4})$")
_NAMED_AFTER: Final = re.compile(r"(\d{1,2})\.? ([A-Za-z]{3,9})\.?,? (\d{4})$")
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


def last_day() -> int:
    """The latest day a review may have, in days since 1970: tomorrow, for the sake of time zones."""
    return (dt.datetime.now(dt.UTC).date() - _EPOCH).days + 1


def from_text(text: str) -> dt.date | None:
    """A date from text; None where there is none.

    `03/04/2015` is refused: it has two readings.

    Raises:
        ValueError: the text is no date.
    """
    text = text.strip()
    if not text:
        return None
    if match := _ISO.match(text):
        return dt.date(int(match[1]), int(match[2]), int(match[3]))
    if match := _UCSD.match(text):
        return dt.date(int(match[3]), int(match[1]), int(match[2]))
    if match := _NAMED.match(text):
        return dt.date(int(match[3]), _month(match[1]), int(match[2]))
    if match := _NAMED_AFTER.match(text):
        return dt.date(int(match[3]), _month(match[2]), int(match[1]))
    if text.isascii() and text.isdecimal() and len(text) < 20:
        return from_number(int(text))
    raise ValueError(text)


def from_number(value: float) -> dt.date | None:
    """A date from a number, its unit told by its size; NaN is None.

    Below 100,000: days since 1970 (Parquet's own dates); 19900101 to 21001231: year, month, day;
    else seconds (below 10^11), milliseconds (10^14), microseconds (10^17) or nanoseconds since 1970, UTC.

    Raises:
        ValueError: the number is no date.
        OverflowError: it is far outside of time.
    """
    if value != value:  # noqa: PLR0124 - NaN
        return None
    if value < 0:
        raise ValueError(value)
    if value < 100_000:
        return _EPOCH + dt.timedelta(days=int(value))
    number = int(value)
    if 19_900_101 <= number <= 21_001_231:
        return dt.date(number // 10_000, number // 100 % 100, number % 100)
    for bound, unit in ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9)):
        if number < bound:
            return _EPOCH + dt.timedelta(days=number // unit // 86_400)
    raise ValueError(value)


def _month(name: str) -> int:
    name = name.lower()
    for number, month in enumerate(_MONTHS, 1):
        if month.startswith(name[:3]) and (month == name or name in (month[:3], month[:4])):
            return number
    raise ValueError(name)
