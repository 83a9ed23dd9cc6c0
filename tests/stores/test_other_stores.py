"""gs:// and az:// by the same layer, against emulators of their servers; skipped where one is absent.

Google's emulator comes with the test dependencies. Azure's is Azurite: `npm install azurite`, then name its
`azurite-blob` in SHELFCHECK_AZURITE or have it on the PATH.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from shelfcheck.remote_workspace import open_workspace
from shelfcheck.stores import AbsentError, ChangedError, StoreError, open_store
from shelfcheck.stores.lease import Lease
from shelfcheck.stores.mirror import CACHE_VARIABLE
from shelfcheck.stores.places import brought_here, writing_to
from shelfcheck.workspace import Manifest, utc_now

_AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of every Azurite, which is published."""


@pytest.fixture(scope="module")
def google():
    pytest.importorskip("gcsfs", reason="needs the extra gcp")
    pytest.importorskip("gcp_storage_emulator", reason="needs gcp-storage-emulator")
    port = _free_port()
    command = [
        sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", str(port),
        "--in-memory", "--default-bucket", "shelf",
    ]  # fmt: skip
    with _running(command, port):
        yield {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"}


@pytest.fixture(scope="module")
def azure():
    adlfs = pytest.importorskip("adlfs", reason="needs the extra azure")
    program = os.environ.get("SHELFCHECK_AZURITE") or shutil.which("azurite-blob")
    if program is None:
        pytest.skip("needs Azurite: npm install azurite, and SHELFCHECK_AZURITE=.../.bin/azurite-blob")
    port = _free_port()
    command = [
        program, "--blobPort", str(port), "--inMemoryPersistence", "--silent", "--skipApiVersionCheck",
        "--disableTelemetry",
    ]  # fmt: skip
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_AZURE_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )
    with _running(command, port):
        adlfs.AzureBlobFileSystem(connection_string=connection).mkdir("shelf")
        yield {"AZURE_STORAGE_CONNECTION_STRING": connection}


@pytest.fixture(params=["google", "azure"])
def place(request, tmp_path, monkeypatch):
    """A folder of a bucket of each store."""
    for name, value in request.getfixturevalue(request.param).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "one"))
    return f"{'gs' if request.param == 'google' else 'az'}://shelf/{request.param}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _running(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        else:
            pytest.skip(f"{command[0]} does not start here")
        yield
    finally:
        process.terminate()
        process.wait()


def test_objects(place, tmp_path):
    store = open_store(f"{place}/objects")
    assert store.get("a") is None
    first = store.put("a", b"one", None)
    with pytest.raises(ChangedError):
        store.put("a", b"two", None)
    second = store.put("a", b"two", first)
    with pytest.raises(ChangedError):
        store.put("a", b"three", first)
    assert (store.get("a").data, store.get("a").tag) == (b"two", second)
    store.put("b/c", b"0123456789")
    assert {name: entry.size for name, entry in store.listing().items()} == {"a": 3, "b/c": 10}
    assert list(store.listing("b/")) == ["b/c"]
    assert store.read("b/c", 2, 5) == b"234"
    with store.open("b/c") as file:
        assert file.read() == b"0123456789"
    (tmp_path / "c").write_bytes(b"0123456789")
    for there in ("b/c", "never-there"):
        assert [job() for job in store.copy_jobs(there, tmp_path / "c", "b/d")] == [10]
        assert store.read("b/d", 0, 10) == b"0123456789"
        store.delete(["b/d"])
    store.delete(["a", "never-there"])
    assert list(store.listing()) == ["b/c"]
    with pytest.raises(AbsentError):
        store.read("a", 0, 1)


def test_a_workspace(place, tmp_path, monkeypatch):
    home = f"{place}/shop"
    one = open_workspace(home)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "two"))
    two = open_workspace(home)
    for turn in ("first", "second"):
        with one.locked(), one.writing("prepared") as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "file").write_text(turn)
            (folder / f"only-{turn}").write_text("")
            one.publish(folder, Manifest("prepared", turn, created=utc_now()))
        found = two.path("prepared", made_by="x")
        assert {p.name for p in found.rglob("*") if p.is_file()} == {"file", f"only-{turn}"}
        assert (found / "deep" / "file").read_text() == turn
    names = set(open_store(home).listing())
    assert len({name for name in names if name.startswith("prepared/")}) == 3, names
    with one.locked(), pytest.raises(Exception, match="another shelfcheck works"), two.locked():
        pytest.fail("two at once")
    with Lease(open_store(home), "someone"):
        pass


def test_files(place):
    with writing_to(f"{place}/out/x.txt") as path:
        path.write_text("whole")
    with brought_here(f"{place}/out/x.txt") as path:
        assert path.read_text() == "whole"
    with pytest.raises(StoreError, match="no-such-bucket"):
        open_store(place.replace("shelf", "no-such-bucket")).put("a", b"x")
