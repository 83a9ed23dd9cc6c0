"""A study: trials of a model's settings, in a database that outlives the run."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.config import Settings, flatten
from shelfcheck.errors import MissingExtraError, NotEnoughDataError, WorkspaceError
from shelfcheck.models.ngrams import thread_count
from shelfcheck.tuning.objective import Score, Task
from shelfcheck.tuning.results import BEST, SECONDS, WHY, best_trial, trials_table, write_results
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from optuna.study import Study
    from optuna.trial import Trial

    from shelfcheck.models.examples import Examples
    from shelfcheck.progress import Progress
    from shelfcheck.tuning.objective import Metric
    from shelfcheck.tuning.space import Space

DATABASE: Final = "study.db"
PAGE: Final = "study.html"
_MADE_FOR: Final = "made_for"
_RETRIED: Final = "retried"
_STARTUP_TRIALS: Final = 10  # drawn at random before the others are looked at
_LEAST_FOR_MEDIAN: Final = 4  # trials that came as far, before one is stopped early


@dataclass(frozen=True)
class TuningResult:
    """How a study stands.

    Attributes:
        folder: where `study.db`, `best.toml`, `trials.*` and `study.html` stand on the local disk.
        trials: all finished trials; see `results.trials_table`.
        best: settings of the best trial, None where none came to its end.
        best_trial: its number.
        best_value: its metric on validation products, 0..1.
        default_value: that of the settings that the study began with.
        place: the folder as people know it: a path, or a URL.
    """

    folder: Path
    trials: pa.Table
    best: Settings | None
    best_trial: int | None
    best_value: float | None
    default_value: float | None
    place: str = ""


def tune(
    examples: Examples,
    settings: Settings,
    space: Space,
    folder: str | Path | Workspace,
    progress: Progress,
    *,
    trials: int = 50,
    jobs: int = 1,
    timeout: float | None = None,
    metric: Metric = "accuracy",
    share: float = 1.0,
    made_for: str = "",
    afresh: bool = False,
) -> TuningResult:
    """Try settings of a model, the likeliest to be good first, and keep the best.

    The first trial is what `settings` say. Trials are drawn by a tree-structured Parzen estimator over all
    settings at once (Bergstra et al., NIPS 2011). The study is on disk after every step: what is killed
    goes on when it is called again, and a trial that was under way is tried again.

    Args:
        examples: reviews with the classes to learn.
        settings: `train` and `run` are read; what the space does not name is held.
        space: what is tried.
        folder: where the study is kept: a local folder, or a workspace's.
        progress: told the trials done.
        trials: trials of the study in all, those of earlier calls counted.
        jobs: trials at a time, sharing `run.threads`.
        timeout: minutes after which no trial is begun.
        metric: what is maximised.
        share: of the training products, in (0, 1].
        made_for: names the reviews, so that no study is mixed with another's.
        afresh: forget the study that stands there.

    Raises:
        MissingExtraError: Optuna is not installed.
        WorkspaceError: the study there was made for something else, or another process works on it.
        NotEnoughDataError: the reviews are too few.
    """
    shelf = folder if isinstance(folder, Workspace) else Workspace(folder)
    home = shelf.root
    task = Task.of(examples, settings, metric, share)
    described = _described(settings, space, made_for, metric, share)
    with shelf.locked():
        shelf.fetch("", ours=True)
        if afresh:
            for name in home.iterdir():
                if not name.name.startswith("."):
                    shutil.rmtree(name) if name.is_dir() else name.unlink()
        try:
            with _opened(home / DATABASE, settings.run.seed, described) as study:
                before = _finished(study)
                _revive(study)
                if not study.get_trials(deepcopy=False):
                    study.enqueue_trial(_first(settings, space))
                watcher = _Watcher(progress)
                per_job = settings.run.model_copy(
                    update={"threads": max(1, thread_count(settings.run.threads) // jobs)}
                )
                held = settings.model_copy(update={"run": per_job})

                def objective(trial: Trial) -> float:
                    return _try(trial, task, held, space)

                progress.start("Tuning", trials, "trials")
                if before:
                    progress.advance(before)
                deadline = None if timeout is None else time.monotonic() + timeout * 60
                try:
                    # Trials that wait to be tried are taken one by one: two jobs may take the same.
                    for count, side_by_side in _rounds(study, trials - before, jobs):
                        left = None if deadline is None else deadline - time.monotonic()
                        if left is None or left > 0:
                            study.optimize(
                                objective,
                                n_trials=count,
                                timeout=left,
                                n_jobs=side_by_side,
                                callbacks=[watcher],
                            )
                finally:  # Ctrl-C leaves what was found so far
                    progress.finish()
                    result = _result(shelf, study, settings, space)
                    write_results(home, study, space, result.best)
                    _write_page(home, result, space, metric)
        finally:  # the database is closed, and whole
            shelf.keep("")
    return result


def _try(trial: Trial, task: Task, settings: Settings, space: Space) -> float:
    """Learn from ever more products, and stop where it does not pay."""
    import optuna  # noqa: PLC0415 - an extra

    score = Score(task)
    own = with_model(settings, space, space.suggest(trial))
    value = 0.0
    try:
        for place, step in enumerate(task.steps):
            value = score(own, place)
            trial.report(value, step)
            if place < len(task.steps) - 1 and trial.should_prune():
                raise optuna.TrialPruned
    except NotEnoughDataError as error:
        trial.set_user_attr(WHY, str(error))
        raise optuna.TrialPruned from error
    finally:
        with contextlib.suppress(Exception):  # the database may be what failed
            trial.set_user_attr(SECONDS, round(score.seconds, 3))
    return value


def with_model(settings: Settings, space: Space, values: dict[str, Any]) -> Settings:
    """Settings with the space's model, what the space holds, and the values of a trial."""
    section = getattr(settings.train, space.model)
    known = section.model_dump() | dict(space.base) | values
    own = type(section).model_validate(known)
    train = settings.train.model_copy(update={"model": space.model, space.model: own})
    return settings.model_copy(update={"train": train})


def _first(settings: Settings, space: Space) -> dict[str, Any]:
    """The values that the settings have already, as far as the space holds them."""
    section = with_model(settings, space, {}).train
    values = {one.name: getattr(getattr(section, space.model), one.name) for one in space.dimensions}
    return {one.name: values[one.name] for one in space.dimensions if one.holds(values[one.name])}


def _described(settings: Settings, space: Space, made_for: str, metric: str, share: float) -> dict[str, Any]:
    """What a study's values depend on; values of another description must not be mixed with them."""
    own = with_model(settings, space, {})
    tried = {f"train.{space.model}.{one.name}" for one in space.dimensions}
    prefixes = (f"train.{space.model}.", "text.")
    others = tuple(f"train.{name}." for name in ("linear", "tfidf_svm", "embedding", "transformer"))
    held = {
        key: value if isinstance(value, bool | int | float | None) else str(value)
        for key, value, _ in flatten(own)
        if key not in tried
        and (key.startswith(prefixes) or (key.startswith("train.") and not key.startswith(others)))
    }
    dimensions = {one.name: str(one) for one in space.dimensions}
    return {
        "reviews": made_for,
        "metric": metric,
        "share": share,
        "space": space.name,
        "dimensions": dimensions,
        "held": held,
    }


def require_optuna() -> None:
    """Fail early where the extra is missing.

    Raises:
        MissingExtraError: Optuna is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("Tuning", "tune")


@contextlib.contextmanager
def _opened(path: Path, seed: int, described: dict[str, Any]) -> Iterator[Study]:
    """The study in a database, made where there is none; Optuna's own log is silent."""
    require_optuna()
    import optuna  # noqa: PLC0415 - an extra

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    _write_ahead(storage.engine)
    try:
        study = optuna.create_study(
            storage=storage,
            study_name="shelfcheck",
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=_LEAST_FOR_MEDIAN, n_min_trials=_LEAST_FOR_MEDIAN
            ),
        )
        known = study.user_attrs.get(_MADE_FOR)
        if known is None:
            study.set_user_attr(_MADE_FOR, described)
        elif known != described:
            told = ", ".join(sorted(key for key in described if known.get(key) != described[key]))
            raise WorkspaceError(
                f"{path}: the study there is of something else ({told}). "
                "Begin afresh with --force, or tune in another workspace."
            )
        # A resumed study that drew with the same seed would draw the same settings again.
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=_STARTUP_TRIALS, multivariate=True, seed=seed + 1000 * len(study.trials)
        )
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()
        optuna.logging.set_verbosity(verbosity)


def _write_ahead(engine: Any) -> None:
    """Let SQLite write ahead: a trial takes about twenty commits, which then wait for no disk.

    A killed process loses nothing by it; a machine that fails loses the last trials at most.
    """
    from sqlalchemy import event  # noqa: PLC0415 - comes with Optuna

    @event.listens_for(engine, "connect")
    def _begin(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=NORMAL").close()

    engine.dispose()  # what is connected already is without


def _finished(study: Study) -> int:
    """Trials that count: done or stopped early; those that were interrupted are tried again."""
    return sum(trial.state.name in {"COMPLETE", "PRUNED"} for trial in study.get_trials(deepcopy=False))


def _revive(study: Study) -> None:
    """Try again what was under way when the study was interrupted or killed."""
    from optuna.trial import TrialState  # noqa: PLC0415 - an extra

    retried = set(study.user_attrs.get(_RETRIED, []))
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        if trial.state in {TrialState.RUNNING, TrialState.FAIL} and trial.number not in retried:
            if trial.params:
                study.enqueue_trial(trial.params)
            retried.add(trial.number)
    study.set_user_attr(_RETRIED, sorted(retried))


def _rounds(study: Study, left: int, jobs: int) -> list[tuple[int, int]]:
    """How many trials to run with how many jobs, one after the other."""
    waiting = sum(trial.state.name == "WAITING" for trial in study.get_trials(deepcopy=False))
    alone = min(left, waiting) if jobs > 1 else left
    return [(count, side) for count, side in ((alone, 1), (left - alone, jobs)) if count > 0]


class _Watcher:
    """Told by Optuna of each finished trial; tells the progress, and the best so far."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()  # with several jobs, trials end side by side

    def __call__(self, study: Study, trial: Any) -> None:
        if trial.state.name not in {"COMPLETE", "PRUNED"}:
            return
        with self._lock:
            best = best_trial(study)
            told = (
                {}
                if best is None
                else {"best_trial": best.number, "best_per_mille": round(1000 * (best.value or 0))}
            )
            self._progress.advance(1, **told)


def _result(shelf: Workspace, study: Study, settings: Settings, space: Space) -> TuningResult:
    found = best_trial(study)
    values = _first(settings, space).items()
    first = next(
        (
            trial.value
            for trial in study.get_trials(deepcopy=False)
            if trial.state.name == "COMPLETE" and values <= trial.params.items()
        ),
        None,
    )
    return TuningResult(
        folder=shelf.root,
        place=shelf.place,
        trials=trials_table(study, space),
        best=None if found is None else with_model(settings, space, dict(found.params)),
        best_trial=None if found is None else found.number,
        best_value=None if found is None else found.value,
        default_value=first,
    )


def _write_page(home: Path, result: TuningResult, space: Space, metric: str) -> None:
    from shelfcheck.tuning.page import write_page  # noqa: PLC0415 - loads Altair

    if result.trials.num_rows:
        write_page(home / PAGE, result, space, metric, best_file=BEST)
