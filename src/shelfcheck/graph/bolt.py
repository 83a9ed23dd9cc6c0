"""A session with a server that speaks Bolt, and its errors in words that name the fix."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shelfcheck.errors import MissingExtraError, ShelfcheckError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES: Final = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
PASSWORD_VARIABLE: Final = "SHELFCHECK_GRAPH_PASSWORD"  # noqa: S105 - its name


class ServerError(ShelfcheckError):
    """A graph server refused what it was sent, or does not answer."""


@dataclass(frozen=True)
class Session:
    """An open session.

    Attributes:
        agent: what the server calls itself.
        neo4j: the driver's session.
    """

    agent: str
    neo4j: Any


@contextmanager
def bolt_session(
    address: str,
    *,
    user: str | None,
    password: str | None,
    database: str | None,
    retry_seconds: float,
    read_only: bool = False,
) -> Iterator[Session]:
    """A session, closed at the end.

    Args:
        address: e.g. `bolt://localhost:7687` or `neo4j+s://host`.
        user: None for a server that asks for none.
        password: of that user.
        database: None for the server's default.
        retry_seconds: how long a transaction is tried again when the server is busy or gone.
        read_only: ask the server to refuse writes; not every server does.

    Raises:
        UsageError: the address is none of Bolt's.
        MissingExtraError: the driver is not installed.
        ServerError: the server does not answer, or refuses something that is done with the session.
    """
    if address.partition("://")[0] not in SCHEMES:
        raise UsageError(f"{address!r} is no address of a Bolt server, such as bolt://localhost:7687.")
    try:
        import neo4j  # noqa: PLC0415 - an extra
        from neo4j.exceptions import DriverError, Neo4jError  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("Speaking Bolt", "graph") from error
    auth = None if user is None else (user, password or "")
    access = neo4j.READ_ACCESS if read_only else neo4j.WRITE_ACCESS
    try:
        with (
            neo4j.GraphDatabase.driver(
                address,
                auth=auth,
                max_transaction_retry_time=retry_seconds,
                connection_timeout=15.0,
            ) as driver,
            driver.session(database=database, default_access_mode=access) as session,
        ):
            yield Session(str(driver.get_server_info().agent), session)
    except Neo4jError as error:
        hint = ""
        if "ecurity" in str(error.code):
            hint = f" Check --user, and the password in {PASSWORD_VARIABLE}."
        elif "atabase" in str(error.code):
            hint = " Check --database."
        raise ServerError(f"{address}: {error.message or error}{hint}") from error
    except (DriverError, OSError, ValueError) as error:  # ValueError: an address that cannot be read
        raise ServerError(f"{address}: {error}. Is the server up, and does it speak Bolt there?") from error
