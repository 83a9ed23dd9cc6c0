"""The `embedding` model: supervised fastText (Joulin et al., EACL 2017), which BlazingText is too.

A review is a weighted mean of the vectors of its words and word n-grams; a softmax over an output matrix
makes classes of it. Three things differ from fastText by default, and raise the accuracy: n-grams are
weighted by what they tell about the class, as in `linear`; a random share of them is left out in training;
and every vector has a rate of its own (AdaGrad). `config.BLAZINGTEXT` has none of them.

As in fastText, every text ends with a term of its own, whose part in the mean is larger the shorter the text:
it learns what short and long reviews are about. Where a text has no known n-gram, the prior is all.

N-grams come hashed from the same encoded stream as those of `linear`. Those that stand in `min_count`
training reviews or more get a vector, the most frequent first, `buckets` at most; others are not read.

The classes' log odds are linear in the n-grams, so explanations are exact; the end's part is in their rest.

Memory: a trained model holds 4 * width + 8 bytes for each vector (width is `vector_dim` rounded up to 8) and
4 bytes for each hash bucket.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from shelfcheck.__about__ import __version__
from shelfcheck.config import EmbeddingSettings, TextSettings
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.models.base import Model, read_card, write_card
from shelfcheck.models.blocks import counted, taken
from shelfcheck.models.calibration import Calibration
from shelfcheck.models.ngrams import encode_tokens, field_tokens, term_buckets, thread_count
from shelfcheck.schema import REVIEW_BODY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import Settings
    from shelfcheck.models.base import Explanation
    from shelfcheck.models.embedding_fitting import Pooling
    from shelfcheck.models.examples import Examples
    from shelfcheck.models.neighbours import ProductVectors
    from shelfcheck.progress import Progress

    Floats = npt.NDArray[np.float32]

FORMAT: Final = 1
_CARD: Final = ("model", "format", "version", "categories", "features", "settings", "text", "calibration")


@dataclass(frozen=True)
class EmbeddingModel(Model):
    """A trained `embedding` model.

    Attributes:
        categories: the classes it knows, sorted.
        buckets: uint32 (features), bucket of each row of `vectors`, most frequent first.
        factor: float32 (features + 1), weight of each n-gram: its relevance to its power; of the end: 1.
        vectors: float32 (features + 1, width), the last that of the end of a text; width = `vector_dim` and
            zeros up to a multiple of 8; every value is exact in bfloat16.
        output: float32 (categories, width).
        bias: float32 (categories).
        prior: float32 (categories), log share of each class in the training reviews.
        settings: how it was learned.
        text: how tokens are made.
        words: words of bodies that have a vector, most frequent first; the neighbours to choose from.
        calibration: how logits become probabilities.
        facts: more for the card: rows, seed, loss, seconds.
    """

    categories: tuple[str, ...]
    buckets: npt.NDArray[np.uint32]
    factor: Floats
    vectors: Floats
    output: Floats
    bias: Floats
    prior: Floats
    settings: EmbeddingSettings
    text: TextSettings
    words: tuple[str, ...] = ()
    calibration: Calibration = field(default_factory=Calibration)
    facts: dict[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "embedding"

    @classmethod
    def learn(
        cls,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        held: npt.NDArray[np.integer[Any]],
        settings: Settings,
        progress: Progress,
        *,
        checkpoint: Checkpoint | None = None,
    ) -> EmbeddingModel:
        """Learn from some reviews; see `Model.learn`.

        One thread gives the same model for the same seed, bit for bit; several differ a little from
        run to run.
        """
        from shelfcheck.models.embedding_fitting import fit_embedding  # noqa: PLC0415 - loads Numba
        from shelfcheck.models.vocabulary import frequent_words  # noqa: PLC0415

        own, threads = settings.train.embedding, settings.run.threads
        encoded = examples.encoded_as(own, threads, progress)
        labels = taken(encoded.label, rows)
        present = np.flatnonzero(counted(labels))
        if len(present) < 2:
            only = encoded.categories[present[0]] if len(present) else "none"
            raise NotEnoughDataError(
                f"{len(present)} category ({only}) has reviews to learn from, must be >= 2. "
                "Add reviews of other categories, or lower train.min_category_reviews."
            )
        fitted = fit_embedding(
            encoded.indptr,
            encoded.ids,
            rows.astype(np.uint32, copy=False),
            labels,
            held=(held.astype(np.uint32, copy=False), taken(encoded.label, held)),
            n_classes=len(encoded.categories),
            hash_bits=encoded.hash_bits,
            settings=own,
            threads=thread_count(threads),
            seed=settings.run.seed,
            progress=progress,
            checkpoint=checkpoint,
        )
        words: tuple[str, ...] = ()
        if REVIEW_BODY in own.fields and own.named_words and examples.source is not None:
            words = frequent_words(examples.source, encoded.text, own.named_words)
        model = cls(
            encoded.categories,
            *fitted.arrays,
            settings=own,
            text=encoded.text,
            facts=fitted.facts,
        )
        if not words:
            return model
        places = model.places(words).tolist()
        return replace(model, words=tuple(w for w, place in zip(words, places, strict=True) if place >= 0))

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
            rows: int64 (m), which rows; all when None.
            threads: worker threads; 0 takes all processors.

        Returns:
            float32 (m, categories).
        """
        from shelfcheck.models.embedding_fitting import Top, score  # noqa: PLC0415 - loads Numba

        chosen = np.arange(len(indptr) - 1, dtype=np.uint32) if rows is None else rows.astype(np.uint32)
        # The prior is a probability already: undo what calibration will do to it.
        top = Top(self.output, self.bias, self.prior / np.float32(self.calibration.scale))
        return score(indptr, ids, chosen, self.pooling, top, threads=thread_count(threads))

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
        own = self.settings
        columns = field_tokens(batch, own.fields, self.text, workers)
        indptr, ids = encode_tokens(
            columns,
            own.fields,
            own.hash_bits,
            workers,
            word_ngrams=own.word_ngrams,
            prefixes=own.prefixes,
        )
        return self.logits(indptr, ids, threads=workers)

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
        from shelfcheck.models.explain import explain  # noqa: PLC0415 - loads slowly

        return explain(self, headline, body, category, against, k=k)

    def parts(
        self, features: npt.NDArray[np.int32], counts: npt.NDArray[np.uint32], chosen: int, other: int
    ) -> Floats:
        """What each known n-gram of one review adds to the logit of one class less that of another.

        Args:
            features: rows of `vectors`, (m,).
            counts: how often each stands in the review, less one, (m,).
            chosen: the one class.
            other: the other.
        """
        pooling = self.pooling
        x = np.append(pooling.factor[features] * pooling.tf[counts], pooling.factor[-1])  # and the end
        x /= np.linalg.norm(x) if pooling.unit_norm else x.sum()
        found: Floats = x[:-1] * (self.vectors[features] @ (self.output[chosen] - self.output[other]))
        return found

    # Vectors

    def places(self, terms: Sequence[str], field_name: str = REVIEW_BODY) -> npt.NDArray[np.int32]:
        """Row of the vector of each word, or of words joined by spaces, -1 where it has none. (n,)."""
        buckets = term_buckets(terms, field_name, self.settings.hash_bits)
        found: npt.NDArray[np.int32] = self.position[buckets]
        return found

    def word_vector(self, term: str, field_name: str = REVIEW_BODY) -> Floats:
        """The vector of a word, or of words joined by spaces, in one field of a review. (vector_dim,).

        Raises:
            KeyError: it has none: it was in too few training reviews.
        """
        place = self.places([term], field_name)[0]
        if place < 0:
            raise KeyError(f"{term!r} has no vector")
        found: Floats = self.vectors[place, : self.settings.vector_dim]
        return found

    def nearest_words(
        self, term: str, k: int = 10, among: Sequence[str] | None = None
    ) -> list[tuple[str, float]]:
        """The words whose vectors point most nearly in the same direction, best first.

        Args:
            term: a word, or words joined by spaces.
            k: most words to return.
            among: words to choose from; `words` when None.

        Returns:
            Words with their cosine, -1..1.

        Raises:
            KeyError: the term has no vector.
            WorkspaceError: there are no words to choose from.
        """
        from shelfcheck.models.neighbours import nearest_words  # noqa: PLC0415 - loads Numba

        return nearest_words(self, term, k, self.words if among is None else tuple(among))

    def product_vectors(
        self, examples: Examples, rows: npt.NDArray[np.integer[Any]] | None = None, threads: int = 0
    ) -> ProductVectors:
        """The mean vector of each product's reviews.

        Reviews without a product, and those without a known n-gram, are left out.

        Args:
            examples: reviews.
            rows: int64 (m), which of them; all when None.
            threads: worker threads; 0 takes all processors.
        """
        from shelfcheck.models.neighbours import product_vectors  # noqa: PLC0415 - loads Numba

        return product_vectors(self, examples, rows, threads)

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
        """Write `model.safetensors` and `card.json` into a folder, made if it is not there."""
        from safetensors.numpy import save_file  # noqa: PLC0415 - only to write

        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        dim = self.settings.vector_dim
        tensors: dict[str, npt.NDArray[Any]] = {
            "buckets": self.buckets,
            "factor": self.factor,
            # Upper halves of float32: NumPy has no bfloat16, and its float16 is slow to convert to.
            "vectors_bfloat16": _upper_halves(self.vectors[:, :dim]),
            "output": np.ascontiguousarray(self.output[:, :dim]),
            "bias": self.bias,
            "prior": self.prior,
            "words": np.frombuffer("\n".join(self.words).encode(), np.uint8),
        }
        save_file(tensors, home / "model.safetensors")
        write_card(home, self.card())

    @classmethod
    def load(cls, folder: str | Path) -> EmbeddingModel:
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
            names = tensors["words"].tobytes().decode()
            return cls(
                categories=tuple(card["categories"]),
                buckets=tensors["buckets"],
                factor=tensors["factor"],
                vectors=_padded(tensors["vectors_bfloat16"].astype(np.uint32) << np.uint32(16)),
                output=_padded(tensors["output"].view(np.uint32)),
                bias=tensors["bias"],
                prior=tensors["prior"],
                settings=EmbeddingSettings.model_validate(card["settings"]),
                text=TextSettings.model_validate(card["text"]),
                words=tuple(names.split("\n")) if names else (),
                calibration=Calibration.from_json(card["calibration"]),
                facts={name: value for name, value in card.items() if name not in _CARD},
            )
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise WorkspaceError(
                f"{home}: no model that can be read ({error}). Train one with: shelfcheck train"
            ) from error

    @cached_property
    def position(self) -> npt.NDArray[np.int32]:
        """Row of `vectors` by bucket, -1 where unknown."""
        from shelfcheck.models.ngram_weights import positions  # noqa: PLC0415 - loads Numba

        return positions(self.buckets, 1 << self.settings.hash_bits)

    @cached_property
    def pooling(self) -> Pooling:
        """How the vectors of a review's n-grams become one."""
        from shelfcheck.models.embedding_fitting import Pooling, weights_of_counts  # noqa: PLC0415

        tf, unit_norm = weights_of_counts(self.settings), self.settings.pooling == "norm"
        return Pooling(self.position, self.factor, tf, unit_norm, self.vectors)


def _upper_halves(values: Floats) -> npt.NDArray[np.uint16]:
    bits = np.ascontiguousarray(values).view(np.uint32)
    return (bits >> np.uint32(16)).astype(np.uint16)


def _padded(bits: npt.NDArray[np.uint32]) -> Floats:
    """Float32 rows, given as bits, with zeros up to a multiple of 8."""
    from shelfcheck.models.embedding_fitting import LANE  # noqa: PLC0415 - loads Numba

    rows, dim = bits.shape
    if dim % LANE == 0:
        return bits.view(np.float32)
    out = np.zeros((rows, -(-dim // LANE) * LANE), np.float32)
    out[:, :dim] = bits.view(np.float32)
    return out
