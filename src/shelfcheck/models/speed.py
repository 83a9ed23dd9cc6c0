"""How fast a model predicts: from texts as customers wrote them to probabilities, alike for every model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from shelfcheck.prepare.read import prepared_files, read_file
from shelfcheck.schema import REVIEW_BODY, REVIEW_HEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from shelfcheck.models.base import Model

_ROWS: Final = 16_384
_FROM_A_FILE: Final = 1024
_FIRST: Final = 256  # reviews of the first batch; each further one is twice as large
_SECONDS: Final = 2.0


def sample_texts(prepared_dir: str | Path, seed: int = 0) -> pa.Table:
    """Headlines and bodies of about 16 thousand prepared reviews of random months, without their tokens."""
    names = [REVIEW_HEADLINE, REVIEW_BODY]
    files = prepared_files(prepared_dir)
    batches: list[pa.RecordBatch] = []
    rows = 0
    for at in np.random.default_rng(seed).permutation(len(files)):
        if rows >= _ROWS:
            break
        file, month = files[at]
        batch = next(read_file(file, month, names, _FROM_A_FILE), None)
        if batch is not None:
            batches.append(batch)
            rows += batch.num_rows
    return pa.Table.from_batches(batches)


def reviews_per_second(model: Model, reviews: pa.Table, threads: int = 0, seconds: float = _SECONDS) -> int:
    """Reviews predicted in a second, in growing batches, for at most about `seconds`.

    The first few reviews are predicted before the clock starts: what is compiled or loaded then is not
    counted.

    Args:
        model: any model.
        reviews: texts, (n).
        threads: worker threads; 0 takes all processors.
        seconds: when to stop.
    """
    model.predict_batch(reviews.slice(0, 32), threads)
    done, size, spent = 0, _FIRST, 0.0
    while done < reviews.num_rows and spent < seconds:
        batch = reviews.slice(done, size)
        started = time.perf_counter()
        model.predict_batch(batch, threads)
        spent += time.perf_counter() - started
        done += batch.num_rows
        size *= 2
    return round(done / max(spent, 1e-9))
