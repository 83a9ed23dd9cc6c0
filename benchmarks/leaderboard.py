"""Train and judge every model, and the original's settings, on the same split of prepared reviews.

    python benchmarks/leaderboard.py shop --output leaderboard.md
    python benchmarks/leaderboard.py shop --methods linear tfidf_svm tfidf_svm:original --threads 2

`shop` is a workspace in which reviews were prepared; it is not changed. Everything goes through the public
API: `api.train` registers each model in a workspace of its own, `api.leaderboard` compares them review by
review. Each model is trained in a process of its own, so that its peak memory is its own; what all share
(the encoded reviews, compiled kernels) is made before by a process that is not counted. A method is a
model, or `model:preset`. One whose packages are not installed is left out with a note. `reviews/s` is from
raw texts in memory to probabilities, for about two seconds; `x` is the training time beside that of the
first method.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from shelfcheck import api
from shelfcheck.errors import MissingExtraError
from shelfcheck.models.leaderboard import MEASURES
from shelfcheck.models.presets import PRESETS, preset_overrides

METHODS = (
    "linear",
    "tfidf_svm",
    "tfidf_svm:original",
    "embedding",
    *(f"embedding:{name}" for name in PRESETS["embedding"]),
)
WARM_UP = "warm-up"
LEFT_OUT = 3  # exit code of a process whose model needs packages that are not installed


def overrides(method: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of a method."""
    model, _, preset = method.partition(":")
    chosen = preset_overrides(model, preset) if preset else {"train.model": model}
    shared = {
        "train.label": arguments.label,
        "train.split": arguments.split,
        "train.split_date": arguments.split_date,
        "run.seed": arguments.seed,
        "run.threads": arguments.threads,
    }
    given = dict(pair.split("=", 1) for pair in arguments.set)
    return chosen | shared | {key: value for key, value in given.items() if key.startswith(f"train.{model}.")}


def one(method: str, arguments: argparse.Namespace) -> None:
    """Train and judge one method; prints what the parent wants to know as JSON."""
    workspace = arguments.workspace
    if method == WARM_UP:  # trains without registering
        api.evaluate(workspace, overrides=overrides("linear", arguments) | {"train.linear.epochs": 1})
        print("{}")
        return
    settings = overrides(method, arguments)
    try:
        trained = api.train(workspace, overrides=settings)
        version = trained.counts["version"]
    except (MissingExtraError, ImportError) as error:
        print(json.dumps({"left_out": str(error)}))
        sys.exit(LEFT_OUT)
    print(json.dumps({"version": version}))


def in_a_process(method: str, arguments: argparse.Namespace, workspace: Path) -> dict[str, Any]:
    """Run `one` in a process of its own."""
    command = [sys.executable, __file__, str(workspace), "--one", method]
    for name in ("label", "split", "split_date", "seed", "threads"):
        if getattr(arguments, name) is not None:
            command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    for pair in arguments.set:
        command += ["--set", pair]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in {0, LEFT_OUT}:
        raise SystemExit(f"{method}: failed with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(workspace: Path, methods: dict[str, dict[str, Any]]) -> str:
    """The leaderboard as Markdown, versions under their methods' names."""
    named = {found["version"]: method for method, found in methods.items()}
    columns = [
        "model",
        "accuracy",
        "macro F1",
        "calibration error",
        "coverage at 95 %",
        "points behind",
        "p",
        "train s",
        "x",
        "peak MB",
        "disk MB",
        "reviews/s",
    ]
    lines = []
    for group in api.leaderboard(workspace).groups:
        first = next(iter(methods.values()))["version"]
        base = next((row.train_seconds for row in group.rows if row.version == first), None)
        lines += [f"{group.title()}:", "", f"| {' | '.join(columns)} |"]
        lines.append(f"|---|{'---:|' * (len(columns) - 1)}")
        for row in group.rows:
            if row.version not in named:
                continue
            method = named[row.version]
            behind = ""
            if row.difference is not None:
                ends = [-100 * row.difference.high, -100 * row.difference.low]
                behind = f"{-100 * row.difference.estimate:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"
            cells = [
                method,
                *(row.measures[name].text() if name in row.measures else "" for name in MEASURES),
                behind,
                "" if row.p_adjusted is None else f"{row.p_adjusted:.4f}",
                f"{row.train_seconds:,.1f}",
                f"{row.train_seconds / base:.1f}" if base else "",
                f"{row.peak_memory_mb:,}",
                f"{row.bytes / 1e6:,.1f}",
                f"{row.reviews_per_second or 0:,}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Parse arguments, run every method, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("workspace", type=Path, help="a workspace with prepared reviews")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="MODEL[:PRESET]")
    parser.add_argument("--label", default="product_category")
    parser.add_argument("--split", default="product")
    parser.add_argument("--split-date")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="of a model's section"
    )
    parser.add_argument("--keep", type=Path, help="keep the models in this workspace")
    parser.add_argument("--output", type=Path, help="write the Markdown here too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one, arguments)
        return
    with tempfile.TemporaryDirectory() as scratch:
        workspace = arguments.keep or Path(scratch)
        workspace.mkdir(parents=True, exist_ok=True)
        if not (workspace / "prepared").exists():
            (workspace / "prepared").symlink_to((arguments.workspace / "prepared").resolve())
        remembered = arguments.workspace / "settings.toml"
        if remembered.exists():
            (workspace / "settings.toml").write_bytes(remembered.read_bytes())
        in_a_process(WARM_UP, arguments, workspace)
        methods = {}
        notes = []
        for method in arguments.methods:
            found = in_a_process(method, arguments, workspace)
            print(f"{method}: {found}", file=sys.stderr, flush=True)
            if "left_out" in found:
                notes.append(f"`{method}` was left out: {found['left_out']}")
            else:
                methods[method] = found
        threads = arguments.threads or len(os.sched_getaffinity(0))
        text = f"{table(workspace, methods)}\n{threads} threads, Python {platform.python_version()}.\n"
        text += "".join(f"\n{note}\n" for note in notes)
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
