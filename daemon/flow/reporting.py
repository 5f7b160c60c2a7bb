"""Reports sent to those who ask, a day after; reports of others collected. One worker, in small rounds.

DMARC aggregate reports (RFC 9990) go to the addresses in a policy's `rua`, reports about TLS (RFC 8460) to those at
`_smtp._tls`, by the one queue or by HTTPS. No report is made about a report: such mail is not counted. A report is
noted as done before it leaves, so that a crash may lose one and never sends one twice.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import NamedTuple

from daemon import log
from daemon.config import Config
from daemon.flow import receive
from daemon.flow.collect import collect
from daemon.flow.destinations import Destination, for_dmarc, for_tls, tags
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.hand_in import hand_in
from daemon.flow.tally import tally
from daemon.limits import LIMITS
from daemon.mail import report
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.report import Letter
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.store import domains, evidence, reports
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.evidence import DAY, Counted, Judged, Session
from daemon.store.spool import Body
from daemon.store.tx import Tx
from daemon.trust import dmarc_report, tls_report
from daemon.trust.dmarc_report import Proof, Row
from daemon.trust.tls_report import Failure, Policy

_SPREAD = 4 * 3_600_000  # ms after midnight within which servers choose their moment (RFC 8460 §4.1)
_REPORTS_KEPT = 400 * DAY
_SELDOM = 10  # rounds from one to the next in which reports are made
Post = Callable[[str, bytes], Awaitable[str]]
"""Hands a packed report in at an HTTPS address; what went wrong, '' if nothing did."""


class About(NamedTuple):
    """One report to be made: of which day, about whom, by whom."""

    kind: str
    day: int
    domain: str
    sender: Address
    hostname: str

    @property
    def begin(self) -> int:
        """Seconds since 1970."""
        return self.day * DAY // 1000

    @property
    def end(self) -> int:
        return self.begin + DAY // 1000 - 1

    @property
    def unique(self) -> str:
        """The same whenever it is made again (RFC 9990 §3.5.2: a report sent anew has the name it had)."""
        text = f"{self.kind} {self.day} {self.domain} {self.hostname}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def report_id(self) -> str:
        return f"{datetime.fromtimestamp(self.begin, UTC):%Y%m%d}.{self.kind}.{self.domain}.{self.unique}"

    @property
    def file_name(self) -> str:
        extension = "xml" if self.kind == "dmarc" else "json"
        names = f"{self.sender.domain}!{self.domain}!{self.begin}!{self.end}!{self.unique}"
        return f"{names}.{extension}.gz"


class Reporting:
    """The worker. `run` goes on until it is cancelled."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        resolver: Resolver,
        *,
        every: float = LIMITS.report_round,
        post: Post | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._resolver = resolver
        self._every = every
        self._post = post or partial(hand_in, resolver)

    async def run(self) -> None:
        """Rounds, one fault of which ends no other."""
        for number in count():
            if self._store.broken:
                return
            often = (self.count, self.collect)
            for work in (*often, self.send, self.forget) if number % _SELDOM == 0 else often:
                try:
                    await work()
                except StoreError as error:
                    log.trouble("reports", work=work.__name__, reason=str(error))
                except Exception as error:
                    log.fault("reports", error, work=work.__name__)
            await asyncio.sleep(self._every)

    async def count(self) -> None:
        """Tally what was judged."""
        await tally(self._store)

    async def collect(self) -> None:
        """Keep what others report."""
        await collect(self._store)

    async def forget(self) -> None:
        """Let go what is old, or too much."""
        now = self._store.clock()
        while await self._store.write(evidence.forget, now - evidence.KEPT * DAY, LIMITS.report_batch):
            await asyncio.sleep(0)
        while await self._store.write(reports.forget, now - _REPORTS_KEPT):
            await asyncio.sleep(0)

    async def send(self) -> int:
        """Make the reports that are due; how many."""
        config = self._config()
        if not config["reports.send"]:
            return 0
        sender = self._store.peek(sender_of, config)
        spread = zlib.crc32(config.hostname.encode()) % _SPREAD
        if sender is None or self._store.clock() % DAY < spread:
            return 0
        made = 0
        for kind in ("dmarc", "tls"):
            for day, domain in await self._store.read(evidence.due, kind, LIMITS.report_batch):
                made += await self._one(About(kind, day, domain, sender, config.hostname))
        return made

    async def _one(self, about: About) -> bool:
        try:
            wanted, content = await (self._dmarc(about) if about.kind == "dmarc" else self._tls(about))
        except TemporaryDNSError as error:  # asked again in the next round, until the evidence is too old
            log.event("report-waits", kind=about.kind, domain=about.domain, reason=error.reason)
            return False
        uris = [one.uri for one in wanted]
        if not await self._store.write(evidence.done, about.kind, about.day, about.domain, uris) or not wanted:
            return False
        packed = await self._store.aside(_packed, content)
        for one in wanted:
            await self._deliver(about, one, packed)
        return True

    async def _dmarc(self, about: About) -> tuple[list[Destination], bytes]:
        record, counted = await self._store.read(evidence.of, about.day, about.domain)
        wanted = await for_dmarc(self._resolver, about.domain, record) if counted else []
        return wanted, dmarc(about, record, counted) if wanted else b""

    async def _tls(self, about: About) -> tuple[list[Destination], bytes]:
        wanted = await for_tls(self._resolver, about.domain)
        counted = await self._store.read(evidence.sessions, about.day, about.domain) if wanted else []
        ours = await self._store.read(evidence.mailed, about.day, about.domain) if wanted else 0
        if sum(one.sessions for one in counted) <= ours:  # only our reports went there: none about them (traps S15)
            return [], b""
        return wanted, tls(about, counted)

    async def _deliver(self, about: About, to: Destination, packed: bytes) -> None:
        if to.mailbox is None:
            trouble = await self._post(to.uri, packed)
        else:
            trouble = await self._mail(about, to.mailbox, to.largest, packed)
        told = {"trouble": trouble} if trouble else {}
        log.event("report-sent", kind=about.kind, domain=about.domain, to=to.uri, id=about.report_id, **told)

    async def _mail(self, about: About, to: Address, largest: int | None, packed: bytes) -> str:
        """By the queue; why it could not be, '' if it was."""
        about_what = "mail in the name of" if about.kind == "dmarc" else "TLS towards"
        text = f"This is a report about {about_what} {about.domain}, for machines to read."
        sender = about.sender
        letter = Letter(
            about.kind,
            str(sender),
            str(to),
            about.domain,
            sender.domain,
            about.report_id,
            about.file_name,
            packed,
            text,
        )
        data = report.write(letter, hostname=about.hostname, now=self._store.clock() / 1000)
        if largest is not None and len(data) > largest:
            return "larger than its reader takes"
        envelope = Envelope(sender, [Recipient(to, notify="NEVER")])
        receipt = await receive.accept(self._store, Origin("report"), envelope, Body.of(data), config=self._config())
        denial = receipt.outcomes[0].denial
        return denial.text if denial is not None else ""


def sender_of(tx: Tx, config: Config) -> Address | None:
    """Whom reports come from: the setting, else the postmaster of the domain this host is of; None without a domain."""
    if config["reports.from"]:
        try:
            return parse_address(config["reports.from"])
        except BadAddress:
            return None
    ours = [domain.name for domain in domains.everyone(tx) if domain.enabled and domain.alias_of is None]
    host = config.hostname
    own = [name for name in ours if host == name or host.endswith("." + name)]
    home = max(own, key=len) if own else next(iter(ours), None)
    return None if home is None else Address("postmaster", home)


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


# -------------------------------------------------------------------------------------------------------- what they say


def dmarc(about: About, record: str, counted: Sequence[Counted]) -> bytes:
    """The XML about one domain and day."""
    lost = sum(one.messages for one in counted if one.judged is None)
    rows = [_row(one.judged, one.messages) for one in counted if one.judged is not None]
    error = f"{lost} messages are not told: they differed from each other too much" if lost else ""
    return dmarc_report.write(
        dmarc_report.Report(
            about.sender.domain,
            str(about.sender),
            about.report_id,
            about.begin,
            about.end,
            about.domain,
            published(record),
            rows,
            error=error,
            generator="mailctl",
        )  # fmt: skip
    )


def published(record: str) -> dict[str, str]:
    """A DMARC record by the names of the report, what is not said with its default (RFC 9989 §4.7)."""
    said = tags(record)
    policy = _among(said.get("p"), ("none", "quarantine", "reject"), "none")
    below = _among(said.get("sp"), ("none", "quarantine", "reject"), policy)
    return {
        "discovery_method": "treewalk",
        "p": policy,
        "sp": below,
        "np": _among(said.get("np"), ("none", "quarantine", "reject"), below),
        "fo": said.get("fo", "0")[:20],
        "adkim": _among(said.get("adkim"), ("r", "s"), "r"),
        "aspf": _among(said.get("aspf"), ("r", "s"), "r"),
        "testing": _among(said.get("t"), ("y", "n"), "n"),
    }


def _among(value: str | None, words: tuple[str, ...], default: str) -> str:
    return value.lower() if value is not None and value.lower() in words else default


def _row(judged: Judged, messages: int) -> Row:
    words = {True: "pass", False: "fail"}
    return Row(
        judged.source_ip, messages, judged.disposition, words[judged.dkim_aligned], words[judged.spf_aligned],
        judged.header_from, judged.envelope_from, "", (judged.override,) if judged.override else (),
        tuple(Proof(domain, result, selector) for domain, selector, result in judged.dkim),
        (Proof(*judged.spf),) if judged.spf[0] else (),
    )  # fmt: skip


def tls(about: About, counted: Sequence[Session]) -> bytes:
    """The JSON about one domain and day: one policy for each that was found published."""
    policies: dict[tuple[str, str], list[Session]] = {}
    for one in counted:
        policies.setdefault((one.policy_type, one.policy_string), []).append(one)
    return tls_report.write(
        tls_report.Report(
            about.sender.domain,
            str(about.sender),
            about.report_id,
            about.begin,
            about.end,
            [_policy(about.domain, *published, sessions) for published, sessions in policies.items()],
        )  # fmt: skip
    )


def _policy(domain: str, kind: str, text: str, sessions: Sequence[Session]) -> Policy:
    failures = [s for s in sessions if s.result]
    hosts = dict.fromkeys(s.mx_host for s in sessions if s.mx_host)
    return Policy(
        kind, domain, tuple(text.splitlines()), tuple(hosts), sum(s.sessions for s in sessions if not s.result),
        sum(s.sessions for s in failures),
        tuple(Failure(f.result, f.sessions, f.sending_ip, f.mx_host, f.receiving_host) for f in failures),
    )  # fmt: skip
