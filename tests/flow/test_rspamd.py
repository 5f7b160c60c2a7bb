"""rspamd by its own protocol: what it is told, and what its answer may say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from daemon.config import Config
from daemon.flow import engines, rspamd
from daemon.flow.draft import Changes
from daemon.flow.engines import Asked
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.opinions import Broken
from daemon.limits import LIMITS
from daemon.mail.address import parse_address
from daemon.store.spool import Body
from daemon.trust.results import Opinion
from tests.instruments.milter import Milter

HEAD = b"Received: a\r\nReceived: b\r\nSubject: hi\r\n"
DATA = HEAD + b"\r\nbody\r\n"
STRANGER = Origin("smtp", "192.0.2.1", "mx.far\r\nEvil: 1", tls="TLSv1.3")


class Rspamd:
    """A server that answers every request alike. `answer` is JSON unless it is octets; None: it says nothing."""

    def __init__(self, answer: Any, status: str = "200 OK", path: Path | None = None) -> None:
        self.answer = answer if isinstance(answer, bytes) or answer is None else json.dumps(answer).encode()
        self.status = status
        self.path = path
        self.head: list[str] = []
        self.body = b""
        self.url = ""
        self._server: asyncio.Server | None = None
        self._over = asyncio.Event()

    async def __aenter__(self) -> Rspamd:
        if self.path is not None:
            self._server = await asyncio.start_unix_server(self._serve, self.path)
            self.url = f"unix:{self.path}"
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._over.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
            sizes = [line.partition(": ")[2] for line in self.head if line.startswith("Content-Length: ")]
            self.body = await reader.readexactly(int(sizes[0]) if sizes else 0)
            if self.answer is None:
                await self._over.wait()
            else:
                length = f"Content-Length: {len(self.answer)}\r\n"
                writer.write(f"HTTP/1.1 {self.status}\r\n{length}Connection: close\r\n\r\n".encode() + self.answer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def ask(where: str, *rows: tuple[str, str], data: bytes = DATA, origin: Origin = STRANGER) -> Asked:
    config = Config([("hostname", "mx.here.example"), ("filter.rspamd", where), *rows])
    given = Envelope(parse_address("al@far.example"), [Recipient(parse_address(f"{n}@here.example")) for n in "ab"])
    return await engines.ask(config, origin, given, Body.of(data), now=0, trace="tr", reverse="mx.far.example")


async def asked(answer: Any, *rows: tuple[str, str], **more: Any) -> tuple[Opinion, Asked]:
    async with Rspamd(answer, **more) as server:
        found = await ask(server.url, *rows)
        assert found.opinions[0].engine == server.url
        return found.opinions[0], found


async def test_what_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    async with Rspamd({"action": "no action"}, path=tmp_path / "socket") as server:
        found = await ask(server.url, ("filter.rspamd_password", str(tmp_path / "password")))
        assert found.opinions == (Opinion(server.url, "accept"),) and found.body.bytes() == DATA
        assert server.head[0] == "POST /checkv2 HTTP/1.1" and server.body == DATA
        told = [tuple(line.split(": ", 1)) for line in server.head[1:]]
        for field in [
            ("From", "al@far.example"), ("Rcpt", "a@here.example"), ("Rcpt", "b@here.example"), ("IP", "192.0.2.1"),
            ("Helo", "mx.far  Evil: 1"), ("Hostname", "mx.far.example"), ("Queue-Id", "tr"), ("Password", "secret"),
            ("TLS-Version", "TLSv1.3"), ("MTA-Name", "mx.here.example"),
        ]:  # fmt: skip
            assert field in told
        assert {"User", "Evil"} & {name for name, _ in told} == set()
        await ask(server.url, origin=Origin("submission", "192.0.2.1", account_id=3))
        assert "User: al@far.example" in server.head
        long = DATA + b"x" * 3_000_000
        await ask(server.url, data=long)
        assert server.body == long


FOUND = {"score": 7.25, "required_score": 15, "symbols": {"SMALL": {"score": -0.5}, "BIG": {"score": 7.75}, "odd": 1}}


@pytest.mark.parametrize(
    "answer, action, text",
    [
        ({"action": "no action"}, "accept", ""),
        ({"action": "greylist"}, "accept", "greylist"),
        ({"action": "add header"}, "junk", ""),
        ({"action": "rewrite subject", "subject": "*** hi"}, "junk", "rewrite subject"),
        ({"action": "quarantine"}, "junk", "quarantine"),
        ({"action": "soft reject", "messages": {"smtp_message": "Try\nagain"}}, "defer", "Try again"),
        ({"action": "reject", "messages": {"smtp_message": "Gtube pattern"}}, "refuse", "Gtube pattern"),
        ({"action": "reject", "messages": {"smtp_message": ["x"]}}, "refuse", ""),
        ({"action": "discard"}, "accept", "taken and dropped"),
    ],
)
async def test_its_actions(answer: dict[str, Any], action: str, text: str) -> None:
    opinion, found = await asked(answer | FOUND)
    assert opinion[1:6] == (action, 7.25, 15.0, ("BIG(7.75)", "SMALL(-0.5)"), text)
    assert found.changes.discarded == (opinion.engine if answer["action"] == "discard" else "")
    assert found.body.bytes() == DATA.replace(b" hi", b" *** hi" if "subject" in answer else b" hi")


async def test_a_subject_is_encoded() -> None:
    _, found = await asked({"action": "rewrite subject", "subject": "Späm\r\nEvil: 1"})
    assert b"Subject: =?utf-8?" in found.body.bytes().lower().replace(b"subject", b"Subject")
    assert b"\nEvil" not in found.body.bytes()


@pytest.mark.parametrize(
    "wishes, want",
    [
        ({"add_headers": {"X-Spam": "Yes"}}, HEAD + b"X-Spam: Yes\r\n"),
        ({"add_headers": {"X-A": {"value": "1", "order": 1}, "X-B": {"value": "2", "order": -1}}},
         b"Received: a\r\nX-A: 1\r\nReceived: b\r\nSubject: hi\r\nX-B: 2\r\n"),
        ({"add_headers": {"X-A": [{"value": "1"}, "2\n\t3\nEvil: 1"]}},
         HEAD + b"X-A: 1\r\nX-A: 2\r\n\t3\r\n\tEvil: 1\r\n"),
        ({"remove_headers": {"received": 0}}, b"Subject: hi\r\n"),
        ({"remove_headers": {"Received": 1}}, b"Received: b\r\nSubject: hi\r\n"),
        ({"remove_headers": {"Received": [-1, 1], "Subject": 5}}, b"Subject: hi\r\n"),
        ({"remove_headers": {"Subject": 0}, "add_headers": {"Subject": "new"}}, HEAD[:-13] + b"Subject: new\r\n"),
    ],
)  # fmt: skip
async def test_fields_are_added_and_removed(wishes: dict[str, Any], want: bytes) -> None:
    _, found = await asked({"action": "no action", "milter": wishes})
    assert found.body.bytes() == want + b"\r\nbody\r\n"


async def test_a_signature_stands_on_top() -> None:
    _, found = await asked({"action": "no action", "dkim-signature": "v=1; a=x;\r\n\tb=y"})
    assert found.body.bytes() == b"DKIM-Signature: v=1; a=x;\r\n\tb=y\r\n" + DATA


async def test_the_envelope_is_changed() -> None:
    wishes = {"change_from": "<n@far.example>", "add_rcpt": ["<c@here.example>"], "del_rcpt": "a@here.example"}
    _, found = await asked({"action": "no action", "milter": wishes})
    assert [str(address) for address in (*found.changes.added, *found.changes.removed)] == [
        "c@here.example", "a@here.example",
    ]  # fmt: skip
    assert str(found.changes.sender) == "n@far.example"
    _, found = await asked({"action": "no action", "milter": {"change_from": ""}})
    assert found.changes.sender_changed and found.changes.sender is None


def told(**milter: Any) -> dict[str, Any]:
    return {"action": "no action", "milter": milter}


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"garbage", b"[]", b"null", b'"no action"', b"[" * 100_000, b"\xff\xfe{}", {}, {"action": 5},
        {"action": "deliver"}, {"action": "reject", "messages": []}, {"action": "no action", "symbols": []},
        b'{"action": "no action", "symbols": ' + b" " * LIMITS.rspamd_answer + b"{}}",
        {"action": "no action", "milter": 1}, told(add_headers=[]), told(remove_headers=5),
        told(add_headers={"A B": "x"}), told(add_headers={"A\r\nB": "x"}), told(add_headers={"A": 5}),
        told(add_headers={"A": {"value": "x", "order": "1"}}), told(add_headers={"A": {"order": 1}}),
        told(remove_headers={"A": True}), told(remove_headers={"A": 10**9}), told(remove_headers={"A": "all"}),
        told(add_headers={f"A{n}": "x" for n in range(LIMITS.filter_edits + 1)}),
        told(add_headers={"A": "x"}, add_rcpt="nobody"), told(add_headers={"A": "x"}, change_from=5),
        told(add_rcpt=[5]),
        {"action": "no action", "dkim-signature": 5},
    ],
)  # fmt: skip
async def test_answers_that_make_no_sense_are_an_error(answer: Any) -> None:
    opinion, found = await asked(answer)
    assert opinion.action == "error" and opinion.text
    assert found.body.bytes() == DATA and found.changes == Changes(sender=parse_address("al@far.example"))


@pytest.mark.parametrize("score", [None, True, "7", 1e300, float("nan"), float("inf"), [7]])
async def test_a_score_that_is_none_is_left_out(score: Any) -> None:
    answer = {"action": "add header", "score": score, "symbols": {"X": {"score": score}, "Y\n": {}}}
    opinion, _ = await asked(answer)
    assert (opinion.action, opinion.score, opinion.symbols) == ("junk", None, ("X(0)", "Y (0)"))


@pytest.mark.parametrize("status", ["500 Internal", "404 Not found", "302 Found"])
async def test_another_status_is_an_error(status: str) -> None:
    opinion, _ = await asked({"action": "no action"}, status=status)
    assert opinion.action == "error" and status[:3] in opinion.text


async def test_one_that_hangs_is_not_there_or_is_something_else(tmp_path: Path) -> None:
    opinion, _ = await asked(None, ("filter.timeout", "1s"))
    assert (opinion.action, opinion.text) == ("error", "no answer within 1 s")
    for where in ("http://127.0.0.1:1", f"unix:{tmp_path}/none"):
        assert (await ask(where)).opinions[0].action == "error"
    async with Milter() as other:
        assert (await ask(f"http://127.0.0.1:{other.port}", ("filter.timeout", "1s"))).opinions[0].action == "error"
    opinion, _ = await asked({"action": "no action"}, ("filter.rspamd_password", str(tmp_path / "none")))
    assert opinion.action == "error" and "No such file" in opinion.text


async def test_milters_come_after_it() -> None:
    async with Rspamd(told(add_headers={"X-A": "1"})) as server, Milter() as one:
        found = await ask(server.url, ("filter.milters", one.setting))
        assert [opinion.action for opinion in found.opinions] == ["accept", "accept"]
        assert one.told("L")[-1] == b"X-A\x001\0"


async def test_a_ping_is_answered_or_not(tmp_path: Path) -> None:
    async with Rspamd(b"pong\r\n") as server:
        assert await rspamd.alive(server.url, 5) == "pong"
        assert server.head[0] == "GET /ping HTTP/1.1"
    with pytest.raises(Broken):
        await rspamd.alive(f"unix:{tmp_path}/none", 5)
