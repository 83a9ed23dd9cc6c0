"""S3 and what speaks its protocol: conditional writes, uploads in parts that are retried one by one."""

from __future__ import annotations

import functools
import os
import threading
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import fsspec.asyn
import s3fs

from shelfcheck.stores.errors import AbsentError, ChangedError, StoreError
from shelfcheck.stores.store import ANY, PART_BYTES, Blob, Entry, Store

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from pathlib import Path

_MOST_PARTS: Final = 10_000  # of one object
_MOST_COPIED: Final = 1 << 30  # bytes that S3 copies in one request, which must not outlast `_SECONDS`
_SECONDS: Final = 60  # without a byte, after which a connection counts as lost


def filesystem() -> Any:
    """The client, by the usual chain of credentials; `Retrying` alone sends a request again."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    fs = s3fs.S3FileSystem(
        **({"endpoint_url": endpoint} if endpoint else {}),  # part of the key by which clients are kept
        use_listings_cache=False,
        config_kwargs={
            "retries": {"mode": "standard", "total_max_attempts": 1},
            "connect_timeout": 10,
            "read_timeout": _SECONDS,
            "max_pool_connections": 32,
        },
    )
    fs.retries = 1
    return fs


class S3Store(Store):
    """A folder of a bucket."""

    def __init__(self, url: str, fs: Any, root: str) -> None:
        super().__init__(url, fs, root)
        self._bucket, _, prefix = self.root.partition("/")
        self._prefix = f"{prefix}/" if prefix else ""

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._fs.call_s3(method, Bucket=self._bucket, **arguments)
        return answer

    def _key(self, path: str) -> str:
        return path[len(self._bucket) + 1 :]

    def _get(self, path: str) -> Blob:
        data, answer = self._body(path)
        age = None
        date = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders", {}).get("date")
        if date and answer.get("LastModified"):
            age = (parsedate_to_datetime(date) - answer["LastModified"]).total_seconds()
        return Blob(data, answer["ETag"].strip('"'), age)

    def _read(self, path: str, start: int, end: int) -> bytes:
        return self._body(path, Range=f"bytes={start}-{end - 1}")[0]

    def _body(self, path: str, **arguments: Any) -> tuple[bytes, dict[str, Any]]:
        async def request() -> tuple[bytes, dict[str, Any]]:
            answer = await self._fs._call_s3(
                "get_object", Bucket=self._bucket, Key=self._key(path), **arguments
            )
            async with answer["Body"] as body:
                return await body.read(), answer

        found: tuple[bytes, dict[str, Any]] = fsspec.asyn.sync(self._fs.loop, request)
        return found

    def _put(self, path: str, data: bytes, expected: object) -> str:
        condition = (
            {} if expected is ANY else {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        )
        answer = self._call("put_object", Key=self._key(path), Body=data, **condition)
        return str(answer["ETag"]).strip('"')

    def _copy(self, there: str, path: str) -> None:
        source = {"Bucket": self._bucket, "Key": self._key(there)}
        self._call("copy_object", Key=self._key(path), CopySource=source)

    def _entry(self, path: str) -> Entry:
        answer = self._call("head_object", Key=self._key(path))
        return Entry(int(answer["ContentLength"]), str(answer["ETag"]).strip('"'), answer["LastModified"])

    def _delete(self, paths: list[str]) -> None:
        wanted = {"Objects": [{"Key": self._key(path)} for path in paths], "Quiet": True}
        answer = self._call("delete_objects", Delete=wanted)
        failed = answer.get("Errors") or []
        if failed:
            raise StoreError(
                f"{self.url}: {len(failed)} objects cannot be removed: {failed[0].get('Code')}. "
                "The credentials need s3:DeleteObject (docs/how-to/object-stores.md)."
            )

    def _list(self, prefix: str) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        more: dict[str, str] = {}
        while True:
            page = functools.partial(self._call, "list_objects_v2", Prefix=f"{self._prefix}{prefix}", **more)
            answer = self.retrying(self.where(prefix), page)
            for one in answer.get("Contents") or []:
                name = one["Key"][len(self._prefix) :]
                if name and not name.endswith("/"):  # consoles make folders of empty objects
                    found[name] = Entry(int(one["Size"]), str(one["ETag"]).strip('"'), one["LastModified"])
            if not answer.get("IsTruncated"):
                return found
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def upload_jobs(self, file: Path, name: str) -> list[Callable[[], int]]:
        """What to do to upload a file: one request, or one a part."""
        size = file.stat().st_size
        if size <= PART_BYTES:

            def whole() -> int:
                data = file.read_bytes()
                self.asked(name, lambda: self._put(self._path(name), data, ANY))
                return size

            return [whole]
        return _InParts(self, file, name, size).jobs()

    def copy_jobs(self, there: str, file: Path, name: str) -> list[Callable[[], int]]:
        """What to do to have the store copy a file; a large one is uploaded, in parts."""
        if file.stat().st_size > _MOST_COPIED:
            return self.upload_jobs(file, name)
        return super().copy_jobs(there, file, name)

    def end_unfinished(self, is_leftover: Callable[[str, dt.datetime], bool]) -> int:
        """Abort uploads in parts that were never finished, where `is_leftover` says so."""
        ended = 0
        more: dict[str, str] = {}
        while True:
            page = functools.partial(self._call, "list_multipart_uploads", Prefix=self._prefix, **more)
            answer = self.asked("", page)
            for one in answer.get("Uploads") or []:
                name = one["Key"][len(self._prefix) :]
                if is_leftover(name, one["Initiated"]):
                    self._abort(name, one["UploadId"])
                    ended += 1
            if not answer.get("IsTruncated"):
                return ended
            more = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    def _abort(self, name: str, upload: str) -> None:
        try:
            self.asked(
                name,
                lambda: self._call("abort_multipart_upload", Key=f"{self._prefix}{name}", UploadId=upload),
            )
        except AbsentError:
            return


class _InParts:
    """An upload in parts: begun by the first job that runs, completed by the last."""

    def __init__(self, store: S3Store, file: Path, name: str, size: int) -> None:
        self._store, self._file, self._name, self._size = store, file, name, size
        self._key = f"{store._prefix}{name}"
        self._part = max(PART_BYTES, -(-size // _MOST_PARTS))
        self._tags: dict[int, str] = {}
        self._upload = ""
        self._lock = threading.Lock()

    def jobs(self) -> list[Callable[[], int]]:
        count = -(-self._size // self._part)
        return [functools.partial(self._send, number, count) for number in range(1, count + 1)]

    def _send(self, number: int, count: int) -> int:
        with self._lock:
            if not self._upload:
                begun = self._ask("create_multipart_upload")
                self._upload = str(begun["UploadId"])
        with self._file.open("rb") as file:
            file.seek((number - 1) * self._part)
            data = file.read(self._part)
        sent = self._ask("upload_part", UploadId=self._upload, PartNumber=number, Body=data)
        with self._lock:
            self._tags[number] = str(sent["ETag"])
            last = len(self._tags) == count
        if last:
            self._complete()
        return len(data)

    def _complete(self) -> None:
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in sorted(self._tags.items())]
        try:
            self._ask("complete_multipart_upload", UploadId=self._upload, MultipartUpload={"Parts": parts})
        except (AbsentError, ChangedError):
            # The answer was lost, and the upload is known no more because it was completed.
            found = self._store.entry(self._name)
            if found is None or found.size != self._size:
                raise

    def _ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        return self._store.asked(self._name, lambda: self._store._call(method, Key=self._key, **arguments))
