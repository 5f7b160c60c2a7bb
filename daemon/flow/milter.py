"""A milter is asked about one message: it hears the whole conversation after its last dot, and gives its verdict.

One connection for one message: what a filter says about it can never be taken for a word about another. A filter that
speaks when it is not asked has lost its place, and none of its words counts then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import cast

from daemon.config import Socket
from daemon.flow.draft import Draft, NewBody
from daemon.flow.milter_line import Line, dial
from daemon.flow.opinions import Broken, Patience, Question, of_fields
from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.changes import Add, Edit, Insert, Remove, Replace
from daemon.mail.header import fields
from daemon.mail.headers import format_date
from daemon.store.addresses import Denial
from daemon.trust.results import Opinion
from daemon.wire import milter as wire
from daemon.wire.milter import Action, Command, Options, ReplyCode, Step, Word

ACTIONS = Action(sum(Action))
STEPS = Step(sum(Step)) & ~Step.RCPT_REJ  # who was refused at RCPT is no part of what we judge
_MACROS: dict[Command, tuple[str, ...]] = {
    "connect": ("j", "_", "{daemon_name}", "{client_name}", "{client_addr}", "{client_ptr}"),
    "helo": ("{tls_version}",),
    "mail": ("i", "b", "{auth_type}", "{auth_authen}", "{mail_addr}", "{mail_host}"),
    "rcpt": ("{rcpt_addr}", "{rcpt_host}"),
    "end": ("i",),
}
"""What is told where a filter does not say what it wants: what Sendmail tells."""

Verdict = Word | ReplyCode
_GOOD = ("continue", "accept", "skip")
_GO_ON = Word("continue")


async def ask(where: Socket, draft: Draft, question: Question, patience: Patience) -> Opinion:
    """Its opinion; the changes it wants are made in `draft` unless it wants no more of the message. Raises `Broken`,
    `OSError`, `TooMuch`."""
    name = str(where)
    async with contextlib.AsyncExitStack() as stack:
        line = await dial(where, patience)
        stack.callback(line.close)
        talk = _Talk(name, line, draft, question, await _negotiated(line))
        verdict = await talk.judged()
        line.leave()
        return talk.opinion(verdict)


async def greeted(where: Socket, patience: Patience) -> Options:
    """Whether it is there: what it wants and may do. Raises as `ask`."""
    line = await dial(where, patience)
    try:
        options = await _negotiated(line)
        line.leave()
        return options
    finally:
        line.close()


async def _negotiated(line: Line) -> Options:
    line.say(wire.offer(ACTIONS, STEPS))
    options = await line.reply()
    if not isinstance(options, Options):
        raise Broken("it does not answer as a milter does")
    if int(options.actions) & ~int(ACTIONS) or int(options.steps) & ~int(STEPS):
        raise Broken("it wants what was not offered")
    return options


class _Talk:
    """One message told to one filter."""

    def __init__(self, name: str, line: Line, draft: Draft, question: Question, options: Options) -> None:
        self.name = name
        self.line = line
        self.draft = draft
        self.question = question
        self.options = options
        self.known = _known(draft, question)
        self.wanted = _MACROS | dict(options.macros)
        self.spaces = bool(options.steps & Step.HDR_LEADSPC)
        self.wishes = _Wishes(draft, spaces=self.spaces)
        self.first_denial: Denial | None = None

    async def judged(self) -> Verdict:
        """Its last word. Raises `Broken`, `OSError`."""
        for tell in (self._envelope, self._header, self._body):
            verdict = await tell()
            if verdict != _GO_ON:
                return verdict
        self.line.say(self._macros("end") + wire.END)
        return await self._verdict(self.wishes.note)

    async def _envelope(self) -> Verdict:
        peer, draft = self.question.origin, self.draft
        verdict = await self._tell("connect", wire.connect(self.known["{client_name}"], peer.peer))
        if verdict == _GO_ON:
            verdict = await self._tell("helo", wire.helo(peer.helo))
        if verdict == _GO_ON:
            verdict = await self._tell("mail", wire.mail(str(draft.sender or "")))
        if verdict != _GO_ON:
            return verdict
        for recipient in list(draft.recipients.values()):
            self.known |= {"{rcpt_addr}": str(recipient), "{rcpt_host}": recipient.domain}
            verdict = await self._tell("rcpt", wire.rcpt(str(recipient)))
            if denial := self._denial(verdict):
                self.first_denial = self.first_denial or denial
                draft.deny(recipient, denial)
            elif verdict != _GO_ON:
                return verdict
        if not draft.recipients:
            return verdict
        return await self._tell("data", wire.DATA)

    async def _header(self) -> Verdict:
        most = self.options.chunk
        for field in fields(self.draft.head) if self.options.told("header") else ():
            octets = self.draft.head[field.start : field.end].rstrip(b"\r\n")
            name, _, value = octets.partition(b":")
            name = name.rstrip(b" \t")
            packet = wire.header(name, value[: most - len(name) - 2], spaces=self.spaces)
            verdict = await self._tell("header", packet)
            if verdict != _GO_ON:
                return verdict
        return await self._tell("eoh", wire.EOH)

    async def _body(self) -> Verdict:
        for piece in self.draft.pieces(self.options.chunk) if self.options.told("body") else ():
            verdict = await self._tell("body", wire.packet(b"B", piece))
            if verdict == Word("skip"):
                break
            if verdict != _GO_ON:
                return verdict
            await self.line.room()
        return _GO_ON

    async def _tell(self, command: Command, packet: bytes) -> Verdict:
        if not self.options.told(command):
            return _GO_ON
        self.line.say(self._macros(command) + packet)
        return await self._verdict() if self.options.answers(command) else _GO_ON

    def _macros(self, command: Command) -> bytes:
        known = ((name, self.known.get(name, "")) for name in self.wanted.get(command, ()))
        return wire.macros(command, [(name, value) for name, value in known if value])

    async def _verdict(self, note: Callable[[wire.Reply], None] | None = None) -> Verdict:
        """The word that ends a command; `note` takes the changes that come before it."""
        while True:
            reply = await self.line.reply()
            if isinstance(reply, ReplyCode) or (isinstance(reply, Word) and reply.word != "progress"):
                return reply
            if note is not None and not isinstance(reply, Word):
                note(reply)
            elif not isinstance(reply, Word):
                raise Broken(f"it sends {type(reply).__name__} where that has no place")

    def _denial(self, verdict: Verdict) -> Denial | None:
        """What a recipient's sender is told, if it is refused."""
        if isinstance(verdict, ReplyCode):
            text = verdict.text[: LIMITS.filter_words] or "refused by a filter"
            return Denial(verdict.code, verdict.enhanced or f"{verdict.code // 100}.7.1", "filter", text)
        if verdict.word == "reject":
            return Denial(550, "5.7.1", "filter", "refused by a filter")
        if verdict.word in ("tempfail", "shutdown"):
            return Denial(451, "4.7.1", "filter", "a filter asks to try again later")
        return None

    def opinion(self, verdict: Verdict) -> Opinion:
        """What its last word means. Raises `Broken`, `TooMuch`, `OSError`."""
        if not self.draft.recipients and self.first_denial is not None:
            verdict = ReplyCode(self.first_denial.code, self.first_denial.enhanced, self.first_denial.text)
        if denial := self._denial(verdict):
            said = verdict if isinstance(verdict, ReplyCode) else ReplyCode(0, "", "")
            text = said.text[: LIMITS.filter_words]
            refused = denial.code >= 500
            return Opinion(
                self.name, "refuse" if refused else "defer", text=text, code=said.code, enhanced=said.enhanced
            )
        word = cast(Word, verdict).word
        if word == "discard":
            self.draft.discarded = self.name
            return Opinion(self.name, "accept", text="taken and dropped")
        if word not in _GOOD:
            raise Broken("it says that it lost its own connection")
        opinion = of_fields(self.name, self.wishes.edits)
        self.wishes.make()
        if self.wishes.quarantine is not None:
            reasons = ", ".join(filter(None, (self.wishes.quarantine, opinion.text))) or "to be looked at"
            return opinion._replace(action="junk", text=reasons[: LIMITS.filter_words])
        return opinion


def _known(draft: Draft, question: Question) -> dict[str, str]:
    """The macros that have a value for this message."""
    peer = question.origin
    literal = f"[IPv6:{peer.peer}]" if ":" in peer.peer else f"[{peer.peer}]" if peer.peer else "localhost"
    user = question.user if peer.account_id is not None else ""
    return {
        "j": question.hostname,
        "_": f"{question.reverse} {literal}".strip(),
        "i": question.trace,
        "b": format_date(question.now / 1000),
        "{daemon_name}": peer.kind,
        "{client_name}": question.reverse or literal,
        "{client_ptr}": question.reverse,
        "{client_addr}": peer.peer,
        "{tls_version}": peer.tls,
        "{auth_type}": "PLAIN" if user else "",
        "{auth_authen}": user,
        "{mail_addr}": str(draft.sender or ""),
        "{mail_host}": draft.sender.domain if draft.sender else "",
    }


class _Wishes:
    """What a filter wants changed, until it is known that it wants the message at all."""

    def __init__(self, draft: Draft, *, spaces: bool) -> None:
        """`spaces`: its values bring the blank after the colon."""
        self.edits: list[Edit] = []
        self._space = b"" if spaces else b" "
        self.quarantine: str | None = None
        self._draft = draft
        self._body: NewBody | None = None
        self._sender: list[Address | None] = []
        self._recipients: list[tuple[bool, Address]] = []
        self._octets = 0

    def note(self, wish: wire.Reply) -> None:
        """Raises `Broken` for a change that cannot be, and for too many; `OSError`."""
        match wish:
            case wire.AddHeader(name, value):
                self._edit(Add(name, self._space + value))
            case wire.InsertHeader(place, name, value):
                self._edit(Insert(max(place - 1, 0), name, self._space + value))
            case wire.ChangeHeader(number, name, b""):
                self._edit(Remove(max(number, 1), name))
            case wire.ChangeHeader(number, name, value):
                self._edit(Replace(number, name, self._space + value))
            case wire.ReplaceBody(data):
                self._body = self._body or self._draft.new_body()
                if self._body.size + len(data) > LIMITS.message_size:
                    raise Broken(f"its body is over {LIMITS.message_size} octets")
                self._body.write(data)
            case wire.ChangeSender(address):
                self._sender = [_address(address) if address else None]
            case wire.AddRecipient(address):
                self._recipients.append((True, _address(address)))
            case wire.DeleteRecipient(address):
                self._recipients.append((False, _address(address)))
            case wire.Quarantine(reason):
                self.quarantine = reason
            case _:
                raise Broken("it begins anew in the middle")
        if len(self._recipients) > LIMITS.filter_recipients:
            raise Broken(f"it changes over {LIMITS.filter_recipients} recipients")

    def _edit(self, one: Edit) -> None:
        self._octets += len(one.name) + (0 if isinstance(one, Remove) else len(one.value))
        if self._octets > LIMITS.header_bytes or len(self.edits) >= LIMITS.filter_edits:
            raise Broken(f"over {LIMITS.header_bytes} octets of header, or over {LIMITS.filter_edits} changes")
        self.edits.append(one)

    def make(self) -> None:
        """Raises `TooMuch`, `OSError`."""
        self._draft.edit(self.edits)
        if self._body is not None:
            self._draft.replace(self._body)
        for sender in self._sender:
            self._draft.sender = sender
        for added, address in self._recipients:
            (self._draft.add if added else self._draft.remove)(address)


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except BadAddress as error:
        raise Broken(f"an address that is none: {error.reason}") from None
