"""Time, memory and disk of the main job at growing sizes, and what 148.7 million reviews would take.

    python benchmarks/scale.py                                     # 1, 4 and 16 million reviews
    python benchmarks/scale.py --reviews 30000000 --folder /scratch --json > 30m.json
    python benchmarks/scale.py --read 16m.json --read 30m.json     # only the tables, of what was measured
    python benchmarks/scale.py --texts shop/prepared/<fingerprint> # are the generated texts like these?

The reviews are generated, with `--rare-words 10`, which makes lengths and vocabulary about those of real ones
(`--texts` tells them of any prepared reviews). Each step is a command of its own. Its memory is read from
/proc while it runs: `anon` are pages that only the process has and that must lie in memory (RssAnon), `file`
are pages of mapped files, which the system may drop and read again (RssFile); the peak of the sum is what
`ru_maxrss` tells. A time that grows faster than the reviews, or `anon` that does, is a defect.

Extrapolated by `seconds = a + b * reviews` (a, b >= 0; least squares of relative errors over all sizes, at
least two), step by step; memory and disk likewise. Take sizes of a million and more: below, the constants
(loading, compiling, batches that are not full) are all that is seen.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from scipy.optimize import nnls

from shelfcheck.prepare.read import iter_prepared

STEPS = {
    "prepare": ["prepare", "{raw}", "--workspace", "{workspace}"],
    "train": ["train", "--workspace", "{workspace}"],
    "predict": ["predict", "{raw}", "--output", "{home}/predictions.parquet", "--workspace", "{workspace}"],
    "audit": ["audit", "--workspace", "{workspace}"],
    "report": ["report", "--workspace", "{workspace}"],
}
ORIGINAL = 148_739_000
ORIGINAL_HOURS = "15 min on 40 vCPU (prepare) + 12.5 h on 72 vCPU (train)"
_SAMPLE_S = 0.05
_MEASURES = ("wall_s", "cpu_s", "anon_mb", "file_mb", "peak_mb", "disk_mb")


def measure(arguments: list[str], home: Path) -> dict[str, float]:
    """Seconds, memory and largest size of the working folder of one command."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen([sys.executable, "-m", "shelfcheck", *arguments], stdout=told, stderr=told)
        sampler = Sampler(process.pid, home)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        sampler.stop()
        if status:
            told.seek(0)
            raise SystemExit(f"{' '.join(arguments)} failed:\n{told.read().decode()}")
    return {
        "wall_s": seconds,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "anon_mb": sampler.anon / 1024,
        "file_mb": sampler.file / 1024,
        "peak_mb": usage.ru_maxrss / 1024,
        "disk_mb": max(sampler.disk, size_of(home)) / 1e6,
    }


class Sampler(threading.Thread):
    """Reads a process's memory every 50 ms, and the size of a folder every second."""

    def __init__(self, pid: int, home: Path) -> None:
        super().__init__(daemon=True)
        self.anon = self.file = 0  # KiB, the most so far
        self.disk = 0
        self._pid, self._home = pid, home
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until `stop`, or until the process is gone."""
        looked = 0.0
        while not self._ended.wait(_SAMPLE_S):
            try:
                status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
            except OSError:
                return
            held = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Rss"))
            if held:  # none of a process that has ended
                self.anon = max(self.anon, int(held["RssAnon"].split()[0]))
                self.file = max(self.file, int(held["RssFile"].split()[0]))
            if time.monotonic() - looked > 1:
                self.disk = max(self.disk, size_of(self._home))
                looked = time.monotonic()

    def stop(self) -> None:
        """End, and wait for it."""
        self._ended.set()
        self.join()


def size_of(folder: Path) -> int:
    """Bytes on disk of all files below a folder; a file that goes meanwhile does not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(place, name).stat().st_blocks * 512
    return total


def run(n: int, folder: Path | None, rare_words: float) -> list[dict[str, Any]]:
    """Generate `n` reviews and measure every step on them."""
    rows = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        home = Path(scratch)
        raw, workspace = home / "raw", home / "workspace"
        arguments = ["generate", str(raw), "--reviews", str(n), "--seed", "1"]
        found = measure([*arguments, "--rare-words", str(rare_words)], home)
        rows.append({"reviews": n, "step": "generate", **found})
        for step, template in STEPS.items():
            arguments = [part.format(raw=raw, workspace=workspace, home=home) for part in template]
            row = {"reviews": n, "step": step, **measure([*arguments, "--quiet"], home)}
            if step == "train":
                row |= words(workspace)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
        shutil.rmtree(home / "raw", ignore_errors=True)
    return rows


def words(workspace: Path) -> dict[str, float]:
    """Words that training met a second, in its epochs alone and in all of `train`."""
    prepared, model = _folder(workspace, "prepared"), _folder(workspace, "model")
    card = json.loads((model / "card.json").read_text(encoding="utf-8"))
    tokens = texts(prepared)["tokens_mean"]
    met = tokens * card["training_reviews"] * len(card["loss_by_epoch"])
    return {
        "words": met,
        "words_per_s": met / card["seconds"]["learn"],
        "words_per_s_with_counting": met / sum(card["seconds"].values()),
    }


def _folder(workspace: Path, name: str) -> Path:
    manifest = json.loads((workspace / name / "manifest.json").read_text(encoding="utf-8"))
    return workspace / name / str(manifest["folder"])


def texts(prepared: Path, most: int = 300_000) -> dict[str, float]:
    """Lengths and vocabulary of the first reviews of each month, of `most` reviews about."""
    lengths, distinct, at = [], set(), {}
    seen = 0
    for batch in iter_prepared(prepared, ["review_tokens"], 10_000):
        tokens = batch.column(0).drop_null()
        tokens = tokens.filter(pc.greater(pc.binary_length(tokens), 0))
        counts = pc.add(pc.count_substring(tokens, " "), 1).to_numpy()
        distinct.update(pc.list_flatten(pc.split_pattern(tokens, " ")).unique().to_pylist())
        lengths.append(counts)
        seen += len(counts)
        for mark in (10_000, 100_000, 250_000):
            if seen >= mark and mark not in at:
                at[mark] = len(distinct)
        if seen >= most:
            break
    n = np.concatenate(lengths)
    return {
        "tokens_median": float(np.median(n)),
        "tokens_mean": float(n.mean()),
        "tokens_p90": float(np.quantile(n, 0.9)),
        **{f"distinct_at_{mark}": float(value) for mark, value in at.items()},
    }


def fitted(n: np.ndarray, values: np.ndarray, to: float) -> float | None:
    """The value at `to` reviews of a line through what was measured; None of fewer than two sizes."""
    if len(np.unique(n)) < 2 or (values <= 0).any():
        return None
    line, _ = nnls(np.stack([1 / values, n / values], axis=1), np.ones(len(n)))
    return float(line[0] + line[1] * to)


def table(rows: list[dict[str, Any]]) -> str:
    """What was measured, and what it comes to for all reviews of the original."""
    lines = ["| step | reviews | wall s | reviews/s | CPU s | anon MB | file MB | peak MB | disk MB |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    steps = ("generate", *STEPS)
    for step in steps:
        for row in sorted((row for row in rows if row["step"] == step), key=lambda row: row["reviews"]):
            told = [f"{row['wall_s']:.1f}", f"{row['reviews'] / row['wall_s']:,.0f}", f"{row['cpu_s']:.1f}"]
            told += [f"{row[name]:,.0f}" for name in ("anon_mb", "file_mb", "peak_mb", "disk_mb")]
            lines.append(f"| {step} | {row['reviews']:,} | {' | '.join(told)} |")
    lines += ["", "| training | reviews | million words | words/s | words/s with counting |"]
    lines.append("|---|---:|---:|---:|---:|")
    lines += [
        f"| linear | {row['reviews']:,} | {row['words'] / 1e6:,.0f} | {row['words_per_s']:,.0f} "
        f"| {row['words_per_s_with_counting']:,.0f} |"
        for row in rows
        if row["step"] == "train"
    ]
    lines += ["", f"| {ORIGINAL:,} reviews | hours | anon MB | disk MB |", "|---|---:|---:|---:|"]
    total = 0.0
    for step in steps[1:]:
        own = [row for row in rows if row["step"] == step]
        n = np.array([row["reviews"] for row in own], np.float64)
        seconds, anon, disk = (
            fitted(n, np.array([row[name] for row in own], np.float64), ORIGINAL)
            for name in ("wall_s", "anon_mb", "disk_mb")
        )
        if seconds is None or anon is None or disk is None:
            return "\n".join(lines[:-3]) + "\n\nOne size alone: nothing is extrapolated."
        total += seconds / 3600
        lines.append(f"| {step} | {seconds / 3600:.2f} | {anon:,.0f} | {disk:,.0f} |")
    lines += [
        f"| all, {os.cpu_count()} cores | {total:.2f} | | |",
        f"| the original: {ORIGINAL_HOURS} | | | |",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure every step at every size and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reviews", type=int, action="append", help="a size; may be repeated")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    parser.add_argument("--read", type=Path, action="append", default=[], help="JSON of an earlier run")
    parser.add_argument("--texts", type=Path, help="only tell lengths and vocabulary of prepared reviews")
    parser.add_argument("--rare-words", default=10.0, type=float, help="of `shelfcheck generate`")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.texts:
        print(json.dumps(texts(options.texts), indent=1))
        return
    rows = [row for file in options.read for row in json.loads(file.read_text(encoding="utf-8"))]
    sizes = options.reviews or ([] if options.read else [1_000_000, 4_000_000, 16_000_000])
    for n in sizes:
        rows += run(n, options.folder, options.rare_words)
    print(json.dumps(rows, indent=1) if options.json else table(rows))


if __name__ == "__main__":
    main()
