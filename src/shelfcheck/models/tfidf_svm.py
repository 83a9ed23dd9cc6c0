"""The `tfidf_svm` model: scikit-learn's TF-IDF and linear support vector machine, one class against the rest.

A peer that everybody knows, made comparable: the same tokens and fields as the other models read, calibrated
probabilities, exact explanations, and a file that holds no pickle. A term of the headline is another term
than the same words in the body; it is stored as `headline:words`, which no token can be, for tokens have no
ASCII punctuation.

Margins of one class against the rest are no log odds: a rare class's margin hardly ever comes above zero,
however sure it is. So each class's margin is given a slope and a shift of its own on held products (vector
scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017), which are folded into the
coefficients; the calibration that all models have comes on top.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from shelfcheck.__about__ import __version__
from shelfcheck.config import TextSettings, TfidfSvmSettings
from shelfcheck.errors import NotEnoughDataError, WorkspaceError
from shelfcheck.models.base import Explanation, Model, Term, read_card, write_card
from shelfcheck.models.calibration import Calibration, product_weights
from shelfcheck.models.ngrams import field_tokens, thread_count
from shelfcheck.models.one_vs_rest import fit_one_vs_rest
from shelfcheck.models.vector_scaling import fit_vector_scaling
from shelfcheck.schema import REVIEW_BODY, REVIEW_HEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from shelfcheck.checkpoints import Checkpoint
    from shelfcheck.config import Settings
    from shelfcheck.models.examples import Examples
    from shelfcheck.progress import Progress

    Floats = npt.NDArray[np.float32]
    Texts = tuple[str | None, ...]

FORMAT: Final = 1
_PREFIX: Final = {REVIEW_BODY: "", REVIEW_HEADLINE: "headline:"}
_CHUNK_ROWS: Final = 16_384
_KNOWN_IN_CARD: Final = frozenset(
    ("model", "format", "version", "categories", "features", "settings", "text", "calibration")
)


@dataclass(frozen=True)
class TfidfSvmModel(Model):
    """A trained `tfidf_svm` model.

    Attributes:
        categories: the classes it knows, sorted.
        terms: words and n-grams, those of the headline with a prefix, sorted; (terms).
        idf: float32 (terms), inverse document frequency.
        coefficients: float32 (terms, categories).
        intercepts: float32 (categories).
        prior: float32 (categories), log share of each class in the training reviews.
        settings: how it was learned.
        text: how tokens are made.
        calibration: how logits become probabilities.
        facts: more for the card: rows, seed, seconds.
    """

    categories: tuple[str, ...]
    terms: tuple[str, ...]
    idf: Floats
    coefficients: Floats
    intercepts: Floats
    prior: Floats
    settings: TfidfSvmSettings
    text: TextSettings
    calibration: Calibration = field(default_factory=Calibration)
    facts: dict[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "tfidf_svm"

    @classmethod
    def learn(
        cls,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        held: npt.NDArray[np.integer[Any]],
        settings: Settings,
        progress: Progress,
        *,
        checkpoint: Checkpoint | None = None,  # noqa: ARG003 - a solver of its own, from the beginning
    ) -> TfidfSvmModel:
        """Learn from some reviews; see `Model.learn`. The same seed gives the same model."""
        own, threads = settings.train.tfidf_svm, settings.run.threads
        text = examples.encoded.text
        present, labels = np.unique(examples.label[rows], return_inverse=True)
        if len(present) < 2:
            raise NotEnoughDataError(
                f"{len(present)} class has reviews to learn from, must be >= 2. "
                "Add reviews of other classes, or lower train.min_category_reviews."
            )
        started = time.perf_counter()
        vectorizer = _vectorizer(own)
        columns = _columns(examples, rows, own, text, threads)
        progress.start("Counting terms", len(rows))
        try:
            x = vectorizer.fit_transform(_told(_documents(columns), progress.advance))
        except ValueError as error:  # all that scikit-learn says when no term is left
            raise NotEnoughDataError(
                f"no word stands in {own.min_document_frequency} of the {len(rows)} training reviews. "
                "Add reviews, or lower train.tfidf_svm.min_document_frequency."
            ) from error
        finally:
            progress.finish()
        counted = time.perf_counter()
        weights, intercepts, unfinished = fit_one_vs_rest(
            x, labels, len(present), own, seed=settings.run.seed, threads=threads, progress=progress
        )
        shares = (np.bincount(labels) + 0.5) / (len(rows) + 0.5 * len(present))
        model = cls(
            categories=tuple(examples.categories[i] for i in present),
            terms=tuple(vectorizer.get_feature_names_out().tolist()),
            idf=vectorizer.idf_.astype(np.float32),
            coefficients=weights,
            intercepts=intercepts,
            prior=np.log(shares).astype(np.float32),
            settings=own,
            text=text,
            facts={
                "training_reviews": len(rows),
                "training_terms": int(x.nnz),
                "classes_not_converged": unfinished,
                "seed": settings.run.seed,
                "seconds": {
                    "count": round(counted - started, 3),
                    "learn": round(time.perf_counter() - counted, 3),
                },
            },
        )
        return model._scaled(examples, held, threads)

    def _scaled(self, examples: Examples, held: npt.NDArray[np.integer[Any]], threads: int) -> TfidfSvmModel:
        """Slopes and shifts of the classes, found on held reviews, folded into the coefficients."""
        from shelfcheck.models.train import labels_for, product_codes  # noqa: PLC0415 - it imports models

        labels = labels_for(examples.encoded, self.categories)[held]
        held, labels = held[labels >= 0], labels[labels >= 0]
        if len(held) == 0:
            return self
        margins = self.logits_of(examples, held, threads)
        weights = product_weights(product_codes(examples.encoded, held))
        found = fit_vector_scaling(margins, labels, weights)
        return replace(
            self,
            coefficients=self.coefficients * found.slopes,
            intercepts=self.intercepts * found.slopes + found.shifts,
            facts=self.facts
            | {
                "margin_slopes": [round(float(value), 4) for value in found.slopes],
                "margin_shifts": [round(float(value), 4) for value in found.shifts],
            },
        )

    # Predicting

    @cached_property
    def vectorizer(self) -> Any:
        """scikit-learn's `TfidfVectorizer`, made again from terms and their frequencies.

        It takes a tuple of token strings a review, one for each of `settings.fields`.
        """
        found = _vectorizer(self.settings, vocabulary={term: i for i, term in enumerate(self.terms)})
        found.idf_ = self.idf
        return found

    def _logits(self, columns: Sequence[pa.Array], progress: Callable[[int], None] | None = None) -> Floats:
        n = len(columns[0])
        out = np.empty((n, len(self.categories)), np.float32)
        # The prior is a probability already: undo what calibration will do to it.
        empty = self.prior / np.float32(self.calibration.scale)
        for first in range(0, n, _CHUNK_ROWS):
            part = slice(first, min(n, first + _CHUNK_ROWS))
            size = part.stop - first
            x = self.vectorizer.transform(_documents([column.slice(first, size) for column in columns]))
            out[part] = x @ self.coefficients + self.intercepts
            out[part][np.diff(x.indptr) == 0] = empty
            if progress is not None:
                progress(size)
        return out

    def logits_of(
        self,
        examples: Examples,
        rows: npt.NDArray[np.integer[Any]],
        threads: int = 0,
        progress: Progress | None = None,
    ) -> Floats:
        """Margins of some of the reviews; the log prior where a review has no known term. (m, categories)."""
        columns = _columns(examples, rows, self.settings, self.text, threads)
        return self._logits(columns, None if progress is None else progress.advance)

    def logits_batch(self, batch: pa.RecordBatch | pa.Table, threads: int = 0) -> Floats:
        """Margins of a batch of reviews, prepared or canonical. (n, categories)."""
        return self._logits(field_tokens(batch, self.settings.fields, self.text, thread_count(threads)))

    def explain(
        self,
        headline: str | None,
        body: str | None,
        category: str | None = None,
        against: str | None = None,
        *,
        k: int = 10,
    ) -> Explanation:
        """The terms that speak for one class against another, exactly: the model is linear.

        See `Model.explain`. A term that stands in headline and body is told once, with both parts.
        """
        import pyarrow as pa  # noqa: PLC0415 - loads slowly

        table = pa.table(
            {REVIEW_HEADLINE: pa.array([headline], pa.string()), REVIEW_BODY: pa.array([body], pa.string())}
        )
        columns = field_tokens(table, self.settings.fields, self.text, 1)
        x = self.vectorizer.transform(_documents(columns))
        z = self._logits(columns)[0]
        place = {name: i for i, name in enumerate(self.categories)}
        chosen = int(z.argmax()) if category is None else place[category]
        order = np.argsort(-z, kind="stable")
        runner_up = int(order[0] if order[0] != chosen else order[1])
        other = runner_up if against is None else place[against]
        scale = self.calibration.scale
        difference = self.coefficients[x.indices, chosen] - self.coefficients[x.indices, other]
        parts = scale * x.data.astype(np.float64) * difference
        total: dict[str, float] = {}
        for term, weight in zip(x.indices.tolist(), parts.tolist(), strict=True):
            name = self.terms[term].removeprefix(_PREFIX[REVIEW_HEADLINE])
            total[name] = total.get(name, 0.0) + weight
        strongest = sorted(total.items(), key=lambda item: (-abs(item[1]), item[0]))[:k]
        log_odds = float(scale * (z[chosen] - z[other]))
        return Explanation(
            category=self.categories[chosen],
            against=self.categories[other],
            terms=[Term(*item) for item in sorted(strongest, key=lambda item: (-item[1], item[0]))],
            rest=log_odds - float(parts.sum()),
            log_odds=log_odds,
        )

    # Storing

    def card(self) -> dict[str, Any]:
        """What the model is, from what it was made and how."""
        return {
            "model": self.name,
            "format": FORMAT,
            "version": __version__,
            "categories": list(self.categories),
            "features": len(self.terms),
            "settings": self.settings.model_dump(mode="json"),
            "text": self.text.model_dump(mode="json"),
            "calibration": self.calibration.to_json(),
            **self.facts,
        }

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `card.json` into a folder, made if it is not there.

        Coefficients are stored sparse where that is smaller: the dual solver leaves those of terms that
        stand in no support vector at zero, most of them for rare classes.
        """
        from safetensors.numpy import save_file  # noqa: PLC0415 - only to write

        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, npt.NDArray[Any]] = {
            "terms_utf8": np.frombuffer("\n".join(self.terms).encode(), np.uint8),
            "idf": self.idf,
            "intercepts": self.intercepts,
            "prior": self.prior,
        }
        kind = np.uint8 if len(self.categories) <= 1 << 8 else np.uint16
        kept = self.coefficients != 0
        count = int(kept.sum())
        if count * (4 + np.dtype(kind).itemsize) < 4 * kept.size:
            tensors["coefficients"] = self.coefficients[kept]
            tensors["coefficient_classes"] = np.nonzero(kept)[1].astype(kind)
            tensors["coefficients_of_term"] = kept.sum(axis=1).astype(np.uint16)
        else:
            tensors["coefficients_dense"] = np.ascontiguousarray(self.coefficients)
        save_file(tensors, home / "model.safetensors")
        write_card(home, self.card())

    @classmethod
    def load(cls, folder: str | Path) -> TfidfSvmModel:
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
            return cls(
                categories=tuple(card["categories"]),
                terms=tuple(tensors["terms_utf8"].tobytes().decode().split("\n")),
                idf=tensors["idf"],
                coefficients=_coefficients(tensors, len(card["categories"])),
                intercepts=tensors["intercepts"],
                prior=tensors["prior"],
                settings=TfidfSvmSettings.model_validate(card["settings"]),
                text=TextSettings.model_validate(card["text"]),
                calibration=Calibration.from_json(card["calibration"]),
                facts={name: value for name, value in card.items() if name not in _KNOWN_IN_CARD},
            )
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise WorkspaceError(
                f"{home}: no model that can be read ({error}). Train one with: shelfcheck train"
            ) from error


@dataclass(frozen=True)
class _Terms:
    """Words and n-grams of a review's token strings, one a field; as scikit-learn's analyzer."""

    fields: tuple[str, ...]
    longest: int

    def __call__(self, texts: Texts) -> list[str]:
        found = []
        for name, text in zip(self.fields, texts, strict=True):
            prefix = _PREFIX[name]
            words = text.split() if text else []
            found += [prefix + word for word in words] if prefix else words
            for length in range(2, self.longest + 1):
                ends = range(length, len(words) + 1)
                found += [prefix + " ".join(words[end - length : end]) for end in ends]
        return found


def _vectorizer(settings: TfidfSvmSettings, vocabulary: dict[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - loads slowly

    return TfidfVectorizer(
        analyzer=_Terms(settings.fields, settings.word_ngrams),
        vocabulary=vocabulary,
        max_features=settings.max_terms,
        min_df=settings.min_document_frequency,
        sublinear_tf=settings.sublinear_tf,
        dtype=np.float32,
    )


def _columns(
    examples: Examples,
    rows: npt.NDArray[np.integer[Any]],
    settings: TfidfSvmSettings,
    text: TextSettings,
    threads: int,
) -> list[pa.Array]:
    import pyarrow as pa  # noqa: PLC0415 - loads slowly

    return field_tokens(examples.texts.take(pa.array(rows)), settings.fields, text, thread_count(threads))


def _documents(columns: Sequence[pa.Array]) -> Iterator[Texts]:
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _told(documents: Iterable[Texts], advance: Callable[[int], None], every: int = 4096) -> Iterator[Texts]:
    """The same documents; progress is told now and then."""
    count = 0
    for document in documents:
        yield document
        count += 1
        if count % every == 0:
            advance(every)
    advance(count % every)


def _coefficients(tensors: dict[str, npt.NDArray[Any]], classes: int) -> Floats:
    if "coefficients_dense" in tensors:
        return tensors["coefficients_dense"]
    count = tensors["coefficients_of_term"]
    found = np.zeros((len(count), classes), np.float32)
    rows = np.repeat(np.arange(len(count)), count)
    found[rows, tensors["coefficient_classes"]] = tensors["coefficients"]
    return found
