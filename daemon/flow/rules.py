"""What the owner of a mailbox, and the administrator, want done with one message: their scripts, run in their order.

Global scripts of before, the user's active one, global scripts of after. A script that neither keeps nor lets the
implicit keep stand is the last; the mail that the next one sees is as this one changed it.

Junk stays in Junk: where Pigeonhole is, nearly everybody has a global script that files spam and stops, so rules never
see it, and a forged sender does not get into the folder of his friends. A script that asks for it (`require` of
spamtest, spamtestplus or virustest) takes the matter into its own hands: it runs, and what it says is done, `redirect`
too. Its `keep` is Junk for junk.

A user who forwards and keeps no copy has no mailbox that it goes to, so that his rules are not asked; what reaches two
of his addresses at once is one message, for the first of them.

Whatever goes wrong keeps the message in INBOX. The owner hears of it once a day, of global scripts the log and trace.
Here nothing is written: a `Ruling` is a value, `applying` makes the plan of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Generic, NamedTuple, TypeVar

from daemon import log
from daemon.config import Config
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.judged import Judged
from daemon.flow.programs import Heavy as Heavy
from daemon.flow.programs import programs
from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.header import header_end
from daemon.sieve import Facts, Program, Result, ScriptErrors, Sent, SpamScore, Subject
from daemon.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Seen, Vacation
from daemon.sieve.subject import Event, Head
from daemon.store import correspondents, keywords, mailboxes, metadata, sieve
from daemon.store.errors import Invalid
from daemon.store.mailboxes import Mailbox
from daemon.store.sieve import Script
from daemon.store.tx import Tx
from daemon.wire.smtp_parameters import from_xtext

A = TypeVar("A", covariant=True)
FOR_JUNK = frozenset(("spamtest", "spamtestplus", "virustest"))
ADDRESS_BOOK = "urn:ietf:params:sieve:addrbook:default"  # RFC 6134 section 2.2; here: whom the user has written to
_SCORE = re.compile(rb"^X-Spam-Status:[^\r\n]*?score=(-?[0-9]+\.?[0-9]*) required=([0-9]+\.?[0-9]*)", re.M)
_ANSWERS = frozenset(("reject", "ereject", "vacation", "vacation-seconds"))
_VIRUS = {"clean": "clean", "infected": "infected", "error": "unsure", "too-large": "unsure", "off": ""}


# ----------------------------------------------------------------------------------------------------------- one ruling


class Lying(NamedTuple):
    """What is true of a message that lies in a mailbox already: its flags, and what was done with it (RFC 6785); None:
    nothing, its owner wants it looked at again (FILTER)."""

    flags: tuple[str, ...]
    event: Event | None = None


class Case(NamedTuple):
    """A message on its way to one mailbox, `home` unless a script says otherwise: INBOX, or Junk for `junk`. `inline`:
    others wait meanwhile, so that what takes long is `Heavy`. `version`: which of the plan it is, see `deliver.Copy`.
    `lying`: it came long ago, and `home` is where it lies."""

    account_id: int
    address: Address  # the user's own
    recipient: Recipient
    envelope: Envelope
    origin: Origin
    prefix: bytes
    body: Callable[[], bytes]
    size: int
    config: Config
    judged: Judged | None = None
    home: str = mailboxes.INBOX
    junk: bool = False
    inline: bool = False
    version: int = 0
    lying: Lying | None = None


class Place(NamedTuple):
    """A mailbox and how the message lies there. `message`: as a script changed it."""

    mailbox: str
    flags: int = 0
    keywords: tuple[str, ...] = ()
    message: bytes | None = None
    create: bool = False
    special_use: str = ""  # of what is made


class Fault(NamedTuple):
    """What went wrong in which script."""

    script: str
    text: str


class Said(NamedTuple, Generic[A]):
    """An action, and the script that wants it."""

    script: str
    action: A


class Did(NamedTuple):
    """What a script did, for the trace; `line` 0: it said nothing else."""

    script: str
    line: int
    what: str


@dataclass(slots=True)
class Ruling:
    """What is to be done. `places` in their order, each mailbox once; `faults` are of the owner's script."""

    data: bytes = b""  # the message as the scripts saw it
    places: dict[str, Place] = field(default_factory=dict)
    redirects: list[Said[Redirect]] = field(default_factory=list)
    reject: Said[Reject] | None = None
    vacation: Said[Vacation] | None = None
    notices: list[Said[Notify]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    did: list[Did] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    script: str = ""  # the one whose actions are taken in
    took: float = 0.0  # seconds of CPU

    @property
    def idle(self) -> bool:
        """Nothing was decided but that it is kept."""
        more = self.places or self.redirects or self.reject or self.vacation or self.notices
        return not (more or self.seen or self.did or self.faults)

    def place(self, place: Place) -> None:
        """Once in each mailbox, with the flags of all who want it there."""
        there = self.places.get(place.mailbox)
        if there is not None:
            words = keywords.fitting((*there.keywords, *place.keywords))
            place = there._replace(flags=there.flags | place.flags, keywords=words, create=there.create or place.create)
        self.places[place.mailbox] = place

    def tell(self, action: Action | None, what: str) -> None:
        """Of an action, or of the script as a whole; in its words partly: the trace of each message keeps them."""
        script, line = (whose(self.script, action), action.line) if action is not None else (self.script, 0)
        self.did.append(Did(script, line, what[: LIMITS.sieve_words]))

    def fault(self, text: str) -> None:
        self.faults.append(Fault(self.script, text))
        self.tell(None, f"went wrong: {text}")


def whose(script: str, action: Action) -> str:
    """The script that an action is of: the one that was run, or `main > part` for one that it includes."""
    return f"{script} > {action.within}" if action.within else script


class Ran(NamedTuple):
    """What one script made of the message, for who looks on. `result` None: it was not asked, see `error`, or, if that
    is empty, since it is junk."""

    script: Script
    result: Result | None = None
    error: str = ""


def rule(tx: Tx, case: Case) -> Ruling | None:
    """What the scripts say; None for a user without any. Raises `Heavy`."""
    scripts = sieve.scripts(tx, case.account_id)
    return _rule(tx, case, scripts) if scripts else None


def again(tx: Tx, case: Case, scripts: Sequence[Script]) -> Ruling:
    """What these scripts say of a message that lies in a mailbox. Whatever goes wrong is a fault, and ends it."""
    ruling = _rule(tx, case, scripts)
    if ruling.idle:
        ruling.place(Place(case.home, *marks(_flags_of(case))))
    return ruling


def watched(tx: Tx, case: Case, scripts: list[Script]) -> list[Ran]:
    """The same with these scripts, step by step: what each did, up to the one that had the last word."""
    ran: list[Ran] = []
    _rule(tx, case, scripts, ran)
    return ran


def _rule(tx: Tx, case: Case, scripts: Sequence[Script], ran: list[Ran] | None = None) -> Ruling:
    if case.inline and case.size > LIMITS.parse_inline:
        raise Heavy
    ruling = Ruling()
    subject: Subject | None = None
    kept: Keep | None = Keep()
    for script in scripts:
        ruling.script = script.name
        began = time.thread_time()
        try:
            program = programs.get(tx, case.account_id, script.text, inline=case.inline)
        except ScriptErrors as errors:
            if ran is None:
                _went_wrong(ruling, case, script, str(errors.errors[0]))
            else:
                ran.append(Ran(script, None, str(errors.errors[0])))
            continue
        if case.junk and not program.required & FOR_JUNK:
            if ran is not None:
                ran.append(Ran(script))
            continue
        unfit = unfitting(program, case.lying)
        if unfit:
            _went_wrong(ruling, case, script, unfit)
            continue
        if subject is None:
            body = case.body()
            ruling.data = case.prefix + body
            subject = Subject(ruling.data, _sent(case), facts(tx, case))
            subject.head = Head(bytes(body[: header_end(body, 0, len(body))]), case.prefix)
        steps = LIMITS.sieve_steps_inline if case.inline else LIMITS.sieve_steps
        ready = time.thread_time()  # what it took until here, to compile it above all, it takes only once
        result = program.run(subject, steps, told=ran is not None)
        done = time.thread_time()
        ruling.took += done - began
        programs.took(case.account_id, script.text, inf if case.inline and result.spent else done - ready)
        if case.inline and result.spent:
            raise Heavy
        if ran is not None:
            ran.append(Ran(script, result, str(result.error or "")))
        if result.error is not None:
            if ran is None:
                _went_wrong(ruling, case, script, str(result.error))
            continue
        known = {seen.handle for seen in ruling.seen}  # two scripts may ask for the same
        ruling.seen += [seen for seen in result.seen if seen.handle not in known]
        kept = _take_in(tx, case, ruling, result.actions, kept)
        if kept is None:
            break
        if kept.message is not None and kept.message is not subject.data:
            subject = Subject(kept.message, subject.sent, subject.facts)
        if case.lying is not None:
            subject.facts = replace(subject.facts, flags=kept.flags)
    if kept is not None and not (ruling.idle and kept == Keep()):
        ruling.place(Place(case.home, *marks(kept.flags), kept.message))
    return ruling


def unfitting(program: Program, lying: Lying | None) -> str:
    """Why a script may not see messages that lie in a mailbox, in words (RFC 6785 section 3.11; FILTER section 4.9)."""
    if lying is None:
        return ""
    if lying.event is None:
        return "imapsieve is for what is done with messages over IMAP" if "imapsieve" in program.required else ""
    wrong = program.required & _ANSWERS
    return f"{min(wrong)} is for mail that comes, not for what lies in a mailbox" if wrong else ""


def _went_wrong(ruling: Ruling, case: Case, script: Script, text: str) -> None:
    """A script that does not work does nothing."""
    if script.place == "own" or case.lying is not None:
        ruling.fault(text)
    else:
        ruling.tell(None, f"went wrong: {text}")
        if programs.complain(script.text, text):
            log.trouble("global-script", script=script.name, error=text, user=str(case.address))


def _sent(case: Case) -> Sent:
    recipient, envelope = case.recipient, case.envelope
    extra: tuple[tuple[str, str], ...] = ()
    if recipient.orcpt or recipient.notify or envelope.ret or envelope.envid:
        given = (
            ("orcpt", recipient.orcpt and from_xtext(recipient.orcpt)), ("notify", recipient.notify),
            ("ret", envelope.ret), ("envid", envelope.envid and from_xtext(envelope.envid)),
        )  # fmt: skip
        extra = tuple([(name, value) for name, value in given if value])
    return Sent(envelope.reverse_path, str(case.address), str(recipient.address), extra)


def _take_in(tx: Tx, case: Case, ruling: Ruling, actions: tuple[Action, ...], before: Keep | None) -> Keep | None:
    """Note what one script decided; the keep that stands after it, with what earlier ones said of flags."""
    kept: Keep | None = None
    for action in actions:
        match action:
            case Keep():
                kept = action
                if before is not None and before.flags and case.lying is None:
                    kept = kept._replace(flags=(*before.flags, *(kept.flags or ())))
                if before is not None and before.message is not None and kept.message is None:
                    kept = kept._replace(message=before.message)
                if action.line:
                    ruling.tell(action, "kept" + _with(action.flags))
                elif action.message is not None or (action.flags and action.flags != _flags_of(case)):
                    ruling.tell(
                        action, ("kept, changed" if action.message is not None else "kept") + _with(action.flags)
                    )
            case FileInto():
                _file(tx, case, ruling, action)
            case Redirect():
                ruling.redirects.append(Said(ruling.script, action))
            case Discard():
                ruling.tell(action, "discarded")
            case Reject():
                ruling.reject = ruling.reject or Said(ruling.script, action)
            case Vacation():
                ruling.vacation = ruling.vacation or Said(ruling.script, action)
            case Notify():
                ruling.notices.append(Said(ruling.script, action))
    return kept


def _flags_of(case: Case) -> tuple[str, ...] | None:
    return None if case.lying is None else case.lying.flags


def _with(flags: tuple[str, ...] | None) -> str:
    return f" with {' '.join(flags)}" if flags else ""


def _file(tx: Tx, case: Case, ruling: Ruling, action: FileInto) -> None:
    """Into its mailbox; where it would go without a script, and a fault, if there is none."""
    place = located(tx, case.account_id, action)
    if isinstance(place, str):
        ruling.tell(action, f"filed into {case.home}: {place}")
        ruling.faults.append(Fault(ruling.script, f"line {action.line}: {place}"))
        place = Place(case.home, *marks(action.flags), action.message)
    else:
        made = " (a new mailbox)" if place.create else ""
        ruling.tell(action, f"filed into {place.mailbox}{made}{_with(action.flags)}")
    ruling.place(place)


def located(tx: Tx, account_id: int, action: FileInto) -> Place | str:
    """Where an action files to; why it cannot, in words."""
    flags, words = marks(action.flags)
    name: str | None = None
    if action.special_use:
        name = mailboxes.for_use(tx, account_id, action.special_use)
    if action.mailbox_id:
        name = by_id(tx, account_id, action.mailbox_id)
    if name is None:
        try:
            name = mailboxes.normal_name(action.mailbox)
        except Invalid as error:
            return f"{action.mailbox[:100]!r}: {error}"
        if not mailboxes.exists(tx, account_id, name):
            if not action.create:
                return f"there is no mailbox {name!r}"
            if not mailboxes.has_room(tx, account_id, name):
                return f"there are too many mailboxes to make {name!r}"
            return Place(name, flags, words, action.message, create=True, special_use=action.special_use)
    return Place(name, flags, words, action.message)


def marks(flags: tuple[str, ...] | None) -> tuple[int, tuple[str, ...]]:
    """System flags as bits, and the keywords."""
    bits = 0
    for flag in flags or ():
        bits |= keywords.SYSTEM.get(flag.lower(), 0)
    return bits, keywords.fitting([flag for flag in flags or () if not flag.startswith("\\")])


# ---------------------------------------------------------------------------------------------------------------- facts


def facts(tx: Tx, case: Case) -> Facts:
    """What this case's scripts may ask; each question looks into the store when it is asked."""
    account_id, judged = case.account_id, case.judged
    spam = None
    if judged is not None and judged.required:
        spam = SpamScore(judged.of(account_id).score, judged.required)
    elif case.lying is not None and (noted := _SCORE.search(case.prefix)):  # ours: a forged one is never in the prefix
        spam = SpamScore(float(noted[1]), float(noted[2]))
    return Facts(
        now=tx.now,
        zone=(time.localtime(tx.now / 1000).tm_gmtoff or 0) // 60,
        mailbox_exists=lambda name: _find(tx, account_id, name) is not None,
        special_use=lambda use: mailboxes.for_use(tx, account_id, use),
        mailbox_by_id=lambda number: by_id(tx, account_id, number),
        metadata=lambda name, entry: _metadata(tx, account_id, name, entry),
        duplicate=lambda handle: sieve.seen(tx, account_id, handle),
        has_list=lambda name: name == ADDRESS_BOOK,
        in_list=lambda name, value: name == ADDRESS_BOOK and _known(tx, account_id, value),
        environment=lambda item: _environment(case).get(item),
        addresses=(str(case.address),),
        spam=spam,
        virus=_VIRUS.get(judged.signals.scan.result, "") if judged is not None else "",
        event=case.lying.event if case.lying is not None else None,
        flags=_flags_of(case),
    )


def _environment(case: Case) -> dict[str, str]:
    """RFC 5183 section 4.1."""
    found = {
        "name": "mailctl",
        "location": "MDA" if case.lying is None else "MS",
        "phase": "during" if case.lying is None else "post",
        "host": str(case.config["hostname"]),
        "domain": case.address.domain,
    }
    if case.origin.peer:
        found["remote-ip"] = case.origin.peer
        found["remote-host"] = case.judged.signals.iprev.name if case.judged is not None else ""
    return found


def _find(tx: Tx, account_id: int, name: str) -> Mailbox | None:
    try:
        return mailboxes.find(tx, account_id, mailboxes.normal_name(name))
    except Invalid:
        return None


def _metadata(tx: Tx, account_id: int, name: str | None, entry: str) -> str | None:
    """Of his mailbox, or of the server (RFC 5490)."""
    if name is None:
        return metadata.value(tx, account_id, None, entry)
    box = _find(tx, account_id, name)
    return None if box is None else metadata.value(tx, account_id, box.id, entry)


def by_id(tx: Tx, account_id: int, number: str) -> str | None:
    """The name of a mailbox of his by its number."""
    box = mailboxes.by_id(tx, int(number)) if number.isascii() and number.isdigit() and len(number) < 16 else None
    return box.name if box is not None and box.account_id == account_id else None


def _known(tx: Tx, account_id: int, value: str) -> bool:
    try:
        return correspondents.knows(tx, account_id, parse_address(value))
    except BadAddress:
        return False
