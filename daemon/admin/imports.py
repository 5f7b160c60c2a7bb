"""Mail from files into mailboxes, and back: mbox, Maildir, single messages.

An import can be run again: what is in the mailbox already, octet for octet, is passed over. It goes in groups, each
one transaction, so that deliveries never wait long and what was said to be in is in.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.admin import maildir, mbox, words
from daemon.admin.errors import BadData
from daemon.admin.incoming import Incoming
from daemon.flow import learning
from daemon.mail.headers import crlf
from daemon.mail.summary import Summary, summarize
from daemon.store import accounts, blobs, events, find, mailboxes, messages, settings, spam
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.store.tx import Tx

_GROUP = 50  # messages in one transaction
_GROUP_OCTETS = 8 << 20
Progress = Callable[[int], None]


@dataclass(slots=True)
class Imported:
    """What an import did. `skipped` were there already; `learnt` were taught to the filter; `problems` say what could
    not be taken."""

    user: str
    source: str
    format: str
    imported: int = 0
    skipped: int = 0
    octets: int = 0
    learnt: int = 0
    mailboxes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be imported: `total` is octets for mbox, files for the others."""

    path: Path
    format: str
    total: int
    unit: str


def source(path: Path, format: str | None = None) -> Source:
    """Look what `path` is. Raises `BadData` when it is nothing that can be imported, `OSError`."""
    if path.is_dir():
        found = _of_directory(path, format)
    else:
        with path.open("rb") as file:
            kind = format or ("mbox" if mbox.is_mbox(file) else "message")
        if kind == "maildir":
            raise BadData(f"{path} is a file, not a Maildir")
        found = Source(path, kind, path.stat().st_size, "octets")
    return found


def _of_directory(path: Path, format: str | None) -> Source:
    folders = maildir.folders(path, "INBOX") if format in (None, "maildir") else []
    if folders:
        return Source(path, "maildir", sum(len(maildir.messages(folder)) for folder, _ in folders), "messages")
    files = _files(path, ".mbox") if format in (None, "mbox") else []
    if files:
        return Source(path, "mbox", sum(p.stat().st_size for p in files), "octets")
    files = _files(path, ".eml") if format in (None, "message") else []
    if files:
        return Source(path, "message", sum(p.stat().st_size for p in files), "octets")
    raise BadData(f"{path} holds neither a Maildir (cur, new) nor .mbox or .eml files")


def _files(path: Path, suffix: str) -> list[Path]:
    """Links are not followed: who gives us the directory need not be who may read what they lead to."""
    return sorted(p for p in path.rglob("*" + suffix) if p.is_file() and not p.is_symlink())


def import_(
    store: Store,
    user: str,
    what: Source,
    *,
    mailbox: str | None = None,
    train: bool = False,
    progress: Progress = lambda _: None,
) -> Imported:
    """Bring messages into mailboxes of a user; those that do not exist are made. `mailbox`: where to, instead of INBOX.
    `train`: what comes into Junk, or has a keyword that says what it is, is learnt.

    Raises `Missing`, `Invalid`, `OverQuota` (what came before stays), `OSError`, `BadData`.
    """
    address = words.address(user)
    config = store.read_now(settings.load)
    account = store.read_now(accounts.get, address)
    report = Imported(str(account.address), str(what.path), what.format)
    into = _Into(store, account.id, str(account.address), config["limits.quota"], report, train)
    for one in read(what, mailbox or mailboxes.INBOX, config["limits.message_size"]):
        if one.problem:
            report.problems.append(f"{one.where}: {one.problem}")
        else:
            into.add(one)
        progress(one.octets)
    into.flush()
    return report


def read(what: Source, root: str, most: int) -> Iterator[Incoming]:
    """The messages of a source, for mailboxes from `root` on; one over `most` octets as a problem. Raises `OSError`."""
    if what.format == "maildir":
        for folder, name in maildir.folders(what.path, root):
            yield from maildir.read(folder, name, most)
        return
    suffix = ".mbox" if what.format == "mbox" else ".eml"
    files = _files(what.path, suffix) if what.path.is_dir() else [what.path]
    for path in files:
        name = root
        if what.path.is_dir() and what.format == "mbox":
            below = "/".join(path.relative_to(what.path).with_suffix("").parts)
            name = below if root == mailboxes.INBOX else f"{root}/{below}"
        with path.open("rb") as file:
            if what.format == "mbox":
                yield from mbox.read(file, most, name)
            else:
                yield _single(path, file.read(most + 1), name, most)


def _single(path: Path, data: bytes, mailbox: str, most: int) -> Incoming:
    size, at = path.stat().st_size, int(path.stat().st_mtime * 1000)
    if len(data) > most:
        return Incoming(b"", mailbox, where=path.name, octets=size, problem=f"larger than {most} octets")
    problem = "" if data else "empty"
    return Incoming(crlf(data), mailbox, 0, (), at, where=path.name, octets=size, problem=problem)


class _Into:
    """The mailboxes of one user while messages come in: what is there, and what waits for the next write."""

    def __init__(self, store: Store, account_id: int, user: str, quota: int, report: Imported, train: bool) -> None:
        self.store = store
        self.account_id = account_id
        self.user = user
        self.quota = quota
        self.report = report
        self.train = train
        self.boxes: dict[str, _There] = {}
        self.to_teach: list[tuple[str, Incoming]] = []
        self.waiting: list[tuple[Incoming, Body, Summary]] = []
        self.octets = 0

    def add(self, one: Incoming) -> None:
        there = self.boxes.get(one.mailbox)
        if there is None:
            there = self.boxes[one.mailbox] = self._open(one.mailbox)
        said = spam.said_at(there.role, one.keywords) if self.train else ""
        if said:
            self.to_teach.append((said, one))  # also what an import that was cut off has left there
        if there.has(one):
            self.report.skipped += 1
            if len(self.to_teach) >= _GROUP:
                self.flush()
            return
        self.waiting.append((one, Body.of(one.data), summarize(one.data)))
        self.octets += len(one.data)
        if len(self.waiting) >= _GROUP or self.octets >= _GROUP_OCTETS:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.store.write_now(self._put, bodies=[body for _, body, _ in self.waiting])
            self.report.imported += len(self.waiting)
            self.report.octets += self.octets
            self.waiting, self.octets = [], 0
        for step in learning.steps(self._taught()):
            self.report.learnt += self.store.write_now(self._learn, step)
        self.to_teach = []

    def _taught(self) -> Iterator[tuple[tuple[str, learning.Read], int]]:
        for said, one in self.to_teach:
            found = learning.read(one.data)
            yield (said, found), len(found[1])

    def _learn(self, tx: Tx, step: Sequence[tuple[str, learning.Read]]) -> int:
        return sum(spam.learn(tx, self.account_id, mail, said, tokens) for said, (mail, tokens) in step)

    def _open(self, name: str) -> _There:
        def work(tx: Tx) -> tuple[int, str]:
            box = mailboxes.find(tx, self.account_id, mailboxes.normal_name(name))
            if box is None:
                box = mailboxes.create(tx, self.account_id, name)
                mailboxes.subscribe(tx, self.account_id, box.name, True)
            return box.id, mailboxes.role(tx, box)

        self.report.mailboxes.append(name)
        return _There(self.store, *self.store.write_now(work))

    def _put(self, tx: Tx) -> None:
        for one, body, summary in self.waiting:
            trace = events.new_trace(tx.now, os.urandom)
            at = one.received_at
            if at is None and summary.sent_at is not None:
                at = int(summary.sent_at * 1000)
            placed = messages.put(
                tx, self.account_id, self.boxes[one.mailbox].mailbox_id, blobs.keep(tx, body, summary), body.size,
                flags=one.flags, keyword_names=one.keywords, received_at=at, trace=trace, default_quota=self.quota,
            )  # fmt: skip
            events.record(
                tx, trace, "imported", message_id=summary.message_id or None,
                user=self.user, mailbox=one.mailbox, uid=placed.uid, size=body.size,
            )  # fmt: skip


class _There:
    """What is in one mailbox, by its octets: digests of prefix and bytes, and where a message of a size may be cut."""

    def __init__(self, store: Store, mailbox_id: int, role: str) -> None:
        self.mailbox_id = mailbox_id
        self.role = role
        self.cuts: dict[int, set[int]] = {}
        self.known: set[bytes] = set()
        store.read_now(self._load)

    def _load(self, tx: Tx) -> None:
        for prefix, length, sha256 in find.identities(tx, self.mailbox_id):
            self._add(prefix, length, sha256)

    def _add(self, prefix: bytes, length: int, sha256: bytes) -> None:
        self.cuts.setdefault(len(prefix) + length, set()).add(len(prefix))
        self.known.add(_digest(prefix, sha256))

    def has(self, one: Incoming) -> bool:
        """Whether it is there; if not, it is from now on."""
        if self._known(one.data) or (one.open_end and self._known(one.data.removesuffix(b"\r\n"))):
            return True
        self._add(b"", len(one.data), hashlib.sha256(one.data).digest())
        return False

    def _known(self, data: bytes) -> bool:
        return any(
            _digest(data[:cut], hashlib.sha256(memoryview(data)[cut:]).digest()) in self.known
            for cut in self.cuts.get(len(data), ())
        )


def _digest(prefix: bytes, sha256: bytes) -> bytes:
    return hashlib.blake2b(prefix + sha256, digest_size=16).digest()
