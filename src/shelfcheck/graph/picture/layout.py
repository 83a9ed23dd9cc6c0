"""Where nodes stand: forces between them, then room for each.

The forces are those of ForceAtlas2 (Jacomy, Venturini, Heymann and Bastian, 2014): every two nodes repel
each other by their degrees, edges pull, a weak pull leads to the middle, and each node's step falls as it
swings. Up to EXACT nodes all pairs are computed; of more, far groups count as one. The same nodes and edges
from the same first places give the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


EXACT: Final = 800
"""Most nodes between which all forces are computed."""

_NEAR: Final = 0.9  # a square is parted where its side is more than this times the way to it


@dataclass(frozen=True)
class Forces:
    """How strong they are.

    Attributes:
        iterations: steps.
        repulsion: between nodes; larger ones give a larger picture.
        gravity: towards the middle.
    """

    iterations: int = 300
    repulsion: float = 80.0
    gravity: float = 0.05


def settle(
    places: Floats,
    radius: Floats,
    edges: Ints,
    weight: Floats,
    *,
    pinned: npt.NDArray[Any],
    forces: Forces,
    exact: int = EXACT,
) -> Floats:
    """Let forces work on nodes.

    Args:
        places: where they start, (n, 2); no two alike.
        radius: of each, (n,).
        edges: ends of each edge, (m, 2).
        weight: pull of each edge, (m,).
        pinned: those that stay, bool (n,).
        forces: how strong they are.
        exact: most nodes between which all forces are computed.

    Returns:
        Where they stand, (n, 2).
    """
    mass = 1.0 + np.bincount(edges.ravel(), minlength=len(places)).astype(np.float64)
    settled: Floats = _settle(
        places.astype(np.float64).copy(),
        radius.astype(np.float64),
        np.sqrt(mass),
        pinned.astype(np.bool_),
        edges.astype(np.int64).reshape(-1, 2),
        weight.astype(np.float64),
        forces.iterations,
        forces.repulsion,
        forces.gravity,
        exact,
    )
    return settled


def part(
    places: Floats, width: Floats, height: Floats, pinned: npt.NDArray[Any], rounds: int = 200
) -> Floats:
    """Push nodes apart until their boxes no longer overlap, or the rounds are over.

    Args:
        places: middles of the boxes, (n, 2).
        width: of each box with its margin, (n,).
        height: the same.
        pinned: those that stay, bool (n,).
        rounds: most rounds.

    Returns:
        Where they stand then, (n, 2).
    """
    found = places.astype(np.float64).copy()
    _part(
        found,
        width.astype(np.float64) / 2,
        height.astype(np.float64) / 2,
        pinned.astype(np.bool_),
        rounds,
    )
    return found


@njit(cache=True, nogil=True)
def _settle(  # noqa: PLR0915, PLR0917 - one compiled loop, whose parts would need all its arrays
    at: Any,
    radius: Any,
    mass: Any,
    pinned: Any,
    edges: Any,
    weight: Any,
    iterations: int,
    repulsion: float,
    gravity: float,
    exact: int,
) -> Any:
    n = len(at)
    force, before = np.zeros((n, 2)), np.zeros((n, 2))
    room = 8 * n + 64
    child, box, sums = np.empty((room, 4), np.int64), np.empty((room, 3)), np.empty((room, 4))
    speed, efficiency = 1.0, 1.0
    for step in range(iterations):
        apart = step > iterations // 2  # room for each node counts once the shape stands
        force[:] = 0.0
        if n <= exact:
            _repel(at, radius, mass, force, repulsion, apart)
        else:
            cells = _grow(at, radius, mass, child, box, sums)
            _repel_by_cells(at, radius, mass, force, child[:cells], box, sums, repulsion, apart)
        for k in range(len(edges)):
            i, j = edges[k, 0], edges[k, 1]
            dx, dy = at[i, 0] - at[j, 0], at[i, 1] - at[j, 1]
            pull = weight[k]
            force[i, 0] -= dx * pull
            force[i, 1] -= dy * pull
            force[j, 0] += dx * pull
            force[j, 1] += dy * pull
        swing, traction = 0.0, 0.0
        for i in range(n):
            far = np.sqrt(at[i, 0] ** 2 + at[i, 1] ** 2) + 1e-9
            pull = gravity * mass[i] * repulsion / far
            force[i, 0] -= at[i, 0] * pull
            force[i, 1] -= at[i, 1] * pull
            if not pinned[i]:
                sx, sy = force[i, 0] - before[i, 0], force[i, 1] - before[i, 1]
                tx, ty = force[i, 0] + before[i, 0], force[i, 1] + before[i, 1]
                swing += mass[i] * np.sqrt(sx * sx + sy * sy)
                traction += mass[i] * np.sqrt(tx * tx + ty * ty) / 2
        # The global speed, as ForceAtlas2 sets it from how much nodes swing and how much they move.
        swing, traction = swing + 1e-12, traction + 1e-12
        estimated = 0.05 * np.sqrt(n)
        jitter = max(np.sqrt(estimated), min(10.0, estimated * traction / (n * n)))
        if swing / traction > 2.0:
            efficiency = max(efficiency * 0.5, 0.05)
            jitter = max(jitter, 1.0)
        target = jitter * efficiency * traction / swing
        if swing > jitter * traction:
            efficiency = max(efficiency * 0.7, 0.05)
        elif speed < 1000.0:
            efficiency *= 1.3
        speed += min(target - speed, 0.5 * speed)
        for i in range(n):
            if not pinned[i]:
                sx, sy = force[i, 0] - before[i, 0], force[i, 1] - before[i, 1]
                own = np.sqrt(sx * sx + sy * sy) * mass[i]
                factor = speed / (1.0 + np.sqrt(speed * own))
                size = np.sqrt(force[i, 0] ** 2 + force[i, 1] ** 2) * factor
                if size > 50.0:
                    factor *= 50.0 / size
                at[i, 0] += force[i, 0] * factor
                at[i, 1] += force[i, 1] * factor
            before[i, 0], before[i, 1] = force[i, 0], force[i, 1]
    return at


@njit(cache=True, nogil=True)
def _push(dx: float, dy: float, between: float, repulsion: float, radii: float, apart: bool) -> Any:  # noqa: FBT001, PLR0917
    """What a difference of places is multiplied by to be a force; `between`: product of the masses."""
    squared = dx * dx + dy * dy + 1e-9
    if not apart:
        return repulsion * between / squared
    far = np.sqrt(squared)
    return repulsion * between / (max(far - radii, 0.5) * far)


@njit(cache=True, nogil=True)
def _repel(at: Any, radius: Any, mass: Any, force: Any, repulsion: float, apart: bool) -> None:  # noqa: FBT001, PLR0917
    for i in range(len(at)):
        for j in range(i):
            dx, dy = at[i, 0] - at[j, 0], at[i, 1] - at[j, 1]
            push = _push(dx, dy, mass[i] * mass[j], repulsion, radius[i] + radius[j], apart)
            force[i, 0] += dx * push
            force[i, 1] += dy * push
            force[j, 0] -= dx * push
            force[j, 1] -= dy * push


@njit(cache=True, nogil=True)
def _grow(at: Any, radius: Any, mass: Any, child: Any, box: Any, sums: Any) -> int:  # noqa: PLR0917 - compiled
    """Put nodes into a tree of squares, each parted into four until a node is alone; returns the squares.

    Args:
        at: places of the nodes.
        radius: of each.
        mass: of each.
        child: to fill, four parts of each square: -1 empty, -2 - i the node i, else a square.
        box: to fill, left, top and side.
        sums: to fill, mass and mass times place and radius.
    """
    box[0, 0], box[0, 1] = at[:, 0].min(), at[:, 1].min()
    box[0, 2] = max(at[:, 0].max() - box[0, 0], at[:, 1].max() - box[0, 1]) * 1.001 + 1e-6
    child[0] = -1
    sums[0] = 0.0
    cells = 1
    for i in range(len(at)):
        here = 0
        while True:
            sums[here, 0] += mass[i]
            sums[here, 1] += mass[i] * at[i, 0]
            sums[here, 2] += mass[i] * at[i, 1]
            sums[here, 3] += mass[i] * radius[i]
            part_of = _quarter(at[i], box[here])
            found = child[here, part_of]
            if found == -1:
                child[here, part_of] = -2 - i
                break
            if found < -1:  # a node is there: both go into a square of its own
                if cells == len(child) or box[here, 2] < 1e-6:
                    break  # two at one place: no force parts them, their room does
                other = -2 - found
                half = box[here, 2] / 2
                box[cells, 0] = box[here, 0] + half * (part_of % 2)
                box[cells, 1] = box[here, 1] + half * (part_of // 2)
                box[cells, 2] = half
                child[cells] = -1
                sums[cells, 0] = mass[other]
                sums[cells, 1] = mass[other] * at[other, 0]
                sums[cells, 2] = mass[other] * at[other, 1]
                sums[cells, 3] = mass[other] * radius[other]
                child[cells, _quarter(at[other], box[cells])] = found
                child[here, part_of] = cells
                found = cells
                cells += 1
            here = found
    return cells


@njit(cache=True, nogil=True)
def _quarter(place: Any, square: Any) -> int:
    half = square[2] / 2
    return int(place[0] >= square[0] + half) + 2 * int(place[1] >= square[1] + half)


@njit(cache=True, nogil=True)
def _repel_by_cells(  # noqa: PLR0917 - compiled
    at: Any,
    radius: Any,
    mass: Any,
    force: Any,
    child: Any,
    box: Any,
    sums: Any,
    repulsion: float,
    apart: bool,  # noqa: FBT001
) -> None:
    """As `_repel`, a far square of nodes taken as one (Barnes and Hut, 1986)."""
    stack = np.empty(4096, np.int64)
    for i in range(len(at)):
        stack[0], left = 0, 1
        while left:
            left -= 1
            here = stack[left]
            for part_of in range(4):
                found = child[here, part_of]
                if found == -1 or found == -2 - i:
                    continue
                if found < -1:
                    j = -2 - found
                    dx, dy = at[i, 0] - at[j, 0], at[i, 1] - at[j, 1]
                    push = _push(dx, dy, mass[i] * mass[j], repulsion, radius[i] + radius[j], apart)
                else:
                    dx = at[i, 0] - sums[found, 1] / sums[found, 0]
                    dy = at[i, 1] - sums[found, 2] / sums[found, 0]
                    radii = radius[i] + sums[found, 3] / sums[found, 0]
                    gap = np.sqrt(dx * dx + dy * dy) - (radii if apart else 0.0)
                    if box[found, 2] > _NEAR * gap and left < len(stack):
                        stack[left] = found
                        left += 1
                        continue
                    push = _push(dx, dy, mass[i] * sums[found, 0], repulsion, radii, apart)
                force[i, 0] += dx * push
                force[i, 1] += dy * push


@njit(cache=True, nogil=True)
def _part(at: Any, half_width: Any, half_height: Any, pinned: Any, rounds: int) -> int:
    n = len(at)
    for done in range(rounds):
        order = np.argsort(at[:, 0] - half_width, kind="mergesort")
        moved = 0
        for first in range(n):
            i = order[first]
            for second in range(first + 1, n):
                j = order[second]
                if at[j, 0] - half_width[j] >= at[i, 0] + half_width[i]:
                    break
                dx, dy = at[j, 0] - at[i, 0], at[j, 1] - at[i, 1]
                over_x = half_width[i] + half_width[j] - abs(dx)
                over_y = half_height[i] + half_height[j] - abs(dy)
                if over_x <= 0.01 or over_y <= 0.01 or (pinned[i] and pinned[j]):
                    continue
                moved += 1
                share = 1.0 if pinned[i] or pinned[j] else 0.5
                if over_x < over_y:
                    sign = 1.0 if dx > 0 or (dx == 0 and i < j) else -1.0
                    mx, my = sign * over_x * share, 0.0
                else:
                    sign = 1.0 if dy > 0 or (dy == 0 and i < j) else -1.0
                    mx, my = 0.0, sign * over_y * share
                if not pinned[j]:
                    at[j, 0] += mx
                    at[j, 1] += my
                if not pinned[i]:
                    at[i, 0] -= mx
                    at[i, 1] -= my
        if not moved:
            return done
    return rounds
