"""Opens inputs: local paths and URLs, plain, gzip or zstd, as streams of bytes and of whole lines.

Compression is told by the first bytes, not by the name. A stream that ends too early or
is damaged does not raise: it hands out what came before, and `broken` says what was wrong.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shelfcheck.errors import SourceError
from shelfcheck.stores import AbsentError, open_store, split
from shelfcheck.urls import is_store, is_url, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shelfcheck.sources.checks import Rejects

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
PARQUET_MAGIC: Final = b"PAR1"

BLOCK_BYTES: Final = 8 << 20  # decompressed bytes handed on at once
MAX_LINE_BYTES: Final = 16 << 20  # a longer line is no review; it is rejected unread
_INPUT_BYTES: Final = 256 << 10  # compressed bytes read at once


class UnreadableError(SourceError):
    """A file cannot be read as what it is; `reason` is the code of its rejected row."""

    def __init__(self, message: str, reason: str = "unreadable_file") -> None:
        super().__init__(message)
        self.reason = reason


def read_errors(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What opening, listing or reading a path or URL may raise: the world's fault; and `more`.

    Errors of S3's client descend from `Exception` alone. Written as `except read_errors()`, it is called
    when something was raised, so the client is loaded by then or was not needed.
    """
    botocore = sys.modules.get("botocore.exceptions")
    of_client = (botocore.BotoCoreError, botocore.ClientError) if botocore else ()
    return (*more, OSError, EOFError, ImportError, ValueError, *of_client)  # pyarrow's are among them


def reason_of(error: Exception) -> str:
    """What an error says, with the way out where its own words do not tell it."""
    if isinstance(error, FileNotFoundError) and "://" in str(error):  # fsspec's says nothing but the URL
        return "nothing is there, or no server answers. Check the URL."
    if "credentials" in str(error).lower():
        return (
            f"{error}. You can fix this by setting AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or AWS_PROFILE. A public bucket needs none: set FSSPEC_S3_ANON=true."
        )
    return str(error)


@contextmanager
def open_binary(path: str) -> Iterator[IO[bytes]]:
    """Open a local path or URL for reading.

    Raises:
        UnreadableError: it is missing, is a folder, or its file system is not available.
        StoreError: the object store that holds it cannot be asked; so may reading, which ends the stage: what
            could not be fetched is no broken row.
    """
    try:
        file = _open(path)
    except AbsentError as error:
        raise UnreadableError(str(error)) from error
    except read_errors() as error:
        raise UnreadableError(f"{path}: cannot be opened: {reason_of(error)}") from error
    try:
        yield file
    finally:
        file.close()


def _open(path: str) -> Any:
    if not is_url(path):
        return Path(local_path(path)).open("rb", buffering=0)
    if is_store(path):
        home, name = split(path)
        return open_store(home).open(name)
    import fsspec  # noqa: PLC0415 - only for URLs

    return fsspec.open(path, "rb").open()


def open_files(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it; of an object store, its requests are retried.

    Raises:
        MissingExtraError: the client of the object store is not installed.
        SourceError: no file system has this protocol.
    """
    if is_store(url):
        store = open_store(url)
        return store.files, store.root
    import fsspec  # noqa: PLC0415 - only for URLs

    try:
        fs, inner = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise SourceError(f"{url}: {error}. You can fix this by installing that package.") from error
    except ValueError as error:
        raise SourceError(f"{url}: {error}. Check the URL.") from error
    return fs, str(inner)


class ByteStream:
    """Decompressed bytes of an opened file.

    Attributes:
        position: compressed bytes taken from the file so far.
        broken: None, or what is wrong with the end of the file; known once `read` returned b"".
    """

    def __init__(self, file: IO[bytes], start: bytes = b"") -> None:
        self._file = file
        self._start = start  # read from the file already; not every remote file can seek
        self.position = 0
        self.broken: str | None = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b"" at the end."""
        return self._take(size)

    def _take(self, size: int) -> bytes:
        if self._start:
            data, self._start = self._start, b""
            self.position += len(data)
            return data
        try:
            data = self._file.read(size)
        except read_errors() as error:
            self.broken = f"read error: {reason_of(error)}"
            return b""
        self.position += len(data)
        return data


class _Gzip(ByteStream):
    """Gzip, members one after another; trailing zero bytes are padding."""

    def __init__(self, file: IO[bytes], start: bytes) -> None:
        super().__init__(file, start)
        self._inflate: Any = zlib.decompressobj(31)  # 31: gzip header and checksum
        self._input = b""
        self._done = False

    def read(self, size: int) -> bytes:
        while not self._done:
            if not self._input:
                self._input = self._take(_INPUT_BYTES)
                if not self._input:
                    self._done = True
                    self.broken = self.broken or "the gzip stream ends too early"
                    break
            before = self._inflate.copy()
            try:
                data = self._inflate.decompress(self._input, size)
            except zlib.error as error:
                self._done = True
                self.broken = f"damaged gzip stream: {error}"
                return self._salvage(before)
            self._input = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._next_member(self._inflate.unused_data)
            if data:
                return bytes(data)
        return b""

    def _next_member(self, rest: bytes) -> None:
        rest = rest.lstrip(b"\0")
        while len(rest) < len(GZIP_MAGIC):
            more = self._take(_INPUT_BYTES)
            if not more:
                break
            rest = (rest + more).lstrip(b"\0")
        if not rest:
            self._done = True
        elif rest.startswith(GZIP_MAGIC):
            self._inflate = zlib.decompressobj(31)
            self._input = rest
        else:
            self._done = True
            self.broken = "bytes after the gzip stream are no gzip"

    def _salvage(self, inflate: Any) -> bytes:
        pieces = []
        try:
            for i in range(len(self._input)):  # byte by byte: a call that fails gives nothing
                pieces.append(inflate.decompress(self._input[i : i + 1]))  # noqa: PERF401 - kept on failure
        except zlib.error:
            pass
        return b"".join(pieces)


class _Zstd(ByteStream):
    """Zstandard through pyarrow's stream, frames one after another."""

    def __init__(self, file: IO[bytes], start: bytes) -> None:
        super().__init__(file, start)
        import pyarrow as pa  # noqa: PLC0415 - most inputs need no zstd

        self._stream = pa.CompressedInputStream(pa.PythonFile(_Counted(self), mode="r"), "zstd")

    def read(self, size: int) -> bytes:
        if self.broken:
            return b""
        # pyarrow raises on a truncated stream and forgets what it had decompressed in that call,
        # yet has written it: 0xff, which UTF-8 never contains, marks what was not written.
        buffer = bytearray(b"\xff") * size
        try:
            n = self._stream.readinto(buffer)
        except read_errors() as error:
            self.broken = f"damaged zstd stream: {error}"
            return bytes(buffer.rstrip(b"\xff"))
        return bytes(memoryview(buffer)[:n])


class _Counted:
    """File-like view of a ByteStream's raw bytes, for pyarrow."""

    closed = False

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return self._stream._take(size if size >= 0 else _INPUT_BYTES)

    def close(self) -> None:
        """The owner closes the file."""


@contextmanager
def open_stream(path: str) -> Iterator[ByteStream]:
    """Open a file and undo its compression.

    Raises:
        UnreadableError: it cannot be opened, is empty, or its name claims a compression it has not.
    """
    with open_binary(path) as file:
        try:
            magic = file.read(4)
        except read_errors() as error:
            raise UnreadableError(f"{path}: cannot be read: {error}") from error
        check_magic(path, magic)
        if magic.startswith(GZIP_MAGIC):
            yield _Gzip(file, magic)
        elif magic == ZSTD_MAGIC:
            yield _Zstd(file, magic)
        else:
            yield ByteStream(file, magic)


def check_magic(path: str, magic: bytes) -> None:
    """Refuse a file whose first bytes deny its name.

    Raises:
        UnreadableError: empty, or named .gz, .zst or .parquet without being so.
    """
    name = path.lower()
    if not magic:
        raise UnreadableError(f"{path}: the file is empty. Remove it or fetch it again.")
    for endings, expected, what in (
        ((".gz",), GZIP_MAGIC, "gzip"),
        ((".zst", ".zstd"), ZSTD_MAGIC, "zstd"),
        ((".parquet", ".pq"), PARQUET_MAGIC, "Parquet"),
    ):
        if name.endswith(endings) and not magic.startswith(expected):
            raise UnreadableError(
                f"{path}: the name says {what}, the first bytes {magic!r} do not. "
                f"Fetch the file again, or rename it if it is of another form."
            )


def head(path: str, size: int = 1 << 18) -> bytes:
    """The first decompressed bytes of a file.

    Raises:
        UnreadableError: see `open_stream`; also when nothing at all can be decompressed.
    """
    pieces: list[bytes] = []
    with open_stream(path) as stream:
        while size > 0 and (data := stream.read(size)):
            pieces.append(data)
            size -= len(data)
        if not pieces and stream.broken:
            raise UnreadableError(f"{path}: nothing can be decompressed: {stream.broken}. Fetch it again.")
    return b"".join(pieces)


class Block(NamedTuple):
    """Some whole lines of a file."""

    data: bytes  # ends with a newline
    first_line: int  # 1-based


def line_blocks(
    stream: ByteStream,
    rejects: Rejects,
    block_bytes: int = BLOCK_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[Block]:
    """Cut a stream into blocks of whole lines; blank lines at the end of the file are dropped.

    Lines that are too long and the broken end of a damaged file go to `rejects`.
    """
    line = 1
    carry = b""
    skipping = False  # inside a line that was too long
    while data := stream.read(block_bytes):
        if skipping:
            end = data.find(b"\n")
            if end < 0:
                continue
            data, skipping, line = data[end + 1 :], False, line + 1
        text = carry + data if carry else data
        cut = _cut(text)
        carry = text[cut:]
        if cut:
            block = text[:cut]
            yield Block(block, line)
            line += count_lines(block)
        if len(carry) > max_line_bytes:
            if not carry.strip(b"\r\n"):  # blank lines without end: let them be rows
                yield Block(carry, line)
                line += carry.count(b"\n")
            else:
                start = carry.rfind(b"\n") + 1
                if start:
                    yield Block(carry[:start], line)
                    line += carry.count(b"\n")
                rejects.add(line, "line_too_long", carry[start : start + 2000])
                skipping = True
            carry = b""
    if stream.broken:
        start = carry.rfind(b"\n") + 1
        if start:
            yield Block(carry[:start], line)
            line += carry[:start].count(b"\n")
        rejects.add(line, "truncated_file", f"{stream.broken}: ".encode() + carry[start : start + 2000])
    elif carry.strip(b"\r\n"):
        yield Block(carry + b"\n", line)


def count_lines(data: bytes) -> int:
    """Line feeds in a block; numpy counts them several times faster than `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == 10)) if data else 0


def _cut(text: bytes) -> int:
    """Where the last whole line ends that is not blank."""
    last = text.rfind(b"\n")
    if last < 1 or text[last - 1] not in b"\r\n":
        return last + 1
    stripped = len(text[: last + 1].rstrip(b"\r\n"))
    return text.find(b"\n", stripped) + 1 if stripped else 0


class FileFacts(NamedTuple):
    """What identifies one version of a file."""

    size: int  # bytes, 0 where unknown
    fingerprint: str


def facts(path: str) -> FileFacts:
    """Size and fingerprint (name, size, modification time or etag) of a file.

    Raises:
        UnreadableError: the file is not there.
        StoreError: the object store that holds it cannot be asked.
    """
    version: object
    try:
        if is_store(path):
            home, name = split(path)
            entry = open_store(home).entry(name)
            if entry is None:
                raise UnreadableError(f"{path}: nothing is there. Check the URL.")
            size, version = entry.size, entry.tag
        elif is_url(path):
            import fsspec  # noqa: PLC0415 - only for URLs

            fs, inner = fsspec.core.url_to_fs(path)
            info = fs.info(inner)
            size = int(info.get("size") or 0)
            version = next(
                (info[key] for key in ("etag", "ETag", "mtime", "created", "LastModified") if info.get(key)),
                "",
            )
        else:
            stat = Path(local_path(path)).stat()
            size, version = stat.st_size, stat.st_mtime_ns
    except read_errors() as error:
        raise UnreadableError(f"{path}: cannot be read: {reason_of(error)}") from error
    digest = hashlib.sha256(f"{path}\0{size}\0{version}".encode()).hexdigest()[:32]
    return FileFacts(size, digest)
