"""Products that are reviewed alike: the weights against a plain definition, and what the question gives."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import log, sqrt

import pyarrow.parquet as pq
import pytest
from graph_support import reviews, workspace_of

from shelfcheck import api
from shelfcheck.errors import WorkspaceError
from shelfcheck.graph.alike import MOST_WORDS, WEIGHT_ONE, ensure_words
from shelfcheck.graph.queries import GraphQueries
from shelfcheck.graph.store import open_graph
from shelfcheck.progress import NullProgress
from shelfcheck.workspace import Workspace

# Pans 0..3 and dolls 4..7 share the rare words of their kind; every product shares the common ones.
KINDS = {"pan": ("steel", "fry", "handle", "egg"), "doll": ("hair", "dress", "play", "smile")}


def spoken(seed: int = 0) -> list[dict]:
    rows = reviews(240, seed=seed)
    for at, row in enumerate(rows):
        number = at % 8
        kind = KINDS["pan" if number < 4 else "doll"]
        tokens = ["good", "item", kind[at % 4], kind[(at // 4) % 4], f"mark{number}", f"mark{number // 2}x"]
        row |= {"product_id": f"P{number}", "review_tokens": " ".join(tokens)}
    rows[0]["review_tokens"] = None
    rows[1]["product_id"] = None
    return rows


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    root = workspace_of(spoken(), tmp_path_factory.mktemp("alike") / "w")
    api.graph_build(root)
    return open_graph(Workspace(root))


@pytest.fixture(scope="module")
def ask(graph):
    with GraphQueries(graph, threads=2) as queries:
        yield queries


def weights(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Product -> word -> weight, by a loop."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        if row["product_id"] and row["review_tokens"]:
            counts[row["product_id"]].update(set(row["review_tokens"].split(" ")))
    having = Counter(word for words in counts.values() for word in words)
    found = {}
    for product, words in counts.items():
        raw = {
            word: (1 + log(n)) * log(len(counts) / having[word])
            for word, n in words.items()
            if 1 < having[word] < len(counts)
        }
        heaviest = dict(sorted(raw.items(), key=lambda item: (-item[1], item[0]))[:MOST_WORDS])
        length = sqrt(sum(weight**2 for weight in heaviest.values()))
        found[product] = {word: weight / length for word, weight in heaviest.items()}
    return found


def test_weights_and_cosines_are_those_of_the_definition(ask, graph):
    expected = weights(spoken())
    answer = ask.reviewed_alike("P0", limit=None).to_pylist()
    table = pq.read_table(next((graph.cache / "graph_alike").glob("*/words.parquet"))).to_pylist()
    written = {(row["product_id"], row["word"]): row["weight"] / WEIGHT_ONE for row in table}
    assert written == pytest.approx(
        {(product, word): one for product, words in expected.items() for word, one in words.items()}, abs=1e-3
    )
    assert [(row["word"], row["product_id"]) for row in table] == sorted(
        (row["word"], row["product_id"]) for row in table
    )
    cosines = {
        other: sum(weight * words.get(word, 0.0) for word, weight in expected["P0"].items())
        for other, words in expected.items()
        if other != "P0"
    }
    told = {row["product_id"]: row["similarity"] for row in answer}
    assert told == pytest.approx({other: one for other, one in cosines.items() if one}, abs=2e-3)
    assert [row["similarity"] for row in answer] == sorted(told.values(), reverse=True)


def test_the_nearest_speak_of_the_same(ask):
    nearest = ask.reviewed_alike("P0", limit=3).to_pylist()
    assert nearest[0]["product_id"] == "P1"  # they share a word that no other has
    assert nearest[0]["words"].startswith("mark0x, ")
    assert {row["product_id"] for row in nearest} == {"P1", "P2", "P3"}
    assert all("good" not in row["words"] for row in nearest)
    none = ask.reviewed_alike("unknown")
    assert none.num_rows == 0
    assert none.schema.names == ["product_id", "title", "category", "similarity", "words"]


def test_words_hang_neither_on_threads_nor_on_memory(graph, tmp_path):
    made = []
    for threads, memory in ((1, "1GB"), (2, "64MB")):
        with GraphQueries(graph, memory, threads) as ask:
            file = ensure_words(graph, tmp_path / str(threads), ask._engine, NullProgress())
            made.append(file.read_bytes())
    assert made[0] == made[1]


def test_words_follow_the_graph(tmp_path):
    root = workspace_of(spoken(), tmp_path / "w")
    api.graph_build(root)
    alike = {"product_id": "P0"}
    before = api.graph_query(root, None, alike, question="reviewed-alike")
    (made,) = (root / "cache" / "graph_alike").glob("*/words.parquet")
    stamp = made.stat().st_mtime_ns
    assert api.graph_query(root, None, alike, question="reviewed_alike").equals(before)
    assert made.stat().st_mtime_ns == stamp
    api.graph_build(root, overrides={"graph.bought": "all"})
    assert api.graph_query(root, None, alike, question="reviewed_alike").equals(before)
    (again,) = (root / "cache" / "graph_alike").glob("*/words.parquet")
    assert again != made


def test_a_cache_that_cannot_be_written_to_is_told(tmp_path):
    root = workspace_of(spoken(), tmp_path / "w")
    api.graph_build(root)
    (root / "cache").write_text("in the way", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="cannot be written to"):
        api.graph_query(root, None, {"product_id": "P0"}, question="reviewed_alike")
