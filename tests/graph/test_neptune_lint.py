from __future__ import annotations

import pytest

from shelfcheck.errors import UsageError
from shelfcheck.graph.neptune_lint import check_for_neptune, lacks


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("MATCH p = shortestPath((a)-[*]-(b)) RETURN p", "shortestPath()"),
        ("MATCH p = AllShortestPaths ((a)-[*]-(b)) RETURN p", "shortestPath()"),
        ("MANDATORY MATCH (a) RETURN a", "MANDATORY MATCH"),
        ("create index on :Product(product_id)", "indexes and constraints"),
        ("CREATE FULLTEXT INDEX x FOR (n:P) ON EACH [n.t]", "indexes and constraints"),
        ("DROP CONSTRAINT product_id", "indexes and constraints"),
        ("SHOW INDEXES", "SHOW"),
        ("CALL db.labels() YIELD label RETURN label", "CALL of a procedure"),
        ("LOAD CSV FROM 'file' AS row RETURN row", "LOAD CSV"),
        ("MATCH (a) FOREACH (x IN [1] | SET a.x = x)", "FOREACH"),
        (
            "MATCH p = (a)-->(b) WHERE none(n IN nodes(p) WHERE n.x) RETURN p",
            "all(), any(), none(), single()",
        ),
        ("RETURN reduce(s = 0, x IN [1] | s + x)", "reduce()"),
        ("MATCH (a) WHERE EXISTS { (a)-->() } RETURN a", "EXISTS, COUNT and COLLECT { … }"),
        ("RETURN apoc.text.join(['a'], '')", "APOC"),
        ("RETURN 2 ^ 3", "the operator ^"),
        ("MATCH (a) RETURN a LIMIT toInteger(rand())", "SKIP and LIMIT of an expression"),
    ],
)
def test_what_neptune_lacks_is_refused(query, what):
    assert what in [one.what for one in lacks(query)]
    with pytest.raises(UsageError, match="Neptune cannot run this query"):
        check_for_neptune(query)


@pytest.mark.parametrize(
    "query",
    [
        "MATCH (a:Product {title: 'CALL db.labels() ^ shortestPath('}) RETURN a SKIP 1 LIMIT $n",
        "MATCH (a) // FOREACH (\nRETURN a.`x ^ y` /* LOAD CSV \n */ LIMIT 5",
        'MATCH (a) WHERE a.title = "it\\"s ^" AND exists(a.stars) RETURN count(a), size([x IN [1] | x])',
        "UNWIND $rows AS row MERGE (n:Review {review_id: row.key}) SET n += row.properties",
        "MATCH (a)-[:CREATED]->(indexed) WHERE a.any = 1 RETURN a.reduced, a.points",
    ],
)
def test_what_neptune_has_passes(query):
    check_for_neptune(query)


def test_the_place_is_told():
    (first, second) = lacks("MATCH (a)\nWHERE a.x = '^' RETURN\n  2 ^ 3, apoc.x")
    assert (first.line, first.column, second.line, second.column) == (3, 5, 3, 10)
