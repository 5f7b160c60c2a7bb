"""The HTML of mail as a row of tags that close what they open, before a real parser reads it.

What browsers make of tags that are badly nested takes, for some texts of a megabyte, more memory than a machine has:
each paragraph opens anew all that was left open before it. So the parser behind this never meets such texts. Tags are
those that show something, few attributes each, written anew; each is closed inside of what it was opened in, and no
more than `LIMITS.view_depth` are open. What else stands in the text is dropped: comments and programs with their
content, other tags alone. Style sheets and the attributes of `body` are told beside it.

Nothing here decides what is safe: that is for the sanitiser, of whatever comes out.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail.decode import unescape

TAGS = frozenset(
    """a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del
    details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark
    nobr ol p pre q rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead
    time tr tt u ul var wbr""".split()
)
EVERYWHERE = frozenset(
    ("align", "bgcolor", "class", "dir", "height", "id", "lang", "style", "title", "valign", "width")
)  # fmt: skip
ATTRIBUTES = {
    "a": frozenset(("href",)),
    "img": frozenset(("src", "alt", "border", "hspace", "vspace")),
    "table": frozenset(("background", "border", "cellpadding", "cellspacing", "frame", "rules")),
    "tr": frozenset(("background",)),
    "td": frozenset(("background", "colspan", "rowspan", "nowrap")),
    "th": frozenset(("background", "colspan", "rowspan", "nowrap", "scope")),
    "font": frozenset(("color", "face", "size")),
    "ol": frozenset(("start", "type", "reversed")),
    "ul": frozenset(("type",)),
    "li": frozenset(("type", "value")),
    "col": frozenset(("span",)),
    "colgroup": frozenset(("span",)),
    "br": frozenset(("clear",)),
    "hr": frozenset(("color", "noshade", "size")),
    "details": frozenset(("open",)),
}
DROPPED = frozenset(
    """applet audio canvas embed frameset iframe math noembed noframes noscript object plaintext script select style
    svg template textarea title video xmp""".split()
)
_ALONE = frozenset(("br", "col", "hr", "img", "wbr"))
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_CELLS = frozenset(("td", "th"))
_ROWS = frozenset(("tbody", "thead", "tfoot"))
_TABLE = frozenset(("table", "caption", "colgroup", "tr")) | _CELLS | _ROWS
_BLOCKS = _HEADINGS | frozenset(
    """address article aside blockquote center details dir div dl figcaption figure footer header hr main ol p pre
    section summary table ul dd dt li""".split()
)
# Which open elements a start tag ends, and which of them it does not reach beyond.
_ENDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    **{name: (frozenset(("p",)), _TABLE) for name in _BLOCKS},
    "li": (frozenset(("li",)), _TABLE | {"ul", "ol", "dir"}),
    "dd": (frozenset(("dd", "dt")), _TABLE | {"dl"}),
    "dt": (frozenset(("dd", "dt")), _TABLE | {"dl"}),
    "a": (frozenset(("a",)), _TABLE),
    "nobr": (frozenset(("nobr",)), _TABLE),
    "td": (_CELLS, frozenset(("table", "tr"))),
    "th": (_CELLS, frozenset(("table", "tr"))),
    "tr": (_CELLS | {"tr", "caption", "colgroup"}, _ROWS | {"table"}),
    **{name: (_TABLE - {"table"}, frozenset(("table",))) for name in (*_ROWS, "colgroup", "caption")},
}
_TAG = re.compile(
    r"<(/?)([A-Za-z][A-Za-z0-9:-]{0,30})(?=[\s/>])((?:[^>\"'=]|=\s*+(?:\"[^\"]*+\"|'[^']*+')?|[\"'])*+)(>|\Z)"
)
_ATTRIBUTE = re.compile(r"([A-Za-z][A-Za-z-]{0,30})\s*+(?:=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>]*+)))?")


class Tidy(NamedTuple):
    """`text` is the content, `sheets` the style sheets in order, `body` the attributes of `body`, unescaped; `cut`:
    there was more, beyond the limits."""

    text: str
    sheets: list[str]
    body: dict[str, str]
    cut: bool


def tidy(text: str) -> Tidy:
    """All of it, in time in proportion to its length."""
    reader = _Reader(text[: LIMITS.view_html].replace("\0", "\ufffd"))
    reader.read()
    return Tidy("".join(reader.out), reader.sheets, reader.body, reader.cut or len(text) > LIMITS.view_html)


def attributes(text: str) -> dict[str, str]:
    """The attributes in a tag by their names in lower case, the first of each name, unescaped."""
    found: dict[str, str] = {}
    for one in _ATTRIBUTE.finditer(text):
        if len(found) == LIMITS.view_attributes:
            break
        found.setdefault(one[1].lower(), unescape(one[2] or one[3] or one[4] or ""))
    return found


class _Reader:
    """One text under way: `open` are the elements that wait for their end."""

    __slots__ = ("text", "at", "out", "open", "sheets", "body", "cut", "tags", "ands", "_no_more")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.out: list[str] = []
        self.open: list[str] = []
        self.sheets: list[str] = []
        self.body: dict[str, str] = {}
        self.cut = False
        self.tags = self.ands = 0
        self._no_more: set[str] = set()  # elements whose end tag comes no more

    def read(self) -> None:
        text = self.text
        while (found := text.find("<", self.at)) >= 0:
            self.say(text[self.at : found])
            self.at = found
            if self.tags >= LIMITS.view_tags:
                self.cut = True
                break
            if text.startswith("<!--", found):
                end = text.find("-->", found + 2)
                self.at = end + 3 if end >= 0 else len(text)
            elif text[found + 1 : found + 2] in ("!", "?"):
                end = text.find(">", found)
                self.at = end + 1 if end >= 0 else len(text)
            elif tag := _TAG.match(text, found):
                self.at = tag.end()
                self.tags += 1
                if not tag[4]:
                    self.cut = True
                    break
                self.tag(tag[2].lower(), bool(tag[1]), tag[3])
            else:
                self.tags += 1
                self.say("<")
                self.at = found + 1
        else:
            self.say(text[self.at :])
        self.close(0)

    def say(self, text: str) -> None:
        """Text, with its references written anew. The parser takes the longer for each `&` the more there are."""
        if "&" in text:
            text = unescape(text)
            self.ands += text.count("&")
            if self.ands > LIMITS.view_ands:
                text = text.replace("&", "")
        self.out.append(html.escape(text, quote=False))

    def tag(self, name: str, is_end: bool, inside: str) -> None:
        if name in DROPPED:
            if not is_end:
                self.drop(name)
        elif name == "body" and not is_end and not self.body:
            self.body = attributes(inside)
        elif name not in TAGS:
            return
        elif name in _ALONE:
            self.out.append(_written(name, inside))
        elif is_end:
            self.end(name)
        else:
            self.start(name, inside)

    def drop(self, name: str) -> None:
        """An element with all that is in it. One that is never closed goes alone, a program with all that follows."""
        if name in self._no_more:
            return
        end = re.compile(rf"</{name}(?=[\s/>])[^>]*+>", re.IGNORECASE).search(self.text, self.at)
        if end is None:
            self._no_more.add(name)
            if name in ("script", "style"):
                self.at = len(self.text)
            return
        if name == "style":
            self.sheets.append(self.text[self.at : end.start()])
        self.at = end.end()

    def start(self, name: str, inside: str) -> None:
        for ended, barrier in (_ENDS[name],) if name in _ENDS else ():
            self.close_to(ended, barrier)
        if name in ("li", "dd", "dt"):
            self.close_to(frozenset(("p",)), _TABLE | {"li", "dd", "dt"})
        if len(self.open) < LIMITS.view_depth:
            self.open.append(name)
            self.out.append(_written(name, inside))

    def end(self, name: str) -> None:
        barrier = frozenset(("table",)) if name in _TABLE else _TABLE
        self.close_to(frozenset((name,)), barrier - {name})

    def close_to(self, names: frozenset[str], barrier: frozenset[str]) -> None:
        """Close the outermost open element of these names that no barrier stands before, with all in it."""
        found = -1
        for place in range(len(self.open) - 1, -1, -1):
            if self.open[place] in names:
                found = place
                if len(names) < 3:
                    break
            elif self.open[place] in barrier:
                break
        if found >= 0:
            self.close(found)

    def close(self, place: int) -> None:
        self.out.extend(f"</{name}>" for name in reversed(self.open[place:]))
        del self.open[place:]


def _written(name: str, inside: str) -> str:
    allowed = ATTRIBUTES.get(name, frozenset())
    kept = [f"<{name}"]
    if inside and not inside.isspace():
        kept += (
            f' {key}="{html.escape(value)}"'
            for key, value in attributes(inside).items()
            if key in EVERYWHERE or key in allowed
        )
    kept.append(">")
    return "".join(kept)
