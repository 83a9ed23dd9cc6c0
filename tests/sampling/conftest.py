from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sampling_support import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa


@pytest.fixture
def prepared(tmp_path) -> Callable[..., Path]:
    """Makes a folder of prepared reviews from a table."""
    made = 0

    def make(table: pa.Table, **how: object) -> Path:
        nonlocal made
        made += 1
        return lay_out(table, tmp_path / f"prepared-{made}", **how)

    return make
