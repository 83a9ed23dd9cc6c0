"""The leaderboard: every registered version with its quality and its cost, the best first.

Only versions that were judged on the same reviews with the same assigned classes, by the same kind of
split, are ranked together; others stand in a group of their own. Within a group each version is compared
with the best, review by review (see `comparison`). The p-values are adjusted for how many versions are
compared (Holm): among twenty equally good ones, the worst would otherwise often look worse by chance.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc

from shelfcheck.errors import WorkspaceError
from shelfcheck.models.comparison import holm, sign_flip
from shelfcheck.models.evaluation import Evaluation
from shelfcheck.models.intervals import (
    MOST_GROUPS,
    RESAMPLES,
    Interval,
    effective,
    expanded_tail,
    interval,
    intervals,
    resampled,
    sums,
)
from shelfcheck.models.judged import HELD_OUT, Judged, read_held_out
from shelfcheck.schema import REVIEW_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from shelfcheck.models.registry import Version

MEASURES: Final = ("accuracy", "macro_f1", "ece", "coverage_at_95")


@dataclass(frozen=True)
class Row:
    """A version on the leaderboard.

    Attributes:
        version: its name.
        model: kind of model.
        aliases: aliases that name it.
        created: when it was registered, ISO 8601.
        train_seconds: wall time of learning and calibrating.
        peak_memory_mb: most memory of the process that trained it.
        bytes: size on disk.
        reviews_per_second: predicted from raw texts in a second; None where not known.
        measures: `accuracy`, `macro_f1`, `ece`, `coverage_at_95` with 95 % intervals over products; empty
            where it was not judged.
        difference: its accuracy less that of the best of its group, with its interval; None for the best.
        p_value: of that difference, by itself; None for the best.
        p_adjusted: the same, adjusted for the number of versions in the group.
    """

    version: str
    model: str
    aliases: tuple[str, ...]
    created: str
    train_seconds: float
    peak_memory_mb: int
    bytes: int
    reviews_per_second: int | None
    measures: dict[str, Interval]
    difference: Interval | None = None
    p_value: float | None = None
    p_adjusted: float | None = None


@dataclass(frozen=True)
class Group:
    """Versions that can be compared, the most accurate first.

    Attributes:
        label: what they predict.
        split: what was held out: `product`, `time` or `row`.
        reviews: reviews that all were judged on; 0 where they were not judged.
        products: of how many products.
        rows: the versions.
    """

    label: str
    split: str
    reviews: int
    products: int
    rows: tuple[Row, ...]

    def title(self) -> str:
        """What the group is, in one line."""
        if not self.reviews:
            return f"{self.label}, {self.split} split: not judged"
        return (
            f"{self.label}, {self.split} split: {self.reviews:,} held-out reviews of "
            f"{self.products:,} products"
        )


@dataclass(frozen=True)
class Leaderboard:
    """All versions, by groups that can be compared; the group with most versions first."""

    groups: tuple[Group, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def markdown(self) -> str:
        """A Markdown table a group."""
        parts = []
        for group in self.groups:
            lines = [f"**{group.title()}**", "", f"| {' | '.join(COLUMNS)} |"]
            lines.append(f"|{'|'.join(['---', *['---:'] * (len(COLUMNS) - 1)])}|")
            lines += [f"| {' | '.join(cells(row))} |" for row in group.rows]
            parts.append("\n".join(lines))
        return "\n\n".join(parts) + "\n"


COLUMNS: Final = (
    "version",
    "accuracy",
    "macro F1",
    "calibration error",
    "coverage at 95 %",
    "points behind the best",
    "p",
    "train s",
    "peak MB",
    "disk MB",
    "reviews/s",
)


def cells(row: Row, *, brief: bool = False) -> tuple[str, ...]:
    """A row as text, in the order of COLUMNS; when brief, with the interval of the accuracy alone."""
    name = f"{row.version} ({', '.join(row.aliases)})" if row.aliases else row.version
    measures = []
    for measure in MEASURES:
        value = row.measures.get(measure)
        short = brief and measure != "accuracy"
        measures.append("" if value is None else f"{value.estimate:.3f}" if short else value.text())
    behind = ""
    if row.difference is not None:
        low, high = -100 * row.difference.high, -100 * row.difference.low
        behind = f"{-100 * row.difference.estimate:.2f} [{low:.2f}, {high:.2f}]"
    return (
        name,
        *measures,
        behind,
        "" if row.p_adjusted is None else f"{row.p_adjusted:.4f}",
        f"{row.train_seconds:,.1f}",
        f"{row.peak_memory_mb:,}",
        f"{row.bytes / 1e6:,.1f}",
        "" if row.reviews_per_second is None else f"{row.reviews_per_second:,}",
    )


def leaderboard(versions: Sequence[Version], aliases: Mapping[str, str], *, seed: int = 0) -> Leaderboard:
    """Rank registered versions.

    Args:
        versions: of a registry.
        aliases: alias -> version.
        seed: of the resamples.

    Raises:
        WorkspaceError: what a version was judged by cannot be read.
    """
    grouped: dict[tuple[str, str, str], list[tuple[Version, Judged | None]]] = {}
    for version in versions:
        judged, digest = None, ""
        if (Path(version.folder) / HELD_OUT).exists():
            judged, digest = _judged(read_held_out(Path(version.folder)))
        grouped.setdefault((version.label, version.split, digest), []).append((version, judged))
    groups = [_group(key, some, aliases, seed) for key, some in grouped.items()]
    groups.sort(key=lambda group: (not group.reviews, -len(group.rows), group.label, group.split))
    return Leaderboard(tuple(groups))


def _judged(table: pa.Table) -> tuple[Judged, str]:
    """The reviews in the order of their ids, and a digest of ids and assigned classes."""
    table = table.take(pc.sort_indices(table, [(REVIEW_ID, "ascending")])).combine_chunks()
    digest = hashlib.sha256()
    for name in (REVIEW_ID, "label"):
        for chunk in table.column(name).chunks:
            digest.update("\n".join(chunk.to_pylist()).encode())
    return Judged.of_table(table), digest.hexdigest()


def _group(
    key: tuple[str, str, str],
    some: Sequence[tuple[Version, Judged | None]],
    aliases: Mapping[str, str],
    seed: int,
) -> Group:
    label, split, _ = key
    rows = []
    known: list[Judged] = []
    for version, judged in some:
        measures = {} if judged is None else _measures(Path(version.folder), judged, seed)
        named = tuple(sorted(alias for alias, name in aliases.items() if name == version.version))
        if judged is not None:
            known.append(judged)
        rows.append(
            Row(
                version.version,
                version.model,
                named,
                version.created,
                version.train_seconds,
                version.peak_memory_mb,
                version.bytes,
                version.reviews_per_second,
                measures,
            )
        )
    if not known:
        return Group(label, split, 0, 0, tuple(rows))
    order = sorted(range(len(rows)), key=lambda at: -int(known[at].hit.sum()))
    ranked = _compared([rows[at] for at in order], [known[at] for at in order], seed)
    first = known[0]
    return Group(label, split, len(first.label), first.clusters(MOST_GROUPS)[2], tuple(ranked))


def _measures(folder: Path, judged: Judged, seed: int) -> dict[str, Interval]:
    """The recorded intervals of a version, or new ones where an older Shelfcheck recorded none."""
    path = folder / "evaluation.json"
    try:
        recorded = Evaluation.from_json(path.read_text(encoding="utf-8")).intervals
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{path}: cannot be read ({error}). Train and evaluate again.") from error
    if recorded:
        return recorded
    made = intervals(judged, seed=seed)
    accuracy = float(judged.hit.mean())
    return made or {"accuracy": Interval(accuracy, 0.0, 1.0)}


def _compared(rows: Sequence[Row], judged: Sequence[Judged], seed: int) -> list[Row]:
    """Each row with its difference to the first, all from the same resamples."""
    if len(rows) == 1:
        return list(rows)
    best = judged[0]
    cluster, groups, _ = best.clusters(MOST_GROUPS)
    hits = [one.hit for one in judged]
    everything = np.arange(len(cluster))
    columns = [everything, *(np.flatnonzero(hit) for hit in hits)]
    at = np.concatenate([np.full(len(some), i) for i, some in enumerate(columns)])
    table = sums(cluster[np.concatenate(columns)], at, (groups, len(columns)))
    drawn = resampled({"hits": table}, RESAMPLES, seed)["hits"] if groups > 1 else None
    tail = expanded_tail(effective(np.bincount(cluster, minlength=groups)))
    alone = best.clusters(len(cluster))[0]
    found, p_values = [], []
    for place, hit in enumerate(hits[1:], start=2):
        estimate = float(hit.mean() - hits[0].mean())
        bounds = Interval(estimate, -1.0, 1.0)
        if drawn is not None:
            samples: npt.NDArray[np.float64] = (drawn[:, place] - drawn[:, 1]) / drawn[:, 0]
            bounds = interval(estimate, samples, tail)
        by_product = np.bincount(alone, weights=hit.astype(np.int8) - hits[0].astype(np.int8))
        p_values.append(sign_flip(by_product, seed=seed))
        found.append(replace(rows[place - 1], difference=bounds))
    return [
        rows[0],
        *(
            replace(row, p_value=p_value, p_adjusted=adjusted)
            for row, p_value, adjusted in zip(found, p_values, holm(p_values), strict=True)
        ),
    ]
