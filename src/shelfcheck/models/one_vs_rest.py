"""Linear support vector machines, one class against the rest: scikit-learn's LinearSVC, class by class."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.models.ngrams import thread_count

if TYPE_CHECKING:
    import numpy.typing as npt

    from shelfcheck.config import TfidfSvmSettings
    from shelfcheck.progress import Progress

    Floats = npt.NDArray[np.float32]

_WORTH_A_PROCESS: Final = 20_000_000  # entries times classes; below, starting processes takes longer


def fit_one_vs_rest(
    x: Any,
    labels: npt.NDArray[np.intp],
    classes: int,
    settings: TfidfSvmSettings,
    *,
    seed: int,
    threads: int,
    progress: Progress,
) -> tuple[Floats, Floats, int]:
    """One machine a class against the rest, as LinearSVC does, told class by class.

    Processes and not threads work side by side: liblinear has one random generator a process, which
    threads would share; so the result does not depend on their number. They map `x` and do not copy it.

    Returns:
        Coefficients (terms, classes), intercepts (classes), classes whose solver did not converge.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - loads slowly
    from sklearn.utils.parallel import Parallel, delayed  # noqa: PLC0415

    x = x.astype(np.float64)  # liblinear's; converted once instead of once a class
    workers = thread_count(threads) if x.nnz * classes > _WORTH_A_PROCESS else 1
    weights = np.empty((x.shape[1], classes), np.float32)
    intercepts = np.empty(classes, np.float32)
    unfinished = 0
    progress.start("Training", classes, "classes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # counted, and told by the card
        jobs = (delayed(_fit_svm)(x, labels == own, settings, seed) for own in range(classes))
        for own, found in enumerate(Parallel(min(workers, classes), return_as="generator")(jobs)):
            weights[:, own], intercepts[own], converged = found
            unfinished += not converged
            progress.advance(1)
    progress.finish()
    return weights, intercepts, unfinished


def _fit_svm(
    x: Any, positive: npt.NDArray[np.bool_], settings: TfidfSvmSettings, seed: int
) -> tuple[Floats, float, bool]:
    from sklearn.svm import LinearSVC  # noqa: PLC0415 - loads slowly

    machine = LinearSVC(C=settings.c, max_iter=settings.max_iterations, random_state=seed).fit(x, positive)
    converged = bool(machine.n_iter_ < settings.max_iterations)
    return machine.coef_[0].astype(np.float32), float(machine.intercept_[0]), converged
