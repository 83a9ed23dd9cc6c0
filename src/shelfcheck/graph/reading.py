"""What a query in openCypher may be: one that reads, and names what the graph has."""

from __future__ import annotations

import re
from typing import Final

from shelfcheck.errors import UsageError
from shelfcheck.graph.property_graph import EDGE_KINDS, NODE_KINDS, PREDICTED_KIND

_READING: Final = {"MATCH", "OPTIONAL", "WITH", "UNWIND", "RETURN"}
# fmt: off
_WRITING: Final = frozenset({
    "ALTER", "ATTACH", "BEGIN", "CALL", "CHECKPOINT", "COMMENT", "COMMIT", "COPY", "CREATE", "DELETE",
    "DETACH", "DROP", "EXPORT", "FOREACH", "IMPORT", "INSERT", "INSTALL", "LOAD", "MERGE", "REMOVE",
    "ROLLBACK", "SET", "UNINSTALL", "UPDATE", "USE",
})
# fmt: on
_QUOTED: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|//[^\n]*|/\*.*?\*/""", re.DOTALL)
_WORD: Final = re.compile(r"(?<![\w.$:])[A-Za-z_]\w*")
_NAMED: Final = re.compile(r"([(\[])\s*\w*\s*((?:[:|&]\s*!?\w+\s*)+)")  # `(x:A:B`, `[x:C|D`

LABELS: Final = tuple(kind.label for kind in NODE_KINDS)
RELATIONSHIPS: Final = tuple(kind.type for kind in (*EDGE_KINDS, PREDICTED_KIND))


def refuse_writes(cypher: str) -> None:
    """Let only queries pass that read.

    What an engine would refuse in a database that is read only is not all: `COPY (…) TO` writes files. And
    not every server keeps a session that is opened for reading from writing.

    Raises:
        UsageError: a query that is empty, starts with something else than reading, or names a clause that
            writes, loads or calls.
    """
    bare = _QUOTED.sub(" '' ", cypher)
    words = [word.upper() for word in _WORD.findall(bare)]
    if not words or words[0] not in _READING:
        raise UsageError("A query starts with MATCH, OPTIONAL MATCH, WITH, UNWIND or RETURN.")
    if ";" in bare.strip().rstrip(";"):
        raise UsageError("Ask one query at a time.")
    writing = next((word for word in words if word in _WRITING), None)
    if writing is not None:
        raise UsageError(
            f"The graph is read only, and {writing} is no reading clause. "
            "If it is the name of something in the query, write it in `backticks`."
        )


def unknown_names(cypher: str) -> list[tuple[str, bool]]:
    """Names in a query that are none of the graph's: (name, whether it is of a relationship), each once.

    Names in backticks are left out, and so is what stands in texts.
    """
    found: dict[tuple[str, bool], None] = {}
    for bracket, names in _NAMED.findall(_QUOTED.sub(" '' ", cypher)):
        known = RELATIONSHIPS if bracket == "[" else LABELS
        for name in re.findall(r"\w+", names):
            if name not in known:
                found[name, bracket == "["] = None
    return list(found)
