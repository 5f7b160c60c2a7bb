"""Scripts of people in a house, mail that comes for them, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVarTuple

from daemon.flow import receive
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store import accounts, events, mailboxes, messages, sieve
from daemon.store.check import check
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.flow.house import House

Ts = TypeVarTuple("Ts")

ANN, BOB, CARL = "ann@here.example", "bob@here.example", "carl@far.example"
MAIL = (
    b"From: Carl <carl@far.example>\r\nTo: Ann <ann@here.example>\r\nSubject: Lunch\r\nMessage-ID: <m1@far.example>\r\n"
    b"References: <m0@far.example>\r\n\r\nToday?\r\n"
)


def account(house: House, user: str) -> int:
    return house.store.peek(accounts.get, parse_address(user)).id


def script(house: House, user: str, text: str, name: str = "main") -> None:
    house.store.write_now(activated, account(house, user), text, name)


def activated(tx: Tx, account_id: int, text: str, name: str = "main") -> None:
    """It is his script from now on."""
    sieve.put(tx, account_id, name, text)
    sieve.activate(tx, account_id, name)


def meanwhile(house: House, work: Callable[[Tx, *Ts], object], *args: *Ts) -> None:
    """Another process writes, while the house's writer plans."""
    other = Store.open(house.store.data)
    try:
        other.write_now(work, *args)
    finally:
        other.close()


def everybody(house: House, name: str, text: str, place: str = "before", domain: str = "") -> None:
    house.store.write_now(lambda tx: sieve.put_global(tx, name, text, place=place, domain=domain))


async def accept(
    house: House, *to: str, sender: str = CARL, kind: str = "smtp", data: bytes = MAIL, notify: str | None = None
) -> receive.Receipt:
    envelope = Envelope(
        parse_address(sender) if sender else None, [Recipient(parse_address(t), notify=notify) for t in to]
    )
    origin = Origin(kind, peer="192.0.2.1", helo="far.example")
    receipt = await receive.accept(house.store, origin, envelope, Body.of(data), config=house.config)
    assert [*check(house.store)] == []
    return receipt


def boxes(house: House, user: str) -> dict[str, list[bytes]]:
    """What is in each of a user's mailboxes that has something."""

    def work(tx: Tx) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for box in mailboxes.everyone(tx, account(house, user)):
            rows = messages.fetch(tx, box.id, messages.ALL, ("prefix", "segment_id", "offset", "length"))
            if rows:
                found[box.name] = [prefix + house.store.segments.read(*place) for prefix, *place in rows]
        return found

    return house.store.read_now(work)


def marks(house: House, user: str, mailbox: str) -> list[tuple[int, str]]:
    """Flags and keywords of what is in a mailbox."""
    return house.store.read_now(
        Tx.all,
        "select m.flags, k.names from membership m join keyword_set k on k.id = m.keywords join mailbox b"
        " on b.id = m.mailbox_id where b.account_id = ? and b.name = ?",
        account(house, user), mailbox,
    )  # fmt: skip


def steps(house: House, receipt: receive.Receipt) -> list[str]:
    """What the trace says that scripts did."""
    told = [e for e in house.store.read_now(events.of_trace, receipt.trace) if e.kind == "ruled"]
    return [f"{s['script']}:{s['line']} {s['did']}" for e in told for s in e.detail["steps"]]


def text(house: House, user: str, mailbox: str = "INBOX", at: int = 0) -> str:
    return boxes(house, user)[mailbox][at].decode()


class Fewer:
    """Limits that a test can reach."""

    def __init__(self, **fewer: int) -> None:
        self.fewer = fewer

    def __getattr__(self, name: str) -> int:
        found: int = self.fewer[name] if name in self.fewer else getattr(LIMITS, name)
        return found
