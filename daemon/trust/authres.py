"""Authentication-Results (RFC 8601): the field that tells the user's programs what was found out, and forged ones.

What is written is US-ASCII whatever the sender said: strangers' words are tokens or quoted strings, cut and cleaned;
an address beyond ASCII is told by its domain. A field that claims to be ours when the message arrives is a lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, normal_domain
from daemon.mail.decode import unfold
from daemon.mail.header import named
from daemon.trust.results import ARC, DMARC, SPF, IPRev, Signals, Signature

if TYPE_CHECKING:
    from daemon.mail.header import Data

_TOKEN = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+")  # RFC 2045 §5.1
_ADDRESS = re.compile(r"[!#$%&'*+/=?^_`{|}~.0-9A-Za-z-]*@[0-9A-Za-z._-]+")  # pvalue needs no quotes for these
_UNSAFE = re.compile(r"[^ -~]")
_ID = re.compile(rb'"((?:[^"\\]|\\.)*)"|([!#$%&\'*+.0-9A-Z^_`a-z{|}~\x80-\xff-]+)')
_AFTER_ID = re.compile(rb"[ \t]*(?:\d+[ \t]*)?(?:;|\Z)")
_PARENTHESIS = re.compile(rb"\\.|[()]")


def header(authserv_id: str, signals: Signals, *, mail_from: Address | None, helo: str, ip: str) -> bytes:
    """The whole field, folded, with its line end."""
    results = [
        _iprev(signals.iprev, ip),
        *_spf(signals, mail_from, helo),
        *_dkim(signals.signatures),
        *_arc(signals.arc),
        _dmarc(signals.dmarc),
    ]
    text = ";\r\n\t".join([f"Authentication-Results: {_value(authserv_id)}", *results])
    return f"{text}\r\n".encode()


def _result(method: str, result: str, reason: str, *properties: tuple[str, str]) -> str:
    """One resinfo (§2.2), each property on a line of its own when they are long; those without a value are left out."""
    words = [f"{method}={result}"]
    if reason:
        words.append(f"reason={_quoted(reason)}")
    words += [f"{name}={_value(value)}" for name, value in properties if value]
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < 76:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\r\n\t ".join(lines)


def _iprev(iprev: IPRev, ip: str) -> str:
    return _result("iprev", iprev.result, iprev.reason, ("policy.iprev", ip))


def _spf(signals: Signals, mail_from: Address | None, helo: str) -> Iterator[str]:
    """The HELO identity where it has a result of its own, then MAIL FROM's (§2.7.2)."""
    if mail_from is not None and signals.helo.result != "none":
        yield _result("spf", signals.helo.result, _spf_reason(signals.helo), ("smtp.helo", helo))
    if mail_from is None:
        yield _result("spf", signals.spf.result, _spf_reason(signals.spf), ("smtp.helo", helo))
        return
    sender = str(mail_from)
    if not _ADDRESS.fullmatch(sender):
        sender = mail_from.domain
    yield _result("spf", signals.spf.result, _spf_reason(signals.spf), ("smtp.mailfrom", sender))


def _spf_reason(spf: SPF) -> str:
    return spf.reason or (spf.mechanism and f"matched {spf.mechanism}")


def _dkim(signatures: tuple[Signature, ...]) -> Iterator[str]:
    if not signatures:
        yield "dkim=none"
    for s in signatures[: LIMITS.authres_results]:
        yield _result(
            "dkim", s.result, s.reason or ("the key is in testing" if s.testing else ""),
            ("header.d", s.domain), ("header.i", s.identity), ("header.s", s.selector),
            ("header.a", s.algorithm), ("header.b", s.start),
        )  # fmt: skip


def _arc(arc: ARC) -> Iterator[str]:
    """RFC 8617 §10.2. A message without a chain needs no word about it."""
    if arc.result != "none":
        sealer = arc.sealers[-1] if arc.sealers else ""
        oldest = str(arc.oldest_pass) if arc.result == "pass" else ""
        yield _result("arc", arc.result, arc.reason, ("header.oldest-pass", oldest), ("header.d", sealer))


def _dmarc(dmarc: DMARC) -> str:
    return _result(
        "dmarc", dmarc.result, dmarc.reason, ("header.from", dmarc.domain), ("policy.dmarc", dmarc.policy)
    )  # fmt: skip


def _value(text: str) -> str:
    """A word, an address, or a quoted string."""
    if len(text) <= LIMITS.authres_value and (_TOKEN.fullmatch(text) or _ADDRESS.fullmatch(text)):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    clean = _UNSAFE.sub("?", text[: LIMITS.authres_value])
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


# ------------------------------------------------------------------------------------------------------------ forged


def forged(data: Data, authserv_id: str) -> list[tuple[int, int]]:
    """Where in a message that comes from outside fields stand that claim to be ours (§5), in order.

    One that cannot be read goes too when it has our name in it, or nobody's: a reader more lenient than we are might
    take it for ours.
    """
    ours = authserv_id.lower().encode()
    found = []
    for field in named(data, b"authentication-results"):
        value = unfold(field.value).strip()
        claimed = _claimed(value)
        if claimed == ours or (claimed is None and (ours in value.lower() or value[:1] in (b"", b";"))):
            found.append((field.start, field.end))
    return found


def _claimed(value: bytes) -> bytes | None:
    """The authserv-id of an unfolded field, as we would write it; None when it has none that can be read."""
    place = _past_comments(value, 0)
    found = _ID.match(value, place)
    if not found or not _AFTER_ID.match(value, _past_comments(value, found.end())):
        return None
    name = re.sub(rb"\\(.)", rb"\1", found[1]) if found[1] is not None else found[2]
    try:
        return normal_domain(name.decode("utf-8", "replace").strip()).encode()
    except BadAddress:
        return name.lower().strip()


def _past_comments(value: bytes, place: int) -> int:
    """Behind blanks and comments, which nest; at the end when one is never closed."""
    while place < len(value):
        if value[place] in b" \t":
            place += 1
            continue
        if value[place : place + 1] != b"(":
            break
        depth = 0
        for mark in _PARENTHESIS.finditer(value, place):
            depth += {b"(": 1, b")": -1}.get(mark[0], 0)
            if not depth:
                place = mark.end()
                break
        else:
            return len(value)
    return place
