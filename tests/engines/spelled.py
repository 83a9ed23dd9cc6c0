"""The statements that run on both engines, as Spark gets them: kept in golden/, so that a change is seen.

python tests/engines/spelled.py    # writes golden/ anew; read the difference before it is committed
"""

from __future__ import annotations

from pathlib import Path

from shelfcheck.engines.sql import spell
from shelfcheck.explore import subjects, texts
from shelfcheck.graph import build
from shelfcheck.language import counts, facet
from shelfcheck.prepare import duplicates

GOLDEN = Path(__file__).parent / "golden"


def statements() -> dict[str, dict[str, str]]:
    """File -> name of the statement -> as it is written, for DuckDB. A stage joins by a line."""
    from shelfcheck.prepare.spark import falls

    return {
        "prepare": {
            "NO_FALLS": duplicates.NO_FALLS,
            "NO_OCCURRENCES": duplicates.NO_OCCURRENCES,
            "OUT_OF_BOUNDS": duplicates.OUT_OF_BOUNDS,
            "SHARED": duplicates.shared_sql("id"),
            "ALIKE": duplicates.alike_sql("id"),
            "REPEATS": duplicates.repeats_sql("content"),
            "RARE": duplicates.RARE,
            "OCCURRENCES": duplicates.occurrences_sql(),
            "FALLS_BY_ORDINAL": duplicates.FALLS_BY_ORDINAL,
            "FALLS_AND_TASKS": falls.FALLS_AND_TASKS,
        },
        "explore": {
            "REPEATED": texts.REPEATED,
            "REPEATED_BY_CATEGORY": texts.REPEATED_BY_CATEGORY,
            "REPEATED_TEXTS": texts.REPEATED_TEXTS,
            "PRODUCTS": texts.PRODUCTS,
            "TOP_PRODUCTS": texts.TOP_PRODUCTS,
            "SUBJECTS": subjects.subjects_sql("product", ordered=False),
        },
        "graph": {
            "REPEATED": build.REPEATED,
            "REPEATS": build.REPEATS,
            "FIRST": build.FIRST,
            "ALL": build.ALL,
            **build.statements("verified"),
            "SEVERAL": build.SEVERAL,
        },
        "language": {
            "GROUPED": facet.grouped_sql("facts", "review_year"),
            "FREQUENT": counts.frequent_sql("SELECT * FROM terms", ("product_category", "review_year"), 5),
            "DRAWN": facet.drawn_sql("facts", "review_year", ("place", "task")),
        },
    }


def text(of: dict[str, str]) -> str:
    """A golden file: each statement as Spark gets it, under its name."""
    return "\n".join(f"-- {name}\n{spell(sql)};\n" for name, sql in of.items())


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, of in statements().items():
        (GOLDEN / f"{name}.sql").write_text(text(of), encoding="utf-8")
