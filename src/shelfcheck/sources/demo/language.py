"""Composes texts from sentence templates: all of a chunk at once, by gathering from a table of phrases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from shelfcheck.sources.checks import int64
from shelfcheck.sources.demo import templates
from shelfcheck.sources.demo.words import CATEGORIES

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

# What a sentence says: of the product, of anything, all there is to a short review, or a headline;
# each of bad, neutral and good things.
GROUPS: Final = (
    ("BAD_PRODUCT", "NEUTRAL_PRODUCT", "GOOD_PRODUCT"),
    ("BAD_ANY", "NEUTRAL_ANY", "GOOD_ANY"),
    ("SHORT_BAD", "SHORT_NEUTRAL", "SHORT_GOOD"),
    ("HEADLINE_BAD", "HEADLINE_NEUTRAL", "HEADLINE_GOOD"),
)
PRODUCT, ANY, SHORT, HEADLINE = range(4)
_OWN_WORDS: Final = 0.87  # share of slots filled with words of the product's own type
_RELATED_WORDS: Final = (
    0.12  # with those of its category, or of one that is easily confused; else of any type
)
_NOUN: Final = templates.TYPE_SLOTS.index("noun")
_OWN_NOUN: Final = 0.85  # share of nouns that are what the product is called
_SEPARATORS: Final = (" ",) * 19 + ("<br /><br />",)
_SLOT: Final = re.compile(r"\{(\w+)\}")


class Language:
    """The compiled templates and vocabulary of CATEGORIES."""

    def __init__(self) -> None:
        self._phrases: dict[str, int] = {"": 0}
        self._slots = (*templates.TYPE_SLOTS, *templates.WORDS, "separator")
        self.type_category = np.array([c for c, item in enumerate(CATEGORIES) for _ in item.types])
        self._compile_slots()
        self._compile_templates()
        self._relate_types()
        phrases = list(self._phrases)
        self._count = len(phrases)
        self._table = pa.array([*phrases, *(phrase.lower() for phrase in phrases)], pa.string())

    def _phrase(self, text: str) -> int:
        return self._phrases.setdefault(text, len(self._phrases))

    def _compile_slots(self) -> None:
        types = [kind for category in CATEGORIES for kind in category.types]
        self._slot_start = np.zeros((len(self._slots), len(types)), np.int64)
        self._slot_count = np.zeros((len(self._slots), len(types)), np.int64)
        words: list[int] = []
        for s, slot in enumerate(self._slots):
            for t, kind in enumerate(types):
                if s < len(templates.TYPE_SLOTS):
                    choices: tuple[str, ...] = kind[s]
                else:
                    choices = templates.WORDS.get(slot, _SEPARATORS)
                self._slot_start[s, t], self._slot_count[s, t] = len(words), len(choices)
                words += [self._phrase(choice) for choice in choices]
        self._slot_words = np.array(words)

    def _compile_templates(self) -> None:
        codes: list[int] = []  # phrase, or -1 - slot
        starts: list[int] = []
        lengths: list[int] = []
        self._group_start = np.zeros((len(GROUPS), 3), np.int64)
        self._group_count = np.zeros((len(GROUPS), 3), np.int64)
        for g, names in enumerate(GROUPS):
            for p, name in enumerate(names):
                sentences = getattr(templates, name)
                self._group_start[g, p], self._group_count[g, p] = len(starts), len(sentences)
                for sentence in sentences:
                    parts = _SLOT.split("{separator}" + sentence)
                    code = [
                        -1 - self._slots.index(part) if i % 2 else self._phrase(part)
                        for i, part in enumerate(parts)
                        if part
                    ]
                    starts.append(len(codes))
                    lengths.append(len(code))
                    codes += code
        self._codes = np.array(codes)
        self._template_start, self._template_length = np.array(starts), np.array(lengths)

    def _relate_types(self) -> None:
        names = [category.name for category in CATEGORIES]
        pairs = {(names.index(c.like), c_index) for c_index, c in enumerate(CATEGORIES) if c.like}
        pairs |= {(b, a) for a, b in pairs} | {(c, c) for c in range(len(names))}
        related = [
            [u for u, d in enumerate(self.type_category) if (int(c), int(d)) in pairs]
            for c in self.type_category
        ]
        self._related_count = np.array([len(types) for types in related])
        self._related_start = np.concatenate(([0], np.cumsum(self._related_count)[:-1]))
        self._related = np.concatenate(related)

    def templates_of(self, rng: np.random.Generator, group: Ints, polarity: Ints) -> Ints:
        """A template for each sentence, from its group and polarity (0 bad, 1 neutral, 2 good)."""
        return self._group_start[group, polarity] + _pick(rng, self._group_count[group, polarity])

    def compose(  # noqa: PLR0917 - one array an aspect of the texts
        self,
        rng: np.random.Generator,
        sentences: Ints,
        chosen: Ints,
        types: Ints,
        nouns: Ints,
        lower: npt.NDArray[np.bool_],
    ) -> pa.Array:
        """Texts as a string array of length n.

        Args:
            rng: source of the choices.
            sentences: (n,) sentences of each text, at least one.
            chosen: (sum of sentences,) templates, text by text.
            types: (n,) product type of each text.
            nouns: (n,) which of its type's nouns the product is called by.
            lower: (n,) whether a text is in lower case.
        """
        text_of_sentence = np.repeat(np.arange(len(sentences)), sentences)
        lengths = self._template_length[chosen]
        ends = np.cumsum(lengths)
        sentence = np.repeat(np.arange(len(chosen), dtype=np.int32), lengths)
        codes = self._codes[np.arange(ends[-1]) + (self._template_start[chosen] - (ends - lengths))[sentence]]
        at = np.flatnonzero(codes < 0)
        slot = -1 - codes[at]
        text = text_of_sentence[sentence[at]]
        kind = self._mix(rng, types[text])
        word = self._slot_start[slot, kind] + _pick(rng, self._slot_count[slot, kind], skewed=True)
        own = np.flatnonzero((slot == _NOUN) & (rng.random(len(at), dtype=np.float32) < _OWN_NOUN))
        word[own] = self._slot_start[_NOUN, types[text[own]]] + nouns[text[own]]
        codes[at] = self._slot_words[word]
        first_sentence = np.cumsum(sentences) - sentences
        first_phrase = (ends - lengths)[first_sentence]
        codes[first_phrase] = 0  # no separator before the first sentence
        codes += np.where(lower, self._count, 0)[text_of_sentence][sentence]
        phrases = self._table.take(int64(codes))
        offsets = np.frombuffer(phrases.buffers()[1], np.int32, len(phrases) + 1)
        bounds = np.append(first_phrase, len(phrases))
        return pa.StringArray.from_buffers(
            len(sentences), pa.py_buffer(np.ascontiguousarray(offsets[bounds])), phrases.buffers()[2]
        )

    def _mix(self, rng: np.random.Generator, types: Ints) -> Ints:
        u = rng.random(len(types), dtype=np.float32)
        kind = types.copy()
        near = np.flatnonzero((u >= _OWN_WORDS) & (u < _OWN_WORDS + _RELATED_WORDS))
        kind[near] = self._related[
            self._related_start[types[near]] + _pick(rng, self._related_count[types[near]])
        ]
        far = np.flatnonzero(u >= _OWN_WORDS + _RELATED_WORDS)
        kind[far] = rng.integers(0, len(self.type_category), len(far))
        return kind


def _pick(rng: np.random.Generator, count: Ints, *, skewed: bool = False) -> Ints:
    """An index below each count; skewed to the first ones, as words are."""
    u = rng.random(len(count), dtype=np.float32)
    if skewed:
        u *= 0.5 + 0.5 * u
    return np.minimum((u * count).astype(np.int64), count - 1)
