"""What one accepted message does to the store: copies into mailboxes, rows in the queue, events; one transaction.

`receive` makes the `Plan` outside of it, from look-ups that may have grown old by a few milliseconds; what can change
meanwhile (a mailbox is removed or fills up) is looked at again here: `Stale` undoes everything, and a new plan is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.flow.containing import contain
from daemon.flow.envelope import Origin
from daemon.flow.judged import Judged, note
from daemon.mail.address import Address
from daemon.mail.summary import Summary, message_id_in
from daemon.store import (
    blobs,
    contacts,
    correspondents,
    events,
    incidents,
    mailboxes,
    messages,
    quarantine,
    queue,
    sieve,
)
from daemon.store.addresses import Denial
from daemon.store.allowance import Limits
from daemon.store.errors import Invalid, Missing, OverQuota
from daemon.store.quarantine import Kept
from daemon.store.spool import Body
from daemon.store.submissions import Settlement
from daemon.store.tx import Tx


class Stale(Exception):
    """The plan does not fit the store any more; nothing was done."""


class Copy(NamedTuple):
    """One copy for one mailbox. `kept`: it is junk, and noted as such for a while. `version`: of the message, 0 is the
    one that came. `create`: the mailbox is made if it is not there, for `special_use` if that is something."""

    account_id: int
    address: str
    prefix: bytes
    recipient: str
    mailbox: str = mailboxes.INBOX
    kept: Kept | None = None
    flags: int = 0
    keywords: tuple[str, ...] = ()
    version: int = 0
    create: bool = False
    special_use: str = ""


class Sending(NamedTuple):
    """One envelope for the queue."""

    message: queue.NewMessage
    recipients: list[queue.NewRecipient]
    held: str | None = None
    version: int = 0


class Version(NamedTuple):
    """A message, as it came or as a script changed it."""

    body: Body
    summary: Summary | None  # none for what only passes through


class Answer(NamedTuple):
    """A vacation's: told once in its time to each sender. Of two at once, the second is silent."""

    account_id: int
    handle: str
    sender: Address
    seconds: int

    def first(self, tx: Tx) -> bool:
        return sieve.answer(tx, self.account_id, self.handle, self.sender, self.seconds)


class Fault(NamedTuple):
    """Of a user's rules: told once a day."""

    account_id: int

    def first(self, tx: Tx) -> bool:
        return sieve.told(tx, self.account_id)


class Duplicate(NamedTuple):
    """What a script found to be new, or saw again (`again`)."""

    account_id: int
    handle: str
    seconds: int
    again: bool


@dataclass(slots=True)
class Plan:
    """Everything that is to be done for one message.

    `failures`: what could not be done for some while it was for others. `notices` are messages about this one, done
    with it; `about` is what a notice tells (failure, success, vacation, ...), and one with `once` is done if nobody
    did it before. `judged` is there for mail from other servers, and `unsent` whom it is not forwarded to, since it is
    junk. `written_to`: the recipients of what a user hands in, `called`: with the names he gives them, `limits`: what
    he may send, `settlement`: what becomes of the submission that it is.
    Of the owners' rules: `versions` are what scripts made of the message, numbered from 1; `duplicates` what they
    remember; `ruled` tells what they did, and `discarded` that somebody's threw it away.
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
    called: tuple[tuple[Address, str], ...] = ()
    limits: Limits | None = None
    settlement: Settlement | None = None
    once: Answer | Fault | None = None
    versions: list[Version] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    ruled: list[events.New] = field(default_factory=list)
    discarded: bool = False

    @property
    def empty(self) -> bool:
        return not (self.copies or self.sendings or self.discarded)

    @property
    def held(self) -> list[tuple[Version, int]]:
        """Each version, with how many copies and rows hold it."""
        counts = Counter([*(copy.version for copy in self.copies), *(sending.version for sending in self.sendings)])
        return [
            (version, counts[number])
            for number, version in enumerate((Version(self.body, self.summary), *self.versions))
        ]

    @property
    def bodies(self) -> list[Body]:
        own = [self.body, *(version.body for version in self.versions)]
        return own + [body for notice in self.notices for body in notice.bodies]


def commit(tx: Tx, plan: Plan) -> None:
    """Do it. Raises `Stale`, and `submissions.Settled` when it was sent before, or called back."""
    if plan.settlement is not None:
        plan.settlement.settle(tx, plan.trace)
    blob_ids = [_keep(tx, version, holders) for version, holders in plan.held]
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
        contacts.collect(tx, origin.account_id, plan.called if incident is None else ())
    told += plan.ruled
    remember(tx, plan.duplicates)
    for copy in plan.copies:
        size = plan.versions[copy.version - 1].body.size if copy.version else plan.body.size
        mailbox = made(tx, copy.account_id, copy.mailbox, copy.special_use) if copy.create else copy.mailbox
        try:
            placed = messages.put(
                tx, copy.account_id, mailbox, blob_ids[copy.version], size, prefix=copy.prefix, flags=copy.flags,
                keyword_names=copy.keywords, trace=trace, default_quota=plan.quota,
            )  # fmt: skip
        except (OverQuota, Missing) as error:
            raise Stale(str(error)) from None
        if copy.kept is not None:
            quarantine.point(tx, copy.account_id, copy.kept, trace, placed.email_id, len(copy.prefix) + size)
        told.append(
            events.New(
                trace, "delivered", recipient=copy.recipient,
                detail={"user": copy.address, "mailbox": mailbox, "uid": placed.uid},
            )
        )  # fmt: skip
    told += [events.New(trace, "dropped", "junk-not-forwarded", recipient=address) for address in plan.unsent]
    for sending in plan.sendings:
        held = sending.held if incident is None else incidents.HELD
        blob_id = blob_ids[sending.version]
        queue.enqueue(tx, sending.message, blob_id, sending.recipients, held=held, incident=incident, told=told)
    events.record_all(tx, told)
    for address, denial in plan.failures:
        events.record(tx, trace, "failed", denial.reason, sender=plan.sender, recipient=str(address), text=denial.text)
    notify(tx, plan.notices)


def notify(tx: Tx, notices: Iterable[Plan]) -> None:
    """What is told with a message, unless it was told before."""
    for notice in notices:
        if notice.once is None or notice.once.first(tx):
            commit(tx, notice)
            continue
        for body in notice.bodies:
            blobs.unused(tx, body)


def made(tx: Tx, account_id: int, mailbox: str, special_use: str = "") -> str:
    """A mailbox, made if it is not there, for a special use that none has (RFC 8579 section 4.1); INBOX where there may
    be no more of them."""
    if mailboxes.find(tx, account_id, mailbox) is None:
        new = special_use in mailboxes.SPECIAL_USES and mailboxes.for_use(tx, account_id, special_use) is None
        try:
            mailboxes.create(tx, account_id, mailbox, special_use if new else None)
        except Invalid:
            return mailboxes.INBOX
        mailboxes.subscribe(tx, account_id, mailbox, True)  # or no client would show it
    return mailbox


def _keep(tx: Tx, version: Version, holders: int) -> int:
    if holders:
        return blobs.keep(tx, version.body, version.summary, holders)
    blobs.unused(tx, version.body)  # discarded, or filed as a script has changed it
    return 0


def remember(tx: Tx, duplicates: Iterable[Duplicate]) -> None:
    """What the test `duplicate` has seen: a message that came at the same time may have been before this one."""
    for seen in duplicates:
        if not sieve.see(tx, seen.account_id, seen.handle, seen.seconds, again=seen.again):
            raise Stale("a message that is a duplicate of this one came before it")
