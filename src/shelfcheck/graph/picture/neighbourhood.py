"""The picture of one product: its reviews, what they are read as, its customers, their other products."""

from __future__ import annotations

from collections import defaultdict
from math import sqrt
from typing import TYPE_CHECKING, Final

from shelfcheck.graph.picture.astray import binned, texts
from shelfcheck.graph.picture.drawing import Drawing
from shelfcheck.graph.picture.model import one_bin

if TYPE_CHECKING:
    from shelfcheck.graph.picture.model import Edge, Node, Request
    from shelfcheck.graph.picture.reading import PictureReader, Row

_SAMPLES: Final = 3
_ALONE: Final = 60  # reviews read as one category that are drawn one by one, at most
_CENTRE: Final = 18.0  # radius of the product in the middle


def neighbourhood(
    read: PictureReader, request: Request, product_id: str
) -> tuple[list[Node], list[Edge], dict[str, int], dict[str, int]]:
    """Nodes, edges, counts and what was pooled.

    Reviews of the product that are read as the same category become one node where they are many. Half of
    the limit is for customers who reviewed other products, and these; the products with most common customers
    are kept, the others become one node for each category, the customers left over become one.
    """
    own = read.product(product_id)
    drawing = Drawing()
    shelves = read.rows(
        "SELECT category, current FROM assigned WHERE product_id = $id ORDER BY current DESC, category",
        id=product_id,
    )
    centre = drawing.node(
        f"P:{product_id}",
        "product",
        own["title"] or product_id,
        own["reviews"],
        _CENTRE,
        product_id=product_id,
        title=own["title"],
        reviews=own["reviews"],
        stars=own["stars"],
        assigned=", ".join(row["category"] for row in shelves if row["current"]),
        here=True,
    )
    for row in shelves:
        drawing.edge(centre, _category(drawing, row["category"]), "assigned", current=row["current"])
    counts = {"reviews": own["reviews"]}
    pooled: dict[str, int] = {}
    written = _reviews(read, request, drawing, centre, counts, pooled)
    _customers(read, request, drawing, centre, written, counts, pooled)
    texts(read, drawing.nodes)
    _sizes(drawing)
    return drawing.nodes, drawing.edges, counts, pooled


def _reviews(  # noqa: PLR0917 - what all parts of a picture share
    read: PictureReader,
    request: Request,
    drawing: Drawing,
    centre: int,
    counts: dict[str, int],
    pooled: dict[str, int],
) -> dict[str, int]:
    """Draw the reviews; customer -> node of the review that they wrote, where it is drawn alone."""
    read.rows_made(
        "own_reviews",
        f"""SELECT review_id, predicted, confidence, coalesce(bin, 0) AS bin, assigned,
            predicted IS NOT NULL AND predicted <> assigned AS mismatch
        FROM (SELECT review_id FROM reviewed WHERE product_id = $id)
        LEFT JOIN (SELECT * EXCLUDE (product_id) FROM ({read.judged()}) WHERE product_id = $id)
        USING (review_id)""",  # noqa: S608 - our own words
        id=product_id_of(drawing, centre),
    )
    read.rows_made(
        "own_drawn",
        "SELECT * FROM own_reviews WHERE mismatch IS NOT TRUE OR confidence >= $least",
        least=request.min_confidence,
    )
    found = read.rows(
        """SELECT count(*) AS drawn, count(*) FILTER (predicted IS NULL) AS without_prediction,
            count(*) FILTER (mismatch) AS mismatching FROM own_drawn"""
    )[0]
    counts["mismatching_reviews"] = found["mismatching"]
    counts["reviews_without_prediction"] = found["without_prediction"]
    groups = read.rows(
        "SELECT predicted, count(*) AS n FROM own_drawn GROUP BY 1 ORDER BY n, predicted NULLS LAST"
    )
    room, alone = request.limit // 2, set()
    for row in groups:  # the smallest first: what is rare is worth a look
        if row["n"] <= min(room, _ALONE):
            alone.add(row["predicted"])
            room -= row["n"]
    sizes = binned(
        read.rows("SELECT predicted, bin, count(*) AS n FROM own_drawn GROUP BY ALL ORDER BY ALL"),
        "predicted",
    )
    listed: dict[str | None, list[Row]] = defaultdict(list)
    for row in read.rows(
        f"""SELECT review_id, predicted, confidence, mismatch, customer_id, row_number() OVER (
            PARTITION BY predicted ORDER BY confidence DESC, review_id) AS nth
        FROM own_drawn LEFT JOIN wrote USING (review_id)
        QUALIFY nth <= {_ALONE} ORDER BY predicted, nth"""  # noqa: S608 - a number
    ):
        listed[row["predicted"]].append(row)
    written: dict[str, int] = {}
    for row in groups:
        name = row["predicted"]
        target = None if name is None else _category(drawing, name)
        if name in alone:
            for one in listed[name]:
                at = _review(drawing, centre, target, one)
                if one["customer_id"] is not None:
                    written.setdefault(one["customer_id"], at)
            continue
        samples = [
            {"review_id": one["review_id"], "confidence": one["confidence"]}
            for one in listed[name][:_SAMPLES]
        ]
        at = drawing.node(
            f"RS:{name}" if name is not None else "RS",
            "reviews",
            f"{row['n']:,} reviews",
            row["n"],
            min(3.0 + 1.2 * sqrt(row["n"]), 30.0),
            predicted=name,
            samples=samples,
        )
        drawing.edge(at, centre, "reviewed")
        if target is not None:
            drawing.edge(at, target, "predicted", tuple(sizes[name,]))
        pooled["reviews_of_one_category"] = pooled.get("reviews_of_one_category", 0) + 1
    return written


def _review(drawing: Drawing, centre: int, target: int | None, row: Row) -> int:
    at = drawing.node(
        f"R:{row['review_id']}",
        "review",
        row["review_id"],
        1,
        4.0,
        review_id=row["review_id"],
        predicted=row["predicted"],
        confidence=row["confidence"],
    )
    drawing.edge(at, centre, "reviewed")
    if target is not None:
        drawing.edge(at, target, "predicted", one_bin(row["confidence"]))
    return at


def _customers(  # noqa: PLR0917 - what all parts of a picture share
    read: PictureReader,
    request: Request,
    drawing: Drawing,
    centre: int,
    written: dict[str, int],
    counts: dict[str, int],
    pooled: dict[str, int],
) -> None:
    """Draw customers who reviewed other products, these products, and their categories."""
    own = "SELECT DISTINCT customer_id FROM wrote JOIN reviewed USING (review_id) WHERE product_id = $id"
    read.rows_made(
        "others",
        f"""SELECT customer_id, product_id, count(*) AS n FROM wrote JOIN reviewed USING (review_id)
        SEMI JOIN ({own}) USING (customer_id) WHERE product_id <> $id GROUP BY ALL""",  # noqa: S608
        id=product_id_of(drawing, centre),
    )
    found = read.rows(
        f"""SELECT (SELECT count(*) FROM ({own})) AS customers,
            count(DISTINCT customer_id) AS customers_of_other_products,
            count(DISTINCT product_id) AS other_products FROM others""",  # noqa: S608
        id=product_id_of(drawing, centre),
    )[0]
    counts |= found
    everything = found["customers_of_other_products"] + found["other_products"] <= request.limit // 2
    room = request.limit // 4
    read.rows_made(
        "kept_products",
        """SELECT product_id FROM others GROUP BY 1
        ORDER BY count(DISTINCT customer_id) DESC, product_id LIMIT $room""",
        room=found["other_products"] if everything else room,
    )
    read.rows_made(
        "kept_customers",
        """SELECT customer_id FROM others SEMI JOIN kept_products USING (product_id) GROUP BY 1
        ORDER BY count(*) DESC, customer_id LIMIT $room""",
        room=found["customers"] if everything else room,
    )
    products = {
        row["product_id"]: row
        for row in read.rows(
            """SELECT p.product_id, title, p.reviews, stars, category, common FROM products p
            JOIN (SELECT product_id, count(DISTINCT customer_id) AS common FROM others
                SEMI JOIN kept_products USING (product_id) SEMI JOIN kept_customers USING (customer_id)
                GROUP BY 1) USING (product_id)
            LEFT JOIN (SELECT product_id, category FROM assigned WHERE current) USING (product_id)
            ORDER BY common DESC, p.product_id"""
        )
    }
    edges = read.rows(
        """SELECT customer_id, product_id FROM others SEMI JOIN kept_products USING (product_id)
        SEMI JOIN kept_customers USING (customer_id) ORDER BY ALL"""
    )
    for row in products.values():
        at = drawing.node(
            f"P:{row['product_id']}",
            "product",
            row["title"] or row["product_id"],
            row["common"],
            min(3.0 + 1.5 * sqrt(row["common"]), 14.0),
            product_id=row["product_id"],
            title=row["title"],
            reviews=row["reviews"],
            stars=row["stars"],
            assigned=row["category"],
            common=row["common"],
        )
        if row["category"] is not None:
            drawing.edge(at, _category(drawing, row["category"]), "assigned")
    seen: set[str] = set()
    for row in edges:
        who = row["customer_id"]
        at = drawing.node(f"U:{who}", "customer", who, 1, 3.4, customer_id=who)
        if who not in seen:
            seen.add(who)
            drawing.edge(at, written.get(who, centre), "wrote")
        drawing.edge(at, drawing.place(f"P:{row['product_id']}"), "bought")
    if not everything:
        _left_over(read, drawing, centre, pooled)


def _left_over(read: PictureReader, drawing: Drawing, centre: int, pooled: dict[str, int]) -> None:
    """Products by category, and customers, that no room was left for."""
    drawn = """SELECT DISTINCT product_id FROM others SEMI JOIN kept_products USING (product_id)
        SEMI JOIN kept_customers USING (customer_id)"""
    rows = read.rows(
        f"""SELECT category, count(DISTINCT product_id) AS products, count(DISTINCT customer_id) AS customers
        FROM others LEFT JOIN (SELECT product_id, category FROM assigned WHERE current) USING (product_id)
        WHERE product_id NOT IN ({drawn}) GROUP BY 1 ORDER BY products DESC, category NULLS LAST"""  # noqa: S608
    )
    for row in rows:
        at = drawing.node(
            f"PS:{row['category']}",
            "products",
            f"{row['products']:,} more products",
            row["customers"],
            min(3.0 + 1.2 * sqrt(row["products"]), 20.0),
            products=row["products"],
            customers=row["customers"],
            assigned=row["category"],
        )
        drawing.edge(at, centre, "bought")
        if row["category"] is not None:
            drawing.edge(at, _category(drawing, row["category"]), "assigned")
    left = read.rows(
        "SELECT count(DISTINCT customer_id) AS n FROM others ANTI JOIN kept_customers USING (customer_id)"
    )[0]["n"]
    pooled["other_products_by_category"] = len(rows)
    if left:
        at = drawing.node(
            "US",
            "customers",
            f"{left:,} more customers",
            left,
            min(3.0 + 1.2 * sqrt(left), 20.0),
            customers=left,
        )
        drawing.edge(at, centre, "wrote")
        pooled["more_customers"] = 1


def product_id_of(drawing: Drawing, at: int) -> str:
    """The product of a node."""
    return str(drawing.nodes[at].about["product_id"])


def _category(drawing: Drawing, name: str) -> int:
    return drawing.node(f"C:{name}", "category", name, 0, 8.0)


def _sizes(drawing: Drawing) -> None:
    """Categories by what leads to them in this picture."""
    led: dict[int, int] = defaultdict(int)
    read_as: dict[int, int] = defaultdict(int)
    stand: dict[int, int] = defaultdict(int)
    for edge in drawing.edges:
        led[edge.target] += edge.reviews
        if edge.kind == "predicted":
            read_as[edge.target] += edge.reviews
        elif edge.kind == "assigned":
            stand[edge.target] += int(drawing.nodes[edge.source].about.get("products", 1))
    for at, node in enumerate(drawing.nodes):
        if node.kind == "category":
            node.radius = min(6.0 + 1.5 * sqrt(led[at]), 22.0)
            node.about |= {"read_as": read_as[at], "stand": stand[at]}
            node.reviews = read_as[at] + stand[at]
