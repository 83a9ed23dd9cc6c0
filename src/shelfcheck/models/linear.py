"""The `linear` model: multinomial logistic regression over hashed words, word pairs and prefixes.

The first letters of longer words count as terms beside the words: a stem for all languages and for many
misspellings, for which a new product's rare words have no weight of their own.

Features are weighted by their sublinear count times a power of how much the n-gram tells about the category
in the training reviews (supervised term weighting: Debole and Sebastiani, SAC 2003), which does better here
than inverse document frequency does; a review's weights have an L2 norm of 1. They are learned by AdaGrad
(Duchi, Hazan, Singer, JMLR 2011) in lock-free threads (Niu et al., Hogwild, NIPS 2011).

Buckets that stand in enough training reviews are renumbered by falling frequency, so that the weight
matrix holds used n-grams only and the frequent ones lie together in the cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from shelfcheck.__about__ import __version__
from shelfcheck.config import LinearSettings, TextSettings
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.models.base import Model, read_card, write_card
from shelfcheck.models.blocks import counted, taken
from shelfcheck.models.calibration import Calibration
from shelfcheck.models.continuing import write_state
from shelfcheck.models.ngrams import encode_tokens, field_tokens, thread_count
from shelfcheck.progress import NullProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import Settings
    from shelfcheck.models.base import Explanation
    from shelfcheck.models.continuing import Accumulators, Start
    from shelfcheck.models.encoded import Encoded
    from shelfcheck.models.examples import Examples
    from shelfcheck.models.raw_texts import RawTexts
    from shelfcheck.models.shards import Employer
    from shelfcheck.progress import Progress

    Floats = npt.NDArray[np.float32]

FORMAT: Final = 2
_CHUNK_ROWS: Final = 8192


@dataclass(frozen=True)
class LinearModel(Model):
    """A trained `linear` model.

    Attributes:
        categories: the categories it knows, sorted.
        buckets: uint32 (features), bucket of each row of `weights`, most frequent first.
        idf: float32 (features), weight of an n-gram: its relevance and rarity, each to its power.
        weights: float32 (features, categories); every value is exact in bfloat16.
        bias: float32 (categories).
        prior: float32 (categories), log share of each category in the training reviews.
        settings: how it was learned.
        text: how tokens are made.
        calibration: how logits become probabilities.
        facts: more for the card: rows, seed, loss, seconds.
        accumulators: from which learning may go on when reviews are added; stored where they are kept.
    """

    categories: tuple[str, ...]
    buckets: npt.NDArray[np.uint32]
    idf: Floats
    weights: Floats
    bias: Floats
    prior: Floats
    settings: LinearSettings
    text: TextSettings
    calibration: Calibration = field(default_factory=Calibration)
    facts: dict[str, Any] = field(default_factory=dict)
    accumulators: Accumulators | None = field(default=None, repr=False)

    name: ClassVar[str] = "linear"

    @classmethod
    def fit(
        cls,
        encoded: Encoded,
        rows: npt.NDArray[np.integer[Any]],
        categories: Sequence[str],
        settings: LinearSettings,
        *,
        threads: int = 0,
        seed: int = 0,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
        start: Start | None = None,
        keep_state: bool = False,
        employer: Employer | None = None,
    ) -> LinearModel:
        """Learn from encoded reviews.

        One thread gives the same model for the same seed, bit for bit; several differ a little from
        run to run.

        Args:
            encoded: encoded reviews.
            rows: (m), the reviews to learn from; those of other categories are left out.
            categories: the categories to learn.
            settings: epochs, rate, document frequency, idf, relevance.
            threads: worker threads; 0 takes all processors.
            seed: of the order in which reviews are met.
            progress: told the reviews met.
            checkpoint: where the epochs that are done are kept.
            start: an earlier model of the same categories to go on from, for epochs of its own number.
            keep_state: whether learning shall be able to go on from this model.
            employer: makes those who learn in shards; threads of this process when None.

        Raises:
            NotEnoughDataError: fewer than two categories, or no n-gram is frequent enough.
        """
        from shelfcheck.models.fitting import fit_linear  # noqa: PLC0415 - loads Numba

        names = tuple(sorted(categories))
        place = {name: i for i, name in enumerate(names)}
        label_of = np.array([place.get(name, -1) for name in encoded.categories] + [-1], np.int16)
        labels = taken(label_of, taken(encoded.label, rows))
        if (labels < 0).any():
            rows, labels = rows[labels >= 0], labels[labels >= 0]
        present = np.flatnonzero(counted(labels))
        if len(present) < 2:
            only = names[present[0]] if len(present) else "none"
            raise NotEnoughDataError(
                f"{len(present)} category ({only}) has reviews to learn from, must be >= 2. "
                "Add reviews of other categories, or lower train.min_category_reviews."
            )
        learning = settings if start is None else settings.model_copy(update={"epochs": start.epochs})
        fitted = fit_linear(
            encoded.indptr,
            encoded.ids,
            rows.astype(np.uint32, copy=False),
            labels,
            n_classes=len(names),
            hash_bits=encoded.hash_bits,
            settings=learning,
            threads=thread_count(threads),
            seed=seed,
            progress=progress or NullProgress(),
            checkpoint=checkpoint,
            start=start,
            employer=employer,
        )
        used = settings.model_copy(update=_encoding(encoded))
        state = fitted.accumulators if keep_state else None
        return cls(
            names, *fitted.arrays, settings=used, text=encoded.text, facts=fitted.facts, accumulators=state
        )

    def calibrated(self, calibration: Calibration) -> LinearModel:
        """The same model with another calibration."""
        return replace(self, calibration=calibration)

    @classmethod
    def learn(
        cls,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        held: npt.NDArray[np.integer[Any]],  # noqa: ARG003 - nothing is chosen by them
        settings: Settings,
        progress: Progress,
        *,
        checkpoint: Checkpoint | None = None,
        start: Start | None = None,
    ) -> LinearModel:
        """Learn from some reviews, or go on from an earlier model; see `Model.learn`."""
        from shelfcheck.models.shards_spark import employed  # noqa: PLC0415 - loads Numba

        linear, threads = settings.train.linear, settings.run.threads
        encoded = examples.encoded_as(linear, threads, progress)
        with employed(settings, encoded, checkpoint) as employer:
            return cls.fit(
                encoded,
                rows,
                examples.categories,
                linear,
                threads=threads,
                seed=settings.run.seed,
                progress=progress,
                checkpoint=checkpoint,
                start=start,
                keep_state=settings.train.update == "continue",
                employer=employer,
            )

    def explain(
        self,
        headline: str | None,
        body: str | None,
        category: str | None = None,
        against: str | None = None,
        *,
        k: int = 10,
    ) -> Explanation:
        """The n-grams that speak for one class against another, exactly; see `explain.explain`."""
        from shelfcheck.models.explain import explain  # noqa: PLC0415 - explain imports this module

        return explain(self, headline, body, category, against, k=k)

    # Predicting

    def logits(
        self,
        indptr: npt.NDArray[np.int64],
        ids: npt.NDArray[np.uint32],
        rows: npt.NDArray[np.integer[Any]] | None = None,
        threads: int = 0,
    ) -> Floats:
        """Logits before calibration; the log prior where a review has no known n-gram.

        Args:
            indptr: int64 (n + 1).
            ids: uint32 (nnz), as `encode` makes them.
            rows: (m), which rows; all when None.
            threads: worker threads; 0 takes all processors.

        Returns:
            float32 (m, categories).
        """
        from shelfcheck.models.kernels import score  # noqa: PLC0415
        from shelfcheck.models.ngram_weights import count_weights  # noqa: PLC0415 - loads Numba

        chosen = np.arange(len(indptr) - 1, dtype=np.uint32) if rows is None else rows.astype(np.uint32)
        n = len(chosen)
        out = np.empty((n, len(self.categories)), np.float32)
        known = np.empty(n, np.int32)
        # The prior is a probability already: undo what calibration will do to it.
        empty = self.prior / np.float32(self.calibration.scale)
        arrays = (self.position, self.idf, count_weights(), self.weights, self.bias, empty, out, known)

        def work(first: int) -> None:
            score(indptr, ids, first, min(n, first + _CHUNK_ROWS), chosen, *arrays)

        _in_threads(work, range(0, n, _CHUNK_ROWS), thread_count(threads))
        return out

    def logits_of(
        self,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        threads: int = 0,
        progress: Progress | None = None,
    ) -> Floats:
        """Logits of some of the reviews. (m, categories)."""
        encoded = examples.encoded_as(self.settings, threads, progress)
        return self.logits(encoded.indptr, encoded.ids, rows, threads)

    def logits_batch(self, batch: pa.RecordBatch | pa.Table, threads: int = 0) -> Floats:
        """Logits of a batch of reviews, prepared or canonical. (n, categories)."""
        workers = thread_count(threads)
        columns = field_tokens(batch, self.settings.fields, self.text, workers)
        indptr, ids = encode_tokens(
            columns,
            self.settings.fields,
            self.settings.hash_bits,
            workers,
            word_ngrams=self.settings.word_ngrams,
            prefixes=self.settings.prefixes,
        )
        return self.logits(indptr, ids, threads=workers)

    def predict_proba(
        self, bodies: Sequence[str | None], headlines: Sequence[str | None] | None = None
    ) -> Floats:
        """Calibrated probabilities of raw texts, (n, categories), fast for a single one as well."""
        logits = None if self._raw_texts is None else self._raw_texts.logits(bodies, headlines)
        if logits is None:
            return super().predict_proba(bodies, headlines)
        return np.exp(self.calibration.log_probabilities(logits))

    @cached_property
    def _raw_texts(self) -> RawTexts | None:
        from shelfcheck.models.raw_texts import RawTexts  # noqa: PLC0415 - loads Numba

        return RawTexts(self) if self.text.stemmer is None else None

    # Storing

    def card(self) -> dict[str, Any]:
        """What the model is, from what it was made and how."""
        return {
            "model": self.name,
            "format": FORMAT,
            "version": __version__,
            "categories": list(self.categories),
            "features": len(self.buckets),
            "settings": self.settings.model_dump(mode="json"),
            "text": self.text.model_dump(mode="json"),
            "calibration": self.calibration.to_json(),
            **self.facts,
        }

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors`, `card.json` and, where it is kept, `state.safetensors` into a folder."""
        from safetensors.numpy import save_file  # noqa: PLC0415 - only to write

        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, npt.NDArray[Any]] = {
            "buckets": self.buckets,
            "idf": self.idf,
            # Upper halves of float32: NumPy has no bfloat16, and its float16 is slow to convert to.
            "weights_bfloat16": (self.weights.view(np.uint32) >> np.uint32(16)).astype(np.uint16),
            "bias": self.bias,
            "prior": self.prior,
        }
        save_file(tensors, home / "model.safetensors")
        if self.accumulators is not None:
            write_state(home, self.accumulators)
        write_card(home, self.card())

    @classmethod
    def load(cls, folder: str | Path) -> LinearModel:
        """Read what `save` wrote.

        Raises:
            WorkspaceError: it is missing, broken or of another version.
        """
        from safetensors import SafetensorError  # noqa: PLC0415
        from safetensors.numpy import load_file  # noqa: PLC0415

        home = Path(folder)
        try:
            card = read_card(home, cls.name, FORMAT)
            tensors = load_file(home / "model.safetensors")
            known = (
                "model",
                "format",
                "version",
                "categories",
                "features",
                "settings",
                "text",
                "calibration",
            )
            return cls(
                categories=tuple(card["categories"]),
                buckets=tensors["buckets"],
                idf=tensors["idf"],
                weights=(tensors["weights_bfloat16"].astype(np.uint32) << np.uint32(16)).view(np.float32),
                bias=tensors["bias"],
                prior=tensors["prior"],
                settings=LinearSettings.model_validate(card["settings"]),
                text=TextSettings.model_validate(card["text"]),
                calibration=Calibration.from_json(card["calibration"]),
                facts={name: value for name, value in card.items() if name not in known},
            )
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise WorkspaceError(
                f"{home}: no model that can be read ({error}). Train one with: shelfcheck train"
            ) from error

    @cached_property
    def position(self) -> npt.NDArray[np.int32]:
        """Row of `weights` by bucket, -1 where unknown."""
        position = np.full(1 << self.settings.hash_bits, -1, np.int32)
        position[self.buckets] = np.arange(len(self.buckets), dtype=np.int32)
        return position


def _encoding(encoded: Encoded) -> dict[str, Any]:
    return {
        "fields": encoded.fields,
        "hash_bits": encoded.hash_bits,
        "word_ngrams": encoded.word_ngrams,
        "prefixes": encoded.prefixes,
    }


def _in_threads(work: Callable[[int], None], items: range, threads: int) -> None:
    if threads == 1 or len(items) < 2:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, items))
