"""A Bolt server that several modules load graphs into."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class BoltServer(NamedTuple):
    """A real Bolt server, ArcadeDB, in this process, and its user."""

    address: str
    user: str
    password: str
    create_database: Callable[[str], object]


@pytest.fixture(scope="session")
def bolt_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoltServer]:
    """A server without a database."""
    pytest.importorskip("neo4j", reason="needs the extra graph")
    arcadedb = pytest.importorskip("arcadedb_embedded", reason="needs arcadedb-embedded")
    with socket.socket() as one, socket.socket() as other:
        for taken in (one, other):
            taken.bind(("127.0.0.1", 0))
        ports = [taken.getsockname()[1] for taken in (one, other)]
    home, here = tmp_path_factory.mktemp("arcadedb"), os.getcwd()  # noqa: PTH109 - to go back to
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCADEDB_JVM_ARGS", "-Xmx768m")
        os.chdir(home)  # where Java starts, it logs
        try:
            password = "only-for-tests"  # noqa: S105 - of a server that lives as long as they
            config = {
                "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
                "bolt_port": ports[0],
                "http_port": ports[1],
            }
            server = arcadedb.create_server(str(home), password, config=config)
            server.start()
        except Exception as error:  # noqa: BLE001 - Java throws what it likes
            pytest.skip(f"ArcadeDB does not start here: {error}")
        finally:
            os.chdir(here)
    yield BoltServer(f"bolt://127.0.0.1:{ports[0]}", "root", password, server.create_database)
    server.stop()
