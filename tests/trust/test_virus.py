"""The scanner is asked, and whatever it does is an answer that can be seen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.trust import virus
from daemon.trust.results import Scan
from daemon.trust.turns import Turns
from tests.instruments.clamd import DROP, EICAR, STALL, Clamd


async def scan(setting: str, data: bytes = b"hello\r\n", *, most: int = 10**8, patience: float = 20) -> Scan:
    return await virus.scan(Config([("virus.scanner", setting)])["virus.scanner"], data, most=most, patience=patience)


async def test_it_is_shown_the_message_whole_whatever_its_size(tmp_path: Path) -> None:
    for path in (None, tmp_path / "clamd"):
        async with Clamd(path=path) as one:
            for data in (b"x", b"hello\r\n" * 100_000, b"a" * 65536):
                assert await scan(one.setting, data) == Scan("clean")
            assert await scan(one.setting, b"X-A: b\r\n\r\n" + EICAR) == Scan("infected", "Eicar-Test-Signature")
            assert [len(data) for data in one.seen[:3]] == [1, 700_000, 65536]


@pytest.mark.parametrize(
    "answer,reason",
    [
        (DROP, "it ends the connection without an answer"),
        (STALL, "no answer within 0.2 s"),
        (b"stream: ", "its answer is cut"),
        (b"yes\0", "it says 'yes'"),
        (b"stream: OK FOUND and more\0", "it says 'stream: OK FOUND and more'"),
        (b"stream: Can't allocate memory ERROR\0", "it says 'stream: Can t allocate memory ERROR'"),
        (b"\xff\r\n\x1b[2J\0", "it says '     2J'"),
        (b"\0", "it says ''"),
        (b"x" * 100_000, "its answer is over 4096 octets"),
    ],
)
async def test_a_scanner_that_makes_no_sense_is_an_error_with_a_reason(answer: bytes, reason: str) -> None:
    async with Clamd(answer) as one:
        found = await scan(one.setting, patience=0.2 if answer == STALL else 20)
    assert found == Scan("error", reason=reason)


async def test_a_scanner_that_is_not_there(tmp_path: Path) -> None:
    async with Clamd() as one:
        gone = one.setting
    assert await scan(gone) == Scan("error", reason="connection refused")
    assert await scan(f"unix:{tmp_path}/none") == Scan("error", reason="no such file or directory")


async def test_a_name_is_made_harmless_and_short() -> None:
    async with Clamd("stream: Bad.\r\nX-Evil: 1 <b>ü FOUND\0".encode()) as one:
        assert await scan(one.setting) == Scan("error", reason="it says 'stream: Bad.  X-Evil: 1  b   FOUND'")
    async with Clamd("stream: Win.<b>ü\t FOUND\0".encode()) as one:
        assert await scan(one.setting) == Scan("infected", "Win.?b???")
    async with Clamd(b"stream: " + b"n" * 3000 + b" FOUND\0") as one:
        assert await scan(one.setting) == Scan("infected", "n" * LIMITS.virus_name)


async def test_what_is_too_large_is_said() -> None:
    async with Clamd() as one:
        assert (await scan(one.setting, b"x" * 11, most=10)).result == "too-large"
        assert one.connections == 0
    async with Clamd(b"INSTREAM size limit exceeded. ERROR\0", early=True) as one:
        assert (await scan(one.setting, b"x" * 20_000_000)).result == "too-large", "it hears no more of it"


async def test_a_scanner_that_answers_early_and_one_that_dies_in_the_middle() -> None:
    async with Clamd(b"stream: Big.Bad FOUND\0", early=True) as one:
        assert await scan(one.setting, b"x" * 20_000_000) == Scan("infected", "Big.Bad")
    async with Clamd(b"stream: OK\0", early=True) as one:
        assert await scan(one.setting, b"x" * 20_000_000) == Scan("error", reason="it says OK to what it has not heard")
    async with Clamd(DROP, early=True) as one:
        found = await scan(one.setting, b"x" * 20_000_000)
        assert found.result == "error" and found.reason


async def test_a_scanner_that_does_not_read_is_given_up() -> None:
    async with Clamd(STALL, early=True) as one:
        assert await scan(one.setting, b"x" * 50_000_000, patience=0.2) == Scan(
            "error", reason="no answer within 0.2 s"
        )


async def test_so_many_are_scanned_at_a_time_and_the_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virus, "_turns", Turns(3))
    async with Clamd() as one:
        one.wait = asyncio.Event()
        asked = [asyncio.create_task(scan(one.setting, b"%d" % n)) for n in range(20)]
        while one.now < 3:
            await asyncio.sleep(0)
        assert await scan(one.setting, patience=0.1) == Scan("error", reason="no answer within 0.1 s"), "it waits"
        one.wait.set()
        assert set(await asyncio.gather(*asked)) == {Scan("clean")}
        assert one.most == 3


async def test_it_says_its_version() -> None:
    async with Clamd() as one:
        assert await virus.alive(Config([("virus.scanner", one.setting)])["virus.scanner"], 5) == one.version.decode()
    with pytest.raises(virus.Silent, match="connection refused"):
        await virus.alive(Config([("virus.scanner", one.setting)])["virus.scanner"], 5)
