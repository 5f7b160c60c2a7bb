"""What signatures are over, of one message: its fields in both forms and its body, each worked on once.

However many signatures a message has and whatever they list, a field is made canonical once for each form and a body
hashed once for each form, so the work is that of the message's size and not of its sender's imagination.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from daemon.mail.header import Field, fields, header_end
from daemon.trust.canonical import body_hashes, field_relaxed, field_simple

if TYPE_CHECKING:
    from daemon.mail.header import Data

_B = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")


class Signed:
    """A message as its signatures see it. Fields are known by their number, from the top."""

    def __init__(self, data: Data) -> None:
        self.size = len(data)
        self._data = data
        self._body = header_end(data, 0, self.size)
        self._header = bytes(data[: self._body])
        self._forms: dict[tuple[int, bool], bytes] = {}
        self.fields: tuple[Field, ...] = fields(self._header)
        self._places: dict[bytes, list[int]] = {}
        for number, field in enumerate(self.fields):
            self._places.setdefault(field.name, []).append(number)

    def numbers(self, name: bytes) -> list[int]:
        """The fields of that name (in lower case), from the top."""
        return self._places.get(name, [])

    def value(self, number: int) -> bytes:
        field = self.fields[number]
        return self._header[field.value : field.end]

    def form(self, number: int, relaxed: bool) -> bytes:
        """The field in canonical form, with its CRLF."""
        known = self._forms.get((number, relaxed))
        if known is None:
            known = self._forms[number, relaxed] = self._made(number, self.value(number), relaxed)
        return known

    def unsigned(self, number: int, relaxed: bool) -> bytes:
        """A signature's own field as it is signed: b= empty, no CRLF at its end (RFC 6376 §3.7)."""
        return self._made(number, _B.sub(rb"\1", self.value(number), count=1), relaxed).removesuffix(b"\r\n")

    def digest(self, names: Iterable[bytes], number: int, relaxed: bool) -> bytes:
        """SHA-256 of the fields that h= lists and of the signature's field `number` (RFC 6376 §3.7, §5.4.2).

        A name that is listed again means the next field of it upwards; a name without a field means nothing. The
        signature's own field is not among them.
        """
        hashed, left = sha256(), dict[bytes, list[int]]()
        for name in names:
            if name not in left:
                left[name] = [other for other in self.numbers(name) if other != number]
            if left[name]:
                hashed.update(self.form(left[name].pop(), relaxed))
        hashed.update(self.unsigned(number, relaxed))
        return hashed.digest()

    def body(self, relaxed: bool, lengths: Collection[int | None]) -> tuple[dict[int | None, bytes], int]:
        """As `canonical.body_hashes`."""
        return body_hashes(self._data, self._body, self.size, relaxed=relaxed, lengths=lengths)

    def _made(self, number: int, value: bytes, relaxed: bool) -> bytes:
        field = self.fields[number]
        name = self._header[field.start : field.value - 1]
        return (field_relaxed if relaxed else field_simple)(name, value)
