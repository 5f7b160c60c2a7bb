"""A store with a few people, and ways to hand mail in and look at what became of it. For tests of the road out."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.config import Config, DataDir
from daemon.flow import receive
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.mail.address import parse_address
from daemon.store import accounts, aliases, domains, events, mailboxes, messages, queue_desk, routes
from daemon.store.db import Store
from daemon.store.queue_desk import Filter, Row
from daemon.store.spool import Body
from daemon.store.tx import Tx

MESSAGE = b"From: Ann <ann@here.example>\r\nSubject: hello\r\nMessage-ID: <1@here.example>\r\n\r\nHello.\r\n"


class Clock:
    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class House:
    """Ann and Bob live in `here.example`. `config` are settings as text."""

    def __init__(self, data: DataDir, clock: Clock, config: Sequence[tuple[str, str]] = ()) -> None:
        self.clock = clock
        self.store = Store.open(data, clock=clock)
        self.store.reserve = 0
        self.config = Config([("hostname", "mx.here.example"), *config])
        self.store.write_now(self._people)

    def _people(self, tx: Tx) -> None:
        if domains.find(tx, "here.example") is None:
            domains.add(tx, "here.example")
            for name in ("ann", "bob"):
                accounts.add(tx, parse_address(f"{name}@here.example"), None)

    def forward(self, user: str, *to: str, keep: bool = False) -> None:
        def work(tx: Tx) -> None:
            account = accounts.find(tx, parse_address(user))
            assert account is not None
            accounts.set_forwards(tx, account.id, [parse_address(t) for t in to], keep=keep)

        self.store.write_now(work)

    def alias(self, name: str, *to: str) -> None:
        self.store.write_now(lambda tx: aliases.add(tx, parse_address(name), [parse_address(t) for t in to]))

    def route(self, kind: str, pattern: str, port: int, **more: str) -> int:
        return self.store.write_now(
            lambda tx: routes.add(tx, kind, pattern, more.pop("host", "127.0.0.1"), port, **more)  # type: ignore[arg-type]
        )

    def mail(
        self, sender: str, *to: str, data: bytes = MESSAGE, kind: str = "submission", notify: str | None = None,
        ret: str | None = None, envid: str | None = None, orcpt: str | None = None, requiretls: bool = False,
    ) -> receive.Receipt:  # fmt: skip
        """Hand a message in, as one road does it."""
        envelope = Envelope(
            parse_address(sender) if sender else None,
            [Recipient(parse_address(t), orcpt, notify) for t in to],
            ret=ret, envid=envid, requiretls=requiretls,
        )  # fmt: skip
        return receive.accept_now(self.store, Origin(kind), envelope, Body.of(data), config=self.config)

    def queued(self, **conditions: object) -> list[Row]:
        return self.store.read_now(lambda tx: list(queue_desk.find(tx, Filter(**conditions))))  # type: ignore[arg-type]

    def inbox(self, user: str) -> list[bytes]:
        """The messages in a user's INBOX."""

        def work(tx: Tx) -> list[bytes]:
            account = accounts.find(tx, parse_address(user))
            assert account is not None
            box = mailboxes.get(tx, account.id, "INBOX")
            columns = ("prefix", "segment_id", "offset", "length")
            rows = messages.fetch(tx, box.id, messages.ALL, columns)
            return [prefix + self.store.segments.read(*place) for prefix, *place in rows]

        return self.store.read_now(work)

    def story(self, trace: str | receive.Receipt) -> list[str]:
        """The kinds of events and their reasons."""
        return [f"{e.kind} {e.reason}".strip() for e in self.store.read_now(events.of_trace, str(trace))]

    def close(self) -> None:
        self.store.close()
