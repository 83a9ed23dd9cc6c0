"""Training files of BlazingText and fastText: reading them beside bare readers, and writing them.

    python benchmarks/labelled.py PREPARED --repeats 5 --output labelled.md

PREPARED is a workspace, or raw reviews in any form. Its reviews are exported as a manifest and as fastText
lines, which are then read: by Python line by line; by pyarrow's JSON reader; by the source that `prepare`
reads with, which checks every row as well; by `prepare` itself. They take turns in every repeat, so that
ratios stand whatever else the machine does. Prints Markdown: median seconds (and the least and most),
processor seconds, and by these MB and rows a second.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shelfcheck import api
from shelfcheck.config import SourceSettings
from shelfcheck.sources import find_sources
from train import commit

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = {"augmented-manifest": "manifest", "fasttext": "fastText"}


def python_json(folder: Path) -> int:
    """Every line through `json.loads`."""
    rows = 0
    for path in sorted(folder.glob("*/*")):
        with path.open("rb") as file:
            for line in file:
                json.loads(line)
                rows += 1
    return rows


def python_lines(folder: Path) -> int:
    """Every line cut at its first space."""
    rows = 0
    for path in sorted(folder.glob("*/*")):
        with path.open(encoding="utf-8") as file:
            for line in file:
                line.partition(" ")
                rows += 1
    return rows


def arrow_json(folder: Path) -> int:
    """Every file through pyarrow's JSON reader, blocks of 8 MB, one thread."""
    import pyarrow.json as pj

    options = pj.ReadOptions(use_threads=False, block_size=8 << 20)
    return sum(pj.read_json(path, read_options=options).num_rows for path in sorted(folder.glob("*/*")))


def source(folder: Path) -> int:
    """The reader that `prepare` uses, with its checks of every row."""
    return sum(
        batch.reviews.num_rows
        for one in find_sources([str(folder)], SourceSettings())
        for batch in one.batches(16_384)
    )


def prepare(folder: Path, threads: int) -> int:
    """All of `prepare`: checks, duplicates, tokens, months."""
    home = Path(tempfile.mkdtemp(dir=folder.parent))
    counts = api.prepare(folder, home / "shop", overrides={"run.threads": threads}).counts
    shutil.rmtree(home)
    return int(counts["rows_read"])


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="a workspace, or reviews in any form")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    seconds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    sizes: dict[str, tuple[float, int]] = {}  # MB and rows
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        shop = Path(options.source)
        if not (shop / "prepared").is_dir():
            shop = home / "shop"
            api.prepare(options.source, shop)
        overrides = {"run.threads": options.threads}

        def timed(name: str, folder: Path, work: Callable[[], int]) -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            rows = work()
            seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            sizes[name] = sum(path.stat().st_size for path in folder.glob("*/*")) / 1e6, rows

        for form in FORMS:  # compiles the kernels and warms the file cache
            api.export(shop, home / form, form, overrides=overrides)
            prepare(home / form, options.threads)
        for _ in range(options.repeats):
            for form, called in FORMS.items():
                folder = home / form
                bare = python_json if form == "augmented-manifest" else python_lines
                timed(f"{called}: Python, line by line", folder, lambda f=folder, b=bare: b(f))
                if form == "augmented-manifest":
                    timed(f"{called}: pyarrow's JSON reader", folder, lambda f=folder: arrow_json(f))
                timed(f"{called}: the source, 1 thread", folder, lambda f=folder: source(f))
                timed(f"{called}: `prepare`", folder, lambda f=folder: prepare(f, options.threads))

                def write(form: str = form) -> int:
                    written = api.export(shop, home / form, form, overrides=overrides, force=True)
                    return sum(written.rows.values())

                timed(f"{called}: `export`", folder, write)
        text = table(seconds, sizes, options)
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


def table(
    seconds: dict[str, list[tuple[float, float]]],
    sizes: dict[str, tuple[float, int]],
    options: argparse.Namespace,
) -> str:
    """The Markdown table."""
    head = (
        f"{options.repeats} interleaved repeats; {options.threads} threads; {platform.machine()}, "
        f"{os.cpu_count()} processors, Python {platform.python_version()}; commit {commit()}; "
        f"{dt.datetime.now(dt.UTC).date()}."
    )
    lines = [
        head,
        "",
        "| what | s, median (min–max) | CPU s | MB / CPU s | rows / CPU s |",
        "|---|---|---:|---:|---:|",
    ]
    for name, found in seconds.items():
        wall, cpu = np.array(found).T
        median, spent = float(np.median(wall)), float(np.median(cpu))
        mb, rows = sizes[name]
        cells = [f"{median:.2f} ({wall.min():.2f}–{wall.max():.2f})", f"{spent:.2f}"]
        lines.append("| " + " | ".join([name, *cells, f"{mb / spent:.0f}", f"{rows / spent:,.0f}"]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
