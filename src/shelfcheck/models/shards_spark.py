"""Shards of `linear` learned on Spark: a step is a job, a shard a task.

Parameters and changes travel as safetensors through the exchange, past Java and without pickled objects: the
driver writes the parameters once, a task maps them and reads the rows of its own n-grams, and what it changed
comes back as a file that counts when the task's report names it. A task that fails is run again by Spark, and
does the same to the bit. Encoded reviews are read where they lie; with `spark.exchange` set, each shard's
travel there.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from shelfcheck.engines.exchange import Exchange
from shelfcheck.interrupts import deferred
from shelfcheck.models.averaging import Change, Parameters
from shelfcheck.models.blocks import blocks
from shelfcheck.models.encoded import Encoded
from shelfcheck.models.shards import Learned, Reviews, Vocabulary, learn_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import Settings
    from shelfcheck.engines.spark import Spark
    from shelfcheck.models.shards import Employer, Plan
    from shelfcheck.progress import Progress

    Arrays = Mapping[str, npt.NDArray[Any]]

_REPORT: Final = pa.schema(
    [("shard", pa.int64()), ("file", pa.string()), ("loss", pa.float64()), ("bytes", pa.int64())]
)
_TYPES: Final = {"F32": np.float32, "I64": np.int64, "U32": np.uint32, "I16": np.int16}
_WORDS: Final = "words.safetensors"
_GATHERED: Final = 1 << 16  # reviews whose n-grams are looked up at a time


@contextmanager
def employed(
    settings: Settings, encoded: Encoded, checkpoint: Checkpoint | None
) -> Iterator[Employer | None]:
    """What makes workers on Spark for the reviews of a model, where the settings want it; None otherwise.

    Args:
        settings: `run.engine`, `train.linear.shards` and `spark` are read.
        encoded: what the model is learned from.
        checkpoint: beside it stands what tasks leave one another, unless `spark.exchange` is set.

    Raises:
        SparkError: Spark does not start, or a task failed for good.
        WorkspaceError: executors do not reach the workspace or the exchange.
    """
    if settings.run.engine != "spark" or settings.train.linear.shards == 1:
        yield None
        return
    with deferred():
        from shelfcheck.engines.spark import Spark  # noqa: PLC0415 - loads PySpark
    aside = None if checkpoint else Path(tempfile.mkdtemp(prefix="shelfcheck-"))
    home = (checkpoint.folder if checkpoint else Path(str(aside))) / "shards"
    shutil.rmtree(home, ignore_errors=True)  # of a run that was killed
    exchange = Exchange.of(settings.spark, home, "shards")
    in_place = settings.spark.exchange is None and encoded.table is None
    try:
        exchange.make()
        with Spark(settings.spark) as spark:
            yield lambda plan, reviews, words: SparkWorkers(
                spark, exchange, plan, reviews, words, encoded.folder.resolve() if in_place else None
            )
    finally:
        exchange.clear()
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


class SparkWorkers:
    """Workers that are Spark's tasks; see `shards.Workers`.

    Memory of the driver: the parameters, their sum, and the change of one shard. Of a task: the parameters of
    its shard's n-grams, and 8 bytes for each bucket.

    Args:
        spark: where to run.
        exchange: made by the driver.
        plan: how reviews are cut.
        reviews: all of them.
        words: the vocabulary.
        folder: where executors read the encoded reviews; None where these travel through the exchange.

    Attributes:
        sent: bytes of parameters written for each step, once, however many tasks read of them.
        returned: bytes of changes that came back in each step.
    """

    def __init__(  # noqa: PLR0917 - what an employer is given, and where
        self,
        spark: Spark,
        exchange: Exchange,
        plan: Plan,
        reviews: Reviews,
        words: Vocabulary,
        folder: Path | None,
    ) -> None:
        self._spark, self._exchange, self.plan, self._folder = spark, exchange, plan, folder
        self.sent: list[int] = []
        self.returned: list[int] = []
        _write(exchange, _WORDS, words._asdict())
        for shard in range(plan.shards):
            part = plan.rows_of(shard)
            rows, labels = reviews.rows[part], reviews.labels[part]
            own: Arrays = {"rows": rows, "labels": labels}
            if folder is None:
                own = _gathered(reviews._replace(rows=rows, labels=labels))._asdict()
            _write(exchange, _shard_file(shard), own)

    def step(self, number: int, start: Parameters, progress: Progress) -> Iterator[Learned]:
        """See `Workers`."""
        exchange, plan = self._exchange, self.plan
        begun = f"start-{number}-{uuid.uuid4().hex[:8]}.safetensors"
        self.sent.append(_write(exchange, begun, start._asdict()))
        frame = self._spark.each(plan.shards, self._work(number, begun), _REPORT)
        told = self._spark.collect(frame, f"Step {number + 1} of {plan.epochs * plan.averages}", plan.shards)
        reports = told.sort_by("shard").to_pylist()
        self.returned.append(sum(report["bytes"] for report in reports))
        for report in reports:
            with exchange.at_hand(report["file"]) as path:
                yield Learned(Change(**mapped(path)), report["loss"])
            exchange.remove(report["file"])
            progress.advance(plan.met(report["shard"], number))
        exchange.remove(begun)

    def _work(self, number: int, begun: str) -> Callable[[int], Iterator[pa.RecordBatch]]:
        """What a task does: a function of plain values, without this object.

        Args:
            number: of the step.
            begun: the file of the parameters that it starts from.
        """
        exchange, plan, folder = self._exchange, self.plan, self._folder

        def work(shard: int) -> Iterator[pa.RecordBatch]:
            exchange.begin()
            with (
                exchange.at_hand(_WORDS) as words,
                exchange.at_hand(_shard_file(shard)) as rows,
                exchange.at_hand(begun) as parameters,
            ):
                own = mapped(rows)
                own |= {name: np.array(own[name]) for name in ("rows", "labels")}
                if folder is not None:
                    encoded = Encoded.open(folder)
                    own |= {"indptr": encoded.indptr, "ids": encoded.ids}
                found = Learned(
                    *learn_shard(
                        Reviews(**own),
                        plan,
                        shard,
                        number,
                        Vocabulary(**mapped(words)),
                        Parameters(**mapped(parameters)),
                    )
                )
            file = f"change-{number}-{shard:05d}-{uuid.uuid4().hex[:8]}.safetensors"
            size = _write(exchange, file, found.change._asdict())
            yield pa.record_batch(
                [pa.array([shard]), pa.array([file]), pa.array([found.loss]), pa.array([size])],
                schema=_REPORT,
            )

        return work


def mapped(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file, memory-mapped: what is not looked at is not read.

    Raises:
        ValueError: the file is none, or is cut short.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", offset=8 + size)
    found = {}
    for name, told in header.items():
        first, end = told["data_offsets"]
        if end > len(data):
            raise ValueError(f"{path}: {len(data)} bytes of {end}")
        kind = np.dtype(_TYPES[told["dtype"]]).newbyteorder("<")
        found[name] = data[first:end].view(kind).reshape(told["shape"])
    return found


def _write(exchange: Exchange, name: str, arrays: Arrays) -> int:
    """Write arrays as safetensors; the bytes of the file."""
    from safetensors.numpy import save_file  # noqa: PLC0415 - only to write

    with exchange.writing(name) as path:
        save_file({key: np.ascontiguousarray(values) for key, values in arrays.items()}, path)
        return path.stat().st_size


def _gathered(reviews: Reviews) -> Reviews:
    """The same reviews with no others between them.

    Memory: their n-grams, 4 bytes each.
    """
    rows = reviews.rows.astype(np.int64)
    sizes = np.empty(len(rows), np.int64)
    for block in blocks(len(rows), _GATHERED):
        sizes[block] = reviews.indptr[rows[block] + 1] - reviews.indptr[rows[block]]
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    ids = np.empty(indptr[-1], np.uint32)
    for block in blocks(len(rows), _GATHERED):
        first, end = indptr[block.start], indptr[block.stop]
        shift = reviews.indptr[rows[block]] - indptr[block.start : block.stop]
        ids[first:end] = reviews.ids[np.arange(first, end) + np.repeat(shift, sizes[block])]
    return Reviews(indptr, ids, np.arange(len(rows), dtype=np.uint32), reviews.labels)


def _shard_file(shard: int) -> str:
    return f"shard-{shard:05d}.safetensors"
