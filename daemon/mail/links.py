"""The links of a message: where they lead, whatever was done to hide it.

One finder for all who ask: the content classifier counts what a link looks like (`find`), the lists in the DNS are
asked about the hosts (`hosts`). A link that leads through another site is that site's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import unquote

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, normal_domain
from daemon.mail.decode import decode_text, decode_transfer, unescape
from daemon.mail.message import scan

if TYPE_CHECKING:
    from daemon.mail.header import Data

Kind = Literal["url", "mail", "bare", "same"]
"""`https://host`, `mailto:user@host`, `www.host` in a text, and `//host` in HTML."""

_HOST, _REST = r"[^\s\"'<>/?#\\]{1,255}", r"([^\s\"'<>]{0,300})"
# What is rare in each is looked for first. Browsers take any number of slashes, either way round, and none.
_FORMS: dict[Kind, re.Pattern[str]] = {
    "url": re.compile(rf":(?:(?<=\bhttp:)|(?<=\bhttps:)|(?<=\bftp:))[/\\]*({_HOST}){_REST}"),
    "mail": re.compile(rf":(?<=\bmailto:)[/\\]*({_HOST}){_REST}"),
    "bare": re.compile(rf"(www\.(?<![\w.@/-]www\.){_HOST}){_REST}"),
    "same": re.compile(rf"/(?<=[\"'=].)[/\\]+({_HOST}){_REST}"),
}
_BACKSLASHED = re.compile(rf"[/\\](?<=[\"'=].)[/\\]+({_HOST}){_REST}")  # the last one where there are backslashes
_VALUE = re.compile(r"=\s*(?:\"([^\"<>]{1,2000})\"|'([^'<>]{1,2000})')")
_BREAKS = re.compile(r"[\t\r\n]")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
_LABELS = re.compile(r"(?:[a-z0-9_-]{1,63}\.)+[a-z0-9-]{1,63}")
_NUMBER = re.compile(r"0x[0-9a-f]{0,16}|[0-9]{1,20}")


class Link(NamedTuple):
    """As it stands in the text, in lower case: `authority` is host, with user and port where they are, `rest` what
    follows."""

    kind: Kind
    authority: str
    rest: str


def find(text: str) -> Iterator[Link]:
    """The links in a text or in HTML: those of one kind after those of another. Takes lower case."""
    for kind, form in _FORMS.items():
        if kind == "same" and "\\" in text:
            form = _BACKSLASHED
        for found in form.finditer(text):
            yield Link(kind, found[1], found[2])


def hosts(data: Data) -> tuple[str, ...]:
    """The hosts that a message's links lead to, each once: names in A-labels, or IP addresses. At most
    `LIMITS.link_hosts`; of more the first and the last, so that none hides behind many. Reads `LIMITS.link_text`
    octets of text and `LIMITS.links` links of each part."""
    found: dict[str, None] = {}
    left = LIMITS.link_text
    for part in scan(data).root.walk():
        if part.type != "text" or left <= 0:
            continue
        raw = bytes(data[part.body : min(part.end, part.body + left)])
        left -= len(raw)
        text = decode_text(decode_transfer(raw, part.encoding), part.charset, cut=True)
        for authority in _authorities(text, part.subtype == "html"):
            if host := host_of(authority):
                found[host] = None
    most = LIMITS.link_hosts
    every = tuple(found)
    return every if len(every) <= most else every[: most // 2] + every[-(most - most // 2) :]


def _authorities(text: str, is_html: bool) -> dict[str, None]:
    """Each once, in order."""
    if is_html:
        text = unescape(text)
        values = [found[1] or found[2] for found in _VALUE.finditer(text)]
        plain = [_BREAKS.sub("", value).strip() for value in values]  # as browsers do (WHATWG URL §4.4)
        text += "".join([f'\n"{new}"' for old, new in zip(values, plain, strict=True) if new != old])
    some: dict[str, None] = {}
    for link in islice(find(text.lower()), LIMITS.links):
        if link.kind != "mail":
            some[link.authority] = None
    return some


@lru_cache(maxsize=1024)  # most mail leads to the same few places
def host_of(authority: str) -> str:
    """The host in `user@host:port` as a browser reads it (WHATWG URL §3.5): percent signs decoded, IDNA, all writings
    of an IPv4 address. '' when it is none that could be looked up. Takes lower case."""
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        return _ipv6(host[1:].partition("]")[0])
    if "%" in host:
        host = unquote(host).lower()
    host = host.partition(":")[0]
    if not host.isascii():
        try:
            host = normal_domain(host.rstrip(".,;!)]}\u3002\uff0e\uff61\u3001\uff0c\uff09\u00bb\u201d\u2019\u2026"))
        except BadAddress:
            return ""
    name = _NAME.match(host)
    if name is None:
        return ""
    host = name[0]
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return _ipv4(host)
    return host if _LABELS.fullmatch(host) else ""


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return ""
    return str(address.ipv4_mapped or address)


def _ipv4(text: str) -> str:
    """One to four numbers, decimal, octal or hexadecimal, the last of which fills what is left of the four octets."""
    parts = text.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return ""
    numbers = [_number(part) for part in parts]
    last = 256 ** (5 - len(numbers))
    if any(n is None or n > 255 for n in numbers[:-1]) or numbers[-1] is None or numbers[-1] >= last:
        return ""
    value = numbers[-1] + sum((n or 0) << 8 * (3 - place) for place, n in enumerate(numbers[:-1]))
    return str(ipaddress.IPv4Address(value))


def _number(text: str) -> int | None:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    if text.startswith("0") and len(text) > 1:
        return int(text, 8) if not set(text) & set("89") else None
    return int(text)
