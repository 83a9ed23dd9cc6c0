"""What killed runs left in a store: folders of artefacts that no manifest names, too old to be anybody's."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shelfcheck.stores.store import Entry

LEFT_FOR_DEAD: Final = dt.timedelta(days=1)
"""Age from which on no writer can still be alive that wrote something no manifest names."""
_FOLDER: Final = re.compile(r"(?P<artefact>.+)/(?P<folder>[0-9a-f]{12}-[0-9a-f]{8})/.+")


def leftovers(
    found: Mapping[str, Entry], folder_of: Callable[[str], str | None], least: dt.timedelta
) -> list[str]:
    """Objects that belong to no artefact that stands.

    Args:
        found: all objects of a workspace.
        folder_of: the folder that an artefact's manifest names, None where there is no manifest.
        least: age from which on they count.
    """
    folders: dict[tuple[str, str], list[str]] = {}
    for name in found:
        match = _FOLDER.fullmatch(name)
        if match is not None:
            folders.setdefault((match["artefact"], match["folder"]), []).append(name)
    now = dt.datetime.now(dt.UTC)
    return [
        name
        for (artefact, folder), names in folders.items()
        if folder_of(artefact) != folder and all(now - found[name].written > least for name in names)
        for name in names
    ]
