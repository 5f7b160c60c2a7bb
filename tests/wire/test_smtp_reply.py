import pytest

from daemon.wire.smtp_reply import BadReply, Capabilities, PeerReply, capabilities, reply
from daemon.wire.stream import EndOfStream, Stream, TooLong
from tests.wire.cuts import cuts, read


def reply_of(data: bytes, line: int = 200, lines: int = 5) -> PeerReply:
    return read(lambda stream: reply(stream, line, lines), [data])[0]


@pytest.mark.parametrize(
    "data, want, said, enhanced",
    [
        (b"250 ok\r\n", PeerReply(250, ("ok",)), "250 ok", ""),
        (b"250\r\n", PeerReply(250, ("",)), "250", ""),
        (b"250 2.1.5 fine\r\n", PeerReply(250, ("2.1.5 fine",)), "250 2.1.5 fine", "2.1.5"),
        (b"250-one\r\n250 two\n", PeerReply(250, ("one", "two")), "250 one two", ""),
        (
            b"550-5.7.26 not\r\n550-5.7.26 authenticated\r\n550 5.7.26  go away\r\n",
            PeerReply(550, ("5.7.26 not", "5.7.26 authenticated", "5.7.26  go away")),
            "550 5.7.26 not authenticated go away",
            "5.7.26",
        ),
        (b"550 4.2.2 wrong class\r\n", PeerReply(550, ("4.2.2 wrong class",)), "550 wrong class", ""),
        (b"450 4.7.1\r\n", PeerReply(450, ("4.7.1",)), "450 4.7.1", "4.7.1"),
        (b"450-a\r\n550 b\r\n", PeerReply(550, ("a", "b")), "550 a b", ""),
        (b"554 caf\xc3\xa9 \xff\x1b[31m\r\n", PeerReply(554, ("café \\xff [31m",)), "554 café \\xff [31m", ""),
    ],
)
def test_a_reply_is_the_same_however_it_is_cut(data: bytes, want: PeerReply, said: str, enhanced: str) -> None:
    for pieces in cuts(data + b"left"):
        assert read(lambda stream: reply(stream, 200, 5), pieces) == (want, b"left")
    assert (str(want), want.enhanced) == (said, enhanced)


@pytest.mark.parametrize(
    "data", [b"hello\r\n", b"\r\n", b"25\r\n", b"2500 ok\r\n", b"650 ok\r\n", b"150 ok\r\n", b"\xb2\xb2\xb2 ok\r\n"]
)
def test_what_is_no_reply_is_an_error(data: bytes) -> None:
    with pytest.raises(BadReply):
        reply_of(data)


def test_an_endless_line_ends_at_its_limit_without_being_held() -> None:
    stream = Stream()
    reading = reply(stream, 200, 5)
    next(reading)
    with pytest.raises(TooLong):
        for _ in range(300):
            stream.feed(b"2")
            next(reading)
    assert len(stream) == 200


def test_endless_lines_end_at_their_limit() -> None:
    assert reply_of(b"250-x\r\n" * 4 + b"250 x\r\n").code == 250
    with pytest.raises(BadReply, match="over 5 lines"):
        reply_of(b"250-x\r\n" * 6)


def test_a_peer_that_leaves_inside_a_reply_is_told_apart() -> None:
    with pytest.raises(EndOfStream):
        reply_of(b"250-x\r\n250")


@pytest.mark.parametrize("code, positive, permanent", [(250, 1, 0), (354, 1, 0), (421, 0, 0), (550, 0, 1)])
def test_classes_of_replies(code: int, positive: int, permanent: int) -> None:
    found = PeerReply(code, ("",))
    assert (found.positive, found.permanent) == (positive, permanent)


def ehlo(*lines: str) -> Capabilities:
    return capabilities(PeerReply(250, ("mx.example greets you", *lines)))


def test_everything_a_modern_server_offers_is_read() -> None:
    assert ehlo(
        "PIPELINING", "SIZE 1000", "8BITMIME", "smtputf8", "DSN", "CHUNKING", "STARTTLS", "REQUIRETLS",
        "AUTH PLAIN login", "AUTH=LOGIN CRAM-MD5", "LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1 X=0 Y RCPTMAX", "",
    ) == Capabilities(
        name="mx.example", esmtp=True, pipelining=True, size_known=True, size=1000, eightbitmime=True, smtputf8=True,
        dsn=True, chunking=True, starttls=True, requiretls=True, auth=frozenset({"PLAIN", "LOGIN", "CRAM-MD5"}),
        rcptmax=20, mailmax=5, rcptdomainmax=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    "line, known, size",
    [("SIZE", True, 0), ("SIZE 0", True, 0), ("SIZE lots", True, 0), ("SIZE 10", True, 10), ("XSIZE 5", False, 0)],
)
def test_size_without_a_number_is_no_limit(line: str, known: bool, size: int) -> None:
    found = ehlo(line)
    assert (found.size_known, found.size) == (known, size)


@pytest.mark.parametrize("limits", ["RCPTMAX=0", "RCPTMAX=-1", "RCPTMAX=1234567", "RCPTMAX=x", "RCPTMAX=", "=5"])
def test_limits_that_make_no_sense_do_not_count(limits: str) -> None:
    assert ehlo(f"LIMITS {limits}").rcptmax == 0


def test_the_lines_of_a_reply_can_be_told_as_they_came() -> None:
    data = b"550-5.7.26 not\r\n550-5.7.26 authenticated\r\n550 go away\r\n"
    assert reply_of(data).verbatim == data.decode().strip().replace("\r", "")
