"""The chapter on the graph: what reviews and customers say of the catalogue's categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.errors import WorkspaceError
from shelfcheck.report.charts_graph import confused_pairs_chart
from shelfcheck.report.facts import read_json
from shelfcheck.report.wording import number, percent, plural, ratio, words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shelfcheck.report.chart import Chart

_MOST_PAIRS: Final = 15
_MOST_ROWS: Final = 10
_LEAST_COMMON: Final = 5  # common customers of a pair that is told
_HEADINGS: Final = {"merge": "Merge", "split": "Split", "rename": "Rename"}
_SUBGRAPHS: Final = {
    "assigned": "Assigned",
    "predicted": "Predicted",
    "both": "In both",
    "only_predicted": "Predicted alone",
    "only_assigned": "Assigned alone",
}


@dataclass(frozen=True)
class Listed:
    """A table of the chapter.

    Attributes:
        caption: what it shows.
        columns: headings; the first names the row.
        rows: cells.
        texts: how many columns, from the left, hold text and no figure.
        hint: how to read it.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int
    hint: str = ""


@dataclass(frozen=True)
class GraphChapter:
    """What the page shows of the graph.

    Attributes:
        sentences: what was found, in words.
        suggestions: heading, evidence and caution of each.
        chart: of the confused pairs, if there are any.
        tables: the rest, in order.
    """

    sentences: tuple[str, ...]
    suggestions: tuple[tuple[str, str, str], ...]
    chart: Chart | None
    tables: tuple[Listed, ...]


def read_graph(folder: Path) -> GraphChapter:
    """Read what `graph analyse` left.

    Raises:
        WorkspaceError: its files are missing or damaged.
    """
    summary = read_json(folder / "summary.json")
    try:
        rows = {
            name: pq.read_table(folder / f"{name}.parquet").to_pylist()
            for name in (
                "suggestions",
                "subgraphs",
                "confused_pairs",
                "confused_words",
                "common_customers",
                "communities",
            )
        }
        with pq.ParquetFile(folder / "between_products.parquet") as file:
            between = next(file.iter_batches(_MOST_ROWS), None)
        rows["between_products"] = [] if between is None else between.to_pylist()
        return GraphChapter(
            sentences=_sentences(summary, rows),
            suggestions=tuple(
                (
                    f"{_HEADINGS[row['kind']]}? {words(row['category'])} and {words(row['other'])}",
                    _plain(row["evidence"], row),
                    _plain(row["caution"], row),
                )
                for row in rows["suggestions"]
            ),
            chart=confused_pairs_chart(pairs) if (pairs := _told_pairs(summary, rows)) else None,
            tables=tuple(table for table in _tables(summary, rows) if table.rows),
        )
    except (OSError, pa.ArrowInvalid, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"{folder}: cannot be read for the report ({error}). "
            "Make it again: shelfcheck graph analyse --force"
        ) from error


def _plain(text: str, row: Mapping[str, Any]) -> str:
    """A text with the names of its two categories as a reader sees them."""
    for name in (row["category"], row["other"]):
        text = text.replace(name, words(name))
    return text


def _sentences(summary: Mapping[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> tuple[str, ...]:
    counts, joined = summary["counts"], summary["common_customers"]
    share = percent(counts["mismatched_reviews"] / counts["judged_reviews"], 1)
    found = [
        (
            f"{number(counts['mismatched_reviews'])} of {number(counts['judged_reviews'])} reviews ({share}) "
            "are predicted in another category than their product's; "
            f"{number(counts['not_judged_reviews'])} without a product or category could not "
            "be compared. A review alone says little: of "
            f"{plural(counts['judged_products'], 'product')} with enough reviews and a clear majority, "
            f"{number(counts['products_read_elsewhere'])} have most of theirs predicted elsewhere."
        )
    ]
    if joined["edges"]:
        found.append(_customers(joined, counts["communities"]))
    if summary["never_predicted"]:
        names = ", ".join(words(name) for name in summary["never_predicted"][:_MOST_ROWS])
        left = len(summary["never_predicted"]) - _MOST_ROWS
        found.append(
            f"No review is predicted in {names}{f' and {number(left)} more' if left > 0 else ''}, as a rule "
            "because the model had too few reviews of these to learn from; nothing is said of them."
        )
    if not rows["suggestions"]:
        found.append("Nothing here suggests to merge, split or rename a category.")
    return tuple(found)


def _customers(joined: Mapping[str, Any], communities: int) -> str:
    told = (
        f"{number(joined['products'])} products share a customer with another; they fall into "
        f"{number(communities)} communities."
    )
    catalogue, best = joined["catalogue_modularity"], joined["modularity"]
    if catalogue is None or best is None or best <= 0:
        return told
    close = catalogue >= 0.8 * best  # of the best partition that was found
    parted = "nearly as well as" if close else "worse than"
    kept = "mostly keep to the shelves that the catalogue has" if close else "shop across its shelves"
    return (
        f"{told} The catalogue's categories part these products {parted} the communities do "
        f"(modularity {ratio(catalogue)} and {ratio(best)}): customers {kept}."
    )


def _told_pairs(summary: Mapping[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    rate = summary["settings"]["false_discovery_rate"]
    return [row for row in rows["confused_pairs"] if row["q"] <= rate][:_MOST_PAIRS]


def _tables(summary: Mapping[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> list[Listed]:
    rate = summary["settings"]["false_discovery_rate"]
    telling: dict[tuple[str, str], list[str]] = {}
    for row in rows["confused_words"]:
        telling.setdefault((row["assigned"], row["predicted"]), []).append(row["word"])
    customers = [
        row for row in rows["common_customers"] if row["q"] <= rate and row["common"] >= _LEAST_COMMON
    ]
    return [
        Listed(
            "Categories confused beyond what their sizes give",
            (
                "Assigned",
                "Predicted",
                "Words that point there",
                "Reviews",
                "Share",
                "Products",
                "Lift",
                "Way",
            ),
            tuple(
                (
                    words(row["assigned"]),
                    words(row["predicted"]),
                    ", ".join(telling.get((row["assigned"], row["predicted"]), [])[:6]),
                    number(row["reviews"]),
                    percent(row["share"], 1),
                    number(row["products"]),
                    f"{row['lift']:.1f}",
                    {"this": "mostly this", "other": "mostly back", "both": "both alike"}[row["way"]],
                )
                for row in _told_pairs(summary, rows)
            ),
            3,
            "Lift: products with such a review, by what is expected if only sizes counted. Way: whether the "
            "pair is confused more this way or back, beyond sizes. Words stand in more of the confused "
            "reviews than in those predicted right; where they are general (great, works), the reviews say "
            "little, and the model takes the likelier category.",
        ),
        Listed(
            "Categories that share customers",
            ("Category", "With", "Customers of both", "Of the smaller", "Lift"),
            tuple(
                (
                    words(row["category_a"]),
                    words(row["category_b"]),
                    number(row["common"]),
                    percent(row["share_of_smaller"], 1),
                    f"{row['lift']:.1f}",
                )
                for row in customers[:_MOST_ROWS]
            ),
            2,
            "Lift: by what is expected among customers of several categories, if only sizes counted.",
        ),
        Listed(
            "Products between categories, by their customers",
            ("Product", "Category", "Other category", "Reviews read as", "Customers", "Weight there"),
            tuple(
                (
                    row["title"] or row["product_id"],
                    words(row["category"]),
                    words(row["other_category"]),
                    words(row["read_as"] or "not known"),
                    number(row["joining_customers"]),
                    percent(row["other_category_share"]),
                )
                for row in rows["between_products"]
            ),
            4,
            "Customers who have reviewed other products, too, and how much of what joins the product to "
            "those lies in the other category.",
        ),
        Listed(
            "Largest communities of products with common customers",
            ("Community", "Categories", "Products", "Weight inside"),
            tuple(
                (
                    number(row["community"]),
                    words(row["categories"]),
                    number(row["products"]),
                    percent(row["inside_share"]),
                )
                for row in rows["communities"][:_MOST_ROWS]
            ),
            2,
        ),
        Listed(
            "Products and categories as graphs",
            (
                "Edges",
                "Number",
                "Products",
                "In several",
                "Components",
                "Largest",
                "Modularity",
                "Catalogue's",
            ),
            tuple(
                (
                    _SUBGRAPHS[row["subgraph"]],
                    number(row["edges"]),
                    number(row["products"]),
                    number(row["products_in_several"]),
                    number(row["components"]),
                    "" if row["largest_component"] is None else percent(row["largest_component"]),
                    "" if row["modularity"] is None else ratio(row["modularity"]),
                    "" if row["catalogue_modularity"] is None else ratio(row["catalogue_modularity"]),
                )
                for row in rows["subgraphs"]
            ),
            1,
            "An edge joins a product to a category that it is assigned to, or that one of its reviews is "
            "predicted in. Modularity: of communities found, and of the catalogue's own categories.",
        ),
    ]
