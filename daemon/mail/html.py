"""The HTML of mail as it may be shown: text, tables, pictures and links, and nothing that runs, fetches or asks.

Three walls stand one behind the other. Here the first: a text whose tags close (`html_tags`) goes through nh3, the
parser and allow-list of browsers' own grammar, with what is in addresses and styles written anew (`css`). The second is
the policy of the page it is shown on, which allows no script whatever stands there; the third the frame around it,
which is of no origin. `serve/web/viewer` builds those.

Pictures from elsewhere tell their owner that, when and where a message is read: they are left out until asked for.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from daemon.limits import LIMITS
from daemon.mail.css import Styles
from daemon.mail.html_tags import ATTRIBUTES, DROPPED, EVERYWHERE, TAGS, tidy

_BLANK = re.compile(r"[\t\n\r]|^[\x00-\x20]+|[\x00-\x20]+$")  # what browsers leave out of an address
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_LINKS = frozenset(("http", "https", "mailto", "tel"))
_PICTURE = re.compile(r"https?://[^\s\"'()\\<>]+", re.IGNORECASE)
_DATA = re.compile(r"data:image/(?:png|gif|jpe?g|webp);base64,[A-Za-z0-9+/]+={0,2}", re.IGNORECASE)
_COLOUR = re.compile(r"#?[A-Za-z0-9]{1,30}")


class Clean(NamedTuple):
    """`text` for the inside of `body`, `style` for a style sheet, `body_class` and `body_style` for its attributes, all
    as they may stand there. `remote`: how many pictures from elsewhere it names. `painted`: it sets colours, so that it
    was made for a light page. `cut`: there is more than is shown."""

    text: str
    style: str
    body_class: str
    body_style: str
    remote: int
    painted: bool
    cut: bool


def clean(text: str, parts: Mapping[str, str], *, remote: bool = False) -> Clean:
    """`parts`: where pictures are fetched from that come with the message, by their Content-ID or Content-Location.
    `remote`: with pictures from elsewhere. Whatever the text is."""
    return _Cleaner(parts, remote).clean(text)


class _Cleaner:
    """One text under way."""

    def __init__(self, parts: Mapping[str, str], remote: bool) -> None:
        self.parts = parts
        self.with_remote = remote
        self.remote = 0
        self.styles = Styles(self.picture)

    def clean(self, text: str) -> Clean:
        import nh3  # read when the first message is opened

        read = tidy(text)
        body = read.body
        style = [self.styles.declarations(body.get("style", ""))]
        for name, key in (("background-color", "bgcolor"), ("color", "text")):
            style.append(self.styles.declarations(f"{name}:{self.colour(body.get(key, ''))}"))
        if place := self.picture(body.get("background", "")):
            style.append(f'background-image:url("{place}")')
        sheets = self.styles.sheet("\n".join(read.sheets)[: LIMITS.view_style])
        shown = nh3.clean(
            read.text,
            tags=set(TAGS),
            clean_content_tags=set(DROPPED),
            attributes={"*": set(EVERYWHERE), **{tag: set(names) for tag, names in ATTRIBUTES.items()}},
            attribute_filter=self.attribute,
            strip_comments=True,
            link_rel="noopener noreferrer nofollow",
            set_tag_attribute_values={"a": {"target": "_blank"}},
            url_schemes={*_LINKS, "cid", "data"},
        )
        return Clean(
            shown,
            sheets,
            html.escape(body.get("class", "")[:500]),
            html.escape(";".join(filter(None, style))),
            self.remote,
            self.styles.painted,
            read.cut,
        )

    def attribute(self, tag: str, name: str, value: str) -> str | None:
        """The value as it may stand there; None for nothing."""
        if name == "style":
            return self.styles.declarations(value[: LIMITS.view_style]) or None
        if name == "href":
            return link(value)
        if name in ("src", "background"):
            return self.picture(value)
        if name in ("bgcolor", "color"):
            return self.colour(value) or None
        return value

    def colour(self, value: str) -> str:
        if not _COLOUR.fullmatch(value):
            return ""
        self.styles.painted = True
        return value

    def picture(self, address: str) -> str | None:
        address = _BLANK.sub("", address)
        if address[:4].lower() == "cid:":
            return self.parts.get(unquote(address[4:]))
        if address in self.parts:
            return self.parts[address]
        if address[:2] == "//":
            address = f"https:{address}"
        if _PICTURE.fullmatch(address):
            self.remote += 1
            return address if self.with_remote else None
        return address if _DATA.fullmatch(address) else None


def link(address: str) -> str | None:
    """Where a link may lead: to the web, to a letter, to a telephone; anything else leads nowhere."""
    address = _BLANK.sub("", address)
    found = _SCHEME.match(address)
    return address if found and found[1].lower() in _LINKS else None
