"""Presets: named settings of one model, whole.

A preset says every setting of its model, so that nothing a settings file holds leaks into it; it is stronger
than any file, and what is set one by one (`--set`) is stronger than it. (A setting that the preset leaves
unset, which no file and no flag can say, stays as it is.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shelfcheck.config import BLAZINGTEXT, EmbeddingSettings, TfidfSvmSettings, TransformerSettings
from shelfcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.config import FieldSettings

_BODY: Final = ("review_body",)

PRESETS: Final[Mapping[str, Mapping[str, FieldSettings]]] = {
    "tfidf_svm": {
        "original": TfidfSvmSettings(
            fields=_BODY,
            max_terms=10_000,
            word_ngrams=1,
            min_document_frequency=1,
            sublinear_tf=False,
            c=1.0,
        ),
    },
    "embedding": {
        "blazingtext": BLAZINGTEXT,
        "original": EmbeddingSettings(
            **BLAZINGTEXT.model_dump()
            | {
                "fields": _BODY,
                "epochs": 10,
                "min_count": 2,
                "early_stopping": True,
                "patience": 4,
                "min_epochs": 5,
            }
        ),
    },
    "transformer": {
        "original": TransformerSettings(fields=_BODY, encoder="bert-base-uncased"),
    },
}
"""By model, by name.

- `original`: what the system that Shelfcheck re-creates ran, on bodies alone: TF-IDF of the 10,000 most
  frequent words and LinearSVC as it comes; BlazingText in supervised mode with ten epochs at most;
  `bert-base-uncased`.
- `blazingtext`: BlazingText's algorithm with its own defaults.
"""


def preset_overrides(model: str, name: str) -> dict[str, Any]:
    """A preset as overrides: dotted key -> value, `train.model` among them.

    Raises:
        UsageError: the model has no such preset.
    """
    own = PRESETS.get(model, {})
    if name not in own:
        told = f"it has {', '.join(own)}" if own else "it has none"
        raise UsageError(f"--preset {name}: no preset of the model {model}; {told}. All presets: {listed()}.")
    values = own[name].model_dump()
    return {"train.model": model} | {
        f"train.{model}.{key}": value for key, value in values.items() if value is not None
    }


def listed() -> str:
    """All presets in a line: `embedding: blazingtext, original; …`."""
    return "; ".join(f"{model}: {', '.join(own)}" for model, own in PRESETS.items())
