"""What every model can do, whatever is inside."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from shelfcheck.errors import WorkspaceError
from shelfcheck.models.calibration import MOST_REVIEWS
from shelfcheck.schema import REVIEW_BODY, REVIEW_HEADLINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import Settings
    from shelfcheck.models.calibration import Calibration
    from shelfcheck.models.examples import Examples
    from shelfcheck.progress import Progress

    Floats = npt.NDArray[np.float32]


class Term(NamedTuple):
    """A word or word pair and what it adds to the log odds of one category against another, in nats."""

    term: str
    weight: float


class Explanation(NamedTuple):
    """Why a model prefers one category to another for one text.

    Attributes:
        category: the category explained.
        against: the category it is compared with.
        terms: words and pairs with their part, largest first.
        rest: what no term carries: how common the categories are, in nats.
        log_odds: calibrated log odds of `category` against `against`: all terms' weights plus `rest`.
    """

    category: str
    against: str
    terms: list[Term]
    rest: float
    log_odds: float


class Model(ABC):
    """A trained classifier of reviews; every model is a frozen dataclass with these and fields of its own.

    Attributes:
        categories: the classes that it knows, in the order of its columns.
        calibration: how its logits become probabilities.
        facts: more for the card: rows, seed, loss, seconds.
        name: what `--model` calls it.
        most_held: reviews that it is calibrated on, at most.
    """

    categories: tuple[str, ...]
    calibration: Calibration
    facts: dict[str, Any]
    name: ClassVar[str]
    most_held: ClassVar[int] = MOST_REVIEWS

    @classmethod
    @abstractmethod
    def learn(
        cls,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        held: npt.NDArray[np.integer[Any]],
        settings: Settings,
        progress: Progress,
        *,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Learn from some reviews; calibration comes later.

        Args:
            examples: reviews with classes.
            rows: the reviews to learn from; each has a class.
            held: reviews of other products, to stop early by and to choose by; each has a class.
            settings: the model's own section of `train`, and `run`.
            progress: told how far it is.
            checkpoint: where unfinished learning is kept, of these very reviews and settings, by models that
                can go on; the others begin again.

        Raises:
            NotEnoughDataError: the reviews are too few.
            MissingExtraError: the model needs an extra that is not installed.
        """

    @abstractmethod
    def logits_of(
        self,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        threads: int = 0,
        progress: Progress | None = None,
    ) -> Floats:
        """Scores before calibration of some of the reviews, float32 (m, categories)."""

    @abstractmethod
    def logits_batch(self, batch: pa.RecordBatch | pa.Table, threads: int = 0) -> Floats:
        """Scores before calibration of prepared or canonical reviews, float32 (n, categories)."""

    @abstractmethod
    def explain(
        self,
        headline: str | None,
        body: str | None,
        category: str | None = None,
        against: str | None = None,
        *,
        k: int = 10,
    ) -> Explanation:
        """The words that speak for one class against another in one text.

        Args:
            headline: raw headline; may be None.
            body: raw body; may be None.
            category: the class to explain; the predicted one when None.
            against: what it is compared with; the likeliest other when None.
            k: most terms to return.

        Raises:
            KeyError: the model does not know a class.
        """

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write the model as safetensors and `card.json` into a folder, made if it is not there."""

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            WorkspaceError: it is missing, broken or of another version.
        """

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """What the model is, from what it was made and how."""

    def predict_batch(self, batch: pa.RecordBatch | pa.Table, threads: int = 0) -> Floats:
        """Calibrated log probabilities of prepared or canonical reviews, float32 (n, categories)."""
        return self.calibration.log_probabilities(self.logits_batch(batch, threads))

    def predict_proba(
        self, bodies: Sequence[str | None], headlines: Sequence[str | None] | None = None
    ) -> Floats:
        """Calibrated probabilities of raw texts.

        Args:
            bodies: review bodies, as customers wrote them, (n,).
            headlines: their headlines, (n,); none when None.

        Returns:
            float32 (n, categories), columns in the order of `categories`.
        """
        return np.exp(self.predict_batch(_texts(bodies, headlines), threads=1))

    def predict(
        self, bodies: Sequence[str | None], headlines: Sequence[str | None] | None = None
    ) -> list[str]:
        """The likeliest class of each text."""
        best = self.predict_proba(bodies, headlines).argmax(axis=1)
        return [self.categories[i] for i in best]


def write_card(folder: str | Path, card: dict[str, Any]) -> None:
    """Write a model's card beside its weights."""
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (Path(folder) / "card.json").write_text(text, encoding="utf-8")


def read_card(folder: str | Path, name: str | None = None, card_format: int | None = None) -> dict[str, Any]:
    """The card of a stored model.

    Args:
        folder: where it was saved.
        name: the model that it must be.
        card_format: the format that it must have.

    Raises:
        WorkspaceError: there is none that can be read, or it is another model's.
    """
    try:
        card: dict[str, Any] = json.loads((Path(folder) / "card.json").read_text(encoding="utf-8"))
        found = card["model"], card["format"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(
            f"{folder}: no model that can be read ({error}). Train one with: shelfcheck train"
        ) from error
    if (name is not None and found[0] != name) or (card_format is not None and found[1] != card_format):
        raise WorkspaceError(
            f"{folder}: a {found[0]} model of format {found[1]}, this version reads {name} of format "
            f"{card_format}. Train again with: shelfcheck train"
        )
    return card


def _texts(bodies: Sequence[str | None], headlines: Sequence[str | None] | None) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - loads slowly

    columns = {REVIEW_BODY: pa.array(bodies, pa.string())}
    if headlines is not None:
        columns[REVIEW_HEADLINE] = pa.array(headlines, pa.string())
    return pa.table(columns)
