"""Maildir folders, read and written: `cur`, `new` and `tmp`, flags in the names of files, Maildir++ for what is below.

Keywords are letters there; the file `dovecot-keywords` says what each means. Names of folders may be in modified UTF-7.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.admin.incoming import Incoming
from daemon.mail.headers import crlf
from daemon.store.keywords import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from daemon.wire.mailbox_name import decode_name, encode_name

_FLAGS = {"S": SEEN, "R": ANSWERED, "F": FLAGGED, "T": DELETED, "D": DRAFT}
_INFO = re.compile(r"[:;!]2,([A-Za-z]*)\Z")
_KEYWORDS = "dovecot-keywords"
_MOST_KEYWORDS = 26


def is_maildir(path: Path) -> bool:
    return (path / "cur").is_dir() or (path / "new").is_dir()


def folders(path: Path, root: str) -> list[tuple[Path, str]]:
    """The folders of a Maildir with their mailbox names, the root first as `root`; Maildir++ or real folders below."""
    below = "" if root == "INBOX" else root + "/"
    found = [(path, root)] if is_maildir(path) else []
    for folder, names, _ in os.walk(path):
        names[:] = sorted(n for n in names if n not in ("cur", "new", "tmp"))
        here = Path(folder)
        if here == path or not is_maildir(here):
            continue
        levels: list[str] = []
        for word in here.relative_to(path).parts:
            levels += word[1:].split(".") if word.startswith(".") else [word]
        found.append((here, below + "/".join(decode_name(level) for level in levels if level)))
    return found


def messages(folder: Path) -> list[Path]:
    """The files of a folder, in the order they came."""
    found = []
    for name in ("cur", "new"):
        if (folder / name).is_dir():
            found += [
                entry
                for entry in os.scandir(folder / name)
                if entry.is_file(follow_symlinks=False) and entry.name[0] != "."
            ]
    found.sort(key=lambda entry: (entry.stat().st_mtime_ns, entry.name))
    return [Path(entry.path) for entry in found]


def read(folder: Path, mailbox: str, most: int) -> Iterator[Incoming]:
    """The messages of one folder. Raises `OSError`."""
    words = _keywords(folder)
    for path in messages(folder):
        info = _INFO.search(path.name)
        letters = info[1] if info else ""
        flags = sum(flag for letter, flag in _FLAGS.items() if letter in letters)
        names = tuple(words[c] for c in letters if c in words)
        stat = path.stat()
        where = f"{path.parent.name}/{path.name}"
        if stat.st_size > most:
            yield Incoming(b"", mailbox, where=where, octets=1, problem=f"larger than {most} octets")
            continue
        at = stat.st_mtime_ns // 1_000_000
        yield Incoming(crlf(path.read_bytes()), mailbox, flags, names, at, where=where, octets=1)


def _keywords(folder: Path) -> dict[str, str]:
    """What each letter means."""
    found: dict[str, str] = {}
    try:
        lines = (folder / _KEYWORDS).read_text(errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        number, _, word = line.partition(" ")
        if number.isdigit() and int(number) < _MOST_KEYWORDS and word:
            found[chr(ord("a") + int(number))] = word
    return found


class Writer:
    """One folder of a Maildir that is written to. What is there already is known by the first part of its name."""

    def __init__(self, path: Path, mailbox: str, host: str) -> None:
        """Makes the folder. Raises `OSError`."""
        self.folder = path
        self.host = host.replace("/", "_").replace(":", "_")
        if mailbox != "INBOX":
            levels = mailbox.removeprefix("INBOX/").split("/")
            self.folder = path / ("." + ".".join(encode_name(level).replace(".", "_") for level in levels))
        for name in ("tmp", "new", "cur"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder != path:
            (self.folder / "maildirfolder").touch(mode=0o600)
        self.there = {
            name.partition(":")[0].partition(",")[0] for sub in ("new", "cur") for name in os.listdir(self.folder / sub)
        }
        self.letters = {word: letter for letter, word in _keywords(self.folder).items()}

    def name(self, email_id: int, uid: int, received_at: int) -> str:
        """What a message of ours is called there, every time."""
        return f"{received_at // 1000}.M{email_id}U{uid}.{self.host}"

    def write(self, name: str, data: bytes, *, flags: int, keywords: Sequence[str], received_at: int) -> None:
        """Add one message. Raises `OSError`."""
        letters = "".join(sorted(letter for letter, flag in _FLAGS.items() if flags & flag))
        letters += "".join(sorted(self._letter(word) for word in keywords))
        data = data.replace(b"\r\n", b"\n")
        tmp = self.folder / "tmp" / name
        with open(os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
        os.utime(tmp, ns=(received_at * 1_000_000, received_at * 1_000_000))
        os.rename(tmp, self.folder / "cur" / f"{name},S={len(data)}:2,{letters}")
        self.there.add(name)

    def _letter(self, word: str) -> str:
        """The letter of a keyword, a new one noted; nothing when all are taken."""
        if word not in self.letters:
            if len(self.letters) >= _MOST_KEYWORDS:
                return ""
            letter = next(c for c in "abcdefghijklmnopqrstuvwxyz" if c not in self.letters.values())
            self.letters[word] = letter
            lines = sorted((ord(c) - ord("a"), w) for w, c in self.letters.items())
            (self.folder / _KEYWORDS).write_text("".join(f"{number} {w}\n" for number, w in lines))
        return self.letters[word]
