"""What a user sends over the web goes the road that his mail over SMTP goes (RFC 6409): the same questions, the same
limits, one `accept`. What differs is who asks: an object of JMAP (RFC 8621 §7) instead of a dialogue.

    asked = read(envelope)                      # or `derived`, from the header of the message
    receipt = await Submitter(store, config, judge).send(account_id, asked, place, Settlement(...))

A message that waits for its time is asked about twice: when it is handed in, and when it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from daemon.config import Config
from daemon.flow import receive, submit
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.judging import Judge
from daemon.flow.receive import Receipt
from daemon.flow.submit import NotTaken
from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.header import named
from daemon.mail.mailboxes import Mailbox, all_mailboxes
from daemon.store import accounts, addresses, submissions
from daemon.store.addresses import NOT_OURS
from daemon.store.blobs import Place
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.store.submissions import Settlement
from daemon.store.tx import Tx
from daemon.wire import smtp_parameters
from daemon.wire.smtp import Refused

_PIECE = 1 << 20
_HOLDS = ("HOLDFOR", "HOLDUNTIL")  # RFC 4865


class BadEnvelope(Exception):
    """It cannot go so: a type of RFC 8621 §7.5, words, and what the type tells with it."""

    def __init__(self, type: str, text: str, **more: Any) -> None:
        super().__init__(text)
        self.type = type
        self.text = text
        self.more = more


class Asked(NamedTuple):
    """An envelope, and when it is to go: in so many seconds, or at that time in ms; both None: at once."""

    envelope: Envelope
    hold_for: int | None = None
    hold_until: int | None = None


# ----------------------------------------------------------------------------------------------------- the envelope


def read(given: Mapping[str, Any], until: Callable[[str], int | None]) -> Asked:
    """An Envelope of JMAP; `until` reads a UTC date to ms. Raises `BadEnvelope`."""
    sender, recipients = given.get("mailFrom"), given.get("rcptTo")
    if not isinstance(sender, Mapping) or not isinstance(recipients, list):
        raise BadEnvelope("invalidProperties", "an envelope has mailFrom and rcptTo", properties=["envelope"])
    words = _parameters(sender, "envelope/mailFrom")
    holds = {word.upper(): words.pop(word) for word in list(words) if word.upper() in _HOLDS}
    path = f"<{sender.get('email')}>" if sender.get("email") else "<>"
    mail = _checked(partial(smtp_parameters.mail, _command("FROM", path, words, utf8=True)), "envelope/mailFrom")
    found = Envelope(
        _address(sender.get("email"), "envelope/mailFrom") if path != "<>" else None,
        ret=mail.ret, envid=mail.envid, requiretls=mail.requiretls,
    )  # fmt: skip
    bad: list[str] = []
    seen: set[tuple[str, str]] = set()
    for each in recipients:
        if not isinstance(each, Mapping) or not isinstance(each.get("email"), str):
            raise BadEnvelope("invalidProperties", "rcptTo has what is no address", properties=["envelope/rcptTo"])
        words = _parameters(each, "envelope/rcptTo")
        try:
            address = parse_address(each["email"])
        except BadAddress:
            bad.append(each["email"])
            continue
        rcpt = _checked(partial(smtp_parameters.rcpt, _command("TO", f"<{address}>", words), True), "envelope/rcptTo")
        if address.key not in seen:
            seen.add(address.key)
            found.recipients.append(Recipient(address, rcpt.orcpt, rcpt.notify))
    if bad:
        raise BadEnvelope("invalidRecipients", "some recipients are no addresses", invalidRecipients=bad)
    return Asked(_with_utf8(found), *_hold(holds, until))


def _hold(holds: Mapping[str, str | None], until: Callable[[str], int | None]) -> tuple[int | None, int | None]:
    if not holds:
        return None, None
    value = next(iter(holds.values())) or ""
    if len(holds) == 1 and "HOLDFOR" in holds and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value), None
    at = until(value) if len(holds) == 1 and "HOLDUNTIL" in holds else None
    if at is None:
        raise _bad_parameters(
            "HOLDFOR is a number of seconds, HOLDUNTIL a date, and one is enough", "envelope/mailFrom"
        )
    return None, at


def _parameters(given: Mapping[str, Any], where: str) -> dict[str, str | None]:
    words = given.get("parameters")
    if words is None:
        return {}
    if not isinstance(words, Mapping) or not all(v is None or isinstance(v, str) for v in words.values()):
        raise _bad_parameters("parameters are names with texts", where)
    return dict(words)


def _bad_parameters(text: str, where: str) -> BadEnvelope:
    return BadEnvelope("invalidProperties", text, properties=[where])


def _command(word: str, path: str, words: Mapping[str, str | None], utf8: bool = False) -> bytes:
    """As the command of SMTP would have it: the same reader then looks at it."""
    said = [f"{word}:{path}"]
    for name, value in words.items():
        said.append(name if value is None else f"{name}={value}")
    if any(set(each) & set(" \t\r\n") for each in said[1:]):
        raise _bad_parameters("a parameter has blanks", "envelope")
    if utf8 and "SMTPUTF8" not in (name.upper() for name in words):
        said.append("SMTPUTF8")
    return " ".join(said).encode("utf-8", "replace")


def _checked(work: Callable[[], Any], where: str) -> Any:
    try:
        return work()
    except Refused as no:
        raise _bad_parameters(no.reply.text, where) from None


def _address(text: Any, where: str) -> Address:
    try:
        return parse_address(text if isinstance(text, str) else "")
    except BadAddress as error:
        raise BadEnvelope("invalidProperties", f"mailFrom: {error.reason}", properties=[where]) from None


def _with_utf8(envelope: Envelope) -> Envelope:
    named = [*([envelope.sender] if envelope.sender else []), *(r.address for r in envelope.recipients)]
    envelope.smtputf8 = not all(address.is_ascii for address in named)
    return envelope


def derived(data: bytes, may: Callable[[Address], bool], own: Address) -> Envelope:
    """The envelope that the header of a message means (RFC 8621 §7): from Sender or else From, or `own` where he `may`
    not write as that; to all in To, Cc and Bcc. Raises `BadEnvelope`."""
    fields = named(data, b"sender", b"from", b"to", b"cc", b"bcc")
    authors: list[Mailbox] = []
    for name in (b"sender", b"from"):
        if found := [f for f in fields if f.name == name]:
            authors = [m for m in all_mailboxes(found[-1].value, 2) if m.host]
            if len(found) > 1 or len(authors) > 1:
                text = "the message has several authors, and no envelope says who sends it"
                raise BadEnvelope("invalidProperties", text, properties=["envelope"])
            break
    sender = own
    for author in authors:
        try:
            address = parse_address(author.address)
        except BadAddress:
            continue
        sender = address if may(address) else own
    bad: list[str] = []
    recipients: dict[tuple[str, str], Recipient] = {}
    for field in fields:
        if field.name in (b"to", b"cc", b"bcc"):
            for mailbox in all_mailboxes(field.value, LIMITS.compose_addresses):
                if mailbox.host is None:  # where a group begins or ends
                    continue
                try:
                    address = parse_address(mailbox.address)
                except BadAddress:
                    bad.append(mailbox.address)
                    continue
                recipients.setdefault(address.key, Recipient(address))
    if bad:
        raise BadEnvelope("invalidRecipients", "some recipients are no addresses", invalidRecipients=bad)
    return _with_utf8(Envelope(sender, list(recipients.values())))


def told(envelope: Envelope) -> dict[str, Any]:
    """An envelope as JMAP has it, and as it is kept."""
    mail = {"RET": envelope.ret, "ENVID": envelope.envid}
    words: dict[str, str | None] = {name: value for name, value in mail.items() if value is not None}
    if envelope.requiretls:
        words["REQUIRETLS"] = None
    return {
        "mailFrom": {"email": envelope.reverse_path, "parameters": words or None},
        "rcptTo": [
            {
                "email": str(r.address),
                "parameters": {n: v for n, v in (("NOTIFY", r.notify), ("ORCPT", r.orcpt)) if v is not None} or None,
            }
            for r in envelope.recipients
        ],
    }


# --------------------------------------------------------------------------------------------------------- may it go


def check(tx: Tx, account_id: int, envelope: Envelope, config: Config) -> None:
    """Whether it may go as far as the envelope says, as MAIL and RCPT ask it. Notes where each recipient leads.

    Raises `BadEnvelope`.
    """
    sender = envelope.sender
    if sender is not None and not addresses.may_send_as(tx, account_id, sender):
        raise BadEnvelope("forbiddenMailFrom", submit.not_his(str(sender)).text)
    recipients = envelope.recipients
    if not recipients:
        raise BadEnvelope("noRecipients", "the message names nobody it is for")
    most = config["limits.recipients"]
    if len(recipients) > most:
        raise BadEnvelope("tooManyRecipients", f"a message has at most {most} recipients here", maxRecipients=most)
    bad: dict[str, str] = {}
    for recipient in recipients:
        found = addresses.resolve(tx, recipient.address)
        denial = found.denial_for(sender)
        if denial is not None and denial is not NOT_OURS:
            bad[str(recipient.address)] = denial.text
        recipient.resolution = found
    if bad:
        text = "; ".join(f"<{address}>: {why}" for address, why in list(bad.items())[:10])
        raise BadEnvelope("invalidRecipients", text, invalidRecipients=list(bad))


# --------------------------------------------------------------------------------------------------------- and it goes


@dataclass(frozen=True, slots=True)
class Submitter:
    """`judge` looks for viruses and asks other filters, as it does for the SMTP doors; None: there is none."""

    store: Store
    config: Callable[[], Config]
    judge: Judge | None = None

    async def send(self, account_id: int, envelope: Envelope, place: Place, settlement: Settlement) -> Receipt:
        """Take the message whose bytes lie at `place`, and settle its submission in the same transaction.

        Raises `NotTaken`, `BadEnvelope`; `Settled`: it went before; `StoreError`: nothing of it is there.
        """
        config = self.config()
        if place.length > config["limits.message_size"]:
            raise NotTaken(552, "5.3.4", "too-large", f"a message has at most {config['limits.message_size']} octets")
        await self.store.read(check, account_id, envelope, config)
        own = envelope.sender or self.store.peek(_own, account_id)
        body = await self.store.aside(self._completed, account_id, place, config.hostname, own)
        envelope.eightbit = await self.store.aside(_eightbit, body)
        origin, judged = Origin("submission", account_id=account_id), None
        if self.judge is not None and self.judge.wanted(config, origin):
            origin = origin._replace(trace=receive.new_trace(self.store))
            judged, envelope, body = await self.judge.judge(origin, envelope, body, config)
        receipt = await receive.accept(
            self.store, origin, envelope, body, config=config, judged=judged, settlement=settlement
        )
        if not receipt.taken:
            denial = receipt.outcomes[0].denial
            assert denial is not None
            raise NotTaken(denial.code, denial.enhanced, denial.reason, denial.text)
        if judged is not None and judged.discarded:
            await self.store.write(submissions.settle, settlement, receipt.trace)
        return receipt

    async def look(self, account_id: int, envelope: Envelope, place: Place) -> None:
        """Whether it might go, as things are now. Raises as `send` does."""
        config = self.config()
        await self.store.read(check, account_id, envelope, config)
        own = envelope.sender or self.store.peek(_own, account_id)
        (await self.store.aside(self._completed, account_id, place, config.hostname, own)).close()

    def _completed(self, account_id: int, place: Place, hostname: str, author: Address | None) -> Body:
        """The message as it goes out, by a thread. Raises `NotTaken`, `OSError`, `SegmentDamaged`."""
        data = self.store.bytes_of(place)
        body = Body(self.store.data.spool)
        try:
            for at in range(0, len(data), _PIECE):
                body.write(data[at : at + _PIECE])
            self.store.peek(submit.check_author, account_id, body)
            return submit.completed(body, now=self.store.clock() / 1000, hostname=hostname, author=author)
        except BaseException:
            body.close()
            raise


def _own(tx: Tx, account_id: int) -> Address | None:
    account = accounts.by_id(tx, account_id)
    return None if account is None else account.address


def _eightbit(body: Body) -> bool:
    data = body.view()
    return any(not data[at : at + _PIECE].isascii() for at in range(0, len(data), _PIECE))
