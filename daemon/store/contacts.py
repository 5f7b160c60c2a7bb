"""People a user knows: his address book. Cards are JSON here; what one looks for is read out of them (`mail.card`)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail import card as cards
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.card import Card
from daemon.store import states
from daemon.store.correspondents import name_of
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.tx import Tx

TYPE = "ContactCard"  # in JMAP


class Contact(NamedTuple):
    id: int
    card: Card
    created_at: int
    updated_at: int


class Wanted(NamedTuple):
    """What is looked for; None: it does not matter. `text`: a part of any word of it, `name` of the name, `email` of an
    address. Times are in ms: from `after` on, before `before`."""

    text: str | None = None
    name: str | None = None
    email: str | None = None
    kind: str | None = None
    uid: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    updated_after: int | None = None
    updated_before: int | None = None


class Changed(NamedTuple):
    """Ids by what became of them since; `until` is how far that goes, `more` that there is more behind."""

    created: list[int]
    updated: list[int]
    destroyed: list[int]
    until: int
    more: bool


ORDERS = {"name": "name", "created": "created_at", "updated": "updated_at", "used": "-used, -used_at, name"}
_COLUMNS = "id, card, created_at, updated_at"


def get(tx: Tx, account_id: int, ids: Iterable[int] | None = None, limit: int = -1) -> list[Contact]:
    """Those of these ids that are there; None: all, up to a limit."""
    rows = tx.all(
        f"select {_COLUMNS} from contact where account_id = ?1 and (?2 is null or id in"
        " (select value from json_each(?2))) order by id limit ?3",
        account_id, None if ids is None else json.dumps(list(ids)), limit,
    )  # fmt: skip
    return [_contact(row) for row in rows]


def find(tx: Tx, account_id: int, wanted: Wanted, order: str = "used", descending: bool = False) -> list[int]:
    """The ids of those that match all that is wanted; by default whom he writes to most stands first."""
    by = ORDERS[order] + (" desc" if descending else "")
    rows = tx.all(
        "select id from contact c where account_id = ?1 and (?2 is null or instr(text, ?2) > 0)"
        " and (?3 is null or instr(name, ?3) > 0) and (?4 is null or exists (select 1 from contact_address a"
        " where a.contact_id = c.id and instr(a.address, ?4) > 0)) and (?5 is null or kind = ?5)"
        " and (?6 is null or uid = ?6) and (?7 is null or created_at >= ?7) and (?8 is null or created_at < ?8)"
        f" and (?9 is null or updated_at >= ?9) and (?10 is null or updated_at < ?10) order by {by}, id",
        account_id, *(None if each is None else cards.fold(each) for each in wanted[:3]), *wanted[3:],
    )  # fmt: skip
    return [row[0] for row in rows]


def add(tx: Tx, account_id: int, card: Card) -> int:
    """A new one; its id. Raises `Exists` (the uid), `Invalid` (no room), `BadCard`."""
    cards.read(card)  # whatever a client said is a card, before anything of it is looked for
    if tx.value("select count(*) from contact where account_id = ?", account_id) >= LIMITS.contacts:
        raise Invalid(f"an address book has at most {LIMITS.contacts} contacts")
    if tx.value("select 1 from contact where account_id = ? and uid = ?", account_id, card.get("uid")):
        raise Exists("there is a contact of this uid already")
    return _insert(tx, account_id, card, 0)


def change(tx: Tx, account_id: int, contact_id: int, card: Card) -> None:
    """The card is this one now. Raises `Missing`, `Exists`, `Invalid`, `BadCard`."""
    text, read = _written(card), cards.read(card)
    other = tx.value(
        "select 1 from contact where account_id = ? and uid = ? and id <> ?", account_id, card["uid"], contact_id
    )
    if other:
        raise Exists("there is a contact of this uid already")
    modseq = states.changed(tx, account_id, TYPE)
    if not tx.run(
        "update contact set uid = ?, card = ?, name = ?, kind = ?, text = ?, collected = 0, updated_at = ?, modseq = ?"
        " where account_id = ? and id = ?",
        card["uid"], text, read.name, read.kind, read.text, tx.now, modseq, account_id, contact_id,
    ):  # fmt: skip
        raise Missing("there is no such contact")
    _keep_addresses(tx, account_id, contact_id, read.addresses)


def remove(tx: Tx, account_id: int, contact_id: int) -> None:
    """Raises `Missing`."""
    created = tx.value(
        "delete from contact where account_id = ? and id = ? returning created_modseq", account_id, contact_id
    )
    if created is None:
        raise Missing("there is no such contact")
    tx.run(
        "insert into contact_tombstone (account_id, contact_id, created_modseq, modseq) values (?, ?, ?, ?)",
        account_id, contact_id, created, states.changed(tx, account_id, TYPE),
    )  # fmt: skip
    _forget(tx, account_id)


def collect(tx: Tx, account_id: int, written: Sequence[tuple[Address, str]]) -> None:
    """A user wrote to these people, under these names ('' for none): who is not in his book gets a card, who was put in
    without a name gets that."""
    for address, name in written:
        spelling = name_of(address)
        there = tx.all(
            "select c.id, c.collected, c.card from contact_address a join contact c on c.id = a.contact_id"
            " where a.account_id = ? and a.address = ?",
            account_id, spelling,
        )  # fmt: skip
        if not there:
            if tx.value("select count(*) from contact where account_id = ?", account_id) < LIMITS.contacts:
                _insert(tx, account_id, cards.collected(str(address), _shown(name), f"urn:uuid:{uuid.uuid4()}"), 1)
            continue
        tx.run(
            "update contact set used = used + 1, used_at = ? where id in (select value from json_each(?))",
            tx.now, json.dumps([row[0] for row in there]),
        )  # fmt: skip
        contact_id, untouched, text = there[0]
        card = json.loads(text)
        if untouched and _shown(name) and not card.get("name"):
            change(tx, account_id, contact_id, {**card, "name": {"full": _shown(name)}})
            tx.run("update contact set collected = 1 where id = ?", contact_id)


def since(tx: Tx, account_id: int, modseq: int, limit: int) -> Changed | None:
    """At most `limit` changes, the oldest first; None: nobody knows any more. What came and went is in no list."""
    now = states.of_type(tx, account_id, TYPE)
    floor = tx.value("select modseq from contact_floor where account_id = ?", account_id) or 0
    if modseq < floor or modseq > now:
        return None
    rows = tx.all(
        "select modseq, id, created_modseq, 0 from contact where account_id = ?1 and modseq > ?2 union all"
        " select modseq, contact_id, created_modseq, 1 from contact_tombstone where account_id = ?1 and modseq > ?2"
        " order by 1 limit ?3",
        account_id, modseq, limit + 1,
    )  # fmt: skip
    more = len(rows) > limit
    rows = rows[:limit]
    return Changed(
        [row[1] for row in rows if not row[3] and row[2] > modseq],
        [row[1] for row in rows if not row[3] and row[2] <= modseq],
        [row[1] for row in rows if row[3] and row[2] <= modseq],
        rows[-1][0] if more else now,
        more,
    )


def wrong(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """What cannot be: (subject, what is wrong)."""
    rows = tx.all(
        "select 'contact ' || c.id, 'changed after its account did, or before it was made' from contact c"
        " join account a on a.id = c.account_id where c.modseq > a.modseq or c.modseq < c.created_modseq"
        " union all select 'contact ' || c.id, 'has an address that is another user''s' from contact_address x"
        " join contact c on c.id = x.contact_id where c.account_id <> x.account_id"
        " union all select 'the state of ' || s.type || ' of account ' || s.account_id, 'is ahead of the account'"
        " from object_state s join account a on a.id = s.account_id where s.modseq > a.modseq limit ?",
        limit,
    )
    return [(subject, text) for subject, text in rows]


# ----------------------------------------------------------------------------------------------------------------------


def _insert(tx: Tx, account_id: int, card: Card, collected: int) -> int:
    text, read = _written(card), cards.read(card)
    modseq = states.changed(tx, account_id, TYPE)
    contact_id = tx.insert(
        "insert into contact (account_id, uid, card, name, kind, text, collected, used, used_at, created_at,"
        " updated_at, created_modseq, modseq) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        account_id, card["uid"], text, read.name, read.kind, read.text, collected, collected,
        tx.now if collected else 0, tx.now, tx.now, modseq, modseq,
    )  # fmt: skip
    _keep_addresses(tx, account_id, contact_id, read.addresses)
    return contact_id


def _written(card: Card) -> str:
    text = json.dumps(card, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-8", "surrogatepass")) > LIMITS.contact_card:
        raise Invalid(f"a card has at most {LIMITS.contact_card} octets")
    if re.search("[\ud800-\udfff]", text):
        raise Invalid("a card is text in Unicode")
    return text


def _keep_addresses(tx: Tx, account_id: int, contact_id: int, addresses: Sequence[str]) -> None:
    names = set()
    for each in addresses:
        try:
            names.add(name_of(parse_address(each)))
        except BadAddress:
            continue
    tx.run("delete from contact_address where contact_id = ?", contact_id)
    tx.many(
        "insert into contact_address (account_id, address, contact_id) values (?, ?, ?)",
        [(account_id, name, contact_id) for name in sorted(names)],
    )


def _shown(name: str) -> str:
    """A name as it came in a message, made harmless."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", " ", name).split())[: LIMITS.contact_name]


def _forget(tx: Tx, account_id: int) -> None:
    """The oldest tombstones go, and how far they went is remembered."""
    count = tx.value("select count(*) from contact_tombstone where account_id = ?", account_id)
    if count <= LIMITS.contacts:
        return
    gone = tx.all(
        "delete from contact_tombstone where (account_id, modseq, contact_id) in (select account_id, modseq, contact_id"
        " from contact_tombstone where account_id = ? order by modseq limit ?) returning modseq",
        account_id, count - LIMITS.contacts,
    )  # fmt: skip
    tx.run(
        "insert into contact_floor (account_id, modseq) values (?, ?)"
        " on conflict (account_id) do update set modseq = excluded.modseq",
        account_id, max(row[0] for row in gone),
    )  # fmt: skip


def _contact(row: tuple[int, str, int, int]) -> Contact:
    return Contact(row[0], json.loads(row[1]), row[2], row[3])
