"""Category names, spelled one way: `Gift Card`, `gift_card ` and `Gift_Card` are `Gift_Card`."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_APOSTROPHES: Final = re.compile(r"['’`]")
_SEPARATORS: Final = re.compile(r"[\W_]+")
_SMALL_WORDS: Final = frozenset(
    ("a", "an", "and", "by", "de", "for", "in", "of", "on", "or", "the", "to", "with")
)


def normalise(categories: pa.Array) -> pa.Array:
    """Category names (string array or dictionary) in their one spelling; nothing left of a name is null.

    Each distinct name is worked on once, so the cost is that of a dictionary encoding.
    """
    if isinstance(categories, pa.ChunkedArray):
        categories = categories.combine_chunks()
    encoded = categories if pa.types.is_dictionary(categories.type) else categories.dictionary_encode()
    names = pa.array([normalise_name(name) for name in encoded.dictionary.to_pylist()], pa.string())
    return pc.take(names, encoded.indices)


@lru_cache(maxsize=65536)
def normalise_name(name: str | None) -> str | None:
    """One category name in its one spelling.

    HTML entities are undone, apostrophes dropped, every other run of characters that are
    neither letters nor digits becomes one `_`. Case: a name without any upper-case letter gets
    capitals (`lawn and garden` -> `Lawn_and_Garden`); in a name without any lower-case letter,
    words of more than three letters do (`VIDEO DVD` -> `Video_DVD`); a name in mixed case
    stays as it is (`Lawn_and_Garden`, `Home Entertainment`, `eBooks`).
    """
    if name is None:
        return None
    text = _APOSTROPHES.sub("", unicodedata.normalize("NFC", html.unescape(name)))
    words = [word for word in _SEPARATORS.split(text) if word]
    if not words:
        return None
    if not any(character.isupper() for character in text):
        words = [w if i and w in _SMALL_WORDS else w[:1].upper() + w[1:] for i, w in enumerate(words)]
    elif not any(character.islower() for character in text):
        words = [_lower_capitals(word, first=i == 0) for i, word in enumerate(words)]
    return "_".join(words)


def _lower_capitals(word: str, *, first: bool) -> str:
    if word.lower() in _SMALL_WORDS and not first:
        return word.lower()
    return word if len(word) <= 3 else word[:1] + word[1:].lower()
