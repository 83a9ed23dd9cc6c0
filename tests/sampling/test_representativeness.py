"""Distances against hand-worked values and scipy; the verdict by A/A simulation."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from shelfcheck.sampling.distances import (
    chi_squared,
    judge,
    kolmogorov_smirnov,
    random_counts,
    total_variation,
    wasserstein,
)
from shelfcheck.sampling.representativeness import Representativeness, compare


def test_distances_by_hand():
    population = np.array([50.0, 30.0, 20.0])
    sample = np.array([6.0, 2.0, 2.0])  # .6 .2 .2 against .5 .3 .2
    assert total_variation(sample, population) == pytest.approx(0.1)
    assert kolmogorov_smirnov(sample, population) == pytest.approx(0.1)
    # A tenth of the reviews moves from the second value to the first, 7 below.
    assert wasserstein(sample, population, np.array([3.0, 10.0, 40.0])) == pytest.approx(0.7)
    assert chi_squared(sample, population) == pytest.approx(0.1**2 / 0.5 + 0.1**2 / 0.3)
    assert total_variation(population / 5, population) == 0
    assert total_variation(np.array([[1.0, 0, 0], [0, 0, 1.0]]), population) == pytest.approx([0.5, 0.8])


@pytest.mark.parametrize("seed", range(5))
def test_distances_agree_with_scipy(seed):
    generator = np.random.default_rng(seed)
    at = np.cumsum(generator.integers(1, 9, 30)).astype(float)
    population = generator.integers(1, 50, 30).astype(float)
    sample = generator.integers(0, 9, 30).astype(float) + (np.arange(30) == 4)
    assert wasserstein(sample, population, at) == pytest.approx(
        stats.wasserstein_distance(at, at, sample, population)
    )
    expected = population / population.sum() * sample.sum()
    assert chi_squared(sample, population) * sample.sum() == pytest.approx(
        stats.chisquare(sample, expected).statistic
    )
    drawn, whole = np.repeat(at, sample.astype(int)), np.repeat(at, population.astype(int))
    assert kolmogorov_smirnov(sample, population) == pytest.approx(stats.ks_2samp(drawn, whole).statistic)


def test_chance_is_drawing_without_replacement():
    population = np.array([400, 250, 250, 99, 1])
    counts = random_counts(population, 900, np.random.default_rng(0), 4000)
    assert (counts.sum(axis=1) == 900).all()
    assert (counts <= population).all()
    law = stats.hypergeom(1000, 400, 900)
    assert counts[:, 0].mean() == pytest.approx(law.mean(), abs=0.5)
    assert counts[:, 0].var() == pytest.approx(law.var(), rel=0.1)


def test_p_values_of_random_samples_are_uniform():
    population = np.array([5000, 2500, 1500, 700, 250, 40, 10])
    generator = np.random.default_rng(3)
    simulated = random_counts(population, 200, generator, 2000)
    p_values = [
        judge(total_variation, sample, population, simulated).p_value
        for sample in random_counts(population, 200, generator, 500)
    ]
    for level in (0.05, 0.25, 0.5, 0.75):
        share = np.mean(np.array(p_values) <= level)
        assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 500) + 0.02)


def reviews(n: int, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    stars = generator.choice([1, 2, 3, 4, 5, None], n, p=[0.1, 0.05, 0.1, 0.2, 0.5, 0.05])
    months = generator.choice(["2014-12", "2015-01", "2015-02", None], n, p=[0.2, 0.3, 0.3, 0.2])
    return {
        "product_category": generator.choice(["Books", "Garden", "Shoes"], n, p=[0.6, 0.3, 0.1]).astype(
            object
        ),
        "star_rating": stars,
        "review_month": months,
        "body_length": generator.lognormal(5, 1, n).astype(int) // 10,
    }


def distributions(columns: dict[str, np.ndarray], rows) -> dict[str, Counter]:
    return {name: Counter(values[rows].tolist()) for name, values in columns.items()}


WHOLE = reviews(20_000, seed=1)
POPULATION = distributions(WHOLE, slice(None))


def test_random_samples_are_called_representative(monkeypatch):
    """A/A: at most 5 % of simple random samples are not."""
    monkeypatch.setattr("shelfcheck.sampling.representativeness.SIMULATIONS", 300)
    monkeypatch.setattr(random_counts, "__defaults__", (300,))
    generator = np.random.default_rng(11)
    wrong = 0
    for seed in range(60):
        sample = distributions(WHOLE, generator.choice(20_000, 500, replace=False))
        wrong += not compare(POPULATION, sample, sample, seed).representative
    assert wrong <= 8  # more than 8 of 60 at a rate of 5 % happens once in 500 times
    assert stats.binom.sf(8, 60, 0.05) < 0.003


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("product_category", np.flatnonzero(WHOLE["product_category"] != "Shoes")[:800]),
        ("star_rating", np.flatnonzero(WHOLE["star_rating"] == 5)[:800]),
        ("review_month", np.flatnonzero(WHOLE["review_month"] != None)[:800]),  # noqa: E711 - of an array
        ("body_length", np.argsort(WHOLE["body_length"], kind="stable")[4000:]),
    ],
)
def test_a_sample_that_leaves_something_out_is_not(what, rows):
    sample = distributions(WHOLE, rows)
    found = compare(POPULATION, sample, sample, 0)
    assert not found.representative
    far = {one.what for one in found.distances if one.verdict == "further than chance"}
    assert what in far
    assert what.replace("_", " ") in found.verdict


def test_weights_mend_a_sample_of_unequal_shares():
    generator = np.random.default_rng(2)
    garden = np.flatnonzero(WHOLE["product_category"] == "Garden")
    others = np.flatnonzero(WHOLE["product_category"] != "Garden")
    rows = np.concatenate([generator.choice(garden, 400, False), generator.choice(others, 400, False)])
    sample = distributions(WHOLE, rows)
    weights = np.where(WHOLE["product_category"][rows] == "Garden", len(garden) / 400, len(others) / 400)
    weighted = {}
    for name, values in WHOLE.items():
        weighted[name] = Counter()
        for value, weight in zip(values[rows].tolist(), weights, strict=True):
            weighted[name][value] += weight
    found = compare(POPULATION, sample, weighted, 0)
    assert (found.representative, found.representative_weighted) == (False, True)
    assert "sample_weight" in found.verdict


def test_shares_are_laid_beside_each_other_with_what_chance_gives():
    sample = distributions(WHOLE, slice(0, 1000))
    found = compare(POPULATION, sample, sample, 0)
    for what, values in (
        ("product_category", 3),
        ("star_rating", 6),
        ("review_month", 3),
        ("body_length", 10),
    ):
        rows = [row for row in found.shares if row.what == what]
        assert len(rows) == values
        assert sum(row.population_reviews for row in rows) == 20_000
        assert sum(row.sample_reviews for row in rows) == 1000
        assert sum(row.sample_share for row in rows) == pytest.approx(1)
        assert all(row.low <= row.population_share <= row.high for row in rows)
    books = found.shares[0]
    assert books.value == "Books"
    n = POPULATION["product_category"]["Books"]
    assert (books.low, books.high) == tuple(stats.hypergeom(20_000, n, 1000).ppf([0.025, 0.975]) / 1000)
    assert [row.value for row in found.shares if row.what == "review_month"] == ["2014", "2015", "unknown"]


def test_all_reviews_are_a_representative_sample():
    found = compare(POPULATION, POPULATION, POPULATION, 0)
    assert found.representative
    assert all(one.judged.observed == pytest.approx(0, abs=1e-12) for one in found.distances)
    assert all(one.judged.p_value == 1 for one in found.distances)


def test_it_comes_back_from_json():
    sample = distributions(WHOLE, slice(0, 300))
    found = compare(POPULATION, sample, sample, 4)
    assert Representativeness.from_json(found.to_json()) == found
    assert compare(POPULATION, sample, sample, 4) == found
    with pytest.raises(ValueError, match="no comparison"):
        Representativeness.from_json("{}")
