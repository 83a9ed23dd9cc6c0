from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from shelfcheck.errors import UsageError, WorkspaceError
from shelfcheck.models.registry import ALIASES_FILE, CHALLENGER, CHAMPION, Registry
from shelfcheck.workspace import Workspace


def trained(folder, content: str = "weights", *, model: str = "linear", label: str = "product_category"):
    """A stand-in for what training and evaluation leave: the registry does not look inside."""
    (folder / "model" / "tokens").mkdir(parents=True, exist_ok=True)
    (folder / "evaluation").mkdir(exist_ok=True)
    (folder / "model" / "model.safetensors").write_text(content)
    (folder / "model" / "tokens" / "vocabulary.txt").write_text("words")
    (folder / "model" / "card.json").write_text(json.dumps({"model": model, "format": 1}))
    (folder / "evaluation" / "evaluation.json").write_text("{}")
    (folder / "evaluation" / "held_out.parquet").write_text("rows")
    counts = {
        "model": model,
        "label": label,
        "split": "product",
        "train_seconds": 1.5,
        "peak_memory_mb": 200,
        "accuracy": 0.9,
        "macro_f1": 0.8,
        "ece": 0.01,
        "reviews_per_second": 1000,
    }
    return folder / "model", folder / "evaluation", counts


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "shop")


def add(registry, tmp_path, content, **kind):
    return registry.register(*trained(tmp_path / "stages", content, **kind))


def test_the_first_version_is_champion_and_the_same_model_is_one_version(registry, tmp_path):
    one = add(registry, tmp_path, "a")
    assert (one.version, one.accuracy, one.reviews_per_second) == ("linear-1", 0.9, 1000)
    assert add(registry, tmp_path, "a") == one
    two = add(registry, tmp_path, "b")
    other = add(registry, tmp_path, "c", model="embedding")
    assert {found.version for found in registry.versions()} == {"embedding-1", "linear-1", "linear-2"}
    assert registry.aliases() == {CHAMPION: "linear-1"}
    assert registry.resolve(CHAMPION) == registry.resolve("linear-1") == one
    assert {two.digest, other.digest, one.digest} == {found.digest for found in registry.versions()}
    assert sorted(one.sha256) == [
        "card.json",
        "evaluation.json",
        "held_out.parquet",
        "model.safetensors",
        "tokens/vocabulary.txt",
    ]
    assert one.bytes == sum((one.folder / name).stat().st_size for name in one.sha256)


def test_files_of_a_version_are_read_only(registry, tmp_path):
    one = add(registry, tmp_path, "a")
    assert {path.stat().st_mode & 0o777 for path in one.folder.rglob("*") if path.is_file()} == {0o444}


def test_a_model_without_evaluation(registry, tmp_path):
    folder, _, counts = trained(tmp_path / "stages")
    one = registry.register(folder, None, {name: counts[name] for name in list(counts)[:5]})
    assert one.accuracy is None
    assert "evaluation.json" not in one.sha256
    assert registry.verify("linear-1") == one


def test_promote_and_roll_back_by_history(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("USER", "ada")
    for content in "abc":
        add(registry, tmp_path, content)
    registry.promote("linear-2")
    registry.promote("linear-2")  # it is champion already: no change, no line
    registry.promote("linear-3", CHALLENGER)
    registry.promote(CHALLENGER)
    assert registry.aliases() == {CHAMPION: "linear-3", CHALLENGER: "linear-3"}
    assert registry.aliases_of("linear-3") == [CHALLENGER, CHAMPION]
    assert registry.rollback().version == "linear-2"
    assert registry.rollback().version == "linear-1"
    with pytest.raises(WorkspaceError, match="champion has named linear-1 only"):
        registry.rollback()
    registry.promote("linear-3")
    assert registry.rollback().version == "linear-1"
    told = [
        (change.what, change.alias, change.before, change.after, change.who) for change in registry.history()
    ]
    assert told == [
        ("register", None, None, "linear-1", "ada"),
        ("promote", CHAMPION, None, "linear-1", "ada"),
        ("register", None, None, "linear-2", "ada"),
        ("register", None, None, "linear-3", "ada"),
        ("promote", CHAMPION, "linear-1", "linear-2", "ada"),
        ("promote", CHALLENGER, None, "linear-3", "ada"),
        ("promote", CHAMPION, "linear-2", "linear-3", "ada"),
        ("rollback", CHAMPION, "linear-3", "linear-2", "ada"),
        ("rollback", CHAMPION, "linear-2", "linear-1", "ada"),
        ("promote", CHAMPION, "linear-1", "linear-3", "ada"),
        ("rollback", CHAMPION, "linear-3", "linear-1", "ada"),
    ]


@given(st.lists(st.one_of(st.integers(0, 3), st.none()), max_size=12))
@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rollback_undoes_promotions_in_order(tmp_path_factory, moves):
    tmp_path = tmp_path_factory.mktemp("registry")
    registry = Registry(tmp_path / "shop")
    for content in "abcd":
        add(registry, tmp_path, content)
    stack = [1]
    for move in moves:
        if move is None and len(stack) > 1:
            stack.pop()
            registry.rollback()
        elif move is not None:
            registry.promote(f"linear-{move + 1}")
            if stack[-1] != move + 1:
                stack.append(move + 1)
        assert registry.aliases() == {CHAMPION: f"linear-{stack[-1]}"}


def test_labels_are_kept_apart(registry, tmp_path):
    add(registry, tmp_path, "a")
    add(registry, tmp_path, "b", label="star_rating")
    add(registry, tmp_path, "c", label="star_rating")
    assert registry.aliases() == {CHAMPION: "linear-1", "champion:star_rating": "linear-2"}
    with pytest.raises(
        UsageError, match=r"predicts star_rating, champion .linear-1. predicts product_category"
    ):
        registry.promote("linear-3")
    with pytest.raises(UsageError, match="champion:star_rating is for star_rating"):
        registry.promote("linear-1", "champion:star_rating", force=True)
    registry.promote("linear-3", "champion:star_rating")
    registry.promote("linear-3", force=True)
    assert registry.aliases() == {CHAMPION: "linear-3", "champion:star_rating": "linear-3"}
    with pytest.raises(UsageError, match="must be champion or challenger"):
        registry.promote("linear-1", "favourite")


def test_unknown_names_list_the_nearest(registry, tmp_path):
    with pytest.raises(WorkspaceError, match="no model is registered here"):
        registry.resolve("linear-1")
    add(registry, tmp_path, "a")
    with pytest.raises(WorkspaceError, match=r"no version or alias 'linaer-1'. Nearest: linear-1"):
        registry.resolve("linaer-1")
    with pytest.raises(WorkspaceError, match="Nearest: champion"):
        registry.promote("champio")
    for name in ("", "..", "../versions/linear-1", "linear-1/tokens"):
        with pytest.raises(WorkspaceError, match="no version or alias"):
            registry.resolve(name)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda home: (home / "model.safetensors").write_text("other"), "model.safetensors has changed"),
        (lambda home: (home / "card.json").unlink(), "card.json is missing"),
        (lambda home: (home / "code.py").write_text("1"), "code.py was added"),
    ],
)
def test_a_damaged_version_is_told_and_not_promoted(registry, tmp_path, damage, told):
    add(registry, tmp_path, "a")
    two = add(registry, tmp_path, "b")
    registry.verify("linear-2")
    (two.folder / "model.safetensors").chmod(0o644)
    damage(two.folder)
    for attempt in (registry.verify, registry.promote, registry.load):
        with pytest.raises(WorkspaceError, match=told):
            attempt("linear-2")
    assert registry.aliases() == {CHAMPION: "linear-1"}


def test_broken_files_are_told(registry, tmp_path):
    one = add(registry, tmp_path, "a")
    (registry.root / ALIASES_FILE).write_text("[")
    with pytest.raises(WorkspaceError, match=r"aliases\.json: cannot be read"):
        registry.resolve(CHAMPION)
    (registry.root / ALIASES_FILE).write_text('["linear-1"]')
    with pytest.raises(WorkspaceError, match="not a mapping"):
        registry.aliases()
    (registry.root / ALIASES_FILE).write_text('{"champion": "linear-9"}')
    with pytest.raises(WorkspaceError, match="champion names linear-9, which is not here"):
        registry.resolve(CHAMPION)
    registry.promote("linear-1")
    assert registry.resolve(CHAMPION) == one
    (one.folder / "version.json").chmod(0o644)
    (one.folder / "version.json").write_text(json.dumps(one.to_json() | {"format": 9}))
    with pytest.raises(WorkspaceError, match="of format 9"):
        registry.versions()
    (one.folder / "version.json").write_text("{}")
    with pytest.raises(WorkspaceError, match=r"version\.json: cannot be read"):
        registry.resolve("linear-1")


def test_a_change_that_was_recorded_but_not_made_is_undone(registry, tmp_path, monkeypatch):
    for content in "abc":
        add(registry, tmp_path, content)
    registry.promote("linear-2")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "write", killed)
        for change in (lambda: registry.promote("linear-3"), registry.rollback):
            with pytest.raises(KeyboardInterrupt):
                change()
    assert registry.aliases() == {CHAMPION: "linear-2"}
    with (registry.root / "history.jsonl").open("a") as file:
        file.write('{"when": "2026-')  # and half a line
    assert registry.rollback().version == "linear-1"
    assert [change.what for change in registry.history()].count("undone") == 2


def test_a_version_whose_registration_was_cut_short_is_introduced_later(registry, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_introduce", lambda *_: None)
        add(registry, tmp_path, "a")
    assert registry.aliases() == {}
    assert add(registry, tmp_path, "a").version == "linear-1"
    assert registry.aliases() == {CHAMPION: "linear-1"}


def test_what_is_no_model_is_refused(registry, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkspaceError, match="no model here"):
        registry.register(tmp_path / "empty", None, {})
    assert registry.versions() == []


def test_another_process_that_changes_the_registry_is_waited_for(registry, tmp_path):
    add(registry, tmp_path, "a")
    with Workspace(registry.root).locked(), pytest.raises(WorkspaceError, match="another shelfcheck works"):
        registry.promote("linear-1", CHALLENGER)
    with Workspace(registry.root.parent).locked():  # a training does not keep anyone from promoting
        registry.promote("linear-1", CHALLENGER)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_registry import trained
from shelfcheck.models.registry import Registry
stages = Path(sys.argv[1])
registry = Registry(stages.parent / "shop")
for n in range(10_000):
    print(n, flush=True)
    registry.register(*trained(stages, str(n) * 100_000))
"""


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.011])
def test_a_killed_registration_leaves_no_half_version(tmp_path, delay):
    code = KILLED.format(tests=os.path.dirname(__file__))  # noqa: PTH120
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "stages")], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.strip() == "5":
            break
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    registry = Registry(tmp_path / "shop")
    found = registry.versions()
    assert len(found) >= 5
    for version in found:
        registry.verify(version.version)
    assert {path.name for path in (registry.root / "versions").iterdir()} == {one.version for one in found}
    assert registry.resolve(CHAMPION).version == "linear-1"
    after = add(registry, tmp_path, "after")
    assert after.version == f"linear-{len(found) + 1}"
    assert list((registry.root / ".tmp").glob("*")) == []
