"""Where each stratum's sample ends: the k-th smallest md5 of its review ids.

A stratum's sample is its k reviews with the smallest md5, ties by id. Which these are is told by one cut-off
a stratum, so that reading the sample needs no list of rows, and no row is sorted that is not in it.

Md5 spreads evenly, so the k-th smallest of n lies near k/n of the range. Only keys in a window around that
are kept, some ten standard deviations wide; those below are counted. That the cut-off lies inside the window
is then *checked*, never assumed: where fewer than k keys lie below the window and k or more up to its end,
the cut-off is the key of the window that makes them k. A stratum that fails is done again without a window.
So memory grows with the square root of the sample, and the result does not depend on the window.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from shelfcheck.sampling.reviews import HASH, relation
from shelfcheck.sampling.scan import Query
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shelfcheck.engines.duckdb import DuckDB
    from shelfcheck.sampling.reviews import Batch
    from shelfcheck.sampling.scan import Scan
    from shelfcheck.sampling.strata import SamplePlan

LOWEST: Final = ""  # below every md5
HIGHEST: Final = "g"  # above every md5
_DEVIATIONS: Final = 5.0  # half a window; one stratum in a million falls out
_LEAST: Final = 16  # keys beside, where k is small and the normal law does not hold


class Cutoff(NamedTuple):
    """The last review of a stratum's sample.

    Attributes:
        hash: its md5, or `HIGHEST` where the whole stratum is drawn.
        review_id: its id.
        excess: reviews up to it beyond the target: repeats of this id, which `prepare` keeps on request.
    """

    hash: str
    review_id: str
    excess: int


def window(rows: int, target: int) -> tuple[str, str]:
    """Prefixes of md5 between which the cut-off lies, very probably.

    Args:
        rows: reviews of the stratum.
        target: of which are to be drawn.
    """
    margin = _DEVIATIONS * math.sqrt(target) + _LEAST
    return _prefix((target - margin) / rows, LOWEST), _prefix((target + margin) / rows, HIGHEST)


def _prefix(share: float, beyond: str) -> str:
    return beyond if not 0 < share < 1 else f"{int(share * 2**52):013x}"


def strata_table(plan: SamplePlan, numbers: Iterable[int], **columns: Sequence[object]) -> pa.Table:
    """Strata for SQL: the columns `s0`, `s1` … with their values, their number, and more columns."""
    chosen = list(numbers)
    values = {
        f"s{i}": pa.array([plan.strata[n].values[i] for n in chosen], PREPARED_SCHEMA.field(name).type)
        for i, name in enumerate(plan.by)
    }
    return pa.table(values | {"stratum": pa.array(chosen, pa.int32())} | columns)


def in_stratum(by: Sequence[str]) -> str:
    """The condition that a review `r` is of a stratum `s`; unknown values make strata of their own."""
    return " AND ".join(f"r.{name} IS NOT DISTINCT FROM s.s{i}" for i, name in enumerate(by)) or "TRUE"


def find_cutoffs(
    engine: DuckDB, scan: Scan, batches: Sequence[Batch], plan: SamplePlan, salt: str
) -> list[Cutoff]:
    """The cut-off of each stratum.

    Args:
        engine: where keys are kept, in memory or on disk.
        scan: reads the reviews; it may be by the same engine.
        batches: the reviews.
        plan: strata and targets.
        salt: put before each id.
    """
    whole = Cutoff(HIGHEST, "", 0)
    found = {i: whole for i, stratum in enumerate(plan.strata) if stratum.target == stratum.rows}
    open_ = [i for i in range(len(plan.strata)) if i not in found]
    windows = {i: window(plan.strata[i].rows, plan.strata[i].target) for i in open_}
    while open_:
        found |= _search(engine, scan, batches, plan, {i: windows[i] for i in open_}, salt=salt)
        failed = [i for i in open_ if i not in found]
        if any(windows[i] == (LOWEST, HIGHEST) for i in failed):
            raise AssertionError("prepared reviews changed while they were sampled")
        windows |= dict.fromkeys(failed, (LOWEST, HIGHEST))
        open_ = failed
    return [found[i] for i in range(len(plan.strata))]


def _search(
    engine: DuckDB,
    scan: Scan,
    batches: Sequence[Batch],
    plan: SamplePlan,
    windows: dict[int, tuple[str, str]],
    *,
    salt: str,
) -> dict[int, Cutoff]:
    """The cut-offs that lie in their windows."""
    strata = strata_table(
        plan,
        windows,
        low=[low for low, _ in windows.values()],
        high=[high for _, high in windows.values()],
        target=[plan.strata[i].target for i in windows],
    )
    engine.register("strata", strata)
    engine.run(f"CREATE TABLE keys (stratum INTEGER, {HASH} VARCHAR, {REVIEW_ID} VARCHAR, n BIGINT)")
    columns = list(dict.fromkeys([*plan.by, REVIEW_ID]))
    condition, without = in_stratum(plan.by), tuple(plan.dropped)

    def sql(batch: Batch) -> str:
        reviews = relation(batch, columns, hashed=True, without=without)
        return f"""
            SELECT s.stratum,
                   CASE WHEN r.{HASH} < s.low THEN NULL ELSE r.{HASH} END AS h,
                   CASE WHEN r.{HASH} < s.low THEN NULL ELSE r.{REVIEW_ID} END AS id,
                   count(*) AS n
            FROM {reviews} r JOIN strata s ON {condition}
            WHERE r.{HASH} < s.high
            GROUP BY s.stratum, h, id
        """  # noqa: S608 - our own names

    keeper = engine.beside()  # one statement reads while another keeps
    for rows in scan(batches, Query(sql, {"salt": salt}, {"strata": strata}), "Choosing"):
        keeper.register("more", pa.Table.from_batches([rows]))
        keeper.run("INSERT INTO keys SELECT * FROM more")
    keeper.close()
    found = engine.run(
        f"""
        WITH cumulated AS (
            SELECT stratum, {HASH}, {REVIEW_ID},
                   sum(n) OVER (PARTITION BY stratum ORDER BY {HASH} NULLS FIRST, {REVIEW_ID} NULLS FIRST
                                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS upto
            FROM (SELECT stratum, {HASH}, {REVIEW_ID}, sum(n) AS n FROM keys GROUP BY ALL)),
        past AS (
            SELECT c.stratum, {HASH}, {REVIEW_ID}, upto - target AS excess,
                   row_number() OVER (PARTITION BY c.stratum ORDER BY upto) AS place
            FROM cumulated c JOIN strata s ON c.stratum = s.stratum WHERE upto >= target)
        SELECT stratum, {HASH}, {REVIEW_ID}, excess FROM past WHERE place = 1
        """  # noqa: S608
    )
    engine.run("DROP TABLE keys")
    # The row without a key stands for all below the window: a cut-off there is not known.
    return {stratum: Cutoff(h, id_, int(excess)) for stratum, h, id_, excess in found if h is not None}
