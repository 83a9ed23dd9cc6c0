"""Workspaces with registered models, and `shelfcheck serve` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

from shelfcheck.models.registry import Registry

COUNTS = {"model": "linear", "label": "product_category", "split": "product", "accuracy": 0.9}
COUNTS |= {"train_seconds": 1.0, "peak_memory_mb": 100}


@contextmanager
def running(shop, *arguments: str, **environment: str):
    """`shelfcheck serve` as a process on a free port: (process, URL)."""
    command = [sys.executable, "-W", "error", "-m", "shelfcheck", "serve", "-w", str(shop), "--port", "0"]
    process = subprocess.Popen(
        [*command, *arguments], stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )
    try:
        line = process.stderr.readline()
        assert " answers at http" in line, line + process.stderr.read()
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def register(models, folder):
    """A workspace with all models registered; the first is champion."""
    for i, model in enumerate(models):
        model.save(folder.parent / f"model-{i}")
        Registry(folder).register(folder.parent / f"model-{i}", None, COUNTS)
    return folder
