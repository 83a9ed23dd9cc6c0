"""Models: train, tune, evaluate, compare, predict, serve."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shelfcheck import pipeline
from shelfcheck.api._shared import model_folder, open_model, run_targets, sources_of, specs_of, version_name
from shelfcheck.errors import MissingExtraError, NotEnoughDataError, UsageError
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve
from shelfcheck.urls import is_url
from shelfcheck.workspace import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shelfcheck.api._shared import Paths
    from shelfcheck.models.evaluation import Evaluation
    from shelfcheck.models.leaderboard import Leaderboard
    from shelfcheck.predict.batch import Predicted
    from shelfcheck.progress import Progress
    from shelfcheck.stages import StageResult
    from shelfcheck.tuning import TuningResult


def train(
    workspace: str | Path,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> StageResult:
    """Learn what each category's prepared reviews sound like, judge it, and register it as a version.

    Arguments as for `run`.

    Returns:
        The training's folder and counts, with `version` and, where there is enough held out to judge it,
        the quality.
    """
    given: dict[str, Any] = {
        "config": config,
        "overrides": overrides,
        "progress": progress,
        "force": force,
    }
    trained = run_targets([pipeline.MODEL], (), workspace, **given).stages[-1]
    try:
        judged = run_targets([pipeline.EVALUATION], (), workspace, **given).stages[-1]
    except NotEnoughDataError:
        judged = None
    from shelfcheck.models.registry import Registry  # noqa: PLC0415 - loaded where it is needed

    split = resolve(config, overrides, workspace).settings.train.split
    counts = {"split": split, **trained.counts, **(judged.counts if judged else {})}
    made = Registry(workspace).register(trained.folder, judged.folder if judged else None, counts)
    return replace(trained, counts=counts | {"version": made.version})


def tune(
    workspace: str | Path,
    model: str | None = None,
    *,
    trials: int = 50,
    jobs: int = 1,
    timeout: float | None = None,
    space: str = "default",
    metric: Literal["accuracy", "macro_f1"] = "accuracy",
    share: float = 1.0,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> TuningResult:
    """Find settings of a model that do best on validation products; needs shelfcheck[tune].

    The study stands under `tuning/` in the workspace, with `best.toml` for `train`'s `config`. What was
    interrupted goes on.

    Args:
        workspace: the folder with the prepared reviews.
        model: what to tune; `train.model` when None.
        trials: trials of the study in all, those of earlier runs counted.
        jobs: trials at a time.
        timeout: minutes after which no trial is begun.
        space: which search space, see `tuning.SPACES`.
        metric: what is maximised.
        share: of the training products to learn from, in (0, 1].
        config: as for `run`.
        overrides: as for `run`.
        progress: as for `run`.
        force: forget the study that stands there.

    Raises:
        ShelfcheckError: Optuna is missing, the reviews are too few, or the study is of something else.
    """
    resolved = resolve(config, overrides, workspace).settings
    chosen = model or resolved.train.model
    from shelfcheck.models.labels import labelled  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.models.train import open_examples  # noqa: PLC0415
    from shelfcheck.tuning import require_optuna, space_of  # noqa: PLC0415
    from shelfcheck.tuning import tune as tune_examples  # noqa: PLC0415

    if trials < 1 or jobs < 1 or not 0 < share <= 1:
        raise UsageError(
            f"trials == {trials} and jobs == {jobs} must be >= 1, share == {share} must be in (0, 1]."
        )
    require_optuna()
    wanted = space_of(chosen, space)
    watcher = progress or NullProgress()
    home = open_workspace(workspace)
    ready = pipeline.run_stages(home, resolved, watcher, [pipeline.ENCODED])
    encoded = ready.stage(pipeline.ENCODED).folder
    prepared = home.path(pipeline.PREPARED, made_by="shelfcheck prepare")
    examples = open_examples(encoded, prepared, home.root / "cache")
    examples = replace(examples, encoded=labelled(examples.encoded, resolved.train).encoded)
    manifest = home.manifest(pipeline.PREPARED)
    name = f"{chosen}-{resolved.train.label}{'' if space == 'default' else f'-{space}'}"
    result = tune_examples(
        examples,
        resolved,
        wanted,
        home.child(f"tuning/{name}"),
        watcher,
        trials=trials,
        jobs=jobs,
        timeout=timeout,
        metric=metric,
        share=share,
        made_for="" if manifest is None else manifest.fingerprint,
        afresh=force,
    )
    with home.file(pipeline.TUNING_HISTORY).open("a", encoding="utf-8") as file:  # the report watches it
        told = {"at": utc_now(), "study": name, "trials": result.trials.num_rows, "best": result.best_value}
        file.write(json.dumps(told) + "\n")
    home.wrote(pipeline.TUNING_HISTORY)
    return result


def evaluate(
    workspace: str | Path,
    data: Paths = (),
    *,
    model: str | None = None,
    against: str | None = None,
    by: Sequence[str] = (),
    held_out: bool = False,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
) -> Evaluation:
    """Judge a model by the labels of reviews: of what was held out from it, or of any other data.

    Args:
        workspace: the folder with the model.
        data: anything that `prepare` reads, or Parquet files of reviews with further columns. Without it,
            the model is judged by what its split holds out.
        model: a registered version or an alias. Without it, the champion judges data, and what the
            settings describe is trained, if it has to be, and judged on what it holds out.
        against: a version or alias to compare with on the same reviews.
        by: columns to slice by, beside length, year and stars.
        held_out: of `data`, judge only what the model's own split holds out.
        config: as for `run`.
        overrides: as for `run`.
        progress: as for `run`.
        force: as for `run`; without `data` and `model`.

    Returns:
        Report by category, confusion, calibration, coverage, intervals, slices, comparison.
    """
    settings = resolve(config, overrides, workspace).settings
    from shelfcheck.models.registry import Registry  # noqa: PLC0415 - loaded where it is needed
    from shelfcheck.predict import evaluating  # noqa: PLC0415 - loads NumPy

    specs = specs_of(data)
    registry = Registry(workspace)
    if specs:
        models = {version_name(registry, model or "champion"): open_model(workspace, model)}
        if against is not None:
            models[version_name(registry, against)] = open_model(workspace, against)
        home = open_workspace(workspace)
        home.told = progress or NullProgress()
        encoded = home.manifest(pipeline.ENCODED)
        return evaluating.evaluate_data(
            models,
            specs,
            settings,
            progress,
            by=by,
            held_out=held_out,
            encoded=None if encoded is None else home.path(pipeline.ENCODED, made_by="shelfcheck train"),
        )
    if held_out:
        raise UsageError("held_out says what is judged of data. Name some, or leave it out.")
    if model is None:
        given: dict[str, Any] = {"config": config, "overrides": overrides, "progress": progress}
        folder = run_targets([pipeline.EVALUATION], (), workspace, force=force, **given).stages[-1].folder
        folders = {"the model": folder}
    else:
        registry.with_judgements()
        chosen = registry.resolve(model)
        folders = {chosen.version: chosen.folder}
    if against is not None:
        other = registry.resolve(against)
        folders[other.version] = other.folder
    home = open_workspace(workspace)
    prepared = None
    if home.manifest(pipeline.PREPARED) is not None:
        prepared = home.path(pipeline.PREPARED, made_by="shelfcheck prepare")
    return evaluating.evaluate_recorded(folders, prepared, settings, by=by)


def leaderboard(workspace: str | Path) -> Leaderboard:
    """All registered models of a workspace with quality, cost and difference to the best.

    Raises:
        WorkspaceError: what a version was judged by cannot be read.
    """
    from shelfcheck.models.leaderboard import leaderboard as rank  # noqa: PLC0415 - loads NumPy
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    registry = Registry(workspace)
    registry.with_judgements()
    return rank(registry.versions(), registry.aliases())


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
    model: str | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Predict the categories of reviews with one of the workspace's models, in bounded memory.

    `source` is anything that `prepare` reads; `output` becomes a Parquet file of
    `schema.PREDICTION_SCHEMA`, whole or not at all; `model` is a registered version or an alias, the
    champion when None, or what was trained last where none is registered. Other arguments as for `run`.

    With the engine `spark`, `output` becomes a folder of such files, with the same rows in the same order.

    Raises:
        ShelfcheckError: there is no model, or the input cannot be read.
    """
    settings = resolve(config, overrides, workspace).settings
    if settings.run.engine == "spark":
        from shelfcheck.predict.spark import predict_on_spark  # noqa: PLC0415 - loads pyarrow

        return predict_on_spark(
            model_folder(workspace, model), sources_of(source, settings), output, settings, progress
        )
    if not is_url(str(output)) and Path(output).is_dir():
        raise UsageError(f"--output {output}: a folder. Name a file, or predict with --engine spark.")
    chosen = open_model(workspace, model)
    from shelfcheck.predict.batch import predict as predict_sources  # noqa: PLC0415 - loads pyarrow

    return predict_sources(
        chosen,
        sources_of(source, settings),
        output,
        progress or NullProgress(),
        threads=settings.run.threads,
    )


def predict_text(
    text: str,
    headline: str | None = None,
    *,
    workspace: str | Path,
    model: str | None = None,
    top: int = 5,
    words: int = 8,
) -> TextPrediction:
    """Predict one text, and say which words carried it.

    Args:
        text: a review's body.
        headline: its headline.
        workspace: the folder with the model.
        model: as for `predict`.
        top: most categories to name.
        words: most terms to name.
    """
    chosen = open_model(workspace, model)
    chances = chosen.predict_proba([text], [headline])[0]
    best = sorted(zip(chosen.categories, chances.tolist(), strict=True), key=lambda item: -item[1])
    found = chosen.explain(headline, text, k=words)
    return TextPrediction(best[:top], found.against, [(term, weight) for term, weight in found.terms])


def serve(
    workspace: str | Path,
    *,
    model: str | None = None,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    started: Callable[[str, str], None] | None = None,
) -> None:
    """Answer predictions over HTTP until the process is told to stop; see `serve.server`.

    Args:
        workspace: the folder with the models.
        model: as for `predict`.
        config: a TOML file of settings.
        overrides: dotted key -> value, stronger than the file.
        started: told the URL and the version when the port is open.

    Raises:
        MissingExtraError: the packages of the extra are not installed.
        ShelfcheckError: there is no model that can be used, or the address cannot.
    """
    settings = resolve(config, overrides, workspace).settings.serve
    try:
        from shelfcheck.serve.server import serve as run_server  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("shelfcheck serve", "serve") from error
    run_server(
        workspace,
        settings,
        model=model,
        environment=os.environ,
        started=None if started is None else lambda url, loaded: started(url, loaded.version),
    )
