"""Undirected weighted networks, and what networkit finds in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shelfcheck.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_TOLERANCE: Final = 1e-10


@dataclass(frozen=True)
class Network:
    """An undirected network without loops or double edges.

    Attributes:
        nodes: how many there are; nodes are 0..nodes-1.
        a: one end of each edge, int64 (n_edges,).
        b: the other end.
        weight: of each edge, > 0, float64 (n_edges,).
    """

    nodes: int
    a: Ints
    b: Ints
    weight: Floats

    @property
    def degrees(self) -> Ints:
        """Edges of each node, (nodes,)."""
        ends = np.concatenate([self.a, self.b])
        return np.bincount(ends, minlength=self.nodes).astype(np.int64)

    @property
    def strengths(self) -> Floats:
        """Weight of the edges of each node, (nodes,)."""
        ends, twice = np.concatenate([self.a, self.b]), np.concatenate([self.weight, self.weight])
        return np.bincount(ends, twice, self.nodes).astype(np.float64)

    def towards(self, groups: Ints, n_groups: int) -> Any:
        """Weight from each node to each group: a sparse matrix (nodes, n_groups).

        Args:
            groups: the group of each node, (nodes,); -1 for none.
            n_groups: how many groups there are.
        """
        from scipy import sparse  # noqa: PLC0415 - heavy

        rows, others = np.concatenate([self.a, self.b]), np.concatenate([self.b, self.a])
        weights, at = np.concatenate([self.weight, self.weight]), groups[others]
        known = at >= 0
        return sparse.csr_array((weights[known], (rows[known], at[known])), shape=(self.nodes, n_groups))


def load_networkit() -> Any:
    """Networkit, on one thread, so that the same graph gives the same communities.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import networkit  # noqa: PLC0415 - an extra, and heavy
    except ImportError as error:
        raise MissingExtraError("Analysing the graph", "graph") from error
    networkit.setNumberOfThreads(1)
    return networkit


def components(network: Network) -> Ints:
    """The component of each node, (nodes,), numbered from 0 by size; equal ones by their first node."""
    networkit = load_networkit()
    graph = _built(network)
    found = networkit.components.ConnectedComponents(graph)
    found.run()
    return _by_size(np.array(found.getPartition().getVector(), np.int64))


def communities(network: Network, seed: int) -> Ints:
    """The community of each node by the Louvain method with refinement, numbered as components are.

    The method is that of Blondel et al., "Fast unfolding of communities in large networks" (2008), as
    networkit has it (PLM). It finds one good partition out of many: communities are a help to see, no fact.
    """
    networkit = load_networkit()
    networkit.engineering.setSeed(seed, False)  # noqa: FBT003 - networkit's signature
    graph = _built(network)
    found = networkit.community.PLM(graph, refine=True, par="none")
    found.run()
    return _by_size(np.array(found.getPartition().getVector(), np.int64))


def page_rank(network: Network) -> Floats:
    """PageRank with damping 0.85, (nodes,), with a sum of 1; a node without edges has its share of jumps."""
    if not network.nodes:
        return np.zeros(0)
    networkit = load_networkit()
    graph = _built(network)
    found = networkit.centrality.PageRank(graph, 0.85, _TOLERANCE)
    found.run()
    scores: Floats = np.array(found.scores(), np.float64)
    scores /= scores.sum()
    return scores


def modularity(network: Network, groups: Ints) -> float | None:
    """How much more weight lies within groups than the nodes' strengths give (Newman and Girvan, 2004).

    Args:
        network: the network.
        groups: the group of each node, (nodes,); a node with -1 is a group of its own.

    Returns:
        At most 1, 0 where groups explain nothing; None without edges.
    """
    total = network.weight.sum()
    if not total:
        return None
    alone = groups < 0
    groups = np.where(alone, groups.max(initial=-1) + 1 + np.cumsum(alone), groups)
    within = network.weight[groups[network.a] == groups[network.b]].sum() / total
    held = np.bincount(groups, network.strengths) / (2 * total)
    return float(within - (held**2).sum())


def assortativity(network: Network, groups: Ints) -> float | None:
    """How far edges join nodes of the same group (Newman, "Mixing patterns in networks", 2003, equation 2).

    Edges count alike, whatever their weight; those of a node with group -1 do not count.

    Returns:
        1: always, 0: as by chance, below: less than that. None without edges, or with one group alone.
    """
    a, b = groups[network.a], groups[network.b]
    known = (a >= 0) & (b >= 0)
    a, b = a[known], b[known]
    if not a.size:
        return None
    ends = np.bincount(np.concatenate([a, b])) / (2 * a.size)
    by_chance = (ends**2).sum()
    return None if by_chance >= 1 else float(((a == b).mean() - by_chance) / (1 - by_chance))


def degree_assortativity(network: Network) -> float | None:
    """Correlation of the degrees at both ends of an edge; None where degrees do not differ."""
    degrees = network.degrees.astype(np.float64)
    x = np.concatenate([degrees[network.a], degrees[network.b]])
    y = np.concatenate([degrees[network.b], degrees[network.a]])
    return float(np.corrcoef(x, y)[0, 1]) if x.size and x.std() > 0 else None


def participation(towards: Any) -> Floats:
    """How evenly a node's weight is spread over groups: 1 - sum of squared shares (Guimerà and Amaral, 2005).

    Args:
        towards: weight from each node to each group, sparse (nodes, n_groups).

    Returns:
        0: all in one group, towards 1: evenly over many; 0 for a node without edges. float64 (nodes,).
    """
    total = np.asarray(towards.sum(axis=1)).ravel()
    squares = np.asarray(towards.multiply(towards).sum(axis=1)).ravel()
    shares = np.divide(squares, total**2, out=np.ones_like(total), where=total > 0)
    spread: Floats = np.clip(1 - shares, 0.0, 1.0)
    return spread


def _built(network: Network) -> Any:
    """Networkit's graph. Keep it as long as an algorithm works on it: some hold no reference, and crash."""
    networkit = load_networkit()
    ends = (network.a.astype(np.uint64), network.b.astype(np.uint64))
    if not network.a.size:
        return networkit.Graph(network.nodes, weighted=True)
    return networkit.GraphFromCoo((network.weight.astype(np.float64), ends), n=network.nodes, weighted=True)


def _by_size(found: Ints) -> Ints:
    names, first, group, sizes = np.unique(found, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    return rank[group]
