"""What one accepted message does to the store: copies into mailboxes, rows in the queue, events; one transaction.

`receive` makes the `Plan` outside of it, from look-ups that may have grown old by a few milliseconds; what can change
meanwhile (a mailbox is removed or fills up) is looked at again here: `Stale` undoes everything, and a new plan is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.flow.containing import contain
from daemon.flow.envelope import Origin
from daemon.flow.judged import Judged, note
from daemon.mail.address import Address
from daemon.mail.summary import Summary, message_id_in
from daemon.store import blobs, correspondents, events, incidents, mailboxes, messages, quarantine, queue
from daemon.store.addresses import Denial
from daemon.store.allowance import Limits
from daemon.store.errors import Missing, OverQuota
from daemon.store.quarantine import Kept
from daemon.store.spool import Body
from daemon.store.tx import Tx


class Stale(Exception):
    """The plan does not fit the store any more; nothing was done."""


class Copy(NamedTuple):
    """One copy for one mailbox. `kept`: it is junk, and noted as such for a while."""

    account_id: int
    address: str
    prefix: bytes
    recipient: str
    mailbox: str = mailboxes.INBOX
    kept: Kept | None = None


class Sending(NamedTuple):
    """One envelope for the queue."""

    message: queue.NewMessage
    recipients: list[queue.NewRecipient]
    held: str | None = None


@dataclass(slots=True)
class Plan:
    """Everything that is to be done for one message.

    `failures`: what could not be done for some while it was for others. `notices` are messages about this one, done
    with it; `about` is what a notice tells (failure, success). `judged` is there for mail from other servers, and
    `unsent` whom it is not forwarded to, since it is junk. `written_to`: the recipients of what a user hands in,
    `limits` what he may send.
    """

    trace: str
    origin: Origin
    sender: str
    body: Body
    summary: Summary | None  # none for what only passes through
    quota: int
    copies: list[Copy] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    failures: list[tuple[Address, Denial]] = field(default_factory=list)
    notices: list[Plan] = field(default_factory=list)
    about: str = ""
    judged: Judged | None = None
    unsent: list[str] = field(default_factory=list)
    written_to: tuple[Address, ...] = ()
    limits: Limits | None = None

    @property
    def empty(self) -> bool:
        return not (self.copies or self.sendings)

    @property
    def bodies(self) -> list[Body]:
        return [self.body, *(body for notice in self.notices for body in notice.bodies)]


def commit(tx: Tx, plan: Plan) -> None:
    """Do it. Raises `Stale`."""
    blob_id = blobs.keep(tx, plan.body, plan.summary, len(plan.copies) + len(plan.sendings))
    trace, origin = plan.trace, plan.origin
    message_id = (plan.summary.message_id if plan.summary is not None else message_id_in(plan.body.view())) or None
    told = [
        events.New(
            trace, "notified" if plan.about else "accepted", plan.about or origin.kind,
            sender=plan.sender, message_id=message_id, peer=origin.peer or None,
            detail={"size": plan.body.size, "helo": origin.helo or None, "with": origin.protocol},
        )
    ]  # fmt: skip
    if plan.judged is not None:
        told += plan.judged.story(trace, origin, plan.sender, message_id)
        note(tx, plan.judged)
    incident = contain(tx, plan)
    if plan.written_to and origin.account_id is not None:
        correspondents.wrote(tx, origin.account_id, plan.written_to if incident is None else (), message_id)
    for copy in plan.copies:
        try:
            placed = messages.put(
                tx, copy.account_id, copy.mailbox, blob_id, plan.body.size,
                prefix=copy.prefix, trace=trace, default_quota=plan.quota,
            )  # fmt: skip
        except (OverQuota, Missing) as error:
            raise Stale(str(error)) from None
        if copy.kept is not None:
            quarantine.point(tx, copy.account_id, copy.kept, trace, placed.email_id, len(copy.prefix) + plan.body.size)
        told.append(
            events.New(
                trace, "delivered", recipient=copy.recipient,
                detail={"user": copy.address, "mailbox": copy.mailbox, "uid": placed.uid},
            )
        )  # fmt: skip
    told += [events.New(trace, "dropped", "junk-not-forwarded", recipient=address) for address in plan.unsent]
    for sending in plan.sendings:
        held = sending.held if incident is None else incidents.HELD
        queue.enqueue(tx, sending.message, blob_id, sending.recipients, held=held, incident=incident, told=told)
    events.record_all(tx, told)
    for address, denial in plan.failures:
        events.record(tx, trace, "failed", denial.reason, sender=plan.sender, recipient=str(address), text=denial.text)
    for notice in plan.notices:
        commit(tx, notice)
