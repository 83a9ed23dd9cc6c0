"""Asks a graph that was loaded into a server: any that speaks Bolt, or Amazon Neptune.

Only what reads is sent (`reading.refuse_writes`), and the server is asked to open the session for reading. An
answer becomes an Arrow table as the embedded index gives it: nodes and relationships are structs of
`_LABEL` and their properties.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from shelfcheck.errors import UsageError
from shelfcheck.graph.bolt import ServerError, bolt_session
from shelfcheck.graph.neptune_lint import check_for_neptune
from shelfcheck.graph.reading import LABELS, RELATIONSHIPS, refuse_writes, unknown_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pyarrow as pa

    Answer = tuple[list[str], list[list[Any]]]  # names of the columns; rows
    Ask = Callable[[str, Mapping[str, Any]], Answer]

DEFAULT_TIMEOUT: Final = 300.0
_GRACE: Final = 5.0  # seconds that a server has to say itself that a query took too long


class _Properties(Protocol):
    def items(self) -> Iterable[tuple[str, Any]]: ...


def ask_bolt(
    address: str,
    cypher: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    user: str | None = None,
    password: str | None = None,
    database: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> pa.Table:
    """Ask a Bolt server one question.

    Args:
        address: e.g. `bolt://localhost:7687` or `neo4j+s://host`.
        cypher: a query that reads.
        parameters: values of its `$name` parameters.
        user: None for a server that asks for none.
        password: of that user.
        database: None for the server's default.
        timeout: seconds after which the question is given up.

    Returns:
        A column for each thing that the query returns; none where a server answers an empty result
        without naming them.

    Raises:
        UsageError: it would write; or there is no answer, and a label in it is none of the graph's.
        MissingExtraError: the driver is not installed.
        ServerError: the server does not answer, refuses, or takes longer.
    """
    refuse_writes(cypher)

    def asked() -> Answer:
        with bolt_session(
            address, user=user, password=password, database=database, retry_seconds=15.0, read_only=True
        ) as session:
            from neo4j import Query  # noqa: PLC0415 - an extra, which the session has loaded

            def ask(text: str, values: Mapping[str, Any]) -> Answer:
                result = session.neo4j.run(Query(text, timeout=timeout), dict(values))
                return list(result.keys()), result.values()

            return _answered(ask, cypher, parameters)

    return _table(*_within(timeout + _GRACE, asked, f"{address}: no answer in {timeout:g} s."))


def ask_neptune(
    endpoint: str,
    cypher: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    region: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> pa.Table:
    """Ask Amazon Neptune one question, with the credentials of the AWS configuration.

    Args:
        endpoint: `https://CLUSTER:8182`.
        cypher: a query that reads, in the openCypher that Neptune has.
        parameters: values of its `$name` parameters.
        region: of the cluster; None takes that of the AWS configuration.
        timeout: seconds after which the question is given up.

    Returns:
        As `ask_bolt`; Neptune names no columns of an empty result, and gives dates as text.

    Raises:
        UsageError: it would write, or asks for what Neptune lacks; or there is no answer, and a label in it
            is none of the graph's.
        MissingExtraError: boto3 is not installed.
        ServerError: Neptune does not answer, refuses, or takes longer.
    """
    refuse_writes(cypher)
    check_for_neptune(cypher)
    from shelfcheck.graph.load_neptune import neptune_client, said  # noqa: PLC0415 - loaded when it is used

    client = neptune_client(endpoint, region, read_timeout=timeout)
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the client

    def ask(text: str, values: Mapping[str, Any]) -> Answer:
        try:
            rows = client.execute_open_cypher_query(
                openCypherQuery=text, parameters=json.dumps(dict(values), default=str)
            )["results"]
        except (ClientError, BotoCoreError) as error:
            raise ServerError(f"{endpoint}: {said(error)}") from error
        names = list(rows[0]) if rows else []
        return names, [[row.get(name) for name in names] for row in rows]

    return _table(*_answered(ask, cypher, parameters))


def _answered(ask: Ask, cypher: str, parameters: Mapping[str, Any] | None) -> Answer:
    names, rows = ask(cypher, parameters or {})
    if not rows:
        _check_names(ask, cypher)
    return names, rows


def _check_names(ask: Ask, cypher: str) -> None:
    """Tell a misspelt label from an empty answer: servers answer both with no rows."""
    for name, is_relationship in unknown_names(cypher):
        pattern = f"()-[n:`{name}`]->()" if is_relationship else f"(n:`{name}`)"
        if not ask(f"MATCH {pattern} RETURN 1 AS one LIMIT 1", {})[1]:
            kind = "relationship" if is_relationship else "label"
            raise UsageError(
                f"No rows, and nothing on the server has the {kind} {name}. The graph's labels are "
                f"{', '.join(LABELS)}, its relationships {', '.join(RELATIONSHIPS)}."
            )


def _within(seconds: float, call: Callable[[], Answer], too_long: str) -> Answer:
    """Call in a thread of its own, since not every server ends a query that takes too long.

    A call that is given up goes on until the server answers or the process ends.
    """
    done: dict[str, Any] = {}

    def run() -> None:
        try:
            done["answer"] = call()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            done["error"] = error

    thread = threading.Thread(target=run, daemon=True, name="shelfcheck-query")
    thread.start()
    thread.join(seconds)
    if "error" in done:
        raise done["error"]
    if "answer" not in done:
        raise ServerError(f"{too_long} Ask for less, or give it longer with --timeout SECONDS.")
    answer: Answer = done["answer"]
    return answer


def _table(names: list[str], rows: list[list[Any]]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - loaded when it is used

    columns = [[_plain(row[at]) for row in rows] for at in range(len(names))]
    return pa.table([_array(column) for column in columns], names=names)


def _array(values: list[Any]) -> pa.Array:
    """The values as Arrow has them; as JSON where a column holds several kinds."""
    import pyarrow as pa  # noqa: PLC0415 - loaded when it is used

    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        told = [
            None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values
        ]
        return pa.array(told, pa.string())


def _plain(value: Any) -> Any:
    """A value of either driver as Python has it."""
    if value is None or isinstance(value, bool | int | float | str | bytes | dt.date | dt.time):
        return value
    if type(value) in {list, tuple}:
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        if "~entityType" in value:  # Neptune's nodes and relationships
            label = value.get("~type") or ":".join(value.get("~labels", []))
            return {"_LABEL": label} | _properties(value.get("~properties", {}))
        return _properties(value)
    return _of_bolt(value)


def _of_bolt(value: Any) -> Any:
    """A value of a kind that the driver has and Python has not."""
    if hasattr(value, "labels"):
        return {"_LABEL": ":".join(sorted(value.labels))} | _properties(value)
    if hasattr(value, "relationships"):  # a path: its nodes, with the relationships between them
        told = [_plain(value.nodes[0])]
        for edge, node in zip(value.relationships, value.nodes[1:], strict=True):
            told += [_plain(edge), _plain(node)]
        return told
    if hasattr(value, "nodes"):
        return {"_LABEL": value.type} | _properties(value)
    if hasattr(value, "to_native"):  # dates and times
        return value.to_native()
    return str(value)  # durations and points


def _properties(given: _Properties) -> dict[str, Any]:
    return {name: _plain(one) for name, one in given.items()}
