"""Digests: to whom there is news, once, at the hour, with links that work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from daemon.admin import quarantine as admin
from daemon.config import Config, DataDir
from daemon.flow import digest
from daemon.flow.digest import Digests, last_hour
from daemon.limits import LIMITS
from daemon.mail import link
from daemon.mail.address import parse_address
from daemon.mail.summary import summarize
from daemon.store import accounts, blobs, messages, pardon, quarantine, sender_lists
from daemon.store.errors import StoreBusy
from daemon.store.quarantine import Bounds, Kept
from daemon.store.spool import Body
from daemon.store.tx import Tx
from tests.flow.house import Clock, House
from tests.instruments.until import soon
from tests.store.stage import clean

ANN, BOB = "ann@here.example", "bob@here.example"
DAY = 86_400_000


@pytest.fixture
def house(tmp_path: Path, clock: Clock) -> Iterator[House]:
    house = House(DataDir(tmp_path / "data"), clock, [("listen.https", "127.0.0.1:8443")])
    yield house
    clean(house.store)
    house.close()


def kept(house: House, user: str, number: int = 0, reason: str = "spam-certain", junk: bool = False) -> int:
    data = f"From: Shop <joerg@shop.example>\r\nSubject: order {number}\r\n\r\nx{number}\r\n".encode()
    quiet = reason == "virus"
    about = Kept(user, "b@x.example", "joerg@shop.example", "Shop", f"order {number}", None, reason, 16.2, "w", quiet)

    def work(tx: Tx, body: Body) -> int:
        account = accounts.get(tx, parse_address(user)).id
        blob = blobs.keep(tx, body, summarize(data) if junk else None)
        if junk:
            placed = messages.put(tx, account, "Junk", blob, len(data))
            return quarantine.point(tx, account, about, "t" * 16, placed.email_id, len(data))
        return quarantine.keep(tx, account, about, "t" * 16, blob, len(data), b"", Bounds(1 << 30, 1 << 30)) or 0

    body = Body.of(data)
    return house.store.write_now(work, body, bodies=[body])


def setting(house: House, **values: str) -> None:
    rows = {**dict(house.config.rows), **{key.replace("__", "."): value for key, value in values.items()}}
    house.config = Config(rows.items())


async def send(house: House) -> int:
    return await Digests(house.store, lambda: house.config).send()


def told(house: House, user: str) -> str:
    """The text of the one digest in his INBOX."""
    (mail,) = house.inbox(user)
    message: Any = message_from_bytes(mail, policy=default)
    assert message["Auto-Submitted"] == "auto-generated" and message["From"].addresses[0].username == "postmaster"
    return str(message.get_body(("plain",)).get_content()).replace("\r\n", "\n")


def tokens(text: str) -> dict[str, str]:
    """By message and deed."""
    found = {}
    for part in text.split("* ")[1:]:
        subject = part.split("\n", 1)[0]
        for action, token in re.findall(r"https://mx.here.example:8443/quarantine/(\w+)\?token=(\S+)", part):
            found[f"{subject} {action}"] = token
    return found


async def test_who_has_news_is_told_once_a_day_of_what_is_new(house: House) -> None:
    kept(house, ANN, 1)
    kept(house, ANN, 2, "spam", junk=True)
    assert await send(house) == 0, "not before the hour"
    house.clock.now += DAY
    assert await send(house) == 1 and await send(house) == 0
    text = told(house, ANN)
    assert text.startswith("2 messages kept from your INBOX:\n")
    assert "* order 1\n  from Shop <joerg@shop.example>," in text
    assert "refused: its score is that of spam beyond doubt (16.2 points)" in text and "in Junk: its score is" in text
    assert "Messages are kept for 14 days." in text and "with your mail program" in text
    assert house.inbox(BOB) == []
    house.clock.now += DAY
    assert await send(house) == 0, "nothing new"
    kept(house, ANN, 3)
    house.clock.now += DAY
    assert await send(house) == 1 and len(house.inbox(ANN)) == 2


async def test_links_release_allow_and_block(house: House) -> None:
    for number in range(3):
        kept(house, ANN, number, junk=number == 1)
    kept(house, ANN, 3, "attachment")
    house.clock.now += DAY
    await send(house)
    links = tokens(told(house, ANN))
    assert sorted(links) == sorted(
        [f"order {number} {deed}" for number in range(3) for deed in link.ACTIONS] + ["order 3 block"]
    )
    store = house.store
    for deed, token in links.items():
        assert admin.look(store, token).result == "ready", deed
    assert len(store.read_now(quarantine.find)) == 4, "looking changes nothing"
    done = admin.follow(store, links["order 0 release"])
    assert (done.result, done.action, done.author, done.subject) == (
        "done", "release", "joerg@shop.example", "order 0"
    )  # fmt: skip
    assert admin.follow(store, links["order 0 release"]).result == "gone"
    assert admin.follow(store, links["order 1 allow"]).result == "done"
    assert [e.allowed for e in store.read_now(sender_lists.everyone)] == [True]
    assert len(house.inbox(ANN)) == 3
    assert admin.follow(store, links["order 2 block"]).result == "done"
    assert [(e.sender, e.allowed) for e in store.read_now(sender_lists.everyone)] == [("joerg@shop.example", False)]
    assert len(house.inbox(ANN)) == 3 and [row.kept.subject for row in store.read_now(quarantine.find)] == ["order 3"]


async def test_a_link_that_is_not_right_does_nothing(house: House) -> None:
    number = kept(house, ANN, 1)
    attached = kept(house, ANN, 2, "attachment")
    store = house.store
    key, end = store.read_now(quarantine.link_key), house.clock.now // 1000 + 10
    ann, bob = (store.read_now(accounts.get, parse_address(user)).id for user in (ANN, BOB))

    def follow(action: str, message: int, account: int, expires: int = end, with_key: bytes = key) -> str:
        return admin.follow(store, link.make(link.Link(action, message, account, expires), with_key)).result

    assert follow("release", number, bob) == "gone", "it is not his"
    assert follow("release", number, ann, end - 11) == "expired"
    assert follow("release", number, ann, with_key=b"x" * 32) == "bad" and admin.follow(store, "x").result == "bad"
    assert follow("release", attached, ann) == follow("allow", attached, ann) == "forbidden"
    store.write_now(lambda tx: accounts.change(tx, ann, quota=10))
    assert follow("release", number, ann) == "full"
    assert len(store.read_now(quarantine.find)) == 2 and not house.inbox(ANN)


async def test_two_clicks_at_once_release_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    number = kept(house, ANN, 1)
    token = link.make(
        link.Link("release", number, house.store.read_now(quarantine.get, number).account_id, 1 << 40),
        house.store.read_now(quarantine.link_key),
    )
    real = pardon.release

    def other_first(tx: Tx, asked: Any) -> Any:
        monkeypatch.setattr(pardon, "release", real)
        real(tx, asked)
        return real(tx, asked)

    monkeypatch.setattr(pardon, "release", other_first)
    assert admin.follow(house.store, token).result == "gone"
    assert house.inbox(ANN) == [] and house.store.read_now(quarantine.get, number), "the whole of it was undone"


async def test_without_pages_there_are_no_links(house: House) -> None:
    setting(house, listen__https="off")
    kept(house, ANN)
    house.clock.now += DAY
    assert await send(house) == 1
    assert "http" not in told(house, ANN) and "the administrator of this server can" in told(house, ANN)
    setting(house, listen__https="0.0.0.0:443")
    assert digest.web_of(house.config) == "https://mx.here.example"


async def test_an_administrator_is_told_of_all(house: House) -> None:
    setting(house, quarantine__admin_digest=BOB, quarantine__digest="no")
    kept(house, ANN, 1, "virus")
    kept(house, BOB, 2)
    house.clock.now += DAY
    assert await send(house) == 1 and await send(house) == 0
    text = told(house, BOB)
    assert f"to {ANN}," in text and "number 1" in text and "mailctl quarantine release" in text and "http" not in text
    assert house.inbox(ANN) == []
    setting(house, quarantine__digest="yes", quarantine__keep="0s")
    assert await send(house) == 0
    setting(house, quarantine__keep="14d")
    assert await send(house) == 1, "to Bob; Ann hears of no virus"


async def test_what_is_gone_meanwhile_is_not_told(house: House) -> None:
    number = kept(house, ANN, 1, "spam", junk=True)
    house.clock.now += DAY
    row = house.store.read_now(quarantine.get, number)
    news = house.store.read_now(quarantine.news, row.account_id, house.clock.now)
    assert [r.id for r in news.rows] == [number]

    def moved(tx: Tx) -> None:
        boxes = [tx.value("select id from mailbox where account_id = ? and name = ?", row.account_id, n) for n in
                 ("Junk", "INBOX")]  # fmt: skip
        messages.move(tx, boxes[0], messages.ALL, boxes[1])

    house.store.write_now(moved)
    assert await send(house) == 0 and len(house.inbox(ANN)) == 1
    assert house.store.read_now(quarantine.untold, house.clock.now, 9) == []


async def test_a_digest_names_so_many_and_counts_the_rest(house: House) -> None:
    for number in range(LIMITS.digest_rows + 5):
        kept(house, ANN, number)
    house.clock.now += DAY
    assert await send(house) == 1
    text = told(house, ANN)
    assert text.count("\n* ") == LIMITS.digest_rows and "... and 5 more." in text
    assert text.startswith(f"{LIMITS.digest_rows + 5} messages")


async def test_many_users_are_told_in_batches(house: House) -> None:
    names = [f"user{number}@here.example" for number in range(LIMITS.digest_batch + 2)]
    house.store.write_now(lambda tx: [accounts.add(tx, parse_address(name), None) for name in names] and None)
    for name in names:
        kept(house, name, junk=True)
    house.clock.now += DAY
    assert len(house.store.read_now(quarantine.untold, house.clock.now, LIMITS.digest_batch)) == LIMITS.digest_batch
    assert await send(house) == len(names)


async def test_digests_go_out_by_themselves(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one fault, or a store that is busy, does not end it."""
    troubles = [StoreBusy("for now"), ValueError("a fault")]
    real = Digests.send

    async def send(self: Digests) -> int:
        if troubles:
            raise troubles.pop()
        return await real(self)

    monkeypatch.setattr(Digests, "send", send)
    kept(house, ANN)
    house.clock.now += DAY
    worker = asyncio.create_task(Digests(house.store, lambda: house.config, every=0.01).run())
    await soon(lambda: house.inbox(ANN))
    worker.cancel()
    assert Digests(house.store, lambda: house.config)._every == LIMITS.digest_round


@pytest.mark.parametrize("hour", [0, 7, 23])
def test_the_hour_is_the_last_one_that_was(hour: int) -> None:
    from datetime import datetime

    for now in range(1_800_000_000_000, 1_800_000_000_000 + 2 * DAY, DAY // 7):
        at = last_hour(now, hour)
        assert 0 <= now - at < DAY + 3_600_000 and datetime.fromtimestamp(at / 1000).hour == hour
