"""What the filter kept from its readers: found, shown, released, thrown away; and what a link in a digest asks for.

Every verb works on the store itself, whether a server runs or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from daemon.admin import words
from daemon.admin.errors import BadData, Missing, NotNow, NotPermitted
from daemon.admin.mail import Attachment, opened
from daemon.flow import dangers
from daemon.flow.keeping import OTHER, RULES
from daemon.mail import link
from daemon.mail.link import BadLink, Link
from daemon.mail.summary import Summary, summarize
from daemon.store import accounts, pardon, quarantine, sender_lists, settings
from daemon.store.db import Store
from daemon.store.errors import Invalid, OverQuota
from daemon.store.pardon import Release
from daemon.store.quarantine import Row
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that is kept. `state`: refused or junk; `why`: what weighed most; `by`: who may release it (user,
    administrator, nobody: it has a virus)."""

    id: int
    user: str
    state: str
    reason: str
    score: float
    why: str
    sender: str
    author: str
    author_name: str
    recipient: str
    subject: str
    size: int
    by: str
    message_id: str | None
    trace: str
    kept_at: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A message opened, as `daemon.admin.mail` shows one."""

    kept: Kept
    headers: tuple[tuple[str, str], ...]
    text: str
    attachments: tuple[Attachment, ...]


def found(
    store: Store,
    *,
    user: str | None = None,
    since: str | None = None,
    reason: str | None = None,
    sender: str | None = None,
    limit: int | None = None,
) -> list[Kept]:
    """Those that match, newest first. Raises `Missing`, `BadData`."""
    begin = None if since is None else words.past(since, store.clock())

    def work(tx: Tx) -> list[Kept]:
        account = None if user is None else accounts.get(tx, words.address(user)).id
        most = -1 if limit is None else limit
        rows = quarantine.find(tx, account, since=begin, sender=sender, reason=reason, limit=most)
        return [_kept(row) for row in rows]

    return store.read_now(work)


def by_ids(store: Store, numbers: Sequence[str]) -> list[Kept]:
    """Raises `Missing` for the first that is not there, `BadData`."""
    return [_kept(_row(store, number)) for number in numbers]


def show(store: Store, number: str) -> Shown:
    """Raises `Missing`, `BadData`, `SegmentDamaged`."""
    row = _row(store, number)
    return Shown(_kept(row), *opened(_bytes(store, row)))


def raw(store: Store, number: str) -> bytes:
    """The message as it would be in the INBOX. Raises `Missing`, `BadData`, `SegmentDamaged`."""
    return _bytes(store, _row(store, number))


def release(store: Store, number: str, *, allow: bool = False) -> Kept:
    """Into the INBOX it was meant for. `allow`: its author is let in from now on.

    Raises `Missing`, `BadData`, `NotPermitted` (a virus), `NotNow`, `OverQuota`, `Invalid`, `SegmentDamaged`.
    """
    row = _row(store, number)
    if virus := _virus(store, row):
        raise NotPermitted(
            f"message {row.id} has a virus ({virus}), and none is put into a mailbox; its bytes are to be had with"
            f" `mailctl quarantine show {row.id} --raw > FILE`"
        )
    return _release(store, row, allow, "administrator")


def remove(store: Store, number: str) -> Kept:
    """Thrown away, the copy in Junk too. Raises `Missing`, `BadData`."""
    return _kept(store.write_now(pardon.remove, _number(number), "administrator"))


# -- links -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a link leads to. `result`: ready (nothing is done yet), done, gone (not kept any more), bad (not ours),
    expired, forbidden (an administrator must do it), infected, later (it cannot be scanned for now), full (the mailbox
    is). `action` is '' without a valid link."""

    result: Literal["ready", "done", "gone", "bad", "expired", "forbidden", "infected", "later", "full"]
    action: str = ""
    author: str = ""
    subject: str = ""
    kept_at: int = 0


def look(store: Store, token: str) -> Outcome:
    """What a link would do; nothing is changed, for programs that look for bad links open each."""
    asked = _asked(store, token)
    return asked if isinstance(asked, Outcome) else _told("ready", asked[0].action, asked[1])


def follow(store: Store, token: str) -> Outcome:
    """Do what a link says: release; release and let the author in from now on; or throw away and keep him out."""
    asked = _asked(store, token)
    return asked if isinstance(asked, Outcome) else _do(store, asked[0].action, asked[1], "link")


def decide(store: Store, account_id: int, number: str, action: str) -> Outcome:
    """What a user wants done with a message that was kept from him: as the links do, or `drop`. Raises `BadData`."""
    try:
        row = store.read_now(quarantine.get, _number(number), account_id)
    except Missing:
        return Outcome("gone", action)
    if _is_forbidden(action, row):
        return _told("forbidden", action, row)
    return _do(store, action, row, "user")


def _do(store: Store, action: str, row: Row, by: str) -> Outcome:
    try:
        if action in ("block", "drop"):
            store.write_now(_drop, row.id, row.account_id, by, action == "block")
        elif _virus(store, row):
            return _told("infected", action, row)
        else:
            _release(store, row, action == "allow", by)
    except NotNow:
        return _told("later", action, row)
    except Missing:  # another click was quicker
        return Outcome("gone", action)
    except (OverQuota, Invalid):
        return _told("full", action, row)
    return _told("done", action, row)


def _is_forbidden(action: str, row: Row) -> bool:
    return action in ("release", "allow") and not row.junked and _rule(row) != "user"


def _asked(store: Store, token: str) -> Outcome | tuple[Link, Row]:
    try:
        wanted = link.read(token, store.read_now(quarantine.link_key), store.clock() // 1000)
    except BadLink as error:
        return Outcome("expired" if error.reason == "expired" else "bad")
    try:
        row = store.read_now(quarantine.get, wanted.number, wanted.account_id)
    except Missing:
        return Outcome("gone", wanted.action)
    if _is_forbidden(wanted.action, row):
        return _told("forbidden", wanted.action, row)
    return wanted, row


def _told(result: Literal["ready", "done", "forbidden", "infected", "later", "full"], action: str, row: Row) -> Outcome:
    return Outcome(result, action, row.kept.author or row.kept.sender, row.kept.subject, row.at)


def _drop(tx: Tx, number: int, account_id: int, by: str, block: bool) -> None:
    row = pardon.remove(tx, number, by, account_id)
    if block and row.kept.author:
        note = "from a digest" if by == "link" else "from the quarantine"
        sender_lists.put(tx, account_id, row.kept.author, allowed=False, note=note)


# ----------------------------------------------------------------------------------------------------------------------


def _virus(store: Store, row: Row) -> str:
    """What virus a message has, '' for none: one that was found when it came, or is found now that the scanner knows
    more. What is in Junk is in a mailbox already, and was clean. Raises `NotNow`, `SegmentDamaged`."""
    if _rule(row) == "nobody":
        return row.kept.why or row.kept.reason
    config = store.read_now(settings.load)
    if row.junked or config["virus.scanner"] is None:
        return ""
    found = asyncio.run(dangers.scanned(config, store.bytes_of(row.place)))
    if found.result == "error" and config["virus.on_error"] == "defer":
        raise NotNow(f"message {row.id} could not be looked into for viruses for now ({found.reason})")
    return found.name


def _release(store: Store, row: Row, allow: bool, by: str) -> Kept:
    quota = store.read_now(settings.load)["limits.quota"]
    asked = Release(row.id, row.account_id, _summary(store, row), allow, by, quota)
    return _kept(store.write_now(pardon.release, asked))


def _summary(store: Store, row: Row) -> Summary | None:
    return None if row.junked else summarize(store.bytes_of(row.place))


def _bytes(store: Store, row: Row) -> bytes:
    return row.prefix + store.bytes_of(row.place)


def _row(store: Store, number: str) -> Row:
    return store.read_now(quarantine.get, _number(number))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadData(f"{text!r} is not the number of a message; `mailctl quarantine list` shows them")
    return int(text)


def _rule(row: Row) -> str:
    return RULES.get(row.kept.reason, OTHER).by


def _kept(row: Row) -> Kept:
    kept = row.kept
    return Kept(
        row.id, row.user, "junk" if row.junked else "refused", kept.reason, kept.score, kept.why, kept.sender,
        kept.author, kept.author_name, kept.recipient, kept.subject, row.size, _rule(row), kept.message_id, row.trace,
        row.at,
    )  # fmt: skip
