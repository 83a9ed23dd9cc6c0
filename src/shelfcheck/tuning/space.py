"""Search spaces: which settings of a model are tried, and in which bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import UsageError
from shelfcheck.models.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.trial import Trial

DEFAULT: Final = "default"


@dataclass(frozen=True)
class Dimension:
    """One setting that is tried.

    Attributes:
        name: of the setting, in the model's own section.
        low: least value; None where there are choices.
        high: largest value.
        whole: whether values are whole numbers.
        log: whether equal ratios, not equal differences, are equally far apart.
        choices: the values to choose from.
    """

    name: str
    low: float | None = None
    high: float | None = None
    whole: bool = False
    log: bool = False
    choices: tuple[Any, ...] = ()

    def suggest(self, trial: Trial) -> Any:
        """Ask a trial for a value."""
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices))
        low, high = self.bounds
        if self.whole:
            return trial.suggest_int(self.name, int(low), int(high), log=self.log)
        return trial.suggest_float(self.name, low, high, log=self.log)

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest value."""
        if self.low is None or self.high is None:
            raise ValueError(f"{self.name} has choices and no bounds")
        return self.low, self.high

    def holds(self, value: Any) -> bool:
        """Whether a value can be suggested."""
        if self.choices:
            return value in self.choices
        low, high = self.bounds
        return value is not None and low <= value <= high

    def __str__(self) -> str:
        if self.choices:
            return ", ".join(str(choice) for choice in self.choices)
        low, high = self.bounds
        shown = f"{low:,.0f} – {high:,.0f}" if self.whole else f"{low:g} – {high:g}"
        return f"{shown}{', by ratio' if self.log else ''}"


@dataclass(frozen=True)
class Space:
    """What is tried of a model.

    Attributes:
        model: its name.
        name: the space's name.
        dimensions: the settings that are tried.
        base: settings that differ from the defaults and are held; stronger than a settings file.
    """

    model: str
    name: str
    dimensions: tuple[Dimension, ...]
    base: Mapping[str, Any] = field(default_factory=dict)

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Ask a trial for a value of each setting."""
        return {one.name: one.suggest(trial) for one in self.dimensions}


def _real(name: str, low: float, high: float, *, log: bool = False) -> Dimension:
    return Dimension(name, low, high, log=log)


def _whole(name: str, low: int, high: int, *, log: bool = False) -> Dimension:
    return Dimension(name, low, high, whole=True, log=log)


_ALL: Final = (
    Space(
        "linear",
        DEFAULT,
        (
            _whole("epochs", 2, 20, log=True),
            _real("learning_rate", 0.5, 20, log=True),
            _real("dropout", 0.0, 0.8),
            _whole("min_document_frequency", 1, 10, log=True),
            _real("idf_power", 0.0, 1.0),
            _real("relevance_power", 0.0, 1.0),
            _whole("word_ngrams", 1, 3),
            _whole("rare_class_reviews", 0, 4000),
        ),
    ),
    Space(
        "tfidf_svm",
        DEFAULT,
        (
            _real("c", 0.02, 10, log=True),
            _whole("word_ngrams", 1, 3),
            _whole("min_document_frequency", 1, 10, log=True),
            Dimension("sublinear_tf", choices=(True, False)),
        ),
    ),
    Space(
        "embedding",
        DEFAULT,
        (
            _whole("vector_dim", 8, 128, log=True),
            _whole("word_ngrams", 1, 4),
            _whole("epochs", 2, 20, log=True),
            _real("learning_rate", 0.2, 10, log=True),
            _real("dropout", 0.0, 0.8),
            _real("relevance_power", 0.0, 1.0),
            _whole("min_count", 1, 20, log=True),
        ),
        base={"optimizer": "adagrad"},
    ),
    Space(
        "embedding",
        "original",
        # As BlazingText was tuned. Its guide lets `buckets` rise to 10 million; with 300 numbers each
        # that is 12 GB, so it ends at 4 here.
        (
            _whole("word_ngrams", 2, 10),
            _whole("vector_dim", 32, 300),
            _whole("epochs", 5, 50),
            _real("learning_rate", 0.005, 0.9, log=True),
            _whole("min_count", 1, 100, log=True),
            _whole("buckets", 1_000_000, 4_000_000),
        ),
        base=PRESETS["embedding"]["blazingtext"].model_dump(
            include={"optimizer", "pooling", "dropout", "relevance_power", "early_stopping"}
        ),
    ),
    Space(
        "transformer",
        DEFAULT,
        (
            _real("learning_rate", 1e-5, 2e-4, log=True),
            _real("head_learning_rate", 1e-4, 1e-2, log=True),
            _real("epochs", 1, 5),
            _real("weight_decay", 1e-4, 0.3, log=True),
            _real("warmup_share", 0.0, 0.2),
            Dimension("batch_size", choices=(16, 32, 64)),
        ),
    ),
)

SPACES: Final[Mapping[tuple[str, str], Space]] = {(one.model, one.name): one for one in _ALL}
"""By model and name."""


def space_of(model: str, name: str = DEFAULT) -> Space:
    """The space of a model.

    Raises:
        UsageError: there is none of that name.
    """
    found = SPACES.get((model, name))
    if found is None:
        own = [one.name for one in _ALL if one.model == model]
        raise UsageError(f"--space {name}: no search space of {model}; it has {', '.join(own)}.")
    return found
