"""Column names and Arrow schemas: the one place that spells them.

The canonical review is the 15 columns of the Amazon Customer Reviews data set.
`prepare` adds `review_month` and `review_tokens`.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

MARKETPLACE: Final = "marketplace"
CUSTOMER_ID: Final = "customer_id"
REVIEW_ID: Final = "review_id"
PRODUCT_ID: Final = "product_id"
PRODUCT_PARENT: Final = "product_parent"
PRODUCT_TITLE: Final = "product_title"
PRODUCT_CATEGORY: Final = "product_category"
STAR_RATING: Final = "star_rating"
HELPFUL_VOTES: Final = "helpful_votes"
TOTAL_VOTES: Final = "total_votes"
VINE: Final = "vine"
VERIFIED_PURCHASE: Final = "verified_purchase"
REVIEW_HEADLINE: Final = "review_headline"
REVIEW_BODY: Final = "review_body"
REVIEW_DATE: Final = "review_date"

REVIEW_MONTH: Final = "review_month"  # 'YYYY-MM', null where the date is unknown
REVIEW_TOKENS: Final = "review_tokens"  # tokens of the body, joined by one space

SOURCE_FILE: Final = "source_file"
SOURCE_LINE: Final = "source_line"  # 1-based line of a text file, 1-based row of a Parquet file
REASON: Final = "reason"
DETAIL: Final = "detail"  # the value or the start of the raw row, at most 500 characters

REVIEW_SCHEMA: Final = pa.schema(
    [
        (MARKETPLACE, pa.string()),
        (CUSTOMER_ID, pa.string()),
        (REVIEW_ID, pa.string()),
        (PRODUCT_ID, pa.string()),
        (PRODUCT_PARENT, pa.string()),
        (PRODUCT_TITLE, pa.string()),
        (PRODUCT_CATEGORY, pa.string()),
        (STAR_RATING, pa.int32()),
        (HELPFUL_VOTES, pa.int32()),
        (TOTAL_VOTES, pa.int32()),
        (VINE, pa.bool_()),
        (VERIFIED_PURCHASE, pa.bool_()),
        (REVIEW_HEADLINE, pa.string()),
        (REVIEW_BODY, pa.string()),
        (REVIEW_DATE, pa.date32()),
    ]
)
"""The canonical review, as every source yields it. Unknown values are null."""

PREPARED_SCHEMA: Final = REVIEW_SCHEMA.append(pa.field(REVIEW_TOKENS, pa.string())).append(
    pa.field(REVIEW_MONTH, pa.string())
)
"""A prepared review. `review_month` is the partition column, so it stands last."""

SAMPLE_WEIGHT: Final = "sample_weight"  # how many prepared reviews a sampled one stands for

REJECTED_SCHEMA: Final = pa.schema(
    [
        (SOURCE_FILE, pa.string()),
        (SOURCE_LINE, pa.int64()),
        (REASON, pa.string()),
        (DETAIL, pa.string()),
    ]
)
"""A row that could not be used, with where it stood and why."""

# Predictions
PREDICTED_CATEGORY: Final = "predicted_category"
CONFIDENCE: Final = "confidence"  # calibrated probability of predicted_category, 0..1
P_ASSIGNED: Final = "p_assigned"  # calibrated probability of the assigned category, 0..1
TOP_CATEGORIES: Final = "top_categories"
TOP_PROBABILITIES: Final = "top_probabilities"
FOLD: Final = "fold"

PREDICTION_SCHEMA: Final = pa.schema(
    [
        (REVIEW_ID, pa.string()),
        (PRODUCT_ID, pa.string()),
        (PRODUCT_CATEGORY, pa.string()),
        (PREDICTED_CATEGORY, pa.string()),
        (CONFIDENCE, pa.float32()),
        (P_ASSIGNED, pa.float32()),
        (TOP_CATEGORIES, pa.list_(pa.string())),
        (TOP_PROBABILITIES, pa.list_(pa.float32())),
        (FOLD, pa.int8()),
    ]
)
"""One prediction a review; `fold` is null where the model may have seen the product."""
