"""What goes wrong with an object store: which of it may pass, and what a person can do about the rest."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from shelfcheck.errors import ShelfcheckError

_PASSING_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES: Final = frozenset(
    {
        "BadDigest", "ConditionalRequestConflict", "IncompleteBody", "InternalError", "OperationAborted",
        "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException",
        "XAmzContentSHA256Mismatch",
    }
)  # fmt: skip
# Class and top module of errors that a broken connection shows itself by; none is imported for that.
_PASSING_CLASSES: Final = frozenset(
    {
        ("HTTPClientError", "botocore"), ("ConnectionError", "botocore"), ("IncompleteReadError", "botocore"),
        ("ResponseStreamingError", "botocore"), ("ClientConnectionError", "aiohttp"),
        ("ClientPayloadError", "aiohttp"), ("IncompleteRead", "http"), ("ServiceRequestError", "azure"),
        ("ServiceResponseError", "azure"), ("IncompleteReadError", "asyncio"),
    }
)  # fmt: skip
_STATUS: Final = {("HttpError", "gcsfs"): "code", ("ClientResponseError", "aiohttp"): "status"}
"""Class and top module of an error -> its attribute that is the status of the store's answer."""
_NO_CREDENTIALS: Final = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError"}
)
_CHANGED_STATUS: Final = 412


class StoreError(ShelfcheckError):
    """An object store does not do what it was asked."""


class AbsentError(StoreError):
    """An object is not there."""


class ChangedError(StoreError):
    """Another writer was first: an object is not what it was when it was read."""


def code_of(error: BaseException) -> tuple[str, int]:
    """The store's own code of an error and the status of its answer; `""` and 0 where it gave none."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            told: dict[str, Any] = response.get("Error") or {}
            status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode")
            code = str(told.get("Code") or "")
            return code, int(status or (code if code.isdecimal() else 0))
        name = _STATUS.get((type(one).__name__, type(one).__module__.partition(".")[0]), "status_code")
        status = getattr(one, name, None)  # `status_code` is what all of Azure's errors have
        if isinstance(status, int):
            return str(getattr(one, "error_code", None) or ""), status
    return "", 0


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed when it is sent again."""
    code, status = code_of(error)
    if code or status:
        return code in _PASSING_CODES or status in _PASSING_STATUS
    if isinstance(error, FileNotFoundError | PermissionError | FileExistsError):
        return False
    return any(_is_broken_connection(one) for one in _chain(error))


def _is_broken_connection(error: BaseException) -> bool:
    kinds = {(kind.__name__, kind.__module__.partition(".")[0]) for kind in type(error).__mro__}
    return isinstance(error, ConnectionError | TimeoutError) or bool(kinds & _PASSING_CLASSES)


def is_absent(error: BaseException) -> bool:
    """Whether an error says that there is no such object (not: no such bucket)."""
    code, status = code_of(error)
    if code in {"NoSuchBucket", "ContainerNotFound"}:
        return False
    return status == 404 or (not status and isinstance(error, FileNotFoundError))


def is_changed(error: BaseException) -> bool:
    """Whether a conditional write was refused."""
    return code_of(error)[1] == _CHANGED_STATUS or isinstance(error, FileExistsError)


def told(url: str, error: BaseException, attempts: int = 1) -> StoreError:
    """An error for people, in one line that names the way out."""
    again = f" (tried {attempts} times)" if attempts > 1 else ""
    return StoreError(f"{url}: {reason(error, url)}{again}")


def reason(error: BaseException, url: str = "") -> str:  # noqa: PLR0911 - one answer a cause
    """What an error of a store means, with the way out."""
    code, status = code_of(error)
    bucket = url.partition("://")[2].partition("/")[0]
    region = _region(error)
    if code in {"NoSuchBucket", "ContainerNotFound"}:
        return f"there is no bucket {bucket!r}. Check the name, or make it with: aws s3 mb s3://{bucket}"
    if code in {
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
    } or (status in {301, 307}):
        where = f" {region}" if region else ""
        return (
            f"the bucket is in another region{where}. "
            f"Set AWS_DEFAULT_REGION={region or '<region of the bucket>'}, and AWS_ENDPOINT_URL only if it "
            "is there, too."
        )
    if code in {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}:
        return "the credentials have expired. Log in again (aws sso login), or set new ones."
    if code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "UnrecognizedClientException"}:
        return (
            f"the store does not know these credentials ({code}). "
            "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or AWS_PROFILE."
        )
    if code == "RequestTimeTooSkewed":
        return "this machine's clock is wrong by more than 15 minutes. Set it, e.g.: timedatectl set-ntp true"
    if code in {"AccessDenied", "AllAccessDisabled", "403"} or status in {401, 403} or _is_denied(error):
        return (
            "access denied. The credentials need to list the bucket, and to get, put and delete objects "
            "there (docs/how-to/object-stores.md has the policy)."
        )
    if (
        any(type(one).__name__ in _NO_CREDENTIALS for one in _chain(error))
        or "credentials" in str(error).lower()
    ):
        return (
            f"{_first_line(error)}. You can fix this by setting AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or AWS_PROFILE (gs://: GOOGLE_APPLICATION_CREDENTIALS, az://: AZURE_STORAGE_CONNECTION_STRING). "
            "A public bucket needs none: set FSSPEC_S3_ANON=true."
        )
    if isinstance(error, FileNotFoundError):
        return "nothing is there, or no server answers. Check the URL."
    if is_passing(error) and not status:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        where = f" AWS_ENDPOINT_URL is {endpoint}." if endpoint else ""
        return f"the store does not answer: {_first_line(error)}. Check the network.{where}"
    if is_passing(error):
        return f"the store is overloaded or failing: {code or status}. Run the same command again later."
    return _first_line(error)


def _is_denied(error: BaseException) -> bool:
    return isinstance(error, PermissionError) and "denied" in str(error).lower()


def _region(error: BaseException) -> str:
    for one in _chain(error):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            headers = (response.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
            found = (response.get("Error") or {}).get("Region") or headers.get("x-amz-bucket-region")
            if found:
                return str(found)
    return ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


def store_errors() -> tuple[type[Exception], ...]:
    """Whatever is raised when a store is asked, for an `except`: asked for when its client is loaded."""
    found: list[type[Exception]] = [OSError, EOFError, ValueError]
    for module, names in (
        ("botocore.exceptions", ("BotoCoreError", "ClientError")),
        ("aiohttp", ("ClientError",)),
        ("gcsfs.retry", ("HttpError",)),
        ("google.auth.exceptions", ("GoogleAuthError",)),
        ("azure.core.exceptions", ("AzureError",)),
    ):
        loaded = sys.modules.get(module)
        found += [getattr(loaded, name) for name in names if loaded is not None]
    return tuple(found)
