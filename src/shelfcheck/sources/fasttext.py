"""fastText's and BlazingText's training files: `__label__Name the words of the text`, a text a line.

Labels usually stand first, and may stand anywhere among the words; `source.several_labels` says what becomes
of a line with more than one. Everything else on the line is the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck import schema
from shelfcheck.sources.base import Chunk
from shelfcheck.sources.checks import int64
from shelfcheck.sources.files import Block, UnreadableError, line_blocks, open_stream
from shelfcheck.sources.label_map import SEVERAL_LABELS, Labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from shelfcheck.sources.base import Source
    from shelfcheck.sources.checks import Rejects

PREFIX: Final = b"__label__"
_BOM: Final = b"\xef\xbb\xbf"
_PREFIX_OCTETS: Final = np.frombuffer(PREFIX, np.uint8)
_ENDS_WORD: Final = np.isin(np.arange(256), [*b"\t\n\v\f\r "])
_SAMPLE_LINES: Final = 50


def looks_like(sample: bytes) -> bool:
    """Whether more than half of a sample's first lines begin with a label."""
    lines = [line for line in sample.removeprefix(_BOM).split(b"\n", 2 * _SAMPLE_LINES) if line.strip()]
    lines = lines[:_SAMPLE_LINES]
    return 2 * sum(line.lstrip().startswith(PREFIX) for line in lines) > len(lines)


def check(path: str, sample: bytes) -> None:
    """See whether there is a label at all.

    Raises:
        UnreadableError: there is none (`missing_column`).
    """
    if PREFIX not in sample:
        raise UnreadableError(
            f"{path}: no {PREFIX.decode()} in its first lines, so no fastText training file. "
            "Leave --format away to have the form detected.",
            "missing_column",
        )


def read(source: Source, rejects: Rejects, batch_rows: int) -> Iterator[Chunk]:  # noqa: ARG001 - blocks are small
    """Raw rows of a file; lines without a label go to `rejects`, and those whose label cannot be used."""
    labels = Labels.of(source)
    with open_stream(source.path) as stream:
        for whole in line_blocks(stream, rejects):
            block = whole
            if block.first_line == 1 and block.data.startswith(_BOM):
                block = Block(block.data[len(_BOM) :], 1)
            own, texts, good = _split(block, rejects, first=labels.first)
            categories, faults = labels.categories(own)
            for fault in faults:
                for row in fault.rows[good[fault.rows]].tolist():
                    label = f"{PREFIX.decode()}{own[row].as_py()}"
                    rejects.add(block.first_line + row, fault.reason, label)
                good[fault.rows] = False
            rows = np.flatnonzero(good)
            columns = {schema.REVIEW_BODY: texts, schema.PRODUCT_CATEGORY: categories}
            if len(rows) < len(good):
                columns = {name: column.take(int64(rows)) for name, column in columns.items()}
            yield Chunk(columns, block.first_line + rows, stream.position)


def _split(
    block: Block, rejects: Rejects, *, first: bool
) -> tuple[pa.Array, pa.Array, npt.NDArray[np.bool_]]:
    """Labels and texts of a block's lines, and which of them could be used. (n,) each.

    Lines that begin with their only label are cut by numpy, the others one by one.
    """
    data = block.data
    octets = np.frombuffer(data, np.uint8)
    stops = np.flatnonzero(octets == 10)
    starts = np.concatenate(([0], stops[:-1] + 1))
    spaces = np.flatnonzero(_ENDS_WORD[octets])
    ends = spaces[np.searchsorted(spaces, starts)]  # of the first word
    width = len(PREFIX)
    begins = ends - starts > width
    rows = np.flatnonzero(begins)
    begins[rows] = (octets[starts[rows, None] + np.arange(width)] == _PREFIX_OCTETS).all(axis=1)
    cuts = np.stack([starts, np.where(begins, starts + width, starts), ends, stops], axis=1)
    offsets = pa.py_buffer(np.append(cuts.reshape(-1), len(data)).astype(np.int32))
    pieces = pa.BinaryArray.from_buffers(pa.binary(), 4 * len(stops), [None, offsets, pa.py_buffer(data)])
    at = 4 * np.arange(len(stops))
    own, texts = pieces.take(int64(at + 1)), pieces.take(int64(at + 2))
    good = np.ones(len(stops), np.bool_)
    odd = ~begins
    more = pc.match_substring(texts, PREFIX).to_numpy(zero_copy_only=False)
    odd |= more
    wrong, fixed = _utf8_faults(data, own, texts)
    for row in wrong:
        start = int(starts[row])
        rejects.add(block.first_line + row, "invalid_utf8", data[start : start + 2000])
        good[row] = False
        odd[row] = False
    own, texts = fixed
    if not odd.any():
        return own, pc.ascii_trim_whitespace(texts), good
    rows = np.flatnonzero(odd)
    found = []
    for row in rows.tolist():
        line = data[int(starts[row]) : int(stops[row])]
        label, text, reason = _parse(line, first=first)
        found.append((label, text))
        if reason is not None:
            rejects.add(block.first_line + row, reason, line)
            good[row] = False
    mask = pa.array(odd)
    own = pc.replace_with_mask(own, mask, pa.array([label for label, _ in found], pa.string()))
    texts = pc.replace_with_mask(texts, mask, pa.array([text for _, text in found], pa.string()))
    return own, pc.ascii_trim_whitespace(texts), good


def _parse(line: bytes, *, first: bool) -> tuple[str | None, str | None, str | None]:
    """Label, text and what is wrong with a line of UTF-8."""
    words = line.split()  # at ASCII's white space, as fastText does
    labels = [word.removeprefix(PREFIX) for word in words if word.startswith(PREFIX)]
    if not words:
        return None, None, "blank_line"
    if not labels or not labels[0]:
        return None, None, "no_label"
    if len(labels) > 1 and not first:
        return None, None, SEVERAL_LABELS
    return labels[0].decode(), b" ".join(w for w in words if not w.startswith(PREFIX)).decode(), None


def _utf8_faults(data: bytes, own: pa.Array, texts: pa.Array) -> tuple[list[int], tuple[pa.Array, pa.Array]]:
    """Lines that are no UTF-8, and both columns as strings, null in those lines."""
    columns = own.view(pa.string()), texts.view(pa.string())
    if data.isascii():
        return [], columns
    try:
        for column in columns:
            column.validate(full=True)
    except pa.ArrowInvalid:
        pass
    else:
        return [], columns
    values = [own.to_pylist(), texts.to_pylist()]
    wrong = []
    for row, pair in enumerate(zip(*values, strict=True)):
        try:
            b" ".join(pair).decode()
        except UnicodeDecodeError:
            wrong.append(row)
            values[0][row] = values[1][row] = None
    fixed = [pa.array(column, pa.binary()).view(pa.string()) for column in values]
    return wrong, (fixed[0], fixed[1])
