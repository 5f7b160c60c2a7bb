"""The full-text index in the database: which messages may contain a text, and how far the index is.

Searches ask `look` (or `narrow`), which never leave out a message that contains the text; what is not indexed yet is
among those that may. The worker (`flow.indexing`) asks what comes next and writes blocks: `begin`, `add` some times,
`finish`, which is when searches see it; blocks that are gone are swept away in steps.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.mail import words
from daemon.mail.words import Piece
from daemon.store.blobs import Place
from daemon.store.inverted import Half, reader
from daemon.store.tx import Tx

HALVES = ("head", "body")
_DAY = 86_400_000  # milliseconds


@dataclass(frozen=True, slots=True)
class Found:
    """What may contain a text, and what of it surely does."""

    maybe: set[int]
    sure: set[int]


# ----------------------------------------------------------------------------------------------------------- searching


class Sought(NamedTuple):
    """A text that is looked for, and in which halves of the index: in headers ('head': what we put before them
    included), in bodies ('body': text and names of attachments). `whole`: it is one piece."""

    pieces: Sequence[Piece]
    whole: bool
    halves: Sequence[str]


def sought(text: str, halves: Sequence[str] = HALVES) -> Sought | None:
    """None for what the index does not help with."""
    pieces = words.pieces(text.lower())
    whole = len(pieces) == 1 and pieces[0].text == text.lower()
    return Sought(pieces, whole, halves) if pieces else None


class View:
    """A block as a search sees it: numbers of emails, and `ids` by number."""

    def __init__(self, tx: Tx, block_id: int, ids: Sequence[int]) -> None:
        self.ids = ids
        self._tx = tx
        self._block_id = block_id
        self._halves: dict[str, Half | None] = {}

    def look(self, wanted: Sought) -> Found:
        """The numbers. One set, where all that may contain it do."""
        found = [self._look(half, wanted) for half in wanted.halves]
        if len(found) == 1:
            return found[0]
        return Found(set().union(*(one.maybe for one in found)), set().union(*(one.sure for one in found)))

    def _look(self, half: str, wanted: Sought) -> Found:
        try:
            if half not in self._halves:
                self._halves[half] = None
                self._halves[half] = half_of(self._tx, self._block_id, half)
            there = self._halves[half]
            if there is not None:
                return Found(*there.search(wanted.pieces, wanted.whole, len(self.ids)))
        except (LookupError, ValueError, struct.error):  # damaged, as `wrong` tells: its messages are read
            pass
        return Found(set(range(len(self.ids))), set())

    def emails(self, numbers: set[int]) -> set[int]:
        return set(map(self.ids.__getitem__, numbers))


def views(tx: Tx, account_id: int) -> Iterator[View]:
    for block, count, packed in tx.all(
        "select id, emails, ids from fulltext_block where account_id = ? and state = 'used'", account_id
    ):
        yield View(tx, block, struct.unpack(f"<{count}q", packed))


def unread(tx: Tx, account_id: int) -> set[int] | None:
    """The emails that are in no block; None when there is no index."""
    up_to = _up_to(tx, account_id)
    if not up_to:
        return None
    return {r[0] for r in tx.all("select id from email where account_id = ? and id > ?", account_id, up_to)}


def look(tx: Tx, account_id: int, text: str, halves: Sequence[str] = HALVES) -> Found | None:
    """Where in an account a text may be. None: nothing is known, it may be anywhere. Emails that are gone may be among
    them."""
    wanted, rest = sought(text, halves), unread(tx, account_id)
    if wanted is None or rest is None:
        return None
    found = Found(rest, set())
    for view in views(tx, account_id):
        here = view.look(wanted)
        maybe = view.emails(here.maybe)
        found.maybe.update(maybe)
        found.sure.update(maybe if here.sure is here.maybe else view.emails(here.sure))
    return found


def narrow(tx: Tx, account_id: int, texts: Sequence[str]) -> set[int] | None:
    """The blobs that may contain all these texts, each anywhere; None when that is no help."""
    emails: set[int] | None = None
    for text in texts:
        found = look(tx, account_id, text)
        if found is not None:
            emails = found.maybe if emails is None else emails & found.maybe
    if emails is None:
        return None
    listed = json.dumps(list(emails))
    return {r[0] for r in tx.all("select blob_id from email where id in (select value from json_each(?))", listed)}


def uids(tx: Tx, mailbox_id: int, emails: set[int]) -> list[int]:
    """Where these emails are in a mailbox, in order."""
    total = tx.value("select total from mailbox where id = ?", mailbox_id) or 0
    if len(emails) > total // 4:
        rows = tx.all("select email_id, uid from membership where mailbox_id = ?", mailbox_id)
        return sorted(uid for email, uid in rows if email in emails)
    rows = tx.all(
        "select m.uid from json_each(?) j cross join membership m indexed by membership_email on m.email_id = j.value"
        " where m.mailbox_id = ? order by m.uid",
        json.dumps(list(emails)), mailbox_id,
    )  # fmt: skip
    return [r[0] for r in rows]


def emails_of(tx: Tx, account_id: int) -> set[int]:
    return {r[0] for r in tx.all("select id from email where account_id = ?", account_id)}


def half_of(tx: Tx, block_id: int, half: str) -> Half:
    """Half of a block that is used. The transaction must be one view: a sweep may come between two."""
    row = tx.one(
        "select vocabulary, marked, steps, offsets from fulltext_half where block_id = ? and half = ?", block_id, half
    )
    if row is None:
        raise LookupError(f"half of the full-text block {block_id} is gone")
    known: dict[int, bytes] = {}

    def part(number: int) -> bytes:
        if number not in known:
            octets = tx.value(
                "select octets from fulltext_numbers where block_id = ? and half = ? and part = ?",
                block_id, half, number,
            )  # fmt: skip
            if octets is None:
                raise LookupError(f"numbers of the full-text block {block_id} are gone")
            known[number] = octets
        return known[number]

    vocabulary, marked, steps, offsets = row
    return Half(vocabulary, marked, steps, offsets, reader(part, LIMITS.fulltext_part))


# ------------------------------------------------------------------------------------------------ what comes next


@dataclass(frozen=True, slots=True)
class Waiting:
    """An email that is in no block."""

    email_id: int
    place: Place
    prefix: bytes
    parts: bytes


@dataclass(frozen=True, slots=True)
class Block:
    id: int
    first_email: int
    last_email: int
    emails: int
    weight: int
    ids: tuple[int, ...]


def arrived(tx: Tx, after: int) -> tuple[list[int], int]:
    """The accounts that have emails above this one, and the highest there is."""
    highest = tx.value("select max(id) from email") or 0
    if not after:
        return [r[0] for r in tx.all("select id from account order by id")], highest
    rows = tx.all("select distinct account_id from email where id > ? and id <= ? order by 1", after, highest)
    return [r[0] for r in rows], highest


def unbegun(tx: Tx, least: int) -> list[int]:
    """The accounts with so much mail and no index: those whose index is to be made anew."""
    rows = tx.all(
        "select id from account where messages >= ? and id not in (select account_id from fulltext) order by id", least
    )
    return [r[0] for r in rows]


def accounts(tx: Tx) -> list[int]:
    """The accounts with an index."""
    return [r[0] for r in tx.all("select account_id from fulltext order by 1")]


def behind(tx: Tx, account_id: int, limit: int) -> tuple[int, int]:
    """Up to which email an account is indexed, and how many are above, counted up to `limit`."""
    up_to = _up_to(tx, account_id)
    waiting = tx.value(
        "select count(*) from (select 1 from email where account_id = ? and id > ? limit ?)", account_id, up_to, limit
    )
    return up_to, waiting


def waiting(tx: Tx, account_id: int, after: int, limit: int) -> list[Waiting]:
    """The next emails of an account, in order."""
    rows = tx.all(
        "select e.id, b.segment_id, b.offset, b.length, e.prefix, coalesce(c.parts, x'') from email e"
        " join blob b on b.id = e.blob_id left join content c on c.blob_id = e.blob_id"
        " where e.account_id = ? and e.id > ? order by e.id limit ?",
        account_id, after, limit,
    )  # fmt: skip
    return [Waiting(r[0], Place(r[1], r[2], r[3]), r[4], r[5]) for r in rows]


def blocks(tx: Tx, account_id: int) -> list[Block]:
    """The blocks of an account in use, the oldest first."""
    rows = tx.all(
        "select id, first_email, last_email, emails, weight, ids from fulltext_block"
        " where account_id = ? and state = 'used' order by first_email",
        account_id,
    )
    return [Block(r[0], r[1], r[2], r[3], r[4], struct.unpack(f"<{r[3]}q", r[5])) for r in rows]


def living(tx: Tx, account_id: int, first: int, last: int) -> set[int]:
    """The emails of an account between two, both included."""
    return {
        r[0]
        for r in tx.all("select id from email where account_id = ? and id between ? and ?", account_id, first, last)
    }


def haunted(tx: Tx, account_id: int) -> list[int]:
    """The blocks of an account out of which some emails should be taken that are gone: many, or since a day."""
    rows = tx.all(
        "select id, emails, made_at, (select count(*) from email e where e.account_id = b.account_id"
        " and e.id between b.first_email and b.last_email) from fulltext_block b"
        " where account_id = ? and state = 'used'",
        account_id,
    )
    return [
        block for block, emails, made_at, living in rows
        if emails - living > (emails // 8 if made_at > tx.now - _DAY else 0)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the index is: emails in all, those in blocks, octets it takes."""

    emails: int
    indexed: int
    size: int


def standing(tx: Tx, account_id: int | None = None) -> Standing:
    """Of an account or of all."""
    where, params = ("where a.id = ?", [account_id]) if account_id is not None else ("", list[Any]())
    emails, indexed = tx.one(
        "select coalesce(sum(a.messages), 0), coalesce(sum((select count(*) from email e"
        f" where e.account_id = a.id and e.id <= f.email_id)), 0) from account a"
        f" left join fulltext f on f.account_id = a.id {where}",
        *params,
    ) or (0, 0)
    of = "where block_id in (select id from fulltext_block where account_id = ?)" if params else ""
    size = sum(
        tx.value(f"select coalesce(sum(length({what})), 0) from {table} {of}", *params)
        for table, what in (("fulltext_half", "vocabulary) + length(offsets"), ("fulltext_numbers", "octets"))
    )
    return Standing(emails, indexed, size)


# ------------------------------------------------------------------------------------------------------------- writing


def begin(tx: Tx, account_id: int, ids: Sequence[int], last: int, weight: int) -> int:
    """A new block that nobody sees yet, of all these emails of an account from the first of them to `last`; its id."""
    return tx.insert(
        "insert into fulltext_block (account_id, state, first_email, last_email, emails, weight, ids, made_at)"
        " values (?, 'made', ?, ?, ?, ?, ?, ?)",
        account_id, min(ids, default=last), last, len(ids), weight, struct.pack(f"<{len(ids)}q", *ids), tx.now,
    )  # fmt: skip


def add_half(tx: Tx, block_id: int, half: str, vocabulary: bytes, marked: int, steps: bytes, offsets: bytes) -> None:
    tx.run(
        "insert into fulltext_half (block_id, half, vocabulary, marked, steps, offsets) values (?, ?, ?, ?, ?, ?)",
        block_id, half, vocabulary, marked, steps, offsets,
    )  # fmt: skip


def add_numbers(tx: Tx, block_id: int, half: str, first: int, parts: Sequence[bytes]) -> None:
    """Some pieces of the numbers, from the piece `first` on."""
    tx.many(
        "insert into fulltext_numbers (block_id, half, part, octets) values (?, ?, ?, ?)",
        [(block_id, half, number, octets) for number, octets in enumerate(parts, first)],
    )


def finish(tx: Tx, account_id: int, block_id: int, instead_of: Sequence[int], before: int, up_to: int) -> bool:
    """The block is used from now on, others are not, and the index goes up to the email `up_to`.

    False, and the block is gone, when meanwhile it no longer went up to `before`, or one of the others is gone."""
    there = tx.value(
        "select count(*) from fulltext_block where state = 'used' and id in (select value from json_each(?))",
        json.dumps(list(instead_of)),
    )
    valid = _up_to(tx, account_id) == before and there == len(instead_of)
    if valid and tx.value("select 1 from account where id = ?", account_id):
        _gone(tx, instead_of)
        tx.run("update fulltext_block set state = 'used' where id = ? and emails > 0", block_id)
        tx.run("update fulltext_block set state = 'gone' where id = ? and emails = 0", block_id)
        tx.run(
            "insert into fulltext (account_id, email_id) values (?1, ?2)"
            " on conflict (account_id) do update set email_id = ?2",
            account_id, up_to,
        )  # fmt: skip
        return True
    _gone(tx, [block_id])
    return False


def forget(tx: Tx, account_id: int | None = None) -> int:
    """The index of an account, or of all, is made anew from nothing; how many accounts. Searches read messages until
    then."""
    where, params = ("account_id = ?", [account_id]) if account_id is not None else ("1", list[Any]())
    tx.run(f"update fulltext_block set state = 'gone' where {where}", *params)
    for account in tx.all(f"select account_id from fulltext where {where}", *params):
        tx.account_touched(*account)
    return tx.run(f"delete from fulltext where {where}", *params)


def abandon(tx: Tx) -> None:
    """Blocks that were being made when a server ended are gone."""
    tx.run("update fulltext_block set state = 'gone' where state = 'made'")


def sweep(tx: Tx, limit: int) -> int:
    """Take away up to `limit` pieces of what is gone; how many went."""
    block = tx.value("select id from fulltext_block where state = 'gone' limit 1")
    if block is None:
        return 0
    went = tx.run(
        "delete from fulltext_numbers where (block_id, half, part) in"
        " (select block_id, half, part from fulltext_numbers where block_id = ? limit ?)",
        block, limit,
    )  # fmt: skip
    if went < limit:
        tx.run("delete from fulltext_half where block_id = ?", block)
        went += tx.run("delete from fulltext_block where id = ?", block)
    return went


def wrong(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """What is not as it must be: (subject, text)."""
    found = [
        (f"account {account}", "there is a full-text index of an account that is not there")
        for (account,) in tx.all(
            "select account_id from fulltext where account_id not in (select id from account)"
            " union select account_id from fulltext_block where state = 'used'"
            " and account_id not in (select account_id from fulltext) limit ?",
            limit,
        )
    ]
    found += [
        (f"full-text block {block}", "it lacks emails that it should have, or has one that is indexed elsewhere")
        for (block,) in tx.all(
            "select b.id from fulltext_block b where state = 'used' and (length(ids) <> 8 * emails or emails <"
            " (select count(*) from email e where e.account_id = b.account_id"
            " and e.id between b.first_email and b.last_email) or (select count(*) from fulltext_half"
            " where block_id = b.id) <> 2 or exists (select 1 from fulltext_block o where o.account_id = b.account_id"
            " and o.state = 'used' and o.id <> b.id and o.first_email between b.first_email and b.last_email)) limit ?",
            limit,
        )
    ]
    return found


def _up_to(tx: Tx, account_id: int) -> int:
    return tx.value("select email_id from fulltext where account_id = ?", account_id) or 0


def _gone(tx: Tx, block_ids: Sequence[int]) -> None:
    tx.many("update fulltext_block set state = 'gone' where id = ?", [(block,) for block in block_ids])
