"""Products joined by common customers: communities, standing, and those that lie between categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelfcheck.graph.analysis.network import communities, components, page_rank, participation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from shelfcheck.config import GraphAnalysisSettings
    from shelfcheck.graph.analysis.network import Network
    from shelfcheck.graph.analysis.views import CoReviewed

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_NAMED: Final = 3  # categories of a community that are told
_Z: Final = 1.96  # of a 95 % interval


@dataclass(frozen=True)
class Described:
    """What was found of the products.

    Attributes:
        products: `tables.PRODUCTS`, one row a product of the graph.
        between: the same, products that lie between categories, the surest first.
        communities: rows of `tables.COMMUNITIES`, the largest first.
        component: of each product with a neighbour, from 0 by size.
        community: the same.
        category: the same; -1 for none.
    """

    products: pa.Table
    between: pa.Table
    communities: list[dict[str, Any]]
    component: Ints
    community: Ints
    category: Ints


def describe(
    joined: CoReviewed,
    nodes: pa.Table,
    categories: Sequence[str],
    told: GraphAnalysisSettings,
    seed: int,
) -> Described:
    """Measure the network of products.

    Args:
        joined: the products that have a neighbour.
        nodes: `Views.products`.
        categories: names.
        told: `min_customers` of a product between categories, and `max_between`.
        seed: of the communities.
    """
    network, numbers = joined.network, joined.numbers
    assigned = _numbers(nodes["category"])
    category = assigned[numbers]
    component, community = components(network), communities(network, seed)
    n_communities = int(community.max(initial=-1)) + 1
    to_categories = network.towards(category, len(categories))
    to_communities = network.towards(community, max(n_communities, 1))
    own, other, other_share = _split(to_categories, category)
    _, foreign, foreign_share = _split(to_communities, community)
    read_as = _numbers(nodes["read_as"])
    columns = {
        "product_id": nodes["product_id"],
        "title": nodes["title"],
        "category": _named(assigned, categories),
        "reviews": nodes["reviews"],
        "judged_reviews": nodes["judged_reviews"],
        "read_as": _named(read_as, categories),
        "read_as_share": pc.divide(pc.cast(nodes["read_as_reviews"], pa.float64()), nodes["judged_reviews"]),
    }
    measured = {
        "neighbours": pa.array(network.degrees, pa.int64()),
        "joining_customers": pa.array(joined.customers, pa.int64()),
        "page_rank": pa.array(page_rank(network)),
        "component": pa.array(component),
        "community": pa.array(community),
        "community_participation": pa.array(participation(to_communities)),
        "category_participation": pa.array(participation(to_categories)),
        "own_category_share": pa.array(own, mask=category < 0),
        "other_category": _named(other, categories),
        "other_category_share": pa.array(other_share),
        "other_community": pa.array(foreign, mask=foreign < 0),
        "other_community_share": pa.array(foreign_share),
    }
    at = np.full(nodes.num_rows, -1, np.int64)
    at[numbers] = np.arange(len(numbers))
    rows = pa.array(at, mask=at < 0)
    table = pa.table(columns | {name: pc.take(values, rows) for name, values in measured.items()})
    surest = _lower(other_share, joined.customers)
    eligible = np.flatnonzero((joined.customers >= told.min_customers) & (category >= 0) & (other >= 0))
    chosen = eligible[np.lexsort((eligible, -surest[eligible]))][: told.max_between]
    return Described(
        products=table,
        between=table.take(pa.array(numbers[chosen], pa.int64())),
        communities=_communities(network, community, category, categories),
        component=component,
        community=community,
        category=category,
    )


def verdicts(nodes: pa.Table, n_categories: int, least: int) -> Ints:
    """Products by assigned category and the one that more than half of their reviews are predicted in.

    Args:
        nodes: `Views.products`.
        n_categories: how many categories there are.
        least: products with fewer predicted reviews are not judged, nor are those without such a majority.

    Returns:
        Counts, (n_categories, n_categories).
    """
    assigned, read_as = _numbers(nodes["category"]), _numbers(nodes["read_as"])
    judged = nodes["judged_reviews"].combine_chunks().fill_null(0).to_numpy()
    most = nodes["read_as_reviews"].combine_chunks().fill_null(0).to_numpy()
    kept = (judged >= least) & (2 * most > judged) & (assigned >= 0) & (read_as >= 0)
    found = np.zeros((n_categories, n_categories), np.int64)
    np.add.at(found, (assigned[kept], read_as[kept]), 1)
    return found


def _numbers(column: pa.ChunkedArray) -> Ints:
    """Numbers of a column; -1 for null."""
    found: Ints = column.combine_chunks().fill_null(-1).to_numpy().astype(np.int64)
    return found


def _named(numbers: Ints, names: Sequence[str]) -> pa.Array:
    return pc.take(pa.array(names, pa.string()), pa.array(numbers, mask=numbers < 0))


def _split(towards: Any, groups: Ints) -> tuple[Floats, Ints, Floats]:
    """Share of each node's weight in its own group, and the other group with most, with its share.

    The other is -1 where there is none, with a share of 0; of equals, the first.
    """
    n = towards.shape[0]
    matrix = towards.tocsr()
    matrix.sum_duplicates()
    row = np.repeat(np.arange(n), np.diff(matrix.indptr))
    total = np.asarray(matrix.sum(axis=1)).ravel()
    share = matrix.data / total[row]
    mine = matrix.indices == groups[row]
    own = np.zeros(n)
    own[row[mine]] = share[mine]
    rows, columns, shares = row[~mine], matrix.indices[~mine], share[~mine]
    order = np.lexsort((columns, -shares, rows))
    first = order[np.unique(rows[order], return_index=True)[1]]
    other, other_share = np.full(n, -1, np.int64), np.zeros(n)
    other[rows[first]], other_share[rows[first]] = columns[first], shares[first]
    return own, other, other_share


def _lower(share: Floats, n: Ints) -> Floats:
    """Lower end of Wilson's 95 % interval of a share of n; with few customers a share says little."""
    centre = share + _Z**2 / (2 * n)
    return (centre - _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))) / (1 + _Z**2 / n)


def _communities(
    network: Network, community: Ints, category: Ints, names: Sequence[str]
) -> list[dict[str, Any]]:
    n = int(community.max(initial=-1)) + 1
    same = community[network.a] == community[network.b]
    inside = 2 * np.bincount(community[network.a][same], network.weight[same], n)
    strength = np.bincount(community, network.strengths, n)
    products = np.bincount(community, minlength=n)
    keys, counts = np.unique(community * (len(names) + 1) + category + 1, return_counts=True)
    of, held = np.divmod(keys, len(names) + 1)
    order = np.lexsort((held, -counts, of))
    most: dict[int, list[tuple[str | None, int]]] = {}
    for at in order.tolist():
        name = names[held[at] - 1] if held[at] else None
        most.setdefault(int(of[at]), []).append((name, int(counts[at])))
    return [
        {
            "community": at,
            "products": int(products[at]),
            "inside_share": float(inside[at] / strength[at]),
            "category": most[at][0][0],
            "category_share": most[at][0][1] / int(products[at]),
            "categories": ", ".join(
                f"{name or 'none'} {count / products[at]:.0%}" for name, count in most[at][:_NAMED]
            ),
        }
        for at in range(n)
    ]
