"""A mailbox, two sessions, and a model of it (D6): whatever they do, both clients and the store agree with the model.

The model knows the messages; each client knows only what it was told, kept up to date from untagged lines alone, as
a real one does.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import argon2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from daemon import passwords
from daemon.store import mailboxes, messages
from daemon.store.snapshot import load
from tests.serve.imap.conftest import ALICE, HELLO, Client, MailHouse

FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "Work")
FETCHED = re.compile(rb"\* (\d+) FETCH \((.*)\)", re.DOTALL)


@dataclass
class Robot:
    """What one client believes: UIDs in order (0: not asked yet) and the flags it was told."""

    client: Client
    uids: list[int] = field(default_factory=list)
    flags: dict[int, frozenset[str]] = field(default_factory=dict)

    def hear(self, lines: list[bytes]) -> None:
        for line in lines:
            words = line.split()
            if words[0] != b"*":
                continue
            if words[2:3] == [b"EXISTS"]:
                assert int(words[1]) >= len(self.uids), "EXISTS never takes away"
                self.uids += [0] * (int(words[1]) - len(self.uids))
            elif words[2:3] == [b"EXPUNGE"]:
                del self.uids[int(words[1]) - 1]
            elif found := FETCHED.fullmatch(line):
                place = int(found[1]) - 1
                if uid := re.search(rb"UID (\d+)", found[2]):
                    assert self.uids[place] in (0, int(uid[1])), "a number means one message"
                    self.uids[place] = int(uid[1])
                if (told := re.search(rb"FLAGS \(([^)]*)\)", found[2])) and self.uids[place]:
                    self.flags[self.uids[place]] = frozenset(told[1].decode().split()) - {"\\Recent"}


class Mailbox(RuleBasedStateMachine):
    """Two sessions on one mailbox, and deliveries. The server is the same for all runs, the mailbox is not."""

    loop: asyncio.AbstractEventLoop
    house: MailHouse
    count = 0

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[int, frozenset[str]] = {}
        self.next_uid = 1
        self.robots: list[Robot] = []
        Mailbox.count += 1
        self.name = f"Box{Mailbox.count}"

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        async def begin() -> None:
            await self.house.store.write(mailboxes.create, self.house.accounts[ALICE], self.name)
            for _ in range(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.house.ports["imap"])
                await reader.readline()
                client = Client(reader, writer)
                await client.ok('LOGIN alice@example.test "wonder land"')
                robot = Robot(client)
                robot.hear(await client.ok(f"SELECT {self.name}"))
                self.robots.append(robot)

        self.run(begin())

    def say(self, who: int, command: str | bytes, *, numbers: bool = False) -> list[bytes]:
        """A command of one robot, who hears the answer; the lines."""
        lines = self.run(self.robots[who].client.command(command))
        assert lines[-1].startswith(b"OK") or b"EXPUNGEISSUED" in lines[-1], lines[-1]
        if numbers:
            assert not any(line.endswith(b" EXPUNGE") for line in lines), "never while numbers are spoken of"
        self.robots[who].hear(lines)
        return list(lines)

    # -- what can happen -----------------------------------------------------------------------------------------------

    who = st.integers(0, 1)
    some = st.sets(st.integers(1, 12), min_size=1, max_size=4).map(lambda uids: ",".join(map(str, sorted(uids))))

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        for placed in self.run(self.house.fill(count, mailbox=self.name)):
            assert placed.uid == self.next_uid
            self.model[placed.uid] = frozenset()
            self.next_uid += 1

    @rule(who=who, flag=st.sampled_from(FLAGS))
    def append(self, who: int, flag: str) -> None:
        lines = self.say(who, b"APPEND %b (%b) {%d+}\r\n%b" % (self.name.encode(), flag.encode(), len(HELLO), HELLO))
        assert b" %d]" % self.next_uid in lines[-1]
        self.model[self.next_uid] = frozenset({flag})
        self.next_uid += 1
        assert len(self.robots[who].uids) >= len(self.model)

    @rule(
        who=who,
        uids=some,
        change=st.sampled_from("+- "),
        flags=st.sets(st.sampled_from(FLAGS), max_size=2),
        silent=st.booleans(),
    )
    def store(self, who: int, uids: str, change: str, flags: set[str], silent: bool) -> None:
        robot, named = self.robots[who], self.told(who) & set(map(int, uids.split(",")))
        item = f"{change.strip()}FLAGS{'.SILENT' if silent else ''}"
        self.say(who, f"UID STORE {uids} {item} ({' '.join(sorted(flags))})")

        def after(old: frozenset[str]) -> frozenset[str]:
            return old | flags if change == "+" else old - flags if change == "-" else frozenset(flags)

        for uid in named & self.model.keys():
            self.model[uid] = after(self.model[uid])
            if silent and uid in robot.flags:
                robot.flags[uid] = after(robot.flags[uid])

    @rule(who=who, place=st.integers(0, 11), peek=st.booleans())
    def read(self, who: int, place: int, peek: bool) -> None:
        robot = self.robots[who]
        if place >= len(robot.uids):
            return
        uid = robot.uids[place]
        lines = self.say(who, f"FETCH {place + 1} (UID BODY{'.PEEK' if peek else ''}[TEXT])", numbers=True)
        if b"EXPUNGEISSUED" in lines[-1]:
            assert uid not in self.model
            return
        uid = robot.uids[place]
        if not peek:
            self.model[uid] |= {"\\Seen"}

    @rule(who=who)
    def fetch(self, who: int) -> None:
        if self.robots[who].uids:
            self.say(who, "FETCH 1:* (UID FLAGS)", numbers=True)

    @rule(who=who)
    def noop(self, who: int) -> None:
        self.say(who, "NOOP")
        self.agree(who)

    @rule(who=who, uids=st.none() | some)
    def expunge(self, who: int, uids: str | None) -> None:
        named = self.told(who) & set(map(int, uids.split(","))) if uids else self.model.keys()
        self.say(who, f"UID EXPUNGE {uids}" if uids else "EXPUNGE")
        self.model = {uid: flags for uid, flags in self.model.items() if uid not in named or "\\Deleted" not in flags}

    @rule(who=who, uids=some, away=st.booleans())
    def move(self, who: int, uids: str, away: bool) -> None:
        named = sorted(self.told(who) & set(map(int, uids.split(","))) & self.model.keys())
        self.say(who, f"UID {'MOVE' if away else 'COPY'} {uids} {self.name}")
        for uid in named:
            self.model[self.next_uid] = self.model[uid]
            self.next_uid += 1
            if away:
                del self.model[uid]

    @rule(who=who)
    def idle(self, who: int) -> None:
        robot = self.robots[who]

        async def pause() -> list[bytes]:
            robot.client.send(b"i IDLE\r\nDONE\r\n")
            return await robot.client.answer(b"i")

        robot.hear(self.run(pause()))
        self.say(who, "NOOP")
        self.agree(who)

    @rule(who=who)
    def select(self, who: int) -> None:
        self.robots[who].uids, self.robots[who].flags = [], {}
        self.say(who, f"SELECT {self.name}")

    # -- what must hold ------------------------------------------------------------------------------------------------

    def told(self, who: int) -> set[int]:
        """UIDs of the messages that this client's numbers mean, also those it did not ask for."""
        (session,) = [s for s in self.sessions() if s.conn.peer_port == self.port(who)]
        return set(session.known.uids)

    def sessions(self) -> list[Any]:
        lives = self.house.door.sessions._live.values()
        return [live.end.__self__ for mine in lives for live in mine.values()]  # type: ignore[attr-defined]

    def port(self, who: int) -> int:
        return int(self.robots[who].client.writer.get_extra_info("sockname")[1])

    def agree(self, who: int) -> None:
        """After everything was told: numbers, and every flag the client ever heard of."""
        robot = self.robots[who]
        assert len(robot.uids) == len(self.model)
        for uid, want in zip(robot.uids, sorted(self.model), strict=True):
            assert uid in (0, want)
            if uid and uid in robot.flags:
                assert robot.flags[uid] == self.model[uid], f"flags of UID {uid}"

    @invariant()
    def the_store_is_the_model(self) -> None:
        if not self.robots:
            return
        box = self.house.box(self.name)
        now = self.house.store.read_now(load, box.id)
        labels = self.house.imap.views.labels
        found = {
            uid: frozenset(labels.text(state)[1:-1].decode().split())
            for uid, state in zip(now.uids, now.states, strict=True)
        }
        assert found == self.model
        assert (box.total, box.uidnext) == (len(self.model), self.next_uid)
        assert box.unseen == sum("\\Seen" not in flags for flags in self.model.values())
        sizes = self.house.store.read_now(messages.fetch, box.id, messages.ALL, ("size",))
        assert box.size == sum(size for (size,) in sizes)

    def teardown(self) -> None:
        for robot in self.robots:
            robot.client.writer.transport.abort()


def test_two_sessions_and_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    Mailbox.loop = asyncio.new_event_loop()

    async def begin() -> MailHouse:
        return MailHouse(tmp_path, {})

    Mailbox.house = Mailbox.loop.run_until_complete(begin())
    try:
        run_state_machine_as_test(
            Mailbox,
            settings=settings(
                max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    finally:
        Mailbox.loop.run_until_complete(Mailbox.house.close())
        Mailbox.loop.close()
