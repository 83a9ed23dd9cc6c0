"""Where a review's likeliest category stands beside its product's: the one definition of a mismatch.

A product may have been in several categories over time. Each of them is right for its reviews: a review
of the time before a move is no fault. Only a prediction that is none of them is a mismatch; it is told
against the category of today.
"""

from __future__ import annotations


def judged(predicted: str = "predicted", reviewed: str = "reviewed", assigned: str = "assigned") -> str:
    """The query of every review that has a prediction and a product with a category.

    Columns: `review_id`, `product_id`, `model`, `assigned` (the predicted category where the product is or
    was in it, else the one of its latest reviews), `predicted` (the likeliest), `confidence` (of it, 0..1)
    and `current` (the category of its latest reviews). In a mismatch, `assigned` is not `predicted`.

    Args:
        predicted: name of the table of predictions, of one model or of several.
        reviewed: name of the table of reviews and their products.
        assigned: name of the table of products and their categories.
    """
    return f"""
        SELECT n.review_id, e.product_id, n.model, coalesce(a.category, own.category) AS assigned,
            n.category AS predicted, n.confidence, own.category AS current
        FROM {predicted} n JOIN {reviewed} e ON e.review_id = n.review_id
        JOIN {assigned} own ON own.product_id = e.product_id AND own.current
        LEFT JOIN {assigned} a ON a.product_id = e.product_id AND a.category = n.category
        WHERE n.rank = 1
    """  # noqa: S608 - our own names
