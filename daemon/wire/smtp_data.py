"""The content of a message: DATA (RFC 5321 §4.1.1.4, §4.5.2) and BDAT (RFC 3030 §2), poured and never held.

Only CRLF "." CRLF ends DATA. What else looks like a line end is counted, at any seam between packets alike, and the
session decides: servers that disagree about line ends smuggle mail (CVE-2023-51764, -51765, -51766, CVE-2024-27305).
"""

from __future__ import annotations

import re
from io import BytesIO, IncrementalNewlineDecoder

from daemon.wire.stream import EndOfStream, Reading, Sink, Stream, TooLong

PIECE = 64 * 1024  # octets that may wait in the stream before they are poured on
_END = b"\r\n.\r\n"
_DOT = b"\r\n."
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
_BARE_DOT = re.compile(rb"((?<!\r)\n|\r)\.")


class Content:
    """What arrives as the content of one message: counted, looked at, poured into a sink.

    Over `limit` octets nothing more reaches the sink and `over` is true. With `normalize` a bare CR or LF becomes
    CRLF and NUL is dropped on the way; they are counted all the same. `finish` after the last octet.

    `stuffed` is for DATA: who ends lines with LF alone has doubled the dots after it too (Python's smtplib does, with
    bytes), so that normalizing takes them away. Those after CRLF are the reader's.
    """

    __slots__ = (
        "sink", "limit", "normalize", "stuffed", "size", "bare_cr", "bare_lf", "nul", "eightbit", "_held", "_ends",
    )  # fmt: skip

    def __init__(self, sink: Sink, limit: int, *, normalize: bool = False) -> None:
        self.sink = sink
        self.limit = limit
        self.normalize = normalize
        self.stuffed = False
        self.size = 0  # octets that came, after normalizing
        self.bare_cr = 0
        self.bare_lf = 0
        self.nul = 0
        self.eightbit = False
        self._held = b""  # a bare CR or LF that came last and waits for what follows it
        self._ends = IncrementalNewlineDecoder(None, translate=False)  # tells which line ends it saw

    @property
    def over(self) -> bool:
        return self.size > self.limit

    @property
    def clean(self) -> bool:
        """Whether it came with CRLF alone and without NUL, as RFC 5321 §2.3.8 and RFC 5322 §2.2 ask."""
        return not (self.bare_cr or self.bare_lf or self.nul)

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        piece = bytes(data) if isinstance(data, memoryview) else data
        if self._held:
            piece, self._held = self._held + piece, b""
        if piece.endswith(b"\r"):
            piece, self._held = piece[:-1], b"\r"
        elif self.stuffed and self.normalize and piece.endswith(b"\n") and not piece.endswith(b"\r\n"):
            piece, self._held = piece[:-1], b"\n"
        if piece:
            self._look(piece)

    def finish(self) -> None:
        if self._held:
            piece, self._held = self._held, b""
            self._look(piece)

    def _look(self, piece: bytes | bytearray) -> None:
        text = piece.decode("latin-1")
        self._ends.decode(text, final=True)
        if self._ends.newlines not in (None, "\r\n") or "\0" in text:
            self._ends.reset()
            pairs = piece.count(b"\r\n")
            self.bare_cr += piece.count(b"\r") - pairs
            self.bare_lf += piece.count(b"\n") - pairs
            self.nul += piece.count(b"\0")
            if self.normalize:
                if self.stuffed:
                    piece = _BARE_DOT.sub(rb"\1", piece)
                # Line ends first: a NUL between CR and LF does not make them a pair when it goes.
                piece = _ANY_LINE_END.sub(b"\r\n", piece).replace(b"\0", b"")
        self.eightbit = self.eightbit or not text.isascii()
        self.size += len(piece)
        if self.size <= self.limit:
            self.sink.write(piece)


def read_data(stream: Stream, content: Content, bound: int) -> Reading[None]:
    """Read up to and with the end of DATA into `content`, dots unstuffed.

    Raises `TooLong` when more than `bound` octets (with their stuffed dots) come before the end, and `EndOfStream`;
    there is no telling then where the next command begins.
    """
    # The CRLF that ended the DATA line is also the one before the first line (RFC 5321 §4.1.1.4), so it is put back:
    # then `.` on the first line is nothing special. It is dropped before the content.
    stream.buffer[:0] = b"\r\n"
    ours = 2
    content.stuffed = True
    poured = 0
    searched = 0
    stuffed = False  # whether a line begins with a dot that is not the end
    while True:
        buffer = stream.buffer
        # Base64 has no dots at all, and looking for one octet is fifty times as quick as for three. Lines that begin
        # with a dot are seldom: one search finds the end and tells that nothing is stuffed.
        dot = buffer.find(b".", searched)
        end = buffer.find(_END if stuffed else _DOT, max(searched, dot - 2)) if dot >= 0 else -1
        if end >= 0 and not stuffed and not buffer.startswith(_END, end):
            if len(buffer) >= end + len(_END):
                stuffed = True
                end = buffer.find(_END, end)
            else:
                end = -1
        known = poured + (end + 2 if end >= 0 else len(buffer) - 2)  # octets of content that are certain, ours too
        if known - 2 > bound:
            raise TooLong(f"no end of DATA within {bound} octets")
        if end >= 0:
            content.write(_piece(buffer, end + 2, stuffed)[ours:])
            content.finish()
            del buffer[: end + 5]
            return
        if len(buffer) >= PIECE:
            # Cut before the last CRLF: what may belong to the end or to a stuffed dot stays together behind the cut.
            cut = buffer.rfind(b"\r\n", 1)
            if cut < 0:
                cut = len(buffer) - buffer.endswith(b"\r")
            content.write(_piece(buffer, cut, stuffed)[ours:])
            ours = 0
            stuffed = False
            del buffer[:cut]
            poured += cut
            searched = 0
        else:
            searched = max(0, len(buffer) - 4)
        if stream.eof:
            raise EndOfStream("end of stream inside DATA")
        yield None


def _piece(buffer: bytearray, end: int, stuffed: bool) -> bytes:
    """What stands before `end`, dots unstuffed (RFC 5321 §4.5.2)."""
    with memoryview(buffer) as view:
        piece = bytes(view[:end])
    return piece.replace(_DOT, b"\r\n") if stuffed else piece


def read_chunk(stream: Stream, size: int, content: Content) -> Reading[None]:
    """Read the `size` octets of one BDAT chunk, which the caller has compared with its limit.

    A chunk that is refused is read into `discarded()`: its octets must not be taken for commands.
    """
    yield from stream.pour(size, content)


def discarded() -> Content:
    """A content that is counted only: over its limit from the first octet on, it asks its sink for nothing."""
    return Content(BytesIO(), -1)
