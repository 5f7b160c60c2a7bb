"""The tokens of HTML and of links: elements, what is done to hide text, where links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from daemon.limits import LIMITS
from daemon.mail.links import find

# Each of these begins with characters that are searched for quickly; all take lower case.
_TAG = re.compile(r"<([a-z!/][^\s<>]{0,20})([^<>]{0,400})")
_ATTRIBUTE = re.compile(r"([a-z-]{2,16})\s*=\s*[\"']?([^\s\"'>]{1,40})")
_SPLIT_WORD = re.compile(r"<(?<=[a-z]<)[!/a-z][^<>]{0,80}>[a-z]")
_HIDDEN = tuple(
    re.compile(style)
    for style in (
        r"display\s*:\s*none", r"visibility\s*:\s*hidden", r"font-size\s*:\s*[01](?:px|pt)?\b", r"opacity\s*:\s*0\b"
    )
)  # fmt: skip
_PATH = re.compile(r"[a-z]{2,20}")
_ADDRESS = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9]{8,10}|0x[0-9a-f]+")
_KEPT = frozenset(
    ("color", "bgcolor", "size", "face", "width", "height", "border", "align", "type", "http-equiv", "name")
)


def html_tokens(text: str) -> Iterator[bytes]:
    """Elements with what they look like, and the tricks that hide text. Takes lower case."""
    for name, rest in dict.fromkeys(islice(_TAG.findall(text), LIMITS.spam_tags)):  # most elements are there many times
        if name[0] in "/!":
            continue
        yield f"t:{name}".encode("utf-8", "replace")
        for attribute, value in _ATTRIBUTE.findall(rest) if "=" in rest else ():
            if attribute in _KEPT:
                yield f"t:{name} {attribute} {value}".encode("utf-8", "replace")
            elif attribute.startswith("on"):
                yield b"t:handler"
    if any(style.search(text) for style in _HIDDEN):
        yield b"t:hidden"
    splits = _splits(text)
    if splits:
        yield b"t:split words %d" % splits.bit_length()
    if "<!--" in text:
        yield b"t:comments %d" % text.count("<!--").bit_length()


def _splits(text: str) -> int:
    """How often an element stands between two letters, none of which counts twice."""
    count, end = 0, 0
    for found in _SPLIT_WORD.finditer(text):
        if found.start() != end:
            count, end = count + 1, found.end()
    return count


def link_tokens(text: str) -> Iterator[bytes]:
    """Where links lead: host, domain, top-level domain, words and shape of the path. Takes lower case."""
    links = list(islice(find(text), LIMITS.spam_links + 1))
    for kind, host, path in dict.fromkeys(links[: LIMITS.spam_links]):
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
    yield b"u:count %d" % len(links).bit_length()
