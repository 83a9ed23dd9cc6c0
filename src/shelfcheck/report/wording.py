"""Numbers, dates and names as a reader sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import datetime as dt

_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def number(n: float) -> str:
    """A count with thousands set apart."""
    return f"{n:,.0f}"


def about(n: float) -> str:
    """An expected number in words: about 12, fewer than one."""
    return f"about {number(n)}" if n >= 0.5 or n == 0 else "fewer than one"


def percent(share: float, digits: int = 0) -> str:
    """A share in 0..1 as per cent; never rounded up to a whole that it is not."""
    value = share * 100
    if 0 < value <= 10**-digits / 2:
        return f"<{10**-digits:g}\u202f%"
    if value < 100 and f"{value:.{digits}f}" == f"{100:.{digits}f}":
        return f">{100 - 10**-digits:g}\u202f%"
    return f"{value:.{digits}f}\u202f%"


def ratio(share: float) -> str:
    """A measure in 0..1 to three places."""
    return f"{share:.3f}"


def signed(n: float, digits: int = 1) -> str:
    """A change with its sign."""
    return f"{n:+.{digits}f}".replace("-", "−")


def plural(n: int, noun: str) -> str:
    """A count with its noun."""
    return f"{number(n)} {noun if n == 1 else noun + 's'}"


def day(date: dt.date | None) -> str:
    """A date as people write it: 4 Mar 2014."""
    return "" if date is None else f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


def words(name: str) -> str:
    """A name of the data or of a rule as a reader sees it: underscores become spaces."""
    return name.replace("_", " ")
