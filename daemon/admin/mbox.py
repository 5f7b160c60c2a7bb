"""mbox files, read and written as a stream (RFC 4155, the `mboxrd` way of quoting).

A message begins with a `From ` line after an empty one. What mail programs note in Status, X-Status and X-Keywords are
flags here, not content: taken off when read, put on when written, so that what was written is read as it was.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from daemon.admin.incoming import Incoming
from daemon.mail.header import header_end
from daemon.mail.headers import crlf
from daemon.store.keywords import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

_DATED = re.compile(rb"From .*\d\d:\d\d.*\d{4}")  # a separator; a body line "From here on" is none
_QUOTED = re.compile(rb"^>+From ")
_TO_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)
_NOTED = re.compile(rb"^(Status|X-Status|X-Keywords):[ \t]*(.*?)\r?\n(?![ \t])", re.IGNORECASE | re.MULTILINE)
_WHEN = re.compile(
    rb"[A-Z][a-z]{2} +([A-Z][a-z]{2}) +(\d{1,2}) +(\d\d):(\d\d)(?::(\d\d))?(?: +[A-Z]{1,5})? +(\d{4})(?: +([+-]\d{4}))?"
)
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr)}
_LETTERS = {b"R": SEEN, b"A": ANSWERED, b"F": FLAGGED, b"D": DELETED, b"T": DRAFT}


def is_mbox(file: BinaryIO) -> bool:
    """Whether a file begins as one; it is left where it was."""
    at = file.tell()
    start = file.read(5)
    file.seek(at)
    return start == b"From "


def read(file: BinaryIO, most: int, mailbox: str) -> Iterator[Incoming]:
    """The messages of a file, in order; of one over `most` octets only that it is there."""
    lines: list[bytes] = []
    separator = b""
    size = number = 0
    blank = True
    for line in file:
        if line.startswith(b"From ") and blank and (not separator or _DATED.match(line)):
            if separator:
                yield _incoming(lines, separator, size, most, mailbox, f"message {number}")
            number += 1
            lines, separator, size = [], line, 0
        else:
            size += len(line)
            if size <= 2 * most:
                lines.append(line[1:] if line[:1] == b">" and _QUOTED.match(line) else line)
        blank = line in (b"\n", b"\r\n")
    if separator:
        yield _incoming(lines, separator, size, most, mailbox, f"message {number}")


def _incoming(lines: list[bytes], separator: bytes, size: int, most: int, mailbox: str, where: str) -> Incoming:
    if lines and lines[-1] in (b"\n", b"\r\n"):
        size -= len(lines.pop())  # it belongs to the next separator
    if size > 2 * most:
        return Incoming(b"", mailbox, where=where, octets=size, problem=f"larger than {most} octets")
    data = b"".join(lines)
    end = header_end(data, 0, len(data))
    flags, words = 0, list[str]()
    for name, value in _NOTED.findall(data[:end]):
        if name.lower() == b"x-keywords":
            words += value.decode("utf-8", "replace").split()
        else:
            for letter, flag in _LETTERS.items():
                flags |= flag if letter in value.upper() else 0
    data = crlf(_NOTED.sub(b"", data[:end]) + data[end:])
    problem = f"larger than {most} octets" if len(data) > most else ""
    return Incoming(
        b"" if problem else data, mailbox, flags, tuple(words), _when(separator), where=where, octets=size,
        problem=problem, open_end=True,
    )  # fmt: skip


def _when(separator: bytes) -> int | None:
    """The time in a `From ` line, in ms; UTC unless it says otherwise."""
    found = _WHEN.search(separator)
    if not found or found[1].decode() not in _MONTHS:
        return None
    day, hour, minute, second, year = (int(n or 0) for n in found.group(2, 3, 4, 5, 6))
    try:
        at = calendar.timegm((year, _MONTHS[found[1].decode()], day, hour, minute, second))
    except (ValueError, OverflowError):
        return None
    if found[7]:
        zone = int(found[7][1:3]) * 3600 + int(found[7][3:5]) * 60
        at -= zone if found[7][:1] == b"+" else -zone
    return at * 1000


def write(file: BinaryIO, data: bytes, *, sender: str, flags: int, keywords: Sequence[str], received_at: int) -> int:
    """Append one message; the octets written."""
    data = data.replace(b"\r\n", b"\n")
    end = header_end(data, 0, len(data))
    head, body = _NOTED.sub(b"", data[:end]), data[end:]
    status = "RO" if flags & SEEN else "O"
    more = "".join(name.decode() for name, flag in _LETTERS.items() if name != b"R" and flags & flag)
    noted = f"Status: {status}\n" + (f"X-Status: {more}\n" if more else "")
    if keywords:
        noted += f"X-Keywords: {' '.join(keywords)}\n"
    blank = head.endswith(b"\n\n") or head == b"\n"
    head = (head[:-1] if blank else head) + noted.encode() + (b"\n" if blank else b"")
    at = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(received_at / 1000))
    text = head + body
    text = _TO_QUOTE.sub(rb">\1", text)
    if not text.endswith(b"\n"):
        text += b"\n"
    whole = f"From {sender or 'MAILER-DAEMON'} {at}\n".encode() + text + b"\n"
    file.write(whole)
    return len(whole)
