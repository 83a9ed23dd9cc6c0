"""Which products are reviewed alike: ways to find them, judged by variants and categories they never saw.

    python benchmarks/graph_alike.py WORKSPACE

WORKSPACE holds a graph with the predictions `out_of_fold`. Two products are variants when they have the same
parent, which no way knows: of every product with a variant, is one among its ten nearest? A variant that
shares a review of five words or more with the product does not count, since shops copy reviews between
variants. And of 1,500 products with a review, and 1,500 with five or more: how many of the ten nearest are of
its category? No way but that of predicted categories was told any; those are of a model that had not seen the
product. "words" is what `reviewed_alike` answers by, from its own table; the others are made here.
"""
# ruff: noqa: S608 - our own paths

from __future__ import annotations

import sys
from array import array
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

from shelfcheck.graph.alike import ensure_words
from shelfcheck.graph.queries import GraphQueries
from shelfcheck.graph.store import Graph, open_graph
from shelfcheck.progress import NullProgress
from shelfcheck.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

NEAREST = 10
BLOCK = 300
WORDS = 5  # of a text that counts as copied


class Catalogue:
    """Products as numbers, with what is known of them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.db = duckdb.connect(config={"threads": 2, "memory_limit": "2GB"})
        rows = self.db.execute(
            f"""SELECT product_id, parent, category FROM '{graph.nodes("products")}' LEFT JOIN (
            SELECT product_id, category FROM '{graph.edges("assigned")}' WHERE current) USING (product_id)
            ORDER BY product_id"""
        ).fetchall()
        self.number = {row[0]: at for at, row in enumerate(rows)}
        self.parent = [row[1] for row in rows]
        self.category = [row[2] for row in rows]
        self.texts = self.db.execute(
            f"""SELECT product_id, tokens FROM '{graph.nodes("reviews")}'
            JOIN '{graph.edges("reviewed")}' USING (review_id) WHERE tokens <> '' ORDER BY review_id"""
        ).fetchall()
        self.reviews = np.bincount([self.number[p] for p, _ in self.texts], minlength=len(rows))
        copies: dict[str, set[int]] = defaultdict(set)
        for product, text in self.texts:
            if text.count(" ") >= WORDS - 1:
                copies[text].add(self.number[product])
        self.copied = {(a, b) for held in copies.values() if len(held) > 1 for a in held for b in held}

    def __len__(self) -> int:
        return len(self.parent)

    def matrix(self, pairs: list[tuple[str, str, float]], *, normed: bool = True) -> sp.csr_matrix:
        """Products by whatever: rows of (product, thing, weight)."""
        things: dict[str, int] = {}
        at = [(self.number[p], things.setdefault(thing, len(things))) for p, thing, _ in pairs]
        weights = np.array([weight for *_, weight in pairs], np.float32)
        made = sp.csr_matrix((weights, tuple(np.array(at).T)), shape=(len(self), len(things)))
        return normalize(made) if normed else made

    def spoken(self, *, pairs: bool) -> sp.csr_matrix:
        """Products by words, or by words and pairs of words, weighted as `graph.alike` does."""
        things: dict[str, int] = {}
        rows, columns = array("i"), array("i")
        for product, text in self.texts:
            words = text.split(" ")
            joined = [f"{a} {b}" for a, b in pairwise(words)] if pairs else []
            found = {*words, *joined}
            rows.extend([self.number[product]] * len(found))
            columns.extend(things.setdefault(word, len(things)) for word in found)
        ones = np.ones(len(rows), np.float32)
        made = sp.csr_matrix((ones, (rows, columns)), shape=(len(self), len(things)))  # sums what is repeated
        having = np.bincount(made.indices, minlength=made.shape[1])
        made = made[:, having > 1]
        made.data = 1 + np.log(made.data)
        rarity = np.log((self.reviews > 0).sum() / having[having > 1]).astype(np.float32)
        return normalize(made.multiply(rarity[None, :]).tocsr())


def nearest(found: Catalogue, alike: Callable[[np.ndarray], np.ndarray], asked: np.ndarray) -> np.ndarray:
    """The nearest products of each, -1 where there are fewer."""
    told = []
    for start in range(0, len(asked), BLOCK):
        own = asked[start : start + BLOCK]
        scores = alike(own)
        scores[np.arange(len(own)), own] = -1
        scores[:, found.reviews == 0] = -1
        order = np.argpartition(-scores, NEAREST, axis=1)[:, :NEAREST]
        told.append(np.where(np.take_along_axis(scores, order, 1) > 0, order, -1))
    return np.vstack(told)


def main() -> None:
    """Measure every way and print a table."""
    found = Catalogue(open_graph(Workspace(sys.argv[1])))
    graph, db = found.graph, found.db
    with GraphQueries(graph, threads=2) as ask:
        file = ensure_words(graph, graph.cache, ask._engine, NullProgress())
    words = found.matrix(db.execute(f"SELECT product_id, word, weight FROM '{file}'").fetchall())
    every = found.spoken(pairs=False)
    latent = TruncatedSVD(100, random_state=0).fit_transform(every)
    predicted = db.execute(
        f"""SELECT product_id, category, sum(confidence) FROM '{graph.predicted("out_of_fold")}'
        JOIN '{graph.edges("reviewed")}' USING (review_id) GROUP BY ALL"""
    ).fetchall()
    bought = db.execute(f"SELECT product_id, customer_id, 1 FROM '{graph.edges('bought')}'").fetchall()
    buyers = found.matrix(bought, normed=False)

    def by_customers(own: np.ndarray) -> np.ndarray:
        common, n = (buyers[own] @ buyers.T).toarray(), np.asarray(buyers.sum(axis=1)).ravel()
        return common / np.maximum(n[own][:, None] + n[None, :] - common, 1)

    def cosine(made: sp.csr_matrix | np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        def alike(own: np.ndarray) -> np.ndarray:
            scores = made[own] @ made.T
            return scores.toarray() if sp.issparse(scores) else scores

        return alike

    has = np.flatnonzero(found.reviews > 0)
    families: dict[str, list[int]] = defaultdict(list)
    for at in has:
        if found.parent[at]:
            families[found.parent[at]].append(at)
    kin = {
        at: {other for other in family if other != at and (at, other) not in found.copied}
        for family in families.values()
        for at in family
    }
    asked = np.array([at for at, others in kin.items() if others])
    draw = np.random.default_rng(0)
    any_, many = (draw.choice(np.flatnonzero(found.reviews >= n), 1500, replace=False) for n in (1, 5))
    sizes = Counter(found.category[at] for at in has)
    print(
        f"{len(asked):,} products with a variant, {(found.reviews[asked] >= 5).sum():,} of 5 reviews or more"
    )
    print(
        f"by chance: category {np.mean([sizes[found.category[at]] / len(has) for at in any_]):.3f}, ", end=""
    )
    print(f"of 5 reviews {np.mean([sizes[found.category[at]] / len(has) for at in many]):.3f}\n")
    print("| way | variant among 10 | of 5 reviews | category, any | of 5 reviews | has any | of 5 reviews |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, alike in {
        "words (`reviewed_alike`)": cosine(words),
        "all words": cosine(every),
        "words and pairs of words": cosine(found.spoken(pairs=True)),
        "100 latent dimensions of the words": cosine(normalize(latent).astype(np.float32)),
        "predicted categories, out of fold": cosine(found.matrix(predicted)),
        "bought by the same customers (Jaccard)": by_customers,
    }.items():
        hit = np.array(
            [bool(kin[at] & set(row)) for at, row in zip(asked, nearest(found, alike, asked), strict=True)]
        )
        cells = [hit.mean(), hit[found.reviews[asked] >= 5].mean()]
        answered = []
        for sample in (any_, many):
            told = nearest(found, alike, sample)
            right = sum(
                found.category[one] == found.category[at]
                for at, row in zip(sample, told, strict=True)
                for one in row[row >= 0]
            )
            cells.append(right / max((told >= 0).sum(), 1))
            answered.append((told >= 0).any(axis=1).mean())
        print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in [*cells, *answered])} |", flush=True)


if __name__ == "__main__":
    main()
