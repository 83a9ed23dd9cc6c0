"""Loads an export into Amazon Neptune: its bulk loader is started, followed and reported.

The loader reads the files from S3 by itself, with an IAM role that the cluster holds. The client is
boto3's `neptunedata`. Source: the Neptune user guide, "Neptune Loader Command" and "Get-Status".
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from shelfcheck.errors import MissingExtraError, ShelfcheckError, UsageError

if TYPE_CHECKING:
    from shelfcheck.progress import Progress

Mode: TypeAlias = Literal["AUTO", "RESUME", "NEW"]
Parallelism: TypeAlias = Literal["LOW", "MEDIUM", "HIGH", "OVERSUBSCRIBE"]

_GOING_ON: Final = {"LOAD_NOT_STARTED", "LOAD_IN_QUEUE", "LOAD_IN_PROGRESS"}
_DONE: Final = "LOAD_COMPLETED"
_ERRORS_TOLD: Final = 10
_LOST_POLLS: Final = 5  # that many in a row, and the cluster counts as gone


class NeptuneError(ShelfcheckError):
    """Neptune refused a load, or the load failed."""


@dataclass(frozen=True)
class NeptuneLoad:
    """How a load ended.

    Attributes:
        load_id: Neptune's name for it.
        status: `LOAD_COMPLETED`.
        records: that the loader read.
        duplicates: of them that were there already.
        seconds: that the loader says it took.
    """

    load_id: str
    status: str
    records: int
    duplicates: int
    seconds: int


def neptune_client(endpoint: str, region: str | None = None, read_timeout: float = 60.0) -> Any:
    """A boto3 client of a cluster's data plane.

    Args:
        endpoint: `https://CLUSTER:8182`.
        region: of the cluster; None takes that of the AWS configuration.
        read_timeout: seconds that an answer may take.

    Raises:
        MissingExtraError: boto3 is not installed.
        UsageError: the endpoint is no URL, or no region is known.
    """
    try:
        import boto3  # noqa: PLC0415 - an extra
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("Speaking to Neptune", "aws") from error
    if not endpoint.startswith(("https://", "http://")):
        raise UsageError(f"{endpoint!r} is no endpoint of Neptune, such as https://my-cluster:8182.")
    # Starting a load is never repeated unseen: a second one would be queued behind the first.
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=15, read_timeout=read_timeout)
    try:
        return boto3.client("neptunedata", endpoint_url=endpoint, region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"{endpoint}: {error} Name the region with --region.") from error


def check_source(source: str) -> None:
    """See that Neptune can load from there.

    Raises:
        UsageError: it is not in S3.
    """
    if not source.startswith("s3://"):
        raise UsageError(f"{source}: Neptune loads from S3 alone. Name a prefix such as s3://BUCKET/PREFIX.")


def start_load(
    client: Any,
    source: str,
    *,
    role: str,
    gremlin: bool = False,
    mode: Mode = "AUTO",
    parallelism: Parallelism = "HIGH",
) -> str:
    """Start the bulk loader.

    Args:
        client: of `neptune_client`.
        source: the prefix of the files, e.g. `s3://bucket/graph/data/`.
        role: ARN of the IAM role that lets the cluster read it.
        gremlin: the files are Gremlin CSV, not openCypher CSV.
        mode: AUTO resumes an earlier load of the same source that failed, or else starts a new one.
        parallelism: how many of the cluster's threads the loader takes.

    Returns:
        The load's id.

    Raises:
        UsageError: the source is not in S3.
        NeptuneError: Neptune refuses.
    """
    check_source(source)
    asked: dict[str, Any] = {
        "source": source,
        "format": "csv" if gremlin else "opencypher",
        "s3BucketRegion": client.meta.region_name,
        "iamRoleArn": role,
        "mode": mode,
        "parallelism": parallelism,
        "failOnError": True,
        "queueRequest": True,  # waits behind a load that is going on, and is not refused
    }
    # A second load of the same graph replaces what it says, and openCypher's edges keep their ids.
    asked |= {"updateSingleCardinalityProperties": True} if gremlin else {"userProvidedEdgeIds": True}
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the client

    try:
        answer = client.start_loader_job(**asked)
    except (ClientError, BotoCoreError) as error:
        raise NeptuneError(f"Neptune did not start to load {source}: {said(error)}") from error
    return str(answer["payload"]["loadId"])


def follow_load(
    client: Any, load_id: str, progress: Progress, *, records: int | None = None, poll_seconds: float = 5.0
) -> NeptuneLoad:
    """Follow a load to its end.

    Args:
        client: of `neptune_client`.
        load_id: of `start_load`, or of a load that was started earlier.
        progress: told the records.
        records: how many will come, where that is known.
        poll_seconds: between two questions.

    Raises:
        NeptuneError: the load failed, with the first errors that Neptune logged; or the cluster is gone.
    """
    progress.start("Neptune loads", records, "records")
    told = 0
    while True:
        overall = _status(client, load_id, poll_seconds)["overallStatus"]
        came = int(overall.get("totalRecords", 0))
        progress.advance(max(came - told, 0))
        told = max(came, told)
        if overall["status"] not in _GOING_ON:
            break
        time.sleep(poll_seconds)
    progress.finish()
    if overall["status"] != _DONE:
        raise NeptuneError(_failure(client, load_id, overall, poll_seconds))
    duplicates, seconds = (int(overall.get(name, 0)) for name in ("totalDuplicates", "totalTimeSpent"))
    return NeptuneLoad(load_id, overall["status"], came, duplicates, seconds)


def _status(client: Any, load_id: str, poll_seconds: float, **more: Any) -> dict[str, Any]:
    """Ask for the status; a question that fails is asked again, since that changes nothing."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the client

    for lost in range(1, _LOST_POLLS + 1):
        try:
            payload: dict[str, Any] = client.get_loader_job_status(loadId=load_id, details=True, **more)[
                "payload"
            ]
        except (ClientError, BotoCoreError) as error:
            if lost == _LOST_POLLS or _is_final(error):
                raise NeptuneError(
                    f"Load {load_id}: its status cannot be asked for: {said(error)} "
                    f"It may go on in Neptune: follow it with --load-id {load_id}."
                ) from error
            time.sleep(poll_seconds)
        else:
            return payload
    raise AssertionError  # the last attempt returns or raises


def _is_final(error: Exception) -> bool:
    """Whether asking again cannot help: the cluster answered, and it is not that it is busy."""
    response: dict[str, Any] = getattr(error, "response", {})
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    return status < 500 and status != 429


def _failure(client: Any, load_id: str, overall: dict[str, Any], poll_seconds: float) -> str:
    payload = _status(client, load_id, poll_seconds, errors=True, page=1, errorsPerPage=_ERRORS_TOLD)
    counts = ", ".join(
        f"{int(overall[name]):,} {what}"
        for name, what in (
            ("parsingErrors", "parsing errors"),
            ("datatypeMismatchErrors", "mismatched types"),
            ("insertErrors", "insert errors"),
        )
        if int(overall.get(name, 0))
    )
    logged = (payload.get("errors") or {}).get("errorLogs") or []
    lines = [
        f"  {one.get('errorCode', '')} {one.get('fileName', '')}:{one.get('recordNum', '')} "
        f"{one.get('errorMessage', '')}".rstrip()
        for one in logged
    ]
    said = f"Load {load_id} ended with {overall['status']}" + (f" ({counts})" if counts else "") + "."
    return "\n".join([said, *lines, "A load with the same source and mode AUTO goes on where it stopped."])


def said(error: Exception) -> str:
    """What Neptune, or the client, says of a failure, with the fix where credentials are missing."""
    response: dict[str, Any] = getattr(error, "response", {})
    message = response.get("detailedMessage") or response.get("Error", {}).get("Message") or str(error)
    if "credentials" in message.lower():
        return f"{message}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to fix this."
    return str(message)
