"""Messages in mailboxes: found, shown, removed."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from daemon.admin import search, words
from daemon.admin.errors import BadData
from daemon.limits import LIMITS
from daemon.mail.decode import decode_text, decode_transfer, decode_words, header_text, parameter_texts
from daemon.mail.header import disposition
from daemon.mail.message import Part, scan
from daemon.mail.text import is_attachment, strip_html
from daemon.store import accounts, events, find, keywords, mailboxes, messages
from daemon.store.db import Store
from daemon.store.errors import Missing
from daemon.store.find import Query, Term
from daemon.store.search import texts
from daemon.store.tx import Tx

_BATCH = 200
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"|NIL|([()])')


@dataclass(frozen=True, slots=True)
class Mail:
    """One message. `id` is never used twice; `uid` and `flags` are those in the first of `mailboxes`."""

    id: int
    user: str
    mailboxes: tuple[str, ...]
    uid: int
    sender: str
    sender_name: str
    recipients: tuple[str, ...]
    subject: str
    flags: tuple[str, ...]
    keywords: tuple[str, ...]
    size: int
    attachment: bool
    preview: str
    message_id: str | None
    trace: str | None
    sent_at: int | None
    received_at: int


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    type: str
    size: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A message opened. `headers` are decoded, in order; `text` is what a reader would read first."""

    mail: Mail
    headers: tuple[tuple[str, str], ...]
    text: str
    attachments: tuple[Attachment, ...]


def found(
    store: Store, text: str = "", *, user: str | None = None, mailbox: str | None = None, limit: int | None = None
) -> Iterator[Mail]:
    """Messages that match a search, newest first. Raises `Missing`, `BadData`."""
    query: Query = search.parse(text, store.clock())
    if mailbox is not None:
        query = find.All((Term("in", mailbox.lower()), query))
    account_id = _account_id(store, user, mailbox)
    ids = _ids(store, query, account_id, limit)
    for batch in _batches(ids):
        for row in store.read_now(find.rows, batch):
            yield _mail(row)


def places(store: Store, text: str, user: str) -> dict[int, list[int]]:
    """UIDs by mailbox of a user's messages that match a search, wherever they are. Raises `Missing`, `BadData`."""
    ids = list(_ids(store, search.parse(text, store.clock()), _account_id(store, user, None), None))
    return store.read_now(find.memberships, ids)


def show(store: Store, mail_id: str) -> Shown:
    """Raises `Missing`, `BadData`, `SegmentDamaged`."""
    row = _row(store, mail_id)
    return Shown(_mail(row), *opened(row.prefix + store.bytes_of(_place(row))))


def opened(data: bytes) -> tuple[tuple[tuple[str, str], ...], str, tuple[Attachment, ...]]:
    """The header fields of a message, decoded; what a reader would read first; what is attached."""
    message = scan(data)
    fields = tuple((name.decode("ascii", "replace"), header_text(value)) for name, value in message.fields)
    parts = [part for part in message.root.walk() if part is not message.root and is_attachment(part)]
    attachments = tuple(Attachment(_name_of(p), p.media, p.size) for p in parts)
    return fields, _text(message.data, message.root), attachments


def raw(store: Store, mail_id: str) -> bytes:
    """The message as IMAP would give it. Raises `Missing`, `BadData`, `SegmentDamaged`."""
    row = _row(store, mail_id)
    return row.prefix + store.bytes_of(_place(row))


def by_ids(store: Store, mail_ids: Sequence[str]) -> list[Mail]:
    """Raises `Missing` for the first that is not there."""
    wanted = [_number(one) for one in mail_ids]
    rows = store.read_now(find.rows, wanted)
    missing = set(wanted) - {row.email_id for row in rows}
    if missing:
        raise Missing(f"there is no message {min(missing)}; `mailctl mail list` shows their numbers")
    return [_mail(row) for row in rows]


def remove(store: Store, mail_ids: Sequence[int], progress: Callable[[int], None] = lambda _: None) -> int:
    """Take messages out of every mailbox they are in, in small steps; how many went."""

    def step(tx: Tx, batch: list[int]) -> int:
        rows = find.rows(tx, batch)
        for mailbox_id, uids in find.memberships(tx, batch).items():
            messages.remove(tx, mailbox_id, messages.to_ranges(uids))
        for row in rows:
            trace = row.trace or events.new_trace(tx.now, os.urandom)
            events.record(
                tx, trace, "expunged", "by-administrator", message_id=row.message_id,
                account=row.account_id, user=row.user, mailbox=", ".join(row.mailboxes), count=1,
            )  # fmt: skip
        return len(rows)

    gone = 0
    for batch in _batches(iter(mail_ids)):
        gone += store.write_now(step, batch)
        progress(len(batch))
    return gone


def _account_id(store: Store, user: str | None, mailbox: str | None) -> int | None:
    if user is None:
        return None

    def work(tx: Tx) -> int:
        account = accounts.get(tx, words.address(user))
        if mailbox is not None and not any(
            mailbox.lower() in (b.name.lower(), (b.special_use or "").lower().removeprefix("\\"))
            for b in mailboxes.everyone(tx, account.id)
        ):
            raise Missing(f"{user} has no mailbox {mailbox!r}; `mailctl mailbox list {user}` names them all")
        return account.id

    return store.read_now(work)


def _ids(store: Store, query: Query, account_id: int | None, limit: int | None) -> Iterator[int]:
    """Ids of messages that match, newest first, each once."""

    def work(tx: Tx) -> tuple[list[find.Hit], find.Sure]:
        within, sure = find.narrowed(tx, query, account_id)
        return find.candidates(tx, query, account_id, None if find.needs_text(query) else limit, within), sure

    hits, sure = store.read_now(work)
    if not find.needs_text(query):
        yield from dict.fromkeys(hit.email_id for hit in hits)
        return
    terms = find.leaves(query)
    told = 0
    for email_id, group in itertools.groupby(hits, lambda hit: hit.email_id):
        look = _Looking(store, email_id, sure)
        if any(find.matches(query, dict(zip(terms, hit.answers, strict=True)), look.has) for hit in group):
            yield email_id
            told += 1
            if told == limit:
                return


class _Looking:
    """The text of one message, read when it is asked for and not known without, once."""

    def __init__(self, store: Store, email_id: int, sure: find.Sure) -> None:
        self.store = store
        self.email_id = email_id
        self.sure = sure
        self.read: tuple[str, str] | None = None

    def has(self, term: Term) -> bool:
        if self.email_id in self.sure.get(term, ()):
            return True
        if self.read is None:
            rows = self.store.read_now(find.rows, [self.email_id])
            self.read = texts(self.store, rows[0].place, rows[0].prefix, rows[0].parts) if rows else ("", "")
        head, body = self.read
        return term.value in body or (term.kind == "text" and term.value in head)


def _batches(ids: Iterator[int]) -> Iterator[list[int]]:
    while batch := list(itertools.islice(ids, _BATCH)):
        yield batch


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadData(f"{text!r} is not the number of a message; `mailctl mail list` shows them")
    return int(text)


def _row(store: Store, mail_id: str) -> find.Row:
    rows = store.read_now(find.rows, [_number(mail_id)])
    if not rows:
        raise Missing(f"there is no message {mail_id}; `mailctl mail list` shows their numbers")
    return rows[0]


def _place(row: find.Row) -> tuple[int, int, int]:
    return row.place.segment, row.place.offset, row.place.length


def _mail(row: find.Row) -> Mail:
    name, sender, recipients = envelope_people(row.envelope)
    return Mail(
        id=row.email_id,
        user=row.user,
        mailboxes=row.mailboxes,
        uid=row.uid,
        sender=sender,
        sender_name=name,
        recipients=recipients,
        subject=row.subject,
        flags=tuple(keywords.flag_names(row.flags)),
        keywords=row.keywords,
        size=row.size,
        attachment=row.has_attachment,
        preview=row.preview,
        message_id=row.message_id or None,
        trace=row.trace,
        sent_at=row.sent_at,
        received_at=row.received_at,
    )


def envelope_people(envelope: bytes) -> tuple[str, str, tuple[str, ...]]:
    """Name and address of the author, and the addresses in To, out of a stored ENVELOPE."""
    stack: list[list[object]] = [[]]
    for token in _STRING.finditer(envelope):
        if token[2] == b"(":
            stack.append([])
        elif token[2] == b")":
            if len(stack) > 1:
                done = stack.pop()
                stack[-1].append(done)
        else:
            stack[-1].append(
                None if token[1] is None else re.sub(rb"\\(.)", rb"\1", token[1]).decode("ascii", "replace")
            )
    fields = stack[0][0] if stack[0] else None
    if not isinstance(fields, list) or len(fields) < 6:
        return "", "", ()
    authors, to = _people(fields[2]), _people(fields[5])
    name, sender = authors[0] if authors else ("", "")
    return name, sender, tuple(address for _, address in to)


def _people(value: object) -> list[tuple[str, str]]:
    found = []
    for one in value if isinstance(value, list) else ():
        if isinstance(one, list) and len(one) == 4 and one[2] is not None:
            local, host = str(one[2]), str(one[3] or "")
            found.append((decode_words(str(one[0] or "")), f"{local}@{host}" if host else local))
    return found


def _text(data: object, root: Part) -> str:
    """What a reader would read first: the first plain text that is no attachment, else HTML without its tags."""
    best: Part | None = None
    for part in root.walk():
        if part.type != "text" or (part is not root and is_attachment(part)):
            continue
        if part.subtype == "plain":
            best = part
            break
        best = best or part
    if best is None:
        return ""
    octets = bytes(data[best.body : min(best.end, best.body + LIMITS.search_text)])  # type: ignore[index]
    text = decode_text(decode_transfer(octets, best.encoding), best.charset)
    return (strip_html(text) if best.subtype == "html" else text).replace("\r\n", "\n").strip("\n")


def _name_of(part: Part) -> str:
    """The file name, from Content-Disposition or the name of Content-Type."""
    for parameters in (disposition(part.fields.get(b"content-disposition", b""))[1], part.parameters):
        texts = parameter_texts(parameters)
        name = texts.get("filename") or texts.get("name")
        if name:
            return decode_words(name)
    return ""
