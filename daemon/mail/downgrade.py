"""A message with octets over 127 for a host that takes none: the same content in 7 bits (RFC 6152 §3, RFC 2045 §6).

Only where nobody can tell the difference: never what is signed, for the signature would break; never an 8-bit header,
for which there is no encoding that every reader undoes; never text that does not say it is MIME.
"""

from __future__ import annotations

import base64
import binascii
import re

from daemon.mail.header import field_matcher
from daemon.mail.message import Part, scan

_SIGNATURES = (b"dkim-signature", b"arc-message-signature", b"arc-seal", b"domainkey-signature")
_ENCODING = field_matcher(frozenset((b"content-transfer-encoding",)))
_BARE_LF = re.compile(rb"(?<!\r)\n")


def to_7bit(data: bytes) -> bytes | None:
    """`data` with its 8-bit parts in quoted-printable or base64, all else as it was; None where that is not sound."""
    message = scan(data)
    root = message.root
    if any(name in root.fields for name in _SIGNATURES) or b"mime-version" not in root.fields:
        return None
    out: list[bytes] = []
    place = 0
    for part in root.walk():
        if data[part.header : part.end].isascii():
            continue
        if not data[part.header : part.body].isascii() or part.media in ("multipart/signed", "multipart/encrypted"):
            return None
        if part.encoding not in ("7bit", "8bit", "binary"):
            return None
        out += (data[place : part.header], _header(data, part, "7bit"))
        place = part.body
        if not part.parts:
            out[-1], body = _encoded(data, part)
            out.append(body)
            place = part.end
    out.append(data[place:])
    changed = b"".join(out)
    return changed if changed.isascii() else None  # octets between the parts of a multipart cannot be encoded


def _encoded(data: bytes, part: Part) -> tuple[bytes, bytes]:
    """Header and body of a leaf: quoted-printable for text that stays mostly readable, else base64."""
    body = data[part.body : part.end]
    high = len(body) - len(body.translate(None, bytes(range(128, 256))))
    if part.type == "text" and high * 6 < len(body):
        text = _BARE_LF.sub(b"\r\n", binascii.b2a_qp(body, istext=True))
        return _header(data, part, "quoted-printable"), text
    lines = base64.encodebytes(body).replace(b"\n", b"\r\n")
    return _header(data, part, "base64"), lines.removesuffix(b"\r\n")


def _header(data: bytes, part: Part, encoding: str) -> bytes:
    """The part's header block with another Content-Transfer-Encoding."""
    block = data[part.header : part.body]
    fields = _ENCODING.sub(b"", block.removesuffix(b"\r\n"))
    return fields + f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()
