"""Where reports go: what a domain asks for, and whether who is named wants them.

DMARC: the addresses in `rua`, those of strangers only when they say so in the DNS (RFC 9990 §4). TLS: `rua` of the
TXT record at `_smtp._tls` (RFC 8460 §3). A stranger writes these records: their number and length are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.resolver import Resolver, TemporaryDNSError

_SIZE = re.compile(r"!(\d{1,10})([kmgt]?)\Z", re.IGNORECASE)  # RFC 7489 §6.2; RFC 9990 still obeys it
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True)
class Destination:
    """A mailbox, or a place for HTTPS. `largest`: octets of mail it takes; None: any number."""

    uri: str
    mailbox: Address | None = None
    largest: int | None = None


def tags(record: str) -> dict[str, str]:
    """The `tag=value` pairs of a record (RFC 9989 §4.7), names in lower case; of repeated ones the first."""
    found: dict[str, str] = {}
    for part in record.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def destinations(rua: str) -> list[Destination]:
    """What of a list of URIs can be used, each once."""
    found = (_destination(uri.strip()) for uri in rua.split(",")[: LIMITS.report_uris])
    return list(dict.fromkeys(one for one in found if one is not None))


def _destination(uri: str) -> Destination | None:
    largest = None
    if size := _SIZE.search(uri):
        uri, largest = uri[: size.start()], int(size[1]) * _UNITS[size[2].lower()]
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "mailto":
        try:
            return Destination(uri, parse_address(unquote(rest.partition("?")[0])), largest)
        except BadAddress:
            return None
    if scheme.lower() == "https":
        try:
            return Destination(uri) if urlsplit(uri).hostname else None
        except ValueError:
            return None
    return None


async def for_dmarc(resolver: Resolver, domain: str, record: str) -> list[Destination]:
    """Who gets the report about a policy domain. Raises `TemporaryDNSError`."""
    said = tags(record)
    wanted = [one for one in destinations(said.get("rua", "")) if one.mailbox is not None]
    found: list[Destination] = []
    for one in wanted:
        assert one.mailbox is not None
        host = one.mailbox.domain
        if await _is_own(resolver, domain, host, said):
            found.append(one)
        else:
            found += await _agreed(resolver, domain, host, one)
    return list(dict.fromkeys(found))


async def _is_own(resolver: Resolver, domain: str, host: str, said: dict[str, str]) -> bool:
    """Whether both are surely one organization's: equal, or one below the other and that one no public suffix."""
    if host == domain:
        return True
    if host.endswith("." + domain):
        return said.get("psd", "").lower() != "y"
    if domain.endswith("." + host):
        above = await _records(resolver, f"_dmarc.{host}", "v=dmarc1")
        return len(above) == 1 and tags(above[0]).get("psd", "").lower() != "y"
    return False


async def _agreed(resolver: Resolver, domain: str, host: str, one: Destination) -> list[Destination]:
    """RFC 9990 §4: a stranger's mailbox counts if its domain says so; it may name another one of its own."""
    records = await _records(resolver, f"{domain}._report._dmarc.{host}", "v=dmarc1")
    if not records:
        return []
    other = next((rua for record in records if (rua := tags(record).get("rua"))), None)
    if other is None:
        return [one]
    return [d for d in destinations(other) if d.mailbox is not None and d.mailbox.domain == host]


async def for_tls(resolver: Resolver, domain: str) -> list[Destination]:
    """Who gets the report about TLS towards a domain. Raises `TemporaryDNSError`."""
    records = await _records(resolver, f"_smtp._tls.{domain}", "v=tlsrptv1")
    if len(records) != 1:  # RFC 8460 §3: several are none
        return []
    return destinations(tags(records[0]).get("rua", ""))


async def _records(resolver: Resolver, name: str, start: str) -> list[str]:
    if len(name) > 253:
        return []
    answer = await resolver.ask(name, "TXT")
    texts = [record.decode("utf-8", "replace") for record in answer.records if isinstance(record, bytes)]
    return [text for text in texts if re.sub(r"\s*=\s*", "=", text).lower().partition(";")[0].strip() == start]


__all__ = ["Destination", "TemporaryDNSError", "destinations", "for_dmarc", "for_tls", "tags"]
