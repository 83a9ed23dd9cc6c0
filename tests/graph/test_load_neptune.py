from __future__ import annotations

import pytest

pytest.importorskip("boto3", reason="needs the extra aws")
from exchange_support import small_graph
from neptune_stand_in import Neptune, serve

from shelfcheck.errors import UsageError
from shelfcheck.graph.export import export_graph
from shelfcheck.graph.load_neptune import NeptuneError, follow_load, neptune_client, start_load
from shelfcheck.progress import NullProgress

ROLE = "arn:aws:iam::123456789012:role/load"


class Told(NullProgress):
    done = 0

    def advance(self, n, **counters):
        self.done += n


@pytest.fixture
def store(monkeypatch, s3_endpoint):
    import s3fs

    for name, value in (
        ("ACCESS_KEY_ID", "any"),
        ("SECRET_ACCESS_KEY", "any"),
        ("ENDPOINT_URL", s3_endpoint),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    found = s3fs.S3FileSystem()
    found.mkdirs("neptune", exist_ok=True)
    yield found
    found.rm("neptune", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def neptune(store):
    return Neptune(store)


@pytest.fixture
def client(neptune):
    server = serve(neptune)
    client = neptune_client(f"http://127.0.0.1:{server.server_port}")
    yield client
    client.close()
    server.shutdown()
    server.server_close()


@pytest.fixture
def source(tmp_path, store):
    """Makes an export in S3, and tells its files' prefix and rows."""

    def make(target="neptune"):
        graph = small_graph(tmp_path / target)
        written = export_graph(graph, f"s3://neptune/{target}", target, NullProgress(), compress=True)
        return written.data, sum(written.rows.values())

    return make


@pytest.mark.parametrize("target", ["neptune", "gremlin"])
def test_an_export_is_loaded_and_loaded_again(client, neptune, source, target):
    prefix, rows = source(target)
    loads = []
    for _ in range(2):
        load_id = start_load(client, prefix, role=ROLE, gremlin=target == "gremlin")
        told = Told()
        loads.append(follow_load(client, load_id, told, poll_seconds=0))
        assert told.done == rows
    assert [(one.status, one.records, one.duplicates) for one in loads] == [
        ("LOAD_COMPLETED", rows, 0),
        ("LOAD_COMPLETED", rows, rows),
    ]
    assert len(neptune.nodes) + len(neptune.edges) == rows
    asked = neptune.asked[0]
    assert (asked["region"], asked["iamRoleArn"], asked["mode"]) == ("us-east-1", ROLE, "AUTO")
    assert asked["format"] == ("csv" if target == "gremlin" else "opencypher")
    assert asked.get("userProvidedEdgeIds") is (None if target == "gremlin" else True)


def test_a_failed_load_is_told_with_what_neptune_logged(client, neptune, source, store):
    prefix, _ = source()
    store.pipe(f"{prefix}nodes-bad.csv", b":ID,:LABEL,stars:Double\r\nProduct:x,Product,many\r\n")
    load_id = start_load(client, prefix, role=ROLE)
    with pytest.raises(NeptuneError, match=r"LOAD_FAILED \(1 mismatched types\)") as told:
        follow_load(client, load_id, NullProgress(), poll_seconds=0)
    assert "nodes-bad.csv:1 'many' is no Double" in str(told.value)


def test_a_cluster_that_is_busy_is_asked_again_and_a_lost_one_told(client, neptune, source):
    load_id = start_load(client, source()[0], role=ROLE)
    neptune.trouble = [429, 500, 503]
    assert follow_load(client, load_id, NullProgress(), poll_seconds=0).status == "LOAD_COMPLETED"
    neptune.trouble = [500] * 5
    with pytest.raises(NeptuneError, match=f"--load-id {load_id}"):
        follow_load(client, load_id, NullProgress(), poll_seconds=0)
    with pytest.raises(NeptuneError, match="refused with 400"):
        follow_load(client, "load-unknown", NullProgress(), poll_seconds=0)


def test_a_refused_start_is_told_and_not_repeated(client, neptune, source):
    prefix, _ = source()
    neptune.trouble = [500]
    with pytest.raises(NeptuneError, match="refused with 500"):
        start_load(client, prefix, role=ROLE)
    assert not neptune.loads
    with pytest.raises(UsageError, match="S3 alone"):
        start_load(client, "/local", role=ROLE)


def test_an_endpoint_that_is_none_is_told():
    with pytest.raises(UsageError, match="https://"):
        neptune_client("my-cluster:8182")
