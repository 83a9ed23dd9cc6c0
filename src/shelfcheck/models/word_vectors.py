"""Unsupervised word vectors: skip-gram and CBOW with negative sampling (Mikolov et al., 2013), by gensim.

What a word means by the company it keeps, without any category: BlazingText's `skipgram` and `cbow` modes.
Reviews are streamed from the prepared files in every pass; memory holds the words and their vectors only
(12 bytes * `vector_dim` for each word while learning, 4 afterwards).

Needs shelfcheck[vectors] to learn; stored vectors are read without it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import numpy as np

from shelfcheck.__about__ import __version__
from shelfcheck.errors import MissingExtraError, NotEnoughDataError, UsageError, WorkspaceError
from shelfcheck.models.base import read_card, write_card
from shelfcheck.models.ngrams import thread_count
from shelfcheck.prepare.read import count_prepared, iter_prepared
from shelfcheck.progress import NullProgress
from shelfcheck.schema import REVIEW_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from shelfcheck.progress import Progress

    Floats = npt.NDArray[np.float32]

FORMAT: Final = 1
Algorithm = Literal["skipgram", "cbow"]
_BATCH_ROWS: Final = 8192


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors.

    Attributes:
        words: most frequent first, (n,).
        vectors: float32 (n, dim).
        facts: how they were learned, for the card.
        name: what the card calls them.
    """

    words: tuple[str, ...]
    vectors: Floats
    facts: dict[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "word_vectors"

    def vector(self, word: str) -> Floats:
        """The vector of a word, float32 (dim).

        Raises:
            KeyError: it has none: it is too rare.
        """
        found: Floats = self.vectors[self._place(word)]
        return found

    def nearest(self, word: str, k: int = 10) -> list[tuple[str, float]]:
        """The words that are used most nearly like one, with their cosine (-1..1), best first.

        Raises:
            KeyError: the word has no vector.
        """
        from shelfcheck.models.neighbours import cosines  # noqa: PLC0415 - loads Numba

        place = self._place(word)
        found = cosines(self.vectors[place], self.vectors)
        found[place] = -math.inf
        best = np.argsort(-found, kind="stable")[: min(k, len(found) - 1)].tolist()
        return [(self.words[i], float(found[i])) for i in best]

    def save(self, folder: str | Path) -> None:
        """Write `vectors.safetensors`, `vocabulary.json` and `card.json`; the folder is made."""
        from safetensors.numpy import save_file  # noqa: PLC0415 - only to write

        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": self.vectors}, home / "vectors.safetensors")
        words = json.dumps(self.words, ensure_ascii=False, indent=0) + "\n"
        (home / "vocabulary.json").write_text(words, encoding="utf-8")
        write_card(home, {"model": self.name, "format": FORMAT, "version": __version__, **self.facts})

    @classmethod
    def load(cls, folder: str | Path) -> WordVectors:
        """Read what `save` wrote.

        Raises:
            WorkspaceError: it is missing, broken or of another version.
        """
        from safetensors import SafetensorError  # noqa: PLC0415
        from safetensors.numpy import load_file  # noqa: PLC0415

        home = Path(folder)
        try:
            card = read_card(home, cls.name, FORMAT)
            words = tuple(json.loads((home / "vocabulary.json").read_text(encoding="utf-8")))
            vectors = load_file(home / "vectors.safetensors")["vectors"]
            fits = vectors.ndim == 2 and len(vectors) == len(words)
        except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
            raise WorkspaceError(
                f"{home}: no word vectors that can be read ({error}). Learn them again."
            ) from error
        if not fits:
            raise WorkspaceError(f"{home}: {len(words)} words, {vectors.shape} vectors. Learn them again.")
        known = ("model", "format", "version")
        return cls(words, vectors, {name: value for name, value in card.items() if name not in known})

    def _place(self, word: str) -> int:
        places = self.__dict__.get("_places")
        if places is None:
            places = {name: i for i, name in enumerate(self.words)}
            self.__dict__["_places"] = places
        if word not in places:
            raise KeyError(f"{word!r} has no vector")
        return int(places[word])


def train_word_vectors(
    prepared_dir: str | Path,
    out_dir: str | Path,
    *,
    algorithm: Algorithm = "skipgram",
    vector_dim: int = 100,
    epochs: int = 5,
    window: int = 5,
    negative: int = 5,
    min_count: int = 5,
    sample: float = 1e-3,
    learning_rate: float = 0.025,
    threads: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> WordVectors:
    """Learn word vectors from the tokens of prepared reviews, and store them.

    One thread gives the same vectors for the same seed; several differ a little from run to run.

    Args:
        prepared_dir: output of `prepare`.
        out_dir: folder to fill; made if it is not there.
        algorithm: `skipgram` (a word foretells its neighbours; better for rare words) or `cbow` (the
            neighbours foretell the word; several times faster).
        vector_dim: numbers in a vector.
        epochs: passes over the reviews, after one to count the words.
        window: most words between a word and a neighbour.
        negative: words drawn by chance for each neighbour.
        min_count: drop words met fewer times.
        sample: words with a larger share of all tokens are met less often.
        learning_rate: first rate; falls linearly.
        threads: worker threads; 0 takes all processors.
        seed: of the first vectors and all draws.
        progress: told the reviews read.

    Raises:
        MissingExtraError: gensim is not installed.
        NotEnoughDataError: no word is met `min_count` times.
        WorkspaceError: there are no prepared reviews.
    """
    if algorithm not in {"skipgram", "cbow"}:
        raise UsageError(f"algorithm == {algorithm!r}, must be 'skipgram' or 'cbow'")
    try:
        from gensim.models import Word2Vec  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Learning word vectors", "vectors") from error
    progress = progress or NullProgress()
    reviews = count_prepared(prepared_dir)
    progress.start("Learning word vectors", reviews * (epochs + 1))
    model = Word2Vec(
        sg=int(algorithm == "skipgram"),
        vector_size=vector_dim,
        window=window,
        negative=negative,
        min_count=min_count,
        sample=sample,
        alpha=learning_rate,
        workers=thread_count(threads),
        seed=seed,
    )
    tokens = _Tokens(Path(prepared_dir), progress)
    model.build_vocab(tokens)
    if not model.wv.index_to_key:
        raise NotEnoughDataError(
            f"no word stands {min_count} times in the {reviews} reviews. Add reviews, or lower min_count."
        )
    model.train(tokens, total_examples=model.corpus_count, epochs=epochs)
    progress.finish()
    facts = {
        "algorithm": algorithm,
        "vector_dim": vector_dim,
        "epochs": epochs,
        "window": window,
        "negative": negative,
        "min_count": min_count,
        "sample": sample,
        "learning_rate": learning_rate,
        "seed": seed,
        "reviews": reviews,
        "words_read": model.corpus_total_words,
        "words": len(model.wv.index_to_key),
    }
    found = WordVectors(
        tuple(model.wv.index_to_key), np.ascontiguousarray(model.wv.vectors, np.float32), facts
    )
    found.save(out_dir)
    return found


class _Tokens:
    """The token lists of prepared reviews, read anew in every pass."""

    def __init__(self, prepared_dir: Path, progress: Progress) -> None:
        self._prepared_dir = prepared_dir
        self._progress = progress

    def __iter__(self) -> Iterator[list[str]]:
        for batch in iter_prepared(self._prepared_dir, [REVIEW_TOKENS], _BATCH_ROWS):
            for text in batch.column(REVIEW_TOKENS).to_pylist():
                if text:
                    yield text.split(" ")
            self._progress.advance(batch.num_rows)
