"""SPF records (RFC 7208 sections 3 to 6): which TXT record is one, and what its terms say. Nothing here asks the DNS.

A record is read whole before any of it is used: one wrong term makes all of it wrong (section 4.6).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.trust.results import Word
from daemon.trust.spf_macros import BadSyntax, MacroString, domain_spec, macro_string

_VERSION = b"v=spf1"
_QUALIFIERS: dict[str, Word] = {"": "pass", "+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)", re.DOTALL)
_MECHANISM = re.compile(r"([-+~?]?)([A-Za-z][A-Za-z0-9._-]*)(.*)", re.DOTALL)
_DUAL_CIDR = re.compile(r"(?:/([0-9]+))?(?://([0-9]+))?\Z")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")


class Mechanism(NamedTuple):
    """`text` is the term as published. `domain` empty: the domain that is checked. `address`: of ip4 and ip6, as a
    number. `prefix4`, `prefix6`: how many bits count."""

    text: str
    result: Word
    name: str
    domain: MacroString = ()
    address: int = 0
    prefix4: int = 32
    prefix6: int = 128


class Record(NamedTuple):
    mechanisms: tuple[Mechanism, ...]
    redirect: MacroString = ()
    exp: MacroString = ()


def select(texts: Iterable[bytes]) -> bytes | None:
    """The one SPF record among a name's TXT records, None without. Raises `BadSyntax` for several (§4.5)."""
    found = [text for text in texts if text[:7].lower() in (_VERSION, _VERSION + b" ")]
    if len(found) > 1:
        raise BadSyntax(f"{len(found)} SPF records")
    return found[0] if found else None


def parse(text: bytes) -> Record:
    """Raises `BadSyntax`, which names the term."""
    if len(text) > LIMITS.spf_record:
        raise BadSyntax(f"record over {LIMITS.spf_record} octets")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, MacroString] = {}
    for octets in text[len(_VERSION) :].split(b" "):
        if not octets:
            continue
        try:
            term = octets.decode("ascii")
            modifier = _MODIFIER.fullmatch(term)
            if modifier:
                _modify(modifiers, modifier[1].lower(), modifier[2])
            else:
                mechanisms.append(_mechanism(term))
        except (BadSyntax, UnicodeDecodeError) as error:
            reason = str(error) if isinstance(error, BadSyntax) else "not ASCII"
            raise BadSyntax(f"{printable(octets.decode('latin-1'))}: {reason}") from error
    return Record(tuple(mechanisms), modifiers.get("redirect", ()), modifiers.get("exp", ()))


def printable(text: str) -> str:
    """Words of a stranger for a log or a header: one line of ASCII, not long."""
    text = text if len(text) <= LIMITS.spf_words else f"{text[: LIMITS.spf_words - 3]}..."
    return re.sub(r"[^ -~]", "?", text)


def _modify(modifiers: dict[str, MacroString], name: str, value: str) -> None:
    if name not in ("redirect", "exp"):
        macro_string(value)  # RFC 7208 §6: unknown ones are ignored, but not their syntax
    elif name in modifiers:
        raise BadSyntax(f"a second {name}=")
    else:
        modifiers[name] = domain_spec(value)


def _mechanism(term: str) -> Mechanism:
    found = _MECHANISM.fullmatch(term)
    name = found[2].lower() if found else ""
    if not found or name not in _READERS:
        raise BadSyntax("no such mechanism")
    return _READERS[name](Mechanism(term, _QUALIFIERS[found[1]], name), found[3])


def _all(mechanism: Mechanism, rest: str) -> Mechanism:
    if rest:
        raise BadSyntax("takes no argument")
    return mechanism


def _domain(mechanism: Mechanism, rest: str) -> Mechanism:
    if rest[:1] != ":":
        raise BadSyntax("needs a domain")
    return mechanism._replace(domain=domain_spec(rest[1:]))


def _optional_domain(mechanism: Mechanism, rest: str) -> Mechanism:
    return _domain(mechanism, rest) if rest else mechanism


def _host(mechanism: Mechanism, rest: str) -> Mechanism:
    cidr = _DUAL_CIDR.search(rest)
    assert cidr  # it matches nothing at the end of anything
    mechanism = mechanism._replace(prefix4=_prefix(cidr[1], 32), prefix6=_prefix(cidr[2], 128))
    return _optional_domain(mechanism, rest[: cidr.start()])


def _network4(mechanism: Mechanism, rest: str) -> Mechanism:
    address, prefix = _network(rest, ipaddress.IPv4Address)
    return mechanism._replace(address=address, prefix4=_prefix(prefix, 32))


def _network6(mechanism: Mechanism, rest: str) -> Mechanism:
    address, prefix = _network(rest, ipaddress.IPv6Address)
    return mechanism._replace(address=address, prefix6=_prefix(prefix, 128))


def _network(rest: str, kind: Callable[[str], ipaddress.IPv4Address | ipaddress.IPv6Address]) -> tuple[int, str | None]:
    address, slash, prefix = rest[1:].partition("/")
    try:
        if rest[:1] != ":" or "%" in address:
            raise ValueError
        return int(kind(address)), prefix if slash else None
    except ValueError as error:
        raise BadSyntax("needs an IP address") from error


def _prefix(text: str | None, most: int) -> int:
    if text is None:
        return most
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise BadSyntax(f"prefix length is not 0 to {most}")
    return int(text)


_READERS: dict[str, Callable[[Mechanism, str], Mechanism]] = {
    "all": _all,
    "include": _domain,
    "exists": _domain,
    "ptr": _optional_domain,
    "a": _host,
    "mx": _host,
    "ip4": _network4,
    "ip6": _network6,
}
