"""Mailboxes as JMAP sets them: a name below a parent, a role that no two have, an order, a subscription (RFC 8621 §2).

Each is one write that does all of it or nothing. `daemon/store/mailboxes` has the paths that IMAP knows.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from daemon.store import events, mailboxes, messages
from daemon.store.errors import Missing, Refusal
from daemon.store.mailboxes import INBOX, SEPARATOR, Mailbox
from daemon.store.tx import Tx


class Wanted(NamedTuple):
    """What is to be different; None: as it is. `parent` None is the top, when `moves`; `role` None is no role, when
    `plays`; "inbox" is that of INBOX."""

    name: str | None = None
    moves: bool = False
    parent: int | None = None
    plays: bool = False
    role: str | None = None
    sort_order: int | None = None
    subscribed: bool | None = None


class Wrong(Refusal):
    """It cannot be so: `type` of JMAP, and the properties."""

    def __init__(self, properties: list[str], text: str, type: str = "invalidProperties") -> None:
        super().__init__(text)
        self.properties = properties
        self.type = type

    def __reduce__(self) -> tuple[type[Wrong], tuple[list[str], str, str]]:
        return Wrong, (self.properties, str(self), self.type)


def create(tx: Tx, account_id: int, wanted: Wanted) -> Mailbox:
    """Raises `Wrong`, `Exists`, `Invalid`."""
    assert wanted.name is not None
    path = _path(tx, account_id, wanted.parent, wanted.name)
    if mailboxes.find(tx, account_id, path) is not None:
        raise Wrong(["name"], "there is a mailbox of this name already")
    made = mailboxes.create(tx, account_id, path)
    _describe(tx, made, wanted)
    return mailboxes.get(tx, account_id, made.name)


def change(tx: Tx, account_id: int, mailbox_id: int, wanted: Wanted) -> None:
    """Raises `Missing`, `Wrong`, `Exists`, `Invalid`."""
    box = own(tx, account_id, mailbox_id)
    above, _, name = box.name.rpartition(SEPARATOR)
    if wanted.name is not None or wanted.moves:
        if wanted.moves:
            path = _path(tx, account_id, wanted.parent, wanted.name or name)
        else:
            path = f"{above}{SEPARATOR if above else ''}{wanted.name}"
        path = mailboxes.normal_name(path)
        if path != box.name:
            if box.name == INBOX:
                raise Wrong(["name", "parentId"], "INBOX keeps its name and its place")
            if path.startswith(box.name + SEPARATOR):
                raise Wrong(["parentId"], "a mailbox cannot be below itself")
            there = mailboxes.find(tx, account_id, path)
            if there is not None and there.id != box.id:
                raise Wrong(["name"], "there is a mailbox of this name already")
            mailboxes.rename(tx, account_id, box.name, path)
            box = own(tx, account_id, mailbox_id)
    _describe(tx, box, wanted)


def remove(tx: Tx, account_id: int, mailbox_id: int, with_messages: bool) -> None:
    """Raises `Missing`, `Wrong`."""
    box = own(tx, account_id, mailbox_id)
    if box.total and not with_messages:
        raise Wrong([], "there are messages in it", "mailboxHasEmail")
    if mailboxes.below(tx, account_id, box.name):
        raise Wrong([], "there are mailboxes below it", "mailboxHasChild")
    if box.total:
        trace = events.new_trace(tx.now, os.urandom)
        events.record(tx, trace, "expunged", account=account_id, mailbox=box.name, count=box.total)
    mailboxes.subscribe(tx, account_id, box.name, False)  # nobody sees a subscription without a mailbox over JMAP
    messages.remove_mailbox(tx, own(tx, account_id, mailbox_id))


def own(tx: Tx, account_id: int, mailbox_id: int) -> Mailbox:
    """Raises `Missing`."""
    box = mailboxes.by_id(tx, mailbox_id)
    if box is None or box.account_id != account_id:
        raise Missing("there is no such mailbox")
    return box


def _path(tx: Tx, account_id: int, parent: int | None, name: str) -> str:
    if parent is None:
        return name
    try:
        return own(tx, account_id, parent).name + SEPARATOR + name
    except Missing:
        raise Wrong(["parentId"], "there is no such mailbox to be below of") from None


def _describe(tx: Tx, box: Mailbox, wanted: Wanted) -> None:
    """Role, order and subscription."""
    if wanted.plays:
        _cast(tx, box, wanted.role)
    if wanted.subscribed is not None and wanted.subscribed != box.subscribed:
        mailboxes.subscribe(tx, box.account_id, box.name, wanted.subscribed)
    if wanted.sort_order is not None:
        mailboxes.order(tx, box, wanted.sort_order)


def _cast(tx: Tx, box: Mailbox, role: str | None) -> None:
    if (box.name == INBOX) != (role == "inbox"):
        raise Wrong(["role"], "INBOX is the inbox, and no other mailbox is")
    if role == "inbox" or role == box.special_use:
        return
    if role is not None and mailboxes.for_use(tx, box.account_id, role) is not None:
        raise Wrong(["role"], "another mailbox has this role; take it away there first")
    mailboxes.use_for(tx, box, role)
