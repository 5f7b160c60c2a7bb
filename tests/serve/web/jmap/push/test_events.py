"""`/jmap/events`: what changes is told as it does, to those who may hear it, as long as they may."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import pytest

from daemon.admin import people
from daemon.limits import LIMITS
from daemon.serve.web import visitors
from daemon.serve.web.jmap.push import events, lasting, news
from daemon.store import accounts, mailboxes, messages, sessions, states
from daemon.store.db import Store
from daemon.store.messages import ALL, SEEN
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.caller import ALICE, BOB, PASSWORD, account
from tests.store.stage import deliver

MESSAGE = b"From: <one@remote.example>\r\nSubject: hello\r\n\r\nGood morning.\r\n"


class Stream:
    """What one client hears."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> dict[str, Any]:
        """The next event: `id`, `event`, `data`; comments are passed over."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(20):
            while True:
                line = (await self.response.content.readline()).decode()
                assert line, "the stream ended"
                name, _, value = line.rstrip("\n").partition(": ")
                if name:
                    found[name] = value
                elif line == "\n" and found:
                    return {**found, "data": json.loads(found["data"])}

    async def state(self) -> dict[str, str]:
        said = await self.next()
        assert said["event"] == "state" and said["data"]["@type"] == "StateChange"
        (changed,) = said["data"]["changed"].values()
        return dict(changed)

    async def ended(self) -> None:
        async with asyncio.timeout(20):
            assert (await self.response.content.read()).strip() == b""


@asynccontextmanager
async def listening(
    site: Site, query: str = "", user: str = ALICE, password: str = PASSWORD, **headers: str
) -> AsyncIterator[Stream]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": aiohttp.encode_basic_auth(user, password)}) as client,
        client.get(f"https://127.0.0.1:{site.port('https')}{events.PATH}{query}", ssl=False, headers=headers) as got,
    ):
        assert got.status == 200 and got.content_type == "text/event-stream", await got.text()
        assert got.headers["Cache-Control"] == "no-store"
        assert await got.content.readline() == b": listening\n"
        yield Stream(got)


async def test_a_delivery_is_told_with_the_state_of_each_type(house: Site) -> None:
    async with listening(house) as alice, listening(house, user=BOB) as bob:
        deliver(house.store, account(house), MESSAGE)
        changed = await alice.state()
        now = house.store.peek(states.of, [account(house)])[account(house)]
        assert changed == {**dict.fromkeys(news.MAIL, str(now.modseq)), "EmailDelivery": str(now.newest)}
        deliver(house.store, account(house, BOB), MESSAGE)
        said = await bob.next()
        assert list(said["data"]["changed"]) == [f"u{account(house, BOB)}"], "hers is nothing to him"


async def test_flags_are_no_delivery_nor_is_the_end_of_the_newest_message(house: Site) -> None:
    placed = deliver(house.store, account(house), MESSAGE)
    async with listening(house) as alice:
        for work in (
            lambda tx: messages.set_flags(tx, placed.mailbox_id, ALL, "+", SEEN),
            lambda tx: messages.remove(tx, placed.mailbox_id, ALL),
        ):
            house.store.write_now(work)
            assert set(await alice.state()) == set(news.MAIL)


async def test_a_mailbox_that_goes_is_told(house: Site) -> None:
    async with listening(house) as alice:
        house.store.write_now(mailboxes.create, account(house), "Projects")
        assert set(await alice.state()) == {"Mailbox"}
        house.store.write_now(lambda tx: mailboxes.remove_empty(tx, mailboxes.get(tx, account(house), "Projects")))
        assert set(await alice.state()) == set(news.MAIL)


async def test_only_the_types_that_were_asked_for_are_told(house: Site) -> None:
    async with listening(house, "?types=Thread,EmailDelivery") as alice:
        house.store.write_now(states.changed, account(house), "Identity")
        deliver(house.store, account(house), MESSAGE)
        assert set(await alice.state()) == {"Thread", "EmailDelivery"}


async def test_other_types_are_told_by_name(house: Site) -> None:
    async with listening(house) as alice:
        state = house.store.write_now(states.changed, account(house), "Identity", "EmailSubmission")
        assert await alice.state() == dict.fromkeys(("Identity", "EmailSubmission"), str(state))


async def test_what_another_process_did_is_told_of_all_types(house: Site) -> None:
    async with listening(house) as alice:
        other = Store.open(house.store.data)
        deliver(other, account(house), MESSAGE)
        other.close()
        house.store.check_others()
        assert set(await alice.state()) == {*news.MAIL, *news.OTHERS, "EmailDelivery"}


async def test_one_event_and_no_more(house: Site) -> None:
    async with listening(house, "?types=*&closeafter=state&ping=0") as alice:
        deliver(house.store, account(house), MESSAGE)
        assert await alice.state()
        await alice.ended()


async def test_changes_that_come_quickly_are_told_together(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMITS", dataclasses.replace(LIMITS, push_pause=0.5))
    async with listening(house, "?types=EmailDelivery") as alice:
        placed = [deliver(house.store, account(house), MESSAGE) for _ in range(20)]
        first = await alice.state()
        assert first == {"EmailDelivery": str(placed[-1].email_id)} or await alice.state() == {
            "EmailDelivery": str(placed[-1].email_id)
        }


async def test_who_comes_back_hears_what_he_missed(house: Site) -> None:
    async with listening(house) as alice:
        deliver(house.store, account(house), MESSAGE)
        seen = (await alice.next())["id"]
    async with listening(house, "?types=EmailDelivery,Email", **{"Last-Event-ID": seen}) as alice:
        placed = deliver(house.store, account(house), MESSAGE)
        assert await alice.state() == {"EmailDelivery": str(placed.email_id), "Email": str(placed.modseq)}
    async with listening(house, "?types=EmailDelivery,Email", **{"Last-Event-ID": seen}) as alice:
        assert await alice.state() == {"EmailDelivery": str(placed.email_id), "Email": str(placed.modseq)}
    for nonsense in ("x", "1", "9" * 40):
        async with listening(house, **{"Last-Event-ID": nonsense}) as alice:
            placed = deliver(house.store, account(house), MESSAGE)
            assert (await alice.state())["EmailDelivery"] == str(placed.email_id)


async def test_pings_say_how_often_they_come(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMITS", dataclasses.replace(LIMITS, push_ping_least=0.02, push_ping_most=0.05))
    for asked in ("1", "999999999"):
        async with listening(house, f"?types=*&closeafter=no&ping={asked}") as alice:
            for _ in range(2):
                assert (await alice.next())["event"] == "ping"


@pytest.mark.parametrize("ping, given", [("0", 0), ("1", 5), ("30", 30), ("300", 300), ("999999999", 3600)])
def test_how_often_pings_come(ping: str, given: int) -> None:
    assert events.read(_request(f"ping={ping}")).ping == given


@pytest.mark.parametrize(
    "query, types, once",
    [
        ("", None, False),
        ("types=*&closeafter=no&ping=0", None, False),
        ("types=Email,*", None, False),
        ("types=Email", {"Email"}, False),
        ("types=Email,Mailbox&closeafter=state", {"Email", "Mailbox"}, True),
    ],
)
def test_what_may_be_asked(query: str, types: set[str] | None, once: bool) -> None:
    asked = events.read(_request(query))
    assert (asked.types, asked.once) == (types if types is None else frozenset(types), once)


@pytest.mark.parametrize(
    "query",
    ("types=", "types=,", "types=Em%20ail", "types=1", "closeafter=yes", "ping=-1", "ping=x", "ping=1e3"),
)  # fmt: skip
def test_what_may_not(query: str) -> None:
    with pytest.raises(aiohttp.web.HTTPBadRequest):
        events.read(_request(query))


def _request(query: str) -> aiohttp.web.Request:
    from aiohttp.test_utils import make_mocked_request

    return make_mocked_request("GET", f"{events.PATH}?{query}")


async def test_silence_is_broken_so_that_the_way_stays_open(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LIMITS", dataclasses.replace(LIMITS, push_quiet=0.02))
    async with listening(house) as alice:
        async with asyncio.timeout(20):
            while await alice.response.content.readline() != b": still here\n":
                pass


async def test_a_user_has_so_many_streams_and_no_more(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from daemon.serve.web import app

    monkeypatch.setattr(app, "News", partial(news.News, most=2))
    async with listening(house), listening(house) as second, listening(house, user=BOB):
        with pytest.raises(AssertionError, match="too many streams"):
            async with listening(house):
                pass
        second.response.close()
        await _until(lambda: sum(map(len, house.door.sessions._live.values())) == 2)
        async with listening(house):
            pass


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def test_it_ends_with_the_sessions_of_its_user(house: Site) -> None:
    async with listening(house) as alice, listening(house, user=BOB) as bob:
        house.store.write_now(lambda tx: sessions.end(tx, account(house), keep_app_passwords=True))
        await alice.ended()
        deliver(house.store, account(house, BOB), MESSAGE)
        assert await bob.state()


async def test_it_ends_with_the_age_of_its_session(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (events, lasting):
        monkeypatch.setattr(module, "LIMITS", dataclasses.replace(LIMITS, push_quiet=0.02))
    async with listening(house) as alice:
        monkeypatch.setattr(visitors, "is_here", lambda store, who: False)
        async with asyncio.timeout(20):
            assert (await alice.response.content.read()).replace(b": still here", b"").strip() == b""


async def test_it_is_listed_as_a_session(house: Site) -> None:
    async with listening(house):
        ((live,),) = (mine.values() for mine in house.door.sessions._live.values())
        assert (live.row.protocol, live.row.account_id, live.row.peer) == ("jmap", account(house), "127.0.0.1")


async def test_it_ends_with_the_app_password_it_came_with(house: Site) -> None:
    made = await house.store.aside(people.add_app_password, house.store, ALICE, "laptop")
    async with listening(house, password=made.password) as alice:
        house.store.write_now(accounts.remove_app_password, account(house), "laptop")
        await alice.ended()


async def test_it_ends_with_the_app_password_though_it_has_just_told_something(
    house: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LIMITS", dataclasses.replace(LIMITS, push_pause=0.5))
    made = await house.store.aside(people.add_app_password, house.store, ALICE, "laptop")
    async with listening(house, password=made.password) as alice:
        deliver(house.store, account(house), MESSAGE)
        assert await alice.state()
        house.store.write_now(accounts.remove_app_password, account(house), "laptop")
        await alice.ended()  # and hears nothing more


async def test_it_ends_when_the_server_is_stopped(house: Site) -> None:
    async with listening(house) as alice:
        stopping = asyncio.create_task(house.doors.drain(20))
        await alice.ended()
        async with asyncio.timeout(20):
            await stopping


async def test_who_is_nobody_hears_nothing(house: Site) -> None:
    answer = await house.ask(events.PATH)
    assert answer.startswith("HTTP/1.1 401 ")


async def test_it_has_no_end_in_time(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from daemon.serve.web import app

    monkeypatch.setattr(app, "LIMITS", dataclasses.replace(LIMITS, http_answer=0.05))
    async with listening(house) as alice:
        await asyncio.sleep(0.2)
        deliver(house.store, account(house), MESSAGE)
        assert await alice.state()
