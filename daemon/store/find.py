"""Finding messages over mailboxes: conditions compiled to SQL, text looked for in the bytes afterwards.

A query is a tree of `Term`s under `Not`, `All` and `Any`. What SQL can answer it answers; a term about the text of a
message is unknown to it, so it gives every row that may match together with the answers it has, and `matches` decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.mail.address import Address
from daemon.store import fulltext, keywords
from daemon.store.blobs import Place
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `kind` is a key of `_SQL`, or `body` or `text`, which ask the message itself."""

    kind: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Not:
    query: Query


@dataclass(frozen=True, slots=True)
class All:
    """And: true of all; with no parts, of everything."""

    parts: tuple[Query, ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """Or."""

    parts: tuple[Query, ...]


Query = Term | Not | All | Either
TEXT = frozenset(("body", "text"))
HALVES = {
    "body": ("body",),
    "text": ("head", "body"),
    **dict.fromkeys(("from", "to", "cc", "bcc", "subject", "any"), ("head",)),
}  # where the full-text index has what a term is about
_SQL = {
    "from": "instr(c.from_text, ?1) > 0",
    "to": "instr(c.to_text, ?1) > 0",
    "cc": "instr(c.cc_text, ?1) > 0",
    "bcc": "instr(c.bcc_text, ?1) > 0",
    # base_subject is lower case in every script, but without "Re:"
    "subject": "(instr(lower(c.subject), ?1) > 0 or instr(c.base_subject, ?1) > 0)",
    "any": "(instr(lower(c.subject), ?1) > 0 or instr(c.base_subject, ?1) > 0 or instr(c.from_text, ?1) > 0"
    " or instr(c.to_text, ?1) > 0 or instr(c.cc_text, ?1) > 0)",
    "in": "(lower(x.name) = ?1 or lower(x.special_use) = '\\' || ?1)",
    "below": "(lower(x.name) = ?1 or substr(lower(x.name), 1, length(?1) + 1) = ?1 || '/')",
    "flag": "m.flags & ?1 <> 0",
    "keyword": "instr(' ' || lower(k.names) || ' ', ' ' || ?1 || ' ') > 0",
    "since": "e.received_at >= ?1",
    "before": "e.received_at < ?1",
    "sent-since": "c.sent_at >= ?1",
    "sent-before": "c.sent_at < ?1",
    "larger": "e.size > ?1",
    "smaller": "e.size < ?1",
    "id": "e.id = ?1",
    "message-id": "c.message_id = ?1",
    "trace": "e.trace = ?1",
    "attachment": "c.has_attachment <> 0",
}
KINDS = frozenset(_SQL) | TEXT
_FROM = (
    " from membership m join mailbox x on x.id = m.mailbox_id join email e on e.id = m.email_id"
    " join blob b on b.id = e.blob_id left join content c on c.blob_id = e.blob_id"
    " join keyword_set k on k.id = m.keywords"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A membership that may match. `answers` are those of SQL to the terms of `leaves`, in order."""

    email_id: int
    mailbox_id: int
    uid: int
    answers: tuple[bool, ...]


def leaves(query: Query, beyond: frozenset[str] = TEXT) -> list[Term]:
    """The terms that SQL answers, each once; `beyond`: kinds of those that it does not."""
    match query:
        case Term():
            return [] if query.kind in beyond else [query]
        case Not(inner):
            return leaves(inner, beyond)
        case All(parts) | Either(parts):
            return list(dict.fromkeys(term for part in parts for term in leaves(part, beyond)))


def needs_text(query: Query, beyond: frozenset[str] = TEXT) -> bool:
    """Whether it has terms that SQL does not answer."""
    match query:
        case Term():
            return query.kind in beyond
        case Not(inner):
            return needs_text(inner, beyond)
        case All(parts) | Either(parts):
            return any(needs_text(part, beyond) for part in parts)


Sure = dict[Term, set[int]]
"""Emails that surely fit a term about their text."""


def narrowed(tx: Tx, query: Query, account_id: int | None) -> tuple[set[int] | None, Sure]:
    """The emails that may match as the full-text index knows them, None where it does not help; and what is sure."""
    sure: Sure = {}
    if account_id is not None:
        return _narrowed(tx, query, account_id, sure), sure
    maybe: set[int] = set()
    for (account,) in tx.all("select id from account where messages > 0"):
        found = _narrowed(tx, query, account, sure)
        if found is None and fulltext.behind(tx, account, 0)[0]:
            return None, sure  # it is the query that the index does not help with
        maybe |= fulltext.emails_of(tx, account) if found is None else found
    return maybe, sure


def _narrowed(tx: Tx, query: Query, account_id: int, sure: Sure) -> set[int] | None:
    match query:
        case Term("header", (_, str(text))) if text:
            known = fulltext.look(tx, account_id, text, ("head",))
            return None if known is None else known.maybe
        case Term(kind, str(text)) if kind in HALVES:
            known = fulltext.look(tx, account_id, text, HALVES[kind])
            if known is not None and kind in TEXT:
                sure.setdefault(query, set()).update(known.sure)
            return None if known is None else known.maybe
        case All(parts):
            some = [found for part in parts if (found := _narrowed(tx, part, account_id, sure)) is not None]
            return set.intersection(*some) if some else None
        case Either(parts):
            every = [_narrowed(tx, part, account_id, sure) for part in parts]
            return None if None in every else set[int]().union(*(found for found in every if found is not None))
    return None


def candidates(
    tx: Tx, query: Query, account_id: int | None, limit: int | None = None, within: set[int] | None = None
) -> list[Hit]:
    """Memberships that may match, newest first; with `limit`, of that many messages (only without text terms); with
    `within`, of these only."""
    terms = leaves(query)
    unsure = needs_text(query)
    where, params = _compile(query, True)
    if within is not None:
        where, params = f"e.id in (select value from json_each(?)) and {where}", [json.dumps(list(within)), *params]
    if account_id is not None:
        where, params = f"x.account_id = ? and {where}", [account_id, *params]
    answers, values = [], list[Any]()
    for term in terms if unsure else ():
        sql, own = _term(term)
        answers.append(f"coalesce({sql}, 0)")
        values += own
    columns = ", ".join(("e.id, m.mailbox_id, m.uid", *answers))
    found: list[Hit] = []
    seen: set[int] = set()
    for row in tx.each(
        f"select {columns}{_FROM} where {where} order by e.received_at desc, e.id desc, m.mailbox_id", *values, *params
    ):
        if row[0] not in seen:
            if limit is not None and len(seen) >= limit:
                break
            seen.add(row[0])
        found.append(Hit(row[0], row[1], row[2], tuple(bool(a) for a in row[3:])))
    return found


def matches(query: Query, answers: dict[Term, bool], text_of: Callable[[Term], bool]) -> bool:
    """Decide with the answers of SQL, and `text_of` for the terms it cannot answer."""
    match query:
        case Term():
            return answers[query] if query in answers else text_of(query)
        case Not(inner):
            return not matches(inner, answers, text_of)
        case All(parts):
            return all(matches(part, answers, text_of) for part in parts)
        case Either(parts):
            return any(matches(part, answers, text_of) for part in parts)


def _compile(query: Query, positive: bool) -> tuple[str, list[Any]]:
    """A condition true of every row that may match; what SQL cannot know is taken as true."""
    match query:
        case Term():
            if query.kind in TEXT:
                return "1", []
            sql, params = _term(query)
            return (sql, params) if positive else (f"not coalesce({sql}, 0)", params)
        case Not(inner):
            return _compile(inner, not positive)
        case All(parts) | Either(parts):
            both = isinstance(query, All) == positive
            compiled = [_compile(part, positive) for part in parts]
            if not compiled:
                return ("1" if positive else "0"), []
            joined = (" and " if both else " or ").join(sql for sql, _ in compiled)
            return f"({joined})", [p for _, params in compiled for p in params]


def _term(term: Term) -> tuple[str, list[Any]]:
    """Numbered parameters made plain ones, so that terms can be joined."""
    sql = _SQL[term.kind]
    return sql.replace("?1", "?"), [term.value] * sql.count("?1")


# -------------------------------------------------------------------------------------------------------------- showing


@dataclass(frozen=True, slots=True)
class Row:
    """One message as it is listed. `mailboxes` are all it is in; flags and UID are those of the first."""

    email_id: int
    account_id: int
    user: str
    mailboxes: tuple[str, ...]
    uid: int
    flags: int
    keywords: tuple[str, ...]
    received_at: int
    size: int
    trace: str | None
    envelope: bytes
    message_id: str | None
    subject: str
    sent_at: int | None
    preview: str
    has_attachment: bool
    place: Place
    prefix: bytes
    parts: bytes


def rows(tx: Tx, email_ids: Sequence[int]) -> list[Row]:
    """Messages by id, in the order given; those that are gone are left out."""
    found = []
    for email_id in email_ids:
        row = tx.one(
            "select e.id, e.account_id, a.local, d.name, e.received_at, e.size, e.trace,"
            " coalesce(c.envelope, x''), c.message_id, coalesce(c.subject, ''), c.sent_at, coalesce(c.preview, ''),"
            " coalesce(c.has_attachment, 0), b.segment_id, b.offset, b.length, e.prefix, coalesce(c.parts, x'')"
            " from email e join account a on a.id = e.account_id join domain d on d.id = a.domain_id"
            " join blob b on b.id = e.blob_id left join content c on c.blob_id = b.id where e.id = ?",
            email_id,
        )
        places = tx.all(
            "select x.name, m.uid, m.flags, m.keywords from membership m join mailbox x on x.id = m.mailbox_id"
            " where m.email_id = ? order by x.name <> 'INBOX', x.name",
            email_id,
        )
        if row is None or not places:
            continue
        found.append(
            Row(
                email_id=row[0],
                account_id=row[1],
                user=str(Address(row[2], row[3])),
                mailboxes=tuple(dict.fromkeys(p[0] for p in places)),
                uid=places[0][1],
                flags=places[0][2],
                keywords=keywords.names_of(tx, places[0][3]),
                received_at=row[4],
                size=row[5],
                trace=row[6],
                envelope=row[7],
                message_id=row[8],
                subject=row[9],
                sent_at=row[10],
                preview=row[11],
                has_attachment=bool(row[12]),
                place=Place(row[13], row[14], row[15]),
                prefix=row[16],
                parts=row[17],
            )
        )
    return found


def memberships(tx: Tx, email_ids: Sequence[int]) -> dict[int, list[int]]:
    """UIDs by mailbox, sorted, of these messages: where they must be taken from."""
    found: dict[int, list[int]] = {}
    for email_id in email_ids:
        for mailbox_id, uid in tx.all("select mailbox_id, uid from membership where email_id = ?", email_id):
            found.setdefault(mailbox_id, []).append(uid)
    return {mailbox: sorted(uids) for mailbox, uids in found.items()}


# ------------------------------------------------------------------------------------------ what is there, by its bytes


def identities(tx: Tx, mailbox_id: int) -> Iterator[tuple[bytes, int, bytes]]:
    """What every message of a mailbox is made of: its prefix, and length and SHA-256 of the bytes behind it."""
    for row in tx.each(
        "select e.prefix, b.length, b.sha256 from membership m join email e on e.id = m.email_id"
        " join blob b on b.id = e.blob_id where m.mailbox_id = ?",
        mailbox_id,
    ):
        yield row[0], row[1], row[2]
