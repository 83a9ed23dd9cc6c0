"""`shelfcheck export`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show

if TYPE_CHECKING:
    from shelfcheck.export import LabelledExport
    from shelfcheck.export.options import Form, LabelForm

_CLASSES_SHOWN = 30
_LEFT_OUT = {
    "no_label": "have no label",
    "no_text": "have no token",
    "no_side": "have no date to split them by",
    "small_class": "are of classes too small to be learned",
}


@click.command(
    epilog="""\b
Examples:
  shelfcheck export --to augmented-manifest s3://bucket/blazingtext --workspace shop
  shelfcheck export --to fasttext texts --gzip --workspace shop
  shelfcheck export --to fasttext texts --dry-run --set train.split=time --set train.split_date=2015-01-01"""
)
@click.argument("output")
@click.option(
    "--to",
    "form",
    type=click.Choice(["augmented-manifest", "fasttext"]),
    required=True,
    help="augmented-manifest: SageMaker's JSON lines; fasttext: __label__ lines.",
)
@click.option(
    "--fields",
    metavar="NAME,…",
    help="review_headline, review_body or both; what the model reads by default.",
)
@click.option(
    "--labels",
    type=click.Choice(["numbers", "names"]),
    help="What labels are: numbers in a manifest, names in fastText when not given.",
)
@click.option(
    "--columns",
    metavar="NAME,…",
    help="Of a manifest: more columns of a review, e.g. review_id,product_id. SageMaker ignores them.",
)
@click.option("--gzip", "compress", is_flag=True, help="Compress the files.")
@click.option(
    "--max-megabytes",
    type=click.IntRange(1),
    help="Size at which a file is closed, before gzip; one file a side when not given.",
)
@click.option("--dry-run", is_flag=True, help="Say how many reviews would be written, and write nothing.")
@options.common
def export(
    job: options.Job,
    *,
    output: str,
    form: Form,
    fields: str | None,
    labels: LabelForm | None,
    columns: str | None,
    compress: bool,
    max_megabytes: int | None,
    dry_run: bool,
) -> None:
    """Write the prepared reviews as training files of BlazingText or fastText.

    OUTPUT is a folder or a URL such as s3://bucket/prefix: new, empty, or of an earlier export. It gets
    train/, validation/ and test/, split as the models split, each shuffled; OUTPUT/manifest.json tells
    settings, counts and files, OUTPUT/label_map.json which number is which category. What an earlier
    export of the same reviews has finished, also one that was killed, is not written again.
    """
    with job.progress() as progress:
        written = api.export(
            job.workspace,
            output,
            form,
            fields=None if fields is None else _names(fields),
            labels=labels,
            columns=() if columns is None else _names(columns),
            compress=compress,
            max_megabytes=max_megabytes,
            dry_run=dry_run,
            **job.arguments(progress),
        )
    if job.as_json:
        options.print_json(asdict(written) | {"fresh": written.fresh, "dry_run": dry_run})
    else:
        _show(written)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _show(written: LabelledExport) -> None:
    sides = list(written.rows)
    rows = [
        (name, str(own["number"]), *(f"{own[side]:,}" for side in sides))
        for name, own in list(written.labels.items())[:_CLASSES_SHOWN]
    ]
    show("", ("class", "number", *sides), rows, numeric=range(1, len(sides) + 2))
    if len(written.labels) > _CLASSES_SHOWN:
        click.echo(f"… and {len(written.labels) - _CLASSES_SHOWN:,} more classes; --json lists all")
    click.echo()
    rows = []
    for side in sides:
        own = [one for one in written.files if one.side == side]
        size = f"{sum(one.bytes for one in own) / 1e6:,.1f}" if own else ""
        rows.append((side, f"{written.rows[side]:,}", str(len(own)) if written.files else "", size))
    show("", ("side", "reviews", "files", "MB"), rows, numeric=[1, 2, 3])
    for reason, n in written.left_out.items():
        if n:
            click.echo(f"left out: {n:,} reviews that {_LEFT_OUT[reason]}")
    if written.files:
        click.echo(f"\n{written.output}{' (fresh)' if written.fresh else ''}")
    else:
        click.echo(f"\nWould be written to {written.output}")
