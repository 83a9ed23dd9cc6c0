"""SageMaker's AugmentedManifest for text, as BlazingText reads it: `{"source": "…", "label": 3}` a line.

`source` is the text, `label` a number, a name or a list of them; Ground Truth calls the label what its job
was called and describes it under the same name with `-metadata`, which is ignored. Keys that are columns of
a review (`review_id`, `product_id`, …), as `shelfcheck export --ids` writes them, are read as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from shelfcheck import schema
from shelfcheck.sources.base import Chunk
from shelfcheck.sources.checks import DETAIL_CHARACTERS, int64
from shelfcheck.sources.files import UnreadableError, head, line_blocks, open_stream
from shelfcheck.sources.jsonlines import first_objects, read_block, value_type
from shelfcheck.sources.label_map import Labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shelfcheck.config import SourceSettings
    from shelfcheck.sources.base import Source
    from shelfcheck.sources.checks import Rejects

SOURCE: Final = "source"
LABEL: Final = "label"
_METADATA: Final = "-metadata"
_REFERENCE: Final = "source-ref"
_SAMPLE_BYTES: Final = 1 << 18


def is_labelled(objects: Sequence[Mapping[str, Any]], settings: SourceSettings) -> bool:
    """Whether objects are of an augmented manifest of texts; never where columns are mapped."""
    keys = {key for item in objects for key in item}
    if settings.columns or schema.REVIEW_BODY in keys:
        return False
    return bool(keys & {SOURCE, _REFERENCE}) and _label_key(keys) is not None


def check(path: str, objects: Sequence[Mapping[str, Any]], settings: SourceSettings) -> None:
    """See whether objects have a text and a label.

    Raises:
        UnreadableError: they have not (`missing_column`).
    """
    names(path, objects, settings)


def names(path: str, objects: Sequence[Mapping[str, Any]], settings: SourceSettings) -> dict[str, str]:
    """Canonical column -> key of the file.

    Raises:
        UnreadableError: see `check`.
    """
    keys = list(dict.fromkeys(key for item in objects for key in item))
    mapped = dict(settings.columns)
    text = mapped.get(schema.REVIEW_BODY, SOURCE)
    label = mapped.get(schema.PRODUCT_CATEGORY) or _label_key(set(keys))
    if text not in keys and _REFERENCE in keys:
        raise UnreadableError(
            f"{path}: {_REFERENCE} names files elsewhere; only texts that stand in the lines are read. "
            f"Write each text itself, under {SOURCE}.",
            "missing_column",
        )
    if text not in keys or label not in keys:
        raise UnreadableError(
            f"{path}: no augmented manifest of texts: its first objects have the keys "
            f"{', '.join(keys)[:500]}, not {text} and {label or LABEL}. "
            'Name them under [source.columns]: review_body = "KEY", product_category = "KEY".',
            "missing_column",
        )
    found = {name: name for name in schema.REVIEW_SCHEMA.names if name in keys}
    found |= {name: key for name, key in mapped.items() if key in keys}
    return found | {schema.REVIEW_BODY: text, schema.PRODUCT_CATEGORY: label}


def _label_key(keys: set[str]) -> str | None:
    if LABEL in keys:
        return LABEL
    described = [key.removesuffix(_METADATA) for key in keys if key.endswith(_METADATA)]
    own = [key for key in described if key in keys]
    return own[0] if len(own) == 1 else None


def read(source: Source, rejects: Rejects, batch_rows: int) -> Iterator[Chunk]:  # noqa: ARG001 - blocks are small
    """Raw rows of a file; rows whose label cannot be used go to `rejects`."""
    objects = first_objects(head(source.path, _SAMPLE_BYTES))
    keys = names(source.path, objects, source.settings)
    labels = Labels.of(source)
    types = {key: value_type([item.get(key) for item in objects]) for key in keys.values()}
    label = keys[schema.PRODUCT_CATEGORY]
    types[label] = _label_type([item.get(label) for item in objects])
    with open_stream(source.path) as stream:
        for block in line_blocks(stream, rejects):
            raw, lines = read_block(block, types, rejects)
            categories, faults = labels.categories(raw[label])
            columns = {name: raw[key] for name, key in keys.items()}
            columns[schema.PRODUCT_CATEGORY] = categories
            good = np.ones(len(lines), np.bool_)
            for fault in faults:
                for row in fault.rows[good[fault.rows]].tolist():
                    rejects.add(int(lines[row]), fault.reason, f"{label}={_show(raw[label][row])}")
                good[fault.rows] = False
            if not good.all():
                rows = int64(np.flatnonzero(good))
                columns = {name: column.take(rows) for name, column in columns.items()}
                lines = lines[good]
            yield Chunk(columns, lines, stream.position)


def _label_type(values: Sequence[Any]) -> pa.DataType | None:
    """The Arrow type of labels, lists of one kind among them; None where they are mixed."""
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, list) for value in present):
        inner = value_type([one for value in present for one in value])
        return None if inner is None else pa.list_(inner)
    return value_type(values)


def _show(value: pa.Scalar) -> str:
    shown = value.as_py()
    text = shown.decode("utf-8", "replace") if isinstance(shown, bytes) else str(shown)
    return text[:DETAIL_CHARACTERS]
