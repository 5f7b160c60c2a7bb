"""Reports sent to those who ask, a day after; reports of others collected. One worker, in small rounds.

DMARC aggregate reports (RFC 9990) go to the addresses in a policy's `rua`, reports about TLS (RFC 8460) to those at
`_smtp._tls`, by the one queue or by HTTPS. No report is made about a report: such mail is not counted. A report is
noted as done before it leaves, so that a crash may lose one and never mails one twice. What HTTPS does not take is
tried again for a day, as mail would be.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count

from daemon import log
from daemon.config import Config
from daemon.flow import receive
from daemon.flow.collect import collect
from daemon.flow.destinations import Destination, for_dmarc, for_tls
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.hand_in import hand_in
from daemon.flow.postmaster import postmaster
from daemon.flow.reported import About, dmarc, tls
from daemon.flow.tally import tally
from daemon.limits import LIMITS
from daemon.mail import report
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.report import Letter
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.store import domains, evidence, hand_ins, reports
from daemon.store.db import Store
from daemon.store.errors import StoreError
from daemon.store.evidence import DAY
from daemon.store.hand_ins import HandIn
from daemon.store.spool import Body
from daemon.store.tx import Tx

_SPREAD = 4 * 3_600_000  # ms after midnight within which servers choose their moment (RFC 8460 §4.1)
_REPORTS_KEPT = 400 * DAY
_SELDOM = 10  # rounds from one to the next in which reports are made
Post = Callable[[str, bytes], Awaitable[str]]
"""Hands a packed report in at an HTTPS address; what went wrong, '' if nothing did."""


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
            often = (self.count, self.collect, self.hand_in)
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
        sender = self._sender(config)
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
            if one.mailbox is not None:
                trouble = await self._mail(about, one.mailbox, one.largest, packed)
                _tell("report-sent", about, one.uri, trouble)
        return True

    def _sender(self, config: Config) -> Address | None:
        """Whom reports come from; None when none are to be sent."""
        return self._store.peek(sender_of, config) if config["reports.send"] else None

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

    async def hand_in(self) -> None:
        """Try what is to go by HTTPS, some at a time: strangers choose how long each takes."""
        config = self._config()
        sender = self._sender(config)
        if sender is None:
            return
        lines = asyncio.Semaphore(LIMITS.hand_ins)

        async def one(due: HandIn) -> None:
            async with lines:
                await self._hand_in(About("tls", due.day, due.domain, sender, config.hostname), due)

        await asyncio.gather(*map(one, await self._store.write(hand_ins.take, LIMITS.report_batch)))

    async def _hand_in(self, about: About, due: HandIn) -> None:
        """One try. The report is made anew: its day is over, so it says what it said."""
        counted = await self._store.read(evidence.sessions, due.day, due.domain)
        trouble = await self._post(due.uri, await self._store.aside(_packed, tls(about, counted)))
        if not trouble or due.last:
            await self._store.write(hand_ins.end, due)
        word = "report-sent" if not trouble else "report-lost" if due.last else "report-waits"
        _tell(word, about, due.uri, trouble)

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
    """Whom reports come from: the setting, else postmaster; None without a domain."""
    if config["reports.from"]:
        try:
            return parse_address(config["reports.from"])
        except BadAddress:
            return None
    return postmaster(tx, config.hostname) if domains.home(tx, []) else None


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _tell(word: str, about: About, uri: str, trouble: str) -> None:
    told = {"reason": trouble} if trouble else {}
    log.event(word, kind=about.kind, domain=about.domain, to=uri, id=about.report_id, **told)
