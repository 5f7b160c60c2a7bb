"""The head of a message on paper: who wrote it to whom, when, about what, and the names of its files.

It stands on the page that the message itself is on, and is out of its reach: a shadow tree whose host no style of the
message can hide, move or cover.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.mail import bodies, forms
from daemon.mail.header import values

if TYPE_CHECKING:
    from daemon.mail.header import Data
    from daemon.mail.message import Part

_NAMED = 50  # addresses of one field, and files: a mailing does not fill its paper with whom it went to
_STYLE = (
    ":host{all:initial!important;display:block!important;position:relative!important;z-index:1!important;"
    "background:#fff!important;color:#000!important;margin:0 0 1.5em!important;padding:0 0 1em!important;"
    "border-bottom:1px solid #888!important;font:14px/1.45 system-ui,sans-serif!important}"
    "h1{margin:0 0 .6em;font-size:20px}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 1em;margin:0}dt{color:#555}"
    "dd{margin:0;overflow-wrap:anywhere}"
)
_FIELDS = ("from", "to", "cc")
_ASKED = (*_FIELDS, "subject", "sentAt")


class Paper(NamedTuple):
    """`title` as a window has it; `head` is HTML to stand before the message."""

    title: str
    head: str


def paper(data: Data, root: Part) -> Paper:
    """`root` is a tree with its fields. Whatever the message is."""
    asked = {name: found for name in _ASKED if (found := forms.read_property(name))}
    fields = values(bytes(data[root.header : root.body]), frozenset(each.name for each in asked.values()))
    told = {name: forms.value(each, fields) for name, each in asked.items()}
    title = told["subject"] or "(no subject)"
    rows = "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in _rows(told, root) if text)
    inside = f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><dl>{rows}</dl>"
    sheet = "<style>:root{color-scheme:light!important}</style>"
    return Paper(title, f'{sheet}<div><template shadowrootmode="open">{inside}</template></div>')


def _rows(told: dict[str, Any], root: Part) -> Iterator[tuple[str, str]]:
    for name in _FIELDS:
        yield name.capitalize(), _listed([_person(one) for one in told[name] or ()])
    yield "Date", _date(told["sentAt"])
    names = [bodies.facts(part).name for part in bodies.bodies(root).attachments]
    yield "Files", _listed([each for each in names if each])


def _date(written: str | None) -> str:
    """In the zone of who wrote it: the reader's is not known here."""
    if written is None:
        return ""
    date = datetime.fromisoformat(written.replace("Z", "+00:00"))
    return f"{date.day} {date:%B %Y, %H:%M %z}"


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _person(one: dict[str, str | None]) -> str:
    return f"{one['name']} <{one['email']}>" if one["name"] else str(one["email"])
