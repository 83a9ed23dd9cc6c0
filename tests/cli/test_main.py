from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shelfcheck import __version__
from shelfcheck.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]
HEAVY = ("altair", "duckdb", "jinja2", "numba", "numpy", "pyarrow", "sklearn", "torch", "pyspark")


def shelfcheck(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shelfcheck", *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_version():
    done = shelfcheck("--version")
    assert done.stdout.strip() == f"shelfcheck, version {__version__}"
    assert done.returncode == 0


@pytest.mark.parametrize("module", ["shelfcheck", "shelfcheck.api", "shelfcheck.cli.main"])
def test_importing_pulls_in_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_command_loads_pandas(tmp_path):
    """pyarrow would, at its first array; see `cli.lean`."""
    pytest.importorskip("pandas")
    code = (
        "import sys\nfrom shelfcheck.cli.main import main\n"
        "sys.argv = ['shelfcheck', 'generate', 'reviews', '--reviews', '50', '-q']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "assert 'pyarrow' in sys.modules\nprint('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["False"], done.stderr


def test_help_names_every_command():
    told = shelfcheck("--help").stdout
    assert [name for name in COMMANDS if name not in told] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name):
    import click

    context = click.Context(cli, info_name="shelfcheck")
    command = cli.get_command(context, name)
    text = command.get_help(click.Context(command, info_name=name, parent=context))
    assert f"shelfcheck {name}" in text.partition("Examples:")[2]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["rum"], 2, "Did you mean 'run'?"),
        (["run"], 2, "--source"),
        (["train", "--nonsense"], 2, "No such option"),
        (["train", "-s", "nonsense"], 2, "write key=value"),
        (["train", "-s", "train.linear.epochs=0"], 2, "train.linear.epochs == 0, must be greater"),
        (["train", "--config", "none.toml"], 2, "none.toml: no such file"),
        (["train"], 1, "shelfcheck prepare SOURCE"),
        (["run", "--source", "nothing-here.tsv"], 1, "nothing-here.tsv"),
        (["evaluate", "--engine", "spark"], 2, "runs on this machine only"),
        (["train", "--engine", "spark"], 2, "--set train.linear.shards=8"),
        (["predict", "--text", "great", "--engine", "spark"], 2, "on this machine only"),
        (["graph", "query", "--engine", "spark"], 2, "`shelfcheck graph query` runs on this machine only"),
    ],
)
def test_wrong_use_is_told_without_a_traceback(tmp_path, arguments, code, told):
    done = shelfcheck(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_config_prints_a_settings_file_that_holds(tmp_path):
    (tmp_path / "shelfcheck.toml").write_text(shelfcheck("config", cwd=tmp_path).stdout)
    values = json.loads(shelfcheck("config", "--json", "--set", "run.seed=3", cwd=tmp_path).stdout)
    assert values["settings"]["run"]["seed"] == 3
    assert values["from"]["run.seed"] == "--set"
    assert values["from"]["run.threads"] == "shelfcheck.toml"


def test_a_closed_pipe_is_no_error(tmp_path):
    command = f"{sys.executable} -m shelfcheck config | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == "[source]\n"
    assert done.stderr == ""


def test_reference_pages_are_what_the_code_says():
    # In a process of its own: click keeps the help option of the context that asked first.
    lines = (
        "import runpy; pages = runpy.run_path('docs/generate.py')['pages']()",
        "print(*(p.name for p, text in pages.items() if p.read_text(encoding='utf-8') != text))",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "", "run `make docs`"
