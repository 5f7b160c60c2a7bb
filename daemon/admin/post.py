"""Handing in messages by hand: `mailctl mail deliver` and the `sendmail` shim, by the one road in."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from daemon.admin import words
from daemon.admin.errors import DONE, BadData, Unavailable
from daemon.config import Config
from daemon.flow import dangers, receive, submit
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.postmaster import postmaster
from daemon.limits import LIMITS
from daemon.mail import headers
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.header import header_end, split_fields
from daemon.mail.mailboxes import mailboxes
from daemon.store import settings
from daemon.store.db import Store, StoreBusy
from daemon.store.spool import Body

_PIECE = 1 << 20
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient. `code` and `enhanced` as SMTP would have said them, 250 when taken."""

    recipient: str
    taken: bool
    code: int
    enhanced: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """`trace` is what `mailctl trace` is asked with; None when nobody took the message."""

    trace: str | None
    sender: str
    size: int
    recipients: tuple[Fate, ...]

    @property
    def refused(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.recipients if not fate.taken)


def deliver(store: Store, file: BinaryIO, recipients: Sequence[str], sender: str | None = None) -> Delivery:
    """Put a message through the road SMTP takes, line ends made CRLF. `sender` None: its From; '' or <>: nobody.

    Raises `BadData`, `StoreFull`, `StoreBusy`.
    """
    to = [words.address(r) for r in recipients]
    if not to:
        raise BadData("there is no recipient")
    body = read(store, file)
    by = _author(body) if sender is None else _sender(sender)
    return _accept(store, body, by, to)


def submit_local(
    store: Store, file: BinaryIO, recipients: Sequence[str], sender: str, *, from_header: bool, name: str = ""
) -> Delivery:
    """What sendmail(8) does: recipients of the header too with `from_header`; From, Date and Message-ID when missing.

    Raises `BadData`, `StoreFull`, `StoreBusy`.
    """
    body = read(store, file)
    view = body.view()
    block = bytes(view[: header_end(view, 0, len(view))])
    if not _FIELD.match(block):  # text alone, as `echo text | sendmail` has it
        body = _with_top(body, b"\r\n")
        block = b"\r\n"
    fields = split_fields(block)
    to = [words.address(r) for r in recipients]
    if from_header:
        for wanted in (b"to", b"cc", b"bcc"):
            for field, value in fields:
                if field.lower() == wanted:
                    to += _addresses(value)
    if not to:
        raise BadData("there is no recipient; name one, or use -t to take them from the header")
    by = _sender(sender)
    now = store.clock() / 1000
    hostname = store.read_now(settings.load)["hostname"]
    if not any(field.lower() == b"from" for field, _ in fields):
        who = by or store.read_now(postmaster, hostname)
        shown = f'"{name}" <{who}>' if re.fullmatch(r"[ !#-\[\]-~]+", name) else who
        body = _with_top(body, f"From: {shown}\r\n".encode())
    try:
        body = submit.completed(body, now=now, hostname=hostname)
    except submit.NotTaken as error:
        raise BadData(error.text) from None
    return _accept(store, body, by, list({a.key: a for a in to}.values()))


def _with_top(body: Body, top: bytes) -> Body:
    fuller = body.alike()
    fuller.write(top)
    fuller.write(body.bytes())
    body.close()
    return fuller


def by_smtp(file: BinaryIO, recipients: Sequence[str], sender: str | None, user: str, *, from_header: bool) -> int:
    """The same for a user who may not read the store: by SMTP to the server on this machine. The exit code.

    It takes mail for its own domains; for others only when smtp.trusted_networks names loopback.
    """
    import smtplib

    data = headers.crlf(file.read())
    if not _FIELD.match(data):
        data = b"\r\n" + data
    end = header_end(data, 0, len(data))
    fields = split_fields(data[:end])
    to = [words.address(r) for r in recipients]
    if from_header:
        to += [a for field, value in fields if field.lower() in (b"to", b"cc", b"bcc") for a in _addresses(value)]
    if not to:
        raise BadData("there is no recipient; name one, or use -t to take them from the header")
    try:
        with smtplib.SMTP("127.0.0.1", 25, timeout=LIMITS.smtp_data_patience) as peer:
            host = peer.local_hostname
            by = _sender(sender) if sender is not None else words.address(f"{user}@{host}")
            whole = headers.complete(data, now=time.time(), hostname=host, unique=secrets.token_hex(12))
            if isinstance(whole, headers.Incomplete):
                top = f"From: {by}\r\n".encode() if by is not None else b""
                whole = headers.complete(top + data, now=time.time(), hostname=host, unique=secrets.token_hex(12))
            if isinstance(whole, headers.Incomplete):
                raise BadData(whole.text)
            peer.sendmail(str(by or ""), [str(a) for a in to], whole)
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        return _refused(code, text)
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        raise Unavailable(f"the server on this machine does not answer ({error}); the message was not taken") from None
    return DONE


def _refused(code: int, text: bytes | str) -> int:
    said = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    if code < 500:
        raise StoreBusy(f"the server on this machine will not take it now: {code} {said}")
    raise BadData(f"the server on this machine refused it: {code} {said}")


def hostname(store: Store) -> str:
    """What the server calls itself."""
    return str(store.read_now(settings.load)["hostname"])


def read(store: Store, file: BinaryIO, limit: int | None = None) -> Body:
    """A message out of a file, its line ends made CRLF. Raises `BadData` over `limits.message_size`."""
    most = limit if limit is not None else store.read_now(settings.load)["limits.message_size"]
    body = Body(store.data.spool)
    waiting = b""
    while piece := file.read(_PIECE):
        piece = waiting + piece
        waiting = piece[-1:] if piece.endswith(b"\r") else b""  # its LF may be in the next piece
        body.write(headers.crlf(piece[: len(piece) - len(waiting)]))
        if body.size > most:
            body.close()
            raise BadData(f"the message is larger than {most} octets (the setting limits.message_size)")
    body.write(headers.crlf(waiting))
    if not body.size:
        body.close()
        raise BadData("the message is empty")
    return body


def _accept(store: Store, body: Body, sender: Address | None, recipients: list[Address]) -> Delivery:
    config = store.read_now(settings.load)
    if len(recipients) > config["limits.recipients"]:
        raise BadData(f"a message has at most {config['limits.recipients']} recipients")
    size = body.size
    eightbit = any(not bytes(body.view()[at : at + _PIECE]).isascii() for at in range(0, size, _PIECE))
    utf8 = not all(a.is_ascii for a in (sender, *recipients) if a is not None)
    envelope = Envelope(sender, [Recipient(r) for r in recipients], smtputf8=utf8, eightbit=eightbit)
    receipt = _received(store, envelope, body, config)
    fates = tuple(
        Fate(str(o.recipient.address), True, 250, "2.0.0", "", "taken")
        if o.denial is None
        else Fate(
            str(o.recipient.address), False, o.denial.code, o.denial.enhanced, o.denial.reason, o.denial.text
        )
        for o in receipt.outcomes
    )  # fmt: skip
    return Delivery(receipt.trace if receipt.taken else None, envelope.reverse_path, size, fates)


def _received(store: Store, envelope: Envelope, body: Body, config: Config) -> receive.Receipt:
    """By the one road. The virus scanner is asked, if there is one; nobody else about this machine's own mail."""
    origin, judged = Origin("sendmail"), None
    if dangers.scans(config, origin):
        from daemon.flow.judging import Judge  # late: few have a scanner, and all that judges mail takes a while
        from daemon.resolver import DNS

        origin = origin._replace(trace=receive.new_trace(store))
        judge = Judge(store, DNS(config["dns.servers"]))
        judged, envelope, body = asyncio.run(judge.judge(origin, envelope, body, config))
    return receive.accept_now(store, origin, envelope, body, config=config, judged=judged)


def _sender(text: str) -> Address | None:
    return None if text.strip() in ("", "<>") else words.address(text.strip().removeprefix("<").removesuffix(">"))


def _author(body: Body) -> Address | None:
    """Who the message says it is from; nobody when it does not."""
    view = body.view()
    for name, value in split_fields(bytes(view[: header_end(view, 0, len(view))])):
        if name.lower() == b"from":
            return next(iter(_addresses(value)), None)
    return None


def _addresses(value: bytes) -> list[Address]:
    found = []
    for mailbox in mailboxes(value):
        if mailbox.local is not None and mailbox.host:
            try:
                found.append(parse_address(str(Address(mailbox.local, mailbox.host))))
            except BadAddress:
                continue
    return found
