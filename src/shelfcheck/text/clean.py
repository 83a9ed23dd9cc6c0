"""HTML and shop markup out of review texts: the definition, in plain Python.

`kernel.py` does the same on bytes for nearly all rows; a property test holds the two
together. The order is:

1. Character references are resolved once (`&#34;` → `"`, `&amp;lt;` → `&lt;`), as
   HTML 5 defines it (`html.unescape`).
2. Tags are replaced by a space. They come second because exports escape their markup
   (`&lt;br /&gt;`). A tag is `<`, perhaps `/`, the name of an HTML element, then white
   space, `/` or `>`, and all up to the next `>`, without another `<`. Other angle
   brackets are the customer's words (`<3`, `hit <space> twice`) and stay.
3. Video markup `[[VIDEOID:…]]` is replaced by a space. Of a product link
   `[[ASIN:B000Q6V1UG Ceramic Rollers]]` the identifier goes and the title stays: it is
   what the customer wrote about.
"""

from __future__ import annotations

import html
import re
from typing import Final

_WORDS: Final = (
    "a abbr acronym address applet area article aside audio b base bdi bdo big blink blockquote body br "
    "button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div "
    "dl dt em embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head "
    "header hgroup hr html i iframe img input ins kbd label legend li link main map mark marquee menu "
    "meta meter nav nobr noframes noscript object ol optgroup option output p param picture pre progress "
    "q rp rt ruby s samp script search section select slot small source span strike strong style sub "
    "summary sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul var "
    "video wbr"
)
HTML_ELEMENTS: Final = tuple(_WORDS.split())
"""Elements of the HTML living standard and its obsolete ones."""

_TAG: Final = re.compile(
    rf"</?(?:{'|'.join(sorted(HTML_ELEMENTS, key=len, reverse=True))})(?=[ \t\n\r\f/>])[^<>]*>",
    re.IGNORECASE | re.ASCII,
)
_VIDEO: Final = re.compile(r"\[\[videoid:[^\[\]]*\]\]", re.IGNORECASE | re.ASCII)
_PRODUCT: Final = re.compile(r"\[\[asin:[0-9a-z]*", re.IGNORECASE | re.ASCII)


def clean(text: str) -> str:
    """The text without character references, tags and shop markup; white space is left as it is."""
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "[[" in text:
        text = _PRODUCT.sub(" ", _VIDEO.sub(" ", text))
    return text
