"""A shop whose reviews do what they can to break a page, and what a picture of it must say, row by row."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from graph_support import predict, reviews, row_by_row, workspace_of

from shelfcheck import api

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "first"
HOSTILE = (
    "</script><script>document.documentElement.dataset.pwned=1</script>",
    "<img src=x onerror=\"document.documentElement.dataset.pwned='2'\">",
    "<!--<script>",
    "]]></svg><style>*{display:none}</style>",
    "\u202eright to left\u2028and a line, \x07 a bell, 'quotes' & \"more\"",
)


def hostile_shop(root: Path, n: int = 300) -> tuple[Path, list[dict[str, Any]], list[dict[str, Any]]]:
    """A workspace with a graph and predictions named `first`; its reviews; the rows of the predictions."""
    rows = reviews(n)
    for at, row in enumerate(rows):
        row["review_body"] = HOSTILE[at % len(HOSTILE)] + " so it is " * 60
        if at % 3 == 0:
            row["review_headline"] = HOSTILE[(at // 3) % len(HOSTILE)]
        if at % 7 == 0:
            row["product_title"] = HOSTILE[0]
    workspace = workspace_of(rows, root / "shop")
    file = predict(rows, root / "first.parquet")
    api.graph_build(workspace, file, MODEL)
    return workspace, rows, pq.read_table(file).to_pylist()


def mismatches(rows: list[dict[str, Any]], predicted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Judged reviews with `assigned`, `predicted`, `confidence`, in a loop."""
    shelves: dict[str, dict[str, bool]] = defaultdict(dict)
    for product, category, _, current in row_by_row(rows)["assigned"]:
        shelves[product][category] = current
    said = {row["review_id"]: row for row in predicted}
    found = []
    for row in rows:
        product = row["product_id"]
        if not product or product not in shelves:
            continue
        answer = said[row["review_id"]]
        category = answer["predicted_category"]
        own = next(name for name, current in shelves[product].items() if current)
        found.append(
            {
                "review_id": row["review_id"],
                "product_id": product,
                "assigned": category if category in shelves[product] else own,
                "predicted": category,
                "confidence": answer["confidence"],
            }
        )
    return found
