"""Dialogues: `C:` what the client must send, `S:` what the server says. Each is played whole, byte by byte, and cut."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from daemon.wire.smtp_client import Answer, Client, MailFrom, PeerSilent, RcptTo, SessionRefused
from daemon.wire.smtp_reply import Capabilities, PeerReply
from daemon.wire.stream import EndOfStream, Send, Stream

ALL = Capabilities(
    esmtp=True, pipelining=True, size_known=True, eightbitmime=True, smtputf8=True, dsn=True, chunking=True
)
PIPE = Capabilities(esmtp=True, pipelining=True)
PLAIN = Capabilities()
BODY = b"Subject: x\r\n\r\n.dot\r\n"
MAIL = MailFrom("a@a.example", len(BODY))
TWO = [RcptTo("b@b.example"), RcptTo("c@b.example")]


def client_with(offered: Capabilities) -> Client:
    client = Client(Stream(), "us.example", line_limit=500, lines_limit=20)
    client.capabilities = offered
    return client


def play(client: Client, reading: Generator[Any, None, Any], script: Sequence[str | bytes], slice_: int = 0) -> Any:
    """Run `reading` against `script`: 'C: ...' lines must be sent, 'S: ...' lines are said, `EOF` and `SILENCE` are.

    With `slice_` the server's octets come in pieces of that many; the answer, or the exception it raised.
    """
    sent, waiting = b"", list(script)

    def said() -> bool:
        nonlocal sent
        assert waiting, f"the client waits, the script is over; unexpected: {sent!r}"
        item = waiting.pop(0)
        if isinstance(item, bytes):
            expected = item
        elif item in ("EOF", "SILENCE"):
            assert not sent, f"sent unasked: {sent!r}"
            client.stream.feed_eof() if item == "EOF" else None
            return item == "SILENCE"
        elif item.startswith("S: "):
            assert not sent, f"sent unasked: {sent!r}"
            data = item[3:].encode() + b"\r\n"
            pieces = [data[i : i + slice_] for i in range(0, len(data), slice_)] if slice_ else [data]
            for piece in pieces[:-1]:
                client.stream.feed(piece)
                assert next(reading) is None
            client.stream.feed(pieces[-1])
            return False
        else:
            expected = item[3:].encode() + b"\r\n"
        assert sent.startswith(expected), f"sent {sent!r}, not {expected!r}"
        sent = sent[len(expected) :]
        return said()

    try:
        want = next(reading)
        while True:
            if isinstance(want, Send):
                sent += want.data
                want = next(reading)
            else:
                want = reading.throw(PeerSilent("late")) if said() else next(reading)
    except StopIteration as end:
        while sent and waiting:
            item = waiting.pop(0)
            expected = item if isinstance(item, bytes) else item[3:].encode() + b"\r\n"
            assert sent.startswith(expected), f"sent {sent!r}, not {expected!r}"
            sent = sent[len(expected) :]
        assert not sent and not waiting, (sent, waiting)
        return end.value


def all_ways(make: Callable[[], tuple[Client, Generator[Any, None, Any]]], script: Sequence[str | bytes]) -> Any:
    """The same answer for every cut of the server's octets; it and the client of the last run."""
    results = []
    for slice_ in (0, 1, 2, 3, 7):
        client, reading = make()
        results.append((play(client, reading, script, slice_), client))
    assert all(result == results[0][0] for result, _ in results)
    return results[-1]


def transact(
    offered: Capabilities, script: Sequence[str | bytes], mail: MailFrom = MAIL, to: Sequence[RcptTo] = TWO[:1],
    content: Sequence[bytes] = (BODY,), dirty: bool = False,
) -> tuple[list[Answer], Client]:  # fmt: skip
    def make() -> tuple[Client, Generator[Any, None, Any]]:
        client = client_with(offered)
        client._dirty = dirty
        return client, client.transact(mail, to, content)

    answers, client = all_ways(make, script)
    return answers, client


def summary(answers: list[Answer]) -> list[str]:
    return [f"{a.stage}: {a}{' (again)' if a.again else ''}" for a in answers]


# -- the session -------------------------------------------------------------------------------------------------------


def session(verb: str, script: Sequence[str | bytes]) -> tuple[Any, Client]:
    def make() -> tuple[Client, Generator[Any, None, Any]]:
        client = client_with(PLAIN)
        return client, getattr(client, verb)()

    found: tuple[Any, Client] = all_ways(make, script)
    return found


def test_a_greeting_and_ehlo_give_capabilities() -> None:
    _, client = session("greet", ["S: 220-mx", "S: 220 ready", "C: EHLO us.example", "S: 250-mx hi", "S: 250 SIZE 99"])
    assert client.capabilities == Capabilities(name="mx", esmtp=True, size_known=True, size=99)
    assert client.usable and client.heard == 2


def test_a_server_without_ehlo_gets_helo() -> None:
    _, client = session(
        "greet", ["S: 220 old", "C: EHLO us.example", "S: 502 what?", "C: HELO us.example", "S: 250 old hello"]
    )
    assert client.capabilities == Capabilities(name="old")


@pytest.mark.parametrize(
    "stage, script",
    [
        ("greeting", ["S: 554 no mail here"]),
        ("greeting", ["S: 421 busy"]),
        ("EHLO", ["S: 220 x", "C: EHLO us.example", "S: 421 busy"]),
        ("HELO", ["S: 220 x", "C: EHLO us.example", "S: 500 no", "C: HELO us.example", "S: 550 go away"]),
    ],
)
def test_a_refused_session_names_the_stage(stage: str, script: list[str | bytes]) -> None:
    client = client_with(PLAIN)
    with pytest.raises(SessionRefused, match=f"{stage}: {str(script[-1])[3:6]}") as caught:
        play(client, client.greet(), script)
    assert caught.value.stage == stage
    assert client.usable == (caught.value.reply.code != 421)


def test_what_stands_behind_the_reply_to_starttls_is_forgotten() -> None:
    client = client_with(ALL)
    reading = client.start_tls()
    assert next(reading) == Send(b"STARTTLS\r\n")
    assert next(reading) is None
    client.stream.feed(b"220 go ahead\r\n250 injected\r\n")
    with pytest.raises(StopIteration) as end:
        next(reading)
    assert end.value.value.code == 220
    assert not client.stream and client.capabilities == Capabilities()


def test_a_refused_starttls_leaves_the_session_as_it_was() -> None:
    client = client_with(ALL)
    assert play(client, client.start_tls(), ["C: STARTTLS", "S: 454 not now"]).code == 454
    assert client.capabilities == ALL


def test_exchange_and_quit() -> None:
    client = client_with(PLAIN)
    assert play(client, client.exchange(b"AUTH PLAIN x"), ["C: AUTH PLAIN x", "S: 235 in"]).code == 235
    play(client, client.quit(), ["C: QUIT", "S: 221 bye"])
    with pytest.raises(EndOfStream):
        play(client, client.quit(), ["C: QUIT", "EOF"])


# -- transactions ------------------------------------------------------------------------------------------------------


def test_without_extensions_each_command_waits_for_its_answer() -> None:
    answers, client = transact(
        PLAIN,
        [
            "C: MAIL FROM:<a@a.example>", "S: 250 ok",
            "C: RCPT TO:<b@b.example>", "S: 250 ok",
            "C: RCPT TO:<c@b.example>", "S: 251 will forward",
            "C: DATA", "S: 354 go", BODY.replace(b".dot", b"..dot") + b".\r\n", "S: 250 taken",
        ],
        to=TWO,
    )  # fmt: skip
    assert summary(answers) == ["end of data: 250 taken"] * 2
    assert client.usable and not client._dirty


def test_with_pipelining_the_envelope_is_one_write() -> None:
    client = client_with(PIPE)
    first = next(client.transact(MAIL, TWO, [BODY]))
    assert first == Send(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n")
    answers, _ = transact(
        PIPE,
        [
            "C: MAIL FROM:<a@a.example>", "C: RCPT TO:<b@b.example>", "C: RCPT TO:<c@b.example>", "C: DATA",
            "S: 250 ok", "S: 550 5.1.1 nobody", "S: 250 ok", "S: 354 go",
            BODY.replace(b".dot", b"..dot") + b".\r\n", "S: 250 taken",
        ],
        to=TWO,
    )  # fmt: skip
    assert summary(answers) == ["RCPT: 550 5.1.1 nobody", "end of data: 250 taken"]
    assert [a.permanent for a in answers] == [True, False]


def test_with_bdat_too_the_whole_message_is_one_write() -> None:
    mail = MailFrom("", len(BODY), eightbit=True, smtputf8=True, ret="HDRS", envid="q+3D1")
    to = [RcptTo("b@b.example", "SUCCESS,FAILURE", "rfc822;B@b.example")]
    expected = (
        b"MAIL FROM:<> SIZE=20 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+3D1\r\n"
        b"RCPT TO:<b@b.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;B@b.example\r\n"
        b"BDAT 20 LAST\r\n" + BODY
    )
    assert next(client_with(ALL).transact(mail, to, [BODY[:5], BODY[5:]])) == Send(expected)
    answers, client = transact(ALL, [expected, "S: 250 a", "S: 250 b", "S: 250 taken"], mail, to)
    assert summary(answers) == ["BDAT: 250 taken"]
    assert client.usable and not client._dirty


def test_requiretls_is_asked_for_where_it_is_offered_and_wanted() -> None:
    """RFC 8689 §2. Whether the session is fit for it is not the reader's to say."""
    offered = replace(PLAIN, requiretls=True)
    for capabilities, mail, line in (
        (offered, MAIL._replace(requiretls=True), b"MAIL FROM:<a@a.example> REQUIRETLS\r\n"),
        (offered, MAIL, b"MAIL FROM:<a@a.example>\r\n"),
        (PLAIN, MAIL._replace(requiretls=True), b"MAIL FROM:<a@a.example>\r\n"),
    ):
        assert client_with(capabilities)._mail(mail) == line


def test_parameters_stay_away_from_peers_that_do_not_know_them() -> None:
    mail = MailFrom("ä@a.example", 9, eightbit=True, smtputf8=True, ret="FULL", envid="x")
    sent = next(client_with(PIPE).transact(mail, [RcptTo("b@b.example", "NEVER", "rfc822;x")], [BODY]))
    assert sent == Send("MAIL FROM:<ä@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n".encode())


def test_a_refused_sender_is_the_answer_for_all() -> None:
    answers, client = transact(PLAIN, ["C: MAIL FROM:<a@a.example>", "S: 550 5.7.1 no"], to=TWO)
    assert summary(answers) == ["MAIL: 550 5.7.1 no"] * 2
    assert not client._dirty
    answers, _ = transact(
        PIPE,
        [b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n",
         "S: 450 4.7.1 later", "S: 503 x", "S: 503 y", "S: 503 z"],
        to=TWO,
    )  # fmt: skip
    assert summary(answers) == ["MAIL: 450 4.7.1 later"] * 2
    answers, client = transact(
        ALL,
        [b"MAIL FROM:<a@a.example> SIZE=20\r\nRCPT TO:<b@b.example>\r\nBDAT 20 LAST\r\n" + BODY,
         "S: 550 no", "S: 503 y", "S: 503 z"],
    )  # fmt: skip
    assert summary(answers) == ["MAIL: 550 no"] and client.usable


def test_no_content_goes_out_when_nobody_wants_it() -> None:
    answers, client = transact(
        PLAIN, ["C: MAIL FROM:<a@a.example>", "S: 250 ok", "C: RCPT TO:<b@b.example>", "S: 550 nobody"]
    )
    assert summary(answers) == ["RCPT: 550 nobody"]
    assert client._dirty, "RSET comes before the next one"


def test_data_taken_without_recipients_is_ended_with_a_dot_alone() -> None:
    answers, client = transact(
        PIPE,
        [b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n",
         "S: 250 ok", "S: 550 nobody", "S: 354 go", "C: .", "S: 554 no valid recipients"],
    )  # fmt: skip
    assert summary(answers) == ["RCPT: 550 nobody"]
    assert not client._dirty


def test_data_refused_is_the_answer_for_the_accepted() -> None:
    answers, client = transact(
        PIPE,
        [b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n",
         "S: 250 ok", "S: 250 ok", "S: 550 nobody", "S: 451 4.3.0 not now"],
        to=TWO,
    )  # fmt: skip
    assert summary(answers) == ["DATA: 451 4.3.0 not now", "RCPT: 550 nobody"]
    assert client._dirty and client.usable


def test_a_transaction_that_was_left_open_is_reset_first() -> None:
    lone = ["C: RSET", "S: 250 ok", "C: MAIL FROM:<a@a.example>", "S: 250 ok", "C: RCPT TO:<b@b.example>", "S: 550 no"]
    answers, _ = transact(PLAIN, lone, dirty=True)
    assert summary(answers) == ["RCPT: 550 no"]
    answers, _ = transact(
        PIPE,
        [b"RSET\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n",
         "S: 250 ok", "S: 250 ok", "S: 250 ok", "S: 354 go", BODY.replace(b".dot", b"..dot") + b".\r\n", "S: 250 x"],
        dirty=True,
    )  # fmt: skip
    assert summary(answers) == ["end of data: 250 x"]


def test_a_success_instead_of_354_is_not_a_delivery() -> None:
    answers, client = transact(
        PIPE,
        [b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n", "S: 250 ok", "S: 250 ok", "S: 250 done"],
    )
    assert summary(answers) == ["DATA: answered DATA with 250 done"]
    assert not answers[0].positive and not client.usable


def test_a_long_message_goes_out_in_its_pieces() -> None:
    pieces = [b".a\r", b"\n" + b"x" * 70000, b"\r\n.", b"\r\nend"]
    size = sum(map(len, pieces))
    mail = MailFrom("a@a.example", size)
    client = client_with(PIPE)
    reading = client.transact(mail, TWO[:1], pieces)
    next(reading)
    client.stream.feed(b"250 a\r\n250 b\r\n354 c\r\n")
    sent = []
    while (want := next(reading)) is not None:
        sent.append(want.data)
    assert client.step == "end"
    assert b"".join(sent) == b"..a\r\n" + b"x" * 70000 + b"\r\n..\r\nend\r\n.\r\n"
    assert len(sent) > 3


def test_a_long_message_goes_out_in_chunks_when_the_peer_takes_them() -> None:
    pieces = [b"x" * 70000 + b"\r\n", b".\r\n"]
    script: list[str | bytes] = [
        "C: MAIL FROM:<a@a.example> SIZE=70005", "C: RCPT TO:<b@b.example>", "S: 250 a", "S: 250 b",
        b"BDAT 70002\r\n" + pieces[0] + b"BDAT 3 LAST\r\n.\r\n",
    ]  # fmt: skip
    mail = MailFrom("a@a.example", 70005)
    answers, client = transact(ALL, [*script, "S: 250 part", "S: 250 taken"], mail, content=pieces)
    assert summary(answers) == ["BDAT: 250 taken"] and not client._dirty
    answers, client = transact(ALL, [*script, "S: 552 5.3.4 too big", "S: 503 x"], mail, content=pieces)
    assert summary(answers) == ["BDAT: 552 5.3.4 too big"] and client._dirty
    refused: list[str | bytes] = [*script[:3], "S: 550 nobody"]
    answers, _ = transact(ALL, refused, mail, content=pieces)
    assert summary(answers) == ["RCPT: 550 nobody"]


def test_chunks_wait_for_each_other_without_pipelining() -> None:
    offered = Capabilities(esmtp=True, chunking=True)
    begin: list[str | bytes] = [
        "C: MAIL FROM:<a@a.example>", "S: 250 a", "C: RCPT TO:<b@b.example>", "S: 250 b", b"BDAT 3\r\na\r\n",
    ]  # fmt: skip
    pieces = [b"a\r\n", b"b\r\n"]
    mail = MailFrom("a@a.example", 6)
    answers, _ = transact(offered, [*begin, "S: 250 p", b"BDAT 3 LAST\r\nb\r\n", "S: 250 t"], mail, content=pieces)
    assert summary(answers) == ["BDAT: 250 t"]
    answers, client = transact(offered, [*begin, "S: 452 4.3.1 full"], mail, content=pieces)
    assert summary(answers) == ["BDAT: 452 4.3.1 full"] and client._dirty


def test_a_peer_that_does_not_know_its_own_bdat_is_asked_again_without() -> None:
    answers, client = transact(
        ALL,
        [b"MAIL FROM:<a@a.example> SIZE=20\r\nRCPT TO:<b@b.example>\r\nBDAT 20 LAST\r\n" + BODY,
         "S: 250 ok", "S: 250 ok", "S: 502 what is BDAT?"],
    )  # fmt: skip
    assert summary(answers) == ["BDAT: 502 what is BDAT? (again)"]
    assert not client.usable and not client.capabilities.chunking


@pytest.mark.parametrize(
    "reply, again",
    [
        ("452 4.5.3 too many recipients", True),
        ("452 Too many recipients received this hour", True),
        ("552 too many recipients", True),
        ("452 4.2.2 mailbox full", False),
        ("552 5.2.2 mailbox full", False),
        ("450 4.5.3 x", False),
    ],
)
def test_too_many_recipients_is_asked_again_when_some_were_taken(reply: str, again: bool) -> None:
    start = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n"
    stuffed = BODY.replace(b".dot", b"..dot") + b".\r\n"
    answers, _ = transact(
        PIPE, [start, "S: 250 a", "S: 250 b", f"S: {reply}", "S: 354 c", stuffed, "S: 250 taken"], to=TWO
    )
    assert [a.again for a in answers] == [False, again]
    answers, _ = transact(PIPE, [start, "S: 250 a", f"S: {reply}", f"S: {reply}", "S: 554 none"], to=TWO)
    assert [a.again for a in answers] == [False, False]


# -- peers that break off ----------------------------------------------------------------------------------------------


def test_a_connection_lost_among_recipients_keeps_what_was_answered() -> None:
    answers, client = transact(
        PIPE,
        [b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n",
         "S: 250 ok", "S: 550 5.1.1 nobody", "EOF"],
        to=TWO,
    )  # fmt: skip
    assert summary(answers) == [
        "RCPT: 550 5.1.1 nobody", "RCPT: connection lost while waiting for the answer to RCPT"
    ]  # fmt: skip
    assert not answers[1].positive and not answers[1].permanent and not client.usable


def test_a_421_before_the_end_is_what_the_rest_is_told() -> None:
    answers, client = transact(
        PIPE,
        [b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n",
         "S: 250 ok", "S: 421 4.7.0 too busy", "EOF"],
        to=TWO,
    )  # fmt: skip
    assert summary(answers) == ["RCPT: 421 4.7.0 too busy"] * 2
    assert not client.usable


def test_nothing_more_is_said_to_a_peer_that_fell_silent() -> None:
    answers, client = transact(
        PLAIN,
        ["C: MAIL FROM:<a@a.example>", "S: 250 ok", "C: RCPT TO:<b@b.example>", "S: 250 ok",
         "C: RCPT TO:<c@b.example>", "SILENCE"],
        to=TWO,
    )  # fmt: skip
    assert summary(answers) == ["DATA: no answer to RCPT in time", "RCPT: no answer to RCPT in time"]
    answers, _ = transact(
        PLAIN, ["C: MAIL FROM:<a@a.example>", "S: 250 ok", "C: RCPT TO:<b@b.example>", "SILENCE"], to=TWO
    )
    assert summary(answers) == ["RCPT: no answer to RCPT in time"] * 2


def test_silence_after_the_final_dot_is_no_delivery() -> None:
    answers, client = transact(
        PIPE,
        [b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n", "S: 250 ok", "S: 250 ok", "S: 354 go",
         BODY.replace(b".dot", b"..dot") + b".\r\n", "SILENCE"],
    )  # fmt: skip
    assert summary(answers) == ["end of data: no answer to end of data in time"]
    assert not client.usable


def test_nonsense_instead_of_a_reply_ends_the_connection() -> None:
    answers, client = transact(
        PLAIN, ["C: MAIL FROM:<a@a.example>", "S: 250 ok", "C: RCPT TO:<b@b.example>", "S: lp0 on fire"]
    )
    assert summary(answers) == ["RCPT: not an SMTP reply: lp0 on fire"]
    assert not client.usable


@pytest.mark.parametrize(
    "offered, said, want",
    [
        (PIPE, b"552 5.3.4 too big\r\n", "552 5.3.4 too big"),
        (PIPE, b"250 thanks\r\n", "connection lost while sending the message"),
        (PIPE, b"", "connection lost while waiting for the answer to end of data"),
        (ALL, b"452 4.3.1 disk full\r\n", "452 4.3.1 disk full"),
        (ALL, b"", "connection lost while waiting for the answer to BDAT"),
    ],
)
def test_a_peer_that_hangs_up_inside_the_content_may_have_said_why(
    offered: Capabilities, said: bytes, want: str
) -> None:
    client = client_with(offered)
    pieces = [b"x" * 70000 + b"\r\n"] * 4
    reading = client.transact(MailFrom("a@a.example", 280008), TWO[:1], pieces)
    next(reading)
    client.stream.feed(b"250 a\r\n250 b\r\n" + (b"" if offered.chunking else b"354 c\r\n"))
    assert isinstance(next(reading), Send)
    client.stream.feed(said)
    client.stream.feed_eof()
    with pytest.raises(StopIteration) as end:
        next(reading)
    assert [str(a) for a in end.value.value] == [want]
    assert not end.value.value[0].positive and not client.usable


def test_an_address_that_would_say_a_command_of_its_own_is_never_sent() -> None:
    for mail, to in ((MailFrom("a\r\nRSET", 1), "b@b"), (MailFrom("", 1), "b@b>\nDATA"), (MailFrom("", 1), "\x7f")):
        with pytest.raises(ValueError, match="control character"):
            next(client_with(PIPE).transact(mail, [RcptTo(to)], [BODY]))


def test_an_answer_without_words_tells_the_problem() -> None:
    assert str(Answer("MAIL", None, "gone")) == "gone"
    assert str(Answer("MAIL", PeerReply(250, ("fine",)), "gone")) == "250 fine"
