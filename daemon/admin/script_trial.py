"""A script tried on a message: the decision step by step, and what would be done. Nothing is written, nothing sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.admin import scripts, words
from daemon.flow import answers, rules
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.headers import crlf
from daemon.mail.mailboxes import mailboxes
from daemon.sieve import Facts, Result, Sent, Subject
from daemon.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Step, Vacation
from daemon.store import accounts, settings, sieve
from daemon.store.accounts import Account
from daemon.store.db import Store
from daemon.store.mailboxes import INBOX
from daemon.store.tx import Tx

_DAY = 86400


@dataclass(frozen=True, slots=True)
class Told:
    """A step: the test or command of this line, and what came of it: true, false or done. `source`: the line itself,
    '' when it is in a script that is included."""

    line: int
    source: str
    text: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What will be done, and the line that says so; 0: no line does. `within`: the included script that it is of."""

    line: int
    action: str
    text: str
    within: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """`error`: what went wrong, '' when nothing did; the message is kept then. `user` '': of nobody, so no mailbox is
    there but those that mail programs expect."""

    script: str
    user: str
    sender: str
    recipient: str
    steps: tuple[Told, ...]
    deeds: tuple[Deed, ...]
    error: str


def trial(
    store: Store, name: str, text: str, data: bytes, *, user: str | None, sender: str | None, to: str | None
) -> Trial:
    """`sender` None: whom the message itself names; '' or <>: nobody. `to`: as it was written in the envelope.

    Raises `BadScript`, `BadData`, `Missing` (the user).
    """
    message = crlf(data)
    reverse = _sender(message) if sender is None else words.address(sender) if sender.strip("<> ") else None
    aimed = words.address(to) if to else None

    def work(tx: Tx) -> Trial:
        account = accounts.get(tx, words.address(user)) if user else None
        owner = account.address if account else aimed
        sent = Sent(str(reverse or ""), str(owner or ""), str(aimed or owner or ""))
        if account is None:
            program = scripts.compiled(name, text, lambda other, everyone: _global(tx, other) if everyone else None)
            subject = Subject(message, sent, Facts(now=tx.now))
        else:
            program = scripts.compiled(name, text, scripts.library(tx, account.id))
            subject = Subject(message, sent, _facts(tx, account, reverse, aimed, message))
        result = program.run(subject, told=True)
        lines = text.split("\n")
        return Trial(
            name, str(account.address) if account else "", sent.sender, sent.recipient_as_sent,
            tuple([_told(step, lines) for step in result.steps]),
            tuple(_deeds(tx, account, reverse, subject, result)), str(result.error or ""),
        )  # fmt: skip

    return store.read_now(work)


def _sender(message: bytes) -> Address | None:
    """Of Return-Path, where nobody may stand, or else of From."""
    head = Subject(message).head
    value = next(iter((*head.raw("return-path"), *head.raw("from"))), b"")
    try:
        return next((parse_address(person.address) for person in mailboxes(value)), None)
    except BadAddress:
        return None


def _facts(tx: Tx, account: Account, reverse: Address | None, aimed: Address | None, message: bytes) -> Facts:
    """What the script would see at delivery, but for the filter's verdict: nobody has judged the message."""
    recipient = Recipient(aimed or account.address)
    case = rules.Case(
        account.id, account.address, recipient, Envelope(reverse, [recipient]), Origin("smtp"), b"", lambda: message,
        len(message), settings.load(tx),
    )  # fmt: skip
    return rules.facts(tx, case)


def _global(tx: Tx, name: str) -> str | None:
    return next((each.text for each in sieve.globals(tx) if (each.domain, each.name) == ("", name)), None)


def _told(step: Step, lines: Sequence[str]) -> Told:
    """The line of a script that is included is not at hand: its name stands in front of the step."""
    if step.within:
        return Told(step.line, "", f"{step.within}: {step.text}", step.outcome)
    return Told(step.line, lines[step.line - 1].rstrip("\r"), step.text, step.outcome)


# ------------------------------------------------------------------------------------------------------ in plain words


def _deeds(tx: Tx, account: Account | None, reverse: Address | None, subject: Subject, result: Result) -> list[Deed]:
    return [
        Deed(action.line, type(action).__name__.lower(), _words(tx, account, reverse, subject, action), action.within)
        for action in result.actions
    ]


def _words(tx: Tx, account: Account | None, reverse: Address | None, subject: Subject, action: Action) -> str:
    match action:
        case Keep():
            return f"keep it in {INBOX}{_marked(action)}"
        case FileInto():
            return _filed(tx, account, action)
        case Redirect():
            return f"send it on to {action.address}{_changed(action.message)}"
        case Discard():
            return "throw it away, and tell nobody"
        case Reject():
            return f"refuse it: “{_short(action.text)}”"
        case Vacation():
            return _answered(tx, account, reverse, subject, action)
        case Notify():
            return f"tell {action.method} of it"


def _marked(action: Keep | FileInto) -> str:
    flags = f", marked {' '.join(action.flags)}" if action.flags else ""
    return flags + _changed(action.message)


def _changed(message: bytes | None) -> str:
    return "" if message is None else ", changed by the script"


def _filed(tx: Tx, account: Account | None, action: FileInto) -> str:
    wanted = f"file it into {action.mailbox}{_marked(action)}"
    if account is None:
        return wanted
    place = rules.located(tx, account.id, action)
    if isinstance(place, str):
        return f"keep it in {INBOX}, and tell the owner: {place}"
    made = ", which is made for it" if place.create else ""
    return f"file it into {place.mailbox}{made}{_marked(action)}"


def _answered(tx: Tx, account: Account | None, reverse: Address | None, subject: Subject, action: Vacation) -> str:
    days, rest = divmod(action.seconds, _DAY)
    often = f"{action.seconds} seconds" if rest or not days else "a day" if days == 1 else f"{days} days"
    words = f"answer {reverse or 'nobody'} (once in {often}): “{_short(action.text)}”"
    if account is None:
        return words
    why = answers.unanswerable(tx, account.id, reverse, subject.head, action.addresses, junk=False)
    if not why and reverse and sieve.answered(tx, account.id, action.handle, reverse):
        why = f"{reverse} was answered already"
    return f"give no answer: {why}" if why else words


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 60 else f"{words[:59]}…"
