"""The registry of trained models: list, show, promote, roll back, verify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shelfcheck.models.registry import Change, Version


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model.

    Attributes:
        version: its description.
        aliases: the aliases that name it.
        card: what the model is and how it was made.
        history: what was changed about it, oldest first.
    """

    version: Version
    aliases: tuple[str, ...]
    card: dict[str, Any]
    history: tuple[Change, ...]


def models_list(workspace: str | Path) -> list[RegisteredModel]:
    """The registered models of a workspace, oldest first."""
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    return [_registered(workspace, one.version) for one in Registry(workspace).versions()]


def models_show(version: str, workspace: str | Path) -> RegisteredModel:
    """One registered model, by its version or an alias.

    Raises:
        WorkspaceError: there is none of that name.
    """
    return _registered(workspace, version)


def models_promote(
    version: str, workspace: str | Path, *, alias: str = "champion", force: bool = False
) -> RegisteredModel:
    """Make a version the champion, or what `alias` says; see `models.registry`."""
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    return _registered(workspace, Registry(workspace).promote(version, alias, force=force).version)


def models_rollback(workspace: str | Path, *, alias: str = "champion") -> RegisteredModel:
    """Go back to the version that was champion before, by the history."""
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    return _registered(workspace, Registry(workspace).rollback(alias).version)


def models_verify(workspace: str | Path, versions: Sequence[str] = ()) -> dict[str, list[str]]:
    """Compare registered files with their SHA-256; of all versions when none is named.

    Returns:
        Version -> what is wrong with it: nothing, if it is intact.
    """
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    registry = Registry(workspace)
    found = [registry.resolve(name) for name in versions] or registry.versions()
    return {one.version: registry.differences(one.version) for one in found}


def _registered(workspace: str | Path, name: str) -> RegisteredModel:
    from shelfcheck.models.base import read_card  # noqa: PLC0415 - loads NumPy
    from shelfcheck.models.registry import Registry  # noqa: PLC0415

    registry = Registry(workspace)
    found = registry.resolve(name)
    history = tuple(one for one in registry.history() if found.version in {one.before, one.after})
    return RegisteredModel(found, tuple(registry.aliases_of(found.version)), read_card(found.folder), history)
