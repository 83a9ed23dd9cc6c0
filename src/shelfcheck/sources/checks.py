"""Checks of values, shared by all readers: whatever type a column came in, out comes the canonical one.

A missing value is null; a value that cannot be what its column holds rejects its row, with
the reason of the first column that is wrong.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import schema
from shelfcheck.sources import dates
from shelfcheck.sources.categories import normalise

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

DETAIL_CHARACTERS: Final = 500
_INT32_MAX: Final = 2**31 - 1
_BOUNDS: Final = {  # of whole numbers, and the reason for what is outside
    schema.STAR_RATING: (1, 5, "bad_star_rating"),
    schema.HELPFUL_VOTES: (0, _INT32_MAX, "bad_number"),
    schema.TOTAL_VOTES: (0, _INT32_MAX, "bad_number"),
}
_TRUE: Final = frozenset(("y", "yes", "t", "true", "1"))
_FALSE: Final = frozenset(("n", "no", "f", "false", "0"))


class Rejects:
    """Rejected rows of one file, gathered until the next batch is handed on."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._rows: list[tuple[str, int | None, str, str]] = []

    def add(self, line: int | None, reason: str, detail: str | bytes, file: str | None = None) -> None:
        """Note a row: its 1-based line, the reason's code, the value or the start of the raw row."""
        if isinstance(detail, bytes):
            detail = detail[: 4 * DETAIL_CHARACTERS].decode("utf-8", "replace")
        detail = detail[:DETAIL_CHARACTERS].encode("utf-8", "replace").decode().replace("\0", "\\0")
        self._rows.append((file or self.file, line, reason, detail[:DETAIL_CHARACTERS]))

    def __len__(self) -> int:
        return len(self._rows)

    def take(self) -> pa.RecordBatch:
        """The rows so far as REJECTED_SCHEMA, in order of file and line; forgets them."""
        rows = sorted(self._rows, key=lambda row: (row[0], row[1] or 0))
        self._rows = []
        columns = zip(*rows, strict=True) if rows else ((), (), (), ())
        arrays = [pa.array(c, f.type) for c, f in zip(columns, schema.REJECTED_SCHEMA, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema.REJECTED_SCHEMA)


class Fault(NamedTuple):
    """Rows whose value is wrong, with the code of what is wrong."""

    rows: npt.NDArray[np.int64]
    reason: str


Converted = tuple[pa.Array, list[Fault]]
Lines = "npt.NDArray[np.int64]"


def canonical(
    columns: Mapping[str, pa.Array],
    lines: npt.NDArray[np.int64],
    rejects: Rejects,
    *,
    category: str | None = None,
    marketplace: str | None = None,
    clean: bool = False,
) -> pa.RecordBatch:
    """Rows of REVIEW_SCHEMA from raw columns; rows with a wrong value go to `rejects`.

    Args:
        columns: canonical column name -> array of any type, all of length n; absent ones are null.
        lines: 1-based line or row numbers in the file, length n.
        rejects: where rejected rows are noted.
        category: category of rows that name none.
        marketplace: marketplace of rows that name none.
        clean: string arrays are known to be valid UTF-8 without NUL bytes.
    """
    n = len(lines)
    bad = np.zeros(n, dtype=bool)
    arrays = []
    for field in schema.REVIEW_SCHEMA:
        raw = columns.get(field.name)
        if raw is None or pa.types.is_null(raw.type):
            arrays.append(pa.nulls(n, field.type))
            continue
        if clean and pa.types.is_string(raw.type):
            raw = _empty_to_null(raw)
            array, faults = _convert_text(field, raw)
        else:
            array, faults = convert(field, raw)
        for fault in faults:
            for row in fault.rows[~bad[fault.rows]].tolist():
                rejects.add(int(lines[row]), fault.reason, f"{field.name}={_show(raw[row])}")
            bad[fault.rows] = True
        arrays.append(array)
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema.REVIEW_SCHEMA)
    batch = _fill(batch, schema.PRODUCT_CATEGORY, category)
    batch = _fill(batch, schema.MARKETPLACE, marketplace)
    return batch.take(int64(np.flatnonzero(~bad))) if bad.any() else batch


def int64(values: npt.NDArray[np.int64]) -> pa.Array:
    """A numpy array as Arrow, without a copy."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def convert(field: pa.Field, raw: pa.Array) -> Converted:
    """One raw column as its canonical type, with the rows that are wrong."""
    if isinstance(raw, pa.ChunkedArray):
        raw = raw.combine_chunks()
    if isinstance(raw, pa.ExtensionArray):
        raw = raw.storage
    typed = _convert_typed(field, raw)
    if typed is not None:
        return typed
    text, faults = to_text(raw)
    array, more = _convert_text(field, text)
    return array, faults + more


def _convert_typed(field: pa.Field, raw: pa.Array) -> Converted | None:
    """A column of numbers, flags or times as its canonical type; None for what is best read as text."""
    kind = raw.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if field.type == pa.int32() and pa.types.is_boolean(kind):
        return pa.nulls(len(raw), pa.int32()), _faults(_valid(raw), _BOUNDS[field.name][2])
    if field.type == pa.int32() and number:
        parse = _integers if pa.types.is_integer(kind) else _distinct_integers
        return parse(raw, *_BOUNDS[field.name])
    if field.type == pa.bool_() and pa.types.is_boolean(kind):
        return raw, []
    if field.type == pa.date32() and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return _in_time(raw.cast(pa.date32(), safe=False), [])
    if field.type == pa.date32() and number:
        return _in_time(*_distinct(raw, dates.from_number, pa.date32(), "bad_date"))
    return None


def _convert_text(field: pa.Field, text: pa.Array) -> Converted:
    """A clean string array without empty strings as its canonical type."""
    if field.type == pa.int32():
        return _parse_integers(text, *_BOUNDS[field.name])
    if field.type == pa.bool_():
        return _distinct(text, _flag, pa.bool_(), "bad_flag")
    if field.type == pa.date32():
        try:
            return _in_time(text.cast(pa.date32()), [])
        except pa.ArrowInvalid:  # not all are YYYY-MM-DD
            return _in_time(*_distinct(text, parse_date, pa.date32(), "bad_date"))
    return (normalise(text), []) if field.name == schema.PRODUCT_CATEGORY else (text, [])


def to_text(raw: pa.Array) -> Converted:
    """A string array; empty strings are null. Faults: nul_bytes, invalid_utf8, bad_text (no text at all)."""
    kind = raw.type
    if pa.types.is_dictionary(kind):
        raw = raw.dictionary_decode()
        kind = raw.type
    if pa.types.is_null(kind):
        return pa.nulls(len(raw), pa.string()), []
    if pa.types.is_floating(kind):
        return pa.array([_float_text(v) for v in raw.to_pylist()], pa.string()), []
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return raw.cast(pa.string()), []
    if not (pa.types.is_string(kind) or _is_other_text(kind)):
        wrong = np.flatnonzero(_valid(raw))
        faults = [Fault(wrong, "bad_text")] if len(wrong) else []
        return pa.nulls(len(raw), pa.string()), faults
    return _clean_text(raw)


def _is_other_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary_view(kind)
    )


def _clean_text(raw: pa.Array) -> Converted:
    if raw.type not in (pa.string(), pa.binary()):
        raw = raw.cast(pa.binary())
    faults = []
    data = raw.buffers()[2]
    if data is not None and data.size and len(raw):
        offsets = np.frombuffer(raw.buffers()[1], np.int32, len(raw) + 1, raw.offset * 4)
        low, high = int(offsets[0]), int(offsets[-1])
        octets = np.frombuffer(data, np.uint8)[low:high]
        if high > low and octets.max() >= 0x80:
            raw, fault = _valid_utf8(raw)
            faults += fault
        if high > low and octets.min() == 0:
            nul = pc.find_substring(raw.cast(pa.binary()), b"\0").fill_null(-1).to_numpy(zero_copy_only=False)
            faults.append(Fault(np.flatnonzero(nul >= 0), "nul_bytes"))
    return _empty_to_null(raw), faults


def _valid_utf8(raw: pa.Array) -> tuple[pa.Array, list[Fault]]:
    text = raw.view(pa.string()) if pa.types.is_binary(raw.type) else raw
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        pass
    else:
        return text, []
    values = raw.cast(pa.binary()).to_pylist()
    wrong = [i for i, value in enumerate(values) if value is not None and not _is_utf8(value)]
    for i in wrong:
        values[i] = None
    return pa.array(values, pa.binary()).view(pa.string()), [Fault(np.array(wrong, np.int64), "invalid_utf8")]


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _empty_to_null(array: pa.Array) -> pa.Array:
    """The same text with nulls for empty strings; shares the bytes."""
    if not len(array):
        return array.cast(pa.string())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32, len(array) + 1, array.offset * 4)
    present = ends[1:] > ends[:-1]
    if array.null_count:
        present &= _valid(array)
    if present.all():
        return array.view(pa.string())
    bits = pa.py_buffer(np.packbits(present, bitorder="little"))
    shifted = pa.py_buffer(ends.tobytes())
    return pa.Array.from_buffers(pa.string(), len(array), [bits, shifted, data])


def _integers(raw: pa.Array, low: int, high: int, reason: str) -> Converted:
    bounds = pc.min_max(raw).as_py()
    if bounds["min"] is None or (low <= bounds["min"] and bounds["max"] <= high):
        return raw.cast(pa.int32()), []
    wide = raw if raw.type == pa.uint64() else raw.cast(pa.int64())
    outside = pc.or_(pc.less(wide, low), pc.greater(wide, high)).fill_null(False)  # noqa: FBT003
    return pc.if_else(outside, None, raw).cast(pa.int32()), _faults(
        outside.to_numpy(zero_copy_only=False), reason
    )


def _parse_integers(text: pa.Array, low: int, high: int, reason: str) -> Converted:
    try:
        numbers = text.cast(pa.int32())
    except pa.ArrowInvalid:  # 5.0, or 1,234, or no number
        return _distinct_integers(text, low, high, reason)
    return _integers(numbers, low, high, reason)


def _distinct_integers(raw: pa.Array, low: int, high: int, reason: str) -> Converted:
    return _distinct(raw, lambda value: _integer(value, low, high), pa.int32(), reason)


def _integer(value: str | float, low: int, high: int) -> int | None:
    """Raises ValueError for what is no integer between the bounds; NaN is None."""
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        digits = value.replace(",", "")
        number = int(digits) if len(digits) < 20 and digits.isdecimal() else float(digits)
    else:
        number = value
    if isinstance(number, float):
        if math.isnan(number):
            if isinstance(value, float):
                return None
            raise ValueError(value)
        if not number.is_integer():  # False for infinities, too
            raise ValueError(value)
    if not low <= number <= high:
        raise ValueError(value)
    return int(number)


def _flag(value: str) -> bool | None:
    word = value.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    if not word:
        return None
    raise ValueError(value)


def _in_time(array: pa.Array, faults: list[Fault]) -> Converted:
    """Dates, with those before 1990 and those to come as faults."""
    days = array.cast(pa.int32())
    bounds = pc.min_max(days).as_py()
    if bounds["min"] is None or (bounds["min"] >= dates.FIRST_DAY and bounds["max"] <= dates.last_day()):
        return array, faults
    early = pc.less(days, dates.FIRST_DAY).fill_null(False)  # noqa: FBT003
    late = pc.greater(days, dates.last_day()).fill_null(False)  # noqa: FBT003
    faults = faults + _faults(early.to_numpy(zero_copy_only=False), "bad_date")
    return array, faults + _faults(late.to_numpy(zero_copy_only=False), "future_date")


parse_date: Callable[[str], dt.date | None] = lru_cache(maxsize=1 << 16)(dates.from_text)


def _distinct(raw: pa.Array, parse: Callable[[Any], Any], kind: pa.DataType, reason: str) -> Converted:
    """Parse each distinct value once; values that `parse` refuses with ValueError are faults."""
    encoded = raw.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    parsed: list[Any] = [None] * len(values)
    wrong = np.zeros(len(values) + 1, bool)  # the last one stands for null
    for i, value in enumerate(values):
        try:
            parsed[i] = None if value is None else parse(value)
        except (ValueError, OverflowError):
            wrong[i] = True
    array = pc.take(pa.array(parsed, kind), encoded.indices)
    if not wrong.any():
        return array, []
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return array, _faults(wrong[codes], reason)


def _faults(wrong: npt.NDArray[np.bool_], reason: str) -> list[Fault]:
    rows = np.flatnonzero(wrong)
    return [Fault(rows, reason)] if len(rows) else []


def _valid(array: pa.Array) -> npt.NDArray[np.bool_]:
    valid: npt.NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _float_text(value: float | None) -> str | None:
    if value is None or math.isnan(value):
        return None
    return str(int(value)) if value.is_integer() else str(value)


def _fill(batch: pa.RecordBatch, name: str, value: str | None) -> pa.RecordBatch:
    column = batch.column(name)
    if value is None or not column.null_count:
        return batch
    return batch.set_column(
        batch.schema.get_field_index(name), batch.schema.field(name), column.fill_null(value)
    )


def _show(value: pa.Scalar) -> str:
    try:
        shown = value.as_py()
    except (UnicodeDecodeError, ValueError, OverflowError):
        shown = value.cast(pa.binary()).as_py() if pa.types.is_string(value.type) else str(value)
    text = shown.decode("utf-8", "replace") if isinstance(shown, bytes) else str(shown)
    return text[:DETAIL_CHARACTERS]
