"""A workspace in a real S3 server: published whole or not at all, whatever dies, fails or writes too."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import random
import shutil
import threading
import time

import pytest

from faulty_proxy import Fault
from shelfcheck import remote_workspace
from shelfcheck.errors import WorkspaceError
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.stores import StoreError, lease, open_store
from shelfcheck.stores.mirror import CACHE_VARIABLE
from shelfcheck.workspace import MANIFEST, Manifest, Workspace, utc_now


@pytest.fixture
def place(bucket):
    return f"{bucket}/shop"


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """Opens a workspace as another machine would: with a mirror of its own."""

    def on(name, place):
        with monkeypatch.context() as patch:
            patch.setenv(CACHE_VARIABLE, str(tmp_path / name))
            return open_workspace(place)

    return on


def publish(workspace, artefact, files, fingerprint="f" * 64):
    with workspace.locked():
        return write(workspace, artefact, files, fingerprint)


def write(workspace, artefact, files, fingerprint="f" * 64):
    with workspace.writing(artefact) as folder:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return workspace.publish(folder, Manifest(artefact, fingerprint, created=utc_now()))


def read(workspace, artefact, only=()):
    folder = workspace.path(artefact, made_by="x", only=only)
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def keys(place):
    return set(open_store(place).listing())


def test_what_one_machine_publishes_another_reads(place, machines):
    one, two = machines("one", place), machines("two", place)
    files = {"a.txt": "A", "deep/b.txt": "B", "empty": ""}
    publish(one, "prepared", files)
    assert read(one, "prepared") == read(two, "prepared") == files
    assert two.manifest("prepared").fingerprint == "f" * 64
    assert {one["path"] for one in two.manifest("prepared").files} == set(files)
    assert two.manifest("other") is None
    with pytest.raises(WorkspaceError, match=rf"{place}: no other here yet\. Make it with: x"):
        two.path("other", made_by="x")


def test_a_new_version_replaces_the_old_everywhere(place, machines):
    one, two = machines("one", place), machines("two", place)
    publish(one, "prepared", {"a": "1"}, "a" * 64)
    assert read(two, "prepared") == {"a": "1"}
    publish(one, "prepared", {"b": "2"}, "b" * 64)
    assert read(two, "prepared") == {"b": "2"}
    for workspace in (one, two):
        folders = [path for path in (workspace.root / "prepared").iterdir() if path.is_dir()]
        assert [path.name[:12] for path in folders] == ["b" * 12]
    assert sum(name.startswith("prepared/") for name in keys(place)) == 2  # manifest and file


def test_what_the_store_has_already_is_copied_there(place, machines, monkeypatch):
    one = machines("one", place)
    sent = []
    upload = one._store.upload_jobs
    monkeypatch.setattr(
        one._store, "upload_jobs", lambda file, name: sent.append(file.name) or upload(file, name)
    )
    files = {"a": "A", "deep/b": "B" * 100}
    publish(one, "prepared", files, "a" * 64)
    assert sorted(sent) == ["a", "b"]
    sent.clear()
    files |= {"moved": files.pop("deep/b"), "new": "C"}
    publish(one, "prepared", files, "b" * 64)
    assert sent == ["new"]
    assert read(machines("two", place), "prepared") == files
    gone = next(name for name in keys(place) if name.endswith("/moved"))
    open_store(place).delete([gone])
    publish(one, "prepared", files, "c" * 64)
    assert sent == ["new", "moved"]
    publish(one, "prepared", files, "c" * 64)  # made once more: maybe because an object is damaged
    assert sorted(sent[2:]) == ["a", "moved", "new"]
    assert read(machines("three", place), "prepared") == files


def test_only_what_is_needed_is_fetched(place, machines, proxy):
    publish(machines("one", place), "prepared", {"months.json": "{}", "reviews/big": "x" * 1000})
    two = machines("two", place)
    proxy.requests.clear()
    assert read(two, "prepared", only=("months.json",)) == {"months.json": "{}"}
    assert not any("reviews/big" in request for request in proxy.requests)
    assert set(read(two, "prepared")) == {"months.json", "reviews/big"}


def test_a_mirror_can_be_removed_or_damaged(place, machines):
    one = machines("one", place)
    files = {"a": "aaaa", "b": "bbbb", "c": "cccc"}
    folder = publish(one, "prepared", files)
    shutil.rmtree(one.root)
    assert read(one, "prepared") == files
    (folder / "a").write_text("AAAA")  # of the same size
    (folder / "b").write_text("bb")
    (folder / "c").unlink()
    assert read(one, "prepared") == files
    publish(one, "model", {"m": "1"})
    assert read(machines("two", place), "prepared") == files


def test_an_object_that_is_not_what_the_manifest_says_is_refused(place, machines):
    publish(machines("one", place), "prepared", {"a": "aaaa"})
    (key,) = (name for name in keys(place) if name.endswith("/a"))
    open_store(place).put(key, b"AAAA")
    two = machines("two", place)
    with pytest.raises(StoreError, match=r"/a: damaged: its SHA-256"):
        two.path("prepared", made_by="x")
    assert not [path for path in two.root.rglob("*") if path.name.endswith("a") and path.is_file()]
    open_store(place).delete([key])
    with pytest.raises(WorkspaceError, match=r"nothing is there.*Make prepared again with: x --force"):
        two.path("prepared", made_by="x")


def test_a_workspace_copied_from_a_disk_is_read(place, machines, tmp_path):
    local = Workspace(tmp_path / "disk")
    publish(local, "prepared", {"a": "A", "deep/b": "B"})
    store = open_store(place)
    for path in local.root.rglob("*"):
        if path.is_file():
            store.put(path.relative_to(local.root).as_posix(), path.read_bytes())
    assert read(machines("one", place), "prepared") == {"a": "A", "deep/b": "B"}


def test_a_workspace_copied_to_a_disk_is_read(place, machines, tmp_path):
    publish(machines("one", place), "prepared", {"a": "A"})
    for name in keys(place):
        path = tmp_path / "disk" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(open_store(place).get(name).data)
    assert read(Workspace(tmp_path / "disk"), "prepared") == {"a": "A"}


# Two at once


def test_one_machine_at_a_time_works_in_it(place, machines):
    one, two = machines("one", place), machines("two", place)
    with one.locked():
        with pytest.raises(
            WorkspaceError, match=r"another shelfcheck works in this workspace: .+, process \d+"
        ):
            publish(two, "a", {"x": "2"})
        write(one, "a", {"x": "1"})
    publish(two, "a", {"x": "2"}, "2" * 64)
    assert read(one, "a") == {"x": "2"}


def test_a_dead_machines_lease_runs_out(place, machines):
    dead = lease.Lease(open_store(place), "a machine that died")
    dead.__enter__()
    dead._done.set()  # it renews no more
    one = machines("one", place)
    with pytest.raises(WorkspaceError, match="another shelfcheck works"):
        publish(one, "a", {"x": "1"})
    _a_minute_passes(place)
    publish(one, "a", {"x": "1"})
    assert read(one, "a") == {"x": "1"}


def test_a_lease_that_could_not_be_renewed_is_lost(place):
    dead = lease.Lease(open_store(place), "a machine that sleeps", seconds=0.1)
    dead.__enter__()
    dead._done.set()
    dead._thread.join()
    threading.Event().wait(0.2)
    with pytest.raises(WorkspaceError, match="the lease on this workspace was lost"):
        dead.check()


def test_a_lease_that_is_renewed_does_not_run_out(place, machines, monkeypatch):
    monkeypatch.setattr(
        remote_workspace, "Lease", lambda store, holder: lease.Lease(store, holder, seconds=6.0)
    )
    one, two = machines("one", place), machines("two", place)
    with one.locked():
        _a_minute_passes(place)
        _until(lambda: open_store(place).get(lease.LEASE).age < 6)
        with pytest.raises(WorkspaceError, match="another shelfcheck works"):
            publish(two, "a", {"x": "2"})
        write(one, "a", {"x": "1"})
    assert read(two, "a") == {"x": "1"}


def _a_minute_passes(place):
    """The S3 server is in this process: its object grows older without a wait."""
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    (account,) = pytest.importorskip("moto.backends").get_backend("s3").values()
    account["aws"].buckets[bucket].keys[f"{prefix}/{lease.LEASE}"].last_modified -= dt.timedelta(minutes=1)


def _until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited for half a minute"
        time.sleep(0.1)


def test_of_two_writers_one_wins(place, machines):
    """The second took the lease over while the first slept; the first must not publish over it."""
    one, two = machines("one", place), machines("two", place)
    publish(one, "a", {"x": "0"}, "0" * 64)
    with one.locked():
        one.manifest("a")
        open_store(place).delete([lease.LEASE])  # as if it had run out
        publish(two, "a", {"x": "2"}, "2" * 64)
        with pytest.raises(
            WorkspaceError, match="another shelfcheck has published a meanwhile, and it holds"
        ):
            write(one, "a", {"x": "1"}, "1" * 64)
    assert read(one, "a") == read(two, "a") == {"x": "2"}
    assert sum(name.startswith("a/") for name in keys(place)) == 2, "what lost stays"


def test_many_writers_at_once_leave_one_whole_artefact(place, machines):
    results = []

    def work(n):
        workspace = machines_of[n]
        try:
            with workspace.writing("a") as folder:  # without the lease: the manifest alone must hold
                for i in range(3):
                    (folder / str(i)).write_text(f"{n}")
                workspace.manifest("a")
                started.wait()
                workspace.publish(folder, Manifest("a", f"{n}" * 64, created=utc_now()))
            results.append(n)
        except WorkspaceError:
            pass

    machines_of = [machines(str(n), place) for n in range(4)]
    started = threading.Barrier(4)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    assert read(machines("reader", place), "a") == {str(i): f"{results[0]}" for i in range(3)}


def test_a_reader_outlives_what_is_replaced_while_it_fetches(place, machines, monkeypatch):
    one, two = machines("one", place), machines("two", place)
    publish(one, "a", {"x": "old"}, "0" * 64)
    real, calls = two.manifest, []

    def manifest(artefact):
        found = real(artefact)
        if not calls:
            calls.append(1)
            publish(one, "a", {"y": "new"}, "1" * 64)  # and the objects of the old one are gone
        return found

    monkeypatch.setattr(two, "manifest", manifest)
    assert read(two, "a") == {"y": "new"}


# What dies in the middle


class Killed(BaseException):
    """Stands for a kill: no handler of the program runs on it but `finally`."""


def test_what_was_not_uploaded_is_gone_on_with(place, machines, proxy):
    one = machines("one", place)
    files = {str(i): f"content {i}" for i in range(12)}
    publish(one, "a", {"x": "old"}, "0" * 64)
    proxy.faults.append(
        Fault("error", lambda method, path, _: method == "PUT" and "/a/" in path, times=10**6)
    )
    with pytest.raises(StoreError, match="tried 6 times"):
        publish(one, "a", files, "1" * 64)
    assert read(machines("two", place), "a") == {"x": "old"}
    proxy.faults.clear()
    proxy.requests.clear()
    again = machines("one", place)  # another process on the same machine
    with again.locked():
        assert again.resume("a", "2" * 64) is None or pytest.fail("of another fingerprint")
    with again.locked():
        assert again.resume("a", "1" * 64) is None, "forgotten, because something else was wanted"
    publish(one, "a", files, "1" * 64)
    assert read(machines("two", place), "a") == files


def test_a_finished_stage_is_not_done_again_because_its_upload_failed(place, machines, proxy):
    one = machines("one", place)
    files = {str(i): f"content {i}" for i in range(12)}
    failing = Fault("error", lambda method, path, _: method == "PUT" and path.endswith("/7"), times=10**6)
    proxy.faults.append(failing)
    with pytest.raises(StoreError):
        publish(one, "a", files, "1" * 64)
    proxy.faults.clear()
    again = machines("one", place)
    with again.locked():
        proxy.requests.clear()
        assert again.resume("a", "1" * 64).fingerprint == "1" * 64
    sent = {request.rsplit("/", 1)[1] for request in proxy.requests if request.startswith("PUT")}
    assert "7" in sent
    assert len(sent & set(files)) < 12, "what was there already was sent again"
    assert read(machines("two", place), "a") == files
    with again.locked():
        assert again.resume("a", "1" * 64) is None  # nothing waits any more


@pytest.mark.parametrize("seed", range(5))
def test_killed_anywhere_it_is_the_old_or_the_new(place, machines, monkeypatch, seed):
    chance = random.Random(seed)  # noqa: S311 - no secret
    one = machines("one", place)
    old, new = {"x": "old", "y": "old"}, {"x": "new", "z": "new"}
    publish(one, "a", old, "0" * 64)
    left = chance.randrange(1, 14)
    real = one._store._call

    def call(method, **given):
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return real(method, **given)

    with monkeypatch.context() as patch:
        patch.setattr(one._store, "_call", call)
        with contextlib.suppress(Killed):
            publish(one, "a", new, "1" * 64)
    assert read(machines("two", place), "a") in (old, new)
    again = machines("one", place)
    with again.locked():
        if again.manifest("a").fingerprint != "1" * 64 and again.resume("a", "1" * 64) is None:
            write(again, "a", new, "1" * 64)
    assert read(machines("two", place), "a") == read(again, "a") == new
    assert sum(name.startswith("a/") for name in keys(place)) == 3


def test_a_network_that_fails_now_and_then_loses_nothing(place, machines, proxy):
    chance = random.Random(1)  # noqa: S311 - no secret
    kinds = ("slow_down", "error", "reset", "lost_answer", "truncated", "late")
    one, two = machines("one", place), machines("two", place)
    for turn in range(4):
        proxy.faults[:] = [
            Fault(kind, lambda *_: chance.random() < 0.08, times=10**6, seconds=0.01) for kind in kinds
        ]
        files = {f"{i}": f"{turn} {i}" * 50 for i in range(6)}
        try:
            publish(one, "a", files, f"{turn}" * 64)
            done = files
        except (StoreError, WorkspaceError):
            pass  # bounded: six failures one after the other
        proxy.faults.clear()
        assert read(two, "a") in (done, files)
    assert sum(request.startswith("PUT") for request in proxy.requests) > 30


def test_what_nobody_names_is_removed_when_it_is_old(place, machines, monkeypatch):
    one = machines("one", place)
    publish(one, "a", {"x": "1"}, "1" * 64)
    store = open_store(place)
    orphans = [f"a/{'2' * 12}-01234567/x", f"deep/b/{'3' * 12}-01234567/y"]
    kept = ["raw/file", f"models/versions/linear-1/{'4' * 12}"]
    for name in (*orphans, *kept):
        store.put(name, b"x")
    with one.locked():
        pass
    assert {*orphans, *kept} <= keys(place), "its writer may be alive"
    monkeypatch.setattr(remote_workspace, "LEFT_FOR_DEAD", dt.timedelta(seconds=-5))
    with one.locked():
        pass
    assert not set(orphans) & keys(place)
    assert set(kept) <= keys(place)
    assert read(machines("two", place), "a") == {"x": "1"}


# Files that are no artefact's


def test_copies_at_the_top_follow_their_artefacts(place, machines):
    one, two = machines("one", place), machines("two", place)
    publish(one, "report", {"report.html": "first"}, "1" * 64)
    with one.locked():
        one.show("report", "report.html", "report.html", anew=True)
    assert open_store(place).get("report.html").data == b"first"
    publish(one, "report", {"report.html": "second"}, "2" * 64)
    # It is killed here, before it copied: the next run, anywhere, sees that the copy is an old one.
    with two.locked():
        two.show("report", "report.html", "report.html", anew=False)
    assert open_store(place).get("report.html").data == b"second"
    with two.locked():
        two.withdraw("report.html")
    assert open_store(place).get("report.html") is None


def test_loose_files_are_replaced_on_condition(place, machines):
    one, two = machines("one", place), machines("two", place)
    assert not one.file("models/history.jsonl").exists()
    one.file("models/history.jsonl").write_text("1\n")
    one.wrote("models/history.jsonl")
    assert two.file("models/history.jsonl").read_text() == "1\n"
    stamp = one.stamp("models/history.jsonl")
    two.file("models/history.jsonl").write_text("1\n2\n")
    two.wrote("models/history.jsonl")
    assert one.stamp("models/history.jsonl") != stamp
    one.root.joinpath("models/history.jsonl").write_text("1\nlost\n")
    with pytest.raises(StoreError, match="another process has written it meanwhile"):
        one.wrote("models/history.jsonl")
    assert one.file("models/history.jsonl").read_text() == "1\n2\n"


def test_a_folder_that_was_worked_on_here_is_kept_until_it_changes_elsewhere(place, machines):
    one, two = machines("one", place).child("tuning/s"), machines("two", place).child("tuning/s")
    one.root.mkdir(parents=True)
    (one.root / "study.db").write_text("1")
    one.keep("")
    assert (two.fetch("", ours=True) / "study.db").read_text() == "1"
    (two.root / "study.db").write_text("2 trials")  # and killed before it was kept
    (two.root / "study.db-wal").write_text("more")
    assert (two.fetch("", ours=True) / "study.db").read_text() == "2 trials"
    assert (two.root / "study.db-wal").exists()
    (one.root / "study.db").write_text("3 trials, elsewhere")
    one.keep("")
    assert (two.fetch("", ours=True) / "study.db").read_text() == "3 trials, elsewhere"
    assert not (two.root / "study.db-wal").exists()


def test_a_mirror_that_is_removed_while_it_is_used_is_told(place, machines):
    one = machines("one", place)
    told = "was removed while it was in use"
    with pytest.raises(WorkspaceError, match=told), one.locked():  # noqa: PT012 - it goes in the middle
        shutil.rmtree(one.root)
        (one.root / "x" / "y").write_text("")
    publish(one, "a", {"x": "1"})
    assert json.loads(open_store(place).get(f"a/{MANIFEST}").data)["fingerprint"] == "f" * 64


def test_a_mirror_that_cannot_be_is_told(place, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(WorkspaceError, match="SHELFCHECK_CACHE_DIR"):
        publish(open_workspace(place), "a", {"x": "1"})


def test_what_is_no_store_is_no_workspace(tmp_path):
    for url in ("https://example.org/shop", "hf://datasets/shop"):
        with pytest.raises(StoreError, match="cannot be a workspace"):
            open_workspace(url)
    with pytest.raises(WorkspaceError, match="open_workspace"):
        Workspace("s3://bucket/shop")
    assert type(open_workspace(tmp_path)) is Workspace
