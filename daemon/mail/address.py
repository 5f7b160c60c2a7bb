"""Mail addresses: reading them leniently, writing them strictly, comparing them the same way everywhere.

RFC 5321 §4.1.2, RFC 6531 (SMTPUTF8), RFC 5890 (IDNA), RFC 5233 (subaddresses). Nothing here looks anything up.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import idna

from daemon.limits import LIMITS

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = rf"(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}"
_PLAIN = re.compile(rf"([A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]+)@({_HOST})")
_HOST_ONLY = re.compile(_HOST)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"@(.*)', re.DOTALL)
_ROUTE = re.compile(r"@[^\s@,:<>]+(?:,@[^\s@,:<>]+)*:")  # RFC 5321 §4.1.2: A-d-l; accepted and ignored (§C)
_SPECIAL = re.compile(r'[\s()<>\[\]:;,\\"@]')
# Controls, line and paragraph separators, surrogates, and the marks that make a name read backwards.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_DOT_STRING = re.compile(r"[^\s()<>\[\]:;,\\\"@.]+(?:\.[^\s()<>\[\]:;,\\\"@.]+)*")
_DOMAIN_OCTETS = 255  # RFC 5321 §4.5.3.1.2
_SEPARATORS = 5  # ways to read a subaddress that are tried: each is a question to the store


class BadAddress(ValueError):
    """Not an address we can send to or receive for; `reason` is a phrase for the reply."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: the local part as its owner writes it, unquoted; the domain in lower-case A-labels or a literal."""

    local: str
    domain: str

    @property
    def key(self) -> tuple[str, str]:
        """What two spellings of one mailbox have in common: case of the local part does not count."""
        return fold_local(self.local), self.domain

    @property
    def display(self) -> str:
        """As people read it: U-labels in the domain."""
        return f"{quote_local(self.local)}@{display_domain(self.domain)}" if self.domain else quote_local(self.local)

    @property
    def is_ascii(self) -> bool:
        """Whether it can travel without SMTPUTF8 (the domain always can)."""
        return self.local.isascii()

    def __str__(self) -> str:
        """As it goes over the wire, without angle brackets. A bare `<postmaster>` has no domain (RFC 5321 §4.5.1)."""
        return f"{quote_local(self.local)}@{self.domain}" if self.domain else quote_local(self.local)


def fold_local(local: str) -> str:
    """A local part for comparison: NFC, case folded."""
    if local.isascii():
        return local.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).casefold())


def quote_local(local: str) -> str:
    """The local part as RFC 5321 §4.1.2 writes it: a dot-string, or quoted when it is none (`a..b`, `a b`)."""
    if _DOT_STRING.fullmatch(local):
        return local
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


@lru_cache(maxsize=1024)  # people write to people: one address is read many times
def parse_address(text: str, *, utf8: bool = True) -> Address:
    """`local@domain` as an `Address`; `BadAddress` when it is none.

    Lenient where real mailboxes are (traps S8): dots anywhere, quoted local parts, local parts of any length within
    `LIMITS.smtp_address`. With `utf8` false only ASCII is taken, as without SMTPUTF8 (RFC 6531 §3.4).
    """
    plain = _PLAIN.fullmatch(text)
    if plain:
        local, domain = plain.groups()
        if len(domain) <= _DOMAIN_OCTETS and len(text) <= LIMITS.smtp_address:
            return Address(local, domain.lower())
    return _parse_slowly(text, utf8)


def _parse_slowly(text: str, utf8: bool) -> Address:
    if len(text) > LIMITS.smtp_address or len(text.encode(errors="surrogatepass")) > LIMITS.smtp_address:
        raise BadAddress(f"address over {LIMITS.smtp_address} octets")
    if _FORBIDDEN.search(text):
        raise BadAddress("control character in address")
    if not utf8 and not text.isascii():
        raise BadAddress("address is not ASCII, and SMTPUTF8 was not asked for")
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        local, domain = re.sub(r"\\(.)", r"\1", quoted[1]), quoted[2]
    else:
        local, at, domain = text.rpartition("@")
        if not at:
            raise BadAddress("address without a domain")
        if _SPECIAL.search(local):
            raise BadAddress("character in local part needs quotes")
    if not local:
        raise BadAddress("address without a local part")
    return Address(unicodedata.normalize("NFC", local), normal_domain(domain))


def normal_domain(text: str) -> str:
    """A domain as we keep and compare it: lower-case A-labels without the last dot, or an address literal.

    U-labels are mapped by UTS 46 and must be valid in IDNA 2008; A-labels are kept unread, since domains older than
    IDNA 2008 (emoji and such) live on. Raises `BadAddress`.
    """
    return _known_domain(text) if len(text) <= _DOMAIN_OCTETS else _normal_domain(text)


def _normal_domain(text: str) -> str:
    if not text:
        raise BadAddress("address without a domain")
    if text[0] == "[":
        return _literal(text)
    if not text.isascii():
        if len(text) > _DOMAIN_OCTETS:
            raise BadAddress("domain too long")
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise BadAddress("domain is not valid in IDNA") from error
    domain = text.removesuffix(".").lower()
    if len(domain) > _DOMAIN_OCTETS:
        raise BadAddress("domain too long")
    if not _HOST_ONLY.fullmatch(domain):
        raise BadAddress("malformed domain")
    return domain


_known_domain = lru_cache(maxsize=512)(_normal_domain)  # all checks of a message ask for the same few


def _literal(text: str) -> str:
    """RFC 5321 §4.1.3. Only the two registered kinds; one spelling for each address."""
    if not text.endswith("]"):
        raise BadAddress("malformed address literal")
    inner = text[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            if "%" in inner:
                raise BadAddress("address literal with a zone")
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ipaddress.AddressValueError as error:
        raise BadAddress("malformed address literal") from error


def display_domain(domain: str) -> str:
    """The domain with its A-labels as U-labels; a label that is no valid A-label stays."""
    if "xn--" not in domain:
        return domain
    return ".".join(_display_label(label) for label in domain.split("."))


def _display_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return idna.decode(label)
    except (idna.IDNAError, UnicodeError):
        return label


def subaddresses(local: str, separators: str) -> list[tuple[str, str]]:
    """`user+tag` as `("user", "tag")`: every way to read it, the longest user first, so that `mary-ann+x` is hers and
    not mary's where both signs separate. Of many separators only the first few count."""
    places = [place for place in range(1, len(local)) if local[place] in separators][:_SEPARATORS]
    return [(local[:place], local[place + 1 :]) for place in reversed(places)]


def parse_path(text: str, *, utf8: bool = True, postmaster: bool = False, bare: bool = False) -> Address | None:
    """The path of MAIL FROM or RCPT TO (RFC 5321 §4.1.2), brackets included; None for the null path `<>`.

    A source route is read and dropped. `postmaster`: `<postmaster>` without a domain is an `Address` whose domain is
    empty (§4.5.1). `bare`: the brackets may be missing, as some printers and scanners send it. Raises `BadAddress`.
    """
    if text[:1] == "<" and text[-1:] == ">":
        inner = text[1:-1]
    elif bare and text:
        inner = text
    else:
        raise BadAddress("path needs angle brackets")
    if not inner:
        return None
    if inner[0] == "@":
        route = _ROUTE.match(inner)
        if not route:
            raise BadAddress("malformed source route")
        inner = inner[route.end() :]
    if postmaster and inner.lower() == "postmaster":
        return Address(inner, "")
    return parse_address(inner, utf8=utf8)
