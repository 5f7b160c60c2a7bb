"""A script tried on a message, or all that see a user's mail: the decision step by step, and what would be done.

Nothing is written, nothing sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from daemon.admin import score, scripts, words
from daemon.admin.script_deeds import Deed, deeds
from daemon.config import Config
from daemon.flow import rules
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.judged import Judged
from daemon.flow.rules import Case, Ran
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.headers import crlf
from daemon.mail.mailboxes import mailboxes as mailboxes_in
from daemon.sieve import Facts, Sent, SpamScore, Subject
from daemon.sieve.actions import Step
from daemon.store import accounts, mailboxes, settings, sieve
from daemon.store.accounts import Account
from daemon.store.db import Store
from daemon.store.sieve import Script
from daemon.store.tx import Tx

__all__ = ["Deed", "Part", "Told", "Trial", "trial"]


@dataclass(frozen=True, slots=True)
class Told:
    """A step: the test or command of this line, and what came of it: true, false or done. `place` and `script` name
    the script at work, as in `Part`. `source`: the line itself, '' when it is in a script that is included."""

    place: str
    script: str
    line: int
    source: str
    text: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Part:
    """One script that sees the message, or does not. `place`: before, own or after. `state`: ran; broken (`error` says
    how); passed over (it is junk, and the script does not ask for that); not reached (one before it had the last
    word)."""

    place: str
    name: str
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Trial:
    """`user` '': of nobody, so no mailbox is there but those that mail programs expect. `verdict` is what the filter
    says (`reason`: why), with `score` points; from `required` on it is spam, 0: there is no score. `note`: why delivery
    would not ask these scripts, '' when it would. `error`: what went wrong first, '' when nothing did; the message is
    kept then."""

    script: str
    user: str
    sender: str
    recipient: str
    verdict: str
    reason: str
    score: float
    required: float
    note: str
    parts: tuple[Part, ...]
    steps: tuple[Told, ...]
    deeds: tuple[Deed, ...]
    error: str


class Given(NamedTuple):
    """The script to try: in place of the user's active one when `whole`, else alone."""

    name: str
    text: str
    whole: bool = False


def trial(
    store: Store,
    given: Given | None,
    data: bytes,
    *,
    user: str | None,
    sender: str | None = None,
    to: str | None = None,
    points: float | None = None,
) -> Trial:
    """`given` None: the scripts of the user, and of the administrator around it, as they are. `sender` None: whom the
    message itself names; '' or <>: nobody. `to`: as it was written in the envelope. `points`: of the filter, None: it
    is asked.

    Raises `BadScript`, `BadData`, `Missing` (the user).
    """
    message = crlf(data)
    reverse = _sender(message) if sender is None else words.address(sender) if sender.strip("<> ") else None
    aimed = words.address(to) if to else None
    account = store.read_now(accounts.get, words.address(user)) if user else None
    config = store.read_now(settings.load)
    owner = account.address if account else aimed
    envelope = Envelope(reverse, [Recipient(aimed or owner)] if owner else [])
    if points is None:
        judged, message = score.judged(store, message, envelope if account else Envelope(reverse, []), config)
    else:
        judged = score.supposed(points, config)

    def work(tx: Tx) -> Trial:
        if account is None:
            assert given is not None
            ran, case, subject = _of_nobody(tx, given, message, envelope, judged)
            there = [each.script for each in ran]
        else:
            case = _case(tx, account, envelope, message, judged, config)
            there, case = _chosen(tx, case, given)
            ran = rules.watched(tx, case, there)
            subject = Subject(case.prefix + message, Sent(envelope.reverse_path, str(owner), str(aimed or owner)))
        made = judged.of(account.id if account else None)
        note = _gone(tx, account, judged) if account else ""
        parts = _parts(ran, there)
        return Trial(
            given.name if given else "", str(account.address) if account else "", subject.sent.sender,
            subject.sent.recipient_as_sent, made.action, made.reason, made.score, judged.required, note,
            parts, tuple([told for each in ran for told in _steps(each)]), tuple(deeds(tx, case, ran, subject)),
            next((part.error for part in parts if part.error), ""),
        )  # fmt: skip

    return store.read_now(work)


def _sender(message: bytes) -> Address | None:
    """Of Return-Path, where nobody may stand, or else of From."""
    head = Subject(message).head
    value = next(iter((*head.raw("return-path"), *head.raw("from"))), b"")
    try:
        return next((parse_address(person.address) for person in mailboxes_in(value)), None)
    except BadAddress:
        return None


def _of_nobody(
    tx: Tx, given: Given, message: bytes, envelope: Envelope, judged: Judged
) -> tuple[list[Ran], None, Subject]:
    program = scripts.compiled(given.name, given.text, lambda other, everyone: _global(tx, other) if everyone else None)
    made = judged.of(None)
    facts = Facts(now=tx.now, spam=SpamScore(made.score, judged.required) if judged.required else None)
    to = str(envelope.recipients[0].address) if envelope.recipients else ""
    subject = Subject(judged.fields(None) + message, Sent(envelope.reverse_path, to, to), facts)
    result = program.run(subject, told=True)
    return [Ran(Script("own", given.name, given.text), result, str(result.error or ""))], None, subject


def _case(tx: Tx, account: Account, envelope: Envelope, message: bytes, judged: Judged, config: Config) -> Case:
    """As delivery would have it."""
    junk = judged.junk(account.id)
    home = (mailboxes.for_use(tx, account.id, "\\Junk") if junk else None) or mailboxes.INBOX
    return Case(
        account.id, account.address, envelope.recipients[0], envelope, Origin("smtp"), judged.fields(account.id),
        lambda: message, len(message), config, judged, home, junk,
    )  # fmt: skip


def _gone(tx: Tx, account: Account, judged: Judged) -> str:
    """Junk is forwarded to nobody, so that it stays."""
    to = [str(forward.address) for forward in accounts.forwards(tx, account.id) if forward.enabled]
    if not to or account.forward_keep or judged.junk(account.id):
        return ""
    return f"he forwards to {', '.join(to)} and keeps no copy, so that no script sees his mail"


def _chosen(tx: Tx, case: Case, given: Given | None) -> tuple[list[Script], Case]:
    """The scripts that are tried. One alone is, whether or not it would see junk. Raises `BadScript`."""
    there = sieve.scripts(tx, case.account_id)
    if given is None:
        return there, case
    program = scripts.compiled(given.name, given.text, scripts.library(tx, case.account_id))
    tried = Script("own", given.name, given.text)
    if given.whole:
        order = {place: [each for each in there if each.place == place] for place in ("before", "after")}
        return [*order["before"], tried, *order["after"]], case
    if case.junk and not program.required & rules.FOR_JUNK:
        case = case._replace(junk=False, home=mailboxes.INBOX)
    return [tried], case


def _global(tx: Tx, name: str) -> str | None:
    return next((each.text for each in sieve.globals(tx) if (each.domain, each.name) == ("", name)), None)


def _parts(ran: Sequence[Ran], there: Sequence[Script]) -> tuple[Part, ...]:
    states = ["broken" if each.error else "ran" if each.result else "passed over" for each in ran]
    states += ["not reached"] * (len(there) - len(ran))
    errors = [each.error for each in ran] + [""] * (len(there) - len(ran))
    return tuple([
        Part(script.place, script.name, state, error)
        for script, state, error in zip(there, states, errors, strict=True)
    ])  # fmt: skip


def _steps(ran: Ran) -> list[Told]:
    lines = ran.script.text.split("\n")
    return [_told(ran.script, step, lines) for step in (ran.result.steps if ran.result else ())]


def _told(script: Script, step: Step, lines: Sequence[str]) -> Told:
    """The line of a script that is included is not at hand: its name stands in front of the step."""
    source = "" if step.within else lines[step.line - 1].rstrip("\r")
    text = f"{step.within}: {step.text}" if step.within else step.text
    return Told(script.place, script.name, step.line, source, text, step.outcome)
