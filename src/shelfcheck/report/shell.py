"""What every page shares: one HTML file that opens offline, whatever stands in it.

Charts are Vega-Lite, drawn in the browser by the three vendored, minified libraries (0.83 MB, in
`vendor/`). The other two ways were weighed and left: Altair's `inline=True` needs vl-convert, a 30 MB
binary in every installation, to emit the same libraries; SVG drawn ahead of time has no tooltips that
know the data, and each chart would be laid out by hand. The rest of a page is plain HTML that is
complete without JavaScript.

A page may hold no surprise: review texts are untrusted, so everything is escaped by the template
(autoescape), data for scripts has `<`, `>` and `&` written as JSON escapes, and a content security
policy forbids every request and every script but the page's own, named by hash. Vega runs under it
because expressions are interpreted (`ast: true`), not compiled with `eval`.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from shelfcheck.__about__ import __version__
from shelfcheck.report.chart import CONFIG
from shelfcheck.report.wording import about, day, number, percent, ratio, signed, words
from shelfcheck.workspace import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shelfcheck.report.chart import Chart

_PACKAGE: Final = "shelfcheck.report"
_STYLE: Final = "assets/report.css"
_CHARTS: Final = ("vendor/vega.min.js", "vendor/vega-lite.min.js", "vendor/vega-embed.min.js")
_SCRIPT: Final = "assets/report.js"


def render_page(
    template: str,
    *,
    title: str,
    charts: Mapping[str, Chart],
    made_at: str | None = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    **values: object,
) -> str:
    """The HTML of a page.

    Args:
        template: file in `templates/` that extends `shell.html.j2`: fills its blocks `contents`, `main`.
        title: of the page.
        charts: those whose figures stand in the template, by the name they have there (`charts.months`); a
            page without any does without Vega.
        made_at: ISO time in the head of the page; None: now; empty: none.
        styles: files of this package, such as `assets/explore.css`, that follow the shared style.
        scripts: files of this package that run after the shared ones.
        values: what the template names; escaped where it is text. `script_data` makes JSON for a script.

    Raises:
        ValueError: a script or style cannot stand in a page.
    """
    style = "\n".join(_style(name) for name in (_STYLE, *styles))
    texts = [_script(name) for name in (*(_CHARTS if charts else ()), _SCRIPT, *scripts)]
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            version=__version__,
            made=moment(utc_now() if made_at is None else made_at),
            csp=_policy(style, texts),
            style=Markup(style),  # noqa: S704 - the package's own files
            scripts=[Markup(text) for text in texts],  # noqa: S704 - the package's own files
            charts=charts,
            chart_json=script_data(
                {"config": CONFIG, "specs": {chart.name: chart.spec for chart in charts.values()}}
            ),
            **values,
        )
    )


def script_data(values: Any) -> Markup:
    """JSON that can stand in a script element: it cannot end the element or open a comment."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def moment(iso: str) -> str:
    """A time as people write it; as it is where it is no ISO time."""
    try:
        found = dt.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = " UTC" if found.utcoffset() == dt.timedelta(0) else ""
    return f"{day(found.date())}, {found:%H:%M}{zone}"


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        about=about,
        words=words,
        number=number,
        percent=percent,
        signed=signed,
        ratio=ratio,
        share=lambda n, total: percent(n / total if total else 0.0, 1),
        url_path=quote,
    )
    return environment


def _asset(name: str) -> str:
    return resources.files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=8)
def _style(name: str) -> str:
    """A style sheet as it may stand in a page: no end tag inside."""
    text = _asset(name)
    if "</style" in text.lower():
        raise ValueError(f"{name} cannot be inlined: it holds `</style`")
    return text


@lru_cache(maxsize=16)
def _script(name: str) -> str:
    """A script as it may stand in a page: no end tag inside, no request for a source map."""
    lines = [line for line in _asset(name).splitlines() if not line.startswith("//# sourceMappingURL=")]
    script = "\n".join(lines)
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError(f"{name} cannot be inlined: it holds `</script` or `<!--`")
    return script


def _policy(style: str, scripts: Sequence[str]) -> str:
    """A content security policy under which nothing loads and only the page's own scripts run."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
