"""The first screen: what was found, in numbers and a few sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shelfcheck.report.wording import about, number, percent, plural, words

if TYPE_CHECKING:
    from shelfcheck.models.evaluation import Evaluation
    from shelfcheck.report.declines import Declines
    from shelfcheck.report.facts import Intake
    from shelfcheck.report.findings import Findings, Pair

_PAIRS: Final = 8


@dataclass(frozen=True)
class Tile:
    """One number."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class PairList:
    """The pairs of categories that most findings move between."""

    caption: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Overview:
    """What the first screen says."""

    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...]
    pairs: tuple[PairList, ...]


def overview(
    intake: Intake | None,
    evaluation: Evaluation | None,
    reviews: Findings | None,
    products: Findings | None,
    declines: Declines | None = None,
) -> Overview:
    """Say the main things of what there is; parts that are None are left out."""
    sentences = []
    tiles = []
    if intake is not None:
        note = f"of {number(intake.read)} rows read"
        tiles.append(Tile("Reviews kept", number(intake.kept), note))
    for findings, noun, name in (
        (reviews, "review", "Misplaced reviews"),
        (products, "product", "Miscategorised products"),
    ):
        if findings is not None:
            sentences.append(_outcome(findings, noun))
            tiles.append(Tile(name, number(findings.total), f"{about(findings.expected)} real"))
    if declines is not None:
        sentences.append(_changes(declines))
        tiles.append(
            Tile("Products getting worse", number(declines.worse), f"{number(declines.better)} better")
        )
    if reviews is not None and reviews.pairs:
        first = reviews.pairs[0]
        sentences.append(
            f"Most often, a review in {words(first.assigned)} reads like {words(first.suggested)} "
            f"({plural(first.findings, 'finding')})."
        )
    if evaluation is not None:
        tiles.append(Tile("Model accuracy", percent(evaluation.accuracy, 1), _judged_on(evaluation)))
    pairs = [
        PairList(caption, findings.pairs[:_PAIRS])
        for findings, caption in (
            (reviews, "Misplaced reviews: most frequent moves"),
            (products, "Miscategorised products: most frequent moves"),
        )
        if findings is not None and findings.pairs
    ]
    return Overview(tuple(sentences), tuple(tiles), tuple(pairs))


def _judged_on(evaluation: Evaluation) -> str:
    """On what the accuracy was measured; an evaluation that does not say was by product."""
    split = evaluation.notes.get("split", "product")
    told = {"time": "on later reviews", "row": "on other reviews of the same products, which flatters"}
    return told.get(split, "on products never seen")


def _changes(declines: Declines) -> str:
    became = "became" if declines.worse != 1 else "has become"
    return (
        f"Of {plural(declines.judged, 'product')} with enough dated reviews, {number(declines.worse)} "
        f"{became} worse and {number(declines.better)} better."
    )


def _outcome(findings: Findings, noun: str) -> str:
    judged = f"Of {plural(findings.judged, noun)} judged, "
    if not findings.total:
        return f"{judged}none seems to stand in a wrong category."
    seem = "seems" if findings.total == 1 else "seem"
    return (
        f"{judged}{number(findings.total)} {seem} to stand in a wrong category; "
        f"{about(findings.expected)} of these are expected to be real faults."
    )
