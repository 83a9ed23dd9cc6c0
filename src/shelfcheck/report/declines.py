"""Products whose reviews changed, as the page shows them: sentences, a timeline, texts before and since."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import WorkspaceError
from shelfcheck.report.facts import read_json
from shelfcheck.report.highlight import Highlighter, Marked, printable
from shelfcheck.report.wording import day, number, percent, plural, words

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from shelfcheck.report.highlight import Normalise

_HEADLINE: Final = 400
_SAMPLE: Final = 320  # characters of a sample review before it folds
_WIDTH: Final = 1000.0  # of a timeline
_HEIGHT: Final = 200.0


@dataclass(frozen=True)
class Declines:
    """The list of changed products.

    Attributes:
        total: findings in the file.
        worse: those that became worse.
        better: those that became better.
        judged: products that were looked at.
        false_share: expected share of findings that are none, at most.
        skipped: rows and products that could not be used, by reason.
        rows: the first findings, by rank, with the columns of the file.
    """

    total: int
    worse: int
    better: int
    judged: int
    false_share: float
    skipped: tuple[tuple[str, int], ...]
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Timeline:
    """Mean stars over time, in units of a box 1000 wide and 200 high.

    Attributes:
        line: points of the means, "x,y x,y".
        points: x and y of each.
        since: x of the change; `from_x` and `to_x` bound where it may lie.
        before_y: height of the mean before.
        since_y: height of the mean since.
        until: x of its end, the right side where it goes on.
        first: the first month.
        last: the last month.
        told: the picture in words.
    """

    line: str
    points: tuple[tuple[float, float], ...]
    since: float
    from_x: float
    to_x: float
    before_y: float
    since_y: float
    until: float
    first: str
    last: str
    told: str


@dataclass(frozen=True)
class Sample:
    """A review before or since the change."""

    review: str
    stars: int
    iso_date: str
    date: str
    headline: Marked
    body: Marked


@dataclass(frozen=True)
class DeclineCard:
    """A product that changed."""

    rank: int
    score: float
    worse: bool
    category: str
    product: str
    title: str
    reviews: int
    iso_date: str
    when: str
    facts: tuple[str, ...]
    themes: tuple[tuple[str, str], ...]
    timeline: Timeline
    before: tuple[Sample, ...]
    since: tuple[Sample, ...]


def read_declines(folder: Path, limit: int) -> Declines:
    """Read the findings of `declining_products`.

    Raises:
        WorkspaceError: a file is missing or not what the audit writes.
    """
    summary = read_json(folder / "summary.json")
    try:
        table = pq.read_table(folder / "findings.parquet")
        skipped = {str(reason): int(n) for reason, n in summary["skipped"].items() if n}
        return Declines(
            total=table.num_rows,
            worse=int(summary["worse"]),
            better=int(summary["better"]),
            judged=int(summary["candidates"]),
            false_share=float(summary["max_false_share"]),
            skipped=tuple(sorted(skipped.items(), key=lambda item: (-item[1], item[0]))),
            rows=tuple(table.slice(0, limit).to_pylist()),
        )
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(
            f"{folder}: findings cannot be read for the report ({type(error).__name__}: {error}). "
            "Run the audit again."
        ) from error


def decline_cards(rows: Sequence[dict[str, Any]], normalise: Normalise) -> list[DeclineCard]:
    """Cards of changed products, in the order given."""
    samples = [
        sample for row in rows for name in ("samples_before", "samples_since") for sample in row[name] or ()
    ]
    marker = Highlighter([sample[name] for sample in samples for name in ("headline", "body")], normalise)
    return [_card(row, marker) for row in rows]


def decline_options(cards: Sequence[DeclineCard]) -> list[tuple[str, int]]:
    """Categories that the list can be narrowed to, and the cards that each would leave."""
    return sorted(
        Counter(card.category for card in cards).items(), key=lambda item: words(item[0]).casefold()
    )


def _card(row: dict[str, Any], marker: Highlighter) -> DeclineCard:
    terms = tuple(word["term"] for word in row["words"] or ())
    return DeclineCard(
        rank=row["rank"],
        score=min(row["score"], 0.9999),  # nothing is certain
        worse=row["direction"] == "worse",
        category=row["assigned_category"] or "",
        product=printable(row["product_id"] or ""),
        title=printable(row["product_title"] or ""),
        reviews=row["reviews"],
        iso_date=row["since"].isoformat(),
        when=_when(row),
        facts=_facts(row),
        themes=tuple((theme["term"], _times(theme)) for theme in row["themes"] or ()),
        timeline=_timeline(row),
        before=_samples(row["samples_before"], marker, terms),
        since=_samples(row["samples_since"], marker, terms),
    )


def _when(row: dict[str, Any]) -> str:
    told = f"since {day(row['since'])}"
    if row["until"] is not None:
        told = f"from {day(row['since'])} to {day(row['until'])}"
    return told


def _facts(row: dict[str, Any]) -> tuple[str, ...]:
    """What changed by how much, how sure the date is, and when it could have been known."""
    later = "since" if row["until"] is None else "over that time"
    stars = (
        f"{row['stars_before']:.2f} stars on average in {plural(row['reviews_before'], 'review')} before, "
        f"{row['stars_since']:.2f} in {plural(row['reviews_since'], 'review')} {later}; 1 or 2 stars: "
        f"{percent(row['low_share_before'])} before, {percent(row['low_share_since'])} {later}."
    )
    found = [stars]
    change = f"Without what the category did, {row['stars_change']:+.2f} stars "
    change += f"(95\u202f% interval {row['stars_change_low']:+.2f} to {row['stars_change_high']:+.2f})."
    found.append(change.replace("-", "\N{MINUS SIGN}"))
    if row["stars_by_design"]:
        found.append(
            "Stars of this category are about equally frequent, so the reviews seem to be sampled by stars: "
            "read the change, not the level."
        )
    found.append(
        f"It began between {day(row['since_earliest'])} and {day(row['since_latest'])} (90\u202f% sure)"
        + (f" and could be seen from {day(row['seen'])} on" if row["seen"] else "")
        + f", in {row['seen_in']}."
    )
    return tuple(found)


def _times(theme: dict[str, Any]) -> str:
    return f"{number(theme['reviews_since'])} since, {number(theme['reviews_before'])} before"


def _timeline(row: dict[str, Any]) -> Timeline:
    points = row["timeline"]
    first, last = points[0]["date"], points[-1]["date"]
    # The change and its end stand between the means of neighbouring reviews, so they may lie outside.
    first = min(first, row["since_earliest"])
    last = max(last, row["since_latest"], row["until"] or last)
    days = max((last - first).days, 1)

    def x(date: dt.date) -> float:
        return float(round(_WIDTH * (date - first).days / days, 1))

    def y(stars: float) -> float:
        height: float = round(_HEIGHT * (5 - stars) / 4, 1)
        return height

    placed = tuple((x(point["date"]), y(point["stars"])) for point in points)
    told = f"Mean stars over time: {row['stars_before']:.1f} before {day(row['since'])}, "
    told += f"{row['stars_since']:.1f} {'until ' + day(row['until']) if row['until'] else 'since'}."
    return Timeline(
        line=" ".join(f"{a},{b}" for a, b in placed),
        points=placed,
        since=x(row["since"]),
        from_x=x(row["since_earliest"]),
        to_x=x(row["since_latest"]),
        before_y=y(row["stars_before"]),
        since_y=y(row["stars_since"]),
        until=_WIDTH if row["until"] is None else x(row["until"]),
        first=day(first),
        last=day(last),
        told=told,
    )


def _samples(
    samples: Sequence[dict[str, Any]] | None, marker: Highlighter, terms: tuple[str, ...]
) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            review=printable(sample["review_id"] or ""),
            stars=sample["stars"],
            iso_date=sample["date"].isoformat(),
            date=day(sample["date"]),
            headline=marker.mark(sample["headline"], terms, _HEADLINE),
            body=marker.mark(sample["body"], terms, _SAMPLE),
        )
        for sample in samples or ()
    )
