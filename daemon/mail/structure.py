"""ENVELOPE and BODYSTRUCTURE as IMAP tells them (RFC 3501 §7.4.2, §9), made once, at delivery.

What comes out is 7-bit and in the strict grammar, whatever came in: K-9 stops syncing a folder at one malformed
answer (traps I17), and raw 8-bit in a quoted string is not allowed to clients that did not ask for it (traps I19).
So raw UTF-8 or Latin-1 in a header becomes RFC 2047 words, in a parameter RFC 2231.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail.address import BadAddress, normal_domain
from daemon.mail.decode import Parameters, decode_text, decode_words, encode_words, parameter_texts, unfold
from daemon.mail.header import disposition
from daemon.mail.mailboxes import mailboxes
from daemon.mail.message import Fields, Message, Part

_CLEAN = re.compile(r"[ !#-\[\]-~]*")
_ATTRIBUTE = re.compile(rb"[A-Za-z0-9!#$&+.^_`{|}~-]")
_TAG = re.compile(r"[A-Za-z0-9-]{1,40}")


class Structure(NamedTuple):
    """What FETCH answers: ENVELOPE, BODYSTRUCTURE and BODY, each with its parentheses."""

    envelope: bytes
    bodystructure: bytes
    body: bytes


def structure(message: Message) -> Structure:
    """All three in one pass over the tree."""
    writer = _Writer()
    top = writer.envelope(message.root.fields)
    basic, extended = writer.part(message.root)
    return Structure(top.encode("ascii"), extended.encode("ascii"), basic.encode("ascii"))


def envelope(message: Message) -> bytes:
    """ENVELOPE. Sender and reply-to are the author's where they are missing; missing addresses are NIL."""
    return _Writer().envelope(message.root.fields).encode("ascii")


def bodystructure(message: Message) -> bytes:
    """BODYSTRUCTURE with its extension data."""
    return _Writer().part(message.root)[1].encode("ascii")


def body(message: Message) -> bytes:
    """BODY: the same without extension data."""
    return _Writer().part(message.root)[0].encode("ascii")


def quoted(text: str) -> str:
    """An IMAP quoted string of printable ASCII."""
    if not _CLEAN.fullmatch(text):
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


class _Writer:
    """One answer under way. `left` bounds what it tells in all, however many messages lie inside one another."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = LIMITS.structure_values

    def text(self, value: bytes | None) -> str:
        """A field's value as nstring: on one line, 7-bit."""
        if value is None or self.left <= 0:
            return "NIL"
        raw = unfold(value)
        self.left -= len(raw)
        return quoted(raw.decode("ascii") if raw.isascii() else encode_words(decode_words(decode_text(raw, ""))))

    def envelope(self, named: Fields) -> str:
        author = self.addresses(named.get(b"from"))
        sender = self.addresses(named[b"sender"]) if b"sender" in named else "NIL"
        reply_to = self.addresses(named[b"reply-to"]) if b"reply-to" in named else "NIL"
        if sender == "NIL":
            sender = author
        if reply_to == "NIL":
            reply_to = author
        to = self.addresses(named.get(b"to"))
        cc = self.addresses(named[b"cc"]) if b"cc" in named else "NIL"
        bcc = self.addresses(named[b"bcc"]) if b"bcc" in named else "NIL"
        date, subject = self.text(named.get(b"date")), self.text(named.get(b"subject"))
        in_reply_to, message_id = self.text(named.get(b"in-reply-to")), self.text(named.get(b"message-id"))
        return f"({date} {subject} {author} {sender} {reply_to} {to} {cc} {bcc} {in_reply_to} {message_id})"

    def addresses(self, value: bytes | None) -> str:
        """An address list of ENVELOPE, NIL when there is none."""
        if value is None or self.left <= 0:
            return "NIL"
        self.left -= len(value)
        told = [
            f"({_word(name)} {_word(route)} {_word(local)} {_host(host)})"
            for name, route, local, host in mailboxes(value)
        ]
        return f"({''.join(told)})" if told else "NIL"

    def part(self, part: Part) -> tuple[str, str]:
        """BODY and BODYSTRUCTURE of one part."""
        named = part.fields
        md5 = self.text(named[b"content-md5"]) if b"content-md5" in named else "NIL"
        where = self.disposition(named[b"content-disposition"]) if b"content-disposition" in named else "NIL"
        language = _language(named[b"content-language"]) if b"content-language" in named else "NIL"
        location = self.text(named[b"content-location"]) if b"content-location" in named else "NIL"
        said = self.parameters(part.parameters)
        if part.is_multipart:
            told = [self.part(child) for child in part.parts]
            basic = f"({''.join(basic for basic, _ in told)} {quoted(part.subtype)}"
            extended = f"({''.join(extended for _, extended in told)} {quoted(part.subtype)}"
            return f"{basic})", f"{extended} {said} {where} {language} {location})"
        id = self.text(named[b"content-id"]) if b"content-id" in named else "NIL"
        description = self.text(named[b"content-description"]) if b"content-description" in named else "NIL"
        if part.type == "text" and said == "NIL":
            said = '("charset" "us-ascii")'  # RFC 2045 §5.2
        start = f'("{part.type}" "{part.subtype}" {said} {id} {description} "{part.encoding}" {part.size}'
        tail = f" {md5} {where} {language} {location})"
        if part.type == "text":
            start = f"{start} {part.lines}"
        elif part.is_message:
            inner = self.envelope(part.parts[0].fields)
            basic, extended = self.part(part.parts[0])
            return f"{start} {inner} {basic} {part.lines})", f"{start} {inner} {extended} {part.lines}{tail}"
        return f"{start})", start + tail

    def parameters(self, parameters: Parameters) -> str:
        """A parenthesised list of attributes and values. What is plain goes as it is; RFC 2231 pieces are joined."""
        if not parameters or self.left <= 0:
            return "NIL"
        told = []
        plain = True
        for name, value in parameters:
            self.left -= len(name) + len(value)
            plain = plain and b"*" not in name and value.isascii()
        if plain:
            told = [f'"{_attribute(name)}" {quoted(value.decode("ascii"))}' for name, value in parameters]
        else:
            for attribute, text in parameter_texts(parameters).items():
                word = _attribute(attribute.encode("ascii", "replace"))
                if text.isascii():
                    told.append(f'"{word}" {quoted(text)}')
                else:
                    told.append(f'"{word}*" "utf-8\'\'{_percent(text)}"')
        return f"({' '.join(told)})" if told else "NIL"  # pieces without the first say nothing

    def disposition(self, value: bytes) -> str:
        kind, parameters = disposition(value)
        return f'("{kind}" {self.parameters(parameters)})' if kind else "NIL"


def _word(text: str | None) -> str:
    if text is None:
        return "NIL"
    if _CLEAN.fullmatch(text):
        return f'"{text}"'
    return quoted(text if text.isascii() else encode_words(decode_words(text)))


def _host(host: str | None) -> str:
    """A host is never NIL but in a group's marks; an internationalised one goes as A-labels."""
    if host and not host.isascii():
        try:
            host = normal_domain(host)
        except BadAddress:
            pass
    return _word(host)


def _attribute(name: bytes) -> str:
    return name.translate(None, b"*'%\"\\").decode("ascii")


def _language(value: bytes) -> str:
    """RFC 3282: one tag as a string, several as a list."""
    tags = [f'"{tag}"' for tag in _TAG.findall(unfold(value)[:1000].decode("ascii", "ignore"))]
    if not tags:
        return "NIL"
    return tags[0] if len(tags) == 1 else f"({' '.join(tags)})"


def _percent(text: str) -> str:
    """RFC 2231 §4: octets that are not attribute-char as %XX."""
    return "".join(
        chr(octet) if _ATTRIBUTE.match(bytes((octet,))) else f"%{octet:02X}"
        for octet in text.encode("utf-8", "replace")
    )
