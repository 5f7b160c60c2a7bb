"""The plan for one message: a copy for each mailbox, rows for the queue, what the sender is told. Reading only.

It asks the resolver (unless the door has asked it at RCPT), sees loops, and makes the prefix of each copy. Two
recipients that end in one mailbox get one copy; where its owner has rules (`rules`), they decide what is done instead.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.config import Config
from daemon.flow import answers, applying, containing, forward, keeping, notify, rules, signing, submit
from daemon.flow.deliver import Copy, Plan, Sending, Version
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.judged import Judged
from daemon.flow.notify import Fate
from daemon.limits import LIMITS
from daemon.mail import headers
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.decode import unfold
from daemon.mail.header import header_end, named
from daemon.mail.summary import Summary, summarize
from daemon.sieve.subject import Head
from daemon.store import accounts, addresses, events, mailboxes, queue, settings
from daemon.store.addresses import NOT_OURS, Denial, Onward, Resolution
from daemon.store.errors import Missing, OverQuota
from daemon.store.quarantine import Kept
from daemon.store.spool import Body
from daemon.store.tx import Tx

HOPS = Denial(554, "5.4.6", "too-many-hops", "the message has passed too many servers: it goes in a circle")
LOOP = Denial(554, "5.4.6", "delivery-loop", "the message was delivered here before: it goes in a circle")
FULL = Denial(452, "4.2.2", "over-quota", "the mailbox is full")
GONE = Denial(451, "4.2.1", "mailbox-gone", "the mailbox is being removed")
_HELD = "external-mail-held"
_ROAD = (b"received", b"delivered-to", b"tls-required")
_CHANCE = random.Random()  # a trace is unique, not secret; the system's own chance costs a switch of threads


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient of the envelope; `denial` None: taken."""

    recipient: Recipient
    denial: Denial | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The trace under which all about the message is found, and an outcome for each recipient, in their order."""

    trace: str
    outcomes: tuple[Outcome, ...]

    @property
    def taken(self) -> bool:
        """Whether anybody took it. If nobody did, it is in no mailbox and no queue."""
        return any(outcome.denial is None for outcome in self.outcomes)

    def __str__(self) -> str:
        return self.trace


def new_trace(now: int) -> str:
    """For a message that came at this moment, in milliseconds."""
    return events.new_trace(now, _CHANCE.randbytes)


def prepare(
    tx: Tx,
    origin: Origin,
    envelope: Envelope,
    body: Body,
    summary: Summary | None,
    config: Config | None,
    attempt: int,
    signature: bytes | None = None,
    judged: Judged | None = None,
    inline: bool = False,
) -> tuple[Plan, Receipt]:
    """What is to be done, and what each recipient will be told when it is.

    The first attempt takes it that there is room (the writer looks anyway), the next ones look who has none. Without a
    `signature` the message is signed here, if it is ours. Raises `rules.Heavy`, `inline`, when rules need a thread.
    """
    if signature is None:
        signature = signing.signature(tx, origin, body)
    planning = Planning(
        tx, origin, envelope, body, summary, config or settings.load(tx), signature, judged, careful=attempt > 0,
        inline=inline,
    )  # fmt: skip
    outcomes = tuple(Outcome(r, planning.add(r)) for r in envelope.recipients)
    planning.finish(outcomes)
    return planning.plan, Receipt(planning.plan.trace, outcomes)


class Planning:
    """One plan while it is made."""

    def __init__(
        self,
        tx: Tx,
        origin: Origin,
        envelope: Envelope,
        body: Body,
        summary: Summary | None,
        config: Config,
        signature: bytes,
        judged: Judged | None,
        *,
        careful: bool,
        inline: bool = False,
        follow: bool = True,
    ) -> None:
        self.tx = tx
        self.origin = origin
        self.envelope = envelope
        self.config = config
        self.signature = signature
        self.careful = careful
        self.inline = inline
        self.follow = follow  # the owners' rules
        self.sender = envelope.reverse_path
        trace = origin.trace or new_trace(tx.now)
        self.plan = Plan(trace, origin, self.sender, body, summary, config["limits.quota"], judged=judged)
        self.hops, self.been, self.tls = _road(body)
        self.judged = judged
        self.field = judged.field if judged is not None else b""
        reverse = judged.signals.iprev.name if judged is not None else ""
        self.peer = headers.Peer(origin.helo, origin.peer, reverse) if origin.peer else None
        self.protocol = _protocol(origin, envelope)
        self.about: keeping.About | None = None
        self.mailboxes: dict[int, Denial | None] = {}
        self.spent = 0.0  # seconds that their scripts took
        self.ruling: set[int] = set()  # the accounts whose rules are being followed just now
        self.made: dict[bytes, int] = {}  # versions of the message by their octets
        self.sendings: dict[tuple[str, str, str | None, int], Sending] = {}
        self.externals: set[tuple[str, str]] = set()
        self.fates: list[Fate] = []  # of copies: what the sender may want to hear
        self.junked: set[int] = set()  # the recipients for whom it is junk, by identity

    def add(self, recipient: Recipient) -> Denial | None:
        """Plan for one recipient; why nothing can be done for him, if so."""
        if self.hops > LIMITS.smtp_hops:
            return HOPS
        if self.judged is not None and recipient.address.key in self.judged.denied:
            return self.judged.denied[recipient.address.key]
        found = recipient.resolution or addresses.resolve(self.tx, recipient.address)
        if found.denial == NOT_OURS and (self.origin.may_relay or recipient.added):
            if recipient.added and self.judged is not None and self._junk(None):
                return self.judged.not_forwarded(None)
            return self.send(recipient, Onward(str(recipient.address), ""))
        denial = found.denial_for(self.envelope.sender)
        if denial is not None:
            return denial
        return self._deliver(recipient, found)

    def _deliver(self, recipient: Recipient, found: Resolution) -> Denial | None:
        if recipient.address.key in self.been:
            return LOOP
        known = len(self.fates)
        taken = False
        first: Denial | None = None
        asked = recipient.notify is not None  # only then is success told; of what goes into the queue the queue tells
        for local in found.locals:
            denial = self.copy(recipient, local)
            if denial is None:
                taken = True
            if self._junk(local.account_id):
                self.junked.add(id(recipient))
            first = first or denial
            if asked or denial is not None:
                self.fates.append(Fate(recipient, local.address, denial))
        for onward in found.onward:
            junk = self._junk(onward.account_id)
            if junk:
                self.junked.add(id(recipient))
            denial = self._keep(recipient, onward) if junk else self.send(recipient, onward)
            if denial is None:
                taken = True
            else:
                first = first or denial
                self.fates.append(Fate(recipient, parse_address(onward.address), denial))
        if taken:
            return None
        del self.fates[known:]  # he is refused as a whole
        return first or addresses.UNKNOWN_USER

    def _junk(self, account_id: int | None) -> bool:
        return self.judged is not None and self.judged.junk(account_id)

    def copy(self, recipient: Recipient, local: addresses.Local, message: bytes | None = None) -> Denial | None:
        """For one mailbox, however many recipients lead there; of the `message` as somebody's rules have changed it."""
        if local.account_id not in self.mailboxes:
            self.mailboxes[local.account_id] = None
            self.mailboxes[local.account_id] = self._copy(recipient, local, message)
        return self.mailboxes[local.account_id]

    def _copy(self, recipient: Recipient, local: addresses.Local, message: bytes | None) -> Denial | None:
        account_id = local.account_id
        prefix = headers.return_path(self.envelope.sender) + headers.delivered_to(local.address)
        if message is None:  # else it has these already
            prefix += b"" if self.judged is None else self.judged.fields(account_id)
            prefix += self._received(recipient)
        if local.address.key in self.been:
            return LOOP
        junk = self._junk(account_id)
        home = (mailboxes.for_use(self.tx, account_id, "\\Junk") if junk else None) or mailboxes.INBOX
        version = self.version(message)
        size = self.plan.body.size if message is None else len(message)
        if self.follow:
            read = self.plan.body.bytes if message is None else lambda: message
            case = rules.Case(
                account_id, local.address, recipient, self.envelope, self.origin, prefix, read, size, self.config,
                self.judged, home, junk, self.inline, version,
            )  # fmt: skip
            ruling = rules.rule(self.tx, case)
            if ruling is not None:
                self.spent += ruling.took
                if self.inline and self.spent * 1000 > LIMITS.sieve_together:
                    raise rules.Heavy
                if not ruling.idle:
                    return self._followed(case, ruling)
        denial = self.room(account_id, len(prefix) + size) if self.careful else None
        if denial is None:
            kept = self.note(account_id, recipient) if junk else None
            to = str(recipient.address)
            self.plan.copies.append(Copy(account_id, str(local.address), prefix, to, home, kept, version=version))
        return denial

    def _followed(self, case: rules.Case, ruling: rules.Ruling) -> Denial | None:
        self.ruling.add(case.account_id)
        try:
            return applying.apply(self, case, ruling)
        finally:
            self.ruling.discard(case.account_id)

    def room(self, account_id: int, size: int) -> Denial | None:
        """Why there is none."""
        try:
            accounts.check_room(self.tx, account_id, size, self.plan.quota)
        except OverQuota:
            return FULL
        except Missing:
            return GONE
        return None

    def version(self, message: bytes | None) -> int:
        """The number of the message as a script changed it; 0: as it came."""
        if message is None:
            return 0
        if message not in self.made:
            if self.inline and self.plan.versions:  # each is read as a whole, which is no script's time
                raise rules.Heavy
            self.plan.versions.append(Version(Body.of(message), summarize(message)))
            self.made[message] = len(self.plan.versions)
        return self.made[message]

    def note(self, account_id: int, recipient: Recipient) -> Kept | None:
        """What is remembered of a message that this user does not find in his INBOX."""
        if self.judged is None or not self.config["quarantine.keep"]:
            return None
        if self.about is None:
            self.about = keeping.about(self.plan.body)
        return keeping.note(self.judged.of(account_id), self.about, str(recipient.address), self.sender)

    def _keep(self, recipient: Recipient, onward: Onward) -> Denial | None:
        """Junk is never forwarded: a user who forwards finds it in his own Junk, an alias has no such place."""
        if onward.account_id is None:
            assert self.judged is not None
            return self.judged.not_forwarded(None)
        self.plan.unsent.append(onward.address)
        return self.copy(recipient, addresses.Local(onward.account_id, parse_address(onward.via)))

    def send(
        self, recipient: Recipient, onward: Onward, *, ret: str | None = None, version: int = 0
    ) -> Denial | None:  # fmt: skip
        """A row in the queue. What an alias or a user sends on goes in an envelope of its own."""
        if onward.via and parse_address(onward.via).key in self.been:
            return LOOP
        address = parse_address(onward.address)
        if address.key in self.externals:
            return None
        self.externals.add(address.key)
        sender = forward.reverse_path(self.tx, self.envelope.sender, onward.via) if onward.via else self.sender
        ret = ret or self.envelope.ret
        sending = self.sendings.get((sender, onward.via, ret, version))
        if sending is None:
            sending = self._sending(sender, onward, recipient.added, ret, version)
            self.sendings[sender, onward.via, ret, version] = sending
        sending.recipients.append(queue.NewRecipient(onward.address, recipient.orcpt, recipient.notify))
        return None

    def _sending(self, sender: str, onward: Onward, added: bool, ret: str | None, version: int) -> Sending:
        only = self.envelope.recipients[0] if len(self.envelope.recipients) == 1 else None
        prefix = b"" if version else self.field + self._received(only)  # what was changed has them
        size = self.plan.versions[version - 1].body.size if version else self.plan.body.size
        if onward.via:
            prefix = headers.delivered_to(parse_address(onward.via)) + prefix
            origin = "alias" if onward.account_id is None else "forward"
        else:
            other = "filter" if added else "forward"  # a bounce to a sender that was rewritten
            origin = self.origin.kind if self.origin.may_relay else other
        config, envelope = self.config, self.envelope
        message = queue.NewMessage(
            self.plan.trace, sender, origin, prefix, len(prefix) + size,
            lifetime=config["queue.lifetime"] * 1000, warn_after=config["queue.warn_after"] * 1000,
            account_id=onward.account_id if onward.via else self.origin.account_id,
            eightbit=envelope.eightbit or version > 0, smtputf8=envelope.smtputf8, ret=ret, envid=envelope.envid,
            tls="required" if envelope.requiretls else self.tls,
        )  # fmt: skip
        sending = Sending(message, [], _HELD if config["queue.hold_external"] else None, version)
        self.plan.sendings.append(sending)
        return sending

    def letter(self, origin: Origin, envelope: Envelope, data: bytes) -> Plan:
        """The plan for a message of ours that goes out with this one."""
        plan, _ = prepare(self.tx, origin, envelope, Body.of(data), summarize(data), self.config, 1, inline=self.inline)
        return plan

    def _received(self, recipient: Recipient | None) -> bytes:
        """The trace of this hop, and below it what we signed."""
        trace = headers.received(
            self.config["hostname"], self.protocol, self.plan.trace, self.tx.now / 1000,
            peer=self.peer, recipient=recipient.address if recipient is not None else None,
        )  # fmt: skip
        return trace + self.signature

    @property
    def head(self) -> Head:
        view = self.plan.body.view()
        return Head(bytes(view[: header_end(view, 0, len(view))]))

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Add what the sender must be told. Where one answer stands for all recipients, those who were refused too."""
        plan = self.plan
        if plan.empty:
            return
        if self.origin.kind == "submission":
            plan.written_to = tuple(o.recipient.address for o in outcomes if o.denial is None)
            others = [each for each in plan.written_to if each != self.envelope.sender]
            plan.called = submit.called(plan.body, others)
            plan.limits = containing.limits_for(self.config, self.origin)
        if self.origin.one_answer and len(outcomes) > 1:
            self.fates += [Fate(o.recipient, o.recipient.address, o.denial) for o in outcomes if o.denial is not None]
        if not self.fates:
            return
        plan.failures = [(fate.address, fate.denial) for fate in self.fates if fate.denial is not None]
        heard = [fate for fate in self.fates if id(fate.recipient) not in self.junked]  # the sender may well be forged
        if any(fate.refused for fate in heard) and answers.automatic(self.head):  # RFC 5429 section 2.1
            heard = [fate for fate in heard if not fate.refused]
        hostname = self.config["hostname"]
        for about, letter in notify.letters(self.tx, heard, self.envelope, plan.body, hostname=hostname):
            sender = self.envelope.sender
            assert sender is not None
            origin = Origin("notice", trace=plan.trace)
            told = self.letter(origin, _notice_to(sender, self.envelope.requiretls), letter)
            told.about = about
            if not told.empty:
                plan.notices.append(told)


def _notice_to(sender: Address, requiretls: bool) -> Envelope:
    """RFC 8689 §5: what tells of a message is protected as it was."""
    return Envelope(None, [Recipient(sender)], smtputf8=not sender.is_ascii, requiretls=requiretls)


def _road(body: Body) -> tuple[int, set[tuple[str, str]], str]:
    """How many servers passed the message on, for whom it was delivered before, and whether TLS is `optional`."""
    view = body.view()
    hops, been, tls = 0, set(), ""
    for field in named(view, *_ROAD):
        if field.name == b"received":
            hops += 1
            continue
        value = unfold(field.value)
        if field.name == b"tls-required":  # RFC 8689 §5
            tls = "optional" if value.strip().lower() == b"no" else tls
            continue
        with contextlib.suppress(BadAddress):
            been.add(parse_address(value.decode("utf-8", "surrogateescape").strip(" \t<>")).key)
    return hops, been, tls


def _protocol(origin: Origin, envelope: Envelope) -> str:
    """RFC 6531 §4.3: mail that needs SMTPUTF8 says so in its trace."""
    word = origin.protocol
    if not envelope.smtputf8 or word in ("local", "SMTP"):
        return word
    return "UTF8" + word.removeprefix("E")
