"""Refuses Cypher that Amazon Neptune's openCypher lacks, before a query is sent there.

It reads words, not grammar: strings, comments and quoted names are left out, and what is left is
searched for what the Neptune user guide ("openCypher specification compliance", "Rewriting Cypher
queries") says is missing. So it tells what surely fails; that all else works it cannot promise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shelfcheck.errors import UsageError

_SKIPPED: Final = re.compile(
    r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:``|[^`])*`|//[^\n]*|/\*.*?\*/""", re.DOTALL
)

# What is searched for, what it is called, and what to write instead.
_LACKING: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), what, instead)
    for pattern, what, instead in (
        (
            r"\b(?:all)?shortestPaths?\s*\(",
            "shortestPath()",
            "match a path of bounded length and sort by its length",
        ),
        (r"\bMANDATORY\s+MATCH\b", "MANDATORY MATCH", "use MATCH, and look whether rows came"),
        (
            r"\b(?:CREATE|DROP)\s+(?:\w+\s+)?(?:INDEX|CONSTRAINT)\b",
            "indexes and constraints",
            "leave it out: Neptune indexes every property by itself",
        ),
        (r"\bSHOW\s+\w+", "SHOW", "ask Neptune's status and statistics endpoints"),
        (r"\bCALL\s+(?!\{|\()[\w.]+", "CALL of a procedure", "say it in clauses, or compute it outside"),
        (r"\bIN\s+(?:\d+\s+CONCURRENT\s+)?TRANSACTIONS\b", "CALL … IN TRANSACTIONS", "send batches"),
        (r"\bLOAD\s+CSV\b", "LOAD CSV", "use the bulk loader: shelfcheck graph load --to neptune"),
        (r"\bFOREACH\s*\(", "FOREACH", "use UNWIND"),
        (
            r"\b(?:all|any|none|single)\s*\(\s*\w+\s+IN\b",
            "all(), any(), none(), single()",
            "compare size([x IN list WHERE …]) with 0 or size(list)",
        ),
        (r"\breduce\s*\(", "reduce()", "use UNWIND and an aggregation"),
        (r"\b(?:EXISTS|COUNT|COLLECT)\s*\{", "EXISTS, COUNT and COLLECT { … }", "use a pattern, or WITH"),
        (r"\bapoc\.\w+", "APOC", "say it in clauses, or compute it outside"),
        (r"\bpoint\s*\(", "points", "keep longitude and latitude as numbers"),
        (r"\^", "the operator ^", "multiply"),
        (
            r"\b(?:SKIP|LIMIT)\s+(?!\d|\$)\S+",
            "SKIP and LIMIT of an expression",
            "give a number or a parameter",
        ),
    )
)


@dataclass(frozen=True)
class Lack:
    """Something in a query that Neptune lacks.

    Attributes:
        line: counted from 1.
        column: counted from 1, in characters.
        what: what it is.
        instead: what can be done.
    """

    line: int
    column: int
    what: str
    instead: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: Neptune has no {self.what}; {self.instead}"


def lacks(query: str) -> list[Lack]:
    """What a query asks for that Neptune lacks, in the order of the text."""
    code = _SKIPPED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), query)
    found = sorted(
        (match.start(), what, instead) for words, what, instead in _LACKING for match in words.finditer(code)
    )
    return [
        Lack(code.count("\n", 0, start) + 1, start - code.rfind("\n", 0, start), what, instead)
        for start, what, instead in found
    ]


def check_for_neptune(query: str) -> None:
    """Let a query pass that Neptune may understand.

    Raises:
        UsageError: it asks for what Neptune lacks; the message lists all of it.
    """
    found = lacks(query)
    if found:
        listed = "\n".join(f"  {one}" for one in found)
        raise UsageError(f"Neptune cannot run this query:\n{listed}")
