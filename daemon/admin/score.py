"""What the filter makes of messages in files: the verdict that mail from outside would get, and why.

Nothing is asked of others and nothing is noted, unless it is said from where the message comes: then the DNS is asked
what port 25 would ask. Results that others wrote into the file are not believed.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.admin import imports, words
from daemon.admin.errors import BadData
from daemon.config import Config
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.judged import Judged
from daemon.flow.judging import Judge
from daemon.resolver import DNS
from daemon.store import accounts, settings
from daemon.store.db import Store
from daemon.store.spool import Body
from daemon.trust.results import Signals
from daemon.trust.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Scored:
    """The verdict on one message: `verdict` is accept, junk, refuse or defer, `reason` why, from a short list.
    `score` is higher the worse, spam from `required` on; `reasons` are the signals, those that weigh most first."""

    file: str
    verdict: str
    reason: str
    score: float
    required: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class From:
    """From where a message comes: the peer's address, what it says in HELO, the sender of the envelope ("" for <>)."""

    ip: str = ""
    helo: str = ""
    sender: str | None = None


def score(
    store: Store, paths: Sequence[Path], *, user: str | None = None, came: From | None = None
) -> Iterator[Scored]:
    """The verdict on each message of these files, as it would be for `user`, or for somebody who taught nothing.

    Raises `Missing`, `BadData`, `OSError`.
    """
    came = came or From()
    if came.ip and not _is_address(came.ip):
        raise BadData(f"{came.ip!r} is not an IP address")
    sender = words.address(came.sender) if came.sender else None
    recipients = []
    if user is not None:
        account = store.read_now(accounts.get, words.address(user))
        recipients.append(Recipient(account.address))
    known = store.read_now(settings.load)
    config = Config([*known.rows.items(), ("spam.check", "yes"), ("trust.check", "yes" if came.ip else "no")])
    origin = Origin("smtp", came.ip, came.helo or "unknown")
    judge = Judge(store, DNS(config["dns.servers"]), offline=not origin.peer)
    envelope = Envelope(sender, recipients)
    with asyncio.Runner() as runner:
        for path in paths:
            source = imports.source(path)
            alone = source.format == "message" and path.is_file()
            for one in imports.read(source, "", config["limits.message_size"]):
                if one.problem:
                    raise BadData(f"{path}: {one.where}: {one.problem}")
                name = str(path) if alone else f"{path}: {one.where}"
                yield runner.run(_score(judge, name, one.data, config, origin, envelope))


async def _score(judge: Judge, name: str, data: bytes, config: Config, origin: Origin, envelope: Envelope) -> Scored:
    judged, _, body = await judge.judge(origin, envelope, Body.of(data), config)
    body.close()
    made = next(iter(judged.verdicts.values()), judged.others)
    return Scored(name, made.action, made.reason, made.score, judged.required, tuple(map(str, made.contributions)))


def judged(store: Store, data: bytes, envelope: Envelope, config: Config) -> tuple[Judged, bytes]:
    """What becomes known of a message by looking at it, and the message without fields that only we may write."""
    config = Config([*config.rows.items(), ("trust.check", "no")])
    judge = Judge(store, DNS(config["dns.servers"]), offline=True)
    with asyncio.Runner() as runner:
        found, _, body = runner.run(judge.judge(Origin("smtp"), envelope, Body.of(data), config))
    try:
        return found, bytes(body.view())
    finally:
        body.close()


def supposed(points: float, config: Config) -> Judged:
    """What would be known of a message if the filter gave it so many points."""
    required, certain = config["spam.junk"], config["spam.refuse"]
    verdict = Verdict("accept", "clean", points)
    if points >= required:
        verdict = Verdict("junk", "spam", points)
    if 0 < certain <= points:
        verdict = Verdict("refuse", "spam-certain", points)
    return Judged(Signals(), verdict, b"", verdict, required=required)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
