"""A command's text to its value, as a session would read it."""

from __future__ import annotations

from daemon.limits import LIMITS
from daemon.wire.imap import Bad, read_command
from daemon.wire.imap_commands import parse
from tests.wire.cuts import read


class Kept:
    def __init__(self):
        self.data = bytearray()

    def write(self, data, /):
        self.data += data

    def __eq__(self, other):
        return bytes(self.data) == other


def value_of(text, limits=LIMITS):
    """The value of `a1 TEXT`."""
    octets = text if isinstance(text, bytes) else text.encode()
    command, left = read(
        lambda stream: read_command(
            stream, limits, authenticated=True, new_body=lambda size: Kept(), append_limit=1000, multiappend=True
        ),
        [b"a1 " + octets + b"\r\n"],
    )
    assert left == b""
    return parse(command, limits)


def refusal_of(text, limits=LIMITS):
    """Status, code and text of what `a1 TEXT` is answered."""
    try:
        value = value_of(text, limits)
    except Bad as bad:
        assert bad.tag == "a1" and bad.in_sync
        return " ".join(filter(None, (bad.status, bad.code and f"[{bad.code}]", bad.text)))
    raise AssertionError(f"accepted as {value}")
