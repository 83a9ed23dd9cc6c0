"""Evidence words are marked where they stand, and nothing of the text gets out unescaped."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfcheck.config import TextSettings
from shelfcheck.report.highlight import Highlighter, Marked
from shelfcheck.text.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def normalise(texts: Sequence[str]) -> list[str | None]:
    return tokens(pa.array(texts, pa.string()), TextSettings()).to_pylist()


def mark(text: str | None, *terms: str, limit: int = 700) -> Marked:
    return Highlighter([text], normalise).mark(text, terms, limit)


@pytest.mark.parametrize(
    ("text", "terms", "expected"),
    [
        ("A fine Kindle.", ["kindle"], "A fine <mark>Kindle</mark>."),
        ("concatenate a cat, a Cat!", ["cat"], "concatenate a <mark>cat</mark>, a <mark>Cat</mark>!"),
        ("Don't wait", ["wait"], "Don&#39;t <mark>wait</mark>"),
        ("my 3-year-old's toy", ["3yearolds"], "my <mark>3-year-old&#39;s</mark> toy"),
        ("good battery life here", ["battery life"], "good <mark>battery life</mark> here"),
        ("battery of my life", ["battery life"], "<mark>battery</mark> of my <mark>life</mark>"),
        ("battery life", ["life battery"], "battery life"),
        ("battery good life", ["battery life"], "battery good life"),
        ("life battery", ["battery", "life"], "<mark>life battery</mark>"),
        ("a &#34;kindle&#34; &amp; more", ["kindle"], "a &#34;<mark>kindle</mark>&#34; &amp; more"),
        ("cat<br />dog", ["dog"], "cat\n<mark>dog</mark>"),
        ("<b>cat</b> & dog", ["cat"], "&lt;b&gt;<mark>cat</mark>&lt;/b&gt; &amp; dog"),
        ('<a href="cat">dog</a>', ["dog", "cat"], "&lt;a href=&#34;cat&#34;&gt;<mark>dog</mark>&lt;/a&gt;"),
        ("I <3 cat < dog", ["cat", "dog"], "I &lt;3 <mark>cat</mark> &lt; <mark>dog</mark>"),
        ("&lt;br&gt;cat", ["cat"], "\n<mark>cat</mark>"),
        ("Straße CAFÉ", ["café"], "Straße <mark>CAFÉ</mark>"),
        ("!!! ???", ["cat"], "!!! ???"),
        ("", ["cat"], ""),
        (None, ["cat"], ""),
        ("a\x00b cat \u202etac", ["cat"], "a\ufffdb <mark>cat</mark> \ufffdtac"),
    ],
)
def test_marks(text: str | None, terms: list[str], expected: str) -> None:
    marked = mark(text, *terms)
    assert str(marked.head) == expected
    assert str(marked.rest) == ""


def test_markup_is_text() -> None:
    marked = mark("<script>alert('x')</script><img src=x onerror=alert(1)> </mark>", "alertx")
    assert "<" not in str(marked.head).replace("<mark>", "").replace("</mark>", "")
    assert "&lt;script&gt;<mark>alert(&#39;x</mark>&#39;)&lt;/script&gt;" in str(marked.head)


def test_found_keeps_the_order_given() -> None:
    assert mark("dog and cat", "cat", "mouse", "dog").found == ("cat", "dog")


def test_long_text_folds_between_words() -> None:
    text = "word " * 300 + "kindle end"
    marked = mark(text, "kindle", limit=100)
    assert 100 <= len(str(marked.head)) <= 105
    assert marked.rest_marks == 1
    assert str(marked.rest).endswith("<mark>kindle</mark> end")
    assert len(str(marked.head)) + marked.rest_characters == len(text)


def test_text_a_little_too_long_stays_whole() -> None:
    assert str(mark("word " * 24, limit=100).rest) == ""


def test_one_endless_word_folds_nowhere() -> None:
    assert str(mark("x" * 5000, limit=100).head) == "x" * 5000


FRAGMENTS = st.sampled_from(
    [
        "<br />",
        "</P>",
        "<b>",
        '<a href="cat">',
        "<3",
        "<",
        ">",
        "&lt;",
        "&amp;#39;",
        "&#34;",
        "[[ASIN:B00 ",
        "]]",
        "[[VIDEOID:x]]",
        "cat",
        "don't",
        "ΑΣ",
        "İ",
        "\x0b",
        "\xa0",
        " ",
    ]
)
SOURCE = st.lists(
    FRAGMENTS | st.text("abc <>&;\"'/!-\né", max_size=6) | st.text(max_size=4), max_size=12
).map("".join)


@given(SOURCE, st.lists(st.text("abcé ", min_size=1, max_size=5), max_size=3))
def test_any_text_is_escaped_and_kept(text: str, terms: list[str]) -> None:
    marked = mark(text, *terms, limit=20)
    out = str(marked.head) + str(marked.rest)
    bare = out.replace("<mark>", "").replace("</mark>", "")
    assert not re.search(r"[<>\"']", bare)
    letters = re.sub(r"[\W_]", "", html.unescape(bare))
    assert set(letters) <= set(re.sub(r"[\W_]", "", html.unescape(text)))
    assert out.count("<mark>") == out.count("</mark>")


@given(st.lists(SOURCE, min_size=1, max_size=4))
def test_words_one_by_one_give_the_tokens_of_the_text(texts: list[str]) -> None:
    by_piece = Highlighter(texts, normalise)
    assert [by_piece.tokens(text) for text in texts] == [(said or "").split() for said in normalise(texts)]


def test_words_of_real_reviews_give_their_tokens(real_data: Path) -> None:
    batch = next(pq.ParquetFile(real_data / "reviews.parquet").iter_batches(5000, columns=["review_body"]))
    texts = batch.column(0).drop_null().to_pylist()
    by_piece = Highlighter(texts, normalise)
    assert [by_piece.tokens(text) for text in texts] == [(said or "").split() for said in normalise(texts)]
