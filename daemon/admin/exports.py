"""Mail from mailboxes into files: one mbox, an mbox for each mailbox (in a zip, for one), or a Maildir.

A Maildir can be exported to again: what is there already is passed over. An mbox is written beside its place and put
there when it is whole.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from daemon.admin import mail, maildir, mbox, words
from daemon.admin.errors import BadData
from daemon.store import accounts, keywords, mailboxes, messages, settings
from daemon.store.db import Store
from daemon.store.tx import Tx

_BATCH = 100
_COLUMNS = ("uid", "flags", "keywords", "received_at", "prefix", "segment_id", "offset", "length", "email_id")
_RETURN_PATH = re.compile(rb"Return-Path:[ \t]*<([^>\r\n]*)>", re.IGNORECASE)
Progress = Callable[[int], None]


@dataclass(slots=True)
class Exported:
    """What an export did. `skipped` were in the Maildir already."""

    user: str
    target: str
    format: str
    exported: int = 0
    skipped: int = 0
    octets: int = 0
    mailboxes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be exported: (mailbox id, name, UIDs or None for all) each."""

    user: str
    boxes: tuple[tuple[int, str, tuple[int, ...] | None], ...]
    total: int


@dataclass(frozen=True, slots=True)
class _Message:
    uid: int
    email_id: int
    flags: int
    keywords: tuple[str, ...]
    received_at: int
    data: bytes


def select(store: Store, user: str, *, mailbox: str | None = None, search: str = "") -> Selection:
    """All mailboxes of a user, or one; with a search only what matches. Raises `Missing`, `BadData`."""
    account = store.read_now(accounts.get, words.address(user))

    def work(tx: Tx) -> list[mailboxes.Mailbox]:
        if mailbox is not None:
            return [mailboxes.get(tx, account.id, mailbox)]
        return mailboxes.everyone(tx, account.id)

    boxes = store.read_now(work)
    if not search:
        return Selection(str(account.address), tuple((b.id, b.name, None) for b in boxes), sum(b.total for b in boxes))
    wanted = mail.places(store, search, user)
    chosen = tuple((b.id, b.name, tuple(wanted.get(b.id, ()))) for b in boxes if wanted.get(b.id))
    return Selection(str(account.address), chosen, sum(len(uids or ()) for _, _, uids in chosen))


def export(
    store: Store,
    what: Selection,
    target: Path,
    format: str,
    *,
    overwrite: bool = False,
    progress: Progress = lambda _: None,
) -> Exported:
    """Write the selection to `target`. `format` maildir or mbox; mbox goes to one file, or to a directory that exists.

    Raises `BadData` for a file that is there (without `overwrite`), `OSError`, `SegmentDamaged`.
    """
    report = Exported(what.user, str(target), format)
    if format == "maildir":
        _to_maildir(store, what, target, report, progress)
    elif target.is_dir():
        for box in what.boxes:
            path = target / f"{_safe(box[1])}.mbox"
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _to_mbox(store, (box,), path, overwrite, report, progress)
    else:
        _to_mbox(store, what.boxes, target, overwrite, report, progress)
    return report


def to_stream(store: Store, what: Selection, file: BinaryIO) -> Exported:
    """The selection as one mbox."""
    report = Exported(what.user, "-", "mbox")
    for mailbox_id, name, uids in what.boxes:
        report.mailboxes.append(name)
        for one in _messages(store, mailbox_id, uids):
            _write(file, one, report)
    return report


def to_zip(store: Store, what: Selection, file: BinaryIO) -> Exported:
    """The selection as a zip with an mbox for each mailbox; `file` need not be one that can be gone back in."""
    report = Exported(what.user, "-", "zip")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for mailbox_id, name, uids in what.boxes:
            report.mailboxes.append(name)
            with packed.open(f"{_safe(name)}.mbox", "w", force_zip64=True) as box:
                for one in _messages(store, mailbox_id, uids):
                    _write(cast(BinaryIO, box), one, report)
    return report


def _to_mbox(
    store: Store,
    boxes: tuple[tuple[int, str, tuple[int, ...] | None], ...],
    path: Path,
    overwrite: bool,
    report: Exported,
    progress: Progress,
) -> None:
    if path.exists() and not overwrite:
        raise BadData(f"{path} is there already; say --overwrite, or name another")
    with _whole(path) as file:
        for mailbox_id, name, uids in boxes:
            report.mailboxes.append(name)
            for one in _messages(store, mailbox_id, uids):
                _write(file, one, report)
                progress(1)


def _safe(name: str) -> str:
    """A mailbox's name as a path below where we write, whatever its owner called it."""
    return "/".join(re.sub(r"\A\.", "_", level) for level in name.split("/"))


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that is at its place when all is written, and not there at all when that failed."""
    part = path.with_name(path.name + ".part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            yield file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write(file: BinaryIO, one: _Message, report: Exported) -> None:
    path = _RETURN_PATH.match(one.data)
    sender = path[1].decode("ascii", "replace").replace(" ", "_") if path else ""
    report.octets += mbox.write(
        file, one.data, sender=sender, flags=one.flags, keywords=one.keywords, received_at=one.received_at
    )
    report.exported += 1


def _to_maildir(store: Store, what: Selection, target: Path, report: Exported, progress: Progress) -> None:
    host = store.read_now(settings.load)["hostname"]
    for mailbox_id, name, uids in what.boxes:
        writer = maildir.Writer(target, name, host)
        report.mailboxes.append(name)
        for one in _messages(store, mailbox_id, uids):
            file = writer.name(one.email_id, one.uid, one.received_at)
            if file in writer.there:
                report.skipped += 1
            else:
                writer.write(file, one.data, flags=one.flags, keywords=one.keywords, received_at=one.received_at)
                report.exported += 1
                report.octets += len(one.data)
            progress(1)


def _messages(store: Store, mailbox_id: int, uids: tuple[int, ...] | None) -> Iterator[_Message]:
    """The messages of a mailbox in order of UID, read in batches."""
    last = 0
    left = messages.to_ranges(sorted(uids)) if uids is not None else messages.ALL
    while True:

        def work(tx: Tx, after: int) -> list[tuple[_Message, tuple[int, int, int]]]:
            ranges = [(max(first, after + 1), end) for first, end in left if end > after]
            rows = messages.fetch_some(tx, mailbox_id, ranges, _COLUMNS, _BATCH)
            return [
                (_Message(r[0], r[8], r[1], keywords.names_of(tx, r[2]), r[3], r[4]), (r[5], r[6], r[7])) for r in rows
            ]

        batch = store.read_now(work, last)
        if not batch:
            return
        for one, place in batch:
            last = one.uid
            data = one.data + store.bytes_of(place)
            yield _Message(one.uid, one.email_id, one.flags, one.keywords, one.received_at, data)
