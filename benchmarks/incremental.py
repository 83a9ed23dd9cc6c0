"""One more month on a workspace: what the run that adds it takes, stage by stage, beside a full run.

    python benchmarks/incremental.py --reviews 1000000

Reviews are generated and sorted by date; those of the last month become one file, the others a file a year.
A workspace is made of the others (not timed), then the month comes, three times: to a copy of that workspace,
and to a full run on all files in an empty one, each a process of its own, in turn. Prepared reviews of both
are compared row by row.
"""

from __future__ import annotations

import argparse
import json
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
from shelfcheck.prepare import iter_prepared
from shelfcheck.workspace import Workspace


def cut(raw: Path, folder: Path) -> tuple[list[Path], Path]:
    """Files of the earlier years and of the last month, all named so that they sort by date."""
    table = pa.concat_tables([pq.read_table(file) for file in sorted(raw.glob("reviews-*.parquet"))])
    table = table.take(pc.sort_indices(table, [("review_date", "ascending")]))
    last = pc.max(table["review_date"]).as_py().replace(day=1)
    new = pc.greater_equal(table["review_date"], last).combine_chunks()
    rows = pc.sum(pc.fill_null(new, False)).as_py()  # noqa: FBT003
    folder.mkdir(parents=True)
    dated = table.num_rows - table["review_date"].null_count
    old = table.slice(0, dated - rows)
    years = pc.year(old["review_date"]).combine_chunks()
    earlier = []
    for year in pc.unique(years).sort().to_pylist():
        earlier.append(folder / f"{year}.parquet")
        pq.write_table(old.filter(pc.equal(years, year)), earlier[-1])
    added = folder / f"{last:%Y-%m}-new.parquet"
    pq.write_table(table.slice(dated - rows, rows), added)
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
    started = time.perf_counter()
    done = subprocess.run(
        [*given, *(f"--set={one}" for one in settings)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(given)} failed:\n{done.stderr}")
    told = json.loads(done.stdout)
    stages = told["stages"] if name == "run" else [told]
    seconds = {stage["stage"]: 0.0 if stage["fresh"] else stage["seconds"] for stage in stages}
    return {**seconds, "all, with its start": time.perf_counter() - started}


def same_rows(one: Path, other: Path) -> bool:
    """Whether the prepared reviews of two workspaces are equal, in their order."""
    folders = [Workspace(place).path("prepared", made_by="run") for place in (one, other)]
    batches = zip(*(iter_prepared(folder) for folder in folders), strict=True)
    return all(first.equals(second) for first, second in batches)


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
    with tempfile.TemporaryDirectory(dir=options.folder) as given:
        home = Path(given)
        api.generate(home / "raw", reviews=options.reviews, seed=1)
        earlier, added = cut(home / "raw", home / "files")
        shutil.rmtree(home / "raw")
        command(name, earlier, home / "before", options.settings)
        found: dict[str, list[dict[str, Any]]] = {"adding": [], "full": []}
        for _ in range(options.repeats):
            for kind, runs in found.items():
                shutil.rmtree(home / kind, ignore_errors=True)
                if kind == "adding":
                    shutil.copytree(home / "before", home / kind)
                runs.append(command(name, [*earlier, added], home / kind, options.settings))
        equal = same_rows(home / "adding", home / "full")
        prepared = Workspace(home / "adding").path("prepared", made_by="run")
        manifest = Workspace(home / "adding").manifest("prepared")
        kept = sum(file.stat().st_size for part in ("keys", "falls") for file in (prepared / part).iterdir())
        facts = {
            "reviews": manifest.counts["rows_kept"] if manifest else 0,
            "added": manifest.counts.get("rows_added", 0) if manifest else 0,
            "prepared reviews are equal": equal,
            "bytes of keys a review": kept / manifest.counts["rows_read"] if manifest else 0,
            "bytes of reviews a review": manifest.counts["bytes"] / manifest.counts["rows_kept"]
            if manifest
            else 0,
        }
    steps = {
        step: {kind: [run[step] for run in runs] for kind, runs in found.items()} for step in found["full"][0]
    }
    if options.json:
        print(json.dumps({"facts": facts, "seconds": steps}, indent=1))
        return
    for fact, value in facts.items():
        print(f"{fact}: {value if isinstance(value, bool) else f'{value:,.1f}'}")
    print("\n| stage | adding, s | full, s | ratio |\n|---|---:|---:|---:|")
    for step, kinds in steps.items():
        adding, full = (statistics.median(kinds[kind]) for kind in ("adding", "full"))
        ranges = [f"{min(kinds[kind]):.1f}–{max(kinds[kind]):.1f}" for kind in ("adding", "full")]
        print(f"| {step} | {adding:.1f} ({ranges[0]}) | {full:.1f} ({ranges[1]}) | {full / adding:.1f} |")


if __name__ == "__main__":
    main()
