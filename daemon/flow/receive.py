"""The one road in. SMTP, submission, LMTP, `sendmail`, `mailctl mail deliver` and our own notices all come this way.

`accept` returns after the commit that made the message durable and findable, or tells why each recipient refuses it.
Where the writer is, just before it writes, `planning.prepare` finds out what is to be done for whom; the plan of copies
and queue rows is what `deliver.commit` does, in one write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from daemon import log
from daemon.config import Config
from daemon.flow import keeping, planning, rules, signing
from daemon.flow.deliver import Plan, Stale, commit
from daemon.flow.envelope import Envelope, Origin
from daemon.flow.judged import Judged, tell_refusal
from daemon.flow.keeping import Refused
from daemon.flow.planning import Outcome, Planning, prepare
from daemon.flow.planning import Receipt as Receipt
from daemon.limits import LIMITS
from daemon.mail.summary import Summary, message_id_in, summarize
from daemon.store import events, settings
from daemon.store.addresses import Denial
from daemon.store.db import Store, StoreBusy, StoreFull
from daemon.store.spool import Body
from daemon.store.submissions import Settlement
from daemon.store.tx import Tx
from daemon.trust.verdict import Verdict

_TRIES = 3


async def accept(
    store: Store,
    origin: Origin,
    envelope: Envelope,
    body: Body,
    *,
    config: Config | None = None,
    judged: Judged | None = None,
    settlement: Settlement | None = None,
) -> Receipt:
    """Take a message whose content is complete, unless it was `judged` to be refused by all. The body is closed.
    `settlement`: what is settled with it, if anybody takes it.

    Raises `StoreFull`, `StoreBusy`, `StoreBroken`, `submissions.Settled`: then nothing of it is there.
    """
    with body:
        refused = judged.whole if judged is not None else None
        if judged is not None and refused is not None:
            receipt = _refusal(origin.trace or new_trace(store), envelope, judged, refused)
            kept = store.peek(_kept, origin, envelope, body, config, judged, receipt.trace)
            await _tell_refusal(store, origin, envelope, body, judged, receipt, kept)
            return receipt
        if judged is not None and judged.discarded:
            return await _discard(store, origin, envelope, body, judged)
        if _passes_through(envelope):
            summary = None
        elif body.size > LIMITS.parse_inline:
            summary = await store.aside(summarize, body.view())
        else:
            summary = summarize(body.view())
        signature = await signing.fields(store, origin, body)
        for attempt in range(_TRIES):
            asked = _Asked(origin, envelope, body, summary, config, attempt, signature, judged, settlement)
            try:
                done = await _done(store, asked)
            except Stale:
                continue
            receipt = Receipt(done.trace, tuple(map(Outcome, envelope.recipients, done.denials)))
            if done.taken:
                _say(receipt.trace, origin, envelope, body, judged)
            elif judged is not None:
                await _tell_refusal(store, origin, envelope, body, judged, receipt, ruled=done.ruled)
            return receipt
        raise StoreBusy("the mailboxes of this message keep changing")


class _Asked(NamedTuple):
    """All that a plan is made of."""

    origin: Origin
    envelope: Envelope
    body: Body
    summary: Summary | None
    config: Config | None
    attempt: int
    signature: bytes
    judged: Judged | None
    settlement: Settlement | None


class _Done(NamedTuple):
    """What the writer tells: why each recipient refuses it, and what rules did if nobody took it."""

    trace: str
    denials: list[Denial | None]
    taken: bool
    ruled: list[events.New]


async def _done(store: Store, asked: _Asked) -> _Done:
    """Planned where it is written, in the writer's process; in a thread of this one if rules take long. Raises `Stale`
    and what a write raises."""
    try:
        return await store.plan_and_write(_plan, _carry_out, asked, True, bodies=[asked.body])
    except rules.Heavy:
        planned, bodies = await store.read_long(_plan, asked, False)
        return await store.write(_carry_out, planned, bodies=bodies)


_Planned = tuple[Plan | list[events.New], _Done]  # of what nobody takes: what is told, unless `_tell_refusal` does


def _plan(tx: Tx, asked: _Asked, inline: bool) -> tuple[_Planned, list[Body]]:
    plan, receipt = prepare(tx, *asked[:-1], inline)
    plan.settlement = asked.settlement
    denials = [outcome.denial for outcome in receipt.outcomes]
    if not plan.empty:
        return (plan, _Done(receipt.trace, denials, True, [])), plan.bodies
    told = plan.ruled + _refusals(receipt) if plan.ruled and plan.judged is None else []
    return (told, _Done(receipt.trace, denials, False, plan.ruled)), []


def _carry_out(tx: Tx, planned: _Planned) -> _Done:
    plan, done = planned
    if isinstance(plan, Plan):
        commit(tx, plan)
    elif plan:
        events.record_all(tx, plan)
    return done


def new_trace(store: Store) -> str:
    """For a message that is about to be judged or accepted."""
    return planning.new_trace(store.clock())


def _say(trace: str, origin: Origin, envelope: Envelope, body: Body, judged: Judged | None) -> None:
    recipients = envelope.recipients
    log.event(
        "accepted", id=trace, ip=origin.peer or None, sender=envelope.reverse_path or "<>",
        to=recipients[0].address, more=len(recipients) - 1 or None, size=body.size,
        **(judged.words() if judged is not None else {}),
    )  # fmt: skip


def _refusal(trace: str, envelope: Envelope, judged: Judged, refused: Verdict) -> Receipt:
    """What all recipients say of a message that none of them takes."""
    denial = judged.denial(refused, trace)
    return Receipt(trace, tuple(Outcome(recipient, denial) for recipient in envelope.recipients))


def _told(origin: Origin, envelope: Envelope, body: Body, judged: Judged, receipt: Receipt) -> list[events.New]:
    """The story of a message that nobody got: what was found, and what each recipient says."""
    told = judged.story(receipt.trace, origin, envelope.reverse_path, message_id_in(body.view()) or None)
    return told + _refusals(receipt)


def _refusals(receipt: Receipt) -> list[events.New]:
    return [
        events.New(receipt.trace, "refused", o.denial.reason, recipient=str(o.recipient.address),
                   detail={"text": o.denial.text})
        for o in receipt.outcomes if o.denial
    ]  # fmt: skip


async def _tell_refusal(
    store: Store,
    origin: Origin,
    envelope: Envelope,
    body: Body,
    judged: Judged,
    receipt: Receipt,
    kept: Refused | None = None,
    ruled: Sequence[events.New] = (),
) -> None:
    """Nobody got it: the trace tells what was found, and the log has a line. It may be kept, if there is room."""
    sender, told = envelope.reverse_path, [*ruled, *_told(origin, envelope, body, judged, receipt)]
    denials = [(o.recipient.address, o.denial) for o in receipt.outcomes if o.denial]
    try:
        await store.write(keeping.tell, told, judged, kept, bodies=[body] if kept is not None else [])
    except StoreFull:
        await store.write(keeping.tell, told, judged, None)
    address, denial = denials[0]
    log.event(
        "refused", id=receipt.trace, reason=denial.reason, ip=origin.peer or None, sender=sender or "<>",
        to=address, more=len(denials) - 1 or None, code=denial.code, **judged.words(),
    )  # fmt: skip


def _kept(
    tx: Tx, origin: Origin, envelope: Envelope, body: Body, config: Config | None, judged: Judged, trace: str
) -> Refused | None:
    """The copies there would be of a message that is refused, if it is one to keep."""
    config = config or settings.load(tx)
    decided = judged.whole
    if origin.kind != "smtp" or decided is None or decided.action != "refuse":
        return None
    if not keeping.wanted(config, decided.reason, body.size):
        return None
    origin = origin._replace(trace=trace)
    made = Planning(tx, origin, envelope, body, None, config, b"", judged, careful=False, follow=False)
    for recipient in envelope.recipients:
        made.add(recipient)
    copies = [
        keeping.Copy(copy.account_id, copy.address, keeping.without_flag(copy.prefix), copy.kept)
        for copy in made.plan.copies
        if copy.kept is not None
    ]
    return Refused(trace, body, copies, keeping.bounds(config)) if copies else None


async def _discard(store: Store, origin: Origin, envelope: Envelope, body: Body, judged: Judged) -> Receipt:
    """Another filter wants it taken and thrown away: its sender hears nothing of that, log and trace tell."""
    trace, sender = origin.trace or new_trace(store), envelope.reverse_path
    receipt = Receipt(trace, tuple(Outcome(recipient) for recipient in envelope.recipients))
    told = judged.story(trace, origin, sender, message_id_in(body.view()) or None)
    about = {"by": judged.discarded}
    told += [
        events.New(trace, "dropped", "engine-discard", sender=sender, recipient=str(o.recipient.address), detail=about)
        for o in receipt.outcomes
    ]
    await store.write(tell_refusal, told, judged)
    log.event("dropped", id=trace, reason="engine-discard", ip=origin.peer or None, sender=sender or "<>", **about)
    return receipt


def accept_now(
    store: Store,
    origin: Origin,
    envelope: Envelope,
    body: Body,
    *,
    config: Config | None = None,
    judged: Judged | None = None,
) -> Receipt:
    """The same for a thread that may wait (the command line)."""
    with body:
        if judged is not None and judged.whole is not None:
            receipt = _refusal(origin.trace or new_trace(store), envelope, judged, judged.whole)
            store.write_now(keeping.tell, _told(origin, envelope, body, judged, receipt), judged, None)
            return receipt
        summary = summarize(body.view())
        for attempt in range(_TRIES):
            plan, receipt = store.peek(prepare, origin, envelope, body, summary, config, attempt, None, judged)
            try:
                if not plan.empty:
                    store.write_now(commit, plan, bodies=plan.bodies)
                elif plan.ruled:
                    store.write_now(events.record_all, plan.ruled + _refusals(receipt))
            except Stale:
                continue
            return receipt
        raise StoreBusy("the mailboxes of this message keep changing")


def _passes_through(envelope: Envelope) -> bool:
    """Whether no copy stays here: then nobody will ask what the message contains."""
    return all(r.resolution is not None and not r.resolution.locals for r in envelope.recipients)
