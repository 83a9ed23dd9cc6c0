"""`shelfcheck audit`."""

from __future__ import annotations

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show


@click.command(
    epilog="""\b
Examples:
  shelfcheck audit --workspace shop
  shelfcheck audit miscategorised_products --workspace shop --set audit.folds=10"""
)
@click.argument("kinds", nargs=-1, type=click.Choice(api.AUDITS), metavar="[KIND]...")
@options.common
def audit(job: options.Job, *, kinds: tuple[str, ...]) -> None:
    """Find misplaced reviews and miscategorised products.

    KIND is misplaced_reviews or miscategorised_products; both when not given. Every review is
    judged by a model that saw no review of its product.
    """
    with job.progress() as progress:
        results = api.audit(job.workspace, kinds or api.AUDITS, **job.arguments(progress))
    if job.as_json:
        options.print_json([options.stage_json(result) for result in results.values()])
        return
    for kind, result in results.items():
        rows = [(name.replace("_", " "), str(value)) for name, value in result.counts.items()]
        show(kind.replace("_", " ").capitalize(), ("", ""), rows, numeric=[1])
        click.echo(f"  {job.workspace}/{kind}.csv\n")
