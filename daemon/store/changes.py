"""What became of an account's emails, threads and mailboxes since a state (RFC 8620 §5.2), out of its change rows.

A state is the account's MODSEQ: all that was done up to it is known. Where an answer is cut short the state is a place
within one MODSEQ, `12.34`: what happened at 12 to things numbered up to 34 is known too. Things are told in the order
in which they changed last, those that are new in the order in which they came, so that an answer may be cut anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from daemon.store import emails
from daemon.store.tx import Tx

_STATE = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.(0|[1-9][0-9]{0,17}))?")
_ALL = 1 << 62


class State(NamedTuple):
    """Everything up to here is known: MODSEQ and number of the last thing changed at it."""

    modseq: int
    number: int = _ALL

    def __str__(self) -> str:
        return str(self.modseq) if self.number == _ALL else f"{self.modseq}.{self.number}"

    @property
    def low(self) -> int:
        """The MODSEQ beyond which all is news."""
        return self.modseq if self.number == _ALL else self.modseq - 1


class Changed(NamedTuple):
    """`until` is the state that a client has with these, `more` that there is more. `described`: of mailboxes, whether
    some changed in more than their counts."""

    created: list[int]
    updated: list[int]
    destroyed: list[int]
    until: State
    more: bool = False
    described: bool = False


class TooOld(Exception):
    """Nobody knows what changed since that state (cannotCalculateChanges)."""


Entry = tuple[int, int, str]
"""When, what, and what became of it: created, updated or destroyed."""


def read_state(text: str) -> State:
    """Raises `TooOld` for what was no state of ours."""
    found = _STATE.fullmatch(text)
    if found is None:
        raise TooOld
    return State(int(found[1]), int(found[2])) if found[2] else State(int(found[1]))


def state(tx: Tx, account_id: int) -> State:
    return State(tx.value("select modseq from account where id = ?", account_id) or 0)


def since(tx: Tx, account_id: int, what: str, text: str, limit: int | None = None) -> Changed:
    """The changes to `what` (Email, Thread, Mailbox) since a state, at most `limit` of them. Raises `TooOld`."""
    begin, now = read_state(text), state(tx, account_id)
    if begin > now or begin.modseq < _floor(tx, account_id):
        raise TooOld
    if begin == now:
        return Changed([], [], [], now)
    entries = sorted(entry for entry in _ENTRIES[what](tx, account_id, begin) if entry[:2] > begin)
    more = limit is not None and len(entries) > limit
    if limit is not None and more:
        entries = entries[:limit]
    by: dict[str, list[int]] = {"created": [], "updated": [], "destroyed": []}
    for _, number, became in entries:
        by[became].append(number)
    described = what == "Mailbox" and _described(tx, by["updated"], begin)
    until = State(*entries[-1][:2]) if more else now
    return Changed(by["created"], by["updated"], by["destroyed"], until, more, described)


def threads_touched(tx: Tx, account_id: int, text: str, email_ids: Iterable[int]) -> set[int]:
    """The threads of emails that changed since a state, and of those that went."""
    gone = tx.all(
        "select distinct thread_id from email_tombstone where account_id = ? and modseq > ?",
        account_id, read_state(text).low,
    )  # fmt: skip
    return {row[0] for row in gone} | set(emails.threads_of(tx, email_ids).values())


def _floor(tx: Tx, account_id: int) -> int:
    """The state before which tombstones are forgotten."""
    floor: int = tx.value(
        "select max(jmap_floor, coalesce((select max(tombstone_floor) from mailbox where account_id = account.id), 0))"
        " from account where id = ?",
        account_id,
    )
    return floor


# -- what happened -----------------------------------------------------------------------------------------------------


def _emails(tx: Tx, account_id: int, begin: State) -> Iterable[Entry]:
    entries: list[Entry] = []
    created = {number: modseq for number, modseq, _ in _came(tx, account_id, begin.low) if (modseq, number) > begin}
    entries += [(modseq, number, "created") for number, modseq in created.items()]
    destroyed = set()
    for number, modseq, came in tx.all(
        "select email_id, modseq, created_modseq from email_tombstone where account_id = ? and modseq > ?",
        account_id, begin.low,
    ):  # fmt: skip
        destroyed.add(number)
        if (came, number) <= begin:
            entries.append((modseq, number, "destroyed"))
    latest: dict[int, int] = {}
    for number, modseq in _memberships(tx, account_id, begin.low):
        if number not in destroyed:
            latest[number] = max(modseq, latest.get(number, 0))
    entries += [(modseq, number, "updated") for number, modseq in latest.items() if number not in created]
    return entries


def _came(tx: Tx, account_id: int, low: int) -> list[tuple[int, int, int]]:
    """Emails that came beyond a MODSEQ, with it and their threads. Numbers and MODSEQs of emails grow together."""
    found: list[tuple[int, int, int]] = []
    for row in tx.each(
        "select id, created_modseq, thread_id from email where account_id = ? order by id desc", account_id
    ):
        if row[1] <= low:
            break
        found.append((row[0], row[1], row[2]))
    return found


def _memberships(tx: Tx, account_id: int, low: int) -> Iterable[tuple[int, int]]:
    """Emails that came into a mailbox, left one, or were flagged in one beyond a MODSEQ, with theirs."""
    boxes = tx.all("select id from mailbox where account_id = ? and modseq > ?", account_id, low)
    for (box,) in boxes:
        yield from tx.each(
            "select email_id, modseq from membership indexed by membership_modseq where mailbox_id = ? and modseq > ?",
            box, low,
        )  # fmt: skip
        yield from tx.each(
            "select email_id, modseq from tombstone where mailbox_id = ? and modseq > ?", box, low
        )  # fmt: skip


def _threads(tx: Tx, account_id: int, begin: State) -> Iterable[Entry]:
    """A thread changes with each email that comes or goes; its own number has to do with neither."""
    came: dict[int, list[int]] = {}
    for _, modseq, thread in _came(tx, account_id, begin.low):
        if (modseq, thread) > begin:
            came.setdefault(thread, []).append(modseq)
    went: dict[int, list[int]] = {}
    were: set[int] = set()
    for thread, modseq, created in tx.all(
        "select thread_id, modseq, created_modseq from email_tombstone where account_id = ? and modseq > ?",
        account_id, begin.low,
    ):  # fmt: skip
        if (modseq, thread) > begin:
            went.setdefault(thread, []).append(modseq)
            if (created, thread) <= begin:
                were.add(thread)
    entries: list[Entry] = []
    for thread in came.keys() | went.keys():
        oldest = tx.value(
            "select min(created_modseq) from email where account_id = ? and thread_id = ?", account_id, thread
        )
        was = thread in were or (oldest is not None and (oldest, thread) <= begin)
        latest = max(came.get(thread, []) + went.get(thread, []))
        if oldest is None:
            if was:
                entries.append((latest, thread, "destroyed"))
        elif was:
            entries.append((latest, thread, "updated"))
        else:
            entries.append((oldest, thread, "created"))
    return entries


def _mailboxes(tx: Tx, account_id: int, begin: State) -> Iterable[Entry]:
    entries: list[Entry] = []
    for number, modseq, created in tx.all(
        "select id, modseq, created_modseq from mailbox where account_id = ? and modseq > ?", account_id, begin.low
    ):
        new = (created, number) > begin
        entries.append((created if new else modseq, number, "created" if new else "updated"))
    entries += [
        (modseq, number, "destroyed")
        for number, modseq in tx.all(
            "select mailbox_id, modseq from mailbox_tombstone where account_id = ? and modseq > ?",
            account_id, begin.low,
        )
    ]  # fmt: skip
    return entries


_ENTRIES: dict[str, Callable[[Tx, int, State], Iterable[Entry]]] = {
    "Email": _emails,
    "Thread": _threads,
    "Mailbox": _mailboxes,
}


def _described(tx: Tx, numbers: Iterable[int], begin: State) -> bool:
    """Whether one of these mailboxes changed in more than its counts."""
    for number in numbers:
        described = tx.value("select described_modseq from mailbox where id = ?", number)
        if (described, number) > begin:
            return True
    return False


# -- forgetting --------------------------------------------------------------------------------------------------------


def to_forget(tx: Tx, after: int, keep: int, accounts: int) -> tuple[int, list[tuple[int, int]]]:
    """Which of the next `accounts` accounts beyond id `after` remember more than `keep` emails that went, and up to
    which MODSEQ they may forget; with the id of the last one looked at, 0 at the end."""
    found: list[tuple[int, int]] = []
    ids = [r[0] for r in tx.all("select id from account where id > ? order by id limit ?", after, accounts)]
    for account in ids:
        oldest = tx.value(
            "select modseq from email_tombstone where account_id = ? order by modseq desc limit 1 offset ?",
            account, keep - 1,
        )  # fmt: skip
        if oldest is not None and tx.value(
            "select 1 from email_tombstone where account_id = ? and modseq < ? limit 1", account, oldest
        ):
            found.append((account, oldest - 1))
    return ids[-1] if len(ids) == accounts else 0, found


def forget(tx: Tx, where: tuple[int, int], limit: int) -> int:
    """Drop up to `limit` of what (account, up to this MODSEQ) remembers, and keep the floor; how many went."""
    account_id, floor = where
    tx.run("update account set jmap_floor = max(jmap_floor, ?) where id = ?", floor, account_id)
    return tx.run(
        "delete from email_tombstone where (account_id, modseq, email_id) in (select account_id, modseq, email_id"
        " from email_tombstone where account_id = ? and modseq <= ? order by modseq limit ?)",
        account_id, floor, limit,
    )  # fmt: skip
