"""The content of a message at every cut: dots, ends that are none, bare newlines, limits, chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.wire import smtp_data
from daemon.wire.smtp_data import Content, discarded, read_chunk, read_data
from daemon.wire.stream import EndOfStream, Stream, TooLong
from tests.wire.cuts import cuts, read


class Kept:
    def __init__(self):
        self.data = bytearray()

    def write(self, data, /):
        self.data += data


def take(pieces, limit=1 << 20, normalize=False, bound=1 << 20):
    """What a body read from `pieces` is: content, the counts, and what was left unread."""
    kept = Kept()
    content = Content(kept, limit, normalize=normalize)
    _, left = read(lambda s: read_data(s, content, bound), pieces)
    return bytes(kept.data), content, left


def same_at_every_cut(data, want, left=b"", **options):
    for pieces in cuts(data):
        found, _, rest = take(pieces, **options)
        assert (found, rest) == (want, left)


@pytest.mark.parametrize(
    "wire,want",
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"Subject: x\r\n\r\nbody\r\n.\r\n", b"Subject: x\r\n\r\nbody\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a\r\n..b\r\n...\r\n..\r\n.\r\n", b"a\r\n.b\r\n..\r\n.\r\n"),
        (b"a.\r\nb.\r\n.\r\n", b"a.\r\nb.\r\n"),
    ],
)
def test_data_ends_at_its_dot_and_loses_its_stuffing_at_every_cut(wire, want):
    same_at_every_cut(wire, want)
    same_at_every_cut(wire + b"QUIT\r\n", want, b"QUIT\r\n")


SMUGGLING = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\r\n.\r\r\n", b"\r\n\x00.\r\n",
             b"\r\n.\x00\r\n", b"\n.\r", b"\r\n\r.\r\n", b"\r\n.\r\r\n", b"\r\n..\r\n"]  # fmt: skip


@pytest.mark.parametrize("vector", SMUGGLING)
def test_s1_nothing_but_crlf_dot_crlf_ends_data_at_any_cut(vector):
    wire = b"a" + vector + b"MAIL FROM:<evil@x.example>\r\n.\r\n"
    want = (b"\r\n" + b"a" + vector + b"MAIL FROM:<evil@x.example>\r\n").replace(b"\r\n.", b"\r\n")[2:]
    same_at_every_cut(wire + b"NOOP\r\n", want, b"NOOP\r\n")


@pytest.mark.parametrize("vector", SMUGGLING[:-1])
def test_s1_every_false_end_is_noticed(vector):
    for pieces in cuts(b"a" + vector + b"b\r\n.\r\n"):
        assert not take(pieces)[1].clean


@pytest.mark.parametrize(
    "wire,cr,lf,nul",
    [
        (b"a\r\nb\r\n", 0, 0, 0),
        (b"a\nb\r\n", 0, 1, 0),
        (b"a\rb\r\n", 1, 0, 0),
        (b"a\r\r\n", 1, 0, 0),
        (b"a\n\r\n", 0, 1, 0),
        (b"\r\0\n\r\n", 1, 1, 1),
        (b"\n\r\r\n\0\0\r\n", 1, 1, 2),
    ],
)
def test_bare_newlines_and_nuls_are_counted_at_every_cut(wire, cr, lf, nul):
    for pieces in cuts(wire + b".\r\n"):
        found, content, _ = take(pieces)
        assert (content.bare_cr, content.bare_lf, content.nul) == (cr, lf, nul)
        assert content.clean == (wire == b"a\r\nb\r\n")
        assert found == wire and content.size == len(wire)


@pytest.mark.parametrize(
    "wire,want",
    [
        (b"a\nb\r\n", b"a\r\nb\r\n"),
        (b"a\rb\n\r\n", b"a\r\nb\r\n\r\n"),
        (b"a\r\r\n", b"a\r\n\r\n"),
        (b"a\0b\r\0\n\r\n", b"ab\r\n\r\n\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\n..b\n.c\r..d\r\n..e\r\n", b"a\r\n.b\r\nc\r\n.d\r\n.e\r\n"),
        (b"a\r\r\n..b\n\r\n..c\n\n..d\r\n", b"a\r\n\r\n.b\r\n\r\n.c\r\n\r\n.d\r\n"),
        (b"\n.\n.\n\r\n", b"\r\n\r\n\r\n\r\n"),
    ],
)
def test_normalizing_gives_the_same_at_every_cut(wire, want):
    for pieces in cuts(wire + b".\r\n"):
        found, content, _ = take(pieces, normalize=True)
        assert found == want and content.size == len(want) and not content.clean


def test_eight_bits_are_noticed():
    assert not take([b"plain\r\n.\r\n"])[1].eightbit
    assert take(["grün\r\n.\r\n".encode()])[1].eightbit


@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\0", b"x", b"\r\n.", b"\r\n..", b"\xe9"])).map(b"".join),
    st.booleans(),
    st.integers(5, 40),
    st.data(),
)
def test_any_content_comes_out_as_it_was_put_in_whatever_the_cuts(body, normalize, small, data):
    body += b"\r\n"
    wire = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    places = sorted(data.draw(st.sets(st.integers(1, len(wire)), max_size=6)))
    pieces = [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True)]
    before, smtp_data.PIECE = smtp_data.PIECE, small
    try:
        found, content, left = take(pieces, normalize=normalize)
    finally:
        smtp_data.PIECE = before
    assert left == b""
    if normalize:
        assert found.count(b"\r\n") == found.count(b"\r") == found.count(b"\n") and b"\0" not in found
    else:
        assert found == body
    assert content.clean == (body.count(b"\r\n") == body.count(b"\r") == body.count(b"\n") and b"\0" not in body)
    assert content.eightbit == (not body.isascii())


@pytest.mark.parametrize("small", range(5, 24))
def test_a_long_body_is_poured_in_pieces_and_stays_the_same(small, monkeypatch):
    monkeypatch.setattr(smtp_data, "PIECE", small)
    body = b"Subject: x\r\n\r\n.dot\r\n..\r\n" + b"y" * 30 + b"\r\n.\r\n\r\r\n" + b"z" * 21 + b"\r\r.\r\n"
    wire = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    same_at_every_cut(wire, body)


@pytest.mark.parametrize("small", range(5, 24))
def test_a_long_body_of_bare_newlines_is_mended_the_same_at_every_cut(small, monkeypatch):
    monkeypatch.setattr(smtp_data, "PIECE", small)
    wire = b"a\n..b\n\n..c\nlonger line\n..\n\r..d\r\r\n..e\n\n" + b"\n.f" * 8 + b"\r\n.\r\n"
    want = b"a\r\n.b\r\n\r\n.c\r\nlonger line\r\n.\r\n\r\n.d\r\n\r\n.e\r\n\r\n" + b"\r\nf" * 8 + b"\r\n"
    same_at_every_cut(wire, want, normalize=True)


def test_a_line_without_an_end_is_not_held_in_memory():
    kept = Kept()
    stream = Stream()
    reading = read_data(stream, Content(kept, 1 << 30), 1 << 30)
    next(reading)
    for _ in range(200):
        stream.feed(b"x" * 10_000)
        next(reading)
        assert len(stream) <= smtp_data.PIECE + 10_000
    stream.feed(b"\r\n.\r\n")
    with pytest.raises(StopIteration):
        next(reading)
    assert len(kept.data) == 2_000_002


def test_over_the_limit_nothing_more_is_kept_but_the_end_is_found():
    for pieces in cuts(b"0123456789\r\n.\r\nQUIT\r\n"):
        found, content, left = take(pieces, limit=11)
        assert content.over and content.size == 12 and found == b"" and left == b"QUIT\r\n"
    found, content, _ = take([b"0123456789\r\n.\r\n"], limit=12)
    assert not content.over and found == b"0123456789\r\n"


def test_data_without_an_end_is_given_up_at_its_bound_at_every_cut():
    for pieces in cuts(b"0123456789\r\n.\r\n"):
        assert take(pieces, bound=12)[0] == b"0123456789\r\n"
        with pytest.raises(TooLong):
            take(pieces, bound=11)


@pytest.mark.parametrize("wire", [b"", b".", b".\r", b"a\r\n.", b"a\r\n.\r", b"a\r\n.\n"])
def test_a_peer_that_closes_inside_data_sent_no_message(wire):
    for pieces in cuts(wire):
        with pytest.raises(EndOfStream):
            take(pieces)


def chunks(pieces, sizes, normalize=False, keep=True):
    kept = Kept()
    content = Content(kept, 1000, normalize=normalize) if keep else discarded()

    def reading(stream):
        for size in sizes:
            yield from read_chunk(stream, size, content)
        content.finish()

    _, left = read(reading, pieces)
    return bytes(kept.data), content, left


def test_chunks_are_poured_as_they_are_at_every_cut():
    body = b".\r\n..\r\na\r\nb"
    for pieces in cuts(body + b"NOOP\r\n"):
        found, content, left = chunks(pieces, [0, 5, 1, 5])
        assert found == body and left == b"NOOP\r\n" and content.clean


def test_dots_in_chunks_are_never_stuffed():
    for pieces in cuts(b"a\n..b\r..c\r\n..d\n"):
        assert chunks(pieces, [15], normalize=True)[0] == b"a\r\n..b\r\n..c\r\n..d\r\n"


def test_a_crlf_cut_by_two_chunks_is_not_bare():
    found, content, _ = chunks([b"a\r\nb\r\n"], [2, 4])
    assert found == b"a\r\nb\r\n" and content.clean


def test_a_cr_at_the_end_of_the_last_chunk_is_bare():
    found, content, _ = chunks([b"a\r"], [2])
    assert found == b"a\r" and content.bare_cr == 1
    assert chunks([b"a\r"], [2], normalize=True)[0] == b"a\r\n"


def test_a_refused_chunk_is_thrown_away():
    assert chunks([b"MAIL FROM:<evil@x.example>\r\nNOOP\r\n"], [28], keep=False) == (b"", ANY, b"NOOP\r\n")


def test_content_takes_a_view_too():
    kept = Kept()
    Content(kept, 10).write(memoryview(b"abc"))
    assert kept.data == b"abc"


class _Any:
    def __eq__(self, other):
        return True


ANY = _Any()
