"""Senders that are always let in or kept out: of one user, or of everybody (account 0).

An entry is an address, a domain with all that lies below it, or a network. The most telling one decides: a user's own
before everybody's, an address before a domain, a longer domain before a shorter one, a smaller network before a larger.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, normal_domain, parse_address
from daemon.store import states
from daemon.store.correspondents import name_of
from daemon.store.errors import Invalid, Missing
from daemon.store.tx import Tx

EVERYBODY = 0  # the account whose list counts for all


@dataclass(frozen=True, slots=True)
class Entry:
    account_id: int
    sender: str
    kind: str
    allowed: bool
    note: str
    created_at: int


def read(text: str) -> tuple[str, str]:
    """Kind and spelling of an entry: `a@b.example`, `b.example` or `@b.example`, `192.0.2.0/24`. Raises `Invalid`."""
    text = text.strip()
    try:
        return "network", str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        pass
    try:
        if "@" in text.lstrip("@"):
            return "address", name_of(parse_address(text))
        domain = normal_domain(text.lstrip("@").removeprefix("*."))
        if "." in domain and domain[0] != "[":
            return "domain", domain
    except BadAddress:
        pass
    raise Invalid(f"{text!r} is neither an address, nor a domain, nor a network")


def put(tx: Tx, account_id: int, sender: str, *, allowed: bool, note: str = "") -> Entry:
    """Let in or keep out; an entry that is there is turned. Raises `Invalid`."""
    kind, name = read(sender)
    if tx.value("select count(*) from sender_list where account_id = ?", account_id) >= LIMITS.sender_list:
        raise Invalid(f"the list has {LIMITS.sender_list} entries, and takes no more")
    tx.run(
        "insert into sender_list (account_id, sender, kind, allowed, note, created_at) values (?, ?, ?, ?, ?, ?)"
        " on conflict (account_id, sender) do update set allowed = excluded.allowed, note = excluded.note,"
        " created_at = excluded.created_at",
        account_id, name, kind, int(allowed), note, tx.now,
    )  # fmt: skip
    _changed(tx, account_id)
    return Entry(account_id, name, kind, allowed, note, tx.now)


def remove(tx: Tx, account_id: int, sender: str, *, allowed: bool) -> str:
    """The spelling of the entry that went. Raises `Missing`, `Invalid`."""
    _, name = read(sender)
    if not tx.run(
        "delete from sender_list where account_id = ? and sender = ? and allowed = ?", account_id, name, int(allowed)
    ):
        raise Missing(f"{name} is not on the list")
    _changed(tx, account_id)
    return name


def _changed(tx: Tx, account_id: int) -> None:
    if account_id != EVERYBODY:
        states.changed(tx, account_id, "SenderEntry")


def everyone(tx: Tx, account_id: int | None = None, *, allowed: bool | None = None) -> list[Entry]:
    """The entries of one list or of all, of one kind or both."""
    rows = tx.all(
        "select account_id, sender, kind, allowed, note, created_at from sender_list"
        " where (?1 is null or account_id = ?1) and (?2 is null or allowed = ?2) order by account_id, sender",
        account_id, allowed,
    )  # fmt: skip
    return [Entry(r[0], r[1], r[2], bool(r[3]), r[4], r[5]) for r in rows]


def look(
    tx: Tx, account_id: int | None, addresses: Sequence[Address], domains: Sequence[str], ip: str
) -> tuple[str, str]:
    """The entry that lets a message in and the one that keeps it out, '' each without; at most one of them is there.

    `addresses` are those it comes from (From, the envelope), `domains` more that a proof speaks for, `ip` the peer.
    """
    if not tx.value("select 1 from sender_list limit 1"):
        return "", ""
    names = [name_of(address) for address in addresses]
    for domain in (*(address.domain for address in addresses), *domains):
        names += _with_parents(domain)
    names += _networks(tx, account_id, ip)
    asked = list(dict.fromkeys(names))[: LIMITS.sender_names]
    rows = tx.all(
        "select sender, allowed, account_id from sender_list where account_id in (0, ?)"
        f" and sender in ({', '.join('?' * len(asked))})",
        account_id or EVERYBODY, *asked,
    )  # fmt: skip
    if not rows:
        return "", ""
    place = {name: number for number, name in enumerate(asked)}
    sender, allowed, _ = min(rows, key=lambda row: (row[2] == EVERYBODY, place[row[0]]))
    return (sender, "") if allowed else ("", sender)


def _with_parents(domain: str) -> list[str]:
    """`a.b.example`, `b.example`: an entry is never a top-level domain."""
    labels = domain.split(".")[-LIMITS.sender_labels :]
    return [".".join(labels[at:]) for at in range(len(labels) - 1)]


def _networks(tx: Tx, account_id: int | None, ip: str) -> list[str]:
    """The networks on the lists that the address is in, the smallest first."""
    around = _around(ip)
    if not around or not tx.value(
        "select 1 from sender_list where kind = 'network' and account_id in (0, ?) limit 1", account_id or EVERYBODY
    ):
        return []
    rows = tx.all(
        f"select sender from sender_list where account_id in (0, ?) and sender in ({', '.join('?' * len(around))})",
        account_id or EVERYBODY, *around,
    )  # fmt: skip
    listed = {row[0] for row in rows}
    return [network for network in around if network in listed]


@lru_cache(maxsize=256)
def _around(ip: str) -> tuple[str, ...]:
    """Every network that an address is in, the smallest first: some dozens to look up, however many are listed."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ()
    address = getattr(address, "ipv4_mapped", None) or address
    lengths = range(address.max_prefixlen, -1, -1)
    return tuple(str(ipaddress.ip_network((address, length), strict=False)) for length in lengths)
