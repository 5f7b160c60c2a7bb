"""What a domain should publish: where its mail goes, who may send for it, how mail programs find this server."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.admin.errors import BadData
from daemon.config import Config, HostPort
from daemon.store import domains, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

TTL = 3600
SERVICES = (  # RFC 6186, RFC 8314; what is off is said so, with "."
    ("_submissions._tcp", "listen.submissions"),
    ("_submission._tcp", "listen.submission"),
    ("_imaps._tcp", "listen.imaps"),
    ("_imap._tcp", "listen.imap"),
    ("_pop3s._tcp", "listen.pop3s"),
    ("_pop3._tcp", "listen.pop3"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """`name` without the last dot, `data` as in a zone file. `purpose` in plain words."""

    name: str
    type: str
    data: str
    purpose: str
    ttl: int = TTL

    def __str__(self) -> str:
        return f"{self.name}. {self.ttl} IN {self.type} {self.data}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `records` starts from, read once."""

    domain: str
    config: Config
    addresses: tuple[str, ...]


def wishes(store: Store, domain: str, addresses: Sequence[str] = ()) -> Wishes:
    """Raises `Missing` for a domain that is not ours, `BadData`."""
    name = words.domain(domain)

    def work(tx: Tx) -> Config:
        domains.get(tx, name)
        return settings.load(tx)

    config = store.read_now(work)
    try:
        given = tuple(str(ipaddress.ip_address(a)) for a in addresses)
    except ValueError as error:
        raise BadData(f"{error}; name addresses such as 192.0.2.1") from None
    return Wishes(name, config, given or public_addresses(config))


def records(wanted: Wishes) -> list[Record]:
    """All of them, in the order of a zone file."""
    domain, config = wanted.domain, wanted.config
    host = config["hostname"]
    found = [Record(domain, "MX", f"10 {host}.", "mail for the domain comes to this server")]
    found += [
        Record(host, "AAAA" if ":" in address else "A", address, "where this server is") for address in wanted.addresses
    ]
    found += [
        spf(domain, "the servers in MX may send for the domain, no others"),
        Record(host, "TXT", quoted("v=spf1 a -all"), "this server may say it is itself (HELO)"),
        dmarc(domain),
    ]
    return found + services(domain, config)


def spf(domain: str, purpose: str) -> Record:
    return Record(domain, "TXT", quoted("v=spf1 mx -all"), purpose)


def dmarc(domain: str) -> Record:
    return Record(
        f"_dmarc.{domain}",
        "TXT",
        quoted(f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"),
        "what others shall do with mail that only pretends to be from the domain; p=none only asks for reports",
    )


def services(domain: str, config: Config) -> list[Record]:
    """SRV records: how mail programs find the ports."""
    host = config["hostname"]
    found = []
    for service, key in SERVICES:
        listeners: Sequence[HostPort] = config[key]
        data = f"0 1 {listeners[0].port} {host}." if listeners else "0 0 0 ."
        protocol = key.removeprefix("listen.")
        purpose = f"mail programs find {protocol} by it" if listeners else f"there is no {protocol}"
        found.append(Record(f"{service}.{domain}", "SRV", data, purpose))
    return found


def quoted(text: str) -> str:
    """A TXT record's strings, each at most 255 octets."""
    pieces = [text[at : at + 255] for at in range(0, len(text), 255)]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


def public_addresses(config: Config) -> tuple[str, ...]:
    """The addresses this machine would go out from, if the world can reach them; nothing is sent to find out."""
    listening = [place.host for place in config["listen.smtp"] if place.host]
    found = [a for a in listening if _is_public(a)]
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        if found:
            break
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((somewhere, 25))
                address = probe.getsockname()[0]
        except OSError:
            continue
        if _is_public(address):
            found.append(address)
    return tuple(found)


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False
