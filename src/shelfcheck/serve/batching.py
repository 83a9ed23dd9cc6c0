"""Predict together what waits together.

Requests whose bodies arrive in one turn of the event loop are predicted as one batch, in the loop itself
where that takes less than `_INLINE_SECONDS`: a hop to a thread and back takes longer. What takes longer
(large bodies, slow models) goes to a thread, one batch at a time; while it works, the next batch gathers.
No request waits for another to come.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from shelfcheck.serve.contract import Best, RequestError, best

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from shelfcheck.serve.contract import Asked
    from shelfcheck.serve.loaded import Holder, Loaded
    from shelfcheck.serve.metrics import Metrics

_INLINE_SECONDS: Final = 0.003
_MEMORY: Final = 0.9  # how much of the estimate of a review's time is kept at each batch


class _Job(NamedTuple):
    asked: Asked
    answer: asyncio.Future[tuple[Loaded, Best]]

    @property
    def size(self) -> int:
        return len(self.asked.bodies)


class Batcher:
    """Gathers reviews of requests, and predicts them with the model that holds at that moment.

    Args:
        holder: has the model.
        metrics: told the sizes of batches.
        most: most reviews of several requests in a batch; a request alone may have more.
        most_waiting: most reviews that may wait for the thread.
    """

    def __init__(self, holder: Holder, metrics: Metrics, most: int, most_waiting: int) -> None:
        self._holder = holder
        self._metrics = metrics
        self._most = most
        self._most_waiting = most_waiting
        self._quick: list[_Job] = []
        self._slow: list[_Job] = []
        self._scheduled = False
        self._working = False
        self._thread = ThreadPoolExecutor(1, "shelfcheck-predict")
        self._timed = holder.loaded
        self._seconds = holder.loaded.seconds  # a review takes, about

    async def predict(self, asked: Asked) -> tuple[Loaded, Best]:
        """The model that answered, and the likeliest classes of each review.

        Raises:
            RequestError: 503, too many reviews wait already.
        """
        if not asked.bodies:
            return self._holder.loaded, Best([], [])
        loop = asyncio.get_running_loop()
        job = _Job(asked, loop.create_future())
        if job.size * self._estimate() <= _INLINE_SECONDS:
            self._quick.append(job)
            if not self._scheduled:
                self._scheduled = True
                loop.call_soon(self._flush)
        else:
            waiting = sum(other.size for other in self._slow)
            if waiting and waiting + job.size > self._most_waiting:
                raise RequestError(
                    503,
                    "busy",
                    f"{waiting} reviews wait already, must be <= serve.max_waiting. Ask again later.",
                )
            self._slow.append(job)
            if not self._working:
                self._work()
        return await job.answer

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _estimate(self) -> float:
        if self._timed is not self._holder.loaded:
            self._timed = self._holder.loaded
            self._seconds = self._timed.seconds
        return self._seconds

    def _flush(self) -> None:
        """Predict what was gathered in this turn, here."""
        self._scheduled = False
        waiting, self._quick = self._quick, []
        while waiting:
            group, waiting = self._cut(waiting)
            self._answer(group, *_predicted(self._holder.loaded, group))

    def _work(self) -> None:
        """Predict what was gathered, in the thread."""
        group, self._slow = self._cut(self._slow)
        self._working = True
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, _predicted, self._holder.loaded, group)

        def finish(future: asyncio.Future[tuple[Loaded, Best | Exception, float]]) -> None:
            self._working = False
            if not future.cancelled():
                self._answer(group, *future.result())
            if self._slow:
                self._work()

        done.add_done_callback(finish)

    def _cut(self, jobs: list[_Job]) -> tuple[list[_Job], list[_Job]]:
        """As many of the first jobs as make a batch, at least one, and the others."""
        n = 0
        for i, job in enumerate(jobs):
            n += job.size
            if n > self._most and i:
                return jobs[:i], jobs[i:]
        return jobs, []

    def _answer(self, group: list[_Job], loaded: Loaded, found: Best | Exception, seconds: float) -> None:
        if isinstance(found, Exception):
            if len(group) == 1:
                if not group[0].answer.done():
                    group[0].answer.set_exception(found)
                return
            for job in group:  # what one request does wrong must not fail the others
                self._answer([job], *_predicted(loaded, [job]))
            return
        n = sum(job.size for job in group)
        self._metrics.batch.observe(n)
        if loaded is self._timed and n:
            self._seconds = _MEMORY * self._seconds + (1 - _MEMORY) * seconds / n
        start = 0
        for job in group:
            end = start + job.size
            if not job.answer.done():  # a request may have run out of time
                job.answer.set_result((loaded, Best(found.places[start:end], found.chances[start:end])))
            start = end


def _predicted(loaded: Loaded, group: list[_Job]) -> tuple[Loaded, Best | Exception, float]:
    started = time.perf_counter()
    found: Best | Exception
    try:
        found = best(_together(loaded, group), max(job.asked.most for job in group))
    except Exception as error:  # noqa: BLE001 - it is told to whoever waits
        found = error
    return loaded, found, time.perf_counter() - started


def _together(loaded: Loaded, group: list[_Job]) -> npt.NDArray[np.float32]:
    if len(group) == 1:
        return loaded.model.predict_proba(group[0].asked.bodies, group[0].asked.headlines)
    bodies = [body for job in group for body in job.asked.bodies]
    if all(job.asked.headlines is None for job in group):
        return loaded.model.predict_proba(bodies)
    headlines = [one for job in group for one in (job.asked.headlines or [None] * job.size)]
    return loaded.model.predict_proba(bodies, headlines)
