"""What an owner's rules decided, made part of the plan: copies with their flags, rows for the queue, answers, notices.

What cannot be done (a redirect that goes in a circle, an address that is none) is a fault, and then the message is kept
where it would go without rules: rules lose nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from daemon.flow import answers
from daemon.flow.deliver import Answer, Copy, Duplicate, Fault, Plan
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.notify import REJECTED, Fate
from daemon.flow.postmaster import postmaster
from daemon.flow.rules import Case, Place, Ruling, Said, located, marks
from daemon.flow.rules import Fault as Wrong
from daemon.limits import LIMITS
from daemon.mail import headers
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.header import field_matcher, header_end
from daemon.mail.summary import summarize
from daemon.sieve.actions import Action, FileInto, Redirect
from daemon.sieve.subject import Head
from daemon.store import accounts, addresses, events, sieve
from daemon.store.addresses import Denial, Local, Onward
from daemon.store.spool import Body

if TYPE_CHECKING:
    from daemon.flow.planning import Planning

_HANDLE = 64  # characters of a vacation's handle that are remembered as they are
_UNSAFE = re.compile(r"[^ -~]+")
_RETURN_PATH = field_matcher(frozenset((b"return-path",)))
_CIRCLE = "it would go in a circle"


def apply(planning: Planning, case: Case, ruling: Ruling) -> Denial | None:
    """Do it for one mailbox; why the recipient is refused, if so."""
    return _Applying(planning, case, ruling).apply()


def elsewhere(planning: Planning, case: Case, ruling: Ruling) -> None:
    """Of a message that lies in a mailbox, what does not happen there: it is sent on, somebody is notified. After a
    fault of an event's script nothing but that its owner is told; of FILTER his client tells him."""
    doing = _Applying(planning, case, ruling)
    for said in ruling.redirects:
        doing.redirect(said)
    doing.notify()
    doing.plan.duplicates += [Duplicate(case.account_id, *seen) for seen in ruling.seen]
    if ruling.faults:
        doing.undo()
        if case.lying is not None and case.lying.event is not None:
            doing.tell_owner()
    doing.tell()


class _Applying:
    """One ruling while it is made part of a plan."""

    def __init__(self, planning: Planning, case: Case, ruling: Ruling) -> None:
        self.planning = planning
        self.plan = planning.plan
        self.tx = planning.tx
        self.case = case
        self.ruling = ruling

    @cached_property
    def head(self) -> Head:
        """Of the message as the scripts saw it first."""
        data = self.ruling.data or self.case.prefix + self.case.body()
        return Head(data[: header_end(data, 0, len(data))])

    def apply(self) -> Denial | None:
        ruling, case = self.ruling, self.case
        self.spare()
        denial = self.full()
        if denial is not None:
            return denial
        denial = self.redirects()
        if denial is not None:
            return denial
        refusal = self.refusal()
        alone = not (ruling.places or ruling.redirects)
        if refusal is None or not alone:
            for place in ruling.places.values():
                self.copy(place)
            self.answer()
            self.notify()
            self.plan.duplicates += [Duplicate(case.account_id, *seen) for seen in ruling.seen]
            if not ruling.places and not ruling.redirects:
                self.plan.discarded = True
            if refusal is not None:  # another script wants it elsewhere: its sender is told in a notice
                self.planning.fates.append(Fate(case.recipient, case.address, refusal))
                refusal = None
        self.tell_owner()
        self.tell()
        return refusal

    # ------------------------------------------------------------------------------------------------------- copies

    def spare(self) -> None:
        """Each recipient's script may make another long message of this one: they are held in memory together."""
        if sum([version.body.size for version in self.plan.versions]) < LIMITS.sieve_changed:
            return
        ruling = self.ruling
        changed = [each for each in ruling.places.values() if each.message is not None]
        if not changed and all(said.action.message is None for said in ruling.redirects):
            return
        ruling.places.update({each.mailbox: each._replace(message=None) for each in changed})
        ruling.redirects = [said._replace(action=said.action._replace(message=None)) for said in ruling.redirects]
        ruling.fault("the message is too long to be changed for all its recipients: it is as it came")

    def full(self) -> Denial | None:
        """Why its owner has no room for the copies; looked at only by a second plan, as the writer looks anyway."""
        if not self.planning.careful or not self.ruling.places:
            return None
        sizes = [
            len(place.message) if place.message is not None else len(self.case.prefix) + self.case.size
            for place in self.ruling.places.values()
        ]
        return self.planning.room(self.case.account_id, sum(sizes))

    def fits(self, size: int) -> bool:
        """Whether there is room for something beside the copies: what is only useful must not stand in their way."""
        for plan in (self.plan, *self.plan.notices):
            sizes = [version.body.size for version, _ in plan.held]
            for copy in plan.copies:
                if copy.account_id == self.case.account_id:
                    size += len(copy.prefix) + sizes[copy.version]
        return self.planning.room(self.case.account_id, size) is None

    def copy(self, place: Place) -> None:
        case = self.case
        kept = None
        if case.junk and place.mailbox == case.home:
            kept = self.planning.note(case.account_id, case.recipient)
        changed = place.message is not None
        self.plan.copies.append(
            Copy(
                case.account_id, str(case.address), b"" if changed else case.prefix, str(case.recipient.address),
                place.mailbox, kept, place.flags, place.keywords, self.version(place.message), place.create,
                place.special_use,
            )
        )  # fmt: skip

    def version(self, message: bytes | None) -> int:
        return self.case.version if message is None else self.planning.version(message)

    # ---------------------------------------------------------------------------------------------------- redirects

    def redirects(self) -> Denial | None:
        """All of them. What cannot be sent on and finds no room here: its recipient is refused if nothing was done for
        him yet, else a notice tells the sender."""
        wanted, before = dict(self.ruling.places), self._done()
        for said in self.ruling.redirects:
            self.redirect(said)
        denial = self.full() if len(self.ruling.places) > len(wanted) else None
        if denial is None or not (wanted or self._done() > before):
            return denial
        self.ruling.places = wanted
        self.planning.fates.append(Fate(self.case.recipient, self.case.address, denial))
        return None

    def _done(self) -> int:
        return len(self.plan.copies) + len(self.planning.externals)

    def redirect(self, said: Said[Redirect]) -> None:
        """To another server, or to another mailbox here; where it leads nowhere, the message is kept."""
        action = said.action
        why = self.onward(action)
        if not why:
            self.told(said, f"redirected to {action.address}")
            return
        self.told(said, f"kept, as it cannot be redirected to {action.address}: {why}")
        lying = self.case.lying
        self.ruling.place(Place(self.case.home, *marks(lying.flags if lying else None), message=action.message))
        if why != _CIRCLE:
            text = f"line {action.line}: it cannot be redirected to {action.address}: {why}"
            self.ruling.faults.append(Wrong(said.script, text))

    def onward(self, action: Redirect) -> str:
        """Why it cannot be sent there, or not to all that the address stands for; "" when it is."""
        try:
            target = parse_address(action.address)
        except BadAddress as error:
            return str(error)
        if not target.domain:
            return "it has no domain"
        message = action.message
        found = addresses.resolve(self.tx, target)
        version = self.version(_bare(message))
        if found.denial is addresses.NOT_OURS:
            return self.send(action, Onward(str(target), str(self.case.address), self.case.account_id), version)
        if found.denial is not None:
            return found.denial.text
        why = [self.local(local, target, message) for local in found.locals]
        why += [self.send(action, onward, version) for onward in found.onward]
        return next((each for each in why if each), "") if why else "it leads nowhere"

    def send(self, action: Redirect, onward: Onward, version: int) -> str:
        to = self.case.recipient
        recipient = Recipient(to.address, to.orcpt, action.notify or to.notify)
        denial = self.planning.send(recipient, onward, ret=action.ret or None, version=version)
        return "" if denial is None else _CIRCLE

    def local(self, local: Local, target: Address, message: bytes | None) -> str:
        """To somebody here: his rules see it, too. Not to one whose rules are just being followed."""
        if local.account_id in self.planning.ruling:
            return _CIRCLE
        if len(self.planning.ruling) >= LIMITS.sieve_chain:
            return "too many redirect to each other, one after another"
        denial = self.planning.copy(Recipient(target, notify="NEVER"), local, _bare(message))
        return "" if denial is None else denial.text

    # ------------------------------------------------------------------------------------------------------- refusal

    def refusal(self) -> Denial | None:
        """The answer that a script wants (RFC 5429), in one line of ASCII; the notice has the same words."""
        said = self.ruling.reject
        if said is None:
            return None
        words = " ".join(said.action.text.split())[: LIMITS.sieve_refusal]
        text = _UNSAFE.sub("?", words) or "the recipient does not take this message"
        self.told(said, f"rejected: {text}")
        return Denial(550, "5.7.1", REJECTED, text)

    # ------------------------------------------------------------------------------------------ answers and notices

    def owner(self) -> accounts.Account | None:
        return accounts.by_id(self.tx, self.case.account_id)

    def answer(self) -> None:
        """The vacation's, if the message is one to answer and its sender had none."""
        said, case = self.ruling.vacation, self.case
        if said is None:
            return
        action, sender, owner = said.action, case.envelope.sender, self.owner()
        why = answers.unanswerable(self.tx, case.account_id, sender, self.head, action.addresses, junk=case.junk)
        handle = action.handle if len(action.handle) <= _HANDLE else sha256(action.handle.encode()).hexdigest()
        if not why and sender is not None and sieve.answered(self.tx, case.account_id, handle, sender):
            why = f"{sender} was answered already"
        if why or owner is None or sender is None:
            self.told(said, f"not answered: {why}")
            return
        hostname, unique = self.planning.config["hostname"], secrets.token_hex(12)
        data = answers.vacation(self.tx, action, owner, sender, self.head, unique=unique, hostname=hostname)
        plan = self.letter([sender], data, "vacation", action.fcc)
        if plan.empty:
            self.told(said, f"not answered: {sender} cannot be reached")
            return
        plan.once = Answer(case.account_id, handle, sender, action.seconds)
        self.told(said, f"answered {sender}")

    def notify(self) -> None:
        for said in self.ruling.notices:
            action, owner = said.action, self.owner()
            if answers.automatic(self.head) or self.case.junk or owner is None or self.case.envelope.sender is None:
                self.told(said, "notified nobody: it is junk or automatic")  # RFC 5436 section 2.7.1
                continue
            hostname, unique = self.planning.config["hostname"], secrets.token_hex(12)
            made = answers.notice(self.tx, action, owner, self.head, unique=unique, hostname=hostname)
            if made is None or self.letter(*made, "rules", action.fcc).empty:
                self.told(said, "notified nobody: the address leads nowhere")
            else:
                self.told(said, f"notified {', '.join(map(str, made[0]))}")

    def letter(self, to: Sequence[Address], data: bytes, about: str, fcc: FileInto | None) -> Plan:
        """A message that goes out with this one, and a copy of it for its writer if he wants that."""
        case = self.case
        envelope = Envelope(
            None, [Recipient(each, notify="NEVER") for each in to], eightbit=not data.isascii(),
            smtputf8=not all(each.is_ascii for each in to), requiretls=case.envelope.requiretls,
        )  # fmt: skip
        origin = Origin("notice", trace=self.plan.trace)
        if case.lying is not None:  # he has it sent himself, so it counts as what he sends
            origin = origin._replace(account_id=case.account_id)
        plan = self.planning.letter(origin, envelope, data)
        plan.about, plan.limits = about, self.plan.limits if case.lying is not None else None
        if plan.empty:
            return plan
        place = located(self.tx, case.account_id, fcc) if fcc is not None else None
        if isinstance(place, Place) and self.fits(len(data)):
            plan.summary = plan.summary or summarize(data)
            plan.copies.append(
                Copy(
                    case.account_id, str(case.address), b"", str(case.address), place.mailbox, None, place.flags,
                    place.keywords, 0, place.create, place.special_use,
                )
            )  # fmt: skip
        self.plan.notices.append(plan)
        return plan

    def undo(self) -> None:
        """Nothing of it goes anywhere: the message is left as it lies."""
        plan = self.plan
        for each in (plan.copies, plan.sendings, plan.notices, plan.duplicates, plan.versions):
            each.clear()

    # ------------------------------------------------------------------------------------------------- what was done

    def tell_owner(self) -> None:
        """That his rules went wrong, at most once a day: into his INBOX, past his rules."""
        if not self.ruling.faults or not sieve.may_be_told(self.tx, self.case.account_id):
            return
        case, first = self.case, self.ruling.faults[0]
        hostname = self.planning.config["hostname"]
        data = answers.fault(
            postmaster(self.tx, hostname, case.address), case.address, first.script, first.text, self.head,
            kept=", ".join(self.ruling.places) or "no mailbox", unique=secrets.token_hex(12), hostname=hostname,
            now=self.tx.now / 1000,
        )  # fmt: skip
        prefix = headers.return_path(None) + headers.delivered_to(case.address)
        if not self.fits(len(prefix) + len(data)):
            return
        origin = Origin("notice", trace=self.plan.trace)
        plan = Plan(self.plan.trace, origin, "", Body.of(data), summarize(data), self.plan.quota, about="rules-wrong")
        plan.copies.append(Copy(case.account_id, str(case.address), prefix, str(case.address)))
        plan.once = Fault(case.account_id)
        self.plan.notices.append(plan)

    def told(self, said: Said[Action], what: str) -> None:
        self.ruling.script = said.script
        self.ruling.tell(said.action, what)

    def tell(self) -> None:
        self.plan.ruled += story(self.plan.trace, self.case, self.ruling)


def story(trace: str, case: Case, ruling: Ruling) -> list[events.New]:
    """One event: what the scripts did, each with its line."""
    if not ruling.did:
        return []
    did = [{"script": each.script, "line": each.line, "did": each.what} for each in ruling.did]
    detail: dict[str, object] = {"user": str(case.address), "steps": did}
    if case.lying is not None:
        detail["cause"] = case.lying.event.cause if case.lying.event is not None else "FILTER"
    return [
        events.New(
            trace, "ruled", "error" if ruling.faults else "script", recipient=str(case.recipient.address),
            detail=detail,
        )
    ]  # fmt: skip


def _bare(message: bytes | None) -> bytes | None:
    """Without Return-Path, which is of a delivery that it leaves again (RFC 5321 section 4.4)."""
    if message is None:
        return None
    end = header_end(message, 0, len(message))
    return _RETURN_PATH.sub(b"", message[:end]) + message[end:]
