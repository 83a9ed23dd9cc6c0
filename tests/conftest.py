"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real reviews; skips where it is absent."""
    folder = Path(os.environ.get("SHELFCHECK_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "reviews.parquet").exists():
        pytest.skip(f"no real reviews at {folder}; set SHELFCHECK_DATA to their folder")
    return folder
