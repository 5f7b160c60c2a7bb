"""What scripts want done with messages that lie in a mailbox: FILTER, and what is done over IMAP (RFC 6785).

The message stays where it is unless the script says otherwise; `fileinto` copies it, and what is not kept is marked
\\Deleted, for its owner to expunge (RFC 6785 section 2.2.4, draft-bosch-imap-filter-sieve-00 section 4). A message
does not change: what a script made of it is sent or filed, and with FILTER a `keep` of it is a new message beside the
old one. After a fault everything is left as it is.

Deciding is done in a reader thread, a little at a time; `amending` carries it out in the writer. What goes to others
counts as mail that the owner sends: a set of 100,000 messages is no way around his allowance.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import NamedTuple

from daemon.config import Config
from daemon.flow import applying, containing, rules
from daemon.flow.amending import Amendment, Into, amend
from daemon.flow.deliver import Stale, Version
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.planning import Planning
from daemon.flow.programs import programs
from daemon.flow.rules import Case, Lying, Place, Ruling
from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.summary import summarize
from daemon.sieve import Event, ScriptErrors
from daemon.store import events, keywords, messages, metadata, sieve
from daemon.store.db import Store
from daemon.store.errors import Refusal
from daemon.store.segments import SegmentDamaged
from daemon.store.sieve import Script
from daemon.store.spool import Body
from daemon.store.tx import Tx

ENTRY = "/shared/imapsieve/script"
_COLUMNS = ("flags", "keywords", "prefix", "trace", "received_at", "segment_id", "offset", "length")
_TRIES = 3
_RETURN_PATH = re.compile(rb"Return-Path: <([^>\r\n]*)>\r\n")


class Asked(NamedTuple):
    """Whose mailbox, who asks from where, and which scripts are to see the messages. `cause` "": FILTER. `changed`: for
    each UID the flags that were changed, when that is the cause."""

    account_id: int
    address: Address
    mailbox_id: int
    mailbox: str
    scripts: tuple[Script, ...]
    peer: str = ""
    cause: str = ""
    changed: Mapping[int, tuple[str, ...]] = {}

    def event(self, uid: int) -> Event | None:
        if not self.cause:
            return None
        user = str(self.address)
        return Event(self.cause, self.mailbox, user, user, self.changed.get(uid, ()))


def script_of(tx: Tx, account_id: int, mailbox_id: int) -> Script | None:
    """The script that sees what is done in a mailbox (RFC 6785 section 2.3.1): what names none, or one that is not
    there, is no reason to take the server's."""
    name = metadata.value(tx, account_id, mailbox_id, ENTRY)
    if name is None:
        name = metadata.value(tx, account_id, None, ENTRY)
    text = sieve.included(tx, account_id, name, False) if name else None
    return Script("own", name, text) if name and text is not None else None


class Exhausted(Exception):
    """The scripts have had all the time of the processor that one command may take; the rest is left as it is."""

    def __init__(self, left: int) -> None:
        super().__init__(f"the script takes too long: {left} messages are left as they are")


class Told(NamedTuple):
    """What came of one message: `status` OK, WARNINGS or ERRORS with the text."""

    uid: int
    status: str = "OK"
    text: str = ""


def faults(tx: Tx, asked: Asked) -> str:
    """Why its scripts cannot run, line by line; "" when they can."""
    found = []
    for script in asked.scripts:
        try:
            program = programs.get(tx, asked.account_id, script.text)
            unfit = rules.unfitting(program, Lying((), asked.event(0)))
            found += [f"line 1: {unfit}"] if unfit else []
        except ScriptErrors as errors:
            found += map(str, errors.errors)
    return "\r\n".join(found)


async def look_again(store: Store, asked: Asked, config: Config, uids: Sequence[int]) -> AsyncGenerator[list[Told]]:
    """Do what the scripts want with these messages, in their order; what came of those where anything did, some at a
    time, each after the commit. Raises `Exhausted`, `Missing` when the mailbox is gone, and the store's errors."""
    at, spent = 0, 0.0
    while at < len(uids):
        if spent > LIMITS.sieve_again_all:
            raise Exhausted(len(uids) - at)
        some, looked, took = await store.aside(_some, store, asked, config, uids[at : at + LIMITS.sieve_again])
        at, spent = at + looked, spent + took
        told: list[Told] = []
        light = [one for one in some if not one.heavy]
        if light:
            told += _told(light, await store.write(amend, asked.account_id, asked.mailbox_id, light))
        for one in some[len(light) :]:
            told += await _heavy(store, asked, config, one)
        yield told


async def _heavy(store: Store, asked: Asked, config: Config, one: Amendment) -> list[Told]:
    """One that has octets of its own, or depends on what others do at the same time: in a transaction by itself."""
    for _ in range(_TRIES):
        bodies = one.bodies
        try:
            return _told([one], await store.write(amend, asked.account_id, asked.mailbox_id, [one], bodies=bodies))
        except Refusal as error:  # no room
            return [Told(one.uid, "ERRORS", str(error))]
        except Stale:
            again = await store.aside(_decide, store, asked, config, one.uid)
            if again is None or again.idle:
                return []
            one = again
        finally:
            for body in bodies:
                body.close()
    return [Told(one.uid, "ERRORS", "the mailboxes keep changing; try again")]


def _told(some: Sequence[Amendment], troubles: Sequence[str | None]) -> list[Told]:
    found = []
    for one, trouble in zip(some, troubles, strict=True):
        if trouble is None:
            continue  # it was expunged meanwhile
        if one.unchanged and not (trouble or one.warnings):
            continue
        if trouble or one.faults:
            found.append(Told(one.uid, "ERRORS", trouble or "\r\n".join(one.faults)))
        elif one.warnings:
            found.append(Told(one.uid, "WARNINGS", "\r\n".join(one.warnings)))
        else:
            found.append(Told(one.uid))
    return found


# ------------------------------------------------------------------------------------------------------------- deciding


def _some(store: Store, asked: Asked, config: Config, uids: Sequence[int]) -> tuple[list[Amendment], int, float]:
    """What is to be done, how many messages were looked at (until a heavy one, or for a while), and the seconds of the
    processor that it took."""
    began, end = time.thread_time(), time.monotonic() + LIMITS.sieve_again_slice / 1000
    found, looked = list[Amendment](), 0
    for uid in uids:
        looked += 1
        one = _decide(store, asked, config, uid)
        if one is not None and not one.idle:
            found.append(one)
        if time.monotonic() >= end or (found and found[-1].heavy):
            break
    return found, looked, time.thread_time() - began


def _decide(store: Store, asked: Asked, config: Config, uid: int) -> Amendment | None:
    """None for a message that is gone."""
    rows = store.read_now(messages.fetch, asked.mailbox_id, [(uid, uid)], _COLUMNS)
    if not rows:
        return None
    bits, words, prefix, trace, received_at, *place = rows[0]
    try:
        octets = store.bytes_of((place[0], place[1], place[2]))
    except SegmentDamaged:
        return Amendment(uid, "", faults=("the message is damaged on disk",))
    row = _Row(uid, bits, words, prefix, trace or events.new_trace(store.clock(), os.urandom), received_at, octets)
    return store.read_now(_decided, asked, config, row)


class _Row(NamedTuple):
    uid: int
    bits: int
    words: int  # the number of its set of keywords
    prefix: bytes
    trace: str
    received_at: int
    octets: bytes


def _decided(tx: Tx, asked: Asked, config: Config, row: _Row) -> Amendment:
    names = keywords.names_of(tx, row.words)
    lying = Lying((*keywords.flag_names(row.bits), *names), asked.event(row.uid))
    origin = Origin("submission", asked.peer, account_id=asked.account_id, trace=row.trace)
    him = Recipient(asked.address)
    case = Case(
        asked.account_id, asked.address, him, Envelope(_sender(row.prefix, asked.address), [him]), origin, row.prefix,
        lambda: row.octets, len(row.octets), config, home=asked.mailbox, lying=lying,
    )  # fmt: skip
    ruling = rules.again(tx, case, asked.scripts)
    one = Amendment(row.uid, row.trace, received_at=row.received_at, quota=config["limits.quota"])
    if ruling.redirects or ruling.notices or ruling.seen or ruling.faults:
        _elsewhere(tx, one, case, ruling)
    else:
        one.ruled = applying.story(row.trace, case, ruling)
    one.faults = tuple(fault.text for fault in ruling.faults)
    if not one.faults:
        one.warnings = _ignored(ruling)
        _here(one, case, ruling, row.bits, names)
    if one.unchanged or (one.faults and not lying.event):  # nothing was done; who asked is told why
        one.ruled = ()
    return one


def _sender(prefix: bytes, owner: Address) -> Address | None:
    """Who sent it, as Return-Path says; what has none came from its owner."""
    found = _RETURN_PATH.match(prefix)
    if found is None:
        return owner
    try:
        return parse_address(found[1].decode()) if found[1] else None
    except (BadAddress, UnicodeDecodeError):
        return None


def _ignored(ruling: Ruling) -> tuple[str, ...]:
    """Nobody is answered long after he wrote (draft, section 4.10)."""
    found = []
    if ruling.reject is not None:
        found.append(f"line {ruling.reject.action.line}: what lies in a mailbox is not refused any more: not done")
    if ruling.vacation is not None:
        found.append(f"line {ruling.vacation.action.line}: what lies in a mailbox is not answered any more: not done")
    return tuple(found)


def _elsewhere(tx: Tx, one: Amendment, case: Case, ruling: Ruling) -> None:
    """What leaves the mailbox, or is remembered."""
    him = Envelope(case.address, [Recipient(case.address)])
    body = Body.of(case.body())
    planning = Planning(tx, case.origin, him, body, None, case.config, b"", None, careful=True)
    plan = planning.plan
    plan.about, plan.limits = "rules", containing.limits_for(case.config, case.origin)
    planning.ruling.add(case.account_id)
    applying.elsewhere(planning, case, ruling)
    if any(copy.version == 0 for copy in plan.copies):
        plan.summary = summarize(body.view())
    if plan.copies or plan.sendings:
        one.plan = plan
    one.ruled, one.duplicates, one.notices = plan.ruled, plan.duplicates, plan.notices


def _here(one: Amendment, case: Case, ruling: Ruling, bits: int, names: tuple[str, ...]) -> None:
    """Flags of the message, and its copies."""
    kept = ruling.places.pop(case.home, None)
    lying = case.lying
    assert lying is not None
    if kept is None and ruling.reject is not None:
        kept = Place(case.home, bits, names)  # it is not refused, so it stays
    one.into = [_into(place) for place in ruling.places.values()]
    if kept is not None and kept.message is not None and lying.event is None:
        one.into.append(_into(kept))
        kept = None
    if kept is None:
        one.add = keywords.DELETED & ~bits
        return
    have, want = {name.lower() for name in names}, {name.lower() for name in kept.keywords}
    one.add, one.take = kept.flags & ~bits, bits & ~kept.flags
    one.add_words = tuple(name for name in kept.keywords if name.lower() not in have)
    one.take_words = tuple(name for name in names if name.lower() not in want)


def _into(place: Place) -> Into:
    version = None
    if place.message is not None:
        version = Version(Body.of(place.message), summarize(place.message))
    return Into(place.mailbox, place.create, place.flags, place.keywords, version, place.special_use)
