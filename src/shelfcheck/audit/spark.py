"""The audits of reviews and of products with their evidence gathered on Spark.

What is done of every review is done by executors, over the out-of-fold predictions as they lie: sums of
each product's reviews, a span of the products a task; judgements of reviews, some chunks of them a task. The
driver draws, learns the small additive model, and ranks. Sums are added up in the order in which one machine
adds them, chunk by chunk, so that findings and scores are the same.
"""

from __future__ import annotations

import itertools
import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from shelfcheck.audit.agreement import Agreement, Gathered, one_hot_sum
from shelfcheck.audit.judged import CHUNK_ROWS, Judged
from shelfcheck.audit.miscategorised_products import miscategorised_products
from shelfcheck.audit.misplaced_reviews import JudgedPart, judge, misplaced_reviews
from shelfcheck.audit.pooling import Sums
from shelfcheck.audit.room import AT_ONCE
from shelfcheck.engines.executor import begin, mark
from shelfcheck.interrupts import deferred
from shelfcheck.models.blocks import BLOCK_ROWS
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from shelfcheck.audit.ranking import Ranker
    from shelfcheck.audit.room import Room
    from shelfcheck.config import Settings
    from shelfcheck.engines.spark import Spark
    from shelfcheck.progress import Progress

    Arrays = dict[str, Any]

_WAVES: Final = 4  # tasks for each slot, so that all slots end at about the same time
_REPORT: Final = pa.schema([("task", pa.int64()), ("token", pa.string()), ("files", pa.int64())])


def misplaced_reviews_on_spark(
    prepared_dir: str | Path,
    oof_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Do what `misplaced_reviews` does, with every review judged by executors: the same findings.

    Args:
        prepared_dir: output of `prepare`.
        oof_dir: output of `out_of_fold`; all executors must reach it.
        out_dir: folder to fill; all executors must reach it.
        settings: what `misplaced_reviews` reads, and `spark`.
        progress: told how far it is.

    Raises:
        SparkError: Spark does not start, or a task failed for good.
        WorkspaceError: an input is missing or incomplete, or executors do not reach it.
    """
    with _on_spark(oof_dir, out_dir, settings, progress) as workers:
        return misplaced_reviews(prepared_dir, oof_dir, out_dir, settings, progress, workers=workers)


def miscategorised_products_on_spark(
    prepared_dir: str | Path,
    oof_dir: str | Path,
    out_dir: str | Path,
    settings: Settings,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Do what `miscategorised_products` does, with the sums made by executors: the same findings.

    Arguments and errors are those of `misplaced_reviews_on_spark`.
    """
    with _on_spark(oof_dir, out_dir, settings, progress) as workers:
        spans = workers.sums()
        return miscategorised_products(prepared_dir, oof_dir, out_dir, settings, progress, spans=spans)


@contextmanager
def _on_spark(
    oof_dir: str | Path, out_dir: str | Path, settings: Settings, progress: Progress | None
) -> Iterator[OnSpark]:
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    staging = Path(out_dir).resolve() / ".spark"
    shutil.rmtree(staging, ignore_errors=True)
    mark(staging)
    try:
        with Spark(settings.spark, progress or NullProgress()) as spark:
            yield OnSpark(spark, Path(oof_dir).resolve(), staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class OnSpark:
    """Executors that work on out-of-fold predictions; see `misplaced_reviews.Workers`.

    Args:
        spark: where they are.
        oof_dir: output of `out_of_fold`.
        staging: a marked folder for what tasks find.
    """

    def __init__(self, spark: Spark, oof_dir: Path, staging: Path) -> None:
        self._spark = spark
        self._oof_dir = oof_dir
        self._staging = staging
        self._judged = Judged.open(oof_dir)
        self._size = CHUNK_ROWS

    def agreement(self, judged: Judged, room: Room) -> Agreement:
        """See `Agreement.gather`."""
        k, size = len(judged.categories), self._size
        category_sum = np.zeros((k, k), np.float64)

        def of_categories(judged: Judged, first: int, last: int) -> Iterator[Arrays]:
            for rows in _chunks(judged, size, first, last):
                logs = judged.rows_of(rows)
                yield {"sum": one_hot_sum(judged.assigned[rows].astype(np.int64), np.exp(logs), k)}

        for _, found in self._each(self._ranges(), of_categories, "Adding up categories"):
            category_sum += found["sum"]

        def of_products(judged: Judged, first: int, last: int) -> Iterator[Arrays]:
            shape = (last - first, k)
            sums = Gathered(
                np.zeros(shape, np.float32),
                np.zeros(last - first, np.int32),
                np.zeros(last - first, np.float32),
                np.zeros(last - first, np.float32),
            )
            for rows in _chunks(judged, size):
                product = judged.product[rows]
                here = (product >= first) & (product < last)
                logs, a = judged.rows_of(rows[here]), judged.assigned[rows[here]].astype(np.int64)
                sums.add(product[here] - first, a, logs, np.exp(logs))
            yield sums._asdict()

        gathered = Gathered.empty(judged, room)
        for (first, last), found in self._each(self._spans(4 * k), of_products, "Adding up products"):
            for name, values in gathered.of(first, last)._asdict().items():
                values[:] = found[name]
        return Agreement.of(judged, category_sum, gathered)

    def judge(self, agreement: Agreement, ranker: Ranker | None) -> Iterator[JudgedPart]:
        """See `misplaced_reviews.judge`; of all reviews whose category was learned, in order."""
        home = self._staging / "agreement"
        home.mkdir()
        for name, values in vars(agreement).items():
            np.save(home / f"{name}.npy", values, allow_pickle=False)
        names = tuple(vars(agreement))
        sent, size = self._spark.broadcast(ranker), self._size

        def judgements(judged: Judged, first: int, last: int) -> Iterator[Arrays]:
            opened = Agreement(**{name: _opened(home / f"{name}.npy") for name in names})
            for rows in _chunks(judged, size, first, last):
                yield judge(judged, opened, sent.value, rows)._asdict()

        for _, found in self._each(self._ranges(), judgements, "Judging reviews"):
            yield JudgedPart(**found)

    def sums(self) -> Iterator[tuple[int, int, Sums]]:
        """Sums of all products; see `Pooled.gather`."""
        size = self._size

        def of_products(judged: Judged, first: int, last: int) -> Iterator[Arrays]:
            yield vars(Sums.gather(judged, _chunks(judged, size, with_product=True), first, last))

        spans = self._spans(40 * len(self._judged.categories))
        for (first, last), found in self._each(spans, of_products, "Adding up products"):
            yield first, last, Sums(**found)

    def _spans(self, bytes_each: int) -> list[tuple[int, int]]:
        """Cut the products: enough spans for all slots, none larger than what a task should hold."""
        n = self._judged.n_products
        most = max(1, AT_ONCE // 4 // bytes_each)
        step = max(1, min(most, -(-n // (_WAVES * self._spark.slots))))
        return [(first, min(n, first + step)) for first in range(0, n, step)]

    def _ranges(self) -> list[tuple[int, int]]:
        """Cut the reviews where chunks of the learned ones end: some chunks for every task."""
        ends = [int(rows[-1]) + 1 for rows in _chunks(self._judged, self._size)]
        step = max(1, -(-len(ends) // (_WAVES * self._spark.slots)))
        cuts = [0, *ends[step - 1 : -1 : step], *ends[-1:]]
        return list(itertools.pairwise(cuts))

    def _each(
        self,
        tasks: list[tuple[int, int]],
        work: Callable[[Judged, int, int], Iterator[Arrays]],
        label: str,
    ) -> Iterator[tuple[tuple[int, int], dict[str, npt.NDArray[Any]]]]:
        """Do `work` of each task on an executor; the arrays that it yields, with their task, in order."""
        oof_dir, staging = self._oof_dir, self._staging

        def run(number: int) -> Iterator[pa.RecordBatch]:
            begin(staging)
            token, files = uuid.uuid4().hex[:8], 0
            for found in work(Judged.open(oof_dir), *tasks[number]):
                np.savez(_file(staging, number, token, files), **found)
                files += 1
            yield pa.record_batch([[number], [token], [files]], schema=_REPORT)

        if not tasks:
            return
        told = self._spark.collect(self._spark.each(len(tasks), run, _REPORT), label, len(tasks))
        for report in told.sort_by("task").to_pylist():
            for at in range(report["files"]):
                file = _file(staging, report["task"], report["token"], at)
                with np.load(file, allow_pickle=False) as found:
                    yield tasks[report["task"]], dict(found)
                file.unlink()


def _chunks(
    judged: Judged, size: int, first: int = 0, last: int | None = None, *, with_product: bool = False
) -> Iterator[npt.NDArray[np.int64]]:
    """`judged.chunks(judged.learned())` of the reviews from `first` on, a block at a time.

    Chunks of `size` rows are those of one machine where `first` is 0 or the end of a chunk.
    """
    last = judged.n_reviews if last is None else last
    waiting = np.zeros(0, np.int64)
    for start in range(first, last, BLOCK_ROWS):
        block = slice(start, min(last, start + BLOCK_ROWS))
        known = judged.assigned[block] >= 0
        if with_product:
            known &= judged.product[block] >= 0
        waiting = np.concatenate([waiting, np.flatnonzero(known) + start])
        whole = len(waiting) // size * size
        for at in range(0, whole, size):
            yield waiting[at : at + size]
        waiting = waiting[whole:]
    if len(waiting):
        yield waiting


def _file(staging: Path, number: int, token: str, at: int) -> Path:
    return staging / f"{number:06d}-{token}-{at:04d}.npz"


def _opened(file: Path) -> Any:
    """An array, mapped where there is anything to map."""
    if file.stat().st_size <= 256:  # a head and next to nothing
        return np.load(file, allow_pickle=False)
    return np.load(file, mmap_mode="r", allow_pickle=False)
