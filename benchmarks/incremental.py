"""One more month on a workspace: what the run that adds it takes, stage by stage, beside a full run.

    python benchmarks/incremental.py --reviews 1000000

Reviews are generated and sorted by date; those of the last month become one file, the others a file a year.
A workspace is made of the others (not timed), then the month comes, four times: to a copy of that workspace
(`adding`), to others with `train.update = keep` (`keeping`) and `continue` (`continuing`), and to a full run
on all files in an empty one, each a process of its own, in turn. Prepared reviews are compared row by row;
findings by how many of the first hundred are the same, and by the average precision with which they find what
was planted; models by their accuracy on held-out products and of the out-of-fold predictions. What several
months cost in accuracy on real reviews is for `benchmarks/continuing.py`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shelfcheck import api
from shelfcheck.demo import PLANTED, score
from shelfcheck.prepare import iter_prepared
from shelfcheck.workspace import Workspace

RUNS = ("adding", "keeping", "continuing", "full")
UPDATES = {
    "adding": "train.update=retrain",
    "keeping": "train.update=keep",
    "continuing": "train.update=continue",
    "full": "train.update=retrain",
}


def cut(raw: Path, folder: Path) -> tuple[list[Path], Path]:
    """Files of the earlier years and of the last month, all named so that they sort by date."""
    table = pa.concat_tables([pq.read_table(file) for file in sorted(raw.glob("reviews-*.parquet"))])
    days = table["review_date"]
    dated = pc.fill_null(pc.less(days, dt.date(2030, 1, 1)), False)  # noqa: FBT003 - broken rows lie beyond
    last = pc.max(days.filter(dated)).as_py().replace(day=1)
    new = pc.and_(dated, pc.fill_null(pc.greater_equal(days, last), False))  # noqa: FBT003
    folder.mkdir(parents=True)
    added = folder / f"{last:%Y-%m}.parquet"
    pq.write_table(table.filter(new), added)
    old = table.filter(pc.invert(new))
    years = pc.fill_null(pc.if_else(dated.filter(pc.invert(new)), pc.year(old["review_date"]), 0), 0)
    earlier = []
    for year in sorted(pc.unique(years).to_pylist()):
        earlier.append(folder / f"{year:04d}-00.parquet")
        pq.write_table(old.filter(pc.equal(years, year)), earlier[-1])
    return earlier, added


def command(name: str, sources: list[Path], workspace: Path, settings: list[str]) -> dict[str, Any]:
    """Run a command; seconds by stage, and of the whole process."""
    named = [part for source in sources for part in (("--source", source) if name == "run" else (source,))]
    given = [
        sys.executable,
        "-m",
        "shelfcheck",
        name,
        *map(str, named),
        "-w",
        str(workspace),
        "--json",
        "--quiet",
    ]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*given, *(f"--set={one}" for one in settings)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(given)} failed:\n{done.stderr}")
    told = json.loads(done.stdout)
    stages = told["stages"] if name == "run" else [told]
    seconds = {stage["stage"]: 0.0 if stage["fresh"] else stage["seconds"] for stage in stages}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**seconds, "all, with its start": time.perf_counter() - started, "processor time": spent}


def same_rows(one: Path, other: Path) -> bool:
    """Whether the prepared reviews of two workspaces are equal, in their order."""
    folders = [Workspace(place).path("prepared", made_by="run") for place in (one, other)]
    batches = zip(*(iter_prepared(folder) for folder in folders), strict=True)
    return all(first.equals(second) for first, second in batches)


def told(home: Path) -> dict[str, Any]:
    """How many reviews, how many of them new, what keys cost."""
    workspace = Workspace(home / "adding")
    manifest = workspace.manifest("prepared")
    if manifest is None:
        raise SystemExit("nothing was prepared")
    folder = workspace.path("prepared", made_by="run")
    keys = sum(file.stat().st_size for part in ("keys", "falls") for file in (folder / part).iterdir())
    return {
        "reviews": manifest.counts["rows_kept"],
        "added": manifest.counts.get("rows_added", 0),
        "prepared reviews are equal": same_rows(home / "adding", home / "full"),
        "bytes of keys a row read": keys / manifest.counts["rows_read"],
        "bytes of reviews a review": manifest.counts["bytes"] / manifest.counts["rows_kept"],
    }


def accuracies(home: Path) -> dict[str, Any]:
    """Of every run: on held-out products, and out of fold."""
    facts: dict[str, Any] = {}
    for run in RUNS:
        for stage in ("evaluation", "out_of_fold"):
            manifest = Workspace(home / run).manifest(stage)
            facts[f"{stage}, {run}: accuracy"] = 0.0 if manifest is None else manifest.counts["accuracy"]
    return facts


def compared(home: Path, truth: Path) -> dict[str, Any]:
    """Findings of every run beside those of the full one."""
    facts: dict[str, Any] = {}
    for kind, (_, subject) in PLANTED.items():
        first = {}
        for run in RUNS:
            workspace = Workspace(home / run)
            file = workspace.path(kind, made_by="run") / "findings.parquet"
            prepared = workspace.path("prepared", made_by="run")
            facts[f"{kind}, {run}: average precision"] = score(kind, file, truth, prepared).average_precision
            first[run] = set(pq.read_table(file, columns=[subject])[subject].to_pylist()[:100])
            facts[f"{kind}, {run}: of the first {len(first[run])}, as in full"] = 0
        for run, subjects in first.items():
            facts[f"{kind}, {run}: of the first {len(subjects)}, as in full"] = len(subjects & first["full"])
    return facts


def main() -> None:
    """Measure, compare and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reviews", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only-prepare", action="store_true", help="measure `shelfcheck prepare` alone")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    name = "prepare" if options.only_prepare else "run"
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        home = Path(scratch)
        api.generate(home / "raw", reviews=options.reviews, seed=1)
        earlier, added = cut(home / "raw", home / "files")
        truth = home / "truth.parquet"
        (home / "raw" / "truth.parquet").rename(truth)
        shutil.rmtree(home / "raw")
        # Its state of learning is there for the run that goes on; the others do not look at it. A workspace
        # remembers its settings, so each run names its own.
        command(name, earlier, home / "before", [*options.settings, UPDATES["continuing"]])
        found: dict[str, list[dict[str, Any]]] = {run: [] for run in RUNS}
        if options.only_prepare:
            del found["keeping"], found["continuing"]
        for _ in range(options.repeats):
            for kind, runs in found.items():
                shutil.rmtree(home / kind, ignore_errors=True)
                if kind != "full":
                    shutil.copytree(home / "before", home / kind)
                given = [*options.settings, UPDATES[kind]]
                runs.append(command(name, [*earlier, added], home / kind, given))
        facts = told(home)
        if not options.only_prepare:
            facts |= accuracies(home) | compared(home, truth)
    steps = {
        step: {kind: [run[step] for run in runs] for kind, runs in found.items()} for step in found["full"][0]
    }
    if options.json:
        print(json.dumps({"facts": facts, "seconds": steps}, indent=1))
        return
    for fact, value in facts.items():
        print(f"{fact}: {value if isinstance(value, bool | int) else f'{value:,.3f}'}")
    kinds = list(found)
    print(f"\n| stage | {' | '.join(f'{kind}, s' for kind in kinds)} |\n|---|{'---:|' * len(kinds)}")
    for step, seconds in steps.items():
        cells = [
            f"{statistics.median(took):.1f} ({min(took):.1f}–{max(took):.1f})" for took in seconds.values()
        ]
        print(f"| {step} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
