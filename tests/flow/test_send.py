import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from daemon.flow.outcome import Result
from daemon.flow.peer import Patience
from daemon.flow.route import Host, Ourselves, Router, Unroutable
from daemon.flow.send import Faults, Sender, Session, Unreachable
from daemon.flow.tls import Tls
from daemon.limits import LIMITS
from daemon.resolver import MX
from daemon.store.blobs import Place
from daemon.store.queue import Claimed, Message
from daemon.store.segments import Appender, Reader
from daemon.store.spool import Body
from daemon.wire import sasl
from tests.flow.table import Table
from tests.instruments.sink import ALL, Sink

BODY = b"Subject: x\r\n\r\nHello.\r\n.\r\n"
QUICK = Patience(connect=2, stagger=0.05, handshake=2, greeting=0.3, command=0.3, content=0.3, end=0.3, quit=0.3)


class Mails:
    """Makes queued messages without a database."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._appender = Appender(directory, 1)
        self.reader = Reader(directory)
        self._ids = itertools.count(1)

    def __call__(self, *to: str, data: bytes = BODY, prefix: bytes = b"X-Prefix: y\r\n", **more: Any) -> list[Claimed]:
        body = Body.of(data)
        self._appender.append([body])
        values = {
            "sender": "a@here.example", "account_id": None, "eightbit": False, "smtputf8": False, "ret": None,
            "envid": None, "origin": "submission", "created_at": 0, "expires_at": 10**15, "warn_at": None, **more,
        }  # fmt: skip
        place = Place(body.segment, body.offset, body.size)
        message = Message(next(self._ids), "t1", place, prefix, len(prefix) + len(data), **values)
        return [Claimed(next(self._ids), message, address, "there.example", None, None, 0, None) for address in to]

    def close(self) -> None:
        self._appender.close()
        self.reader.close()


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[Mails]:
    mails = Mails(tmp_path / "segments")
    yield mails
    mails.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def certified(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    def make(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return make


@pytest.fixture
def sender(mails: Mails, authority: trustme.CA) -> Sender:
    router = Router(Table({}), Ourselves("us.example", listeners=()))
    roots = authority.cert_pem.bytes().decode()
    return Sender(mails.reader, router, Tls(roots), name=lambda: "us.example", patience=QUICK)


def host(sink: Sink, name: str = "mx.there.example", **more: Any) -> Host:
    return Host(name, sink.port, (sink.host,), **more)


@contextlib.asynccontextmanager
async def session(sender: Sender, *hosts: Host) -> AsyncIterator[Session]:
    found = await sender.first_of(hosts)
    try:
        yield found
    finally:
        await found.close()


def told(results: dict[int, Result]) -> list[str]:
    return [f"{r.kind} {r.reason} {r.status}" for _, r in sorted(results.items())]


async def carry(sender: Sender, sink: Sink, claimed: list[Claimed], **more: Any) -> dict[int, Result]:
    async with session(sender, host(sink, **more)) as s:
        return await s.carry(claimed)


async def unreachable(sender: Sender, *hosts: Host) -> Result:
    with pytest.raises(Unreachable) as caught:
        await sender.first_of(hosts)
    return caught.value.result


# -- what arrives ------------------------------------------------------------------------------------------------------


async def test_a_message_arrives_with_its_prefix_byte_for_byte(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink:
        results = await carry(sender, sink, mails("b@there.example", ret="HDRS", envid="e1"))
    (copy,) = sink.copies
    assert copy.data == b"X-Prefix: y\r\n" + BODY
    assert (copy.sender, copy.recipients) == ("a@here.example", ["b@there.example"])
    assert copy.parameters == f"SIZE={len(copy.data)} RET=HDRS ENVID=e1"
    (result,) = results.values()
    assert told(results) == ["sent accepted 2.0.0"] and result.takes_dsn
    assert (result.peer, result.reply, result.tls) == ("mx.there.example [127.0.0.1]", "250 2.0.0 taken", "")
    assert sink.sessions[0].commands()[-1] == "QUIT"


@pytest.mark.parametrize("offers", [(), ("PIPELINING",), ("CHUNKING",), ("PIPELINING", "CHUNKING"), ALL])
@pytest.mark.parametrize("size", [0, 10, 300_000, 3_000_000])
async def test_every_combination_of_extensions_brings_the_same_octets(
    sender: Sender, mails: Mails, offers: tuple[str, ...], size: int
) -> None:
    sender.patience = Patience()  # a busy machine takes more than a moment for the long one
    data = b"Subject: long\r\n\r\n" + b".leading dot, and more text to fill the line with\r\n" * (size // 50)
    async with Sink(offers) as sink:
        results = await carry(sender, sink, mails("b@there.example", data=data))
    assert told(results) == ["sent accepted 2.0.0"] and sink.copies[0].data == b"X-Prefix: y\r\n" + data


@pytest.mark.parametrize("offers", [(), ("CHUNKING",)])
async def test_s5_a_line_of_any_length_goes_out_as_it_came(
    sender: Sender, mails: Mails, offers: tuple[str, ...]
) -> None:
    data = b"Subject: long\r\n\r\n" + b".x" * 30_000 + b"\r\n" + b"y" * 999 + b"\r\n"
    async with Sink(offers) as sink:
        results = await carry(sender, sink, mails("b@there.example", data=data))
    assert told(results) == ["sent accepted 2.0.0"] and sink.copies[0].data == b"X-Prefix: y\r\n" + data


async def test_a_session_carries_one_message_after_another(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink, session(sender, host(sink)) as s:
        for i in range(20):
            assert told(await s.carry(mails(f"u{i}@there.example"))) == ["sent accepted 2.0.0"]
        assert len(sink.copies) == 20 and len(sink.sessions) == 1 and s.usable


async def test_one_transaction_for_all_recipients_of_a_message(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink:
        await carry(sender, sink, mails(*(f"u{i}@there.example" for i in range(10))))
    assert [len(copy.recipients) for copy in sink.copies] == [10]


async def test_a_refused_recipient_does_not_hurt_the_others(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink:
        sink.on("RCPT", "550 5.1.1 nobody\nof that name", match="carol")
        sink.on("RCPT", "450 4.2.1 busy", match="dora")
        results = await carry(sender, sink, mails("b@there.example", "carol@there.example", "dora@there.example"))
    assert told(results) == ["sent accepted 2.0.0", "failed refused 5.1.1", "deferred later 4.2.1"]
    assert sorted(results.items())[1][1].verbatim == "550-5.1.1 nobody\n550 of that name"
    assert [copy.recipients for copy in sink.copies] == [["b@there.example"]]


@pytest.mark.parametrize(
    "stage, answer, want",
    [
        ("MAIL", "550 5.7.1 not you", "failed refused 5.7.1"),
        ("MAIL", "451 4.7.1 greylisted", "deferred later 4.7.1"),
        ("RCPT", "550 no", "failed refused 5.0.0"),
        ("RCPT", "421 4.3.2 going down", "deferred later 4.3.2"),
        ("BDAT", "554 5.7.1 spam", "failed refused 5.7.1"),
        ("BDAT", "drop", "deferred lost 4.4.2"),
        ("BDAT", "stall", "deferred silent 4.4.2"),
        ("MAIL", "drip", "deferred silent 4.4.2"),
        ("RCPT", "endless", "deferred lost 4.4.2"),
        ("MAIL", "endless-lines", "deferred lost 4.4.2"),
        ("MAIL", "530 5.7.0 authenticate first", "deferred login 5.7.0"),
        ("BDAT", "keep-drop", "deferred lost 4.4.2"),
    ],
)
async def test_what_a_peer_does_is_told_for_the_recipient(
    sender: Sender, mails: Mails, stage: str, answer: str, want: str
) -> None:
    async with Sink() as sink:
        sink.on(stage, answer)
        assert told(await carry(sender, sink, mails("b@there.example"))) == [want]


async def test_too_many_recipients_go_in_further_transactions_at_once(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink:
        for stop in ("u3@", "u4@", "u5@"):
            sink.on("RCPT", "452 4.5.3 too many recipients", match=stop, times=1)
        results = await carry(sender, sink, mails(*(f"u{i}@there.example" for i in range(6))))
    assert told(results) == ["sent accepted 2.0.0"] * 6
    assert [len(copy.recipients) for copy in sink.copies] == [3, 3]


async def test_what_a_peer_names_no_limit_for_has_ours(
    sender: Sender, mails: Mails, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(LIMITS, out_recipients=4, outbound_messages_per_connection=3)
    monkeypatch.setattr("daemon.flow.send.LIMITS", limits)
    async with Sink() as sink, session(sender, host(sink)) as s:
        results = await s.carry(mails(*(f"u{i}@there.example" for i in range(9))))
        assert [len(copy.recipients) for copy in sink.copies] == [4, 4, 1]
        assert told(results) == ["sent accepted 2.0.0"] * 9 and not s.usable


async def test_without_named_limits_ours_are_kept(sender: Sender, mails: Mails) -> None:
    most = LIMITS.out_recipients
    async with Sink() as sink, session(sender, host(sink)) as s:
        results = await s.carry(mails(*(f"u{i}@there.example" for i in range(most + 50))))
        assert told(results) == ["sent accepted 2.0.0"] * (most + 50)
        assert [len(copy.recipients) for copy in sink.copies] == [most, 50]
        while s.usable:
            await s.carry(mails("b@there.example"))
        assert len(sink.copies) == LIMITS.outbound_messages_per_connection


async def test_limits_that_the_peer_names_are_kept(sender: Sender, mails: Mails) -> None:
    async with Sink((*ALL, "LIMITS RCPTMAX=2 MAILMAX=3")) as sink, session(sender, host(sink)) as s:
        results = await s.carry(mails(*(f"u{i}@there.example" for i in range(5))))
        assert [len(copy.recipients) for copy in sink.copies] == [2, 2, 1]
        assert told(results) == ["sent accepted 2.0.0"] * 5 and not s.usable
    async with Sink((*ALL, "LIMITS RCPTMAX=2 MAILMAX=1")) as sink:
        results = await carry(sender, sink, mails(*(f"u{i}@there.example" for i in range(3))))
        assert told(results) == ["sent accepted 2.0.0"] * 2 + ["again lost 4.4.2"]
    async with Sink((*ALL, "LIMITS RCPTDOMAINMAX=1")) as sink:
        await carry(sender, sink, mails("a@one.example", "b@two.example", "c@one.example"))
        assert [copy.recipients for copy in sink.copies] == [["a@one.example", "c@one.example"], ["b@two.example"]]


async def test_an_old_connection_that_is_over_decides_nothing(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink, session(sender, host(sink)) as s:
        await s.carry(mails("b@there.example"))
        sink.on("MAIL", "421 4.7.0 too many messages on this connection")
        assert told(await s.carry(mails("c@there.example"))) == ["again later 4.7.0"] and not s.usable


# -- what fits ---------------------------------------------------------------------------------------------------------


async def test_a_message_over_the_peers_size_is_not_sent(sender: Sender, mails: Mails) -> None:
    async with Sink(("SIZE 30",)) as sink:
        results = await carry(sender, sink, mails("b@there.example", "c@there.example"))
    assert told(results) == ["failed too-large 5.3.4"] * 2
    assert results.popitem()[1].reply == "552 5.3.4 the message has 38 octets, mx.there.example takes 30"
    assert "MAIL" not in str(sink.sessions[0].commands())


@pytest.mark.parametrize("offer", ["SIZE", "SIZE 0"])
async def test_size_zero_is_no_limit(sender: Sender, mails: Mails, offer: str) -> None:
    async with Sink((offer,)) as sink:
        assert told(await carry(sender, sink, mails("b@there.example"))) == ["sent accepted 2.0.0"]


EIGHT = (
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße und so weiter und so fort\r\n".encode()
)


async def test_eight_bits_are_declared_converted_or_refused(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink:
        await carry(sender, sink, mails("b@there.example", data=EIGHT))
        assert "BODY=8BITMIME" in sink.copies[0].parameters and sink.copies[0].data.endswith(EIGHT)
    async with Sink(("PIPELINING",)) as sink:
        await carry(sender, sink, mails("b@there.example", data=EIGHT))
        assert b"Gr=C3=BC=C3=9Fe" in sink.copies[0].data
        signed = mails("b@there.example", data=b"DKIM-Signature: v=1\r\n" + EIGHT)
        results = await carry(sender, sink, signed)
        assert told(results) == ["failed needs-8bit 5.6.3"]
        long = mails("b@there.example", data=EIGHT + "ü".encode() * LIMITS.spool_memory)
        assert told(await carry(sender, sink, long)) == ["sent accepted 2.0.0"]
        assert sink.copies[1].data.isascii()


async def test_utf8_addresses_go_only_where_they_are_understood(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink:
        await carry(sender, sink, mails("bücher@there.example", smtputf8=True))
        assert sink.copies[0].recipients == ["bücher@there.example"] and "SMTPUTF8" in sink.copies[0].parameters
        await carry(sender, sink, mails("b@there.example", smtputf8=True))
        assert "SMTPUTF8" not in sink.copies[1].parameters, "not needed, so not asked for"
    old = tuple(offer for offer in ALL if offer != "SMTPUTF8")
    async with Sink(old) as sink:
        both = mails("bücher@there.example", "b@there.example", smtputf8=True)
        assert told(await carry(sender, sink, both)) == ["failed needs-utf8 5.6.7", "sent accepted 2.0.0"]
        results = await carry(sender, sink, mails("b@there.example", sender="ä@here.example", smtputf8=True))
        assert told(results) == ["failed needs-utf8 5.6.7"]
        header = mails("b@there.example", data="Subject: ü\r\n\r\nx\r\n".encode(), smtputf8=True)
        assert told(await carry(sender, sink, header)) == ["failed needs-utf8 5.6.9"]
        long = mails("b@there.example", data=BODY + b"x" * LIMITS.spool_memory, smtputf8=True)
        assert told(await carry(sender, sink, long)) == ["sent accepted 2.0.0"]


async def test_content_that_cannot_be_read_makes_mail_wait(sender: Sender, mails: Mails) -> None:
    (claimed,) = mails("b@there.example")
    async with Sink() as sink:
        for place in (Place(1, 10**6, 100), Place(1, 0, 10**7)):
            lost = claimed._replace(message=claimed.message._replace(place=place))
            assert told(await carry(sender, sink, [lost])) == ["deferred damaged 4.3.0"]
        assert not sink.copies


async def test_a_peer_that_does_not_know_the_bdat_it_offers(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink:
        sink.on("BDAT", "502 5.5.1 what?")
        claimed = mails("b@there.example")
        assert told(await carry(sender, sink, claimed)) == ["again later 5.5.1"]
        assert told(await carry(sender, sink, claimed)) == ["sent accepted 2.0.0"]
        assert "DATA" in sink.sessions[1].commands()


@pytest.mark.parametrize("pause", [0.1, None])
async def test_a_peer_that_reads_slowly_is_waited_for_but_not_for_ever(
    sender: Sender, mails: Mails, pause: float | None
) -> None:
    async with Sink(("PIPELINING", "SIZE")) as sink:
        read = asyncio.StreamReader.readuntil

        async def slow(self: asyncio.StreamReader, separator: bytes = b"\n") -> bytes:
            line = await read(self, separator)
            if line.startswith(b"X-Prefix"):
                self._transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=pause)
                self._transport.resume_reading()  # type: ignore[attr-defined]
            return line

        data = b"x: y\r\n\r\n" + b"z" * 30_000_000 + b"\r\n"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.StreamReader, "readuntil", slow)
            results = await carry(sender, sink, mails("b@there.example", data=data))
        if pause is None:
            assert told(results) == ["deferred lost 4.4.2"]
            assert results.popitem()[1].reply == "takes what we send too slowly"
        else:
            assert told(results) == ["sent accepted 2.0.0"] and sink.copies[0].data.endswith(data)


# -- sessions that do not begin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stage, answer, reason, words",
    [
        ("connect", "554 5.7.1 your address is on a list", "session", "greeting: 554 5.7.1 your address is on a list"),
        ("connect", "421 busy", "session", "greeting: 421 busy"),
        ("connect", "drop", "session", "mx.there.example: the connection was closed before the session began"),
        ("connect", "stall", "session", "mx.there.example: no answer in time"),
        ("connect", "drip", "session", "mx.there.example: no answer in time"),
        ("connect", "endless", "session", "mx.there.example: line over"),
        ("EHLO", "endless-lines", "session", "mx.there.example: reply over"),
        ("EHLO", "421 no", "session", "EHLO: 421 no"),
        ("EHLO", "stall", "session", "mx.there.example: no answer in time"),
    ],
)
async def test_a_session_that_does_not_begin_is_no_verdict_on_the_mail(
    sender: Sender, stage: str, answer: str, reason: str, words: str
) -> None:
    async with Sink() as sink:
        sink.on(stage, answer)
        result = await unreachable(sender, host(sink))
    assert (result.kind, result.reason, result.status[0]) == ("deferred", reason, "4")
    assert result.reply.startswith(words) and result.host == "mx.there.example"


async def test_the_next_host_is_tried_when_one_does_not_talk_to_us(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink, Sink() as busy:
        busy.on("connect", "421 busy")
        nobody = Host("gone.there.example", 1, ("127.0.0.1",))
        async with session(sender, nobody, host(busy, "busy.there.example"), host(sink)) as s:
            assert s.seen.host == "mx.there.example"
        result = await unreachable(sender, host(busy), nobody)
        assert (result.reason, result.reply) == ("connect", "gone.there.example: connection refused")
    assert (await unreachable(sender)).reply == "no host to try"


async def test_a_dead_address_delays_the_next_one_by_a_moment_only(sender: Sender) -> None:
    async with Sink() as sink:
        (port,) = [sink.port]
        held = await asyncio.start_server(lambda r, w: None, "127.0.0.2", 0, backlog=1)
        two = Host("mx.there.example", port, ("::1", "127.0.0.3", "127.0.0.1"))
        async with session(sender, two) as s:
            assert s.seen.address == "127.0.0.1"
        held.close()


async def test_a_host_that_never_answers_costs_its_patience(sender: Sender) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    sender.patience = Patience(connect=0.2, stagger=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "create_connection", never)
        result = await unreachable(sender, Host("dead.example", 25, ("192.0.2.1", "192.0.2.2")))
    assert (result.reason, result.reply) == ("connect", "dead.example: no connection within 0.2 s")


async def test_an_address_of_our_own_choice(sender: Sender, mails: Mails) -> None:
    seen = []
    async with Sink() as sink:
        sender.local = lambda: {4: "127.0.0.9"}
        serve = sink._serve

        async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(writer.get_extra_info("peername")[0])
            await serve(reader, writer)

        sink._serve = watch  # type: ignore[method-assign]
        await sink.stop()
        sink.port = 0
        await sink.start()
        await carry(sender, sink, mails("b@there.example"))
    assert seen == ["127.0.0.9"]


async def test_open_asks_the_router(mails: Mails, authority: trustme.CA) -> None:
    async with Sink() as sink:
        table = Table({("there.example", "MX"): [MX(1, "mx.there.example")], ("mx.there.example", "A"): ["127.0.0.1"]})
        router = Router(table, Ourselves("us.example", listeners=()), port=sink.port)
        sender = Sender(mails.reader, router, Tls(), name=lambda: "us.example", patience=QUICK)
        found = await sender.open("there.example", None)
        assert found.seen.host == "mx.there.example"
        found.abort()
        with pytest.raises(Unroutable):
            await sender.open("nowhere.example", None)


# -- TLS ---------------------------------------------------------------------------------------------------------------


async def test_tls_is_used_when_offered_and_its_certificate_noted(
    sender: Sender, mails: Mails, certified: Callable[[str], ssl.SSLContext]
) -> None:
    for name, verified in (("mx.there.example", True), ("other.example", False)):
        async with Sink(tls=certified(name)) as sink:
            (result,) = (await carry(sender, sink, mails("b@there.example"))).values()
            assert (result.kind, result.tls, result.verified) == ("sent", "TLSv1.3", verified)
            said = [line.split()[0] for line in sink.sessions[0].commands()]
            assert said == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "BDAT", "QUIT"]


async def test_a_session_without_starttls_says_ehlo_once(sender: Sender, mails: Mails) -> None:
    async with Sink() as sink:
        await carry(sender, sink, mails("b@there.example"))
        assert [line.split()[0] for line in sink.sessions[0].commands()].count("EHLO") == 1


async def test_broken_starttls_is_worked_around_when_tls_is_opportunistic(
    sender: Sender, mails: Mails, certified: Callable[[str], ssl.SSLContext]
) -> None:
    async with Sink(tls=certified("mx.there.example")) as sink:
        sink.handshake_garbage = True
        (result,) = (await carry(sender, sink, mails("b@there.example"))).values()
        assert (result.kind, result.tls) == ("sent", "") and result.note.startswith("STARTTLS failed")
        (result,) = (await carry(sender, sink, mails("b@there.example"))).values()
        assert result.kind == "sent" and result.note
        assert len(sink.sessions) == 3, "for some minutes it is not tried again"
        result = await unreachable(sender, host(sink, tls="starttls"))
        assert result.reason == "tls", "required is required"


async def test_a_refused_starttls_goes_on_in_the_clear_on_the_same_connection(
    sender: Sender, mails: Mails, certified: Callable[[str], ssl.SSLContext]
) -> None:
    async with Sink(tls=certified("mx.there.example")) as sink:
        sink.on("STARTTLS", "454 4.7.0 no certificate today")
        (result,) = (await carry(sender, sink, mails("b@there.example"))).values()
        assert (result.kind, result.tls) == ("sent", "") and len(sink.sessions) == 1
        assert (await unreachable(sender, host(sink, tls="starttls"))).reply.startswith("STARTTLS: 454")


async def test_what_is_said_before_the_handshake_does_not_count(
    sender: Sender, certified: Callable[[str], ssl.SSLContext]
) -> None:
    async with Sink(tls=certified("mx.there.example")) as sink:
        sink.on("STARTTLS", "220 go ahead\r\n250-injected\r\n250 AUTH PLAIN")
        with contextlib.suppress(Unreachable):
            async with session(sender, host(sink)) as s:
                assert not s._peer.client.capabilities.auth


async def test_required_tls_checks_the_certificate(
    sender: Sender, mails: Mails, certified: Callable[[str], ssl.SSLContext]
) -> None:
    async with Sink(tls=certified("mx.there.example")) as sink:
        (result,) = (await carry(sender, sink, mails("b@there.example"), tls="starttls")).values()
        assert result.verified
        result = await unreachable(sender, host(sink, "other.example", tls="starttls"))
        assert result.reason == "tls" and "other.example" in result.reply
    async with Sink() as sink:
        result = await unreachable(sender, host(sink, tls="starttls"))
        assert "does not offer STARTTLS" in result.reply


async def test_implicit_tls_begins_at_once(
    sender: Sender, mails: Mails, certified: Callable[[str], ssl.SSLContext]
) -> None:
    async with Sink(tls=certified("mx.there.example"), implicit=True) as sink:
        (result,) = (await carry(sender, sink, mails("b@there.example"), tls="implicit")).values()
        assert (result.tls, result.verified) == ("TLSv1.3", True)
        assert (await unreachable(sender, host(sink, "other.example", tls="implicit"))).reason == "tls"


async def test_tls_none_is_none(sender: Sender, mails: Mails, certified: Callable[[str], ssl.SSLContext]) -> None:
    async with Sink(tls=certified("mx.there.example")) as sink:
        (result,) = (await carry(sender, sink, mails("b@there.example"), tls="none")).values()
        assert result.tls == ""


# -- logging in --------------------------------------------------------------------------------------------------------

LOGIN = {"username": "relay", "password": "secret"}


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "PLAIN", "PLAIN SCRAM-SHA-256"])
async def test_a_smart_host_gets_the_password(sender: Sender, mails: Mails, mechanisms: str) -> None:
    async with Sink(users={"relay": "secret"}) as sink:
        sink.on("EHLO", f"250 sink.test\nAUTH {mechanisms}")
        await carry(sender, sink, mails("b@there.example"), **LOGIN)
        assert sink.sessions[0].login == "relay" and sink.copies


async def test_a_wrong_password_makes_mail_wait(sender: Sender) -> None:
    async with Sink(users={"relay": "other"}) as sink:
        result = await unreachable(sender, host(sink, **LOGIN))
        assert (result.kind, result.reason, result.reply) == (
            "deferred", "login", "AUTH SCRAM-SHA-256: 535 5.7.8 no"
        )  # fmt: skip
        sink.on("EHLO", "250 sink.test\nAUTH GSSAPI")
        assert "no way to log in" in (await unreachable(sender, host(sink, **LOGIN))).reply


@pytest.mark.parametrize(
    "mechanism, answer, words",
    [
        ("SCRAM-SHA-256", "334 !", "malformed SCRAM challenge"),
        ("PLAIN", "334 eA==", "asks for more than the mechanism has"),
        ("SCRAM-SHA-256", "334 eA==", "malformed SCRAM challenge"),
        ("SCRAM-SHA-256", "235 2.7.0 believe me", "malformed SCRAM challenge"),
    ],
)
async def test_a_server_that_breaks_the_exchange_is_left(
    sender: Sender, mechanism: str, answer: str, words: str
) -> None:
    async with Sink(users={"relay": "secret"}) as sink:
        sink.on("EHLO", f"250 sink.test\nAUTH {mechanism}")
        sink.on("AUTH", answer)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("daemon.wire.sasl.exchange", _nothing_asked)
            result = await unreachable(sender, host(sink, **LOGIN))
        assert result.reason == "login" and words in result.reply


def _nothing_asked(*_: object) -> Iterator[None]:
    """A server side that comes to its end at once, so that the rule's answer is the first one."""
    raise sasl.Refused("cancelled", "")
    yield


async def test_a_password_is_not_told_without_checked_tls(
    sender: Sender, mails: Mails, certified: Callable[[str], ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.flow.send._is_loopback", lambda host: False)
    async with Sink(users={"relay": "secret"}) as sink:
        result = await unreachable(sender, host(sink, **LOGIN))
        assert result.reason == "tls"
        await carry(sender, sink, mails("b@there.example"), tls="none", **LOGIN)
        assert sink.sessions[-1].login == "relay", "the administrator asked for it"
    async with Sink(users={"relay": "secret"}, tls=certified("mx.there.example")) as sink:
        await carry(sender, sink, mails("b@there.example"), **LOGIN)
        assert sink.sessions[-1].login == "relay" and sink.sessions[-1].tls
        assert (await unreachable(sender, host(sink, "other.example", **LOGIN))).reason == "tls"
        assert sink.sessions[-1].login == ""


async def test_faults_are_forgotten_after_minutes() -> None:
    now = [0.0]
    faults = Faults(clock=lambda: now[0])
    faults.remember("tls", "mx", "broken")
    assert faults.of("tls", "mx") == "broken" and not faults.of("bdat", "mx")
    now[0] = LIMITS.out_fault_memory + 1
    assert faults.of("tls", "mx") == ""
    for i in range(LIMITS.out_memory + 5):
        faults.remember("tls", str(i), "x")
    assert len(faults._until) == LIMITS.out_memory
