"""What a picture of the graph says in words: of the whole, and of each node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shelfcheck.graph.store import OUT_OF_FOLD_MODEL
from shelfcheck.report.highlight import printable
from shelfcheck.report.wording import day, number, percent, plural, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.graph.picture.model import Node, Picture

_LABEL: Final = 30  # characters of a label

KINDS: Final = {
    "category": "Category",
    "product": "Product",
    "review": "Review",
    "reviews": "Several reviews",
    "products": "Several products",
    "customer": "Customer",
    "customers": "Several customers",
}


def title_of(picture: Picture) -> str:
    """The title of a page or a file."""
    level, title = picture.request.level, printable(picture.title)
    if level == "categories":
        return "How categories are confused"
    if level == "category":
        return f"{words(title)}: reviews that are read as another category's"
    return f"Around {_cut(title, 80)}"


def shown_name(node: Node) -> str:
    """What a label says."""
    name = words(node.name) if node.kind == "category" else node.name
    return _cut(printable(name), _LABEL)


def full_name(node: Node) -> str:
    """The heading of what is told of a node."""
    name = words(node.name) if node.kind == "category" else node.name
    return _cut(printable(name), 200)


def lead_of(picture: Picture) -> str:
    """What the picture shows, with its counts."""
    counts, request = picture.counts, picture.request
    least = f" with a confidence of {request.min_confidence:g} or more" if request.min_confidence else ""
    model = f"by {request.model}"
    if request.model == OUT_OF_FOLD_MODEL:
        model = "by models that had not seen the product"
    n = number(counts["mismatching_reviews"])
    if request.level == "categories":
        share = percent(_share(counts["mismatching_reviews"], counts["judged_reviews"]), 1)
        return (
            f"Of {number(counts['judged_reviews'])} reviews, {n} ({share}) are read {model} as another "
            f"category's than their product's{least}. An arrow leads from where products stand to what their "
            "reviews are read as."
        )
    if request.level == "category":
        return (
            f"{n} of {number(counts['judged_reviews'])} reviews of products that stand in "
            f"{words(picture.title)} are read {model} as another category's{least}; they belong to "
            f"{plural(counts['products'], 'product')}. A review that is read elsewhere is no fault by itself."
        )
    return (
        f"{plural(counts['reviews'], 'review')} of this product, {n} of them read {model} as another "
        f"category's{least}; {plural(counts['customers'], 'known customer')}, "
        f"{number(counts['customers_of_other_products'])} of whom reviewed "
        f"{plural(counts['other_products'], 'other product')}."
    )


def pooled_of(picture: Picture) -> list[str]:
    """Sentences on what was pooled or left out, so that the picture can be read."""
    counts, pooled = picture.counts, picture.pooled
    told = {
        "pairs_left_out": "{n} weaker links between categories, of {left} reviews, are left out.",
        "reviews_of_one_product_and_category": "Reviews of one product that are read as the same category "
        "are one node with their number: {n} such nodes.",
        "other_products_by_predicted_category": "Products beyond the limit, those with the fewest and least "
        "sure of such reviews, are one node for each category that these are read as: {n} such nodes.",
        "reviews_of_one_category": "Reviews that are read as the same category are one node with their "
        "number, where they are many: {n} such nodes.",
        "other_products_by_category": "Other products beyond the limit, those with the fewest common "
        "customers, are one node for each category: {n} such nodes.",
        "more_customers": "Customers beyond the limit are one node.",
    }
    found = [
        text.format(n=number(pooled[name]), left=number(pooled.get("reviews_left_out", 0)))
        for name, text in told.items()
        if pooled.get(name)
    ]
    if counts.get("reviews_without_prediction"):
        found.append(
            f"{number(counts['reviews_without_prediction'])} reviews have no prediction of this model."
        )
    alone = counts.get("customers", 0) - counts.get("customers_of_other_products", 0)
    if alone > 0:
        found.append(f"{number(alone)} customers who reviewed nothing else here are not drawn.")
    return found


def facts_of(node: Node) -> list[tuple[str, str]]:
    """What is known of a node, as names and values."""
    told = [(name, _said(name, value)) for name, value in _known(node) if value is not None]
    return [(name, value) for name, value in told if value]


def texts_of(node: Node) -> list[tuple[str, str, str]]:
    """Reviews that a node tells: a line on it, its headline, the start of its body."""
    rows = [node.about] if "body" in node.about else node.about.get("samples", [])
    found = []
    for row in rows:
        stars, date = row.get("stars"), row.get("date")
        meta = [f"{stars} of 5 stars" if stars else "", day(date) if date else "", row["review_id"]]
        if node.kind != "review" and row.get("confidence") is not None:
            meta.insert(0, f"confidence {row['confidence']:.2f}")
        head, body = printable(row.get("headline") or ""), printable(row.get("body") or "")
        found.append((" · ".join(part for part in meta if part), head, body))
    return found


def line_of(node: Node) -> str:
    """One line on a node, for a table and a tip."""
    about = node.about
    if node.kind == "category":
        return _category_line(about)
    if node.kind == "product":
        return _product_line(about)
    towards = words(about["predicted"]) if about.get("predicted") else ""
    if node.kind == "review" and towards:
        return f"read as {towards}, confidence {about['confidence']:.2f}"
    if towards:
        return f"{plural(node.reviews, 'review')} read as {towards}"
    return f"in {words(about['assigned'])}" if about.get("assigned") else ""


def _product_line(about: Mapping[str, Any]) -> str:
    if about.get("here"):
        return plural(about["reviews"], "review")
    if "common" in about:
        shelf = words(about["assigned"]) if about["assigned"] else "no category"
        return f"{plural(about['common'], 'common customer')}, {shelf}"
    return f"{number(about['astray'])} of {plural(about['reviews'], 'review')} read elsewhere"


def _category_line(about: Mapping[str, Any]) -> str:
    if "judged" in about:
        return f"{number(about['out'])} of {number(about['judged'])} reviews read elsewhere"
    if "into" in about:
        return f"{plural(about['into'], 'review')} read as this"
    stand = plural(about.get("stand", 0), "product")
    return f"{plural(about.get('read_as', 0), 'review')} read as this, {stand} here"


def _known(node: Node) -> list[tuple[str, Any]]:
    about = node.about
    product = about.get("product_id")
    if node.kind == "category":
        return [
            ("Reviews", node.reviews if "judged" in about else None),
            ("Products", about.get("products")),
            ("Read elsewhere", _of(about.get("out"), about.get("judged"))),
            ("Read as this", about.get("into")),
            ("Most go to", about.get("out_to")),
            ("Most come from", about.get("into_from")),
        ]
    if node.kind == "product":
        return [
            ("Id", product),
            ("Stands in", about.get("assigned")),
            ("Reviews", about.get("reviews")),
            ("Mean stars", about.get("stars")),
            ("Read elsewhere", about.get("astray")),
            ("Common customers", about.get("common")),
        ]
    return [
        ("Id", about.get("review_id") or about.get("customer_id")),
        ("Products", about.get("products")),
        ("Customers", about.get("customers")),
        ("Stand in", about.get("assigned")),
        ("Product", about.get("product")),
        ("Product id", product),
        ("Read as", about.get("predicted")),
        ("Confidence", about.get("confidence")),
        ("Reviews", node.reviews if node.kind in ("reviews", "products") and "predicted" in about else None),
    ]


def _said(name: str, value: object) -> str:
    if isinstance(value, list):
        return ", ".join(f"{words(one)} ({number(n)})" for one, n in value)
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, int):
        return number(value)
    text = printable(str(value))
    return words(text) if name in ("Read as", "Stand in", "Stands in") else _cut(text, 200)


def _of(n: int | None, total: int | None) -> str | None:
    if n is None or total is None:
        return None
    return f"{number(n)} of {number(total)} ({percent(_share(n, total), 1)})"


def _share(n: int, total: int) -> float:
    return n / total if total else 0.0


def _cut(text: str, characters: int) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= characters else f"{joined[: characters - 1].rstrip()}…"
