"""Other filters are asked: what they say and change counts, and what they do wrong is seen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from daemon.config import BadSetting, Config
from daemon.flow import draft, engines, milter, milter_line
from daemon.flow.draft import Changes
from daemon.flow.engines import Asked
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store.addresses import Denial
from daemon.store.spool import Body
from daemon.trust.results import Opinion
from daemon.wire.milter import Step
from tests.fuzz.conversations import MILTER
from tests.fuzz.harness import Mutator
from tests.instruments.milter import (
    ACCEPT,
    CONTINUE,
    DISCARD,
    DROP,
    REJECT,
    STALL,
    TEMPFAIL,
    Milter,
    header,
    options,
    packet,
    text,
)

HEAD = b"From: Al <al@far.example>\r\nTo: ann@here.example\r\nSubject:  two\r\n\tlines\r\n"
DATA = HEAD + b"\r\nfirst\r\nsecond\r\n"
STRANGER = Origin("smtp", "192.0.2.1", "mx.far.example", tls="TLSv1.3")
NOBODY = "unix:/nowhere/at.all"


def envelope(*to: str, sender: str = "al@far.example") -> Envelope:
    recipients = [Recipient(parse_address(address)) for address in to or ("ann@here.example",)]
    return Envelope(parse_address(sender) if sender else None, recipients)


async def ask(
    *filters: Milter | str, data: bytes = DATA, origin: Origin = STRANGER, given: Envelope | None = None,
    timeout: str = "10s", **more: Any,
) -> Asked:  # fmt: skip
    names = ",".join(f.setting if isinstance(f, Milter) else f for f in filters)
    config = Config([("hostname", "mx.here.example"), ("filter.milters", names), ("filter.timeout", timeout)])
    body = Body.of(data)
    return await engines.ask(config, origin, given or envelope(), body, now=0, trace="tr", **more)


async def asked(
    answers: Mapping[str, Sequence[bytes]], greeting: bytes | None = None, mute: str = "", **more: Any
) -> tuple[Asked, Milter]:
    """What a filter with these answers makes of it, and what it heard."""
    async with Milter(answers, greeting=greeting, mute=mute) as one:
        return await ask(one, **more), one


def only(found: Asked) -> Opinion:
    (opinion,) = found.opinions
    return opinion


# -- the conversation --------------------------------------------------------------------------------------------------


async def test_a_filter_hears_the_whole_conversation() -> None:
    given = envelope("ann@here.example", "bob@here.example")
    found, one = await asked({}, given=given, reverse="mx.far.example")
    assert (only(found).action, found.changes) == ("accept", Changes(sender=given.sender))
    assert found.body.bytes() == DATA and found.changes.of(given) is given
    assert one.order == "OCHMRRTLLLNBEQ"
    assert one.offered == (6, 0x1FF, 0x301FF7FF)
    assert one.told("C") == [b"mx.far.example\x004\0\x00192.0.2.1\0"]
    assert one.told("M") == [b"<al@far.example>\0"]
    assert one.told("R") == [b"<ann@here.example>\0", b"<bob@here.example>\0"]
    assert one.told("L") == [b"From\0Al <al@far.example>\0", b"To\0ann@here.example\0", b"Subject\0two\n\tlines\0"]
    assert one.told("B") == [b"first\r\nsecond\r\n"]
    assert one.macros("C") == {
        "j": "mx.here.example", "_": "mx.far.example [192.0.2.1]", "{daemon_name}": "smtp",
        "{client_name}": "mx.far.example", "{client_ptr}": "mx.far.example", "{client_addr}": "192.0.2.1",
    }  # fmt: skip
    assert one.macros("H") == {"{tls_version}": "TLSv1.3"}
    assert one.macros("R") == {"{rcpt_addr}": "bob@here.example", "{rcpt_host}": "here.example"}
    assert one.macros("E") == {"i": "tr"}


async def test_who_logged_in_and_an_unknown_client_are_told() -> None:
    user = Origin("submission", "2001:db8::1", "[10.0.0.1]", account_id=7)
    found, one = await asked({}, origin=user, given=envelope(sender="ann@here.example"))
    assert one.macros("M")["{auth_authen}"] == "ann@here.example"
    assert one.told("C") == [b"[IPv6:2001:db8::1]\x006\0\x002001:db8::1\0"]
    found, one = await asked({}, origin=Origin("smtp"), given=envelope(sender=""))
    assert one.told("C") == [b"localhost\0U"] and one.told("M") == [b"<>\0"]
    assert "{mail_addr}" not in one.macros("M") and only(found).action == "accept"


@pytest.mark.parametrize(
    "steps, mute, want",
    [
        (Step.NOCONNECT | Step.NOHELO, "", "OMRTLLLNBEQ"),
        (Step.NOMAIL | Step.NORCPT | Step.NODATA | Step.NOEOH, "", "OCHLLLBEQ"),
        (Step.NOHDRS | Step.NOBODY, "", "OCHMRTNEQ"),
        (Step.NR_HDR | Step.NR_CONN, "CL", "OCHMRTLLLNBEQ"),
        (Step.NR_HELO | Step.NR_MAIL | Step.NR_RCPT | Step.NR_DATA | Step.NR_EOH | Step.NR_BODY, "HMRTNB",
         "OCHMRTLLLNBEQ"),
    ],
)  # fmt: skip
async def test_what_a_filter_does_not_want_or_does_not_answer(steps: Step, mute: str, want: str) -> None:
    found, one = await asked({"E": [REJECT]}, options(steps=steps), mute)
    assert (only(found).action, one.order) == ("refuse", want)


async def test_a_filter_says_which_macros_it_wants() -> None:
    wants = b"\0\0\0\0j {client_addr} nonsense\0" + b"\0\0\0\5{mail_addr}\0"
    async with Milter(greeting=options(more=wants)) as one:
        assert only(await ask(one)).action == "accept"
        assert one.macros("C") == {"j": "mx.here.example", "{client_addr}": "192.0.2.1"}
        assert one.macros("E") == {"{mail_addr}": "al@far.example"}


async def test_blanks_after_the_colon_are_told_to_who_wants_them() -> None:
    answers = {"E": [header("N", "close"), header("N", "  far"), CONTINUE]}
    async with Milter(answers, greeting=options(steps=Step.HDR_LEADSPC)) as one:
        found = await ask(one)
        assert one.told("L")[2] == b"Subject\0  two\n\tlines\0"
        assert found.body.bytes() == HEAD + b"N:close\r\nN:  far\r\n\r\nfirst\r\nsecond\r\n"


@pytest.mark.parametrize("step, size", [(0, 65535), (Step.MDS_256K, 262143), (Step.MDS_1M, 1048575)])
async def test_a_body_is_told_in_pieces_as_large_as_agreed(step: int, size: int) -> None:
    body = b"x" * 998 + b"\r\n"
    data = HEAD + b"\r\n" + body * 1100
    async with Milter(greeting=options(steps=step)) as one:
        assert only(await ask(one, data=data)).action == "accept"
        pieces = one.told("B")
        assert b"".join(pieces) == body * 1100 and {len(piece) for piece in pieces[:-1]} <= {size}


async def test_a_filter_that_has_seen_enough_of_a_body_gets_no_more() -> None:
    found, one = await asked({"B": [packet("s")]}, data=DATA + b"x\r\n" * 100_000)
    assert (only(found).action, one.order) == ("accept", "OCHMRTLLLNBEQ")


async def test_a_field_too_long_for_a_packet_is_told_as_far_as_it_goes() -> None:
    found, one = await asked({}, data=b"Long: " + b"x" * 70_000 + b"\r\n\r\n")
    (told,) = one.told("L")
    assert only(found).action == "accept" and 65530 < len(told) <= 65535


# -- verdicts ----------------------------------------------------------------------------------------------------------


def said(action: str, words: str = "", code: int = 0, enhanced: str = "") -> tuple[Any, ...]:
    return action, words, code, enhanced


@pytest.mark.parametrize("stage", "CHMTLNBE")
@pytest.mark.parametrize(
    "answer, want",
    [
        (REJECT, said("refuse")),
        (TEMPFAIL, said("defer")),
        (packet("4"), said("defer")),
        (text("y", "554 5.6.0 it is bad"), said("refuse", "it is bad", 554, "5.6.0")),
        (text("y", "451 4.7.1 later"), said("defer", "later", 451, "4.7.1")),
        (ACCEPT, said("accept")),
        (DISCARD, said("accept", "taken and dropped")),
    ],
)
async def test_a_verdict_at_any_stage(stage: str, answer: bytes, want: tuple[Any, ...]) -> None:
    found, one = await asked({stage: [packet("p"), answer], "E": [answer] if stage == "E" else [REJECT]})
    opinion = only(found)
    assert (opinion.action, opinion.text, opinion.code, opinion.enhanced) == want
    assert one.order.endswith(stage + "Q") and opinion.engine == one.setting
    assert found.changes.discarded == (one.setting if answer == DISCARD else "")


async def test_a_refused_recipient_is_refused_alone() -> None:
    given = envelope("ann@here.example", "bob@here.example")
    wants = {"R": [text("y", "550 5.1.1 not bob")]}
    found, one = await asked(wants, given=given)
    assert only(found)[:2] == (one.setting, "refuse") and only(found).text == "not bob"
    assert one.order == "OCHMRRQ", "nobody is left"
    assert [str(address) for address, _ in found.changes.denied] == ["ann@here.example", "bob@here.example"]
    assert found.changes.denied[0][1] == Denial(550, "5.1.1", "filter", "not bob")


@pytest.mark.parametrize(
    "answer, want, action",
    [
        (REJECT, Denial(550, "5.7.1", "filter", "refused by a filter"), "refuse"),
        (TEMPFAIL, Denial(451, "4.7.1", "filter", "a filter asks to try again later"), "defer"),
        (text("y", "450 hm"), Denial(450, "4.7.1", "filter", "hm"), "defer"),
        (text("y", "550"), Denial(550, "5.7.1", "filter", "refused by a filter"), "refuse"),
    ],
)
async def test_the_words_for_a_recipient(answer: bytes, want: Denial, action: str) -> None:
    found, _ = await asked({"R": [answer]})
    assert found.changes.denied[0][1] == want and only(found).action == action


async def test_one_of_two_recipients_is_refused_and_the_next_filter_does_not_hear_of_it() -> None:
    given = envelope("ann@here.example", "bob@here.example")
    async with OneRefused() as first, Milter() as second:
        found = await ask(first, second, given=given)
        assert [opinion.action for opinion in found.opinions] == ["accept", "accept"]
        assert [str(address) for address, _ in found.changes.denied] == ["bob@here.example"]
        assert second.told("R") == [b"<ann@here.example>\0"]
        assert len(found.changes.of(given).recipients) == 2, "what they are told is another matter"


class OneRefused(Milter):
    """Bob is refused, whoever comes before him is not."""

    def answer(self, kind: str, data: bytes) -> Sequence[bytes]:
        return [REJECT] if kind == "R" and b"bob" in data else [CONTINUE]


async def test_a_filter_may_hang_up_after_its_verdict() -> None:
    for stage, verdict, action in (("E", CONTINUE, "accept"), ("M", TEMPFAIL, "defer")):
        found, _ = await asked({stage: [verdict, DROP]})
        assert only(found).action == action


# -- changes -----------------------------------------------------------------------------------------------------------


async def test_the_header_is_changed_as_a_filter_counts() -> None:
    changes = [
        header("X-Last", "1\n\t2"), header("X-First", "1", "i", 0), header("X-Second", "2", "i", 2),
        header("subject", "one line", "m", 1), header("To", "", "m", 0), header("New", "n", "m", 1),
        header("Evil", "a\r\n\r\nbody"), CONTINUE,
    ]  # fmt: skip
    found, _ = await asked({"E": changes})
    assert found.body.bytes() == (
        b"X-First: 1\r\nX-Second: 2\r\nFrom: Al <al@far.example>\r\nsubject: one line\r\n"
        b"X-Last: 1\r\n\t2\r\nNew: n\r\nEvil: a\r\n\tbody\r\n\r\nfirst\r\nsecond\r\n"
    )


@pytest.mark.parametrize(
    "pieces, want",
    [
        ([b"new\r\n", b"body\r\n"], b"new\r\nbody\r\n"),
        ([b"new\r", b"\nbody"], b"new\r\nbody\r\n"),
        ([b"bare\n.\n", b"bare\r", b"x\r"], b"bare\r\n.\r\nbare\r\nx\r\n"),
        ([b""], b""),
    ],
)
async def test_a_new_body_has_whole_line_ends(pieces: list[bytes], want: bytes) -> None:
    answers = {"E": [*(packet("b", piece) for piece in pieces), CONTINUE]}
    found, _ = await asked(answers)
    assert found.body.bytes() == HEAD + b"\r\n" + want
    found, _ = await asked(answers, data=HEAD)
    assert found.body.bytes() == HEAD + b"\r\n" + want


async def test_a_long_message_is_changed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    real = asyncio.to_thread
    monkeypatch.setattr(asyncio, "to_thread", lambda *what: threads.append(what) or real(*what))
    long = DATA + b"x\r\n" * LIMITS.parse_inline
    found, _ = await asked({"E": [header("N", "1"), CONTINUE]}, data=long)
    assert found.body.bytes() == long.replace(b"\r\n\r\n", b"\r\nN: 1\r\n\r\n", 1) and len(threads) == 1


async def test_the_envelope_is_changed() -> None:
    given = envelope("ann@here.example", "bob@here.example")
    changes = [
        text("e", "<new@far.example>"), text("-", "<ANN@here.example>"), text("+", "<cy@here.example>"),
        text("+", "bob@here.example"), text("+", "<di@far.example>"), text("-", "di@far.example"),
        packet("2", b"<ed@here.example>\0NOTIFY=NEVER\0"), text("-", "<nobody@here.example>"), ACCEPT,
    ]  # fmt: skip
    found, _ = await asked({"E": changes}, given=given)
    changed = found.changes.of(given)
    assert str(changed.sender) == "new@far.example"
    assert [str(r.address) for r in changed.recipients] == ["bob@here.example", "cy@here.example", "ed@here.example"]
    assert found.body.bytes() == DATA and len(given.recipients) == 2, "what was handed in stays"
    found, _ = await asked({"E": [text("e", "<>"), ACCEPT]})
    assert (found.changes.sender_changed, found.changes.sender) == (True, None)


async def test_each_filter_sees_what_those_before_it_changed() -> None:
    changes = [
        header("X-One", "1"), header("Subject", "", "m", 1), packet("b", b"other\r\n"), text("e", "<n@far.example>"),
        text("+", "<cy@here.example>"), text("-", "<ann@here.example>"), CONTINUE,
    ]  # fmt: skip
    async with Milter({"E": changes}) as first, Milter({"E": [header("X-One", "2", "m", 1), CONTINUE]}) as second:
        found = await ask(first, second)
        assert second.told("L") == [b"From\0Al <al@far.example>\0", b"To\0ann@here.example\0", b"X-One\x001\0"]
        assert second.told("B") == [b"other\r\n"] and second.told("M") == [b"<n@far.example>\0"]
        assert second.told("R") == [b"<cy@here.example>\0"]
        assert b"X-One: 2\r\n\r\nother\r\n" in found.body.bytes()


async def test_changes_of_a_filter_that_does_not_want_the_message_do_not_count() -> None:
    for verdict in (REJECT, TEMPFAIL, DISCARD):
        found, _ = await asked({"E": [header("N", "1"), packet("b", b"x"), text("+", "<c@here.example>"), verdict]})
        assert found.body.bytes() == DATA and not found.changes.added


async def test_the_round_ends_with_who_refuses_defers_or_drops() -> None:
    for verdict in (REJECT, TEMPFAIL, DISCARD):
        async with Milter({"E": [verdict]}) as first, Milter() as second:
            assert len((await ask(first, second)).opinions) == 1 and second.connections == 0


# -- opinions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields, want",
    [
        ([("X-Spam-Flag", "YES")], ("junk", None, None, ())),
        ([("X-Spam-Flag", "NO")], ("accept", None, None, ())),
        ([("X-Spam", "Yes")], ("junk", None, None, ())),
        ([("X-Spam", "yesterday")], ("accept", None, None, ())),
        ([("Subject", "YES"), ("X-Other", "Yes")], ("accept", None, None, ())),
        ([("X-Virus-Status", "Infected (Eicar)")], ("junk", None, None, ())),
        ([("X-Virus-Status", "Clean")], ("accept", None, None, ())),
        ([("X-Spam-Status", "Yes, score=12.5 required=5.0 tests=GTUBE,\n\tNO_RELAYS autolearn=no")],
         ("junk", 12.5, 5.0, ("GTUBE", "NO_RELAYS"))),
        ([("X-Spam-Status", "No, hits=-1 required=5")], ("accept", -1.0, 5.0, ())),
        ([("X-Spam", "Yes"), ("X-Spamd-Result", "default: False [7.20 / 15.00];\n\tR_DKIM_NA(0.00)[];\n\tABC(1.5)[x]")],
         ("junk", 7.2, 15.0, ("R_DKIM_NA(0.00)", "ABC(1.5)"))),
        ([("X-Spam-Status", "Yes, score=nan required=" + "9" * 5000)], ("junk", None, None, ())),
    ],
)  # fmt: skip
async def test_fields_that_tell_an_opinion(fields: list[tuple[str, str]], want: tuple[Any, ...]) -> None:
    found, _ = await asked({"E": [*(header(*field) for field in fields), CONTINUE]})
    assert only(found)[1:5] == want


@pytest.mark.parametrize(
    "value, virus", [("Infected (Eicar)", "Eicar"), ("infected", "infected"), ("Clean", ""), ("Not Scanned", "")]
)
async def test_a_virus_that_another_filter_found_is_known_by_its_name(value: str, virus: str) -> None:
    found, _ = await asked({"E": [header("X-Virus-Status", value), CONTINUE]})
    assert only(found).virus == virus


async def test_fields_that_came_with_the_message_are_no_opinion() -> None:
    found, _ = await asked({"E": [header("X-Spam-Flag", "", "m", 1), CONTINUE]}, data=b"X-Spam-Flag: YES\r\n" + DATA)
    assert only(found).action == "accept" and found.body.bytes() == DATA


async def test_a_quarantine_is_an_opinion_with_its_reason() -> None:
    found, _ = await asked({"E": [text("q", "Eicar-Signature"), CONTINUE]})
    assert (only(found).action, only(found).text) == ("junk", "Eicar-Signature")
    found, _ = await asked({"E": [text("q", ""), header("N", "1"), CONTINUE]})
    assert only(found).text and b"N: 1" in found.body.bytes()


async def test_words_and_rules_passed_on_are_bounded() -> None:
    found, _ = await asked({"E": [text("y", "550 5.7.1 " + "no" * 1000)]})
    assert len(only(found).text) == LIMITS.filter_words
    tests = ",".join(f"RULE_{n}" for n in range(100))
    found, _ = await asked({"E": [header("X-Spam-Status", f"No, score=1 required=5 tests={tests}"), CONTINUE]})
    assert len(only(found).symbols) == LIMITS.filter_symbols


# -- what goes wrong ---------------------------------------------------------------------------------------------------


async def failed(*filters: Milter | str, **more: Any) -> str:
    """What is said of the one filter that could not be asked; the message is as it was."""
    found = await ask(*filters, **more)
    opinion = only(found)
    assert (opinion.action, found.body.bytes()) == ("error", more.get("data", DATA))
    assert found.changes == Changes(sender=parse_address("al@far.example")) and engines.failed(found.opinions)
    return opinion.text


@pytest.mark.parametrize("stage", "OCHMRTLNBE")
@pytest.mark.parametrize(
    "answer, words",
    [
        (DROP, "closed the connection"),
        (b"\0\0", "closed the connection"),
        (packet("Z"), "unknown kind"),
        (b"\0\0\0\0", "without a kind"),
        (b"HTTP/1.1 400 Bad Request\r\n", "over"),
        (b"\xff\xff\xff\xffO", "over"),
        (packet("O"), "too short"),
        (packet("f"), ""),
    ],
)
async def test_what_no_filter_does(stage: str, answer: bytes, words: str) -> None:
    async with Milter({stage: [answer, DROP]}) as one:
        assert words in await failed(one)


@pytest.mark.parametrize(
    "answers, words",
    [
        ({"C": [header("A", "1"), CONTINUE]}, "no place"),
        ({"M": [text("q", "x"), CONTINUE]}, "no place"),
        ({"C": [CONTINUE, CONTINUE]}, "without being asked"),
        ({"E": [CONTINUE, REJECT]}, "goes on"),
        ({"M": [REJECT, CONTINUE]}, "goes on"),
        ({"E": [options(), CONTINUE]}, "anew"),
        ({"E": [text("+", "no address"), CONTINUE]}, "address"),
        ({"E": [text("e", "a@b@c d"), CONTINUE]}, "address"),
        ({"E": [text("+", "a\r\n@b.example"), CONTINUE]}, "address"),
        ({"E": [packet("p")] * (LIMITS.milter_packets + 1)}, "packets"),
        ({"E": [header("A", "x")] * (LIMITS.filter_edits + 1) + [CONTINUE]}, "changes"),
        ({"E": [header("A", "x" * 500_000)] * 3 + [CONTINUE]}, "octets of header"),
        ({"E": [text("+", f"u{n}@here.example") for n in range(LIMITS.filter_recipients + 1)] + [CONTINUE]},
         "recipients"),
        ({"E": [packet("b", b"x" * (1 << 20))] * 51 + [CONTINUE]}, "body is over"),
        ({"E": [packet("b", b"x" * (LIMITS.milter_packet + 1)), CONTINUE]}, "a packet of"),
    ],
)  # fmt: skip
async def test_what_a_filter_may_not_want(answers: dict[str, list[bytes]], words: str) -> None:
    async with Milter(answers) as one:
        assert words in await failed(one)


async def test_a_header_that_was_long_already_does_not_grow_over_the_limit() -> None:
    long = b"X: " + b"x" * (LIMITS.header_bytes - 100) + b"\r\n\r\n"
    async with Milter({"E": [header("A", "x" * 200), CONTINUE]}) as one:
        assert "octets of header" in await failed(one, data=long)


@pytest.mark.parametrize(
    "greeting", [options(actions=0x200), options(steps=Step.RCPT_REJ), options(version=7), CONTINUE]
)
async def test_a_filter_that_wants_what_was_not_offered_is_not_asked(greeting: bytes) -> None:
    async with Milter(greeting=greeting) as one:
        assert await failed(one) and one.order == "O"


async def test_nobody_there() -> None:
    assert "No such file" in await failed(NOBODY)
    async with Milter() as one:
        where = one.setting
    assert "refused" in await failed(where)


@pytest.mark.parametrize("stage", "OMBE")
async def test_a_filter_that_hangs_costs_the_time_for_one_answer(stage: str) -> None:
    async with Milter({stage: [b"" if stage == "O" else packet("p"), STALL]}) as one:
        assert await failed(one, timeout="1s") == "no answer within 1 s"


async def test_a_filter_that_reads_nothing_costs_no_more() -> None:
    over = asyncio.Event()

    class Deaf(Milter):
        """It answers while it has not read what it is asked."""

        async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            mute = Step.NR_CONN | Step.NR_HELO | Step.NR_MAIL | Step.NR_RCPT | Step.NR_DATA | Step.NR_HDR
            writer.write(options(steps=mute | Step.NR_EOH | Step.NR_BODY))
            await over.wait()

    async with Deaf() as one:
        assert await failed(one, timeout="1s", data=DATA + b"x\r\n" * 3_000_000) == "no answer within 1 s"
        over.set()


async def test_asking_for_patience_is_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Milter):
        async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(options())
            await reader.readexactly(17 + 4)
            while not writer.is_closing():
                writer.write(packet("p"))
                await asyncio.sleep(0.05)

    monkeypatch.setattr(engines, "LIMITS", replace(LIMITS, filter_patience=1))
    async with Slow() as slow, Milter() as good:
        found = await ask(slow, good, timeout="30s")
        assert [opinion.action for opinion in found.opinions] == ["error", "error"]
        assert "of all filters" in found.opinions[0].text


async def test_a_connection_that_is_not_made_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milter_line, "LIMITS", replace(LIMITS, filter_connect=0.05))

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_connection", never)
    assert "no connection" in await failed(NOBODY)


async def test_others_are_asked_all_the_same_and_a_fault_of_ours_is_none_of_the_message(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with Milter({"E": [REJECT]}) as good:
        found = await ask(NOBODY, good)
        assert [opinion.action for opinion in found.opinions] == ["error", "refuse"]

    async def fault(*_: object) -> Opinion:
        raise ValueError("ours")

    monkeypatch.setattr(milter, "ask", fault)
    assert only(await ask(NOBODY)).text == "it could not be asked"


async def test_a_body_that_was_begun_for_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[draft.NewBody]()
    real = draft.NewBody
    monkeypatch.setattr(draft, "NewBody", lambda body: made.append(real(body)) or made[-1])
    found, _ = await asked({"E": [packet("b", b"x"), DROP]})
    assert only(found).action == "error" and found.body.bytes() == DATA
    assert made[0]._body._closed


async def test_whatever_a_filter_says_is_an_opinion_and_leaves_a_message() -> None:
    """The fuzzer's seeds and words, at any stage; the message that is left has a header, a body and whole lines."""
    dice = random.Random(6)
    said = Mutator(MILTER.seeds, MILTER.words, dice)
    actions = set[str]()
    for number, words in zip(range(400), said, strict=False):
        if number % 2:  # words in any order, a verdict last
            verdict = dice.choice([CONTINUE, REJECT, TEMPFAIL, text("q", "why") + ACCEPT])
            words = b"".join(dice.choices(MILTER.words, k=dice.randint(0, 3))) + verdict
        one = Milter({dice.choice("CMRTLBEEEEEE"): [words, DROP]})
        async with one:
            found = await ask(one)
        data = found.body.bytes()
        assert data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r") and b"\r\n\r\n" in data
        assert only(found).action != "error" or data == DATA
        actions.add(only(found).action)
    assert actions == {"accept", "junk", "refuse", "defer", "error"}


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, want",
    [
        ("", []),
        ("unix:/run/a.sock, inet:127.0.0.1:8891 inet6:[::1]:8892", None),
        ("inet:filter.example:11332", None),
        ("unix:relative", BadSetting),
        ("/run/a.sock", BadSetting),
        ("inet:127.0.0.1", BadSetting),
        ("inet::8891", BadSetting),
        ("tcp:127.0.0.1:1", BadSetting),
        (",".join(f"inet:127.0.0.1:{n}" for n in range(1, LIMITS.filters + 2)), BadSetting),
    ],
)
def test_where_filters_are(value: str, want: Any) -> None:
    if want is BadSetting:
        with pytest.raises(BadSetting):
            Config([("filter.milters", value)])
    else:
        found = Config([("filter.milters", value)])["filter.milters"]
        assert [str(where) for where in found] == value.replace(",", " ").split()


@pytest.mark.parametrize(
    "value, good",
    [
        ("http://127.0.0.1:11333", True), ("https://[::1]:1/", True), ("unix:/run/rspamd.sock", True), ("", True),
        ("127.0.0.1:11333", False), ("http://a/b", False), ("unix:rel", False), ("ftp://x", False),
    ],
)  # fmt: skip
def test_where_rspamd_is(value: str, good: bool) -> None:
    if good:
        assert Config([("filter.rspamd", value)])["filter.rspamd"] == value.rstrip("/")
    else:
        with pytest.raises(BadSetting):
            Config([("filter.rspamd", value)])


@pytest.mark.parametrize("value", ["0s", "31s", "5m", "soon"])
def test_a_sender_does_not_wait_for_ever(value: str) -> None:
    with pytest.raises(BadSetting):
        Config([("filter.timeout", value)])


@pytest.mark.parametrize(
    "kind, rows, want",
    [
        ("smtp", [], False),
        ("smtp", [("filter.milters", NOBODY)], True),
        ("smtp", [("filter.rspamd", "http://127.0.0.1:1")], True),
        ("submission", [("filter.milters", NOBODY)], False),
        ("submission", [("filter.milters", NOBODY), ("filter.outgoing", "yes")], True),
        ("relay", [("filter.milters", NOBODY), ("filter.outgoing", "yes")], False),
        ("notice", [("filter.milters", NOBODY), ("filter.outgoing", "yes")], False),
        ("lmtp", [("filter.milters", NOBODY)], False),
    ],
)
def test_what_is_shown_to_them(kind: str, rows: list[tuple[str, str]], want: bool) -> None:
    assert engines.wanted(Config(rows), Origin(kind)) is want


def test_mail_that_could_not_be_shown_says_so() -> None:
    good, bad = Opinion("inet:127.0.0.1:1", "junk"), Opinion("unix:/é", "error", text="no answer\r\nEvil: 1")
    assert engines.tag((good,)) == b"" and not engines.failed((good,))
    assert engines.tag((good, bad)) == b"X-Filter-Error: unix:/?: no answer\r\n\tEvil: 1\r\n"
