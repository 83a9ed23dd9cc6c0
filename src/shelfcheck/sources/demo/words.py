"""Words of the generated shop: what each category sells, and how its products are talked about.

All of it is written for Shelfcheck, in `shelf.txt`. A category starts with `# name weight season
like=other`. One line a product type follows:
`nouns | parts | qualities | uses | faults`, each a list of phrases that fit the sentences of
`templates.py`: "this {noun}", "the {part} is {quality}", "for {use}", "after two weeks {fault}".
Qualities that nobody wants are told apart as flaws.
"""

from __future__ import annotations

from importlib import resources
from typing import Final, NamedTuple


class ProductType(NamedTuple):
    """Phrases of one type of product."""

    nouns: tuple[str, ...]
    parts: tuple[str, ...]
    qualities: tuple[str, ...]
    flaws: tuple[str, ...]
    uses: tuple[str, ...]
    faults: tuple[str, ...]


class Category(NamedTuple):
    """One category of the shop."""

    name: str
    weight: float  # relative number of products
    season: str  # busy time: "gifts", "spring", "summer", "school", "" for even
    types: tuple[ProductType, ...]
    like: str = ""  # a category that is easily confused with this one


_FLAWS: Final = frozenset(
    (
        "predictable",
        "dry",
        "dense",
        "slow",
        "overrated",
        "repetitive",
        "boring",
        "overproduced",
        "crackly",
        "tinny",
        "loud",
        "short",
        "slippery",
        "bulky",
        "thin",
        "flimsy",
        "lumpy",
        "greasy",
        "chalky",
        "see through",
        "tight",
        "heavy",
        "narrow",
        "stiff",
        "fragile",
        "smelly",
        "bitter",
        "weak",
        "stale",
        "bland",
        "cheap looking",
        "useless",
        "confusing",
        "expensive",
        "buggy",
        "outdated",
        "overpriced",
        "wobbly",
        "steamy",
        "creepy",
        "chewy",
        "hot",
    )
)
_ANY_FLAWS: Final = ("flimsy", "too small", "overpriced", "badly made", "disappointing", "not as pictured")


def _type(line: str) -> ProductType:
    nouns, parts, qualities, uses, faults = map(_phrases, line.split("|"))
    flaws = tuple(phrase for phrase in qualities if phrase in _FLAWS)
    wanted = tuple(phrase for phrase in qualities if phrase not in _FLAWS)
    return ProductType(nouns, parts, wanted, flaws + _ANY_FLAWS, uses, faults)


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


def _parse(shelf: str) -> tuple[Category, ...]:
    categories = []
    for block in shelf.strip().split("\n\n"):
        title, *lines = block.split("\n")
        name, weight, *rest = title.removeprefix("# ").split()
        like = next((word.removeprefix("like=") for word in rest if word.startswith("like=")), "")
        season = next((word for word in rest if not word.startswith("like=")), "")
        types = tuple(_type(line) for line in lines)
        categories.append(Category(name, float(weight), season, types, like))
    return tuple(categories)


CATEGORIES: Final = _parse(resources.files(__package__).joinpath("shelf.txt").read_text(encoding="utf-8"))

# Months January to December: relative number of reviews.
SEASONS: Final = {
    "": (1.0,) * 12,
    "gifts": (1.6, 1.0, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 1.2, 1.9),
    "spring": (0.4, 0.5, 1.0, 1.6, 2.0, 1.8, 1.4, 1.0, 0.7, 0.5, 0.4, 0.4),
    "summer": (0.7, 0.7, 0.9, 1.1, 1.4, 1.6, 1.6, 1.3, 1.0, 0.8, 0.6, 0.7),
    "school": (1.1, 1.0, 0.9, 0.9, 0.9, 0.8, 0.9, 1.4, 1.4, 1.0, 1.0, 1.1),
}

BRAND_STARTS: Final = (
    "Al",
    "Bren",
    "Cor",
    "Dal",
    "El",
    "Fen",
    "Gar",
    "Hol",
    "Iv",
    "Jor",
    "Kel",
    "Lum",
    "Mar",
    "Nor",
    "Or",
    "Pel",
    "Quin",
    "Ros",
    "Sil",
    "Tor",
    "Ul",
    "Ver",
    "Wes",
    "Yar",
    "Zan",
)
BRAND_ENDS: Final = (
    "aro",
    "bury",
    "cliff",
    "den",
    "elle",
    "ford",
    "gate",
    "hurst",
    "ia",
    "kin",
    "low",
    "mont",
    "nova",
    "ora",
    "port",
    "rise",
    "son",
    "tech",
    "ura",
    "vale",
    "wood",
    "ya",
)
TITLE_EXTRAS: Final = (
    "",
    "",
    "",
    ", Black",
    ", White",
    ", Blue",
    ", Red",
    ", Large",
    ", Small",
    ", Pack of 2",
    ", Set of 3",
    " (New Version)",
    ", Deluxe Edition",
    ", Classic",
    ", 2nd Edition",
    " for Beginners",
    ", Value Pack",
)
