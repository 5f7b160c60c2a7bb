"""Messages that a client makes: Email/set create, Email/import, Email/copy (RFC 8621 §4.6–4.8).

What comes of each is a body, looked at by the virus scanner where there is one as all mail is, and put into its
mailboxes in one write: the answer is a receipt.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from daemon.flow import dangers
from daemon.flow.envelope import Origin
from daemon.limits import LIMITS
from daemon.mail import compose, compose_email, compose_fields, object_ids
from daemon.mail.compose_email import BadEmail, Draft
from daemon.mail.header import header_end, split_fields
from daemon.mail.summary import summarize
from daemon.serve.web.jmap import gets, sets
from daemon.serve.web.jmap.blob import blobs, stored_blobs
from daemon.serve.web.jmap.method import Arguments, Call, MethodError
from daemon.serve.web.jmap.sets import SetError, bad
from daemon.store import email_sets
from daemon.store.email_sets import Placing
from daemon.store.spool import Body
from daemon.wire import jmap

TOUCHED = sets.of_mail("Email", object_ids.EMAIL)


class _TooLarge(Exception):
    pass


async def create(call: Call, given: Arguments) -> Arguments:
    """One of Email/set."""
    placing = place(call, given)
    try:
        draft = await call.store.aside(compose_email.read, given)
    except BadEmail as error:
        raise bad(error.properties, str(error)) from None
    found: dict[str, bytes] = {}
    missing, size = [], 0
    most = call.config["limits.message_size"]
    for name in draft.blobs:
        data = await blobs.read(call, name)
        if data is None:
            missing.append(name)
            continue
        found[name] = data
        size += len(data)
        if size > most:
            raise _too_large(most)
    if missing:
        raise SetError("blobNotFound", "a part has a blob that is not there", notFound=missing)
    try:
        body = await call.store.aside(_composed, call, draft, found, most)
    except _TooLarge:
        raise _too_large(most) from None
    return await keep(call, body, placing)


def _too_large(most: int) -> SetError:
    return SetError("tooLarge", f"a message has at most {most} octets", maxSize=most)


def _composed(call: Call, draft: Draft, found: Mapping[str, bytes], most: int) -> Body:
    """The message, by a thread. Raises `_TooLarge`, `SetError`, `OSError`."""
    now, unique = call.store.clock(), secrets.token_hex(12)
    head = list(draft.head)
    if "date" not in draft.names:
        head.append(compose_fields.field("Date", "date", datetime.fromtimestamp(now / 1000, UTC).isoformat()))
    if "message-id" not in draft.names:
        head.append(compose_fields.field("Message-ID", "messageids", [f"{unique}@{call.config.hostname}"]))
    body = Body(call.store.data.spool)

    def write(data: bytes) -> None:
        if body.size + len(data) > most:
            raise _TooLarge
        body.write(data)

    try:
        if sum(map(len, head)) > LIMITS.header_bytes - 1024:
            raise SetError("tooLarge", f"the header of a message has at most {LIMITS.header_bytes} octets")
        compose.compose(head, draft.root, found.__getitem__, write, unique)
    except BaseException:
        body.close()
        raise
    return body


def place(call: Call, given: Mapping[str, Any]) -> Placing:
    """Where a new message goes, and as what. Raises `SetError`."""
    boxes, words, at = given.get("mailboxIds"), given.get("keywords") or {}, given.get("receivedAt")
    wrong = []
    if not isinstance(boxes, dict) or not boxes or not all(value is True for value in boxes.values()):
        wrong.append("mailboxIds")
    if not isinstance(words, dict) or not all(value is True for value in words.values()):
        wrong.append("keywords")
    received = jmap.read_utc_date(at) if at is not None else call.store.clock()
    if received is None:
        wrong.append("receivedAt")
    if wrong:
        raise bad(wrong, "mailboxIds and keywords are ids and words that are true; receivedAt is a UTC date")
    assert isinstance(boxes, dict) and received is not None
    if len(boxes) > LIMITS.email_mailboxes:
        raise SetError("tooManyMailboxes", f"a message is in at most {LIMITS.email_mailboxes} mailboxes")
    numbers = [gets.number(object_ids.MAILBOX, sets.real_id(call, name)) for name in boxes]
    bits, names = email_sets.split(words)
    if len(names) > LIMITS.imap_keywords:
        raise SetError("tooManyKeywords", f"a message has at most {LIMITS.imap_keywords} keywords")
    return Placing(tuple(numbers), bits, tuple(names), received)


async def keep(call: Call, body: Body, placing: Placing) -> Arguments:
    """Put it into its mailboxes; the body is closed. Raises `SetError`, what the store raises."""
    with body:
        unscanned = await _scanned(call, body)
        summary = await call.store.aside(summarize, body.view())
        kept = await call.store.write(
            email_sets.put,
            call.account_id,
            body,
            summary,
            placing,
            call.config["limits.quota"],
            unscanned,
            bodies=[body],
        )
    return {
        "id": f"{object_ids.EMAIL}{kept.id}",
        "blobId": stored_blobs.whole(kept.id),
        "threadId": f"{object_ids.THREAD}{kept.thread_id}",
        "size": kept.size,
    }


async def _scanned(call: Call, body: Body) -> str:
    """Why nobody could look for a virus in it; '' when it is clean, or nothing is scanned. Raises `SetError`."""
    if not dangers.scans(call.config, Origin("append", account_id=call.account_id)):
        return ""
    found = await dangers.scanned(call.config, body.view())
    if found.result == "infected":
        raise SetError("forbidden", f"the virus scanner found {found.name} in it: it is not kept")
    if found.result == "error" and call.config["virus.on_error"] == "defer":
        raise SetError("serverUnavailable", f"it could not be looked into for viruses for now ({found.reason})")
    return found.reason


# -- Email/import (RFC 8621 §4.8) --------------------------------------------------------------------------------------


async def import_(call: Call, arguments: Arguments) -> Arguments:
    if set(arguments) - {"accountId", "ifInState", "emails"} or not isinstance(arguments.get("emails"), dict):
        raise MethodError("invalidArguments", "its arguments are accountId, ifInState and emails")
    wanted = sets.asked({"create": arguments["emails"], "ifInState": arguments.get("ifInState")})
    done = sets.begin(call, wanted, touched=TOUCHED)
    for mark, given in wanted.create.items():
        try:
            done.created[mark] = made = await sets.guarded(_import(call, given))
            call.created[mark] = made["id"]
        except SetError as no:
            done.not_created[mark] = no.answer
    answer = done.answer(call)
    return {name: answer[name] for name in ("accountId", "oldState", "newState", "created", "notCreated")}


async def _import(call: Call, given: Arguments) -> Arguments:
    if strange := sorted(set(given) - {"blobId", "mailboxIds", "keywords", "receivedAt"}):
        raise bad(strange, "is no property of an EmailImport")
    placing = place(call, given)
    if not isinstance(given.get("blobId"), str):
        raise bad(["blobId"], "is no id")
    data = await blobs.read(call, given["blobId"])
    if data is None:
        raise SetError("blobNotFound", "there is no such blob", notFound=[given["blobId"]])
    most = call.config["limits.message_size"]
    if len(data) > most:
        raise _too_large(most)
    if not split_fields(data[: header_end(data, 0, len(data))]):
        raise SetError("invalidEmail", "a message begins with a header")
    return await keep(call, await call.store.aside(_spooled, call, data), placing)


def _spooled(call: Call, data: bytes) -> Body:
    body = Body(call.store.data.spool)
    body.write(data)
    return body


# -- Email/copy (RFC 8621 §4.7) ----------------------------------------------------------------------------------------


async def copy(call: Call, arguments: Arguments) -> Arguments:
    """Between accounts; and each user has one."""
    source = arguments.get("fromAccountId")
    if not isinstance(source, str) or not isinstance(arguments.get("create"), dict):
        raise MethodError("invalidArguments", "fromAccountId and create are needed")
    if source == sets.account_name(call):
        raise MethodError("invalidArguments", "within one account a message is put into more mailboxes by Email/set")
    raise MethodError("fromAccountNotFound", "there is no such account, or none that you may read")
