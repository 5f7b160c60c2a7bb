"""Sessions with other servers: opened to one of a destination's hosts, used for one message after another.

`Sender.open` tries the hosts in their order until one talks to us. TLS is opportunistic unless the route wants more: a
host whose STARTTLS is broken is tried again in the clear, the fault goes to log and trace, and is remembered for some
minutes only. A password is told over checked TLS, on loopback, or where the route says `none`; never otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import secrets
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from daemon import log
from daemon.flow.fit import Content, Sign, fit
from daemon.flow.outcome import Result, Seen, of_answer, ours
from daemon.flow.peer import Patience, Peer, dial
from daemon.flow.route import Host, Router
from daemon.flow.tls import Tls
from daemon.limits import LIMITS
from daemon.store.queue import Claimed
from daemon.store.routes import Route, domain_of
from daemon.store.segments import Reader, SegmentDamaged
from daemon.wire import sasl
from daemon.wire.smtp_client import MailFrom, PeerSilent, RcptTo, SessionRefused
from daemon.wire.smtp_reply import PeerReply
from daemon.wire.stream import EndOfStream, WireError


class Unreachable(Exception):
    """No host of the destination talks to us now. `result` is what each waiting recipient is told."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.reply)
        self.result = result


class _Fault(Exception):
    """This host will not do; perhaps the next one."""

    def __init__(self, reason: str, status: str, words: str, verbatim: str = "") -> None:
        super().__init__(words)
        self.reason = reason
        self.status = status
        self.words = words
        self.verbatim = verbatim


class _NoTls(_Fault):
    """TLS was offered and did not come about."""


@dataclass(slots=True)
class Faults:
    """Hosts that offered what they cannot do, for a while."""

    clock: Callable[[], float] = time.monotonic
    _until: OrderedDict[tuple[str, str], tuple[float, str]] = field(default_factory=OrderedDict)

    def remember(self, what: str, host: str, words: str) -> None:
        self._until[what, host] = (self.clock() + LIMITS.out_fault_memory, words)
        while len(self._until) > LIMITS.out_memory:
            self._until.popitem(last=False)

    def of(self, what: str, host: str) -> str:
        """What went wrong, '' if nothing did lately."""
        until, words = self._until.get((what, host), (0.0, ""))
        return words if until > self.clock() else ""


class Sender:
    """What all sessions share. `name` is what we call ourselves, `local` our addresses to come from (4, 6), `sign`
    proves what had to be changed for a peer."""

    def __init__(
        self,
        segments: Reader,
        router: Router,
        tls: Tls,
        *,
        name: Callable[[], str],
        local: Callable[[], Mapping[int, str]] = dict,
        patience: Patience | None = None,
        sign: Sign = lambda _: b"",
    ) -> None:
        self.segments = segments
        self.router = router
        self.tls = tls
        self.name = name
        self.local = local
        self.patience = patience or Patience()
        self.sign = sign
        self.faults = Faults()

    async def open(self, domain: str, route: Route | None) -> Session:
        """A session with the first host that talks to us.

        Raises `Unreachable`; `Unroutable` and `TemporaryDNSError` as `Router.hosts` does.
        """
        return await self.first_of(await self.router.hosts(domain, route))

    async def first_of(self, hosts: Sequence[Host]) -> Session:
        """A session with the first of these that talks to us. Raises `Unreachable` with the last one's words."""
        result = ours("deferred", "no-host", "4.4.4", "no host to try")
        for place, host in enumerate(hosts):
            try:
                session = await self._session(host)
                session.rest = hosts[place + 1 :]
                return session
            except _Fault as fault:
                words = fault.words if fault.verbatim else f"{host.name}: {fault.words}"
                result = Result("deferred", fault.reason, fault.status, words, fault.verbatim, host.name)
        raise Unreachable(result)

    async def _session(self, host: Host) -> Session:
        note = self.faults.of("tls", host.name) if host.tls == "opportunistic" and not host.username else ""
        if not note:
            try:
                return await self._try(host, plain=False, note="")
            except _NoTls as fault:
                if host.tls != "opportunistic" or (host.username and not _is_loopback(host)):
                    raise
                note = f"STARTTLS failed: {fault.words}"
                self.faults.remember("tls", host.name, note)
                log.trouble("starttls-failed", host=host.name, error=fault.words)
        return await self._try(host, plain=True, note=note)

    async def _try(self, host: Host, *, plain: bool, note: str) -> Session:
        implicit = host.tls == "implicit"
        try:
            peer = await dial(
                host.addresses, host.port, self.name(), self.patience, local=self.local(),
                context=self.tls.strict if implicit else None, host=_certificate_name(host),
            )  # fmt: skip
        except OSError as error:
            raise _Fault("tls" if isinstance(error, ssl.SSLError) else "connect", "4.4.1", _words(error)) from None
        try:
            verified = implicit
            await peer.take(peer.client.greet())
            if not plain and not implicit and host.tls != "none":
                verified = await self._start_tls(peer, host)
            if host.username is not None:
                await self._log_in(peer, host, verified)
        except SessionRefused as refused:
            await peer.close()
            words = f"{refused.stage}: {refused.reply}"
            raise _Fault("session", _soft(refused.reply), words, refused.reply.verbatim) from None
        except WireError as error:
            peer.abort()
            raise _Fault("session", "4.4.2", _words(error)) from None
        except BaseException:
            peer.abort()
            raise
        seen = Seen(
            host.name, peer.address, peer.session.version() or "" if peer.session else "", verified,
            peer.client.capabilities.dsn, note,
        )  # fmt: skip
        return Session(self, peer, seen)

    async def _start_tls(self, peer: Peer, host: Host) -> bool:
        """TLS if there is any to be had; whether the certificate is good. Raises `_NoTls` where it failed."""
        strict = host.tls == "starttls" or (host.username is not None and not _is_loopback(host))
        if not peer.client.capabilities.starttls:
            if strict:
                raise _NoTls("tls", "4.7.4", "TLS is required, and the host does not offer STARTTLS")
            return False
        reply = await peer.take(peer.client.start_tls())
        if reply.code != 220:
            if strict:
                raise _NoTls("tls", "4.7.4", f"STARTTLS: {reply}", reply.verbatim)
            return False  # it said so in good order: the session goes on in the clear
        try:
            await peer.start_tls(self.tls.strict if strict else self.tls.lenient, _certificate_name(host))
            await peer.take(peer.client.hello())
        except (OSError, WireError, SessionRefused) as error:
            peer.abort()
            raise _NoTls("tls", "4.7.5", _words(error)) from None
        assert peer.session is not None
        return strict or self.tls.verified(peer.session, host.name)

    async def _log_in(self, peer: Peer, host: Host, verified: bool) -> None:
        if not (verified or host.tls == "none" or _is_loopback(host)):
            raise _Fault("login", "4.7.4", "the password is not sent without checked TLS")
        chosen = sasl.client(
            sorted(peer.client.capabilities.auth), host.username or "", host.password or "", secrets.token_urlsafe(18)
        )
        if chosen is None:
            raise _Fault("login", "4.7.4", "the host offers no way to log in that is known here")
        mechanism, exchange = chosen
        try:
            reply = await _authenticate(peer, mechanism, exchange)
        except sasl.Refused as refused:
            raise _Fault("login", "4.7.8", f"AUTH {mechanism}: {refused.text}") from None
        if reply.code != 235:
            raise _Fault("login", "4.7.8", f"AUTH {mechanism}: {reply}", reply.verbatim)


async def _authenticate(peer: Peer, mechanism: str, exchange: sasl.ClientExchange) -> PeerReply:
    """RFC 4954 §4, to the last reply. Raises `sasl.Refused` when the server could not prove itself."""
    response = next(exchange)
    assert not isinstance(response, sasl.Derive)
    command = f"AUTH {mechanism}".encode() + (b" " + (sasl.encode(response) or b"=") if response is not None else b"")
    reply = await peer.take(peer.client.exchange(command))
    while reply.code == 334:
        try:
            challenge = base64.b64decode(reply.lines[0], validate=True)
        except ValueError:
            challenge = reply.lines[0].encode()  # some prompt for LOGIN in the clear; others will not like it
        try:
            response = exchange.send(challenge)
            if isinstance(response, sasl.Derive):
                salted = await asyncio.to_thread(
                    sasl.salted, response.password, response.salt, response.iterations
                )  # fmt: skip
                response = exchange.send(salted)
        except StopIteration:
            raise sasl.Refused("malformed", "the server asks for more than the mechanism has") from None
        assert isinstance(response, bytes)
        reply = await peer.take(peer.client.exchange(sasl.encode(response)))
    if reply.code == 235:
        sasl.finish(exchange)
    return reply


class Session:
    """One connection that is ready for messages."""

    def __init__(self, sender: Sender, peer: Peer, seen: Seen) -> None:
        self._sender = sender
        self._peer = peer
        self.seen = seen
        self.carried = 0  # transactions
        self.rest: Sequence[Host] = ()  # hosts that were not tried, in their order
        offered = peer.client.capabilities
        self._most = min(LIMITS.outbound_messages_per_connection, offered.mailmax or 1 << 30)

    @property
    def usable(self) -> bool:
        """Whether another message may be tried here."""
        return self._peer.client.usable and self._peer.transport is not None and self.carried < self._most

    async def carry(self, recipients: Sequence[Claimed], ahead: bytes | None = None) -> dict[int, Result]:
        """Send one message to some of its recipients, in as few transactions as the peer allows; a result for each.
        `ahead` are its blob's octets, when they were read ahead.

        `again` results are for another session: nothing was decided here.
        """
        content = Content(recipients[0].message, self._sender.segments, ahead)
        offered = self._peer.client.capabilities
        if self._sender.faults.of("bdat", self.seen.host):
            offered = self._peer.client.capabilities = replace(offered, chunking=False)
        try:
            if content.is_small:
                fitted = fit(content, recipients, offered, self.seen, self._sender.sign)
            else:
                fitted = await asyncio.to_thread(fit, content, recipients, offered, self.seen, self._sender.sign)
            results = fitted.unfit
            waiting = [recipient for recipient in recipients if recipient.id not in results]
            while waiting:
                if not self.usable:
                    again = ours("again", "lost", "4.4.2", "the connection was used up", self.seen)
                    results.update((recipient.id, again) for recipient in waiting)
                    break
                batch, rest = self._batch(waiting)
                waiting = rest + await self._transact(fitted.mail, batch, fitted.content, results)
        except SegmentDamaged as damage:
            self._peer.abort()
            log.trouble("queue-content-damaged", id=recipients[0].message.trace, error=str(damage))
            words = "451 4.3.0 the message's content cannot be read from this server's disk"
            return {recipient.id: ours("deferred", "damaged", "4.3.0", words) for recipient in recipients}
        except BaseException:
            self._peer.abort()
            raise
        return results

    def _batch(self, waiting: list[Claimed]) -> tuple[list[Claimed], list[Claimed]]:
        """As many as go in one transaction: the usual hundred, or what LIMITS says (RFC 9422 §4)."""
        offered = self._peer.client.capabilities
        count = min(LIMITS.out_recipients, offered.rcptmax or 1 << 30)
        if not offered.rcptdomainmax:
            return waiting[:count], waiting[count:]
        domains: set[str] = set()
        batch, rest = list[Claimed](), list[Claimed]()
        for recipient in waiting:
            domain = domain_of(recipient.address)
            if len(batch) < count and (domain in domains or len(domains) < offered.rcptdomainmax):
                domains.add(domain)
                batch.append(recipient)
            else:
                rest.append(recipient)
        return batch, rest

    async def _transact(
        self, mail: MailFrom, batch: Sequence[Claimed], content: Iterable[bytes], results: dict[int, Result]
    ) -> list[Claimed]:
        """One transaction; who is to be asked once more here."""
        client = self._peer.client
        fresh = self.carried == 0
        self.carried += 1
        to = [RcptTo(r.address, r.notify, r.orcpt) for r in batch]
        answers = await self._peer.take(client.transact(mail, to, content))
        if not client.capabilities.chunking and client.broken.startswith("does not know BDAT"):
            self._sender.faults.remember("bdat", self.seen.host, client.broken)
            log.trouble("bdat-failed", host=self.seen.host, error=client.broken)
        once_more = []
        for recipient, answer in zip(batch, answers, strict=True):
            result = of_answer(answer, self.seen)
            if result.kind == "again" and client.usable:
                once_more.append(recipient)
            elif not fresh and answer.stage in ("RSET", "MAIL") and not client.usable and not answer.permanent:
                # The peer had enough of an old connection: that says nothing of this message.
                results[recipient.id] = result._replace(kind="again")
            else:
                results[recipient.id] = result
        return once_more

    async def close(self) -> None:
        """Say goodbye."""
        await self._peer.close()

    def abort(self) -> None:
        self._peer.abort()


def _soft(reply: PeerReply) -> str:
    """A server that greets with 5xx may have been told something wrong: it delays our mail, it does not end it."""
    return "4" + reply.enhanced[1:] if reply.enhanced else "4.3.2"


def _certificate_name(host: Host) -> str:
    return host.name.strip("[]").removeprefix("IPv6:")


def _is_loopback(host: Host) -> bool:
    return all(ipaddress.ip_address(address).is_loopback for address in host.addresses)


def _words(error: BaseException) -> str:
    """An error of the network in words that people read."""
    if isinstance(error, PeerSilent):
        return "no answer in time"
    if isinstance(error, EndOfStream):
        return "the connection was closed before the session began"
    if isinstance(error, ssl.SSLError):
        return getattr(error, "verify_message", "") or error.reason or str(error)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or "timed out"
