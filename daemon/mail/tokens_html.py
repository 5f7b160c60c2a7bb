"""The tokens of HTML and of links: elements, what is done to hide text, where links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator

from daemon.limits import LIMITS
from daemon.mail.links import find

_TAG = re.compile(r"<([a-z!/][^\s<>]{0,20})([^<>]{0,400})", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([a-z-]{2,16})\s*=\s*[\"']?([^\s\"'>]{1,40})", re.IGNORECASE)
_DIGIT = re.compile(r"[0-9]+")
_SPLIT_WORD = re.compile(r"[a-z]<[!/a-z][^<>]{0,80}>[a-z]", re.IGNORECASE)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*[01](?:px|pt)?\b|opacity\s*:\s*0\b", re.I
)
_PATH = re.compile(r"[a-z]{2,20}")
_ADDRESS = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9]{8,10}|0x[0-9a-f]+", re.IGNORECASE)
_KEPT = frozenset(
    ("color", "bgcolor", "size", "face", "width", "height", "border", "align", "type", "http-equiv", "name")
)


def html_tokens(text: str) -> Iterator[bytes]:
    """Elements with what they look like, and the tricks that hide text."""
    count = 0
    for name, rest in _TAG.findall(text):
        count += 1
        if count > LIMITS.spam_tags:
            break
        name = name.lower()
        if name[0] in "/!":
            continue
        yield f"t:{name}".encode("utf-8", "replace")
        for attribute, value in _ATTRIBUTE.findall(rest):
            attribute = attribute.lower()
            if attribute in _KEPT:
                yield f"t:{name} {attribute} {value.lower()}".encode("utf-8", "replace")
            elif attribute.startswith("on"):
                yield b"t:handler"
    if _HIDDEN.search(text):
        yield b"t:hidden"
    splits = len(_SPLIT_WORD.findall(text))
    if splits:
        yield b"t:split words %d" % splits.bit_length()
    if "<!--" in text:
        yield b"t:comments %d" % text.count("<!--").bit_length()


def link_tokens(text: str) -> Iterator[bytes]:
    """Where links lead: host, domain, top-level domain, words and shape of the path."""
    count = 0
    for kind, host, path in find(text):
        count += 1
        if count > LIMITS.spam_links:
            break
        if kind == "mail":
            yield f"u:mailto {host.rpartition('@')[2]}".encode("utf-8", "replace")
            continue
        if "@" in host:
            yield b"u:user before host"
            host = host.rpartition("@")[2]
        if "%" in host or "&#" in host:
            yield b"u:encoded host"
        host, _, port = host.partition(":")
        if port:
            yield b"u:port"
        if _ADDRESS.fullmatch(host):
            yield b"u:address for a host"
        else:
            labels = host.split(".")
            yield f"u:{host}".encode("utf-8", "replace")
            yield f"u:.{labels[-1]}".encode("utf-8", "replace")
            if len(labels) > 2:
                yield f"u:{'.'.join(labels[-2:])}".encode("utf-8", "replace")
        for word in _PATH.findall(path)[:8]:
            yield f"u:/{word}".encode()
        if "?" in path:
            yield b"u:query"
    yield b"u:count %d" % count.bit_length()
