"""The arguments of MAIL, RCPT and BDAT (RFC 5321 §4.1.2, 1870, 3030, 3461, 4954 §5, 6152, 6531, 8689).

A path is only divided from what follows it; `daemon.mail.address.parse_path` says what it means. Lenient where real
senders are wrong and nothing is lost by it (a space after the colon); strict where leniency made holes elsewhere
(angle brackets, US-ASCII without SMTPUTF8, valid UTF-8 with it). Values keep their case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from daemon.wire.smtp import refused

# What stands between the brackets: quoted strings may hold a `>`, nothing else may.
_PATH = re.compile(r'<(?:[^<>"\s\x00-\x1f\x7f]++|"(?:[^"\\\x00-\x1f\x7f]++|\\[ -~])*")*>')
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")  # RFC 3461 §4
_XCHAR = re.compile(r"(?:\+[0-9A-F]{2})+")
_ORCPT = re.compile(r"[A-Za-z0-9-]{1,40};(?:[!-*,-<>-~\xa1-\U0010ffff]|\+[0-9A-F]{2})+")  # RFC 6533 §3 too
_CHUNK = re.compile(rb"([0-9]{1,18})(?:[ \t]+(LAST))?", re.IGNORECASE)

ENVID = 100  # octets; RFC 3461 §4.4
ORCPT = 500  # octets; RFC 3461 §4.2
SIZE = 20  # digits; RFC 1870 §6


@dataclass(slots=True)
class Mail:
    """MAIL FROM. `path` with its brackets; `size` 0 when not told; `envid` is xtext as it was given."""

    path: str
    size: int = 0
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str | None = None  # FULL or HDRS
    envid: str | None = None
    requiretls: bool = False


@dataclass(slots=True)
class Rcpt:
    """RCPT TO. `notify` is NEVER, or some of SUCCESS, FAILURE, DELAY with commas; `orcpt` is `type;xtext` as given."""

    path: str
    notify: str | None = None
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """BDAT: how many octets follow, and whether they are the last (RFC 3030 §2)."""

    size: int
    last: bool


def mail(argument: bytes) -> Mail:
    """Read what stands after MAIL. Raises `Refused`."""
    text = _after(argument, "FROM:", "MAIL FROM:<address>")
    found = Mail(path := _path(text))
    if not text.isascii() and "SMTPUTF8" not in text[len(path) :].upper().split():
        raise refused(553, "5.6.7", "An address beyond US-ASCII needs the SMTPUTF8 parameter (RFC 6531)")
    if len(text) > len(path):
        _parameters(text[len(path) :], _MAIL, found)
    return found


def rcpt(argument: bytes, smtputf8: bool = False) -> Rcpt:
    """Read what stands after RCPT; `smtputf8` is what MAIL said. Raises `Refused`."""
    text = _after(argument, "TO:", "RCPT TO:<address>")
    if not smtputf8 and not text.isascii():
        raise refused(553, "5.6.7", "An address beyond US-ASCII needs the SMTPUTF8 parameter of MAIL (RFC 6531)")
    found = Rcpt(path := _path(text))
    if len(text) > len(path):
        _parameters(text[len(path) :], _RCPT, found)
    return found


def bdat(argument: bytes) -> Chunk:
    """Read what stands after BDAT. Raises `Refused`; nobody knows then what the octets that follow are."""
    found = _CHUNK.fullmatch(argument)
    if found is None:
        raise refused(501, "5.5.4", "Syntax: BDAT octets [LAST]")
    return Chunk(int(found[1]), found[2] is not None)


def xtext(text: str) -> str:
    """`text` so that it can stand in a parameter (RFC 3461 §4)."""
    return re.sub(r"[^!-*,-<>-~]", lambda c: "".join(f"+{octet:02X}" for octet in c[0].encode()), text)


def from_xtext(text: str) -> str:
    """What xtext stands for; octets that are not UTF-8 become U+FFFD."""
    return _XCHAR.sub(lambda run: bytes.fromhex(run[0].replace("+", "")).decode("utf-8", "replace"), text)


def _after(argument: bytes, keyword: str, syntax: str) -> str:
    """What follows `FROM:` or `TO:`, as text."""
    try:
        text = argument.decode("utf-8")
    except UnicodeDecodeError:
        raise refused(553, "5.6.7", "The address is not valid UTF-8") from None
    if not text.startswith(keyword) and text[: len(keyword)].upper() != keyword:
        raise refused(501, "5.5.4", f"Syntax: {syntax}")
    return text[len(keyword) :].lstrip(" \t")


def _path(text: str) -> str:
    found = _PATH.match(text)
    if found is None:
        raise refused(501, "5.5.4", "The address must stand in angle brackets")
    end = found.end()
    if len(text) > end and text[end] not in " \t":
        raise refused(501, "5.5.4", "A space must stand between the address and its parameters")
    return found[0]


# ------------------------------------------------------------------------------------------------------- parameters

T = TypeVar("T")
Setter = Callable[[T, str], bool]
"""Notes a value; False when it is not one. A keyword that must stand alone gets the empty value."""


def _parameters(text: str, table: Mapping[str, Setter[T]], into: T) -> None:
    seen = set()
    for word in text.split():
        found = _PARAMETER.fullmatch(word)
        if found is None:
            raise refused(501, "5.5.4", f"The parameter {word} is not well formed")
        keyword, value = found[1].upper(), found[2] or ""
        setter = table.get(keyword)
        if setter is None:
            raise refused(555, "5.5.4", f"The parameter {keyword} is not known here")
        if keyword in seen:
            raise refused(501, "5.5.4", f"The parameter {keyword} was given twice")
        seen.add(keyword)
        if not setter(into, value):
            if keyword == "BODY":
                raise refused(555, "5.5.4", f"BODY={value} is not offered here")
            raise refused(501, "5.5.4", f"The parameter {keyword} cannot be {value or 'empty'}")


def _size(into: Mail, value: str) -> bool:
    if not (value.isascii() and value.isdigit() and len(value) <= SIZE):
        return False
    into.size = int(value)
    return True


def _body(into: Mail, value: str) -> bool:
    into.body = value.upper()
    return into.body in ("7BIT", "8BITMIME")


def _smtputf8(into: Mail, value: str) -> bool:
    into.smtputf8 = True
    return not value


def _ret(into: Mail, value: str) -> bool:
    into.ret = value.upper()
    return into.ret in ("FULL", "HDRS")


def _envid(into: Mail, value: str) -> bool:
    into.envid = value
    return 0 < len(value) <= ENVID and _XTEXT.fullmatch(value) is not None


def _requiretls(into: Mail, value: str) -> bool:
    """RFC 8689 §2; whether the session is fit for it is the session's to say."""
    into.requiretls = True
    return not value


def _auth(into: Mail, value: str) -> bool:
    """RFC 4954 §5: must be understood; we trust nobody's word for it, as §5 allows, and treat it as `<>`."""
    return bool(value) and _XTEXT.fullmatch(value) is not None


def _notify(into: Rcpt, value: str) -> bool:
    words = value.upper().split(",")
    into.notify = ",".join(words)
    return words == ["NEVER"] or (len(set(words)) == len(words) and set(words) <= {"SUCCESS", "FAILURE", "DELAY"})


def _orcpt(into: Rcpt, value: str) -> bool:
    into.orcpt = value
    return len(value.encode()) <= ORCPT and _ORCPT.fullmatch(value) is not None


_MAIL: Mapping[str, Setter[Mail]] = {
    "SIZE": _size, "BODY": _body, "SMTPUTF8": _smtputf8, "RET": _ret, "ENVID": _envid, "AUTH": _auth,
    "REQUIRETLS": _requiretls,
}  # fmt: skip
_RCPT: Mapping[str, Setter[Rcpt]] = {"NOTIFY": _notify, "ORCPT": _orcpt}
