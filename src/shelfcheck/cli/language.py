"""`shelfcheck language`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show

if TYPE_CHECKING:
    from shelfcheck.stages import StageResult

_TOLD: Final = {
    "overlap": "overlap of all reviews",
    "matched_overlap": "overlap at one size",
    "beyond_chance": "overlap less what chance gives",
}
_PAIRS: Final = 10


@click.command(
    epilog="""\b
Examples:
  shelfcheck language --workspace shop
  shelfcheck language --workspace shop --set language.word_ngrams=2 --set language.top_k=100
  shelfcheck language --workspace shop --set language.permutations=999 --json"""
)
@options.common
def language(job: options.Job) -> None:
    """Show how the language of each category shifts over the years and between star ratings.

    Tells the terms that stand for each year and each rating, how much neighbours share of them,
    whether they differ by more than chance (permutations by product, false discovery rate), the terms
    that came and went, and whether a trend of the overlap is left when all groups have one size.
    """
    with job.progress() as progress:
        result = api.language(job.workspace, **job.arguments(progress))
    summary = json.loads(result.file("summary.json").read_text(encoding="utf-8"))
    if job.as_json:
        options.print_json({**options.stage_json(result), **summary})
        return
    _show_shifts(result)
    _show_trends(summary)
    for sentence in summary["answer"][-1:]:
        click.echo(sentence)
    click.echo(f"\nPage: {job.workspace}/language.html\nTables: {result.place}")


def _show_shifts(result: StageResult) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    pairs = [row for row in pq.read_table(result.file("pairs.parquet")).to_pylist() if row["facet"] == "year"]
    changed = pq.read_table(result.file("changed_terms.parquet")).to_pylist()
    shifted = sorted((row for row in pairs if row["shifted"]), key=lambda row: -row["distance"])
    words: dict[tuple[Any, ...], list[str]] = {}
    for row in changed:
        if row["facet"] == "year" and row["rank"] <= 4:
            key = (row["product_category"], row["group_a"], row["change"])
            words.setdefault(key, []).append(row["term"])
    if pairs:
        rows = [
            (
                row["product_category"],
                f"{row['group_a']}–{row['group_b']}",
                f"{row['distance']:.2f}",
                ", ".join(words.get((row["product_category"], row["group_a"], "came"), [])),
                ", ".join(words.get((row["product_category"], row["group_a"], "went"), [])),
            )
            for row in shifted[:_PAIRS]
        ]
        click.echo(f"{len(shifted)} of {len(pairs)} pairs of consecutive years differ by more than chance.")
        if rows:
            show("", ("Category", "Years", "Distance", "Came", "Went"), rows, numeric=[2])


def _show_trends(summary: dict[str, Any]) -> None:
    rows = [
        (
            _TOLD[row["measure"]],
            str(row["pairs"]),
            f"{row['slope']:+.2f}",
            "–" if row["low"] is None else f"{row['low']:+.2f} to {row['high']:+.2f}",
            "–" if row["p"] is None else f"{row['p']:.3f}",
        )
        for row in summary["trends"]
        if row["facet"] == "year"
    ]
    if rows:
        click.echo("\nDo consecutive years share more and more top terms? Points of per cent a year:")
        show("", ("Measure", "Pairs", "Slope", "95 % interval", "p"), rows, numeric=[1, 2, 4])
