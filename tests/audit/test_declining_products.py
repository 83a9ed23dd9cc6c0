from __future__ import annotations

import csv
import datetime as dt
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shelfcheck.audit.declining_products import declining_products
from shelfcheck.audit.declining_products.badness import Badness, language_given_stars
from shelfcheck.audit.declining_products.betting import BURN_IN, bet, bets, false_discovery_rates
from shelfcheck.audit.declining_products.complaints import complaint_scores
from shelfcheck.audit.declining_products.dating import Span, date_change
from shelfcheck.audit.declining_products.drift import remove_drift
from shelfcheck.audit.declining_products.effects import measure_effect
from shelfcheck.audit.declining_products.evidence import SCHEMA
from shelfcheck.audit.declining_products.histories import Histories, uniform
from shelfcheck.audit.declining_products.judging import ALARM, judge
from shelfcheck.audit.declining_products.kernels import sequential_ranks
from shelfcheck.audit.declining_products.themes import new_terms, terms_of, themes
from shelfcheck.config import validate
from shelfcheck.errors import NotEnoughDataError
from shelfcheck.models.encode import encode, encode_table
from shelfcheck.schema import PREPARED_SCHEMA, REVIEW_MONTH

STARS = np.array([0.08, 0.05, 0.07, 0.2, 0.6])  # of a usual product
BAD = np.array([0.6, 0.2, 0.1, 0.05, 0.05])


def _histories(sizes, rng, *, a_day=1, category=0, stars=None):
    """Products with reviews on successive days, `a_day` of them each."""
    n = int(np.sum(sizes))
    starts = np.cumsum([0, *sizes])
    day = np.concatenate([np.arange(size) // a_day for size in sizes]).astype(np.int32)
    return Histories(
        row=np.arange(n),
        starts=starts.astype(np.int64),
        category=np.full(len(sizes), category, np.int16),
        day=day,
        stars=(rng.choice(5, n, p=STARS) + 1 if stars is None else stars).astype(np.int8),
        u=rng.random(n).astype(np.float32),
        product_ids=pa.array([f"P{i}" for i in range(len(sizes))]),
    )


def _badness(histories, rng):
    language = rng.standard_normal(len(histories.row)).astype(np.float32)
    stars = (-histories.stars + histories.u - 0.5).astype(np.float32)
    return Badness(stars, language, (-histories.stars + 0.5 * language).astype(np.float32))


# The bets


@settings(deadline=None, max_examples=50)  # the first example compiles
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=40),
    st.lists(st.integers(1, 5), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_places_are_those_of_the_definition(one, other, seed):
    values = np.array(one + other, np.float32)
    u = np.random.default_rng(seed).random(len(values), dtype=np.float32)
    starts = np.array([0, len(one), len(values)])
    p = np.empty(len(values), np.float32)
    sequential_ranks(starts, 0, 2, values, u, p)
    for a, b in ((0, len(one)), (len(one), len(values))):
        for i in range(a, b):
            known = values[a : i + 1]
            expected = ((known > values[i]).sum() + u[i] * (known == values[i]).sum()) / len(known)
            assert p[i] == pytest.approx(expected, abs=1e-6)


def test_bets_are_fair():
    assert np.exp(bets()).mean(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("a_day", [1, 7])
def test_wealth_stays_one_on_average_while_nothing_changes(a_day):
    rng = np.random.default_rng(5)
    histories = _histories([40] * 10_000, rng, a_day=a_day)
    wealth = np.exp(bet(histories, -histories.stars.astype(np.float32)).log_m[histories.starts[1:] - 1])
    error = wealth.std() / np.sqrt(len(wealth))
    if a_day == 1:
        assert wealth.mean() == pytest.approx(1, abs=4 * error)
    else:  # bets on a day's reviews are damped, which costs
        assert 0.5 < wealth.mean() < 1 + 4 * error


def test_alarms_without_a_change_are_as_rare_as_promised():
    rng = np.random.default_rng(6)
    sizes = rng.integers(30, 300, 1000)
    histories = _histories(sizes, rng)
    worse, better = judge(histories, _badness(histories, rng))
    for one in (worse, better):
        share = (one.p <= ALARM).mean()
        assert 0.002 < share < ALARM
    assert (np.minimum(worse.q, better.q) <= 0.1).sum() <= 2


def test_a_decline_is_found_and_dated_and_an_improvement_told():
    rng = np.random.default_rng(7)
    sizes = [120] * 60
    stars = rng.choice(5, 60 * 120, p=STARS) + 1
    for product in range(6):
        a = product * 120
        if product < 3:
            stars[a + 70 : a + 120] = rng.choice(5, 50, p=BAD) + 1
        else:
            stars[a : a + 70] = rng.choice(5, 70, p=BAD) + 1
    histories = _histories(sizes, rng, stars=stars)
    badness = _badness(histories, rng)
    worse, better = judge(histories, badness)
    assert set(np.flatnonzero(worse.q <= 0.01)) == {0, 1, 2}
    assert set(np.flatnonzero(better.q <= 0.01)) == {3, 4, 5}
    for product, one in ((0, worse), (1, worse), (2, worse), (3, better), (4, better), (5, better)):
        span = date_change(one, badness, histories, product)
        assert abs(span.since - (product * 120 + 70)) <= 8
        assert span.earliest <= span.since <= span.latest
        assert not span.by_language
        effect = measure_effect(histories, badness, product, span)
        assert not span.over
        assert np.sign(effect.change) == (-1 if one is worse else 1)


def test_a_change_of_language_alone_is_found():
    rng = np.random.default_rng(8)
    histories = _histories([150] * 30, rng)
    badness = _badness(histories, rng)
    language = badness.language.copy()
    language[90:150] += 1.5
    badness = Badness(badness.stars, language, (-histories.stars + 0.5 * language).astype(np.float32))
    worse, _ = judge(histories, badness)
    assert list(np.flatnonzero(worse.q <= 0.01)) == [0]
    assert date_change(worse, badness, histories, 0).by_language
    assert worse.of(0).stars.log_m.max() < -np.log(ALARM)


def test_a_burst_of_one_day_counts_little():
    rng = np.random.default_rng(9)
    stars = rng.choice(5, 200, p=STARS) + 1
    stars[150:190] = 1
    spread = _histories([200], rng, stars=stars)
    day = spread.day.copy()
    day[150:190] = day[150]
    found = {}
    for name, days in (("spread", spread.day), ("burst", day)):
        histories = Histories(**{**spread.__dict__, "day": days})
        found[name] = bet(histories, -stars.astype(np.float32)).log_m.max()
    assert found["spread"] > 10
    assert found["burst"] < 0.4 * found["spread"]


def test_threads_change_nothing():
    rng = np.random.default_rng(10)
    histories = _histories(rng.integers(1, 300, 200), rng)
    values = rng.standard_normal(len(histories.row)).astype(np.float32)
    one, three = (bet(histories, values, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.log_m, three.log_m)


def test_nothing_is_bet_on_the_first_reviews():
    rng = np.random.default_rng(11)
    found = bet(_histories([BURN_IN, 5], rng), np.arange(BURN_IN + 5, dtype=np.float32))
    assert (found.log_m == 0).all()


@settings(deadline=None)
@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=50))
def test_false_discovery_rates_are_those_of_scipy(p):
    expected = stats.false_discovery_control(p, method="bh")
    np.testing.assert_allclose(false_discovery_rates(np.array(p)), expected, rtol=1e-12)


# Drift


def _shared_drift(seed, products=40, drift=-1.0):
    """Products of one category whose reviews all get worse in the second half."""
    rng = np.random.default_rng(seed)
    histories = _histories([240] * products, rng, a_day=1)
    day = (histories.day * 6).astype(np.int32)  # four years
    later = day > 720
    values = rng.standard_normal(len(day)) + drift * later
    return Histories(**{**histories.__dict__, "day": day}), values, later


def test_what_the_category_does_is_taken_out():
    histories, values, later = _shared_drift(1)
    calm = remove_drift(histories, values)
    assert values[later].mean() - values[~later].mean() == pytest.approx(-1, abs=0.05)
    assert calm[later].mean() - calm[~later].mean() == pytest.approx(0, abs=0.1)


def test_what_one_product_does_stays():
    histories, values, later = _shared_drift(2, drift=0.0)
    own = histories.product == 3
    values[own & later] -= 1
    calm = remove_drift(histories, values)
    assert calm[own & later].mean() - calm[own & ~later].mean() == pytest.approx(-1, abs=0.2)
    # Without drift hardly anything is taken out.
    assert np.abs(calm - values).max() < 0.15


def test_a_product_alone_in_its_category_stays_as_it_is():
    rng = np.random.default_rng(3)
    histories = _histories([100, 100], rng)
    histories = Histories(**{**histories.__dict__, "category": np.array([0, 1], np.int16)})
    values = rng.standard_normal(200)
    np.testing.assert_allclose(remove_drift(histories, values), values, rtol=1e-6)


# Effects and words


def test_the_interval_is_about_welchs():
    rng = np.random.default_rng(12)
    histories = _histories([400], rng)
    effect = measure_effect(
        histories, _badness(histories, rng), 0, Span(250, 240, 260, 399, over=False, by_language=False)
    )
    a, b = histories.stars[250:].astype(float), histories.stars[:250].astype(float)
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert effect.change == pytest.approx(a.mean() - b.mean(), abs=1e-5)
    assert (effect.change_low, effect.change_high) == pytest.approx((welch.low, welch.high), abs=0.01)


def test_a_change_that_ended_is_told():
    rng = np.random.default_rng(13)
    stars = rng.choice(5, 300, p=STARS) + 1
    stars[100:160] = rng.choice(5, 60, p=BAD) + 1
    histories = _histories([300], rng, stars=stars)
    badness = _badness(histories, rng)
    worse, _ = judge(histories, badness)
    span = date_change(worse, badness, histories, 0)
    assert span.over
    assert abs(span.since - 100) < 10
    assert abs(span.end - 160) < 15


def test_terms_that_came_up_and_their_themes():
    before = [terms_of("works fine every day") for _ in range(60)]
    since = [terms_of("battery died after week") for _ in range(20)] + [
        terms_of("works fine zipper broke") for _ in range(8)
    ]
    background = Counter(term for review in before * 20 + since for term in review)
    found = new_terms(since, before, background)
    assert {"battery", "zipper"} <= {word for one in found for word in one.term.split()}
    assert not {"fine", "works", "works fine"} & {one.term for one in found}
    groups = themes(found, since, before)
    assert {(theme.since, theme.before) for theme in groups} == {(20, 0), (8, 0)}


def test_numbers_the_same_for_the_same_id_and_even():
    ids = pa.array([f"R{i}" for i in range(20_000)])
    u = uniform(ids)
    np.testing.assert_array_equal(u, uniform(ids))
    assert stats.kstest(u, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.03


# The audit, from prepared reviews to files

GOOD_WORDS = ["great", "sturdy", "love it", "works well", "happy", "recommend", "perfect gift", "good value"]
BAD_WORDS = ["broke", "refund", "waste of money", "stopped working", "cracked hinge", "poor quality", "awful"]
FIRST = dt.date(2013, 1, 1)


def _shop(seed=0, products=24, reviews=90):
    """Rows of a shop: P0 and P1 get worse, P2 better, at two thirds of their reviews."""
    rng = np.random.default_rng(seed)
    rows = []
    for p in range(products):
        for r in range(reviews):
            later = r >= reviews * 2 // 3
            bad = (p < 2 and later) or (p == 2 and not later)
            stars = int(rng.choice(5, p=BAD if bad else STARS)) + 1
            words = BAD_WORDS if stars <= 2 else GOOD_WORDS if stars >= 4 else BAD_WORDS + GOOD_WORDS
            if bad and p == 0 and stars <= 2:
                words = ["leaking nozzle", *BAD_WORDS[:2]]
            text = " ".join(rng.choice(words, 3))
            day = FIRST + dt.timedelta(days=int(r * 9 + rng.integers(0, 9)))
            rows.append(
                (f"R{p:03}-{r}", f"P{p}", "Kitchen" if p % 2 else "Garden", stars, day, f"C{p}-{r}", text)
            )
    rows += [
        ("D1", "P3", "Kitchen", 5, None, "x", "no date"),
        ("D2", "P3", "Kitchen", None, FIRST, "y", "no stars"),
    ]
    rows += [
        ("D3", None, "Kitchen", 5, FIRST, "z", "no product"),
        ("D4", "FEW", "Kitchen", 1, FIRST, "v", "few"),
    ]
    rows += [
        (f"E{i}", "P4", "Garden", 1, FIRST + dt.timedelta(days=700 + i), "C4-0", "again bad")
        for i in range(7)
    ]
    return rows


def _write(rows, folder):
    table = {field.name: pa.nulls(len(rows), field.type) for field in PREPARED_SCHEMA}
    columns = list(zip(*rows, strict=True))
    names = (
        "review_id",
        "product_id",
        "product_category",
        "star_rating",
        "review_date",
        "customer_id",
        "review_body",
    )
    table |= {
        name: pa.array(column, PREPARED_SCHEMA.field(name).type)
        for name, column in zip(names, columns, strict=True)
    }
    table["review_tokens"] = table["review_body"]
    table["product_title"] = pa.array([f"=Title of {row[1]}" for row in rows])
    del table[REVIEW_MONTH]
    part = folder / "reviews" / f"{REVIEW_MONTH}=2013-01"
    part.mkdir(parents=True)
    pq.write_table(pa.table(table), part / "part-0.parquet")
    return folder


def _audit(rows, home, **run):
    told = validate({"train": {"linear": {"hash_bits": 14}}, "run": run})
    encode(_write(rows, home / "prepared"), home / "encoded", told)
    counts = declining_products(home / "prepared", home / "encoded", home / "out", told)
    return home / "out", counts


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    return _audit(_shop(), tmp_path_factory.mktemp("declines"), threads=1)


def test_planted_changes_lead_the_list(audited):
    out, counts = audited
    table = pq.read_table(out / "findings.parquet")
    assert table.schema.equals(SCHEMA)
    found = {row["product_id"]: row for row in table.to_pylist()}
    assert {name: row["direction"] for name, row in found.items()} == {
        "P0": "worse",
        "P1": "worse",
        "P2": "better",
    }
    assert counts["worse"] == 2
    assert counts["better"] == 1
    true = FIRST + dt.timedelta(days=60 * 9)
    for row in found.values():
        assert abs((row["since"] - true).days) < 60
        assert row["since_earliest"] <= row["since"] <= row["since_latest"]
        assert row["since"] <= row["seen"]
        assert row["score"] >= 0.9
        assert row["stars_change_low"] <= row["stars_change"] <= row["stars_change_high"]
        assert row["reviews_before"] + row["reviews_since"] == row["reviews"] == 90
        assert (row["stars_since"] < row["stars_before"]) == (row["direction"] == "worse")
        assert sum(point["reviews"] for point in row["timeline"]) == 90
        assert all(sample["date"] < row["since"] for sample in row["samples_before"])
        assert all(sample["date"] >= row["since"] for sample in row["samples_since"])
    words = {word for term in found["P0"]["words"] for word in term["term"].split()}
    assert {"leaking", "nozzle"} & words


def test_every_row_that_cannot_be_used_is_counted(audited):
    skipped = json.loads((audited[0] / "summary.json").read_text())["skipped"]
    assert skipped == {
        "reviews_without_a_product_id": 1,
        "reviews_without_a_date": 1,
        "reviews_without_stars": 1,
        "reviews_of_a_customer_who_wrote_before": 7,
        "products_with_too_few_reviews": 1,
    }


def test_the_csv_runs_no_formula(audited):
    with (audited[0] / "findings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["product_title"] for row in rows} == {"'=Title of P0", "'=Title of P1", "'=Title of P2"}
    assert all(" | " in row["samples_since"] for row in rows)


def test_the_same_for_any_order_of_rows_and_threads(audited, tmp_path):
    rows = _shop()
    shuffled = [rows[i] for i in np.random.default_rng(3).permutation(len(rows))]
    # Of a customer who wrote of a product twice the first is kept: by date and hash, not by place.
    out, _ = _audit(shuffled, tmp_path, threads=3)
    assert pq.read_table(out / "findings.parquet").equals(pq.read_table(audited[0] / "findings.parquet"))
    assert (out / "summary.json").read_bytes() == (audited[0] / "summary.json").read_bytes()


@pytest.mark.parametrize("lacking", ["review_date", "star_rating", "product_id"])
def test_reviews_that_lack_what_is_needed(lacking, tmp_path):
    place = {"product_id": 1, "star_rating": 3, "review_date": 4}[lacking]
    rows = [(*row[:place], None, *row[place + 1 :]) for row in _shop(products=3, reviews=40)]
    with pytest.raises(NotEnoughDataError, match=r"audit\.declining\.min_reviews"):
        _audit(rows, tmp_path)


# Real reviews


def test_real_reviews_in_another_order_give_few_alarms(real_data):
    columns = ["review_id", "product_id", "product_category", "star_rating", "review_date"]
    columns += ["review_headline", "review_body"]
    table = pq.read_table(
        real_data / "reviews.parquet",
        columns=columns,
        filters=[("product_category", "=", "Baby")],
    )
    told = validate({"train": {"linear": {"hash_bits": 18, "prefixes": [], "word_ngrams": 1}}})
    encoded = encode_table(table, told.train.linear, told.text, 2)
    complaint = complaint_scores(encoded, 2)
    stars = table["star_rating"].to_numpy()
    assert complaint[stars <= 2].mean() > complaint[stars >= 4].mean() + 1
    counts = Counter(table["product_id"].to_pylist())
    rng = np.random.default_rng(14)
    products = sorted(name for name, n in counts.items() if name and n >= 30)
    ids = np.array(table["product_id"].to_pylist(), object)
    rows = [rng.permutation(np.flatnonzero(ids == name)) for name in products]
    row = np.concatenate(rows)
    histories = _histories([len(one) for one in rows], rng, stars=stars[row])
    histories = Histories(**{**histories.__dict__, "row": row, "category": np.zeros(len(rows), np.int16)})
    share = language_given_stars(histories, encoded, complaint)
    assert stats.kstest(share, "uniform").statistic < 0.1  # products differ from their category
    worse, better = judge(histories, Badness.measure(histories, encoded, complaint))
    for one in (worse, better):
        assert (one.p <= ALARM).mean() < ALARM + 0.02
