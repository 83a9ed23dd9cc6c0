"""An SVG as PNG, by resvg, which draws it without a browser."""

from __future__ import annotations

from typing import Any, Final

from shelfcheck.errors import MissingExtraError

_ZOOM: Final = 2.0  # pixels a unit, so that text is sharp in a document


def load_renderer() -> Any:
    """The library that draws.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import resvg_py  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Drawing a PNG (an .svg needs nothing more)", "graph") from error
    return resvg_py


def to_png(svg: str) -> bytes:
    """Draw an SVG, with the fonts of this machine; twice as large as it says.

    Raises:
        MissingExtraError: the library is not installed.
    """
    return bytes(load_renderer().svg_to_bytes(svg_string=svg, zoom=_ZOOM))
