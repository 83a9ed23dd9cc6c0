"""`shelfcheck report`."""

from __future__ import annotations

import click

from shelfcheck import api
from shelfcheck.cli import options


@click.command(
    epilog="""\b
Examples:
  shelfcheck report --workspace shop
  shelfcheck report --workspace shop --set report.max_findings=1000"""
)
@options.common
def report(job: options.Job) -> None:
    """Write the report as one HTML file that opens offline."""
    with job.progress() as progress:
        page = api.report(job.workspace, **job.arguments(progress))
    if job.as_json:
        options.print_json({"report": f"{job.workspace}/report.html", "bytes": page.stat().st_size})
    else:
        click.echo(f"Report: {job.workspace}/report.html")
