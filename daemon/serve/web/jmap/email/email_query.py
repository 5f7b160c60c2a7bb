"""Email/query and Email/queryChanges (RFC 8621 §4.4, §4.5).

A page of one mailbox costs what it shows: rows come in order out of an index, and reading ends with the page, unless
all must be seen (an anchor, a place far down or from the end, a total that no counter has). Then the list is kept as
long as it is true, for whoever scrolls asks again at once (`query_lists`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.email import email_filter, query_lists
from daemon.serve.web.jmap.method import Arguments, Call, MethodError
from daemon.store import changes, email_find, emails, mailboxes
from daemon.store.db import Store
from daemon.store.email_find import Order
from daemon.store.find import All, Query, Term
from daemon.store.tx import Tx

_COLLAPSE: core.Spec = {"collapseThreads": (core.is_bool, False)}


class Asked(NamedTuple):
    """What to look for, in which order, and whether only the first of each thread is told."""

    account_id: int
    query: Query
    orders: tuple[Order, ...]
    collapse: bool


async def query(call: Call, arguments: Arguments) -> Arguments:
    """Email/query."""
    found = core.read(arguments, {**core.QUERY, **_COLLAPSE})
    asked = _asked(call, found)
    quick = email_find.only_mailbox(asked.query) is not None
    look = call.store.aside if quick else call.store.aside_long
    return await look(_page, call.store, asked, found)


def _asked(call: Call, found: Arguments) -> Asked:
    sort = core.comparators(found, email_find.ORDERS)
    orders = tuple(Order(each.property, each.ascending, (each.keyword or "").lower()) for each in sort)
    return Asked(call.account_id, email_filter.query_of(found["filter"]), orders, found["collapseThreads"])


def _page(store: Store, asked: Asked, found: Arguments) -> Arguments:
    return store.read_now(_page_in, store, asked, found)


def _page_in(tx: Tx, store: Store, asked: Asked, found: Arguments) -> Arguments:
    state = str(changes.state(tx, asked.account_id))
    kept = query_lists.of(store)
    numbers = kept.get((asked, state))
    total = _counted(tx, store, asked) if found["calculateTotal"] and numbers is None else 0
    end = found["position"] + core.limit_of(found)
    if numbers is None and (total is None or found["anchor"] or found["position"] < 0 or end > LIMITS.jmap_quick):
        numbers = array("q", _fitting(tx, store, asked))
        kept.keep((asked, state), numbers)
    if numbers is None:
        numbers = array("q", islice(_fitting(tx, store, asked), end))
    else:
        total = len(numbers)
    anchor = None if found["anchor"] is None else object_ids.number(object_ids.EMAIL, found["anchor"]) or 0
    answer = core.window({**found, "anchor": anchor}, numbers)
    answer |= {"accountId": found["accountId"], "queryState": state, "canCalculateChanges": True}
    answer["ids"] = [f"e{number}" for number in answer["ids"]]
    return {**answer, "total": total} if found["calculateTotal"] else answer


def _counted(tx: Tx, store: Store, asked: Asked) -> int | None:
    """How many there are, where it need not be found out one by one."""
    number = email_find.only_mailbox(asked.query)
    box = mailboxes.by_id(tx, number) if number else None
    if box is None or box.account_id != asked.account_id:
        return None
    if asked.collapse:
        return box.threads
    which = box.uidnext, box.total  # nothing comes or goes without a change of these
    return query_lists.of(store).count(box.id, which, lambda: email_find.count_in(tx, box.id))


def _fitting(tx: Tx, store: Store, asked: Asked) -> Iterator[int]:
    """The ids of all that fit, in order; with `collapse` the first of each thread."""
    box, rest = email_find.driver(asked.query)
    plain, textual = email_find.parted(rest)
    query = plain if box is None else All((Term("mailbox", box), plain))
    looking = email_filter.Looking(tx, store, asked.account_id, textual) if textual != All() else None
    within = None if looking is None else looking.maybe
    threads: set[int] = set()
    for rows in email_find.rows(tx, asked.account_id, query, asked.orders, within):
        if asked.collapse:
            rows = [row for row in rows if row[1] not in threads]
        if looking is not None:
            fitting = looking.fitting({email_id for email_id, _ in rows})
            rows = [row for row in rows if row[0] in fitting]
        if asked.collapse:
            first = {thread_id: email_id for email_id, thread_id in reversed(rows)}
            rows = [row for row in rows if first[row[1]] == row[0]]
            threads.update(first)
        yield from [email_id for email_id, _ in rows]


async def query_changes(call: Call, arguments: Arguments) -> Arguments:
    """Email/queryChanges: all that changed is taken out and put in again where it is now; of a conversation that
    changed, all its emails, for another one may stand for it."""
    found = core.read(arguments, {**core.QUERY_CHANGES, **_COLLAPSE})
    try:
        return await call.store.aside_long(_changes, call.store, _asked(call, found), found)
    except changes.TooOld:
        raise MethodError("cannotCalculateChanges", "nobody knows what changed since then") from None


def _changes(store: Store, asked: Asked, found: Arguments) -> Arguments:
    return store.read_now(_changes_in, store, asked, found)


def _changes_in(tx: Tx, store: Store, asked: Asked, found: Arguments) -> Arguments:
    done = changes.since(tx, asked.account_id, "Email", found["sinceQueryState"])
    touched = [*done.destroyed, *done.updated, *done.created]
    of_threads = changes.threads_touched(tx, asked.account_id, found["sinceQueryState"], touched)
    touched += [each for members in emails.members(tx, asked.account_id, of_threads).values() for each in members]
    ids = [f"e{number}" for number in _fitting(tx, store, asked)]
    state = str(changes.state(tx, asked.account_id))
    return core.query_changed(found, state, ids, [f"e{each}" for each in dict.fromkeys(touched)])
