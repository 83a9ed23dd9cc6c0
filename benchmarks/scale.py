"""Time and peak memory of the main job at growing sizes, a process a step, on generated reviews.

    python benchmarks/scale.py --reviews 300000 --reviews 1000000 --reviews 3000000

Each step runs as a command of its own; the operating system accounts for its time and memory
(`ru_maxrss` of the finished process). A time that grows faster than the reviews, or a `prepare`
whose memory grows with them, is a defect.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = {
    "prepare": ["prepare", "{raw}"],
    "train": ["train"],
    "evaluate": ["evaluate"],
    "audit": ["audit"],
    "report": ["report"],
}


def measure(arguments: list[str]) -> dict[str, float]:
    """Wall seconds, processor seconds and peak memory in MB of one command."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen([sys.executable, "-m", "shelfcheck", *arguments], stdout=told, stderr=told)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            told.seek(0)
            raise SystemExit(f"{' '.join(arguments)} failed:\n{told.read().decode()}")
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def size_of(folder: Path) -> float:
    """Megabytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def main() -> None:
    """Measure every step at every size and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reviews", type=int, action="append", help="a size; may be repeated")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    sizes = options.reviews or [300_000, 1_000_000, 3_000_000]
    rows = []
    for n in sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as home:
            raw, workspace = Path(home, "raw"), Path(home, "workspace")
            found = measure(["generate", str(raw), "--reviews", str(n), "--seed", "1"])
            rows.append({"reviews": n, "step": "generate", **found, "mb_on_disk": size_of(raw)})
            for step, template in STEPS.items():
                arguments = [part.format(raw=raw) for part in template]
                found = measure([*arguments, "--quiet", "--workspace", str(workspace)])
                rows.append({"reviews": n, "step": step, **found, "mb_on_disk": size_of(workspace)})
            shutil.rmtree(home, ignore_errors=True)
            Path(home).mkdir(exist_ok=True)
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print("| step | reviews | wall s | reviews/s | cpu s | peak MB | MB on disk after |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for step in ("generate", *STEPS):
        for row in (row for row in rows if row["step"] == step):
            rate = row["reviews"] / row["wall_s"]
            print(
                f"| {step} | {row['reviews']:,} | {row['wall_s']:.1f} | {rate:,.0f} "
                f"| {row['cpu_s']:.1f} | {row['peak_mb']:,.0f} | {row['mb_on_disk']:,.0f} |"
            )


if __name__ == "__main__":
    main()
