"""`/jmap/ws`: requests and news on one connection (RFC 8887)."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from daemon.limits import LIMITS
from daemon.serve.web import visitors
from daemon.serve.web.jmap import api
from daemon.serve.web.jmap.push import news, socket
from daemon.store import sessions, states
from tests.serve.web.conftest import Site
from tests.serve.web.jmap.caller import ALICE, BOB, PASSWORD, account
from tests.store.stage import deliver

MESSAGE = b"From: <one@remote.example>\r\nSubject: hello\r\n\r\nGood morning.\r\n"
CORE = "urn:ietf:params:jmap:core"


class Talk:
    """What one client says and hears."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def say(self, **value: Any) -> None:
        await self.ws.send_str(
            json.dumps({("@type" if name == "type" else name): each for name, each in value.items()})
        )

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            found: dict[str, Any] = await self.ws.receive_json()
        return found

    async def closed(self) -> int:
        async with asyncio.timeout(20):
            message = await self.ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return int(message.data)


@asynccontextmanager
async def talking(site: Site, user: str = ALICE, protocol: str = "jmap", **headers: str) -> AsyncIterator[Talk]:
    head = {"Authorization": aiohttp.encode_basic_auth(user, PASSWORD), **headers}
    async with (
        aiohttp.ClientSession(headers=head) as client,
        client.ws_connect(
            f"https://127.0.0.1:{site.port('https')}{socket.PATH}", ssl=False, protocols=(protocol,)
        ) as ws,
    ):
        yield Talk(ws)


async def test_requests_are_answered_in_order_and_by_their_id(house: Site) -> None:
    async with talking(house) as alice:
        assert alice.ws.protocol == "jmap"
        for number in (1, 2):
            calls = [["Core/echo", {"n": number}, "a"]]
            await alice.say(type="Request", id=f"R{number}", using=[CORE], methodCalls=calls)
        for number in (1, 2):
            answer = await alice.hear()
            assert (answer["@type"], answer["requestId"]) == ("Response", f"R{number}")
            assert answer["methodResponses"] == [["Core/echo", {"n": number}, "a"]]
        await alice.say(type="Request", using=["urn:mailctl:owner"], methodCalls=[["Rule/get", {}, "b"]])
        assert "requestId" not in (answer := await alice.hear()) and answer["methodResponses"][0][0] == "Rule/get"


async def test_what_changes_is_told_when_it_is_asked_for(house: Site) -> None:
    async with talking(house) as alice:
        deliver(house.store, account(house), MESSAGE)
        await alice.say(type="WebSocketPushEnable", dataTypes=["Email", "EmailDelivery"])
        await alice.say(type="Request", id="sync", using=[CORE], methodCalls=[])
        assert (await alice.hear())["requestId"] == "sync", "nothing of what was before"
        placed = deliver(house.store, account(house), MESSAGE)
        told = await alice.hear()
        mine = {"Email": str(placed.modseq), "EmailDelivery": str(placed.email_id)}
        assert told == {
            "@type": "StateChange", "changed": {f"u{account(house)}": mine},
            "pushState": f"{placed.modseq}.{placed.email_id}",
        }  # fmt: skip
        await alice.say(type="WebSocketPushDisable")
        await alice.say(type="Request", id="sync", using=[CORE], methodCalls=[])
        assert (await alice.hear())["requestId"] == "sync"
        last = deliver(house.store, account(house), MESSAGE)
        await alice.say(type="WebSocketPushEnable", dataTypes=None, pushState=told["pushState"])
        changed = (await alice.hear())["changed"][f"u{account(house)}"]
        assert changed["EmailDelivery"] == str(last.email_id) and set(news.MAIL) < changed.keys(), "what it missed"


@pytest.mark.parametrize(
    "said, type",
    [
        ("{", "notJSON"),
        ("[]", "notRequest"),
        ("{}", "notRequest"),
        ('{"@type": "Request", "id": "x"}', "notRequest"),
        ('{"@type": "Request", "id": 1, "using": [], "methodCalls": []}', "notRequest"),
        ('{"@type": "Request", "id": "x", "using": ["urn:none"], "methodCalls": []}', "unknownCapability"),
        ('{"@type": "WebSocketPushEnable", "dataTypes": "Email"}', "notRequest"),
        ('{"@type": "WebSocketPushEnable", "dataTypes": ["a b"]}', "notRequest"),
        ('{"@type": "Response"}', "notRequest"),
        ("[" * 100_000, "notJSON"),
    ],
)
async def test_what_is_no_request_is_refused_and_no_more(house: Site, said: str, type: str) -> None:
    async with talking(house) as alice:
        await alice.ws.send_str(said)
        error = await alice.hear()
        assert error["@type"] == "RequestError" and error["type"] == f"urn:ietf:params:jmap:error:{type}"
        assert error["requestId"] == ("x" if '"x"' in said else None)
        await alice.say(type="Request", id="still", using=[CORE], methodCalls=[])
        assert (await alice.hear())["requestId"] == "still"


async def test_an_answer_takes_no_longer_than_one_over_http(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def for_ever(self: Any, visitor: Any, request: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(socket, "LIMITS", dataclasses.replace(LIMITS, http_answer=0))
    async with talking(house) as alice:
        with monkeypatch.context() as patch:
            patch.setattr(api.Api, "answer", for_ever)
            await alice.say(type="Request", id="R1", using=[CORE], methodCalls=[])
            answer = await alice.hear()
        assert (answer["@type"], answer["requestId"], answer["status"]) == ("RequestError", "R1", 503)
        monkeypatch.undo()
        await alice.say(type="Request", id="R2", using=[CORE], methodCalls=[["Core/echo", {}, "a"]])
        assert (await alice.hear())["requestId"] == "R2"


async def test_octets_end_it(house: Site) -> None:
    async with talking(house) as alice:
        await alice.ws.send_bytes(b"{}")
        assert await alice.closed() == 1003


async def test_a_message_over_the_limit_ends_it(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "LIMITS", dataclasses.replace(LIMITS, jmap_request=1000))
    async with talking(house) as alice:
        await alice.ws.send_str(json.dumps("x" * 1000))
        assert await alice.closed() == 1009


async def test_it_ends_with_the_sessions_of_its_user_and_with_the_server(house: Site) -> None:
    async with talking(house) as alice, talking(house, BOB) as bob:
        house.store.write_now(lambda tx: sessions.end(tx, account(house), keep_app_passwords=True))
        assert await alice.closed() == 1001
        house.store.write_now(states.changed, account(house, BOB), "Identity")
        stopping = asyncio.create_task(house.doors.drain(20))
        assert await bob.closed() == 1001
        async with asyncio.timeout(20):
            await stopping


@pytest.mark.parametrize(
    "more, status",
    [
        ({"protocol": "chat"}, 400),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Authorization": "Basic x"}, 401),
    ],
)
async def test_who_may_not_talk(house: Site, more: dict[str, str], status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with talking(house, **more):
            pass
    assert caught.value.status == status


async def test_the_session_resource_tells_where_it_is(house: Site) -> None:
    async with (
        aiohttp.ClientSession(headers={"Authorization": aiohttp.encode_basic_auth(ALICE, PASSWORD)}) as client,
        client.get(f"https://127.0.0.1:{house.port('https')}/.well-known/jmap", ssl=False) as got,
    ):
        found = (await got.json())["capabilities"][socket.URN]
    assert found == {"url": f"wss://127.0.0.1:{house.port('https')}{socket.PATH}", "supportsPush": True}


async def test_it_ends_with_the_age_of_its_session(house: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is no news that anybody hears of: so whoever asks proves again who he is."""
    async with talking(house) as alice:
        monkeypatch.setattr(visitors, "is_here", lambda store, who: False)
        await alice.say(type="Request", using=[CORE], methodCalls=[["Core/echo", {}, "a"]])
        assert await alice.closed() == 1001
