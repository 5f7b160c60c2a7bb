"""What the queue tells a sender: that a recipient failed, that one takes long, that one was reached (RFC 3461).

A notice goes the same road as any mail, under the null sender: into the mailbox of a sender of ours, in the same write
that settles what it is about, or into the queue. The null sender is never answered: a notice that fails is dropped,
with an event.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from daemon.config import Config
from daemon.flow import planning
from daemon.flow.deliver import Plan
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.outcome import Result
from daemon.flow.postmaster import postmaster
from daemon.limits import LIMITS
from daemon.mail import notice
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.header import header_end
from daemon.mail.remedy import remedy
from daemon.mail.summary import summarize
from daemon.store.db import Store
from daemon.store.queue import Message
from daemon.store.segments import Reader, SegmentDamaged
from daemon.store.spool import Body
from daemon.wire.smtp_parameters import from_xtext

_DEFAULT = {"failure": True, "delay": True, "success": False}  # RFC 3461 §4.1, where the sender did not say
_MAKE: dict[str, Callable[..., bytes]] = {
    "failure": notice.failure, "delay": notice.delay, "success": notice.success
}  # fmt: skip
_CODES = re.compile(r"\A(?:(?:greeting|EHLO|HELO): )?[245]\d\d (?:[245]\.\d{1,3}\.\d{1,3} )?")
_COMFORT = re.compile(r"; it is tried again by itself\b[^.;]*\.")


@dataclass(frozen=True, slots=True)
class Told:
    """One recipient that a notice speaks of. `retry_until` is ms since 1970, for delays."""

    address: str
    orcpt: str | None
    result: Result
    retry_until: int | None = None


def is_due(kind: str, sender: str, notify: str | None) -> bool:
    """Whether a notice of that kind (failure, delay, success) is wanted for a recipient."""
    if not sender:
        return False
    return _DEFAULT[kind] if not notify else kind.upper() in notify.upper().split(",")


def plan(store: Store, config: Config, kind: str, message: Message, told: Sequence[Told], *, now: int) -> Plan | None:
    """The notice on its way, to be committed with what it is about; None when the sender is no address.

    Looks things up with `Store.peek`: for the loop, or a thread that has nothing else to do.
    """
    try:
        sender = parse_address(message.sender)
    except BadAddress:
        return None
    reports = [_report(one, now) for one in told]
    original = _original(sender, message, store.segments, whole=kind == "failure")
    hostname = config["hostname"]
    ours = notice.Ours(hostname, store.peek(postmaster, hostname, sender), now / 1000, secrets.token_hex(12))
    text = _MAKE[kind](reports, original, ours)
    envelope = Envelope(
        None, [Recipient(sender)], smtputf8=not sender.is_ascii, eightbit=not text.isascii(),
        requiretls=message.tls == "required",  # RFC 8689 §5: what tells of it is protected as it was
    )  # fmt: skip
    origin = Origin("notice", trace=message.trace)
    found, _ = store.peek(planning.prepare, origin, envelope, Body.of(text), summarize(text), config, 1)
    found.about = kind
    return None if found.empty else found


def _report(one: Told, now: int) -> notice.Report:
    result = one.result
    said = remedy(result.verbatim or result.reply, result.host)
    kind, _, original = (one.orcpt or "").partition(";")
    return notice.Report(
        _address(one.address),
        result.status if one.retry_until is None else "4" + result.status[1:],
        original=f"{kind};{from_xtext(original)}" if original else "",
        host=result.host,
        reply=result.verbatim,
        words="" if result.verbatim and result.reason != "expired" else _sentence(_CODES.sub("", result.reply)),
        remedy=_final(said.sentence, one) if said is not None else "",
        attempted=now / 1000,
        retry_until=None if one.retry_until is None else one.retry_until / 1000,
        relayed=result.kind == "sent",
    )


def _final(remedy: str, one: Told) -> str:
    """A remedy without the comfort that it is tried again, when it is not."""
    return remedy if one.retry_until is not None else _COMFORT.sub(".", remedy)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except BadAddress:  # a row that was spoilt by hand: tell it as it is
        local, _, domain = text.rpartition("@")
        return Address(local or domain, domain if local else "")


def _original(sender: Address, message: Message, segments: Reader, *, whole: bool) -> notice.Original:
    """What of the message is shown. A long one is read no further than its header."""
    place, ret = message.place, message.ret or ""
    length = place.length
    if not whole or message.size > LIMITS.notice_original:
        length, ret = min(length, LIMITS.header_bytes), "HDRS"
    try:
        data = message.prefix + segments.read(place.segment, place.offset, length)
    except SegmentDamaged:
        data, ret = message.prefix, "HDRS"
    if ret == "HDRS":
        data = data[: header_end(data, 0, len(data))]
    return notice.Original(
        sender, data, envid=from_xtext(message.envid or ""), ret=ret, arrived=message.created_at / 1000,
        utf8=message.smtputf8,
    )  # fmt: skip
