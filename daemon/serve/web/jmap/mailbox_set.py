"""Mailbox/set (RFC 8621 §2.5). A mailbox of the store is a path; for JMAP it is a name below a parent.

So a rename or a move takes along what lies below, and INBOX stays what it is. A mailbox with many messages is emptied
in steps before it goes.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.web.jmap import gets, mailbox, sets
from daemon.serve.web.jmap.method import Arguments, Call
from daemon.serve.web.jmap.sets import SetError, Type, bad
from daemon.store import mailbox_sets, mailboxes, messages
from daemon.store.mailbox_sets import Wanted
from daemon.store.mailboxes import INBOX, SEPARATOR, Mailbox

ROLES = {"inbox": "inbox", **{role: use for use, role in mailbox.ROLES.items()}}
"""Roles that a mailbox can have, as the store says them."""
_STEP = 2000  # messages removed in one transaction
_SETTABLE = ("name", "parentId", "role", "sortOrder", "isSubscribed")


async def set_(call: Call, arguments: Arguments) -> Arguments:
    empties = arguments.get("onDestroyRemoveEmails") or False
    touched = sets.of_mail("Mailbox", object_ids.MAILBOX)
    wanted = Type(_create, _update, _Destroy(empties is True), ("onDestroyRemoveEmails",), touched=touched)
    asked = dict(arguments)
    if isinstance(asked.get("create"), dict):
        asked["create"] = parents_first(asked["create"])
    if isinstance(asked.get("destroy"), list):
        asked["destroy"] = _children_first(call, asked["destroy"])
    return await sets.run(call, asked, wanted)


def parents_first(create: dict[str, Any]) -> dict[str, Any]:
    """New mailboxes in an order in which each one's new parent is made before it; a circle stays as it is."""
    ordered: dict[str, Any] = {}

    def add(mark: str, above: frozenset[str]) -> None:
        given = create[mark]
        parent = given.get("parentId") if isinstance(given, dict) else None
        if isinstance(parent, str) and parent[1:] in create and parent.startswith("#") and parent[1:] not in above:
            add(parent[1:], above | {mark})
        ordered.setdefault(mark, given)

    for mark in create if len(create) <= LIMITS.jmap_set else ():
        if len(ordered) < len(create):
            add(mark, frozenset())
    return ordered or create


def _children_first(call: Call, ids: list[Any]) -> list[Any]:
    """So that a branch can go in one call."""
    names = {f"{object_ids.MAILBOX}{box.id}": box.name for box in call.store.peek(mailboxes.everyone, call.account_id)}
    return sorted(
        ids,
        key=lambda name: -len(names.get(sets.real_id(call, name), "").split(SEPARATOR)) if isinstance(name, str) else 0,
    )


async def _create(call: Call, given: Arguments) -> Arguments:
    wanted = _wanted(call, given)
    if wanted.name is None:
        raise bad(["name"], "a mailbox has a name")
    box = await call.store.write(mailbox_sets.create, call.account_id, wanted)
    told: Arguments = {
        "id": f"{object_ids.MAILBOX}{box.id}",
        "totalEmails": 0, "unreadEmails": 0, "totalThreads": 0, "unreadThreads": 0,
        "myRights": mailbox.rights(box),
    }  # fmt: skip
    defaults = {"parentId": None, "role": None, "sortOrder": 0, "isSubscribed": False}
    return told | {name: value for name, value in defaults.items() if name not in given}


async def _update(call: Call, name: str, patch: Arguments) -> Arguments | None:
    number = gets.number(object_ids.MAILBOX, name)
    await call.store.write(mailbox_sets.change, call.account_id, number, _wanted(call, patch))
    return None


class _Destroy:
    """With its messages, or not at all (`mailboxHasEmail`)."""

    def __init__(self, empties: bool) -> None:
        self.empties = empties

    async def __call__(self, call: Call, name: str) -> None:
        number = gets.number(object_ids.MAILBOX, name)
        box = call.store.peek(_own, call.account_id, number)
        if box is None:
            raise SetError("notFound", "there is no such mailbox")
        if box.name == INBOX:
            raise SetError("forbidden", "INBOX stays")
        if call.store.peek(mailboxes.below, call.account_id, box.name):
            raise SetError("mailboxHasChild", "there are mailboxes below it")
        if box.total and not self.empties:
            raise SetError("mailboxHasEmail", "there are messages in it")
        for _ in range(box.total // _STEP):
            await call.store.write(messages.remove_some, number, _STEP)
        await call.store.write(mailbox_sets.remove, call.account_id, number, self.empties)


def _own(tx: Any, account_id: int, number: int) -> Mailbox | None:
    box = mailboxes.by_id(tx, number)
    return box if box is not None and box.account_id == account_id else None


def _wanted(call: Call, given: Arguments) -> Wanted:
    """The properties that are given, checked. Raises `SetError`."""
    wrong = [name for name in given if name not in _SETTABLE]
    name, parent, role, order = (given.get(prop) for prop in ("name", "parentId", "role", "sortOrder"))
    if "name" in given and not _is_name(name):
        wrong.append("name")
    if parent is not None and not isinstance(parent, str):
        wrong.append("parentId")
    if role is not None and (not isinstance(role, str) or role not in ROLES):
        wrong.append("role")
    if "sortOrder" in given and (type(order) is not int or not 0 <= order < 1 << 31):
        wrong.append("sortOrder")
    if "isSubscribed" in given and not isinstance(given["isSubscribed"], bool):
        wrong.append("isSubscribed")
    if wrong:
        raise bad(wrong, "unknown, not to be set, or not what this can be")
    return Wanted(
        unicodedata.normalize("NFC", name) if isinstance(name, str) else None,
        "parentId" in given,
        None if parent is None else gets.number(object_ids.MAILBOX, sets.real_id(call, str(parent))),
        "role" in given,
        None if role is None else ROLES[role],
        order,
        given.get("isSubscribed"),
    )


def _is_name(value: Any) -> bool:
    if not isinstance(value, str) or not value.strip() or SEPARATOR in value:
        return False
    return len(value.encode(errors="surrogatepass")) <= LIMITS.imap_mailbox_name  # as the session resource says
