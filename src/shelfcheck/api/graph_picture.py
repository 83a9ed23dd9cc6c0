"""Pictures of the review graph: graph_show."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shelfcheck import pipeline
from shelfcheck.api.graph import graph_build
from shelfcheck.errors import UsageError
from shelfcheck.progress import NullProgress
from shelfcheck.remote_workspace import open_workspace
from shelfcheck.settings_file import resolve
from shelfcheck.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shelfcheck.graph.picture import Picture
    from shelfcheck.progress import Progress
    from shelfcheck.workspace import Workspace

ENDINGS: Final = ("html", "svg", "png")
DEFAULT_LIMIT: Final = 500


@dataclass(frozen=True)
class GraphPicture:
    """What `graph_show` drew.

    Attributes:
        place: path or URL of the page or picture.
        file: where it is on the local disk; None where it was written to a URL.
        bytes: its size.
        picture: what is on it, with its counts.
        told: how things were pooled or left out, in sentences.
        seconds: of reading, of the layout, of writing.
    """

    place: str
    file: Path | None
    bytes: int
    picture: Picture
    told: tuple[str, ...]
    seconds: dict[str, float]


def graph_show(  # noqa: PLR0917 - the command's options
    workspace: str | Path,
    category: str | None = None,
    product: str | None = None,
    model: str | None = None,
    min_confidence: float = 0.0,
    limit: int = DEFAULT_LIMIT,
    output: str | Path | None = None,
    *,
    config: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> GraphPicture:
    """Draw the graph: all categories, one category's mismatching reviews, or one product's neighbourhood.

    The graph is built first where it is missing or stale.

    Args:
        workspace: the folder with the graph.
        category: draw this category's reviews that are read as another's.
        product: draw this product's reviews, customers and their other products, by its id.
        model: whose predictions, by the name in the graph; `out_of_fold` when not set.
        min_confidence: of predictions that differ from the catalogue, 0..1.
        limit: most nodes, of all categories most links; what is beyond is pooled and counted.
        output: path or URL to write, `.html`, `.svg` or `.png` (which needs shelfcheck[graph]); in the
            workspace, as `graph.html`, `graph-category-NAME.html` or `graph-product-ID.html`, when not set.
        config: as for `run`.
        overrides: as for `run`.
        progress: as for `run`.

    Raises:
        ShelfcheckError: there is no such category, product or model, or the file cannot be written.
    """
    from shelfcheck.graph.picture import Request, draw  # noqa: PLC0415 - loads Numba
    from shelfcheck.graph.picture.model import MOST_NODES  # noqa: PLC0415
    from shelfcheck.graph.store import OUT_OF_FOLD_MODEL, open_graph  # noqa: PLC0415 - loads pyarrow
    from shelfcheck.report import graph_links, graph_words  # noqa: PLC0415 - loads Jinja
    from shelfcheck.report.graph_page import render_graph  # noqa: PLC0415

    if category is not None and product is not None:
        raise UsageError("A picture is of a category or of a product; give one of --category, --product.")
    if not 0 <= min_confidence <= 1:
        raise UsageError(f"min_confidence == {min_confidence}, must be in [0, 1]. Pass --min-confidence.")
    if not 10 <= limit <= MOST_NODES:
        raise UsageError(
            f"limit == {limit}, must be in [10, {MOST_NODES}]: more cannot be read in one picture. "
            "Pass --limit, and look at one category or product at a time."
        )
    ending = "html" if output is None else Path(output).suffix.lower().lstrip(".")
    if ending not in ENDINGS:
        raise UsageError(f"{output}: what kind of file? End its name in .html, .svg or .png.")
    if ending == "png":
        from shelfcheck.report.graph_png import load_renderer  # noqa: PLC0415

        load_renderer()  # before any work is done
    told = progress or NullProgress()
    graph_build(workspace, config=config, overrides=overrides, progress=progress)
    home = open_workspace(workspace)
    home.told = told
    settings = resolve(config, overrides, workspace).settings
    request = Request(category, product, model or OUT_OF_FOLD_MODEL, min_confidence, limit)
    prepared = home.path(pipeline.PREPARED, made_by=f"shelfcheck prepare --workspace {workspace}")
    picture = draw(open_graph(home), prepared, request, settings, told)
    start = time.perf_counter()
    file: Path | None
    if output is None:
        name = graph_links.page_name(request)
        page = render_graph(picture, graph_links.links_of(home, request))
        with home.locked():
            home.write(name, page)
        place, file, size = f"{home.place}/{name}", home.root / name, len(page.encode())
    else:
        place, file = str(output), None if is_url(str(output)) else Path(output)
        size = _write(picture, home, output, ending, told)
    seconds = picture.seconds | {"write": time.perf_counter() - start}
    return GraphPicture(place, file, size, picture, tuple(graph_words.pooled_of(picture)), seconds)


def _write(picture: Picture, home: Workspace, output: str | Path, ending: str, told: Progress) -> int:
    """Write a file, whole or not at all; returns its bytes."""
    from shelfcheck.report.graph_links import links_of  # noqa: PLC0415
    from shelfcheck.report.graph_page import render_graph  # noqa: PLC0415
    from shelfcheck.report.graph_png import to_png  # noqa: PLC0415
    from shelfcheck.report.graph_svg import alone  # noqa: PLC0415
    from shelfcheck.stores.places import writing_to  # noqa: PLC0415

    if ending == "html":
        made = render_graph(picture, links_of(home, picture.request, output)).encode()
    else:
        made = to_png(alone(picture)) if ending == "png" else alone(picture).encode()
    try:
        with writing_to(output, told) as aside:
            aside.write_bytes(made)
    except OSError as error:
        raise UsageError(
            f"{output}: cannot be written: {error.strerror}. Name another with --output."
        ) from error
    return len(made)
