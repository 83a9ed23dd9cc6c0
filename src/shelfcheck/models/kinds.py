"""The models by name. A model's module is imported when it is used: some need an extra."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final, get_args

from shelfcheck.config import ModelName
from shelfcheck.errors import WorkspaceError
from shelfcheck.models.base import Model, read_card

if TYPE_CHECKING:
    from pathlib import Path

MODELS: Final = get_args(ModelName)

_CLASSES: Final = {
    "linear": ("shelfcheck.models.linear", "LinearModel"),
    "tfidf_svm": ("shelfcheck.models.tfidf_svm", "TfidfSvmModel"),
    "embedding": ("shelfcheck.models.embedding", "EmbeddingModel"),
    "transformer": ("shelfcheck.models.transformer", "TransformerModel"),
}


def model_class(name: str) -> type[Model]:
    """The class of a model.

    Raises:
        KeyError: there is no such model.
    """
    module, attribute = _CLASSES[name]
    found: type[Model] = getattr(importlib.import_module(module), attribute)
    return found


def load_model(folder: str | Path) -> Model:
    """Load any stored model.

    Raises:
        WorkspaceError: it is missing, broken, or of a kind or version that is not known.
    """
    name = read_card(folder)["model"]
    if name not in _CLASSES:
        raise WorkspaceError(f"{folder}: a {name} model; this version knows {', '.join(MODELS)}.")
    return model_class(name).load(folder)
