"""`tokens` gives what the definition says: by hand, by property, and as the original made it."""

from __future__ import annotations

import string
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shelfcheck.config import TextSettings
from shelfcheck.text.stopwords import NLTK_ENGLISH, with_forms
from shelfcheck.text.tokens import reference, stop_words, tokens

ENGLISH = TextSettings()
EVERY_WORD = TextSettings(stop_words="none")

# (text, tokens without stop words), expected values written by hand
CASES = [
    (None, None),
    ("", ""),
    ("   \t\n", ""),
    ("Great Product", "great product"),
    ("İstanbul", "i̇stanbul"),  # lower-cases to i and U+0307
    ("STRAßE Straße", "straße straße"),
    ("ΑΣ ΣΑΣ ΟΔΥΣΣΕΥΣ", "ας σας οδυσσευς"),  # final sigma
    ("Α.Σ Σ", "ας σ"),  # lower-cased before the full stop goes
    ("love it 😀👍🏽", "love 😀👍🏽"),
    ("two\u00a0words", "two words"),  # NBSP is white space
    ("a1\x0bb1\x1cc1\x85d1\u2028e1\u3000f1", "a1 b1 c1 d1 e1 f1"),
    ("zero\u200bwidth", "zero\u200bwidth"),  # not white space
    ("KELVIN \u212a ÅNGSTRÖM \u212b", "kelvin k ångström å"),
    ("Ⱥ", "ⱥ"),  # longer in UTF-8 once lower-cased
    ("𐐀 𝐀", "𐐨 𝐀"),  # Deseret has case, mathematical letters have none
    ("1 < 2, a lone <", "1 2 lone"),
    ("i <3 it > that", "3"),
    ("hit <space> twice", "hit space twice"),  # no element of HTML
    ("good.<br />Bad", "good bad"),
    ("a<BR/>b<Br>c</p\n>d", "b c"),
    ('see <a href="http://x.y/z?q=1&amp;r">this one</a>!', "see one"),
    ("<b unclosed <br>end", "b unclosed end"),
    ("<bro> <brr/>", "bro brr"),
    ("&lt;br /&gt;hello&lt;/p&gt;", "hello"),  # escaped markup is markup
    ("&#34;quoted&#34;", "quoted"),
    ("it&#39;s ok&#46", "ok"),  # the semicolon may be missing
    ("&#x27;tis &#X41;b", "tis ab"),
    ("&amp;lt;", "lt"),  # resolved once
    ("&amp;amp;", "amp"),
    ("A&B R&amp;B AT&T", "ab rb att"),
    ("caf&eacute; &hearts;", "café ♥"),
    ("x&nbsp;y1", "x y1"),
    ("&#8217; &#128512; &#0; &#x110000; &#150;", "’ 😀 \ufffd \ufffd –"),
    ("& &; &# &#; &#x; &unknown; &ampere", "x unknown ere"),
    ("!!! ... ?!", ""),
    (string.punctuation, ""),
    ("well-made, 5-star", "wellmade 5star"),
    ("don't dont DON'T don’t don‘t", ""),
    ("The it's its it’s IT'S", ""),
    ("can't can’t cannot", "cant can’t cannot"),  # not in the list
    ("she'll shell", "shell shell"),
    ("the.best the best", "thebest best"),
    ("[[VIDEOID:mo33YCML6]]Nice [[videoid:a b]]one", "nice one"),
    ("[[ASIN:B000Q6V1UG Remington Rollers]] broke", "remington rollers broke"),
    ("[[edit]] [asin:b]", "edit asinb"),
    ("\x00 \x01a \x03", "\x00 \x01a \x03"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_cases(text: str | None, expected: str | None) -> None:
    assert tokens(pa.array([text], pa.string()), ENGLISH).to_pylist() == [expected]
    if text is not None:
        assert reference(text, stop_words(ENGLISH)) == expected


def test_all_cases_in_one_array_and_in_slices() -> None:
    texts = pa.array([text for text, _ in CASES], pa.string())
    expected = [words for _, words in CASES]
    assert tokens(texts, ENGLISH).to_pylist() == expected
    for start in range(len(CASES)):
        assert tokens(texts.slice(start, 5), ENGLISH).to_pylist() == expected[start : start + 5]
    chunked = pa.chunked_array([texts.slice(0, 7), texts.slice(7, 0), texts.slice(7)])
    assert tokens(chunked, ENGLISH).to_pylist() == expected


ALPHABET = st.text(
    st.one_of(
        st.sampled_from(list("&;#xX<>/[]: \t'’.,aAbBrRsSiInNpPtTlLgGmMqQuUoO0123456789ΣσİßſK\u00a0\u2028")),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=60,
)
PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "&",
                "&#",
                "&#x",
                "&amp;",
                "&amp",
                "&lt;",
                "&gt",
                "&quot;",
                "&nbsp;",
                "&notit;",
                "39",
                "1f600",
                ";",
            ),
            *(
                "<",
                ">",
                "<br />",
                "</a",
                "<b",
                "h1",
                "[[",
                "ASIN:",
                "videoid:",
                "]]",
                "B00",
                " ",
                "\t",
                "don't",
            ),
            *("the", "The", "good", "É", "Σ", "ΑΣ", "İ", "😀", "\u212a", "\u00a0", "\x85", ".", "'", "-"),
        ]
    ),
    max_size=25,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(ALPHABET, PIECES, st.none()), max_size=12))
def test_kernel_agrees_with_the_definition(texts: list[str | None]) -> None:
    for chosen in (ENGLISH, EVERY_WORD):
        words = stop_words(chosen)
        expected = [None if text is None else reference(text, words) for text in texts]
        assert tokens(pa.array(texts, pa.string()), chosen).to_pylist() == expected


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="&<["), max_size=80))
def test_is_what_the_original_made_of_texts_without_markup(text: str) -> None:
    forms = with_forms(NLTK_ENGLISH)
    delete = str.maketrans("", "", string.punctuation)
    words = [word.translate(delete) for word in text.lower().split()]
    expected = " ".join(word for word in words if word and word not in forms)
    assert tokens(pa.array([text]), ENGLISH).to_pylist() == [expected]


def test_every_character_agrees() -> None:
    points = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    # beside letters, since case may depend on neighbours
    texts = [f"A{c}B {c} {c}a" for c in points[:0x20000]] + ["".join(points[0x1F000:])]
    expected = [reference(text, frozenset()) for text in texts]
    assert tokens(pa.array(texts), EVERY_WORD).to_pylist() == expected


def test_threads_change_nothing() -> None:
    texts = pa.array([f"Review {i}: the <br />best &#34;thing{i}&#34; ΑΣ{i}" for i in range(60_000)])
    assert tokens(texts, ENGLISH, threads=3).equals(tokens(texts, ENGLISH))


def test_invalid_utf8_does_not_stop_it() -> None:
    raw = pa.array([b"good \xff\xfe thing", b"\xe2\x82", b"a\xc0\xafb", b"\xed\xa0\x80"], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    done = tokens(texts, ENGLISH)
    done.validate(full=True)
    assert done[0].as_py() == "good \ufffd\ufffd thing"


def test_other_types_and_empty_arrays() -> None:
    assert tokens(pa.array(["The Cat"], pa.large_string()), ENGLISH).to_pylist() == ["cat"]
    assert tokens(pa.array(["The Cat"]).dictionary_encode(), ENGLISH).to_pylist() == ["cat"]
    assert tokens(pa.nulls(2), ENGLISH).to_pylist() == [None, None]
    assert tokens(pa.array([], pa.string()), ENGLISH).to_pylist() == []
    assert tokens(pa.chunked_array([], pa.string()), ENGLISH).to_pylist() == []
    assert tokens(pa.array(["", ""]), ENGLISH).to_pylist() == ["", ""]


def test_bytes_under_null_do_not_show() -> None:
    texts = pa.array(["Hidden", "Seen", "[[asin:b0 Hidden]]"])
    masked = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x02"), *texts.buffers()[1:]])
    done = tokens(masked, ENGLISH)
    done.validate(full=True)
    assert done.to_pylist() == [None, "seen", None]


def test_stop_words_are_settable() -> None:
    texts = pa.array(["The cat's Shop-Floor"])
    assert tokens(texts, EVERY_WORD).to_pylist() == ["the cats shopfloor"]
    extra = TextSettings(extra_stop_words=("Cat's", "shop-floor", "naïve", "supercalifragilistic" * 3))
    assert tokens(texts, extra).to_pylist() == [""]
    assert tokens(pa.array(["NAÏVE " + "supercalifragilistic" * 3 + " x"]), extra).to_pylist() == ["x"]


def test_nltk_list_has_its_179_words() -> None:
    assert len(set(NLTK_ENGLISH)) == len(NLTK_ENGLISH) == 179
    assert {"dont", "don’t", "its", "shouldve", "wont"} <= with_forms(NLTK_ENGLISH)
    assert not {"shell", "shed", "hell", "well", "ill", "id", "don't"} & with_forms(NLTK_ENGLISH)


def test_stems() -> None:
    english = TextSettings(stemmer="english")
    texts = pa.array(["Running shoes, happily running", None, "", "the", "mice’s ’s"])
    assert tokens(texts, english).to_pylist()[:4] == ["run shoe happili run", None, "", ""]
    assert tokens(pa.array(["Katzen laufen"]), TextSettings(stemmer="german")).to_pylist() == ["katz lauf"]
    for text in tokens(texts, english).to_pylist():
        assert text is None or text == " ".join(text.split())


def test_unknown_stemmer_is_named() -> None:
    with pytest.raises(ValueError, match=r"text.stemmer == 'klingon', must be one of: arabic"):
        tokens(pa.array(["x"]), TextSettings(stemmer="klingon"))


def test_real_reviews_agree(real_data: object) -> None:
    reader = pq.ParquetFile(f"{real_data}/reviews.parquet")
    texts = next(reader.iter_batches(20_000, columns=["review_body"])).column(0)
    words = stop_words(ENGLISH)
    expected = [None if text is None else reference(text, words) for text in texts.to_pylist()]
    assert tokens(texts, ENGLISH, threads=2).to_pylist() == expected
