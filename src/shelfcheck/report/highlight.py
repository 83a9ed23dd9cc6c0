"""Evidence words, marked in the text that they were read from.

A term is one or two *normalised* tokens (`battery life`): lower-cased, punctuation deleted, stop words
dropped. What a token is has one definition, `shelfcheck.text.tokens`; so the text is cut at white
space and tags, each distinct piece is put through that kernel, and a term is looked for in the row of
tokens that comes back. Pieces keep their place in the source, and so the source words can be marked.

Everything that leaves here is escaped: review text is untrusted, and often holds markup.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from shelfcheck.text.clean import HTML_ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Normalise = Callable[[Sequence[str]], Sequence[str | None]]
    """Texts to their tokens, each text's joined by one space."""

_ELEMENTS = "|".join(sorted(HTML_ELEMENTS, key=len, reverse=True))
_BETWEEN = re.compile(
    r"(?P<line>(?a:</?(?:br|p|div|li)(?=[ \t\n\r\f/>])[^<>]*>))"
    rf"|(?a:</?(?:{_ELEMENTS})(?=[ \t\n\r\f/>])[^<>]*>|\[\[videoid:[^\[\]]*\]\]|\[\[asin:[0-9a-z]*)|\s+",
    re.IGNORECASE,
)
_CORE = re.compile(r"^([^\w]*)(.*?)([^\w]*)$", re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")


@dataclass(frozen=True)
class Piece:
    """A stretch of the source: what to show, and its tokens if it is a word."""

    text: str
    word: bool


@dataclass(frozen=True)
class Marked:
    """A text with its evidence marked.

    Attributes:
        head: the first part, escaped, with `<mark>`.
        rest: what follows it, empty for a text that is short enough.
        rest_characters: length of the rest, in characters.
        rest_marks: how many stretches are marked in the rest.
        found: the terms that stand in the text, in the order given.
    """

    head: Markup
    rest: Markup
    rest_characters: int
    rest_marks: int
    found: tuple[str, ...]


def pieces(text: str) -> list[Piece]:
    """Cut a text into words, white space and tags, in the order of `shelfcheck.text.clean`.

    Character references are decoded once, as a reader would see them; tags that break a line become
    line breaks, others stay to be read. The pieces are plain text, not yet escaped.
    """
    source = html.unescape(text)
    cut = []
    at = 0
    for match in _BETWEEN.finditer(source):
        if match.start() > at:
            cut.append(Piece(source[at : match.start()], word=True))
        cut.append(Piece("\n" if match["line"] else match[0], word=False))
        at = match.end()
    if at < len(source):
        cut.append(Piece(source[at:], word=True))
    return cut


def printable(text: str) -> str:
    """The text without characters that a page may not hold, or that turn the reading order around."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


class Highlighter:
    """Marks terms in texts. It normalises the words of all texts at once, so make it with all of them.

    Args:
        texts: every text that will be marked; None stands for a missing one.
        normalise: the token kernel.
    """

    def __init__(self, texts: Iterable[str | None], normalise: Normalise) -> None:
        words = sorted({piece.text for text in texts if text for piece in pieces(text) if piece.word})
        # `pieces` resolved character references, and the kernel does it too: escaped, a word stays as it is.
        tokens = normalise([html.escape(word) for word in words]) if words else []
        self._tokens = {word: tuple((said or "").split()) for word, said in zip(words, tokens, strict=True)}

    def tokens(self, text: str) -> list[str]:
        """The tokens of one of the texts, by its pieces: those that the kernel gives for the whole."""
        return [token for piece in pieces(text) if piece.word for token in self._tokens[piece.text]]

    def mark(self, text: str | None, terms: Sequence[str], limit: int = 700) -> Marked:
        """Escape a text and mark the terms in it.

        Args:
            text: the source text.
            terms: normalised uni- and bigrams.
            limit: characters of the first part; a text not much longer stays whole.
        """
        cut = pieces(text or "")
        marked, found = self._find(cut, terms)
        split = _split(cut, limit)
        head, _ = _render(cut[:split], marked, 0)
        rest, marks = _render(cut[split:], marked, split)
        length = sum(len(piece.text) for piece in cut[split:])
        return Marked(head, rest, length, marks, tuple(term for term in terms if term in found))

    def _find(self, cut: Sequence[Piece], terms: Sequence[str]) -> tuple[set[int], set[str]]:
        """Indices of the pieces that produced a term, and the terms that were found."""
        wanted = {tuple(term.split()): term for term in terms}
        sizes = {len(key) for key in wanted}
        row = [
            (token, index)
            for index, piece in enumerate(cut)
            if piece.word
            for token in self._tokens.get(piece.text, ())
        ]
        marked: set[int] = set()
        found: set[str] = set()
        for size in sizes:
            for start in range(len(row) - size + 1):
                term = wanted.get(tuple(token for token, _ in row[start : start + size]))
                if term is not None:
                    found.add(term)
                    marked.update(index for _, index in row[start : start + size])
        return marked, found


def _split(cut: Sequence[Piece], limit: int) -> int:
    """Index of the first piece past the limit, or the length where little would be left over."""
    length = 0
    at = len(cut)
    for index, piece in enumerate(cut):
        if length >= limit and at == len(cut) and not piece.word:
            at = index
        length += len(piece.text)
    return at if length > limit * 1.25 else len(cut)


def _render(cut: Sequence[Piece], marked: set[int], offset: int) -> tuple[Markup, int]:
    """Escaped text with marks; marked words that only white space parts share one mark."""
    out: list[str] = []
    plain: list[str] = []
    marks = 0
    index = 0
    while index < len(cut):
        if offset + index not in marked:
            plain.append(cut[index].text)
            index += 1
            continue
        end = index + 1
        while end + 1 < len(cut) and not cut[end].text.strip() and offset + end + 1 in marked:
            end += 2
        before, core, after = _core(printable("".join(piece.text for piece in cut[index:end])))
        out += [
            _escaped(plain),
            str(escape(before)),
            "<mark>",
            str(escape(core)),
            "</mark>",
            str(escape(after)),
        ]
        plain = []
        marks += 1
        index = end
    out.append(_escaped(plain))
    return Markup("".join(out)), marks  # noqa: S704 - every part was escaped above


def _core(text: str) -> tuple[str, str, str]:
    """Punctuation before, the words, punctuation after; all of it where it is punctuation alone."""
    match = _CORE.match(text)
    if match is None or not match[2]:
        return "", text, ""
    return match[1], match[2], match[3]


def _escaped(parts: Sequence[str]) -> str:
    return str(escape(_BLANK_LINES.sub("\n\n", printable("".join(parts)))))
