"""Mailbox/get, /changes, /query, /queryChanges (RFC 8621 §2). `/set` is in `mailbox_set`.

In the store a mailbox has a path; here it has a name and a parent. Of a path whose upper levels do not exist the
missing ones are part of the name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from daemon.mail import object_ids
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.core import Comparator
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.store import changes, mailboxes, threads
from daemon.store.db import Store
from daemon.store.mailboxes import INBOX, SEPARATOR, Mailbox
from daemon.store.tx import Tx

COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
PROPERTIES = frozenset(("id", "name", "parentId", "role", "sortOrder", *COUNTS, "myRights", "isSubscribed"))
ROLES = {"\\Drafts": "drafts", "\\Sent": "sent", "\\Archive": "archive", "\\Junk": "junk", "\\Trash": "trash"}
_RIGHTS = (
    "mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords", "mayCreateChild", "mayRename",
    "mayDelete", "maySubmit",
)  # fmt: skip
_ORDER = {role: at for at, role in enumerate(("inbox", *ROLES.values()), 1)}
_LAST = 10
_SORTS = ("sortOrder", "name")


async def get(call: Call, arguments: Arguments) -> Arguments:
    """Mailbox/get."""
    found = core.read(arguments, core.GET)
    ids = core.wanted_ids(found)
    properties = core.wanted_properties(found, PROPERTIES)
    state, boxes = await call.store.read(_boxes, call.account_id)
    tree = Tree(boxes)
    chosen = boxes if ids is None else [b for b in boxes if f"m{b.id}" in set(ids)]
    objects = []
    for box in chosen:
        if box.threads is None and properties & {"totalThreads", "unreadThreads"}:
            box = await _counted(call.store, box)
        told = shown(tree, box)
        objects.append({name: told[name] for name in told if name in properties})
    return core.got(found, ids, (state, objects))


async def _counted(store: Store, box: Mailbox) -> Mailbox:
    """With its threads counted again, which is remembered until the next large change."""
    modseq, total, unread = await store.read_long(threads.count_all, box.id)
    await store.write(threads.remember, box.id, modseq, total, unread)
    return box.counted(total, unread)


def _boxes(tx: Tx, account_id: int) -> tuple[str, list[Mailbox]]:
    return str(changes.state(tx, account_id)), mailboxes.everyone(tx, account_id)


class Tree:
    """The mailboxes of an account by their paths, and which one has which role: one each, the oldest."""

    def __init__(self, boxes: Sequence[Mailbox]) -> None:
        self.by_path = {box.name: box for box in boxes}
        self.roles: dict[int, str] = {}
        taken: set[str] = set()
        for box in sorted(boxes, key=lambda b: b.id):
            role = "inbox" if box.name == INBOX else ROLES.get(box.special_use or "")
            if role and role not in taken:
                taken.add(role)
                self.roles[box.id] = role

    def place(self, box: Mailbox) -> tuple[Mailbox | None, str]:
        """The nearest mailbox above, and the name below it."""
        levels = box.name.split(SEPARATOR)
        for depth in range(len(levels) - 1, 0, -1):
            above = self.by_path.get(SEPARATOR.join(levels[:depth]))
            if above is not None:
                return above, SEPARATOR.join(levels[depth:])
        return None, box.name

    def order(self, box: Mailbox) -> int:
        if box.sort_order is not None:
            return box.sort_order
        return _ORDER.get(self.roles.get(box.id, ""), _LAST)


def shown(tree: Tree, box: Mailbox) -> Arguments:
    """A Mailbox object."""
    above, name = tree.place(box)
    return {
        "id": f"m{box.id}",
        "name": "Inbox" if box.name == INBOX else name,
        "parentId": None if above is None else f"m{above.id}",
        "role": tree.roles.get(box.id),
        "sortOrder": tree.order(box),
        "totalEmails": box.total,
        "unreadEmails": box.unread,
        "totalThreads": box.threads or 0,
        "unreadThreads": box.unread_threads or 0,
        "myRights": rights(box),
        "isSubscribed": box.subscribed,
    }


def rights(box: Mailbox) -> Arguments:
    """All are the user's own; INBOX keeps its name and stays."""
    movable = box.name != INBOX
    return {**dict.fromkeys(_RIGHTS, True), "mayRename": movable, "mayDelete": movable}


async def get_changes(call: Call, arguments: Arguments) -> Arguments:
    """Mailbox/changes: where only counts changed, that is said, so that nobody fetches the rest."""
    answer, done = await core.changed(call, arguments, "Mailbox", object_ids.MAILBOX)
    only_counts = done.updated and not done.described
    return {**answer, "updatedProperties": list(COUNTS) if only_counts else None}


# ---------------------------------------------------------------------------------------------------------------- query

_QUERY = {**core.QUERY, "sortAsTree": (core.is_bool, False), "filterAsTree": (core.is_bool, False)}
_CONDITION = {
    "parentId": core.or_null(core.is_id),
    "name": core.is_text,
    "role": core.or_null(core.is_text),
    "hasAnyRole": core.is_bool,
    "isSubscribed": core.is_bool,
}


async def query(call: Call, arguments: Arguments) -> Arguments:
    """Mailbox/query."""
    found = core.read(arguments, _QUERY)
    sort = core.comparators(found, _SORTS)
    _check(found["filter"])
    state, boxes = await call.store.read(_boxes, call.account_id)
    ids = _matching(found, sort, boxes)
    return core.listed(found, state, ids)


async def query_changes(call: Call, arguments: Arguments) -> Arguments:
    """Mailbox/queryChanges: what changed is taken out and put in again where it is now."""
    found = core.read(
        arguments, {**core.QUERY_CHANGES, "sortAsTree": (core.is_bool, False), "filterAsTree": (core.is_bool, False)}
    )
    sort = core.comparators(found, _SORTS)
    _check(found["filter"])
    state, boxes = await call.store.read(_boxes, call.account_id)
    try:
        done = await call.store.read(changes.since, call.account_id, "Mailbox", found["sinceQueryState"])
    except changes.TooOld:
        raise MethodError("cannotCalculateChanges") from None
    ids = _matching(found, sort, boxes)
    touched = [f"m{n}" for n in (*done.created, *done.updated, *done.destroyed)]
    if found["sortAsTree"] or found["filterAsTree"]:
        touched = list(dict.fromkeys((*touched, *ids)))  # a change of one may move those below it
    return core.query_changed(found, state, ids, touched)


def _matching(found: Arguments, sort: Sequence[Comparator], boxes: Sequence[Mailbox]) -> list[str]:
    tree = Tree(boxes)
    ordered = sorted(boxes, key=lambda box: box.id)
    for each in reversed(sort):
        key = tree.order if each.property == "sortOrder" else lambda box: tree.place(box)[1].casefold()
        ordered.sort(key=key, reverse=not each.ascending)
    fitting = [box for box in ordered if _fits(tree, box, found["filter"])]
    if found["filterAsTree"]:
        kept = {box.id for box in fitting}
        fitting = [box for box in fitting if all(above.id in kept for above in _above(tree, box))]
    if found["sortAsTree"]:
        fitting = _as_tree(tree, fitting)
    return [f"m{box.id}" for box in fitting]


def _above(tree: Tree, box: Mailbox) -> list[Mailbox]:
    found: list[Mailbox] = []
    above, _ = tree.place(box)
    while above is not None:
        found.append(above)
        above, _ = tree.place(above)
    return found


def _as_tree(tree: Tree, boxes: Sequence[Mailbox]) -> list[Mailbox]:
    """Each below its parent, in the order given among those of one parent."""
    here = {box.id for box in boxes}
    below: dict[int, list[Mailbox]] = {}
    for box in boxes:
        above = next((a for a in _above(tree, box) if a.id in here), None)
        below.setdefault(0 if above is None else above.id, []).append(box)
    found: list[Mailbox] = []
    waiting = below.get(0, [])[::-1]
    while waiting:
        box = waiting.pop()
        found.append(box)
        waiting += below.get(box.id, [])[::-1]
    return found


def _check(filter: Arguments | None) -> None:
    """Raises `MethodError` (invalidArguments, unsupportedFilter)."""
    for condition in core.conditions(filter):
        for name, value in condition.items():
            if name not in _CONDITION:
                raise MethodError("unsupportedFilter", f"nothing is found by {name}")
            if not _CONDITION[name](value):
                raise core.invalid(f"{name} of a filter is not of the right type")


def _fits(tree: Tree, box: Mailbox, filter: Arguments | None) -> bool:
    if not filter:
        return True
    if "operator" in filter:
        inner = [_fits(tree, box, each) for each in filter["conditions"]]
        return {"AND": all(inner), "OR": any(inner), "NOT": not any(inner)}[filter["operator"]]
    above, name = tree.place(box)
    role = tree.roles.get(box.id)
    has: dict[str, Callable[[Any], bool]] = {
        "parentId": lambda value: value == (None if above is None else f"m{above.id}"),
        "name": lambda value: value.casefold() in name.casefold(),
        "role": lambda value: value == role,
        "hasAnyRole": lambda value: value == (role is not None),
        "isSubscribed": lambda value: value == box.subscribed,
    }
    return all(has[each](value) for each, value in filter.items())


METHODS: dict[str, Method] = {
    "Mailbox/get": get,
    "Mailbox/changes": get_changes,
    "Mailbox/query": query,
    "Mailbox/queryChanges": query_changes,
}
