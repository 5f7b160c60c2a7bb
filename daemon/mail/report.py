"""Mail that carries a report for machines: how ours is made, and how others' is recognised.

DMARC aggregate reports (RFC 9990 §3.5) are one attachment with a telling name, reports about TLS (RFC 8460 §5.3) a
multipart/report with types of their own. Senders' habits differ (Microsoft: application/octet-stream), so that a DMARC
report is known by its file's name as well as by its type.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.limits import LIMITS
from daemon.mail.decode import decode_transfer, decode_words, header_text, parameter_texts
from daemon.mail.header import disposition, named
from daemon.mail.headers import format_date
from daemon.mail.message import scan

if TYPE_CHECKING:
    from daemon.mail.header import Data
    from daemon.mail.message import Part

_NAME = re.compile(r"[^!/\\]+![^!/\\]+!\d+!\d+.*\.(?:xml|zip|gz)\Z", re.IGNORECASE)  # receiver!domain!begin!end
_PACKED = frozenset(("application/gzip", "application/x-gzip", "application/zip", "application/x-zip-compressed",
                     "application/x-zip", "application/octet-stream", "text/xml", "application/xml"))  # fmt: skip
_SUBJECT = re.compile(r"(?:\[[^\]]{0,40}\]\s*)?report\s+domain:", re.IGNORECASE)
_TELLING = (b"tls-report-domain", b"content-type", b"subject")
_TLS = frozenset(("application/tlsrpt+gzip", "application/tlsrpt+json"))
_WIDTH = 76


@dataclass(frozen=True, slots=True)
class Letter:
    """A report on its way. `kind` is dmarc or tls; `content` is packed by gzip; addresses as text."""

    kind: str
    sender: str
    recipient: str
    domain: str  # whom it is about
    submitter: str  # our domain
    report_id: str
    file_name: str
    content: bytes
    text: str


def write(letter: Letter, *, hostname: str, now: float) -> bytes:
    """The whole message. Its Message-ID is the report's id, so that a second copy is known for one."""
    if letter.kind == "tls":
        media = 'multipart/report; report-type="tlsrpt"'
        attached = "application/tlsrpt+gzip"
        own = [f"TLS-Report-Domain: {letter.domain}", f"TLS-Report-Submitter: {letter.submitter}"]
    else:
        media, attached, own = "multipart/mixed", "application/gzip", []
    boundary = f"=_{re.sub('[^A-Za-z0-9]', '', letter.report_id)[:50]}"
    encoded = base64.b64encode(letter.content).decode()
    lines = [
        f"From: <{letter.sender}>",
        f"To: <{letter.recipient}>",
        f"Subject: Report Domain: {letter.domain}",
        f" Submitter: {letter.submitter}",
        f" Report-ID: <{letter.report_id}>",
        f"Date: {format_date(now)}",
        f"Message-ID: <{letter.report_id}@{hostname}>",
        *own,
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f"Content-Type: {media};",
        f'\tboundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        letter.text,
        f"--{boundary}",
        f"Content-Type: {attached}",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f'\tfilename="{letter.file_name}"',
        "",
        *(encoded[at : at + _WIDTH] for at in range(0, len(encoded), _WIDTH)),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Found:
    """An attachment that is a report, as it was sent: packed or not."""

    kind: str
    content: bytes


def find(data: Data) -> Iterator[Found]:
    """The reports a message carries, as far as types, names and subject tell. Never raises."""
    message = scan(data)
    titled = bool(_SUBJECT.match(header_text(message.first(b"subject") or b"")))
    for part in _own(message.root):
        if part.size > 2 * LIMITS.report_packed:  # base64 takes a third more
            continue
        kind = _kind(part, titled)
        if kind:
            yield Found(kind, decode_transfer(bytes(message.data[part.body : part.end]), part.encoding))


def _own(root: Part) -> Iterator[Part]:
    """The leaves, but none of a message inside: a bounce that returns our report does not report."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.is_multipart:
            waiting += reversed(part.parts)
        elif not part.is_message:
            yield part


def _kind(part: Part, titled: bool) -> str:
    media = part.media.lower()
    if media in _TLS:
        return "tls"
    name = _file_name(part)
    if media in _PACKED and (_NAME.search(name) or titled and name.lower().endswith((".xml", ".gz", ".zip"))):
        return "dmarc"
    return ""


def _file_name(part: Part) -> str:
    """From Content-Disposition, or the name of Content-Type."""
    for parameters in (disposition(part.fields.get(b"content-disposition", b""))[1], part.parameters):
        texts = parameter_texts(parameters)
        name = texts.get("filename") or texts.get("name")
        if name:
            return decode_words(name)
    return ""


def is_report(data: Data) -> bool:
    """Whether the header says that this is a report: no report is ever made about it (RFC 8460 §5.3, traps S15)."""
    told = {field.name: field.value for field in named(data, *_TELLING)}
    if b"tls-report-domain" in told or b"tlsrpt" in told.get(b"content-type", b"").lower():
        return True
    return bool(_SUBJECT.match(header_text(told.get(b"subject", b""))))
