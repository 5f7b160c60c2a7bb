"""Filters that others run beside their mail server are asked by ours: rspamd, SpamAssassin, ClamAV, opendkim."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from daemon.config import Config, Socket
from daemon.flow import engines, milter, rspamd
from daemon.flow.engines import Asked
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.opinions import Patience
from daemon.mail.address import parse_address
from daemon.mail.headers import format_date
from daemon.store.spool import Body
from daemon.trust import dkim
from daemon.trust.sign import Key, generate, public_record
from tests.instruments import filters
from tests.instruments.filters import GTUBE, PATTERN, VIRUS, Filters
from tests.instruments.until import PATIENCE
from tests.trust.crafting import Keyring

NOW = int(time.time())
STRANGER = Origin("smtp", "192.0.2.1", "mx.far.example")
USER = Origin("submission", "192.0.2.7", "laptop", account_id=1)


@pytest.fixture(scope="module")
def rspamd_running() -> Iterator[Filters]:
    with filters.rspamd() as running:
        yield running


@pytest.fixture(scope="module")
def spamassassin() -> Iterator[Filters]:
    with filters.spamassassin() as running:
        yield running


@pytest.fixture(scope="module")
def clamav() -> Iterator[Filters]:
    with filters.clamav() as running:
        yield running


def message(body: bytes = b"Shall we meet for lunch tomorrow?", subject: bytes = b"lunch", top: bytes = b"") -> bytes:
    head = b"From: Al <al@far.example>\r\nTo: Ann <ann@here.example>\r\nDate: %s\r\nMessage-ID: <%d@far.example>\r\n"
    known = (format_date(NOW).encode(), random.Random(body).randrange(10**9))
    return top + head % known + b"Subject: " + subject + b"\r\n\r\n" + body + b"\r\n"


async def ask(
    *where: str, data: bytes, url: str = "", origin: Origin = STRANGER, to: tuple[str, ...] = ("ann@here.example",)
) -> Asked:
    config = Config([("hostname", "mx.here.example"), ("filter.milters", ",".join(where)), ("filter.rspamd", url)])
    envelope = Envelope(parse_address("al@far.example"), [Recipient(parse_address(address)) for address in to])
    return await engines.ask(
        config, origin, envelope, Body.of(data), now=NOW * 1000, trace="trace1", reverse="mx.far.example"
    )


async def opinion(*where: str, **more: object) -> tuple[str, str, bytes]:
    """What the last of them says: action and words; the message then."""
    found = await ask(*where, **more)  # type: ignore[arg-type]
    return found.opinions[-1].action, found.opinions[-1].text, found.body.bytes()


# -- rspamd ------------------------------------------------------------------------------------------------------------


async def test_rspamd_as_a_milter(rspamd_running: Filters) -> None:
    where = rspamd_running.milter
    action, _, data = await opinion(where, data=message())
    assert action == "accept" and b"\r\nX-Spamd-Result: default: False [0.00 / 15.00]\r\n\r\n" in data
    assert (await opinion(where, data=message(GTUBE)))[:2] == ("refuse", "Gtube pattern")
    action, _, data = await opinion(where, data=message(b"Y" + PATTERN))
    assert action == "junk" and b"\r\nX-Spam: Yes\r\n" in data
    action, _, data = await opinion(where, data=message(b"Z" + PATTERN))
    assert b"\r\nSubject: *** SPAM *** lunch\r\n" in data


async def test_rspamd_by_its_own_protocol(rspamd_running: Filters) -> None:
    url = rspamd_running.url
    found = await ask(data=message(), url=url)
    assert found.opinions[0][:4] == (url, "accept", 0.0, 15.0) and b"X-Spamd-Result" in found.body.bytes()
    found = await ask(data=message(GTUBE), url=url)
    assert found.opinions[0][:5] == (url, "refuse", 15.0, 15.0, ("GTUBE(0)",))
    assert found.opinions[0].text == "Gtube pattern"
    assert (await opinion(data=message(b"Y" + PATTERN), url=url))[0] == "junk"
    action, _, data = await opinion(data=message(b"Z" + PATTERN), url=url)
    assert action == "junk" and b"\r\nSubject: *** SPAM *** lunch\r\n" in data
    assert await rspamd.alive(url, 5) == "pong"


async def test_rspamd_takes_mail_of_any_size_both_ways(rspamd_running: Filters) -> None:
    data = message(b"lunch again and again " * 50_000)
    for found in (await ask(data=data, url=rspamd_running.url), await ask(rspamd_running.milter, data=data)):
        assert found.opinions[0].action == "accept" and found.body.size > len(data)


# -- SpamAssassin ------------------------------------------------------------------------------------------------------


async def test_spamassassin_over_its_milter(spamassassin: Filters) -> None:
    where = spamassassin.milter
    found = await ask(where, data=message())
    (said,) = found.opinions
    assert said.action == "accept" and said.score is not None and (said.required, said.score < 5) == (5.0, True)
    found = await ask(where, data=message(subject=b"cheap watches"))
    (said,) = found.opinions
    assert said.action == "junk" and said.score is not None and said.score >= 7.5 and "TEST_SUBJECT" in said.symbols
    assert b"\r\nX-Spam-Flag: YES\r\n" in found.body.bytes()
    assert (await opinion(where, data=message(GTUBE)))[:2] == ("refuse", "Blocked by SpamAssassin")
    forged = message(top=b"X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=99 required=5\r\n")
    action, _, data = await opinion(where, data=forged)
    assert action == "accept" and b"score=99" not in data, "it writes over what others wrote in its name"


# -- ClamAV ------------------------------------------------------------------------------------------------------------


async def awake(running: Filters) -> None:
    """clamav-milter takes connections before it has found its scanner, and defers what comes until then."""
    async with asyncio.timeout(PATIENCE):
        while (await opinion(running.milter, data=message()))[0] == "defer":
            await asyncio.sleep(0.05)


async def test_clamav_over_its_milter(clamav: Filters) -> None:
    await awake(clamav)
    action, _, data = await opinion(clamav.milter, data=message())
    assert action == "accept" and data.startswith(b"X-Virus-Status: Clean\r\n")
    for bad in (VIRUS, b"x\r\n" * 60_000 + VIRUS):  # within one packet and beyond
        assert (await opinion(clamav.milter, data=message(bad)))[:2] == ("refuse", "found Test.Virus.UNOFFICIAL")


async def test_a_scanner_that_is_killed_is_seen() -> None:
    with filters.clamav("Quarantine") as running:
        await awake(running)
        action, words, _ = await opinion(running.milter, data=message(VIRUS))
        assert action == "junk" and "Test.Virus" in words
        scanner, front = running.programs
        scanner.kill()
        scanner.wait()
        assert (await opinion(running.milter, data=message(VIRUS)))[0] == "defer", "its own setting OnFail"
        front.kill()
        front.wait()
        action, words, _ = await opinion(running.milter, data=message(VIRUS))
        assert action == "error" and "refused" in words


async def test_a_scanner_that_is_killed_among_many_messages_loses_none() -> None:
    """What it passed stays passed; of each message it could not be asked about it is said; no virus came through."""
    with filters.clamav() as running:
        await awake(running)
        told = list[tuple[bool, Asked]]()

        async def one(number: int) -> None:
            bad = number % 5 == 0
            told.append((bad, await ask(running.milter, data=message(VIRUS if bad else b"%d" % number))))
            if len(told) == 100:
                for program in running.programs:
                    program.kill()

        door = asyncio.Semaphore(8)

        async def in_turn(number: int) -> None:
            async with door:
                await one(number)

        await asyncio.gather(*(in_turn(number) for number in range(300)))
    said = Counter((bad, found.opinions[0].action) for bad, found in told)
    assert len(told) == 300 and set(said) <= {(True, "refuse"), (False, "accept")} | {
        (bad, action) for bad in (True, False) for action in ("error", "defer")
    }  # fmt: skip
    assert said[False, "accept"] > 50 and said[True, "refuse"] > 10 and said[False, "error"] > 100
    assert all(found.opinions[0].text for _, found in told if found.opinions[0].action == "error")


# -- opendkim ----------------------------------------------------------------------------------------------------------


async def test_opendkim_signs_what_our_users_hand_in_and_verifies_the_rest() -> None:
    private = generate("rsa-sha256")
    key = Key("far.example", "sel", "rsa-sha256", private)
    conf = (
        "Mode sv\nDomain far.example\nSelector sel\nKeyFile {}/key\nTestPublicKeys {}/records\n"
        "AuthservID mx.here.example\nAlwaysAddARHeader yes\nCanonicalization relaxed/simple\nOversignHeaders From\n"
    )
    with filters.opendkim(conf, key=private, records=f"sel._domainkey.far.example {public_record(key)}\n") as running:
        action, _, signed = await opinion(running.milter, data=message(), origin=USER)
        assert action == "accept" and signed.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=far.")
        (ours,) = await dkim.verify(Keyring(key), signed, now=time.time())
        assert (ours.result, ours.domain) == ("pass", "far.example")
        action, _, verified = await opinion(running.milter, data=signed)
        assert action == "accept" and b"dkim=pass" in verified.partition(b"DKIM-Signature")[0]
        _, _, broken = await opinion(running.milter, data=signed.replace(b"lunch", b"dinner"))
        assert b"dkim=fail" in broken.partition(b"DKIM-Signature")[0]


async def test_opendkim_takes_out_what_others_wrote_in_our_name() -> None:
    """It counts the fields as it was shown them, however many it took out before."""
    forged = b"".join(
        b"Authentication-Results: %s; dkim=pass\r\n" % name
        for name in (b"mx.here.example", b"other.example", b"mx.here.example", b"third.example")
    )
    with filters.opendkim("Mode v\nAuthservID mx.here.example\n") as running:
        _, _, data = await opinion(running.milter, data=message(top=forged))
        kept = [line for line in data.split(b"\r\n") if line.startswith(b"Authentication-Results: ")]
        assert b"other.example" in kept[0] and b"third.example" in kept[1] and len(kept) == 2


# -- all of them -------------------------------------------------------------------------------------------------------


async def test_one_after_the_other(rspamd_running: Filters, spamassassin: Filters, clamav: Filters) -> None:
    names = (rspamd_running.milter, spamassassin.milter, clamav.milter)
    found = await ask(*names, data=message(), url=rspamd_running.url, to=("ann@here.example", "bob@here.example"))
    assert [said.action for said in found.opinions] == ["accept"] * 4
    head = found.body.bytes()
    assert head.startswith(b"X-Virus-Status: Clean\r\n") and b"X-Spamd-Result" in head and b"X-Spam-Status: No" in head


async def test_many_messages_at_a_time(rspamd_running: Filters, clamav: Filters) -> None:
    told = await asyncio.gather(
        *(
            ask(clamav.milter, rspamd_running.milter, data=message(VIRUS if n % 3 == 0 else b"%d" % n))
            for n in range(60)
        )
    )
    assert [found.opinions[-1].action for found in told] == ["refuse" if n % 3 == 0 else "accept" for n in range(60)]


async def test_they_say_what_they_want(rspamd_running: Filters, spamassassin: Filters, clamav: Filters) -> None:
    for running in (rspamd_running, spamassassin, clamav):
        late = asyncio.get_running_loop().time() + 10
        options = await milter.greeted(Socket(running.milter.removeprefix("unix:")), Patience(late, 10))
        assert options.version == 6 and options.actions
