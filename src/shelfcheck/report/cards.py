"""Findings as the page shows them: sentences, dates, marked texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.report.highlight import Highlighter, Marked, printable
from shelfcheck.report.wording import day, number, percent, plural, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.report.highlight import Normalise

_HEADLINE: Final = 400  # characters of a headline; the schema sets no bound
_SAMPLE: Final = 320  # characters of a sample review before it folds
_BODY: Final = 700


@dataclass(frozen=True)
class Segment:
    """A part of a bar a thousand units wide."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True)
class ReviewText:
    """A review within a card."""

    review: str
    headline: Marked
    body: Marked
    chance: str = ""


@dataclass(frozen=True)
class ReviewCard:
    """A misplaced review."""

    rank: int
    score: float
    assigned: str
    suggested: str
    product: str
    title: str
    review: str
    stars: int | None
    iso_date: str
    date: str
    headline: Marked
    body: Marked
    words: tuple[str, ...]
    chances: str
    peers: str


@dataclass(frozen=True)
class ProductCard:
    """A miscategorised product."""

    rank: int
    score: float
    assigned: str
    suggested: str
    product: str
    title: str
    reviews: int
    votes: tuple[Segment, ...]
    words: tuple[str, ...]
    peers: str
    samples: tuple[ReviewText, ...]


def review_cards(rows: Sequence[dict[str, Any]], normalise: Normalise) -> list[ReviewCard]:
    """Cards of misplaced reviews, in the order given."""
    texts = [row[name] for row in rows for name in ("review_headline", "review_body")]
    marker = Highlighter(texts, normalise)
    return [_review_card(row, marker) for row in rows]


def product_cards(rows: Sequence[dict[str, Any]], normalise: Normalise) -> list[ProductCard]:
    """Cards of miscategorised products, in the order given."""
    samples = [sample for row in rows for sample in row["sample_reviews"] or ()]
    marker = Highlighter([sample[name] for sample in samples for name in ("headline", "body")], normalise)
    return [_product_card(row, marker) for row in rows]


def category_options(cards: Sequence[ReviewCard] | Sequence[ProductCard]) -> list[tuple[str, int]]:
    """Categories that a list can be narrowed to, and the cards that each would leave."""
    counts = Counter(category for card in cards for category in {card.assigned, card.suggested})
    return sorted(counts.items(), key=lambda item: words(item[0]).casefold())


def segments(parts: Sequence[tuple[str, int]]) -> tuple[Segment, ...]:
    """Counts as parts of one bar; what is there at all stays visible."""
    total = sum(n for _, n in parts)
    seen = [(kind, max(1000 * n / total, 3.0)) for kind, n in parts if n]
    scale = 1000 / sum((width for _, width in seen), start=0.0) if seen else 0.0
    made = []
    x = 0.0
    for kind, width in seen:
        made.append(Segment(kind, round(x, 1), round(width * scale, 1)))
        x += width * scale
    return tuple(made)


def _review_card(row: dict[str, Any], marker: Highlighter) -> ReviewCard:
    terms = _terms(row["words"])
    date = row["review_date"]
    return ReviewCard(
        rank=row["rank"],
        score=row["score"],
        assigned=row["assigned_category"],
        suggested=row["suggested_category"],
        product=_plain(row["product_id"]),
        title=_plain(row["product_title"]),
        review=_plain(row["review_id"]),
        stars=row["star_rating"],
        iso_date="" if date is None else date.isoformat(),
        date=day(date),
        headline=marker.mark(row["review_headline"], terms, _HEADLINE),
        body=marker.mark(row["review_body"], terms, _BODY),
        words=terms,
        chances=_chances(row),
        peers=_peers(row),
    )


def _product_card(row: dict[str, Any], marker: Highlighter) -> ProductCard:
    terms = _terms(row["words"])
    suggested, assigned = words(row["suggested_category"]), words(row["assigned_category"])
    parts = (
        ("for-suggested", row["reviews_for_suggested"]),
        ("undecided", row["reviews_undecided"]),
        ("for-assigned", row["reviews_for_assigned"]),
    )
    total = row["reviews"]
    others = total - sum(n for _, n in parts)
    peers = f"Of {plural(total, 'review')}, {number(parts[0][1])} read like {suggested}, "
    peers += f"{number(parts[2][1])} like {assigned}"
    peers += f", {number(others)} like something else" if others > 0 else ""
    peers += f"; {number(parts[1][1])} could be either." if parts[1][1] else "."
    return ProductCard(
        rank=row["rank"],
        score=row["score"],
        assigned=row["assigned_category"],
        suggested=row["suggested_category"],
        product=_plain(row["product_id"]),
        title=_plain(row["product_title"]),
        reviews=total,
        votes=segments((*parts[:2], ("undecided", max(others, 0)), parts[2])),
        words=terms,
        peers=peers,
        samples=tuple(
            ReviewText(
                review=_plain(sample["review_id"]),
                headline=marker.mark(sample["headline"], terms, _HEADLINE),
                body=marker.mark(sample["body"], terms, _SAMPLE),
                chance=f"{percent(sample['p_suggested'])} {suggested}",
            )
            for sample in row["sample_reviews"] or ()
        ),
    )


def _chances(row: dict[str, Any]) -> str:
    """What the text alone says of the two categories."""
    return (
        f"By the text alone: {percent(row['p_suggested'])} {words(row['suggested_category'])}, "
        f"{percent(row['p_assigned'])} {words(row['assigned_category'])}."
    )


def _peers(row: dict[str, Any]) -> str:
    """How many other reviews of the product agree with where it stands."""
    total, agreeing, assigned = (
        row["product_reviews"] or 0,
        row["product_agreeing"] or 0,
        words(row["assigned_category"]),
    )
    if not row["product_id"]:
        return "Its product is unknown, so no other reviews can be asked."
    if not total:
        return "The product has no other reviews."
    if total == 1:
        verb = "agrees" if agreeing else "does not agree"
        return f"The one other review of this product {verb} with {assigned}."
    verb = "agrees" if agreeing == 1 else "agree"
    return f"{number(agreeing)} of {number(total)} other reviews of this product {verb} with {assigned}."


def _terms(found: Sequence[dict[str, Any]] | None) -> tuple[str, ...]:
    """Terms that speak for the suggestion, the strongest first."""
    ordered = sorted(found or (), key=lambda word: -word["weight"])
    return tuple(word["term"] for word in ordered if word["weight"] > 0 and word["term"])


def _plain(text: str | None) -> str:
    return printable(text or "")
