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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.graph.picture.model import Node
    from shelfcheck.workspace import Workspace

REPORT_PAGE: Final = "report.html"
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
        folder: where pictures of this workspace lie.
        page: where the picture will lie.
        evidence: column of an id and id -> text and anchor in the report.
        report: where the report lies.
    """

    workspace: str
    request: Request
    folder: Path
    page: Path
    report: Path
    evidence: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def of(self, node: Node) -> list[tuple[str, str]]:
        """Texts and addresses."""
        found = []
        for column in ("review_id", "product_id"):
            if column == "review_id" and node.kind != "review":
                continue
            for text, anchor in self.evidence.get((column, str(node.about.get(column))), ()):
                found.append((text, f"{self._relative(self.report)}#{anchor}"))
        asked = self.deeper(node)
        if asked is not None:
            page = self.folder / page_name(asked)
            if page.is_file() and page != self.page:
                found.append(
                    (f"Picture of this {'category' if asked.category else 'product'}", self._relative(page))
                )
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
        page = self.folder / page_name(Request(model=self.request.model))
        return self._relative(page) if self.request.level != "categories" and page.is_file() else ""

    def deeper(self, node: Node) -> Request | None:
        """The picture of a node; None where this is it, or there is none."""
        model, product = self.request.model, node.about.get("product_id")
        if node.kind == "category" and node.name != self.request.category:
            return Request(category=node.name, model=model)
        if node.kind in ("product", "review", "reviews") and product not in (None, self.request.product):
            return Request(product=product, model=model)
        return None

    def _relative(self, target: Path) -> str:
        return quote(Path(os.path.relpath(target, self.page.parent)).as_posix())


def links_of(workspace: Workspace, request: Request, page: Path) -> Links:
    """What stands in a workspace for a picture to lead to.

    The report's anchors count where it was made from the findings that stand: their ranks are its anchors.
    """
    report = workspace.root / REPORT_PAGE
    manifest = workspace.manifest("report")
    evidence: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    if report.is_file() and manifest is not None:
        limit = int(manifest.settings.get("report.max_findings", 0))
        for kind, column, anchor, text in _ANCHORS:
            found = workspace.manifest(kind)
            if found is None or manifest.inputs.get(kind) != found.fingerprint:
                continue
            findings = workspace.root / kind / found.folder / "findings.parquet"
            for rank, key in _ranked(findings, column, limit):
                known = evidence.get((column, key), ())
                evidence[column, key] = (*known, (text.format(rank=rank), f"{anchor}-{rank}"))
    return Links(
        str(workspace.root), request, workspace.root.resolve(), page.resolve(), report.resolve(), evidence
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
