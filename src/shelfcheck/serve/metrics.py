"""What Prometheus is told: requests, their times, sizes of batches, the model that answers. Never a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from shelfcheck.serve.loaded import Loaded

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


class Metrics:
    """Counters of one server process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "shelfcheck_requests", "Requests answered.", ["path", "status"], registry=self._registry
        )
        self._counted: dict[tuple[str, int], Counter] = {}
        self.seconds = Histogram(
            "shelfcheck_invocation_seconds",
            "From the first byte of the body to the answer.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.batch = Histogram(
            "shelfcheck_batch_reviews",
            "Reviews predicted together.",
            buckets=_SIZES,
            registry=self._registry,
        )
        self._model = Gauge(
            "shelfcheck_model_info",
            "The model that answers.",
            ["version", "model", "label"],
            registry=self._registry,
        )
        self._loaded = Gauge(
            "shelfcheck_model_loaded_timestamp_seconds", "When it was loaded.", registry=self._registry
        )
        self._reloads = Counter(
            "shelfcheck_model_reloads", "Changes of the model.", ["result"], registry=self._registry
        )
        for result in ("done", "failed"):
            self._reloads.labels(result)

    def answered(self, path: str, status: int) -> None:
        """Count a request."""
        key = (path, status)
        counter = self._counted.get(key)
        if counter is None:
            counter = self._counted[key] = self._requests.labels(path, str(status))
        counter.inc()

    def serving(self, loaded: Loaded) -> None:
        """Tell which model answers."""
        self._model.clear()
        self._model.labels(loaded.version, loaded.model.name, loaded.label).set(1)
        self._loaded.set_to_current_time()

    def reloaded(self, *, done: bool) -> None:
        """Count a change of the model, or one that failed."""
        self._reloads.labels("done" if done else "failed").inc()

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
