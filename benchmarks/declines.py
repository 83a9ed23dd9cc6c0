"""Declines planted in real product histories: how many are found, how soon, at what price in false alarms.

    python benchmarks/declines.py WORKSPACE [--seeds 3] [--ruptures]

WORKSPACE holds prepared and encoded reviews. Histories are those of the products of `--categories`
(complete histories of their products) with `--least` reviews or more, cut at `--most`. After a date between
40 and 70 % of a history, a share of its reviews is replaced by reviews with 1 or 2 stars of other products
of its category, stars and text together; in the variant "text" the text alone for a number of reviews, with
the stars kept.

Every method gets the same values, of which the category's own drift was removed, and the threshold at which
5 % of the *other half* of the products ever give an alarm when their reviews are shuffled. An alarm before
the date counts as false and leaves the product out. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from shelfcheck.audit.declining_products.badness import language_given_stars
from shelfcheck.audit.declining_products.betting import bet, highest
from shelfcheck.audit.declining_products.complaints import complaint_scores
from shelfcheck.audit.declining_products.dating import date_change
from shelfcheck.audit.declining_products.drift import remove_drift
from shelfcheck.audit.declining_products.histories import Histories
from shelfcheck.audit.declining_products.judging import ALARM, judge, wealth_of
from shelfcheck.models.encode import Encoded
from shelfcheck.workspace import Workspace

_SEED = 7
_WEIGHT = 0.5  # of language beside stars, as in `badness`
_LEARN = 20  # reviews before CUSUM and the 90 days rule may alarm


@dataclass(frozen=True)
class Setting:
    """Histories, what replaces their reviews, and the drift that was found in them as they are."""

    histories: Histories
    encoded: Encoded
    complaint: np.ndarray  # of every encoded review
    donors: dict[int, np.ndarray]  # by category: rows with 1 or 2 stars
    drift_stars: np.ndarray
    drift_share: np.ndarray


@dataclass(frozen=True)
class Planted:
    """Histories with replaced reviews; `at` is the review from which on (m), in the product."""

    histories: Histories
    text: np.ndarray  # encoded row whose text each review has
    at: np.ndarray
    drift_stars: np.ndarray
    drift_share: np.ndarray


@njit(cache=True)
def cusum(starts: Any, x: Any, out: Any) -> None:
    """Page's CUSUM with k = ½ sd, mean and sd of all reviews before."""
    for i in range(len(starts) - 1):
        s, total, squares = 0.0, 0.0, 0.0
        for j in range(starts[i], starts[i + 1]):
            n = j - starts[i]
            out[j] = 0.0
            if n >= _LEARN:
                mean = total / n
                sd = math.sqrt(max(squares / n - mean * mean, 0.05))
                s = max(0.0, s + (x[j] - mean) / sd - 0.5)
                out[j] = s
            total += x[j]
            squares += x[j] * x[j]


@njit(cache=True)
def last_90_days(starts: Any, day: Any, x: Any, out: Any) -> None:
    """Mean of the last 90 days less the mean of all before, five reviews in each at least."""
    for i in range(len(starts) - 1):
        low, recent, total = starts[i], 0.0, 0.0
        for j in range(starts[i], starts[i + 1]):
            total += x[j]
            recent += x[j]
            while day[low] <= day[j] - 90:
                recent -= x[low]
                low += 1
            n, rest = j - low + 1, low - starts[i]
            out[j] = recent / n - (total - recent) / rest if n >= 5 and rest >= 5 else 0.0


@njit(cache=True)
def best_split(starts: Any, x: Any, least: int, out: Any) -> None:
    """Largest gain in squares of any split with a higher mean after, over the variance, at every review.

    That is what `ruptures.Binseg` looks for with one break; `least` reviews are after it at least.
    """
    for i in range(len(starts) - 1):
        a, n_all = starts[i], starts[i + 1] - starts[i]
        sums, squares = np.zeros(n_all + 1), np.zeros(n_all + 1)
        for j in range(n_all):
            sums[j + 1] = sums[j] + x[a + j]
            squares[j + 1] = squares[j] + x[a + j] ** 2
        for n in range(1, n_all + 1):
            best, m = 0.0, least
            spread = squares[n] - sums[n] ** 2 / n
            while m <= n - 10:
                gap = (sums[n] - sums[n - m]) / m - sums[n - m] / (n - m)
                if gap > 0:
                    best = max(best, gap * gap * m * (n - m) / n / max(spread / n, 0.05))
                m += max(1, m // 10)
            out[a + n - 1] = best


def ruptures_gain(starts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Gain of ruptures' best single split (least squares), again every tenth review."""
    import ruptures

    out = np.zeros(len(x))
    for a, b in pairwise(starts):
        last = 0.0
        for n in range(_LEARN, b - a + 1):
            if n % 10 == 0:
                part = x[a : a + n]
                cut = ruptures.Binseg(model="l2", min_size=4, jump=2).fit(part).predict(n_bkps=1)[0]
                gap = part[cut:].mean() - part[:cut].mean()
                gain = gap * gap * cut * (n - cut) / n / max(part.var(), 0.05)
                last = gain if gap > 0 else 0.0
            out[a + n - 1] = last
    return out


def ruptures_window(starts: np.ndarray, x: np.ndarray, width: int = 20) -> np.ndarray:
    """The same with ruptures' sliding window of 20 reviews."""
    import ruptures

    out = np.zeros(len(x))
    for a, b in pairwise(starts):
        if b - a <= width:
            continue
        part = x[a:b]
        found = ruptures.Window(width=width, model="l2", min_size=5, jump=1).fit(part)
        half = width // 2
        for place, score in zip(found.inds, found.score, strict=True):
            if part[place : place + half].mean() > part[max(place - half, 0) : place].mean():
                seen = a + min(place + half, b - a) - 1  # when the window's last review is there
                out[seen] = max(out[seen], score / max(part[:place].var(), 0.05))
    return out


def values(setting: Setting, planted: Planted) -> dict[str, np.ndarray]:
    """Badness of each review: stars, language, and stars with language between equals."""
    histories = planted.histories
    moved = replace(histories, row=planted.text)
    share = language_given_stars(moved, setting.encoded, setting.complaint)
    from scipy.special import ndtri

    normal = ndtri(np.clip(share, 1e-4, 1 - 1e-4))
    stars = -histories.stars.astype(np.float64)
    return {
        "raw": stars - planted.drift_stars,
        "stars": (stars + histories.u - 0.5 - planted.drift_stars).astype(np.float32),
        "language": (normal - planted.drift_share).astype(np.float32),
        "both": (stars - planted.drift_stars + _WEIGHT * (normal - planted.drift_share)).astype(np.float32),
    }


def paths(setting: Setting, planted: Planted, *, with_ruptures: bool) -> dict[str, np.ndarray]:
    """Each method's statistic after every review."""
    histories = planted.histories
    x = values(setting, planted)
    both, language, stars = (bet(histories, x[name], threads=2) for name in ("both", "language", "stars"))
    found = {
        "**shelfcheck**": wealth_of(both, language),
        "bets, stars and language": both.log_m,
        "bets, stars": stars.log_m,
        "bets, language": language.log_m,
    }
    for least in (4, 10):
        out = np.zeros(len(x["raw"]))
        best_split(histories.starts, x["raw"], least, out)
        found[f"best split, {least} reviews after"] = out
    out = np.zeros(len(x["raw"]))
    cusum(histories.starts, x["raw"], out)
    found["CUSUM, stars"] = out
    out = np.zeros(len(x["raw"]))
    last_90_days(histories.starts, histories.day, x["raw"], out)
    found["mean of the last 90 days"] = out
    if with_ruptures:
        found["ruptures Binseg, every 10"] = ruptures_gain(histories.starts, x["raw"])
        found["ruptures Window"] = ruptures_window(histories.starts, x["raw"])
    return found


def as_they_are(setting: Setting) -> Planted:
    """Nothing replaced."""
    return Planted(
        setting.histories,
        setting.histories.row,
        np.zeros(setting.histories.n_products, np.int64),
        setting.drift_stars,
        setting.drift_share,
    )


def shuffled(setting: Setting, rng: np.random.Generator) -> Planted:
    """Reviews, with the drift that was taken off them, in another order over the same dates."""
    histories = setting.histories
    order = np.lexsort((rng.random(len(histories.row)), histories.product))
    mixed = replace(histories, row=histories.row[order], stars=histories.stars[order], u=histories.u[order])
    return Planted(
        mixed,
        mixed.row,
        np.zeros(histories.n_products, np.int64),
        setting.drift_stars[order],
        setting.drift_share[order],
    )


def plant(
    setting: Setting,
    base: Planted,
    rng: np.random.Generator,
    strength: float,
    *,
    ramp: bool = False,
    text_first: int = 0,
) -> Planted:
    """Replace reviews of every product from a date on.

    Args:
        setting: what replaces them.
        base: histories to plant in.
        rng: draws dates and reviews.
        strength: share of the later reviews that is replaced.
        ramp: the share rises from 0 over the first half of the later reviews.
        text_first: so many reviews after the date keep their stars.
    """
    histories = base.histories
    text, stars = base.text.copy(), histories.stars.copy()
    own = np.asarray(setting.encoded.stars)
    at = np.zeros(histories.n_products, np.int64)
    for i in range(histories.n_products):
        a, b = histories.starts[i], histories.starts[i + 1]
        at[i] = int((b - a) * rng.uniform(0.4, 0.7))
        later = np.arange(a + at[i], b)
        share = np.full(len(later), strength)
        if ramp:
            share *= np.minimum((np.arange(len(later)) + 1) / max(len(later) / 2, 1), 1)
        hit = later[rng.random(len(later)) < share]
        donor = rng.choice(setting.donors[int(histories.category[i])], len(hit))
        text[hit] = donor
        starred = hit - a - at[i] >= text_first
        stars[hit[starred]] = own[donor[starred]]
    return Planted(replace(histories, stars=stars), text, at, base.drift_stars, base.drift_share)


def first_over(path: np.ndarray, starts: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The first review of each product, counted from 0, at which a path is at its level; -1 for none."""
    found = np.full(len(level), -1)
    for i in range(len(level)):
        over = np.flatnonzero(path[starts[i] : starts[i + 1]] >= level[i])
        if len(over):
            found[i] = over[0]
    return found


def read_setting(workspace: Path, categories: list[str], least: int, most: int) -> Setting:
    """Histories of some categories, cut to `most` reviews."""
    shelf = Workspace(workspace)
    encoded = Encoded.open(shelf.path("encoded", made_by="shelfcheck train"))
    everything = Histories.gather(encoded, 20)
    complaint = complaint_scores(encoded, 2)
    share = language_given_stars(everything, encoded, complaint)
    from scipy.special import ndtri

    normal = ndtri(np.clip(share, 1e-4, 1 - 1e-4))
    stars = -everything.stars.astype(np.float64)
    drift_stars = stars - remove_drift(everything, stars)
    drift_share = normal - remove_drift(everything, normal)
    codes = [encoded.categories.index(name) for name in categories]
    chosen = [
        i
        for i in range(everything.n_products)
        if everything.category[i] in codes and everything.starts[i + 1] - everything.starts[i] >= least
    ]
    rows = [
        np.arange(everything.starts[i], min(everything.starts[i + 1], everything.starts[i] + most))
        for i in chosen
    ]
    at = np.concatenate(rows)
    histories = Histories(
        row=everything.row[at],
        starts=np.cumsum([0, *(len(part) for part in rows)]),
        category=everything.category[chosen],
        day=everything.day[at],
        stars=everything.stars[at],
        u=everything.u[at],
        product_ids=everything.product_ids.take(chosen),
    )
    rated = np.asarray(encoded.stars)
    donors = {c: np.flatnonzero((encoded.label == c) & (rated > 0) & (rated <= 2)) for c in codes}
    return Setting(histories, encoded, complaint, donors, drift_stars[at], drift_share[at])


def main() -> None:
    """Run all scenarios and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--categories", nargs="+", default=["Digital_Software", "Baby", "Beauty"])
    parser.add_argument("--least", type=int, default=40)
    parser.add_argument("--most", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=_SEED, help="Of what is drawn; 7 was developed on.")
    parser.add_argument("--only", help="Scenarios whose name holds this text, and nothing else.")
    parser.add_argument(
        "--ruptures", action="store_true", help="Also ruptures (pip install ruptures), which takes minutes."
    )
    options = parser.parse_args()
    setting = read_setting(options.workspace, options.categories, options.least, options.most)
    histories = setting.histories
    sizes = np.diff(histories.starts)
    print(
        f"{histories.n_products} products, {len(histories.row):,} reviews, median {int(np.median(sizes))}\n"
    )
    levels = thresholds(setting, options)
    scenarios: dict[str, dict[str, Any]] = {
        "15 %": {"strength": 0.15},
        "30 %": {"strength": 0.3},
        "50 %": {"strength": 0.5},
        "100 %": {"strength": 1.0},
        "30 %, ramp": {"strength": 0.3, "ramp": True},
        "30 %, text 20 reviews before the stars": {"strength": 0.3, "text_first": 20},
        "30 %, text alone": {"strength": 0.3, "text_first": 10**9},
    }
    for name, how in scenarios.items():
        if options.only is None or options.only in name:
            compare(setting, options, name, how, levels)
    if options.only is not None:
        return
    dating(setting, options)
    drifting(setting, options)


def thresholds(setting: Setting, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """For each product, the level that 5 % of the other half's shuffled histories reach; printed."""
    starts = setting.histories.starts
    half = np.random.default_rng(options.seed).permutation(setting.histories.n_products) % 2
    tops: dict[str, list[np.ndarray]] = {}
    repeats = 3 if options.ruptures else 10
    for repeat in range(repeats):
        mixed = shuffled(setting, np.random.default_rng([options.seed, 1, repeat]))
        began = time.perf_counter()
        for name, path in paths(setting, mixed, with_ruptures=options.ruptures).items():
            tops.setdefault(name, []).append(np.maximum.reduceat(path, starts[:-1]))
        if repeat == 0:
            print(f"one pass of all methods: {time.perf_counter() - began:.1f} s\n")
    print("| method | level | ever over it, shuffled |\n|---|---|---|")
    found = {}
    for name, all_tops in tops.items():
        top = np.array(all_tops)
        of_half = [float(np.quantile(top[:, half != h], 0.95)) for h in (0, 1)]
        level = np.where(half == 0, of_half[0], of_half[1])
        found[name] = level
        print(f"| {name} | {np.mean(of_half):.2f} | {(top >= level).mean():.3f} |")
    own = np.array(tops["**shelfcheck**"])
    level = -math.log(ALARM)
    print(f"| **shelfcheck**, its own level | {level:.2f} | {(own >= level).mean():.3f} |\n")
    found["**shelfcheck**, its own level"] = np.full(setting.histories.n_products, level)
    return found


def compare(
    setting: Setting,
    options: argparse.Namespace,
    title: str,
    how: dict[str, Any],
    levels: dict[str, np.ndarray],
) -> None:
    """Print how many planted declines each method finds, and when; in shuffled and in real order."""
    results: dict[str, list[tuple[float, ...]]] = {}
    delays: dict[str, list[np.ndarray]] = {}
    days: dict[str, list[np.ndarray]] = {}
    for seed in range(options.seeds):
        for base in (shuffled(setting, np.random.default_rng([options.seed, 2, seed])), as_they_are(setting)):
            planted = plant(setting, base, np.random.default_rng([options.seed, 3, seed]), **how)
            found = paths(setting, planted, with_ruptures=options.ruptures)
            found["**shelfcheck**, its own level"] = found["**shelfcheck**"]
            starts = planted.histories.starts
            for name, path in found.items():
                first = first_over(path, starts, levels[name])
                early = (first >= 0) & (first < planted.at)
                seen = first >= planted.at
                real = base.text is setting.histories.row
                # Found by text, before a star fell.
                ahead = (seen & (first - planted.at < min(how.get("text_first", 0), 10**6))).sum()
                usable = max((~early).sum(), 1)
                results.setdefault(name, []).append((real, seen.sum() / usable, early.mean(), ahead / usable))
                if not real:
                    delays.setdefault(name, []).append((first - planted.at + 1)[seen])
                    places = starts[:-1][seen]
                    day = planted.histories.day
                    gone = day[places + first[seen]] - day[places + planted.at[seen]]
                    days.setdefault(name, []).append(gone)
    print(f"### {title}\n")
    print("| method | found | before stars fall | delay, reviews | delay, days | real order | false there |")
    print("|---|---|---|---|---|---|---|")
    for name, rows in results.items():
        at = np.array(rows)
        mixed, real = at[at[:, 0] == 0], at[at[:, 0] == 1]
        spread = f" ± {mixed[:, 1].std():.3f}" if len(mixed) > 1 else ""
        late = np.concatenate(delays[name])
        gone = np.concatenate(days[name])
        middle = f"{np.median(late):.0f}" if len(late) else "–"
        in_days = f"{np.median(gone):.0f}" if len(gone) else "–"
        print(
            f"| {name} | {mixed[:, 1].mean():.3f}{spread} | {mixed[:, 3].mean():.3f} | {middle} | {in_days} "
            f"| {real[:, 1].mean():.3f} | {real[:, 2].mean():.3f} |"
        )
    print()


def dating(setting: Setting, options: argparse.Namespace) -> None:
    """Print how well the day of the change is told, of declines that the list would hold."""
    from shelfcheck.audit.declining_products.badness import Badness

    errors, inside, listed, wrong = [], [], [], []
    for seed in range(options.seeds):
        base = shuffled(setting, np.random.default_rng([options.seed, 2, seed]))
        planted = plant(setting, base, np.random.default_rng([options.seed, 4, seed]), 0.5)
        # One product in ten declines: the list must not hold the others.
        chosen = np.random.default_rng([options.seed, 5, seed]).random(setting.histories.n_products) < 0.1
        of = chosen[setting.histories.product]
        histories = replace(base.histories, stars=np.where(of, planted.histories.stars, base.histories.stars))
        part = Planted(histories, np.where(of, planted.text, base.text), planted.at, *_drifts(base))
        x = values(setting, part)
        badness = Badness(x["stars"], x["language"], x["both"])
        worse, better = judge(histories, badness, 2)
        told = np.flatnonzero(worse.q <= 0.1)
        listed.append((chosen[told].sum() / chosen.sum(), len(told)))
        wrong.append(((~chosen[told]).sum() + (better.q <= 0.1).sum()) / max(len(told), 1))
        for i in told[chosen[told]].tolist():
            span = date_change(worse, badness, histories, i)
            true = int(histories.starts[i] + planted.at[i])
            errors.append(abs(span.since - true))
            inside.append(span.earliest <= true <= span.latest)
    print("### The list\n")
    print("One product in ten declines, 50 % of its later reviews. At a false discovery rate of 10 %:\n")
    share = np.mean([a for a, _ in listed])
    print(f"- found: {share:.3f} of the declines; false in the list: {np.mean(wrong):.3f}")
    print(f"- day of the change: median error {np.median(errors):.0f} reviews; ", end="")
    print(f"inside the 90 % interval: {np.mean(inside):.3f} (n = {len(errors)})\n")


def _drifts(base: Planted) -> tuple[np.ndarray, np.ndarray]:
    return base.drift_stars, base.drift_share


def drifting(setting: Setting, options: argparse.Namespace) -> None:
    """Print false alarms while the whole category goes down, or has a season."""
    from scipy.special import ndtri

    print("### False alarms while the category drifts\n")
    print(
        "No product changes, but 15 % of the category's later reviews are replaced, or of every winter's.\n"
    )
    print("| what happens | drift taken out | products with an alarm |\n|---|---|---|")
    for title in ("nothing", "the category gets worse", "a season"):
        with_drift, without = [], []
        for seed in range(options.seeds):
            rng = np.random.default_rng([options.seed, 6, seed])
            base = shuffled(setting, rng)
            histories = base.histories
            text, stars = base.text.copy(), histories.stars.copy()
            own = np.asarray(setting.encoded.stars)
            for c, donors in setting.donors.items():
                here = histories.category[histories.product] == c
                if title == "a season":
                    hit = here & (histories.day % 365.25 < 90)
                elif title == "nothing":
                    hit = np.zeros(len(here), np.bool_)
                else:
                    hit = here & (histories.day > np.median(histories.day[here]))
                chosen = np.flatnonzero(hit & (rng.random(len(here)) < 0.15))
                donor = rng.choice(donors, len(chosen))
                text[chosen], stars[chosen] = donor, own[donor]
            moved = replace(histories, stars=stars, row=text)
            share = language_given_stars(moved, setting.encoded, setting.complaint)
            normal = ndtri(np.clip(share, 1e-4, 1 - 1e-4))
            calm, language = -stars - base.drift_stars, normal - base.drift_share
            pairs = ((calm, language), (remove_drift(moved, calm), remove_drift(moved, language)))
            for (by_stars, by_language), into in zip(pairs, (without, with_drift), strict=True):
                both = np.asarray(by_stars + _WEIGHT * by_language, np.float32)
                wealth = wealth_of(bet(moved, both), bet(moved, np.asarray(by_language, np.float32)))
                into.append((highest(wealth, moved.starts) >= -math.log(ALARM)).mean())
        print(f"| {title} | no | {np.mean(without):.3f} |")
        print(f"| {title} | **yes** | {np.mean(with_drift):.3f} |")
    print()


if __name__ == "__main__":
    main()
