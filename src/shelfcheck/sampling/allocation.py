"""How many rows of each stratum a sample gets: proportional allocation by largest remainder."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def allocate(rows: Sequence[int], fraction: float) -> list[int]:
    """Target counts of a stratified sample.

    A stratum's share is `rows * fraction`. Each stratum gets its share rounded down, but at least one row;
    what then is missing to the total goes, one row each, to the strata whose shares were cut most (Hamilton's
    method; ties to the stratum named first). So every target differs from its share by less than one row. The
    total is `rows * fraction`, halves rounded up, or more by what the one row of tiny strata forces.

    Args:
        rows: rows of each stratum, in a fixed order; each at least 1.
        fraction: in (0, 1]; taken as the decimal number that it is written as.

    Returns:
        Rows to draw from each stratum, 1..rows, in the same order.
    """
    exact = Fraction(Decimal(repr(fraction)))
    total = int(sum(rows) * exact + Fraction(1, 2))
    shares = [n * exact for n in rows]
    targets = [max(1, int(share)) for share in shares]
    missing = total - sum(targets)
    # A share below 1 was rounded up already.
    cut = sorted((int(share) - share, i) for i, share in enumerate(shares) if share >= 1)
    for _, i in cut[: max(0, missing)]:
        targets[i] += 1
    return targets
