"""Which emails of an account fit a condition, in an order (RFC 8621 §4.4): conditions and orders compiled to SQL.

A query is a tree as `find` has it; its terms are those of JMAP (`TERMS`). What stands in the bytes alone (`BYTES`) SQL
cannot decide: `parted` tells that from the rest, `answers` what SQL knows of it, and `find.matches` asks about more.

One mailbox by date, which is what all clients ask for, comes out of one index and costs what is taken of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from daemon.store.emails import KEYWORDS
from daemon.store.find import HALVES, All, Either, Not, Query, Term, needs_text
from daemon.store.keywords import SEEN
from daemon.store.tx import Tx

BYTES = frozenset(("body", "header"))
_TEXTUAL = BYTES | frozenset(HALVES)
_FEW = 8  # a part of all this small is looked up one by one
_FIRST = 64  # rows read for a page, and then twice as many each time, up to
_MORE = 4096
_THREAD = "email y indexed by email_thread where y.account_id = e.account_id and y.thread_id = e.thread_id"
_TERMS = {
    "mailbox": "exists (select 1 from membership x where x.email_id = e.id and x.mailbox_id = ?1)",
    "elsewhere": "exists (select 1 from membership x where x.email_id = e.id"
    " and x.mailbox_id not in (select value from json_each(?1)))",
    "before": "e.received_at < ?1",
    "after": "e.received_at >= ?1",
    "least": "e.size >= ?1",
    "most": "e.size < ?1",
    "attachment": "coalesce(c.has_attachment, 0) = ?1",
    "from": "instr(c.from_text, ?1) > 0",
    "to": "instr(c.to_text, ?1) > 0",
    "cc": "instr(c.cc_text, ?1) > 0",
    "bcc": "instr(c.bcc_text, ?1) > 0",
    "subject": "(instr(lower(c.subject), ?1) > 0 or instr(c.base_subject, ?1) > 0)",
    "any": "(instr(c.from_text, ?1) > 0 or instr(c.to_text, ?1) > 0 or instr(c.cc_text, ?1) > 0"
    " or instr(c.bcc_text, ?1) > 0 or instr(lower(c.subject), ?1) > 0 or instr(c.base_subject, ?1) > 0)",
}
_KEYWORD_TERMS = {  # a term about a keyword, by what has it
    "keyword": "{e}",
    "some-keyword": f"exists (select 1 from {_THREAD} and {{y}})",
    "all-keyword": f"not exists (select 1 from {_THREAD} and not {{y}})",
}
TERMS = frozenset(_TERMS) | frozenset(_KEYWORD_TERMS) | BYTES
_ORDERS = {
    "receivedAt": "e.received_at",
    "size": "e.size",
    "from": "ltrim(coalesce(c.from_text, ''), '\"'' <')",
    "to": "ltrim(coalesce(c.to_text, ''), '\"'' <')",
    "subject": "coalesce(c.base_subject, '')",
    "sentAt": "coalesce(c.sent_at, e.received_at)",
}
_KEYWORD_ORDERS = {
    "hasKeyword": "keyword",
    "someInThreadHaveKeyword": "some-keyword",
    "allInThreadHaveKeyword": "all-keyword",
}
ORDERS = (*_ORDERS, *_KEYWORD_ORDERS)


class Order(NamedTuple):
    """One step of a sort; a key of `ORDERS`, with the keyword that it may be about."""

    by: str
    ascending: bool = False
    keyword: str | None = None


Row = tuple[int, int]
"""An email that fits, as far as SQL can say: its id, its thread."""


def rows(
    tx: Tx, account_id: int, query: Query, orders: Sequence[Order], within: set[int] | None = None
) -> Iterator[list[Row]]:
    """Those that fit, in order, each once, some at a time. `within`: no others are wanted, though they may come."""
    box, rest = driver(query)
    there = (
        tx.value("select messages from account where id = ?", account_id)
        if box is None
        else tx.value("select total from mailbox where id = ? and account_id = ?", box, account_id)
    )
    if not there or within == set():
        return
    few = within if within is not None and len(within) * _FEW < there else None
    sql, params = _statement(account_id, box, rest, orders or (Order("receivedAt"),), few)
    cursor = tx.each(sql, *params)
    seen: set[int] = set()
    count = _FIRST
    while batch := cursor.fetchmany(count):
        fresh = {row[0]: row for row in batch}
        for email_id in seen.intersection(fresh):
            del fresh[email_id]
        seen.update(fresh)
        yield list(fresh.values())
        count = min(2 * count, _MORE)


def answers(tx: Tx, ids: Sequence[int], terms: Sequence[Term]) -> dict[Term, set[int]]:
    """Of which of these emails SQL says that a term is true, by terms that it can answer."""
    asked = [_sql(term) for term in terms]
    columns = ", ".join(("e.id", *(f"coalesce({sql}, 0)" for sql, _ in asked)))
    rows = (
        tx.all(
            f"select {columns} from json_each(?) j cross join email e on e.id = j.value"
            " left join content c on c.blob_id = e.blob_id",
            *(value for _, values in asked for value in values), json.dumps(ids),
        ) if terms and ids else ()
    )  # fmt: skip
    return {term: {row[0] for row in rows if row[at]} for at, term in enumerate(terms, 1)}


def only_mailbox(query: Query) -> int | None:
    """The mailbox, of a query that asks for all of one and for nothing else."""
    box, rest = driver(query)
    return box if rest == All() else None


def count_in(tx: Tx, mailbox_id: int) -> int:
    """The emails of a mailbox, each once."""
    count: int = tx.value(
        "select count(*) from (select distinct received_at, email_id"  # as the index has them
        " from membership indexed by membership_received where mailbox_id = ?)",
        mailbox_id,
    )
    return count


def driver(query: Query) -> tuple[int | None, Query]:
    """A mailbox that all must be in, if there is one, and the rest of the query."""
    match query:
        case Term("mailbox", value):
            return int(value), All()
        case All(parts):
            for at, part in enumerate(parts):
                box, rest = driver(part)
                if box is not None:
                    kept = (rest,) if rest != All() else ()
                    return box, All((*parts[:at], *kept, *parts[at + 1 :]))
    return None, query


def parted(query: Query) -> tuple[Query, Query]:
    """A query as two that must both be true: what SQL alone decides, and what is about texts, of which the full-text
    index knows something."""
    parts = list(_conjuncts(query))
    textual = [needs_text(part, _TEXTUAL) for part in parts]
    return (
        All(tuple(part for part, text in zip(parts, textual, strict=True) if not text)),
        All(tuple(part for part, text in zip(parts, textual, strict=True) if text)),
    )


def _conjuncts(query: Query) -> Iterator[Query]:
    if isinstance(query, All):
        for part in query.parts:
            yield from _conjuncts(part)
    else:
        yield query


def _statement(
    account_id: int, box: int | None, query: Query, orders: Sequence[Order], few: set[int] | None
) -> tuple[str, list[Any]]:
    """`few`: only these, each looked up by its id."""
    where, params = _compile(query, True)
    by = [_order(order, "m" if box is not None else "e") for order in orders]
    direction = "asc" if orders[-1].ascending else "desc"
    source = "m.email_id, m.thread_id" if box is not None else "e.id, e.thread_id"
    ending = ", ".join((*(sql for sql, _ in by), f"{source.partition(',')[0]} {direction}"))
    needed = f"{where} {ending}"
    listed: list[Any] = [] if few is None else [json.dumps(list(few))]
    if box is not None:
        straight = len(orders) == 1 and orders[0].by == "receivedAt"
        tables = f"membership m{' indexed by membership_received' if straight else ''}"
        if few is not None:
            tables = "json_each(?) j cross join membership m indexed by membership_email on m.email_id = j.value"
        if "e." in needed or "c." in needed:
            tables += " cross join email e on e.id = m.email_id"
        condition, own = "m.mailbox_id = ?", box
    else:
        tables, condition, own = "email e", "e.account_id = ?", account_id
        if few is not None:
            tables = "json_each(?) j cross join email e on e.id = j.value"
    if "c." in needed:
        tables += " left join content c on c.blob_id = e.blob_id"
    sql = f"select {source} from {tables} where {condition} and {where} order by {ending}"
    return sql, [*listed, own, *params, *(value for _, own in by for value in own)]


def _order(order: Order, driver: str) -> tuple[str, list[Any]]:
    direction = "asc" if order.ascending else "desc"
    if order.by == "receivedAt":
        return f"{driver}.received_at {direction}", []
    if order.by in _ORDERS:
        return f"{_ORDERS[order.by]} {direction}", []
    sql, params = _sql(Term(_KEYWORD_ORDERS[order.by], order.keyword))
    return f"{sql} {direction}", params


def _compile(query: Query, positive: bool) -> tuple[str, list[Any]]:
    """A condition true of every email that may fit; what SQL cannot know is taken as true."""
    match query:
        case Term():
            if query.kind in BYTES:
                return "1", []
            sql, params = _sql(query)
            return (sql, params) if positive else (f"not coalesce({sql}, 0)", params)
        case Not(inner):
            return _compile(inner, not positive)
        case All(parts) | Either(parts):
            both = isinstance(query, All) == positive
            compiled = [_compile(part, positive) for part in parts]
            if not compiled:
                return ("1" if positive == isinstance(query, All) else "0"), []
            joined = (" and " if both else " or ").join(sql for sql, _ in compiled)
            return f"({joined})", [p for _, params in compiled for p in params]


def _sql(term: Term) -> tuple[str, list[Any]]:
    if term.kind not in _KEYWORD_TERMS:
        sql = _TERMS[term.kind]
        return sql.replace("?1", "?"), [term.value] * sql.count("?1")
    of_e, params = _has("e", term.value)
    sql = _KEYWORD_TERMS[term.kind].format(e=of_e, y=_has("y", term.value)[0])
    return f"({sql})", params


def _has(email: str, keyword: str) -> tuple[str, list[Any]]:
    """Whether an email has a keyword, as `emails.standings` has it."""
    of = f"select 1 from membership x indexed by membership_email where x.email_id = {email}.id"
    bit = KEYWORDS.get(keyword)
    if bit == SEEN:
        return f"not exists ({of} and x.flags & {SEEN} = 0)", []
    if bit is not None:
        return f"exists ({of} and x.flags & {bit} <> 0)", []
    words = "(select k.id from keyword_set k where instr(' ' || lower(k.names) || ' ', ?) > 0)"
    return f"exists ({of} and x.keywords in {words})", [f" {keyword} "]
