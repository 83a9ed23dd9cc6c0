"""What every model can do, whatever is inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


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


@runtime_checkable
class Model(Protocol):
    """A trained classifier of reviews."""

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that it knows, in the order of its columns."""
        ...

    def predict_batch(self, batch: pa.RecordBatch | pa.Table, threads: int = 0) -> npt.NDArray[np.float32]:
        """Calibrated log probabilities of reviews, (n, categories)."""
        ...

    def predict_proba(
        self, bodies: Sequence[str | None], headlines: Sequence[str | None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Calibrated probabilities of texts, (n, categories)."""
        ...

    def save(self, folder: str | Path) -> None:
        """Write the model as safetensors and a card in JSON."""
        ...

    def card(self) -> dict[str, Any]:
        """What the model is, from what it was made and how good it is."""
        ...
