"""What we say in IMAP: strings, flags, dates and the lines made of them (RFC 3501 §7 and §9).

Everything is 7-bit but literals, for clients that did not ask for more (traps I19). Every function gives octets; those
named after a reply give a whole line with its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from daemon.wire.imap import Bad
from daemon.wire.imap_set import format_set
from daemon.wire.mailbox_name import encode_name

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {name.upper(): number for number, name in enumerate(MONTHS, 1)}
_ATOM = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\^_`a-z|}~+]+")  # RFC 3501 §9: ATOM-CHAR
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")  # RFC 3501 §9: TEXT-CHAR
_DATE_TIME = re.compile(
    r"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNSPEAKABLE = re.compile(r"[^\x20-\x7e]")


def string(text: bytes) -> bytes:
    """A quoted string where that is possible, else a literal."""
    if _QUOTABLE.fullmatch(text):
        if b'"' in text or b"\\" in text:
            text = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        return b'"%b"' % text
    return b"{%d}\r\n%b" % (len(text), text)


def nstring(text: bytes | None) -> bytes:
    return b"NIL" if text is None else string(text)


def literal(text: bytes) -> bytes:
    """Always a literal, as BODY[] is answered."""
    return b"{%d}\r\n%b" % (len(text), text)


def astring(text: bytes) -> bytes:
    """An atom where that is possible."""
    return text if _ATOM.fullmatch(text) and text.upper() != b"NIL" else string(text)


def mailbox(name: str) -> bytes:
    return astring(encode_name(name).encode())


def flag_list(flags: Iterable[str]) -> bytes:
    return f"({' '.join(flags)})".encode()


def internal_date(at: int) -> bytes:
    """`at`, milliseconds since 1970, as a date-time: `"17-Jul-1996 02:44:25 +0000"`."""
    day, rest = divmod(at, 86_400_000)
    second = rest // 1000
    return b'"%b %02d:%02d:%02d +0000"' % (_day(day), second // 3600, second // 60 % 60, second % 60)


@lru_cache(maxsize=4096)
def _day(number: int) -> bytes:
    day = _EPOCH + timedelta(days=number)
    return b"%2d-%b-%04d" % (day.day, MONTHS[day.month - 1].encode(), day.year)


def parse_internal_date(text: str) -> int:
    """A date-time as milliseconds since 1970. Raises `Bad` also for days and hours that do not exist."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise Bad("that is no date-time")
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
    zone = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    try:
        moment = datetime(
            int(year),
            _MONTH[month.upper()],
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),  # a leap second
            tzinfo=timezone(-zone if sign == "-" else zone),
        )
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, KeyError, OverflowError):
        raise Bad("that is no date-time") from None


def month_number(name: str) -> int:
    """1 for Jan. Raises `KeyError`."""
    return _MONTH[name.upper()]


# -- lines ------------------------------------------------------------------------------------------------------------


def tagged(tag: str, status: str, text: str, code: str | bytes = "") -> bytes:
    """`a1 OK [CODE] text`; untagged with `*` as tag. The text is never empty and never ends the line (traps I28)."""
    if isinstance(code, str):
        code = code.encode()
    said = _UNSPEAKABLE.sub("?", text).strip() or "done"
    return b"%b %b %b%b\r\n" % (tag.encode(), status.encode(), b"[%b] " % code if code else b"", said.encode())


def list_line(
    attributes: Iterable[str], name: str, *, word: bytes = b"LIST", extended: bytes = b"", separator: bool = True
) -> bytes:
    """`* LIST (\\HasNoChildren \\Sent) "/" Sent`; `extended` is an extended item: `("CHILDINFO" ("SUBSCRIBED"))`.

    An empty `name` asks for the separator alone (RFC 3501 §6.3.8).
    """
    divided = b'"/"' if separator else b"NIL"
    line = b"* %b %b %b %b" % (word, flag_list(attributes), divided, mailbox(name))
    return line + (b" " + extended if extended else b"") + b"\r\n"


def status_line(name: str, items: Mapping[str, int | str | None]) -> bytes:
    """`* STATUS Sent (MESSAGES 2 UIDNEXT 3)`; None is NIL (RFC 7889 §4)."""
    pairs = " ".join(f"{item} {'NIL' if value is None else value}" for item, value in items.items())
    return b"* STATUS %b (%b)\r\n" % (mailbox(name), pairs.encode())


def jmap_access_line(url: str) -> bytes:
    """`* JMAPACCESS "https://mail.example.org/jmap/session"` (RFC 9698 §4)."""
    return b'* JMAPACCESS "%b"\r\n' % url.encode()


def metadata_line(name: str, values: Iterable[tuple[str, bytes | None]]) -> bytes:
    """`* METADATA INBOX (/private/comment "mine")` (RFC 5464 §4.4.1), the server's with `""` as name."""
    pairs = b" ".join(
        astring(entry.encode())
        + b" "
        + (nstring(value) if value is None or b"\0" not in value else b"~" + literal(value))
        for entry, value in values
    )
    return b"* METADATA %b (%b)\r\n" % (mailbox(name), pairs)


def metadata_names_line(name: str, entries: Iterable[str]) -> bytes:
    """`* METADATA INBOX /private/comment /shared/comment`: what somebody changed (RFC 5464 §4.4.2)."""
    return b"* METADATA %b %b\r\n" % (mailbox(name), b" ".join(astring(entry.encode()) for entry in entries))


def search_line(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    """`* SEARCH 2 3 (MODSEQ 917)` (RFC 7162 §3.1.5); `* SEARCH` for nothing."""
    found = "".join(f" {number}" for number in numbers)
    return f"* SEARCH{found}{f' (MODSEQ {modseq})' if modseq is not None else ''}\r\n".encode()


def esearch_line(
    tag: str, returns: Iterable[str], numbers: Sequence[int], *, uid: bool, modseq: int | None = None
) -> bytes:
    """`* ESEARCH (TAG "a1") UID MIN 2 COUNT 3` (RFC 4731 §3.1): `numbers` ascend; empty ones give COUNT alone."""
    line = f'* ESEARCH (TAG "{tag}")' + (" UID" if uid else "")  # a quoted string, always (traps I11)
    for item in returns:
        if item == "COUNT":
            line += f" COUNT {len(numbers)}"
        elif numbers:
            value = format_set(numbers) if item == "ALL" else numbers[0 if item == "MIN" else -1]
            line += f" {item} {value}"
    if modseq is not None and numbers:
        line += f" MODSEQ {modseq}"
    return f"{line}\r\n".encode()


def id_line(fields: Mapping[str, str]) -> bytes:
    """`* ID ("name" "…")` (RFC 2971); NIL for nothing to say (traps I8)."""
    pairs = b" ".join(string(text.encode()) for pair in fields.items() for text in pair)
    return b"* ID (%b)\r\n" % pairs if pairs else b"* ID NIL\r\n"


# -- response codes ---------------------------------------------------------------------------------------------------


def appenduid(uidvalidity: int, uids: Iterable[int]) -> str:
    """RFC 4315 §3: UIDVALIDITY first (traps I25)."""
    return f"APPENDUID {uidvalidity} {format_set(uids)}"


def copyuid(uidvalidity: int, source: Iterable[int], target: Iterable[int]) -> str:
    """RFC 4315 §3: the n-th UID of `source` became the n-th of `target`; both ascend."""
    return f"COPYUID {uidvalidity} {format_set(source)} {format_set(target)}"


def modified(numbers: Iterable[int]) -> str:
    """RFC 7162 §3.1.3: those that UNCHANGEDSINCE left alone."""
    return f"MODIFIED {format_set(numbers)}"


def permanentflags(flags: Iterable[str], *, more: bool = True) -> bytes:
    """RFC 3501 §7.1; with `more` the client may invent keywords."""
    return b"PERMANENTFLAGS " + flag_list([*flags, *(["\\*"] if more else [])])


def badcharset(charsets: Iterable[str]) -> str:
    return f"BADCHARSET ({' '.join(charsets)})"
