"""`mailctl spam score`: the verdict on files, the same with and without a server, and nothing is changed by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.store import events, spam
from daemon.trust import examine
from daemon.trust.rules import GTUBE
from tests.mailctl.conftest import Ctl, message

PILLS = "cheap pills, buy them now, no prescription"
PICNIC = "the picnic on sunday is by the lake"


def write(path: Path, *letters: bytes) -> Path:
    if len(letters) == 1:
        path.write_bytes(letters[0])
    else:
        path.write_bytes(b"".join(b"From x@y.example Mon Nov 23 10:00:00 2026\n" + each + b"\n" for each in letters))
    return path


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nobody is asked anything: what tries is noted."""
    asked: list[str] = []

    async def check(resolver: object, *args: object, **_: object) -> object:
        asked.append(repr(args))
        raise OSError

    monkeypatch.setattr(examine, "STANDARD", examine.Checks(check, check, check, check))  # type: ignore[arg-type]
    return asked


def test_a_message_is_scored_with_reasons(town: Ctl, letter: Path, tmp_path: Path, silent: list[str]) -> None:
    junk = write(tmp_path / "junk.eml", message(body=GTUBE.decode()))
    first, second = town.lines("spam", "score", str(letter), str(junk))
    assert set(first) == {"file", "verdict", "reason", "score", "required", "reasons"}
    assert (first["file"], first["verdict"], first["reason"]) == (str(letter), "accept", "clean")
    assert (second["file"], second["verdict"], second["reason"]) == (str(junk), "refuse", "spam-certain")
    assert second["score"] > 900 > second["required"] == 5.0 > first["score"]
    assert any("GTUBE" in reason for reason in second["reasons"])
    text = town.ok("spam", "score", str(junk))
    assert text.startswith(f"{junk}: refuse, ") and "\n  it has the test string" in text
    assert silent == []


def test_what_a_user_taught_counts_for_him(town: Ctl, tmp_path: Path) -> None:
    junk = [message(subject=f"{PILLS} {n}", body=PILLS, number=n) for n in range(30)]
    ham = [message(subject=f"{PICNIC} {n}", body=PICNIC, number=n + 100) for n in range(30)]
    for kind, letters in (("--spam", junk), ("--ham", ham)):
        box = write(tmp_path / f"{kind[2:]}.mbox", *letters)
        town.ok("spam", "train", kind, "--user", "alice@example.org", str(box))
    one = write(tmp_path / "one.eml", message(subject="news", body=PILLS, number=999))
    for_alice = town.json("spam", "score", str(one), "--user", "alice@example.org")
    for_bob = town.json("spam", "score", str(one), "--user", "bob@example.org")
    for_anyone = town.json("spam", "score", str(one))
    assert for_alice["score"] > for_bob["score"] == for_anyone["score"]
    assert any("pills" in reason for reason in for_alice["reasons"])


def test_a_mailbox_file_has_a_line_for_each_message(town: Ctl, tmp_path: Path) -> None:
    box = write(tmp_path / "some.mbox", message(number=1), message(body=GTUBE.decode(), number=2), message(number=3))
    found = town.lines("spam", "score", str(box))
    assert [one["verdict"] for one in found] == ["accept", "refuse", "accept"]
    assert len({one["file"] for one in found}) == 3 and all(one["file"].startswith(str(box)) for one in found)


def test_results_in_the_file_are_not_believed(town: Ctl, tmp_path: Path) -> None:
    lies = (
        b"Authentication-Results: mx; dmarc=pass header.from=bank.example\nX-Spam-Status: Yes, score=99\n"
        b"X-Spam-Flag: YES\n"
    )
    honest = write(tmp_path / "honest.eml", message())
    liar = write(tmp_path / "liar.eml", lies + message())
    first, second = town.lines("spam", "score", str(honest), str(liar))
    assert (first["score"], first["reasons"]) == (second["score"], second["reasons"])


def test_with_an_address_the_dns_is_asked(town: Ctl, letter: Path, silent: list[str]) -> None:
    came = ("--ip", "192.0.2.1", "--helo", "mx.far.example", "--from", "a@b.example")
    found = town.json("spam", "score", str(letter), *came)
    assert found["verdict"] == "accept", "what nobody could tell weighs nothing"
    assert "('192.0.2.1', 'mx.far.example', 'a@b.example')" in silent


@pytest.mark.parametrize(
    "code,args,said",
    [
        (1, ["--user", "nobody@example.org"], "nobody"),
        (65, ["--ip", "mx.far.example"], "not an IP address"),
        (65, ["--from", "not an address"], "address"),
    ],
)
def test_what_cannot_be_done_is_said(town: Ctl, letter: Path, code: int, args: list[str], said: str) -> None:
    assert said in town.fails(code, "spam", "score", str(letter), *args)


def test_files_that_are_no_mail_are_said(town: Ctl, tmp_path: Path) -> None:
    town.fails(65, "spam", "score", str(tmp_path / "nothing.eml"))
    assert "empty" in town.fails(65, "spam", "score", str(write(tmp_path / "empty.eml", b"")))


def test_nothing_is_learnt_or_noted(town: Ctl, letter: Path) -> None:
    town.ok("spam", "score", str(letter), "--user", "alice@example.org")
    store = town.store()
    assert store.read_now(events.newest) is None and store.read_now(spam.owners) == []
    store.close()
