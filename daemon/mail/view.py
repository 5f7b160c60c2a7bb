"""A message as a page of its own: all that is read of it one below the other (RFC 8621 §4.1.4, `htmlBody`).

The page has no script, and stands on its own in light and dark: mail that sets no colours follows its reader, mail that
does was made for white paper and gets it. What is wide scrolls.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.mail import bodies
from daemon.mail.decode import codec_of, decode_text, decode_transfer
from daemon.mail.html import clean
from daemon.mail.message import Part

if TYPE_CHECKING:
    from daemon.mail.header import Data

# What browsers show and what cannot hold a program: no SVG.
PICTURES = frozenset(
    ("image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/avif", "image/bmp")
)
_META = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_META_WITHIN = 4096  # octets
_BASE = """
:root{color-scheme:light dark}
html{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
body{margin:8px}
img{max-width:100%}
@media (max-width:600px){img[width]{height:auto}}
blockquote{margin:0 0 0 4px;padding-left:12px;border-left:3px solid #8886}
pre{white-space:pre-wrap}
.mailctl-text{white-space:pre-wrap;margin:0 0 1em}
.mailctl-more{margin-top:2em;font-style:italic;opacity:.7}
"""
_PAPER = ":root{color-scheme:light}body{background:#fff;color:#1f1f1f}"  # of the body: what it has fills the page
_MORE = '<p class="mailctl-more">The rest of this message is left out here: it is very long.</p>'


class View(NamedTuple):
    """`page` is a whole document. `remote`: how many pictures from elsewhere it names, shown or not."""

    page: str
    remote: int


def view(data: Data, root: Part, base: str, *, remote: bool = False, title: str = "Message", head: str = "") -> View:
    """The page of a message. `root` is a tree with its fields; `base` is what stands before the number of a part in its
    address; `remote`: with pictures from elsewhere; `head`: HTML before all of it. Whatever the message is."""
    found = _Page(data, root, base, remote)
    found.add_all()
    return View(found.document(title, head), found.remote)


def picture(root: Part, number: str) -> Part | None:
    """A part that a page of this message may show."""
    return next((part for at, part in bodies.numbered(root) if at == number and part.media in PICTURES), None)


class _Page:
    """One page under way."""

    def __init__(self, data: Data, root: Part, base: str, with_remote: bool) -> None:
        self.data = data
        self.root = root
        self.with_remote = with_remote
        self.numbers = {id(part): base + number for number, part in bodies.numbered(root) if number}
        self.parts = self._parts()
        self.out: list[str] = []
        self.styles: list[str] = []
        self.body_class = self.body_style = ""
        self.remote = 0
        self.painted = self.cut = False
        self.left = LIMITS.view_html

    def _parts(self) -> Mapping[str, str]:
        """Where the pictures are that come with the message, by what HTML calls them."""
        found: dict[str, str] = {}
        for part in self.root.walk():
            if part.media in PICTURES and id(part) in self.numbers:
                about = bodies.facts(part)
                for name in (about.cid, about.location):
                    if name:
                        found.setdefault(name, self.numbers[id(part)])
        return found

    def add_all(self) -> None:
        for part in bodies.bodies(self.root).html:
            if part.media == "text/html":
                self.add_html(part)
            elif part.type == "text":
                self.out.append(f'<div class="mailctl-text" dir="auto">{html.escape(self.text(part))}</div>')
            elif part.media in PICTURES:
                name = html.escape(bodies.facts(part).name or "")
                self.out.append(f'<p><img src="{self.numbers[id(part)]}" alt="{name}"></p>')

    def add_html(self, part: Part) -> None:
        shown = clean(self.text(part), self.parts, remote=self.with_remote)
        self.out.append(f"<div>{shown.text}</div>")
        self.styles.append(shown.style)
        self.body_class = self.body_class or shown.body_class
        self.body_style = self.body_style or shown.body_style
        self.remote += shown.remote
        self.painted |= shown.painted
        self.cut |= shown.cut

    def text(self, part: Part) -> str:
        """The text of a part, as far as there is room for it on the page."""
        raw = bytes(self.data[part.body : min(part.end, part.body + 4 * self.left)])
        octets = decode_transfer(raw, part.encoding)
        charset = part.charset
        if part.subtype == "html" and codec_of(charset) is None and (said := _META.search(octets[:_META_WITHIN])):
            charset = said[1].decode("ascii")
        text = decode_text(octets, charset, cut=True)
        self.cut |= len(text) > self.left or len(raw) < part.size
        text = text[: self.left].replace("\0", "\ufffd")
        self.left -= len(text)
        return text

    def document(self, title: str, head: str) -> str:
        style = _BASE + (_PAPER if self.painted else "") + "\n".join(self.styles)
        body = "".join(
            f' {name}="{value}"' for name, value in (("class", self.body_class), ("style", self.body_style)) if value
        )
        return (
            '<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{html.escape(title)}</title><style>{style}</style></head>"
            f"<body{body}>{head}{''.join(self.out)}{_MORE if self.cut else ''}</body></html>"
        )
