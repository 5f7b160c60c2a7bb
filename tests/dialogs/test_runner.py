"""The runner of conversations, against a server that has learned its part by heart."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest
import trustme

from tests.dialogs.runner import DialogueFailed, run


@asynccontextmanager
async def server(greeting, answers):
    """Answers each line that `answers` knows, and closes after `bye`."""

    talks = set()

    async def talk(reader, writer):
        talks.add(asyncio.current_task())
        try:
            writer.write(greeting)
            while line := await reader.readline():
                writer.write(answers.get(line, b""))
                if line == b"bye\r\n":
                    break
        except ConnectionError:
            pass
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
    await asyncio.gather(*talks)


ANSWERS = {
    b"a1 APPEND x {5}\r\n": b"+ OK\r\n",
    b"hello\r\n": b"* 1 EXISTS\r\n* 2 EXPUNGE\r\na1 OK [APPENDUID 7 42] ok\r\n",
    b"a2 UID FETCH 42 (FLAGS)\r\n": b"* 1 FETCH (UID 42 FLAGS (\\Seen))\r\na2 OK [X] done (really)\r\n",
    b"caf\xc3\xa9 \xff\r\n": b"na\xc3\xafve \xff\n",
}


async def test_a_conversation_is_held_and_remembered():
    text = """
# everything the format has
S: * OK {{host}} ready…
C: a1 APPEND {{box}} {5}
S: + …
C> hel
C: lo
S* a1 OK [APPENDUID {{v}} {{uid:[0-9]+}}] …
C: a2 UID FETCH {{uid}} (FLAGS)
S: {{line:\\* [0-9]{1} FETCH .* FLAGS \\(.*\\)\\)}}
S! … EXPUNGE
S: a2 OK [X] … (…)
C2: café {{octet}}
S2: * OK {{host}} …
S2: naïve {{octet}}
C2: bye
S2.
C.
S.
"""
    given = {"box": "x", "octet": "\udcff"}
    async with server(b"* OK mail.example ready for you\r\n", ANSWERS) as port:
        found = await run(text, "127.0.0.1", port, given)
    assert (found["host"], found["v"], found["uid"]) == ("mail.example", "7", "42")
    assert found["line"] == "* 1 FETCH (UID 42 FLAGS (\\Seen))"
    assert given == {"box": "x", "octet": "\udcff"}


@pytest.mark.parametrize(
    "text,why",
    [
        ("S: * BYE", "something else was said"),
        ("S: * OK", "something else was said"),
        ("S: hi\nS: there", "nothing came"),
        ("S: hi\nC: bye\nS: …", "closed"),
        ("S: hi\nC: bye\nS* a1 OK …", "closed"),
        ("S.", "not closed"),
        ("S: hi\nC: {{nobody}}", "nobody"),
        ("S: hi\nC: a1 APPEND x {5}\nS: …\nC: hello\nS! … EXPUNGE\nS* a1 OK …", "this must not be said here"),
        ("S: {{a:[a-z]}}{{b}}\nC: a1 APPEND x {5}\nS: {{a}}{{b}}", "something else was said"),
        ("X: hi", "no line of a dialogue"),
        ("C* hi", "no line of a dialogue"),
        ("S:hi", "no line of a dialogue"),
    ],
)
async def test_where_it_went_another_way_is_told(text, why):
    async with server(b"hi\r\n", ANSWERS) as port:
        with pytest.raises(DialogueFailed) as failed:
            await run(text, "127.0.0.1", port, patience=1)
    *said, line, reason = str(failed.value).split("\n")
    assert why in reason
    assert line == f"line {text.count(chr(10)) + 1}: {text.splitlines()[-1]}"
    assert not said or said[0] in ("S: hi", "S. closed")


async def test_lines_in_a_row_leave_in_one_packet():
    packets = []

    async def talk(reader, writer):
        packets.append(await reader.read(1000))
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        await run("C: DONE\nC: A2 NOOP\nC: A3 NOOP\nS.", "127.0.0.1", port)
    assert packets == [b"DONE\r\nA2 NOOP\r\nA3 NOOP\r\n"]


async def test_tls_from_the_start_and_later():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mail.example").configure_cert(context)
    secured = []

    async def talk(reader, writer):
        secured.append(writer.get_extra_info("ssl_object") is not None)
        if await reader.readline() == b"STARTTLS\r\n":
            writer.write(b"go\r\n")
            await writer.start_tls(context)
            secured.append(writer.get_extra_info("ssl_object") is not None)
            await reader.readline()
        writer.write(b"safe\r\n")
        await reader.readline()
        writer.close()

    for tls, text in ((None, "C: STARTTLS\nS: go\nT:\nC: NOOP\nS: safe\nC.\nS."), (context, "C: NOOP\nS: safe")):
        async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls) as listening:
            await run(text, "127.0.0.1", listening.sockets[0].getsockname()[1], tls=tls is not None)
    assert secured == [False, True, True]


async def test_a_server_that_is_not_there():
    async with server(b"", {}) as port:
        pass
    with pytest.raises(DialogueFailed, match="line 1: S: hi"):
        await run("S: hi", "127.0.0.1", port)
