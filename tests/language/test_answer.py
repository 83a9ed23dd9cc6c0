"""What is said of the trends follows from them."""

from __future__ import annotations

import pytest

from shelfcheck.language.answer import answer

NONE = (0.2, -0.5, 0.9, 0.6)  # slope, low, high, p
UP = (2.0, 0.7, 3.1, 0.001)
DOWN = (-2.0, -3.1, -0.7, 0.001)


def trends(*fitted: tuple[float, float, float, float]) -> list[dict]:
    names = ("overlap", "matched_overlap", "beyond_chance")
    return [
        {"product_category": None, "facet": "year", "measure": measure}
        | dict(zip(("slope", "low", "high", "p"), values, strict=True))
        for measure, values in zip(names, fitted, strict=True)
    ]


@pytest.mark.parametrize(
    ("fitted", "said"),
    [
        ((NONE, NONE, NONE), "no clear growth"),
        ((DOWN, NONE, NONE), "no clear growth"),
        ((UP, NONE, NONE), "number of reviews"),
        ((UP, DOWN, NONE), "number of reviews"),
        ((UP, UP, NONE), "are shuffled between"),
        ((UP, UP, UP), "does settle"),
    ],
)
def test_the_conclusion(fitted, said) -> None:
    assert said in answer(trends(*fitted))[-1]


def test_figures_are_told() -> None:
    assert "+2.0 points a year (+0.7 to +3.1)" in answer(trends(UP, DOWN, NONE))[0]
    assert "−2.0 points a year (−3.1 to −0.7)" in answer(trends(UP, DOWN, NONE))[1]


def test_without_years_nothing_is_said() -> None:
    assert answer([]) == []
    assert answer([row | {"facet": "stars"} for row in trends(UP, UP, UP)]) == []
