"""What scripts decided of messages that lie in a mailbox, done: some messages in one transaction of the writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.flow import deliver
from daemon.flow.deliver import Duplicate, Plan, Version
from daemon.store import blobs, events, mailboxes, messages
from daemon.store.errors import Missing
from daemon.store.spool import Body
from daemon.store.tx import Tx


class Into(NamedTuple):
    """A copy in another mailbox, or with a `version` a new message in any. `create`: the mailbox is made if need be."""

    mailbox: str
    create: bool
    flags: int
    keywords: tuple[str, ...]
    version: Version | None = None
    special_use: str = ""  # of what is made


@dataclass(slots=True)
class Amendment:
    """All that is done with one message. `add` and `take` are changes of its flags, so that what others change in the
    meantime stays. `plan` is there for what goes out, and has what is told with it; else `ruled` is recorded,
    `duplicates` are remembered and `notices` sent. With `faults` nothing is done but that."""

    uid: int
    trace: str
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    add: int = 0
    take: int = 0
    add_words: tuple[str, ...] = ()
    take_words: tuple[str, ...] = ()
    into: list[Into] = field(default_factory=list)
    plan: Plan | None = None
    ruled: Sequence[events.New] = ()
    duplicates: Sequence[Duplicate] = ()
    notices: Sequence[Plan] = ()
    received_at: int = 0
    quota: int = 0

    @property
    def unchanged(self) -> bool:
        """Whether nothing of it is done in mailboxes, nor sent, nor went wrong."""
        flags = self.add or self.take or self.add_words or self.take_words
        return not (flags or self.into or self.faults or self.plan or self.notices)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do and nothing to tell."""
        return self.unchanged and not (self.warnings or self.duplicates)

    @property
    def heavy(self) -> bool:
        """Whether it needs a transaction by itself: it brings octets, or depends on what others remember."""
        return bool(any(into.version for into in self.into) or self.plan or self.notices or self.duplicates)

    @property
    def bodies(self) -> list[Body]:
        """What is to be in a segment when it is done."""
        own = [into.version.body for into in self.into if into.version is not None]
        if self.plan is not None:
            return own + self.plan.bodies
        return own + [body for notice in self.notices for body in notice.bodies]


def amend(tx: Tx, account_id: int, mailbox_id: int, some: Sequence[Amendment]) -> list[str | None]:
    """Do it: for each message "", why it was left as it is, or None when it is gone. Raises `Missing` when the mailbox
    is gone, `OverQuota` and `Stale`: then nothing was done."""
    box = mailboxes.by_id(tx, mailbox_id)
    if box is None:
        raise Missing("the mailbox is gone")
    return [_amended(tx, account_id, mailbox_id, one) for one in some]


def _amended(tx: Tx, account_id: int, mailbox_id: int, one: Amendment) -> str | None:
    here = [(one.uid, one.uid)]
    if not messages.fetch(tx, mailbox_id, here, ("uid",)):
        for body in one.bodies:
            blobs.unused(tx, body)
        return None
    for into in one.into:
        if not into.create and mailboxes.find(tx, account_id, into.mailbox) is None:
            for body in one.bodies:
                blobs.unused(tx, body)
            return f"there is no mailbox {into.mailbox!r}"
    for into in one.into:
        _file(tx, account_id, mailbox_id, one, into)
    if one.add or one.add_words:
        messages.set_flags(tx, mailbox_id, here, "+", one.add, one.add_words)
    if one.take or one.take_words:
        messages.set_flags(tx, mailbox_id, here, "-", one.take, one.take_words)
    if one.plan is not None:
        deliver.commit(tx, one.plan)
        return ""
    deliver.remember(tx, one.duplicates)
    events.record_all(tx, one.ruled)
    deliver.notify(tx, one.notices)
    return ""


def _file(tx: Tx, account_id: int, mailbox_id: int, one: Amendment, into: Into) -> None:
    name = deliver.made(tx, account_id, into.mailbox, into.special_use) if into.create else into.mailbox
    target = mailboxes.get(tx, account_id, name).id
    if into.version is None:
        done = messages.copy(tx, mailbox_id, [(one.uid, one.uid)], target)
        there = messages.to_ranges(done.targets)
        messages.set_flags(tx, target, there, "=", into.flags, into.keywords)
        return
    body, summary = into.version
    blob_id = blobs.keep(tx, body, summary)
    messages.put(
        tx, account_id, target, blob_id, body.size, flags=into.flags, keyword_names=into.keywords,
        received_at=one.received_at, trace=one.trace, default_quota=one.quota,
    )  # fmt: skip
