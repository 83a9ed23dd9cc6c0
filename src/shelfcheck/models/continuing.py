"""A `linear` model that goes on learning where an earlier one ended, when reviews were added.

The earlier one's weights and AdaGrad's accumulators are put where its n-grams stand now; n-grams that have
become frequent enough begin with nothing, as in a model that is learned anew. The accumulators keep the
steps of what was learned long ago small, and those of what is new large, so that the rate may begin at its
full height again. The accumulators lie beside the model, 4 bytes an n-gram.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from shelfcheck.errors import WorkspaceError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

STATE: Final = "state.safetensors"
"""File of the accumulators, beside `model.safetensors`."""


class Accumulators(NamedTuple):
    """AdaGrad's sums of squared gradients.

    Attributes:
        squares: float32 (features), of each n-gram.
        bias_squares: float32 (classes).
    """

    squares: Floats
    bias_squares: Floats


class Learning(Protocol):
    """What `fitting` changes as it meets reviews."""

    @property
    def buckets(self) -> npt.NDArray[np.uint32]:
        """Of each n-gram. (features)."""

    @property
    def factor(self) -> Floats:
        """Weight of each n-gram before it is learned. (features)."""

    @property
    def weights(self) -> Floats:
        """(features, padded classes)."""

    @property
    def squares(self) -> Floats:
        """(features)."""

    @property
    def bias(self) -> Floats:
        """(padded classes)."""

    @property
    def bias_squares(self) -> Floats:
        """(padded classes)."""


@dataclass(frozen=True)
class Start:
    """A stored model to go on from.

    Attributes:
        folder: with `model.safetensors`, `card.json` and `state.safetensors`.
        epochs: passes over all training reviews.
    """

    folder: Path
    epochs: int

    def put_into(self, learning: Learning, classes: int, hash_bits: int) -> dict[str, Any]:
        """Put the model's weights and accumulators where its n-grams stand now.

        An n-gram's factor follows the reviews as they are now, and its weights are scaled so that their
        product is what it was. N-grams that are gone are left out; the reviews of a product that falls out
        of the training set may take some along.

        Args:
            learning: n-grams and factors chosen from all reviews, with weights of 0.
            classes: number of classes, those that the model knows.
            hash_bits: log2 of the number of buckets.

        Returns:
            Facts for the card.

        Raises:
            WorkspaceError: the model or its accumulators cannot be read.
        """
        from safetensors import SafetensorError  # noqa: PLC0415 - loads when it is needed
        from safetensors.numpy import load_file  # noqa: PLC0415

        try:
            model = load_file(self.folder / "model.safetensors")
            state = load_file(self.folder / STATE)
            before = json.loads((self.folder / "card.json").read_text(encoding="utf-8"))
            place = np.full(1 << hash_bits, -1, np.int32)
            place[learning.buckets] = np.arange(len(learning.buckets), dtype=np.int32)
            at = place[model["buckets"]]
            here = at >= 0
            at = at[here]
            scale = model["idf"][here] / learning.factor[at]
            weights = (model["weights_bfloat16"][here].astype(np.uint32) << np.uint32(16)).view(np.float32)
            learning.weights[at, :classes] = weights * scale[:, None]
            learning.squares[at] = state["squares"][here]
            learning.bias[:classes] = model["bias"]
            learning.bias_squares[:classes] = state["bias_squares"]
        except (OSError, KeyError, ValueError, IndexError, SafetensorError) as error:
            raise WorkspaceError(
                f"{self.folder}: no state of learning that can be read ({error}). "
                "Learn anew with: shelfcheck run --full"
            ) from error
        times = before.get("continued", {}).get("times", 0)
        new = len(learning.buckets) - len(at)
        return {"continued": {"times": times + 1, "epochs": self.epochs, "new_ngrams": new}}


def write_state(folder: str | Path, accumulators: Accumulators) -> None:
    """Write `state.safetensors` into a model's folder."""
    from safetensors.numpy import save_file  # noqa: PLC0415 - only to write

    save_file(accumulators._asdict(), Path(folder) / STATE)
