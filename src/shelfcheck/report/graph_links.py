"""Where a picture of the graph leads: the report's evidence, other pictures, and commands that make these."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from shelfcheck.graph.picture.model import Request
from shelfcheck.graph.store import OUT_OF_FOLD_MODEL
from shelfcheck.report.inputs import DECLINING_PRODUCTS, MISCATEGORISED_PRODUCTS, MISPLACED_REVIEWS
from shelfcheck.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.graph.picture.model import Node
    from shelfcheck.workspace import Workspace

REPORT_PAGE: Final = "report.html"
_FINDINGS: Final = "findings.parquet"
_ANCHORS: Final = (
    (MISPLACED_REVIEWS, "review_id", "review", "Misplaced review {rank} in the report"),
    (MISCATEGORISED_PRODUCTS, "product_id", "product", "Miscategorised product {rank} in the report"),
    (DECLINING_PRODUCTS, "product_id", "decline", "Declining product {rank} in the report"),
)


@dataclass(frozen=True)
class Links:
    """Where the nodes of a picture lead.

    Attributes:
        workspace: as it stands in commands.
        request: of the picture.
        reach: the way from the folder of the page to that of the workspace, as an address, empty or with
            a `/` at its end; None where there is none.
        standing: pages that stand in the workspace: pictures and the report.
        evidence: column of an id and id -> text and anchor in the report.
    """

    workspace: str
    request: Request
    reach: str | None = ""
    standing: frozenset[str] = frozenset()
    evidence: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def of(self, node: Node) -> list[tuple[str, str]]:
        """Texts and addresses."""
        found = []
        for column in ("review_id", "product_id"):
            if column == "review_id" and node.kind != "review":
                continue
            for text, anchor in self.evidence.get((column, str(node.about.get(column))), ()):
                found.append((text, f"{self.reach}{REPORT_PAGE}#{anchor}"))
        asked = self.deeper(node)
        if asked is not None and page_name(asked) in self.standing:
            noun = "category" if asked.category is not None else "product"
            found.append((f"Picture of this {noun}", f"{self.reach}{page_name(asked)}"))
        return found

    def command(self, node: Node) -> str:
        """The command that draws what a node stands for; empty where it is drawn here."""
        asked = self.deeper(node)
        if asked is None:
            return ""
        which = (
            ["--category", asked.category]
            if asked.category is not None
            else ["--product", asked.product or ""]
        )
        model = [] if asked.model == OUT_OF_FOLD_MODEL else ["--model", asked.model]
        return shlex.join(["shelfcheck", "graph", "show", *which, *model, "--workspace", self.workspace])

    def overview(self) -> str:
        """Address of the picture of all categories; empty where there is none, or this is it."""
        page = page_name(Request(model=self.request.model))
        return f"{self.reach}{page}" if self.request.level != "categories" and page in self.standing else ""

    def report(self) -> str:
        """Address of the report; empty where there is none."""
        return f"{self.reach}{REPORT_PAGE}" if REPORT_PAGE in self.standing else ""

    def deeper(self, node: Node) -> Request | None:
        """The picture of a node; None where this is it, or there is none."""
        model, product = self.request.model, node.about.get("product_id")
        if node.kind == "category" and node.name != self.request.category:
            return Request(category=node.name, model=model)
        if node.kind in ("product", "review", "reviews") and product not in (None, self.request.product):
            return Request(product=product, model=model)
        return None


def links_of(workspace: Workspace, request: Request, page: str | Path | None = None) -> Links:
    """What stands in a workspace for a picture to lead to.

    The report's anchors count where it was made from the findings that stand: their ranks are its anchors.

    Args:
        workspace: the workspace.
        request: of the picture.
        page: where the picture will lie; at the top of the workspace when None.
    """
    reach = _reach(workspace, page)
    if reach is None:
        return Links(workspace.place, request, None)
    standing = _standing(workspace, request)
    evidence: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    manifest = workspace.manifest("report") if REPORT_PAGE in standing else None
    if manifest is not None:
        limit = int(manifest.settings.get("report.max_findings", 0))
        for kind, column, anchor, text in _ANCHORS:
            found = workspace.manifest(kind)
            if found is None or manifest.inputs.get(kind) != found.fingerprint:
                continue
            folder = workspace.path(kind, made_by=f"shelfcheck audit {kind}", only=[_FINDINGS])
            for rank, key in _ranked(folder / _FINDINGS, column, limit):
                known = evidence.get((column, key), ())
                evidence[column, key] = (*known, (text.format(rank=rank), f"{anchor}-{rank}"))
    return Links(workspace.place, request, reach, standing, evidence)


def _reach(workspace: Workspace, page: str | Path | None) -> str | None:
    if page is None:
        return ""
    if is_url(workspace.place) or is_url(str(page)):
        return None
    way = os.path.relpath(workspace.root.resolve(), Path(page).resolve().parent)
    return "" if way == "." else quote(f"{Path(way).as_posix()}/")


def _standing(workspace: Workspace, request: Request) -> frozenset[str]:
    if is_url(workspace.place):  # each is asked for: of pictures only the one that leads back
        asked = (REPORT_PAGE, page_name(Request(model=request.model)))
        return frozenset(name for name in asked if workspace.stamp(name) is not None)
    return frozenset(
        path.name
        for path in (*workspace.root.glob("graph*.html"), workspace.root / REPORT_PAGE)
        if path.is_file()
    )


def page_name(request: Request, ending: str = "html") -> str:
    """Name of the file of a picture, in the workspace."""
    name = {
        "categories": "graph",
        "category": f"graph-category-{_slug(request.category or '')}",
        "product": f"graph-product-{_slug(request.product or '')}",
    }[request.level]
    model = "" if request.model == OUT_OF_FOLD_MODEL else f"-by-{_slug(request.model)}"
    return f"{name}{model}.{ending}"


def _slug(name: str) -> str:
    """A name as a file may have it; where that changes it, a digest keeps two names apart."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _ranked(findings: Path, column: str, limit: int) -> list[tuple[int, str]]:
    try:
        with pq.ParquetFile(findings) as file:
            batch: Any = next(file.iter_batches(limit, columns=["rank", column]), None)
    except (OSError, pa.ArrowException):
        return []
    rows = [] if batch is None else batch.to_pylist()
    return [(row["rank"], row[column]) for row in rows if row[column] is not None and row["rank"] <= limit]
