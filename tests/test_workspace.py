from __future__ import annotations

import json

import pytest

from shelfcheck.errors import WorkspaceError
from shelfcheck.workspace import Manifest, Workspace, copy_atomically, write_atomically


def publish(workspace: Workspace, artefact: str, text: str, fingerprint: str = "f" * 64) -> None:
    with workspace.locked(), workspace.writing(artefact) as folder:
        (folder / "data.txt").write_text(text)
        workspace.publish(folder, Manifest(artefact, fingerprint))


def read(workspace: Workspace, artefact: str) -> str:
    return (workspace.path(artefact, made_by="x") / "data.txt").read_text()


def test_published_artefact_is_found_through_its_manifest(tmp_path):
    workspace = Workspace(tmp_path / "ws")
    publish(workspace, "prepared", "one")
    assert read(workspace, "prepared") == "one"
    assert workspace.manifest("prepared").fingerprint == "f" * 64


def test_a_new_version_replaces_the_old_and_leaves_no_litter(tmp_path):
    workspace = Workspace(tmp_path)
    publish(workspace, "prepared", "one", "a" * 64)
    publish(workspace, "prepared", "two", "b" * 64)
    publish(workspace, "prepared", "three", "b" * 64)
    assert read(workspace, "prepared") == "three"
    folders = [entry for entry in (tmp_path / "prepared").iterdir() if entry.is_dir()]
    assert len(folders) == 1
    assert not list((tmp_path / ".tmp").iterdir())


def test_what_fails_while_writing_is_not_published(tmp_path):
    workspace = Workspace(tmp_path)
    publish(workspace, "prepared", "one")

    def fail() -> None:
        with workspace.locked(), workspace.writing("prepared") as folder:
            (folder / "data.txt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read(workspace, "prepared") == "one"


def test_a_killed_publish_leaves_the_old_version(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path)
    publish(workspace, "prepared", "one", "a" * 64)

    def killed(path, text):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shelfcheck.workspace.write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(workspace, "prepared", "two", "b" * 64)
    assert read(workspace, "prepared") == "one"
    publish(workspace, "prepared", "two", "b" * 64)
    assert read(workspace, "prepared") == "two"


def test_litter_of_a_killed_run_is_cleared_by_the_next(tmp_path):
    litter = tmp_path / ".tmp" / "prepared-0000"
    litter.mkdir(parents=True)
    with Workspace(tmp_path).locked():
        assert not litter.exists()


def test_a_second_writer_is_refused(tmp_path):
    with (
        Workspace(tmp_path).locked(),
        pytest.raises(WorkspaceError, match="another shelfcheck works"),
        Workspace(tmp_path).locked(),
    ):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}'])
def test_a_broken_manifest_is_an_error_that_names_the_fix(tmp_path, text):
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "manifest.json").write_text(text)
    with pytest.raises(WorkspaceError, match="rebuild"):
        Workspace(tmp_path).manifest("prepared")


def test_a_missing_artefact_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(WorkspaceError, match="shelfcheck prepare"):
        Workspace(tmp_path).path("prepared", made_by="shelfcheck prepare")


def test_a_removed_folder_is_told(tmp_path):
    (tmp_path / "model").mkdir()
    values = {"artefact": "model", "fingerprint": "a", "folder": "gone", "format": 1}
    (tmp_path / "model" / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(WorkspaceError, match="named by the manifest but missing"):
        Workspace(tmp_path).path("model", made_by="shelfcheck train")


def test_a_file_in_place_of_the_workspace_is_an_error(tmp_path):
    file = tmp_path / "ws"
    file.write_text("")
    with pytest.raises(WorkspaceError, match="cannot be used as a workspace"), Workspace(file).locked():
        pass


def test_atomic_writes_leave_only_the_target(tmp_path):
    write_atomically(tmp_path / "a.txt", "text")
    copy_atomically(tmp_path / "a.txt", tmp_path / "b.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]
    assert (tmp_path / "b.txt").read_text() == "text"
