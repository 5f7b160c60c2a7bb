"""What scripts decided, in plain words: for the administrator who tries one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.flow import answers, rules
from daemon.flow.rules import Case, Ran
from daemon.sieve import Subject
from daemon.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Vacation
from daemon.store import sieve
from daemon.store.mailboxes import INBOX
from daemon.store.tx import Tx

_DAY = 86400


@dataclass(frozen=True, slots=True)
class Deed:
    """What will be done, and the script and line that say so; 0: no line does."""

    script: str
    line: int
    action: str
    text: str


def deeds(tx: Tx, case: Case | None, ran: Sequence[Ran], subject: Subject) -> list[Deed]:
    """Of all these scripts together. `case` None: of nobody, so that no mailbox is looked for."""
    found: list[Deed] = []
    kept: Keep | None = Keep()
    script = ""
    for each in ran:
        if each.result is None or each.result.error is not None:
            continue
        before, kept, script = kept, None, each.script.name
        for action in each.result.actions:
            if isinstance(action, Keep):
                kept = _both(before, action)
            else:
                found.append(_deed(script, action, _words(tx, case, subject, action)))
    if kept is not None:
        found.append(_deed(script, kept, f"keep it in {case.home if case else INBOX}{_marked(kept)}"))
    return found


def _both(before: Keep | None, keep: Keep) -> Keep:
    """What earlier scripts said of flags, and changed, stands."""
    if before is None:
        return keep
    flags = tuple(dict.fromkeys((*(before.flags or ()), *(keep.flags or ()))))
    return keep._replace(flags=flags, message=before.message if keep.message is None else keep.message)


def _deed(script: str, action: Action, text: str) -> Deed:
    return Deed(rules.whose(script, action), action.line, type(action).__name__.lower(), text)


def _words(tx: Tx, case: Case | None, subject: Subject, action: Action) -> str:
    match action:
        case Keep():
            raise AssertionError("told at the end")
        case FileInto():
            return _filed(tx, case, action)
        case Redirect():
            return f"send it on to {action.address}{_changed(action.message)}"
        case Discard():
            return "throw it away, and tell nobody"
        case Reject():
            return f"refuse it: “{_short(action.text)}”"
        case Vacation():
            return _answered(tx, case, subject, action)
        case Notify():
            return f"tell {action.method} of it"


def _marked(action: Keep | FileInto) -> str:
    flags = f", marked {' '.join(action.flags)}" if action.flags else ""
    return flags + _changed(action.message)


def _changed(message: bytes | None) -> str:
    return "" if message is None else ", changed by the script"


def _filed(tx: Tx, case: Case | None, action: FileInto) -> str:
    if case is None:
        return f"file it into {action.mailbox}{_marked(action)}"
    place = rules.located(tx, case.account_id, action)
    if isinstance(place, str):
        return f"keep it in {case.home}, and tell the owner: {place}"
    made = ", which is made for it" if place.create else ""
    return f"file it into {place.mailbox}{made}{_marked(action)}"


def _answered(tx: Tx, case: Case | None, subject: Subject, action: Vacation) -> str:
    days, rest = divmod(action.seconds, _DAY)
    often = f"{action.seconds} seconds" if rest or not days else "a day" if days == 1 else f"{days} days"
    sender = subject.sent.sender
    words = f"answer {sender or 'nobody'} (once in {often}): “{_short(action.text)}”"
    if case is None:
        return words
    reverse = case.envelope.sender
    why = answers.unanswerable(tx, case.account_id, reverse, subject.head, action.addresses, junk=case.junk)
    if not why and reverse and sieve.answered(tx, case.account_id, action.handle, reverse):
        why = f"{reverse} was answered already"
    return f"give no answer: {why}" if why else words


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 60 else f"{words[:59]}…"
