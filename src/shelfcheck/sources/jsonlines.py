"""Reads JSON lines: whole blocks through pyarrow, and line by line where a block has a bad line."""

from __future__ import annotations

import ast
import io
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from shelfcheck.sources.checks import Rejects
    from shelfcheck.sources.files import Block

_BOM: Final = b"\xef\xbb\xbf"
_OBJECT_ERRORS: Final = (ValueError, SyntaxError, RecursionError, MemoryError, TypeError)
_SAMPLE_LINES: Final = 50


class Objects(NamedTuple):
    """Keys of a block's objects as columns."""

    columns: dict[str, pa.Array]
    lines: npt.NDArray[np.int64]  # 1-based


def parse_object(line: bytes) -> dict[str, Any]:
    """One line's object: JSON, or the Python literal that some 2014 files hold instead.

    Raises:
        ValueError: neither. SyntaxError, RecursionError, MemoryError, TypeError: likewise, from the
            literal's parser.
    """
    text = line.decode("utf-8")
    try:
        value = json.loads(text)
    except ValueError:
        if not text.lstrip().startswith("{'"):
            raise
        value = ast.literal_eval(text.strip())
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def first_objects(sample: bytes, most: int = _SAMPLE_LINES) -> list[dict[str, Any]]:
    """The objects among a sample's first whole lines; empty when it is not JSON lines."""
    if sample.lstrip(_BOM + b" \t\r\n")[:1] != b"{" and b"\n{" not in sample:
        return []
    objects = []
    for line in sample.removeprefix(_BOM).split(b"\n", 4 * most)[: 4 * most]:
        try:
            objects.append(parse_object(line))
        except _OBJECT_ERRORS:
            continue
        if len(objects) == most:
            break
    return objects


def value_type(values: Sequence[Any]) -> pa.DataType | None:
    """The Arrow type of a key's values; None where they are mixed or nested."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {str}:
        return pa.string()
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {int, float} else None


def read_block(block: Block, types: Mapping[str, pa.DataType | None], rejects: Rejects) -> Objects:
    """Columns of a block of JSON lines.

    Args:
        block: whole lines.
        types: key -> type it usually has; None for one of no fixed type. A block whose values
            have other types is read line by line, and the values keep theirs as text.
        rejects: takes lines that are no JSON object, and blank lines.
    """
    data = block.data.removeprefix(_BOM) if block.first_line == 1 else block.data
    if all(kind is not None for kind in types.values()):
        fast = _read_fast(data, block.first_line, types)
        if fast is not None:
            return fast
    return _read_slow(data, block.first_line, types, rejects)


def _read_fast(data: bytes, first_line: int, types: Mapping[str, pa.DataType | None]) -> Objects | None:
    """Through pyarrow; None unless each line is known to be exactly one object."""
    import pyarrow.json as pj  # noqa: PLC0415 - only for JSON

    n = data.count(b"\n")
    # With every line from { to }, as many objects as lines means one object a line: an object
    # cannot go on from "}" to a line that starts with "{".
    if not data.startswith(b"{") or not data.endswith(b"}\n") or data.count(b"}\n{") != n - 1:
        return None
    options = pj.ParseOptions(
        explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore"
    )
    try:
        table = pj.read_json(
            io.BytesIO(data),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=options,
        )
    except (pa.ArrowException, ValueError):
        return None
    if table.num_rows != n:
        return None
    columns = {name: table.column(name).combine_chunks() for name in types}
    return Objects(columns, np.arange(first_line, first_line + n))


def _read_slow(
    data: bytes, first_line: int, types: Mapping[str, pa.DataType | None], rejects: Rejects
) -> Objects:
    values: dict[str, list[Any]] = {name: [] for name in types}
    lines = []
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), first_line):
        try:
            value = parse_object(line)
        except UnicodeDecodeError:
            rejects.add(number, "invalid_utf8", line)
        except _OBJECT_ERRORS:
            rejects.add(number, "invalid_json" if line.strip() else "blank_line", line)
        else:
            lines.append(number)
            for name, column in values.items():
                column.append(value.get(name))
    return Objects(
        {name: _column(column, types[name]) for name, column in values.items()}, np.array(lines, np.int64)
    )


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    # pyarrow would take true for 1.0
    if kind is not None and (kind == pa.bool_() or not any(isinstance(value, bool) for value in values)):
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass
    return pa.array([_text(value) for value in values], pa.binary())


def _text(value: Any) -> bytes | None:
    """A value as text; lone surrogates stay as bytes that are no UTF-8, so that checks find them."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", "surrogatepass")
