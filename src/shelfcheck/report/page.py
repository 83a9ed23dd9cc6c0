"""The report: findings, what came in, the model and how all was made, on one page (`shell.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from shelfcheck.config import flatten
from shelfcheck.models.evaluation_text import split_sentence
from shelfcheck.report import charts_data, charts_models, charts_quality
from shelfcheck.report.cards import category_options, product_cards, review_cards, segments
from shelfcheck.report.declines import decline_cards, decline_options, read_declines
from shelfcheck.report.facts import read_evaluation, read_intake, read_json
from shelfcheck.report.findings import read_findings
from shelfcheck.report.graph import read_graph
from shelfcheck.report.models import COLUMNS as MODEL_COLUMNS
from shelfcheck.report.models import rankings
from shelfcheck.report.overview import overview
from shelfcheck.report.sample import COLUMNS as SAMPLE_COLUMNS
from shelfcheck.report.sample import read_sample
from shelfcheck.report.shell import render_page
from shelfcheck.report.studies import read_studies
from shelfcheck.report.wording import number
from shelfcheck.workspace import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shelfcheck.config import Settings, TextSettings
    from shelfcheck.models.evaluation import Evaluation
    from shelfcheck.report.chart import Chart
    from shelfcheck.report.declines import Declines
    from shelfcheck.report.facts import Intake
    from shelfcheck.report.findings import Findings
    from shelfcheck.report.inputs import ReportInputs

_SECTIONS: Final = (
    ("overview", "Overview"),
    ("misplaced", "Misplaced reviews"),
    ("miscategorised", "Miscategorised products"),
    ("declining", "Declining products"),
    ("intake", "What came in"),
    ("sample", "The sample"),
    ("graph", "The graph"),
    ("quality", "Model quality"),
    ("models", "Models compared"),
    ("tuning", "Tuning"),
    ("about", "How this was made"),
)


def write_report(inputs: ReportInputs, out_html: str | Path, settings: Settings) -> Path:
    """Write the report, whole or not at all.

    Args:
        inputs: the artefacts to show.
        out_html: where to write; its folder must exist.
        settings: `report.max_findings` bounds the lists; `text` must be what the findings were made with.

    Returns:
        The path of the page.

    Raises:
        WorkspaceError: an artefact cannot be read.
    """
    path = Path(out_html)
    write_atomically(path, render(inputs, settings))
    return path


def render(inputs: ReportInputs, settings: Settings) -> str:
    """The page's HTML. Raises as `write_report`."""
    limit = settings.report.max_findings
    intake = None if inputs.prepared is None else read_intake(inputs.prepared / "summary.json")
    evaluation = None if inputs.evaluation is None else read_evaluation(inputs.evaluation / "evaluation.json")
    folder = inputs.misplaced_reviews
    reviews = None if folder is None else read_findings(folder, limit)
    products = (
        None
        if inputs.miscategorised_products is None
        else read_findings(inputs.miscategorised_products, limit)
    )

    def normalise(texts: Sequence[str]) -> Sequence[str | None]:
        return _tokens(texts, settings.text)

    review_list = review_cards(reviews.rows, normalise) if reviews else []
    product_list = product_cards(products.rows, normalise) if products else []
    declines = None if inputs.declining_products is None else read_declines(inputs.declining_products, limit)
    decline_list = decline_cards(declines.rows, normalise) if declines else []
    models, model_charts = ((), {}) if inputs.registry is None else rankings(inputs.registry)
    studies = () if inputs.tuning is None else read_studies(inputs.tuning)
    sample = None if inputs.sample is None else read_sample(inputs.sample)
    graph = None if inputs.graph is None else read_graph(inputs.graph)
    study_charts = {chart.name: chart for study in studies for chart in study.charts}
    drawn = _charts(intake, evaluation, reviews, products) | model_charts | study_charts
    if sample is not None:
        drawn[sample.chart.name] = sample.chart
    if graph is not None and graph.chart is not None:
        drawn[graph.chart.name] = graph.chart
    counts = {"misplaced": reviews, "miscategorised": products, "declining": declines}
    return render_page(
        "report.html.j2",
        title=inputs.title,
        charts=drawn,
        made_at=inputs.made_at,
        inputs=inputs,
        contents=[
            (name, title, _short(counts.get(name)))
            for name, title in _SECTIONS
            if {"tuning": studies, "sample": sample, "graph": graph}.get(name, True)
        ],
        overview=overview(intake, evaluation, reviews, products, declines),
        intake=intake,
        intake_bar=_intake_bar(intake),
        sample=sample,
        sample_columns=SAMPLE_COLUMNS,
        graph=graph,
        evaluation=evaluation,
        split=split_sentence(evaluation.notes) if evaluation else "",
        slices=[name for name in drawn if name.startswith("by-")],
        models=models,
        studies=studies,
        model_columns=MODEL_COLUMNS,
        reviews=reviews,
        products=products,
        review_cards=review_list,
        product_cards=product_list,
        review_options=category_options(review_list),
        product_options=category_options(product_list),
        declines=declines,
        decline_cards=decline_list,
        decline_options=decline_options(decline_list),
        about=_about(inputs, settings),
    )


def _charts(
    intake: Intake | None, evaluation: Evaluation | None, reviews: Findings | None, products: Findings | None
) -> dict[str, Chart]:
    """Every chart that there is data for, by its name in the template."""
    drawn = {}
    if intake is not None and intake.months:
        drawn["months"] = charts_data.months_chart(intake)
    if intake is not None and intake.categories:
        drawn["categories"] = charts_data.categories_chart(intake.categories)
    if evaluation is not None:
        drawn["quality"] = charts_quality.quality_chart(evaluation)
        drawn["reliability"] = charts_quality.reliability_chart(evaluation)
        drawn["coverage"] = charts_quality.coverage_chart(evaluation)
        drawn["confusion"] = charts_quality.confusion_chart(evaluation)
        for name in ("body_tokens", "star_rating", "year"):
            if len(evaluation.slices.get(name, ())) > 1:
                drawn[f"by-{name}"] = charts_models.slices_chart(name, evaluation.slices[name])
    if reviews is not None and reviews.total:
        drawn["review_scores"] = charts_data.scores_chart(reviews, "reviews")
    if products is not None and products.total:
        drawn["product_scores"] = charts_data.scores_chart(products, "products")
    return drawn


def _intake_bar(intake: Intake | None) -> tuple[Any, ...]:
    if intake is None:
        return ()
    return segments(
        (("kept", intake.kept), ("filtered", intake.filtered_rows), ("rejected", intake.rejected_rows))
    )


def _about(inputs: ReportInputs, settings: Settings) -> list[tuple[str, list[tuple[str, str]]]]:
    """Tables at the foot of the page: the model's card and the settings."""
    tables = []
    if inputs.model is not None:
        card = read_json(inputs.model / "card.json")
        tables.append(("The model's card", _flat(card)))
    tables.append(("Settings", [(key, _said(value)) for key, value, _ in flatten(settings)]))
    return tables


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", _said(value)))
    return rows


def _said(value: object) -> str:
    """A value of a setting or card as people write it, at most a few lines long."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        text = ", ".join(_said(one) for one in value) or "none"
    elif isinstance(value, float):
        text = f"{value:.6g}"
    else:
        text = str(value)
    return text if len(text) <= 600 else f"{text[:600]}…"


def _tokens(texts: Sequence[str], settings: TextSettings) -> list[str | None]:
    from shelfcheck.text.tokens import tokens  # noqa: PLC0415 - loads Numba

    found: list[str | None] = tokens(pa.array(texts, pa.string()), settings).to_pylist()
    return found


def _short(findings: Findings | Declines | None) -> str:
    return "" if findings is None else number(findings.total)
