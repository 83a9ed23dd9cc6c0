"""The picture of one category: its products' reviews that are read as another category's."""

from __future__ import annotations

from collections import defaultdict
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.graph.picture.drawing import Drawing
from shelfcheck.graph.picture.model import BINS, one_bin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shelfcheck.graph.picture.model import Edge, Node, Request
    from shelfcheck.graph.picture.reading import PictureReader, Row

_SAMPLES: Final = 3  # surest reviews that the text of a pooled node tells
_POOLED: Final = 1.6  # radius of a pooled node, times the root of what it stands for
_LARGEST: Final = 26.0


def astray(
    read: PictureReader, request: Request, name: str
) -> tuple[list[Node], list[Edge], dict[str, int], dict[str, int]]:
    """Nodes, edges, counts and what was pooled.

    Where reviews, products and categories are more than `limit` nodes, the reviews of one product that are
    read as the same category become one node; where these are still too many, products are kept by the sum of
    their reviews' confidence, and all others become one node for each category they are read as.
    """
    own = read.category(name)
    read.rows_made(
        "astray",
        f"""SELECT * FROM ({read.judged()})
        WHERE assigned = $name AND predicted <> assigned AND confidence >= $least""",  # noqa: S608
        name=name,
        least=request.min_confidence,
    )
    counts = read.rows(
        f"""SELECT count(*) AS mismatching_reviews, count(DISTINCT product_id) AS products,
            count(DISTINCT (product_id, predicted)) AS pairs, count(DISTINCT predicted) AS categories,
            (SELECT count(*) FROM ({read.judged()}) WHERE assigned = $name) AS judged_reviews
        FROM astray""",  # noqa: S608
        name=name,
    )[0]
    fixed = counts["categories"] + 1
    alone = counts["mismatching_reviews"] + counts["products"] + fixed <= request.limit
    whole = alone or counts["pairs"] + counts["products"] + fixed <= request.limit
    room = counts["pairs"] + counts["products"] if whole else request.limit - fixed - counts["categories"]
    read.rows_made(
        "kept",
        """SELECT product_id FROM (
            SELECT product_id, sum(1 + pairs) OVER (ORDER BY sure DESC, product_id
                ROWS UNBOUNDED PRECEDING) AS nodes
            FROM (SELECT product_id, count(DISTINCT predicted) AS pairs,
                sum(CAST(confidence * 1000000 AS BIGINT)) AS sure FROM astray GROUP BY 1)
        ) WHERE nodes <= $room""",
        room=max(room, 0),
    )
    drawing = Drawing()
    hub = drawing.node(
        f"C:{name}",
        "category",
        name,
        own["reviews"],
        _LARGEST,
        products=own["products"],
        judged=counts["judged_reviews"],
        out=counts["mismatching_reviews"],
        here=True,
    )
    _targets(read, drawing, counts["mismatching_reviews"])
    products = {
        row["product_id"]: drawing.node(
            f"P:{row['product_id']}",
            "product",
            row["title"] or row["product_id"],
            row["astray"],
            min(2.6 + 0.5 * sqrt(row["astray"]), 9.0),
            product_id=row["product_id"],
            title=row["title"],
            reviews=row["reviews"],
            stars=row["stars"],
            astray=row["astray"],
            assigned=name,
        )
        for row in read.rows(
            """SELECT product_id, title, reviews, stars, astray FROM products JOIN (
                SELECT product_id, count(*) AS astray FROM astray SEMI JOIN kept USING (product_id) GROUP BY 1
            ) USING (product_id) ORDER BY astray DESC, product_id"""
        )
    }
    for at in products.values():
        drawing.edge(at, hub, "assigned")
    pooled = _pairs(read, drawing, products, alone=alone)
    others = {} if whole else _others(read, drawing, hub)
    texts(read, drawing.nodes)
    counts["reviews_drawn_alone"] = sum(node.kind == "review" for node in drawing.nodes)
    return drawing.nodes, drawing.edges, counts, pooled | others


def texts(read: PictureReader, nodes: Iterable[Node]) -> None:
    """Put the beginnings of reviews into the nodes that name some: `review_id` alone, `samples` in pools."""
    listed = list(nodes)
    wanted = [node.about["review_id"] for node in listed if "review_id" in node.about]
    wanted += [sample["review_id"] for node in listed for sample in node.about.get("samples", ())]
    found = read.texts(wanted)
    for node in listed:
        text = found.get(node.about.get("review_id", ""))
        if text is not None:
            node.about |= text
            node.name = text["headline"] or text["body"][:60] or node.name
        for sample in node.about.get("samples", ()):
            sample.update(found.get(sample["review_id"], {}))


def binned(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[int]]:
    """Rows with `bin` and `n`, gathered by other columns."""
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * BINS)
    for row in rows:
        found[tuple(row[key] for key in keys)][row["bin"]] += row["n"]
    return found


def _targets(read: PictureReader, drawing: Drawing, total: int) -> None:
    """A node for each category that reviews are read as."""
    for row in read.rows(
        """SELECT predicted, count(*) AS n, count(DISTINCT a.product_id) AS products,
            any_value(c.reviews) AS reviews
        FROM astray a LEFT JOIN categories c ON c.category = predicted
        GROUP BY 1 ORDER BY n DESC, predicted"""
    ):
        drawing.node(
            f"C:{row['predicted']}",
            "category",
            row["predicted"],
            row["reviews"] or 0,
            max(_LARGEST * sqrt(row["n"] / total), 6.0),
            into=row["n"],
            into_products=row["products"],
        )


def _pairs(read: PictureReader, drawing: Drawing, products: dict[str, int], *, alone: bool) -> dict[str, int]:
    """Reviews between products and categories, one by one or pooled; how many nodes are pools."""
    sizes = binned(
        read.rows(
            """SELECT product_id, predicted, bin, count(*) AS n FROM astray SEMI JOIN kept USING (product_id)
            GROUP BY ALL ORDER BY ALL"""
        ),
        "product_id",
        "predicted",
    )
    most = "" if alone else f"QUALIFY nth <= {_SAMPLES}"
    samples: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in read.rows(
        f"""SELECT review_id, product_id, predicted, confidence, row_number() OVER (
            PARTITION BY product_id, predicted ORDER BY confidence DESC, review_id) AS nth
        FROM astray SEMI JOIN kept USING (product_id) {most} ORDER BY product_id, predicted, nth"""  # noqa: S608
    ):
        samples[row["product_id"], row["predicted"]].append(row)
    pools = 0
    for (product, predicted), bins in sizes.items():
        there, target = products[product], drawing.place(f"C:{predicted}")
        n, title = sum(bins), drawing.nodes[products[product]].name
        listed = samples[product, predicted]
        if alone or n == 1:
            for row in listed:
                at = drawing.node(
                    f"R:{row['review_id']}",
                    "review",
                    row["review_id"],
                    1,
                    3.2,
                    review_id=row["review_id"],
                    product=title,
                    product_id=product,
                    predicted=predicted,
                    confidence=row["confidence"],
                )
                drawing.edge(at, there, "reviewed")
                drawing.edge(at, target, "predicted", one_bin(row["confidence"]))
            continue
        pools += 1
        at = drawing.node(
            f"RS:{product}:{predicted}",
            "reviews",
            f"{n:,} reviews",
            n,
            min(2.6 + _POOLED * sqrt(n), _LARGEST),
            product=title,
            product_id=product,
            predicted=predicted,
            samples=[{"review_id": row["review_id"], "confidence": row["confidence"]} for row in listed],
        )
        drawing.edge(at, there, "reviewed")
        drawing.edge(at, target, "predicted", tuple(bins))
    return {"reviews_of_one_product_and_category": pools} if pools else {}


def _others(read: PictureReader, drawing: Drawing, hub: int) -> dict[str, int]:
    """One node for the products of each predicted category that no room was left for."""
    rest = "astray ANTI JOIN kept USING (product_id)"
    sizes = binned(
        read.rows(f"SELECT predicted, bin, count(*) AS n FROM {rest} GROUP BY ALL ORDER BY ALL"),  # noqa: S608
        "predicted",
    )
    samples: dict[str, list[Row]] = defaultdict(list)
    for row in read.rows(
        f"""SELECT review_id, product_id, predicted, confidence FROM {rest}
        QUALIFY row_number() OVER (PARTITION BY predicted ORDER BY confidence DESC, review_id) <= {_SAMPLES}
        ORDER BY predicted, confidence DESC, review_id"""  # noqa: S608
    ):
        samples[row["predicted"]].append({"review_id": row["review_id"], "confidence": row["confidence"]})
    for row in read.rows(
        f"SELECT predicted, count(DISTINCT product_id) AS products FROM {rest} GROUP BY 1 ORDER BY 1"  # noqa: S608
    ):
        predicted, bins = row["predicted"], sizes[row["predicted"],]
        at = drawing.node(
            f"PS:{predicted}",
            "products",
            f"{row['products']:,} more products",
            sum(bins),
            min(3.0 + _POOLED * sqrt(sum(bins)), _LARGEST),
            products=row["products"],
            predicted=predicted,
            samples=samples[predicted],
        )
        drawing.edge(at, hub, "assigned")
        drawing.edge(at, drawing.place(f"C:{predicted}"), "predicted", tuple(bins))
    return {"other_products_by_predicted_category": len(sizes)}
