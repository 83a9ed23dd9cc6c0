"""`shelfcheck graph show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show as show_table

if TYPE_CHECKING:
    from shelfcheck.api import GraphPicture


@click.command(
    epilog="""\b
Examples:
  shelfcheck graph show --workspace shop --open
  shelfcheck graph show --category Books --min-confidence 0.5 --workspace shop
  shelfcheck graph show --product B0001 --output b0001.svg --workspace shop"""
)
@click.option("--category", metavar="NAME", help="One category: its reviews that are read as another's.")
@click.option("--product", metavar="ID", help="One product: its reviews, customers and their other products.")
@click.option("--model", metavar="NAME", help="Whose predictions, by the name in the graph. [out_of_fold]")
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Of predictions that differ from the catalogue.",
)
@click.option(
    "--limit",
    type=click.IntRange(10, 5000),
    default=500,
    show_default=True,
    help="Most nodes, of all categories most links; what is beyond is pooled and counted.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Path or URL: .html, .svg or .png. In the workspace when not given.",
)
@click.option("--open", "open_it", is_flag=True, help="Open it when it is written.")
@options.common
def show(
    job: options.Job,
    *,
    category: str | None,
    product: str | None,
    model: str | None,
    min_confidence: float,
    limit: int,
    output: str | None,
    open_it: bool,
) -> None:
    """Draw the graph as a page to look at: categories, one category, or one product.

    Without --category and --product: how categories are confused. The page opens offline; it can be
    searched, filtered by confidence and used by keyboard, and leads on to the report. An .svg or .png is a
    still picture for a document; .png needs: pip install 'shelfcheck[graph]'
    """
    if open_it and output is not None and "://" in output:
        raise click.UsageError("--open shows a local file; write one, or leave it out.")
    with job.progress() as progress:
        given = job.arguments(progress)
        given.pop("force")  # always drawn anew
        found = api.graph_show(
            job.workspace, category, product, model, min_confidence, limit, output, **given
        )
    if job.as_json:
        options.print_json(_json(found))
    else:
        rows = [(name.replace("_", " "), f"{n:,}") for name, n in found.picture.counts.items()]
        show_table("", ("", ""), rows, numeric=[1])
        for sentence in found.told:
            click.echo(sentence)
        click.echo(f"Picture: {found.place}")
    if open_it and found.file is not None:
        click.launch(str(found.file))


def _json(found: GraphPicture) -> dict[str, object]:
    picture = found.picture
    return {
        "file": found.place,
        "bytes": found.bytes,
        "level": picture.request.level,
        "model": picture.request.model,
        "title": picture.title,
        **picture.counts,
        "pooled": picture.pooled,
        "told": list(found.told),
        "seconds": {name: round(value, 3) for name, value in found.seconds.items()},
    }
