from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score

from review_corpus import reviews, write_prepared
from shelfcheck import api
from shelfcheck.config import validate
from shelfcheck.errors import UsageError, WorkspaceError
from shelfcheck.models.examples import Examples
from shelfcheck.progress import NullProgress
from shelfcheck.report import ReportInputs, write_report
from shelfcheck.settings_file import resolve
from shelfcheck.tuning import SPACES, space_of, tune
from shelfcheck.tuning.objective import Task, macro_f1
from shelfcheck.tuning.run import with_model
from shelfcheck.tuning.space import Dimension, Space

optuna = pytest.importorskip("optuna")

# A rate at which nothing is learned stands as the default; a good one is within the bounds.
BAD = {"learning_rate": 1e-4, "epochs": 1, "hash_bits": 14}
PLANTED = Space("linear", "planted", (Dimension("learning_rate", 1e-4, 5.0, log=True),))


@pytest.fixture(scope="module")
def settings():
    return validate({"run": {"threads": 1}, "train": {"linear": BAD}})


@pytest.fixture(scope="module")
def examples(settings):
    return Examples.of_table(reviews(), settings.train.linear, settings.text, 1)


def run(examples, settings, folder, trials=6, **values):
    return tune(examples, settings, PLANTED, folder, NullProgress(), trials=trials, **values)


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda one: f"{one.model}-{one.name}")
def test_every_space_is_one_of_settings(space):
    """The ends of each dimension, and what is held, are valid settings of the model."""
    for end in (0, -1):
        values = {one.name: one.choices[end] if one.choices else one.bounds[end] for one in space.dimensions}
        values = {
            one.name: int(values[one.name]) if one.whole else values[one.name] for one in space.dimensions
        }
        made = with_model(validate({}), space, values)
        assert made.train.model == space.model
        section = getattr(made.train, space.model)
        assert {name: getattr(section, name) for name in values} == values
        assert {name: getattr(section, name) for name in space.base} == dict(space.base)
    defaults = getattr(validate({}).train, space.model)
    if space.name == "default":  # so that the study begins with the defaults, whole
        assert [one.name for one in space.dimensions if not one.holds(getattr(defaults, one.name))] == []


def test_the_originals_space():
    bounds = {one.name: one.bounds for one in space_of("embedding", "original").dimensions}
    assert bounds["word_ngrams"] == (2, 10)
    assert bounds["vector_dim"] == (32, 300)
    assert bounds["epochs"] == (5, 50)
    with pytest.raises(UsageError, match="it has default, original"):
        space_of("embedding", "nonsense")


def test_finds_a_planted_good_setting_goes_on_and_trains(examples, settings, tmp_path):
    first = run(examples, settings, tmp_path, trials=4)
    assert first.trials["trial"].to_pylist() == [0, 1, 2, 3]
    assert first.trials["learning_rate"][0].as_py() == pytest.approx(1e-4)  # what the settings said
    again = run(examples, settings, tmp_path, trials=8)
    assert again.trials["trial"].to_pylist() == list(range(8))
    assert again.trials.slice(0, 4).equals(first.trials)
    rates = again.trials["learning_rate"].to_pylist()
    assert len(set(rates)) == 8, "a resumed study drew what it had drawn before"
    assert again.best_value > again.default_value + 0.2
    assert again.best.train.linear.learning_rate > 0.01
    assert run(examples, settings, tmp_path, trials=8).trials.equals(again.trials)

    found = resolve(tmp_path / "best.toml").settings
    assert found.train == again.best.train
    assert "[run]" not in (tmp_path / "best.toml").read_text()
    assert pq.read_table(tmp_path / "trials.parquet").equals(again.trials)
    assert len(json.loads((tmp_path / "trials.json").read_text())) == 8
    assert (tmp_path / "trials.csv").read_text().count("\n") == 9
    page = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "http" not in page.partition("</style>")[2].partition('<script type="application/json"')[0]
    for told in ("chart-history", "chart-parallel", "chart-slice-learning-rate", f"{again.best_value:.4f}"):
        assert told in page


def test_a_study_of_something_else_is_not_mixed_in(examples, settings, tmp_path):
    run(examples, settings, tmp_path, trials=1)
    with pytest.raises(WorkspaceError, match=r"something else \(metric\)"):
        run(examples, settings, tmp_path, trials=2, metric="macro_f1")
    with pytest.raises(WorkspaceError, match=r"something else \(reviews\)"):
        run(examples, settings, tmp_path, trials=2, made_for="others")
    other = settings.model_copy(update={"train": settings.train.model_copy(update={"test_share": 0.3})})
    with pytest.raises(WorkspaceError, match=r"something else \(held\)"):
        run(examples, other, tmp_path, trials=2)
    begun = run(examples, settings, tmp_path, trials=1, metric="macro_f1", afresh=True)
    assert begun.trials["trial"].to_pylist() == [0]


def test_an_interrupted_trial_is_tried_again(examples, settings, tmp_path):
    class Stop:
        def start(self, *given):
            pass

        def finish(self):
            pass

        def advance(self, n, **told):
            if told:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(examples, settings, PLANTED, tmp_path, Stop(), trials=5)
    assert (tmp_path / "best.toml").exists()
    study = optuna.load_study(study_name="shelfcheck", storage=f"sqlite:///{tmp_path / 'study.db'}")
    asked = study.ask({"learning_rate": optuna.distributions.FloatDistribution(1e-4, 5.0, log=True)})
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    found = run(examples, settings, tmp_path, trials=3)
    states = dict(zip(found.trials["trial"].to_pylist(), found.trials["state"].to_pylist(), strict=True))
    assert states[asked.number] == "interrupted"
    assert sum(state != "interrupted" for state in states.values()) == 3
    retried = found.trials["learning_rate"].to_pylist()
    assert retried.count(asked.params["learning_rate"]) == 2


def test_steps_grow_and_share_no_product_with_validation(examples, settings, monkeypatch):
    from shelfcheck.tuning import objective

    monkeypatch.setattr(objective, "LEAST_REVIEWS", 10)
    task = Task.of(examples, settings, "accuracy")
    assert task.steps == (1, 3, 9)
    one, three, nine = (set(rows.tolist()) for rows in task.rows)
    assert one < three < nine
    bucket = examples.encoded.bucket
    assert not set(bucket[task.held].tolist()) & set(bucket[task.rows[-1]].tolist())
    assert bucket[task.held].min() >= 200  # the first fifth is the test's
    assert bucket[task.rows[-1]].min() >= 300
    assert len(Task.of(examples, settings, "accuracy", 0.5).rows[-1]) < len(nine)


def test_bad_trials_are_stopped_early(examples, settings, tmp_path, monkeypatch):
    from shelfcheck.tuning import objective

    monkeypatch.setattr(objective, "LEAST_REVIEWS", 10)
    found = run(examples, settings, tmp_path, trials=14)
    rows = found.trials.to_pylist()
    stopped = [row for row in rows if row["state"] == "stopped early"]
    assert stopped
    assert all(row["value_9"] is None and row["value"] is None for row in stopped)
    assert all(row["value_9"] == row["value"] for row in rows if row["state"] == "done")


def test_settings_that_leave_nothing_to_learn_are_stopped_and_told(examples, settings, tmp_path):
    space = Space("linear", "rare", (Dimension("min_document_frequency", choices=(2, 10**6)),))
    found = tune(examples, settings, space, tmp_path, NullProgress(), trials=8)
    why = [row["why"] for row in found.trials.to_pylist() if row["min_document_frequency"] == 10**6]
    assert why
    assert all("min_document_frequency" in text for text in why)
    assert found.best.train.linear.min_document_frequency == 2


def test_several_jobs_and_a_timeout(examples, settings, tmp_path):
    found = run(examples, settings, tmp_path / "a", trials=4, jobs=2)
    assert found.trials.num_rows >= 4
    started = time.monotonic()
    run(examples, settings, tmp_path / "b", trials=10_000, timeout=0.02)
    assert time.monotonic() - started < 60  # ten thousand trials take minutes


def test_macro_f1_is_scikit_learns():
    random = np.random.default_rng(0)
    labels = random.integers(-1, 4, 300).astype(np.int16)
    predicted = random.integers(0, 5, 300)
    expected = f1_score(labels, predicted, average="macro", labels=np.unique(labels), zero_division=0)
    assert macro_f1(labels, predicted, 5) == pytest.approx(expected)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    from shelfcheck.workspace import Manifest, Workspace

    home = Workspace(tmp_path_factory.mktemp("shop"))
    with home.locked(), home.writing("prepared") as out:
        write_prepared(reviews(), out)
        home.publish(out, Manifest("prepared", "0" * 16))
    return home.root


def command(*arguments):
    return [sys.executable, "-m", "shelfcheck", *arguments]


def test_command_tunes_and_train_takes_the_best(workspace, tmp_path):
    given = ["-w", str(workspace), "-q", "--json", "--threads", "1", "-s", "train.linear.hash_bits=14"]
    tuned = ["tune", "--model", "linear", "--label", "product_category", "--trials", "3", *given]
    done = subprocess.run(command(*tuned), capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["trials"] == 3
    assert told["folder"].endswith("tuning/linear-product_category")
    assert set(told["best"]) == {one.name for one in space_of("linear").dimensions}
    trained = api.train(workspace, config=told["config"], overrides={"run.threads": 1})
    report = write_report(ReportInputs(tuning=workspace / "tuning"), tmp_path / "r.html", validate({}))
    assert 'id="chart-study-0-history"' in report.read_text(encoding="utf-8")
    card = json.loads((trained.folder / "card.json").read_text(encoding="utf-8"))
    assert {name: card["settings"][name] for name in told["best"]} == told["best"]


def test_dry_run_shows_the_space(tmp_path):
    done = subprocess.run(
        command(
            "tune", "--model", "embedding", "--space", "original", "--dry-run", "-w", str(tmp_path / "w")
        ),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "vector_dim" in done.stdout
    assert "32 – 300" in done.stdout
    assert not (tmp_path / "w").exists()


def test_killed_study_opens_and_goes_on(workspace, tmp_path):
    study = workspace / "tuning" / "linear-product_category-killed"
    code = (
        "import sys; from shelfcheck.tuning import space as s\n"
        "from dataclasses import replace; one = s.SPACES['linear', 'default']\n"
        "s.SPACES['linear', 'killed'] = replace(one, name='killed')\n"
        "from shelfcheck import api\n"
        "r = api.tune(sys.argv[1], 'linear', space='killed', trials=int(sys.argv[2]),\n"
        "    overrides={'run.threads': 1, 'train.linear.hash_bits': 14})\n"
        "print(r.trials.num_rows, r.best_trial)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(workspace), "100000"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 300
        done = 0
        while done < 2 and time.monotonic() < deadline:
            time.sleep(0.3)
            if (study / "study.db").exists():
                import sqlite3

                connection = sqlite3.connect(study / "study.db")
                try:
                    query = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
                    done = connection.execute(query).fetchone()[0]
                except sqlite3.OperationalError:
                    pass  # the tables are being made
                finally:
                    connection.close()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert done >= 2
    after = subprocess.run(
        [sys.executable, "-c", code, str(workspace), str(done + 3)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert after.returncode == 0, after.stderr
    assert int(after.stdout.split()[0]) >= done + 3
    assert (study / "best.toml").exists()
