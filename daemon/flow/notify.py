"""What a sender is told in the very write that takes his mail: of copies that could not be made, of success asked for.

RFC 3461 §4.1 and §6.2; the words are in `daemon.mail.notice`. What the queue has to tell is `bounce`'s.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.flow.envelope import Envelope, Recipient
from daemon.flow.postmaster import postmaster
from daemon.limits import LIMITS
from daemon.mail import notice
from daemon.mail.address import Address
from daemon.mail.header import header_end
from daemon.store.addresses import Denial
from daemon.store.spool import Body
from daemon.store.tx import Tx
from daemon.wire.smtp_parameters import from_xtext

REJECTED = "rejected"  # the reason of a denial that a script gives (RFC 5429)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one copy; `denial` None: it is in the mailbox `address`."""

    recipient: Recipient
    address: Address
    denial: Denial | None = None

    @property
    def refused(self) -> bool:
        """Whether the owner's rules do not want it."""
        return self.denial is not None and self.denial.reason == REJECTED

    @property
    def worth_telling(self) -> bool:
        """Whether the sender wants to hear of it: of success only when asked for, of failure unless told not to."""
        wanted = (self.recipient.notify or "FAILURE").split(",")
        return ("FAILURE" if self.denial is not None else "SUCCESS") in wanted


def letters(tx: Tx, fates: Sequence[Fate], envelope: Envelope, body: Body, *, hostname: str) -> list[tuple[str, bytes]]:
    """The notices due, each with its reason (failure, success). None for the null sender."""
    sender = envelope.sender
    if sender is None or not sender.domain:
        return []
    due = [fate for fate in fates if fate.worth_telling]
    if not due:
        return []
    original = _original(sender, envelope, body)
    found = []
    for reason, make, some in (
        ("failure", notice.failure, [fate for fate in due if fate.denial is not None]),
        ("success", notice.success, [fate for fate in due if fate.denial is None]),
    ):
        if some:
            reports = [_report(fate) for fate in some]
            ours = notice.Ours(hostname, postmaster(tx, hostname, sender), tx.now / 1000, secrets.token_hex(12))
            found.append((reason, make(reports, original, ours)))
    return found


def _report(fate: Fate) -> notice.Report:
    recipient, denial = fate.recipient, fate.denial
    kind, _, original = (recipient.orcpt or f"rfc822;{recipient.address}").partition(";")
    return notice.Report(
        fate.address,
        "2.1.5" if denial is None else "5" + denial.enhanced[1:],
        original=f"{kind};{from_xtext(original) if recipient.orcpt else original}",
        words="" if denial is None else denial.text[0].upper() + denial.text[1:] + ".",
    )


def _original(sender: Address, envelope: Envelope, body: Body) -> notice.Original:
    view, ret = body.view(), envelope.ret or ""
    if body.size > LIMITS.notice_original:
        data, ret = bytes(view[: header_end(view, 0, len(view))]), "HDRS"
    else:
        data = bytes(view)
    return notice.Original(sender, data, envid=from_xtext(envelope.envid or ""), ret=ret, utf8=envelope.smtputf8)
