"""Labels of a training file to category names: numbers through a map, lists of labels by a rule."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.sources.checks import Fault, to_text
from shelfcheck.sources.files import UnreadableError, head, read_errors
from shelfcheck.urls import is_url, local_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.sources.base import Source

LABEL_MAP: Final = "label_map.json"
"""Name under which a label map is found beside the files that need it, or in the folder above."""
SEVERAL_LABELS: Final = "several_labels"
UNKNOWN_LABEL: Final = "unknown_label"
BAD_LABEL: Final = "bad_label"
_MAX_BYTES: Final = 16 << 20


@dataclass(frozen=True)
class Labels:
    """How labels become categories.

    Attributes:
        names: label as text -> category; None where labels are the categories.
        first: of several labels take the first; else their row is rejected.
    """

    names: Mapping[str, str] | None = None
    first: bool = False

    @classmethod
    def of(cls, source: Source) -> Labels:
        """The rule for a source, with the map that was found for it.

        Raises:
            UnreadableError: the map cannot be read.
        """
        names = None if source.label_map is None else read_map(source.label_map, source.fingerprint)
        return cls(names, source.settings.several_labels == "first")

    def categories(self, labels: pa.Array) -> tuple[pa.Array, list[Fault]]:
        """The category of each label.

        Args:
            labels: texts, whole numbers or lists of either, nulls allowed, (n,).

        Returns:
            Strings, (n,), null where there is no label or a wrong one, and the rows that are wrong.
        """
        faults = []
        if pa.types.is_list(labels.type):
            lengths = pc.list_value_length(labels).fill_null(0).to_numpy(zero_copy_only=False)
            if not self.first and (lengths > 1).any():
                faults.append(Fault(np.flatnonzero(lengths > 1), SEVERAL_LABELS))
            at = np.where(lengths > 0, labels.offsets.to_numpy()[:-1], -1)
            labels = labels.values.take(pa.array(at, pa.int64(), mask=at < 0))
        texts, wrong = to_text(labels)
        faults += wrong
        coded = texts.dictionary_encode()
        found = [self._category(text) for text in coded.dictionary.to_pylist()]
        names = pa.array([name for name, _ in found], pa.string())
        for reason in {reason for _, reason in found if reason is not None}:
            codes = [code for code, (_, own) in enumerate(found) if own == reason]
            rows = pc.is_in(coded.indices, value_set=pa.array(codes, pa.int32()))
            faults.append(Fault(np.flatnonzero(rows.to_numpy(zero_copy_only=False)), reason))
        return names.take(coded.indices), faults

    def _category(self, label: str | None) -> tuple[str | None, str | None]:
        """A label's category, or the reason why it has none; (None, None) for no label."""
        if label is not None and label[:1] in {"[", "{"}:  # of a block whose labels have several types
            try:
                value: Any = json.loads(label)
            except ValueError:
                value = label
            if isinstance(value, dict):
                return None, BAD_LABEL
            if isinstance(value, list):
                if len(value) > 1 and not self.first:
                    return None, SEVERAL_LABELS
                label = None if not value or value[0] is None else str(value[0])
        if label is None or self.names is None:
            return label, None
        name = self.names.get(label)
        if name is None and label in self.names.values():
            name = label  # a file may spell out what another one numbers
        return name, None if name is not None else UNKNOWN_LABEL


def parse(text: str | bytes, where: str) -> dict[str, str]:
    """Label as text -> category, from `{"Books": 0, …}` or `{"0": "Books", …}`.

    Raises:
        UnreadableError: it is neither, or two categories share a number.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise UnreadableError(f"{where}: no JSON ({error}). {_FORM}") from error
    if not isinstance(values, dict) or not values:
        raise UnreadableError(f"{where}: no label map. {_FORM}")
    if all(isinstance(value, str) for value in values.values()) and all(map(_is_number, values)):
        return {_plain(label): name for label, name in values.items()}
    if not all(_is_number(value) for value in values.values()):
        raise UnreadableError(f"{where}: not every category has a number. {_FORM}")
    names = {_plain(value): name for name, value in values.items()}
    if len(names) < len(values):
        raise UnreadableError(f"{where}: two categories have the same number. Number each differently.")
    return names


_FORM: Final = 'A label map is {"Books": 0, "Baby": 1} or {"0": "Books", "1": "Baby"}.'


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lstrip("-").isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(value: object) -> str:
    return str(int(str(value)))


@lru_cache(maxsize=64)
def read_map(path: str, fingerprint: str) -> dict[str, str]:  # noqa: ARG001 - another version is read anew
    """Read a label map; see `parse`. The fingerprint tells versions of the file apart.

    Raises:
        UnreadableError: it is none.
    """
    return parse(head(path, _MAX_BYTES), path)


def beside(path: str, known: dict[str, bool]) -> str | None:
    """The label map in a file's folder or the one above, if there is one.

    Args:
        path: local path or URL of a file with labels.
        known: places that were looked at, so that files of one folder ask once.
    """
    folder = path if is_url(path) else str(Path(local_path(path)).absolute())
    for _ in range(2):
        folder = folder.rpartition("/")[0]
        if folder.endswith(("/", ":")):  # above the bucket
            break
        found = f"{folder}/{LABEL_MAP}"
        if found not in known:
            known[found] = _exists(found)
        if known[found]:
            return found
    return None


def _exists(path: str) -> bool:
    if not is_url(path):
        return Path(path).is_file()
    import fsspec  # noqa: PLC0415 - only for URLs

    try:
        fs, inner = fsspec.core.url_to_fs(path)
        return bool(fs.exists(inner))
    except read_errors():
        return False  # a store that hides what is missing; the files themselves tell what is wrong with it
