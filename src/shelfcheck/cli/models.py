"""`shelfcheck train` and `predict`."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import click

from shelfcheck import api
from shelfcheck.cli import options
from shelfcheck.cli.tables import show
from shelfcheck.config import LabelName, ModelName
from shelfcheck.models.presets import listed, preset_overrides
from shelfcheck.settings_file import resolve


@click.command(
    epilog="""\b
Examples:
  shelfcheck train --workspace shop
  shelfcheck train --workspace shop --model tfidf_svm --label star_rating
  shelfcheck train --workspace shop --model embedding --preset original
  shelfcheck train --workspace shop --set train.linear.epochs=10 --threads 1
  shelfcheck train --workspace shop --engine spark --set train.linear.shards=8"""
)
@click.option("--model", type=click.Choice(get_args(ModelName)), help="The model to learn: train.model.")
@click.option("--label", type=click.Choice(get_args(LabelName)), help="What is predicted: train.label.")
@click.option(
    "--preset",
    help=f"Named settings of the model, stronger than a settings file and weaker than --set. {listed()}.",
)
@options.common
def train(job: options.Job, *, model: str | None, label: str | None, preset: str | None) -> None:
    """Learn what each category's reviews sound like.

    Learns from the prepared reviews of a workspace, leaves some products aside to calibrate and to
    evaluate on, and registers what was learned as a version (see `shelfcheck models`). With
    --threads 1, or in shards, the same seed gives the same linear model, bit for bit.
    """
    chosen = {"train.model": model, "train.label": label}
    job.overrides.update({key: value for key, value in chosen.items() if value is not None})
    if preset is not None:
        own = model or resolve(job.config, job.overrides, job.workspace).settings.train.model
        job = replace(job, overrides=preset_overrides(own, preset) | job.overrides)
    if job.overrides.get("run.engine") == "spark":
        wanted = resolve(job.config, job.overrides, job.workspace).settings.train
        if wanted.model != "linear" or wanted.linear.shards == 1:
            raise click.UsageError(
                "Spark learns the linear model, in shards. Leave --engine out, or add e.g. "
                "--model linear --set train.linear.shards=8."
            )
    with job.progress() as progress:
        result = api.train(job.workspace, **job.arguments(progress))
    if job.as_json:
        options.print_json(options.stage_json(result))
        return
    rows = [(name.replace("_", " "), str(value)) for name, value in result.counts.items()]
    show("", ("", ""), rows, numeric=[1])
    version = result.counts["version"]
    registered = {one.version.version: one.aliases for one in api.models_list(job.workspace)}
    click.echo(
        f"Registered as {version}{': ' if registered[version] else ''}{', '.join(registered[version])}"
    )
    if not registered[version]:
        click.echo(f"Promote it with: shelfcheck models promote {version} --workspace {job.workspace}")


@click.command(
    epilog="""\b
Examples:
  shelfcheck predict new-reviews.tsv.gz --output predictions.parquet --workspace shop
  shelfcheck predict --text "The strings stay in tune" --workspace shop
  shelfcheck predict new-reviews.tsv.gz -o other.parquet --model challenger --workspace shop
  shelfcheck predict reviews/*.parquet -o predictions --engine spark --workspace shop"""
)
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--text", help="Predict this text instead, and say which words carried it.")
@click.option("--headline", help="The headline that goes with --text.")
@click.option(
    "-o", "--output", type=click.Path(), help="Parquet file for the predictions; with Spark, a folder."
)
@click.option("--model", help="A registered version or an alias; the champion when not given.")
@options.source_format
@options.common
def predict(
    job: options.Job,
    *,
    sources: tuple[str, ...],
    text: str | None,
    headline: str | None,
    output: str | None,
    model: str | None,
) -> None:
    """Predict categories of reviews in a file, or of a text.

    SOURCE is anything that `shelfcheck prepare` reads. The output has a row a review: its id, the
    predicted category, the calibrated confidence, and the five likeliest categories. With --engine
    spark, it is a folder of Parquet files, with the same rows in the same order.
    """
    if text is not None:
        if sources or output:
            raise click.UsageError("--text goes without SOURCE and --output.")
        if job.overrides.get("run.engine") == "spark":
            raise click.UsageError("--text is predicted on this machine only. Leave --engine out.")
        _predict_text(job, headline, text, model)
        return
    if not sources or not output:
        raise click.UsageError("Name a SOURCE and an --output file, or a --text.")
    with job.progress() as progress:
        result = api.predict(
            sources,
            output,
            job.workspace,
            model=model,
            config=job.config,
            overrides=job.overrides,
            progress=progress,
        )
    if job.as_json:
        options.print_json({"output": output, "reviews": result.reviews, "rejected": result.rejected})
        return
    click.echo(f"Predicted {result.reviews:,} reviews ({result.rejected:,} rows rejected): {output}")


def _predict_text(job: options.Job, headline: str | None, text: str, model: str | None) -> None:
    found = api.predict_text(text, headline, workspace=job.workspace, model=model)
    if job.as_json:
        options.print_json(
            {
                "categories": [{"category": name, "probability": p} for name, p in found.categories],
                "against": found.against,
                "words": [{"term": term, "weight": weight} for term, weight in found.words],
            }
        )
        return
    show("", ("category", "probability"), [(name, f"{p:.3f}") for name, p in found.categories], numeric=[1])
    if found.words:
        words = ", ".join(f"{term} ({weight:+.2f})" for term, weight in found.words)
        click.echo(f"\nWords for {found.categories[0][0]} against {found.against}: {words}")
    else:
        click.echo("\nNo word of this text is known to the model: these are the shares of the categories.")
