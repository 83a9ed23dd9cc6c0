"""Stop words, as data.

Source: the English list of the NLTK corpus `stopwords` (179 words, as distributed from
2017 to 2024; M. F. Porter's list of the Snowball project with contractions added).
The longer list of later NLTK data is not taken: without their apostrophes its
contractions are real words (`she'll`, `she'd`, `he'll`, `we'll`, `i'd` are `shell`,
`shed`, `hell`, `well`, `id`), which tell a category.
"""

from __future__ import annotations

from string import punctuation
from typing import Final

_WORDS: Final = (
    "i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves "
    "he him his himself she she's her hers herself it it's its itself they them their theirs themselves "
    "what which who whom this that that'll these those am is are was were be been being have has had "
    "having do does did doing a an the and but if or because as until while of at by for with about "
    "against between into through during before after above below to from up down in out on off over "
    "under again further then once here there when where why how all any both each few more most other "
    "some such no nor not only own same so than too very s t can will just don don't should should've "
    "now d ll m o re ve y ain aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn "
    "hasn't haven haven't isn isn't ma mightn mightn't mustn mustn't needn needn't shan shan't shouldn "
    "shouldn't wasn wasn't weren weren't won won't wouldn wouldn't"
)
NLTK_ENGLISH: Final = tuple(_WORDS.split())
"""The list as published, 179 words."""

_DELETE_PUNCTUATION: Final = str.maketrans("", "", punctuation)


def with_forms(words: tuple[str, ...]) -> frozenset[str]:
    """Words, and the forms in which they reach the filter.

    ASCII punctuation is deleted before the filter looks, so `don't` arrives as `dont`;
    a typographic apostrophe is not ASCII and stays, so `don’t` arrives as it is.
    """
    forms: set[str] = set()
    for word in words:
        lower = word.lower()
        for spelling in (lower, lower.replace("'", "’"), lower.replace("'", "‘")):
            forms.add(spelling.translate(_DELETE_PUNCTUATION))
    forms.discard("")
    return frozenset(forms)
