"""Asks again what may pass: exponential back-off with jitter, bounded, told when it waits."""

from __future__ import annotations

import logging
import os
import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from shelfcheck.stores.errors import is_passing, store_errors

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("shelfcheck.stores")

_TOLD_FROM: Final = 1.0  # seconds of a wait that is worth a line
_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How often a request is sent, and how long is waited between.

    Attributes:
        attempts: most requests; the first counts.
        first: seconds before the second; doubled each time.
        longest: seconds of the longest wait. Each wait is cut to between a half and all of it, at random, so
            that many clients do not come back at the same moment.
    """

    attempts: int = 8
    first: float = 0.2
    longest: float = 20.0

    @classmethod
    def of_environment(cls) -> Patience:
        """As many attempts as AWS_MAX_ATTEMPTS says, which botocore reads too."""
        given = os.environ.get("AWS_MAX_ATTEMPTS", "")
        return cls(attempts=max(1, int(given))) if given.isdecimal() else cls()

    def seconds(self, failures: int) -> float:
        """How long to wait after so many failures, at least 1."""
        most = min(self.longest, self.first * 2.0 ** (failures - 1))
        return most * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Retrying:
    """Sends requests of one store, and counts those that were sent again.

    Attributes:
        retries: requests that failed and were sent again.
        stop: set to give up at once, wherever a thread waits.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience.of_environment()
        self.retries = 0
        self.stop = threading.Event()

    def __call__(self, what: str, request: Callable[[], _T]) -> _T:
        """The answer of a request.

        Args:
            what: names it where a wait is told.
            request: sends it; may be sent several times.

        Raises:
            Exception: the last failure, if it does not pass or there were too many; `attempts_of` tells how
                many.
        """
        for failures in range(1, self.patience.attempts + 1):
            try:
                return request()
            except store_errors() as error:
                if not is_passing(error) or failures == self.patience.attempts:
                    error.__dict__["shelfcheck_attempts"] = failures
                    raise
                seconds = self.patience.seconds(failures)
                self.retries += 1
                logger.log(
                    logging.WARNING if seconds >= _TOLD_FROM else logging.INFO,
                    "%s: %s: trying again in %.1f s (%d of %d)",
                    what,
                    str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
                    seconds,
                    failures,
                    self.patience.attempts - 1,
                )
                if self.stop.wait(seconds):
                    raise
        raise AssertionError


def attempts_of(error: BaseException) -> int:
    """How often a request was sent that failed with this."""
    return int(error.__dict__.get("shelfcheck_attempts", 1))
