"""`shelfcheck audit`."""

from __future__ import annotations

import json

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show


@click.command(
    epilog="""\b
Examples:
  shelfcheck audit --workspace shop
  shelfcheck audit miscategorised_products --workspace shop --set audit.folds=10
  shelfcheck audit declining_products --workspace shop --set audit.declining.min_reviews=50"""
)
@click.argument("kinds", nargs=-1, type=click.Choice(api.AUDITS), metavar="[KIND]...")
@options.common
def audit(job: options.Job, *, kinds: tuple[str, ...]) -> None:
    """Find misplaced reviews, miscategorised products, and products that get worse.

    KIND is misplaced_reviews, miscategorised_products or declining_products; all when not given.
    Every review is judged by a model that saw no review of its product. Products that get better
    are told with those that get worse. With --engine spark, declining_products runs on this machine.
    """
    with job.progress() as progress:
        results = api.audit(job.workspace, kinds or api.AUDITS, **job.arguments(progress))
    for kind in kinds or api.AUDITS:
        if kind not in results:
            told = f"{kind}: not done, there are too few reviews for it. Why: shelfcheck audit {kind}"
            click.echo(told, err=True)
    if job.as_json:
        options.print_json([options.stage_json(result) for result in results.values()])
        return
    for kind, result in results.items():
        rows = [(name.replace("_", " "), str(value)) for name, value in result.counts.items()]
        summary = json.loads((result.folder / "summary.json").read_text(encoding="utf-8"))
        skipped = summary["skipped"].items()
        rows += [(f"skipped: {name.replace('_', ' ')}", str(n)) for name, n in skipped if n]
        show(kind.replace("_", " ").capitalize(), ("", ""), rows, numeric=[1])
        click.echo(f"  {job.workspace}/{kind}.csv\n")
