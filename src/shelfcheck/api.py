"""Shelfcheck from Python: one function a command, with the command's name and arguments.

    from shelfcheck import api

    result = api.run("reviews/*.tsv.gz", workspace="shop")
    findings = pyarrow.parquet.read_table("shop/misplaced_reviews.parquet")

Every function takes `config` (a TOML file) and `overrides` (dotted key -> value), which count as
`--config` and `--set` do, and `progress`, which is told how far the work is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from shelfcheck import pipeline
from shelfcheck.progress import NullProgress
from shelfcheck.settings_file import resolve
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shelfcheck.config import Settings
    from shelfcheck.demo import Score
    from shelfcheck.models.base import Model
    from shelfcheck.models.evaluation import Evaluation
    from shelfcheck.pipeline import RunResult
    from shelfcheck.predict.batch import Predicted
    from shelfcheck.progress import Progress
    from shelfcheck.sources.demo import GeneratedFiles
    from shelfcheck.stages import StageResult

AUDITS: Final = (pipeline.MISPLACED_REVIEWS, pipeline.MISCATEGORISED_PRODUCTS)

Paths: TypeAlias = "str | Path | Sequence[str | Path]"


def run(
    source: Paths,
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> RunResult:
    """Run the main job: raw reviews in, ranked findings and a report out.

    Stages that are fresh are skipped; a killed run goes on where it stopped.

    Args:
        source: files, folders, globs or URLs of raw reviews.
        workspace: the folder for all artefacts; `report.html` and the findings stand at its top.
        config: a TOML file of settings.
        overrides: dotted key -> value, stronger than the file.
        progress: told how far the work is.
        force: run every stage even if it is fresh.

    Raises:
        ShelfcheckError: the input, the settings or the workspace cannot be used.
    """
    every = [stage.name for stage in pipeline.STAGES]
    return _run(every, source, workspace, config=config, overrides=overrides, progress=progress, force=force)


def prepare(
    source: Paths,
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> StageResult:
    """Read, check, clean and store reviews by month. Arguments as for `run`."""
    return _run(
        [pipeline.PREPARED],
        source,
        workspace,
        config=config,
        overrides=overrides,
        progress=progress,
        force=force,
    ).stages[-1]


def train(
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> StageResult:
    """Learn what each category's prepared reviews sound like. Arguments as for `run`."""
    return _run(
        [pipeline.MODEL], (), workspace, config=config, overrides=overrides, progress=progress, force=force
    ).stages[-1]


def evaluate(
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Evaluation:
    """Judge the model on products that it has not seen. Arguments as for `run`.

    Returns:
        Report by category, confusion, calibration and coverage.
    """
    result = _run(
        [pipeline.EVALUATION],
        (),
        workspace,
        config=config,
        overrides=overrides,
        progress=progress,
        force=force,
    ).stages[-1]
    from shelfcheck.models.evaluation import Evaluation  # noqa: PLC0415 - loads numpy

    return Evaluation.from_json((result.folder / "evaluation.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class TextPrediction:
    """What a model thinks of one text.

    Attributes:
        categories: the likeliest, best first, with their calibrated probabilities.
        against: the category that the words are weighed against.
        words: terms and what each adds to the log odds of the first category against it, in nats.
    """

    categories: list[tuple[str, float]]
    against: str
    words: list[tuple[str, float]]


def predict(
    source: Paths,
    output: str | Path,
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Predict the categories of reviews with the workspace's model, in bounded memory.

    `source` is anything that `prepare` reads; `output` becomes a Parquet file of
    `schema.PREDICTION_SCHEMA`, whole or not at all. Other arguments as for `run`.

    Raises:
        ShelfcheckError: there is no model, or the input cannot be read.
    """
    settings = resolve(config, overrides, workspace).settings
    model = _model(workspace)
    from shelfcheck.predict.batch import predict as predict_sources  # noqa: PLC0415 - loads pyarrow

    return predict_sources(
        model,
        _sources(source, settings),
        output,
        progress or NullProgress(),
        threads=settings.run.threads,
    )


def predict_text(
    text: str, headline: str | None = None, *, workspace: str | Path, top: int = 5, words: int = 8
) -> TextPrediction:
    """Predict one text, and say which words carried it.

    Args:
        text: a review's body.
        headline: its headline.
        workspace: the folder with the model.
        top: most categories to name.
        words: most terms to name.
    """
    model = _model(workspace)
    chances = model.predict_proba([text], [headline])[0]
    best = sorted(zip(model.categories, chances.tolist(), strict=True), key=lambda item: -item[1])
    found = model.explain(headline, text, k=words)
    return TextPrediction(best[:top], found.against, [(term, weight) for term, weight in found.terms])


def audit(
    workspace: str | Path,
    kinds: Sequence[str] = AUDITS,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> dict[str, StageResult]:
    """Find what is wrong, by out-of-fold predictions. Arguments as for `run`.

    `kinds` names the audits wanted: `misplaced_reviews`, `miscategorised_products`.

    Returns:
        Kind -> result, whose folder holds `findings.parquet`, `findings.csv`, `summary.json`.
    """
    results = _run(
        list(kinds), (), workspace, config=config, overrides=overrides, progress=progress, force=force
    )
    return {kind: results.stage(kind) for kind in kinds}


def report(
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Path:
    """Write the report as one HTML file that opens offline. Arguments as for `run`.

    Returns:
        The page's path.
    """
    return (
        _run(
            [pipeline.REPORT],
            (),
            workspace,
            config=config,
            overrides=overrides,
            progress=progress,
            force=force,
        ).workspace
        / "report.html"
    )


def generate(
    output: str | Path,
    *,
    reviews: int,
    seed: int = 0,
    format: Literal["parquet", "tsv"] = "parquet",  # noqa: A002 - the command's flag
    progress: Progress | None = None,
) -> GeneratedFiles:
    """Write made-up reviews with planted faults, and the truth beside them; see `sources.demo`."""
    from shelfcheck.sources.demo import generate as write  # noqa: PLC0415 - loads pyarrow

    return write(output, reviews, seed, format=format, progress=progress or NullProgress())


@dataclass(frozen=True)
class DemoResult:
    """The run of the demo, and how well its findings match what was planted."""

    run: RunResult
    scores: tuple[Score, ...]


def demo(
    workspace: str | Path,
    *,
    reviews: int = 50_000,
    seed: int = 0,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> DemoResult:
    """Generate reviews with planted faults, run the main job, and score its findings.

    The reviews go to `raw/` in the workspace. Other arguments as for `generate` and `run`.
    """
    from shelfcheck.demo import PLANTED, score  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.sources.demo import TRUTH_FILE  # noqa: PLC0415

    raw = Path(workspace) / "raw"
    generate(raw, reviews=reviews, seed=seed, progress=progress)
    result = run(raw, workspace, config=config, overrides=overrides, progress=progress, force=force)
    prepared = result.stage(pipeline.PREPARED).folder
    scores = tuple(
        score(kind, result.stage(kind).folder / "findings.parquet", raw / TRUTH_FILE, prepared)
        for kind in PLANTED
    )
    return DemoResult(result, scores)


def status(
    workspace: str | Path,
    source: Paths = (),
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """What a run would do with each stage: `fresh`, `stale` or `missing`. Changes nothing."""
    settings = resolve(config, overrides, workspace).settings
    return pipeline.states(Workspace(workspace), settings, _sources(source, settings))


def _run(
    targets: Sequence[str],
    source: Paths,
    workspace: str | Path,
    *,
    config: str | Path | None,
    overrides: Mapping[str, Any] | None,
    progress: Progress | None,
    force: bool,
) -> RunResult:
    settings = resolve(config, overrides, workspace).settings
    return pipeline.run_stages(
        Workspace(workspace),
        settings,
        progress or NullProgress(),
        targets,
        sources=_sources(source, settings),
        force=force,
    )


def _model(workspace: str | Path) -> Model:
    folder = Workspace(workspace).path(pipeline.MODEL, made_by=f"shelfcheck train --workspace {workspace}")
    from shelfcheck.models.kinds import load_model  # noqa: PLC0415 - loads numpy

    return load_model(folder)


def _sources(source: Paths, settings: Settings) -> Sequence[Any]:
    specs = [str(source)] if isinstance(source, str | Path) else [str(spec) for spec in source]
    if not specs:
        return ()
    from shelfcheck.sources import find_sources  # noqa: PLC0415 - loads pyarrow

    return find_sources(specs, settings.source)
