"""`shelfcheck serve` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager


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
