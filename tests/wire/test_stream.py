"""The buffer under every reader."""

from __future__ import annotations

import pytest

from daemon.wire.stream import BareNewline, EndOfStream, Reading, Stream, TooLong

LINE = b"a line\r\nthe next"


def finished(reading: Reading[object]) -> object:
    """What a reading answers that needs nothing more."""
    with pytest.raises(StopIteration) as end:
        next(reading)
    return end.value.value


@pytest.mark.parametrize("cut", range(len(LINE) + 1))
def test_a_line_is_the_same_wherever_it_was_cut(cut: int) -> None:
    stream = Stream()
    reading = stream.line(100)
    stream.feed(LINE[:cut])
    if cut < LINE.index(b"\n") + 1:
        assert next(reading) is None
    stream.feed(LINE[cut:])
    assert finished(reading) == b"a line"
    assert bytes(stream.buffer) == b"the next"
    assert len(stream) == len(b"the next")


def test_a_line_over_its_limit_is_seen_before_its_end_comes() -> None:
    stream = Stream()
    stream.feed(b"x" * 10)
    with pytest.raises(TooLong):
        next(stream.line(10))
    assert len(stream) == 10, "nothing was consumed"


def test_a_bare_newline_ends_a_line_unless_it_must_not() -> None:
    stream = Stream()
    stream.feed(b"one\ntwo\nthree\r\n")
    assert finished(stream.line(100)) == b"one"
    with pytest.raises(BareNewline):
        next(stream.line(100, strict=True))
    assert finished(stream.line(100, strict=True)) == b"three", "the line was consumed"


@pytest.mark.parametrize("reader", [lambda s: s.line(10), lambda s: s.exactly(5)])
def test_the_end_of_the_stream_ends_every_reading(reader) -> None:  # type: ignore[no-untyped-def]
    stream = Stream()
    reading = reader(stream)
    assert next(reading) is None
    stream.feed(b"abc")
    stream.feed_eof()
    with pytest.raises(EndOfStream):
        next(reading)


def test_an_exact_number_of_octets_is_waited_for() -> None:
    stream = Stream()
    reading = stream.exactly(4)
    stream.feed(b"abc")
    assert next(reading) is None
    stream.feed(b"de")
    assert finished(reading) == b"abcd"
    assert bytes(stream.buffer) == b"e"


def test_pouring_holds_nothing_back_and_takes_no_more() -> None:
    stream, sink = Stream(), bytearray()

    class Sink:
        def write(self, data: bytes | bytearray | memoryview) -> None:
            sink.extend(data)

    pouring = stream.pour(8, Sink())
    assert next(pouring) is None
    stream.feed(b"12345")
    assert next(pouring) is None
    assert not stream.buffer
    stream.feed(b"678rest")
    assert finished(pouring) is None
    assert (bytes(sink), bytes(stream.buffer)) == (b"12345678", b"rest")
    starved = stream.pour(10, Sink())
    assert next(starved) is None
    stream.feed_eof()
    with pytest.raises(EndOfStream):
        next(starved)


def test_nothing_said_before_tls_is_left_after_it() -> None:
    stream = Stream()
    stream.feed(b"STARTTLS\r\nRCPT TO:<x>\r\n")
    assert finished(stream.line(100)) == b"STARTTLS"
    stream.clear()
    assert next(stream.line(100)) is None
