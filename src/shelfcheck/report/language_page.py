"""The page of the language shift: which categories' language changed, when, and with which words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from shelfcheck.report.charts_language import overlap_chart, pair_name, slopes_chart
from shelfcheck.report.shell import render_page
from shelfcheck.report.wording import number, plural, signed, words
from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shelfcheck.config import Settings
    from shelfcheck.report.chart import Chart

Row = dict[str, Any]

YEAR: Final = "year"
STARS: Final = "stars"
_NAMED: Final = 5  # categories told in the lead
_WORDS: Final = 3  # words told in a sentence
_CARRIED: Final = (
    2.0  # standard deviations of the permutations beyond which a word is no matter of one product
)


@dataclass(frozen=True)
class Word:
    """A word that came or went: its z, and whether it changed by more than the products' turnover gives."""

    term: str
    z: float
    carried: bool
    told: str


@dataclass(frozen=True)
class Change:
    """Words that came and went between two groups."""

    pair: str
    shifted: bool
    came: tuple[Word, ...]
    went: tuple[Word, ...]


@dataclass(frozen=True)
class Card:
    """One category by year or by stars."""

    id: str
    category: str
    sentence: str
    chart: str
    changes: tuple[Change, ...]
    terms: tuple[tuple[str, str], ...]  # group, its top terms


def write_language_page(folder: str | Path, out_html: str | Path, settings: Settings) -> Path:
    """Write the page, whole or not at all.

    Args:
        folder: what `language.run.language` wrote.
        out_html: where to write.
        settings: `language` is told.

    Returns:
        The path of the page.
    """
    home, path = Path(folder), Path(out_html)
    read = {
        name: pq.read_table(home / f"{name}.parquet").to_pylist()
        for name in ("pairs", "changed_terms", "top_terms", "trends")
    }
    summary = json.loads((home / "summary.json").read_text(encoding="utf-8"))
    charts: dict[str, Chart] = {}
    cards = {facet: _cards(facet, read, charts) for facet in (YEAR, STARS)}
    for facet, step in ((YEAR, "year"), (STARS, "star")):
        trends = [row for row in read["trends"] if row["facet"] == facet]
        if any(row["low"] is not None for row in trends):
            charts[f"slopes_{facet}"] = slopes_chart(f"slopes-{facet}", trends, step)
    html = render_page(
        "language.html.j2",
        title="How the language shifts",
        charts=charts,
        styles=("assets/language.css",),
        scripts=("assets/language.js",),
        lead=_lead(read, summary),
        answer=summary["answer"],
        tiles=_tiles(summary),
        cards=cards,
        categories=sorted({card.category for facet in cards.values() for card in facet}),
        unused={facet: _unused(summary["reviews"][facet]) for facet in (YEAR, STARS)},
        settings=settings.language,
    )
    write_atomically(path, html)
    return path


def _cards(facet: str, read: dict[str, list[Row]], charts: dict[str, Chart]) -> list[Card]:
    by_category: dict[str, list[Row]] = {}
    for row in read["pairs"]:
        if row["facet"] == facet:
            by_category.setdefault(row["product_category"], []).append(row)
    order = sorted(by_category, key=lambda c: (-_largest(by_category[c])["distance"], c))
    found = []
    for i, category in enumerate(order):
        pairs = by_category[category]
        name = f"{facet}-{i}"
        charts[name] = overlap_chart(name, category, pairs)
        changed = _changes_of(read["changed_terms"], facet, category)
        terms: dict[int, list[str]] = {}
        for row in read["top_terms"]:
            if row["facet"] == facet and row["product_category"] == category:
                terms.setdefault(row["group"], []).append(row["term"])
        found.append(
            Card(
                name,
                category,
                _card_sentence(category, facet, pairs, changed, read["trends"]),
                name,
                tuple(_change(row, changed) for row in pairs),
                tuple((_group(facet, group), ", ".join(told)) for group, told in sorted(terms.items())),
            )
        )
    return found


def _changes_of(rows: Sequence[Row], facet: str, category: str) -> dict[tuple[int, str], list[Row]]:
    found: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        if row["facet"] == facet and row["product_category"] == category:
            found.setdefault((row["group_a"], row["change"]), []).append(row)
    return found


def _change(pair: Row, changed: dict[tuple[int, str], list[Row]]) -> Change:
    came, went = (
        tuple(_word(row) for row in changed.get((pair["group_a"], kind), [])) for kind in ("came", "went")
    )
    return Change(pair_name(pair), bool(pair["shifted"]), came, went)


def _word(row: Row) -> Word:
    told = (
        f"{row['per_1000_words_a']:.2f} to {row['per_1000_words_b']:.2f} in 1,000 words; "
        f"in {plural(row['products'], 'product')}"
    )
    return Word(row["term"], row["z"], abs(row["z_permuted"]) >= _CARRIED, told)


def _largest(pairs: Sequence[Row]) -> Row:
    return max(pairs, key=lambda row: (row["shifted"], row["distance"]))


def _group(facet: str, group: int) -> str:
    return str(group) if facet == YEAR else f"{group}★"


def _few(changed: dict[tuple[int, str], list[Row]], pair: Row, kind: str) -> str:
    rows = changed.get((pair["group_a"], kind), [])
    carried = [row for row in rows if abs(row["z_permuted"]) >= _CARRIED] or rows
    return ", ".join(f"“{row['term']}”" for row in carried[:_WORDS])


def _card_sentence(
    category: str,
    facet: str,
    pairs: Sequence[Row],
    changed: dict[tuple[int, str], list[Row]],
    trends: Sequence[Row],
) -> str:
    shifted = [row for row in pairs if row["shifted"]]
    of = "consecutive years" if facet == YEAR else "neighbouring ratings"
    if not shifted:
        text = f"None of {plural(len(pairs), 'pair')} of {of} differs by more than chance."
    else:
        top = _largest(pairs)
        text = (
            f"{len(shifted)} of {plural(len(pairs), 'pair')} of {of} differ by more than chance, "
            f"most {pair_name(top)}: {_few(changed, top, 'came')} came, {_few(changed, top, 'went')} went."
        )
    fitted = {
        row["measure"]: row for row in trends if row["facet"] == facet and row["product_category"] == category
    }
    if facet == YEAR and len(pairs) >= 4:
        text += (
            f" The overlap changes by {signed(fitted['overlap']['slope'])} points a year over all reviews "
            f"and by {signed(fitted['matched_overlap']['slope'])} at one size."
        )
    return text


def _lead(read: dict[str, list[Row]], summary: dict[str, Any]) -> list[str]:
    pairs = [row for row in read["pairs"] if row["facet"] == YEAR]
    if not pairs:
        return [
            "No category has two consecutive years with enough dated reviews; ratings are compared below."
        ]
    shifted = [row for row in pairs if row["shifted"]]
    n = summary["counts"]["year_categories"]
    within = "1 category" if n == 1 else f"{n} categories"
    sentences = [
        f"{len(shifted)} of {len(pairs)} pairs of consecutive years, in {within}, differ by more than chance."
    ]
    largest: dict[str, Row] = {}
    for row in sorted(shifted, key=lambda one: -one["distance"]):
        largest.setdefault(row["product_category"], row)
    for category, row in list(largest.items())[:_NAMED]:
        changed = _changes_of(read["changed_terms"], YEAR, category)
        sentences.append(
            f"{words(category)} changed most in {row['group_a']} to {row['group_b']}: "
            f"{_few(changed, row, 'came')} came, {_few(changed, row, 'went')} went."
        )
    return sentences


def _tiles(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    counts = summary["counts"]
    tiles = []
    for facet, noun in ((YEAR, "years"), (STARS, "ratings")):
        pairs, shifted = counts[f"{facet}_pairs"], counts[f"{facet}_pairs_shifted"]
        tiles.append((f"Pairs of {noun} that differ", f"{shifted} of {pairs}", "by more than chance"))
    for facet, noun in ((YEAR, "years"), (STARS, "ratings")):
        used = summary["reviews"][facet]["used"]
        tiles.append((f"Reviews compared by {noun}", number(used), ""))
    return tiles


def _unused(told: dict[str, Any]) -> str:
    skipped = told["not_used"]
    if not skipped:
        return "All reviews were used."
    listed = ", ".join(f"{number(n)} ({why})" for why, n in skipped.items())
    return f"{number(told['used'])} reviews were used; not used: {listed}."
