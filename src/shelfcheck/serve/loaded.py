"""The model that answers, and how another takes its place without a request being lost."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import ShelfcheckError, WorkspaceError
from shelfcheck.models.kinds import load_model
from shelfcheck.models.registry import CHAMPION, Registry
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.workspace import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.models.base import Model

logger = logging.getLogger("shelfcheck.serve")

UNREGISTERED: Final = "unregistered"
_STAGE: Final = "model"
_WARM_UP: Final = "A good review of a good product."
_UNUSUAL: Final = "ΑΣ"  # a final sigma: what the tokens kernel leaves to Python goes another way


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    Attributes:
        version: the registered version, or `unregistered`.
        model: the model, its code compiled.
        label: what it predicts.
        card: what it is and how it was made.
        seconds: what a review takes, about.
        since: when it was loaded, ISO 8601, UTC.
    """

    version: str
    model: Model
    label: str
    card: dict[str, Any]
    seconds: float
    since: str = field(default_factory=utc_now)


class Source:
    """Where the model comes from: a version or an alias, or what was trained last where none is registered.

    Args:
        workspace: the folder with the models.
        name: a version or an alias; the champion, or else what was trained last, when None.
    """

    def __init__(self, workspace: str | Path, name: str | None = None) -> None:
        self._workspace = open_workspace(workspace)
        self.registry = Registry(self._workspace)
        self._name = name
        self._seen: object = None

    def load(self) -> Loaded:
        """Verify, load and warm up the model.

        Raises:
            WorkspaceError: there is none, it was changed since it was registered, or it cannot be read.
        """
        self._seen = self._stamp()
        version = self._version()
        if version is not None:
            _, model = self.registry.load(version)
            return _warm(version, model)
        folder = self._workspace.path(_STAGE, made_by=f"shelfcheck train --workspace {self._workspace.place}")
        return _warm(UNREGISTERED, load_model(folder))

    def newer(self, than: Loaded) -> Loaded | None:
        """Another model, if the alias names another now; None where nothing changed, or it cannot be loaded.

        Blocks while it loads: call it in a thread.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp  # before the aliases are read: a change in between is seen the next time
        version = self._version()
        if version is None or version == than.version:
            return None
        return self.load()

    def _version(self) -> str | None:
        aliases = self.registry.aliases()
        if self._name is None:
            return aliases.get(CHAMPION)
        return aliases.get(self._name) or self.registry.resolve(self._name).version

    def _stamp(self) -> object:
        return self.registry.stamp()


class Holder:
    """Holds the model that answers; whoever predicts reads `loaded` once and keeps it for the request."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.loaded = source.load()

    def refresh(self) -> bool | None:
        """Take up another model if there is one; a thread's work.

        Returns:
            True where it was taken up, False where it could not be, None where nothing changed.
        """
        try:
            found = self.source.newer(self.loaded)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new one, the old one answers
            told = str(error) if isinstance(error, ShelfcheckError) else repr(error)
            logger.error("%s stays: %s", self.loaded.version, told)  # noqa: TRY400 - no traceback for this
            return False
        if found is None:
            return None
        logger.info("%s answers now, before: %s", found.version, self.loaded.version)
        self.loaded = found
        return True


def _warm(version: str, model: Model) -> Loaded:
    """Predict something: compiles what there is to compile, and tells what a review takes."""
    try:
        model.predict_proba([_WARM_UP, _WARM_UP], [None, _WARM_UP])
        model.predict_proba([_WARM_UP, _UNUSUAL], [_UNUSUAL, None])
        model.predict_proba([_UNUSUAL])
    except ValueError as error:
        raise WorkspaceError(f"{version}: the model cannot predict: {error}") from error
    times = []
    for _ in range(3):
        started = time.perf_counter()
        model.predict_proba([_WARM_UP])
        times.append(time.perf_counter() - started)
    card = model.card()
    return Loaded(version, model, str(card.get("label", "product_category")), card, min(times))
