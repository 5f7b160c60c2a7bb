"""Sessions with other servers: opened to one of a destination's hosts, used for one message after another.

`Sender.open` tries the hosts in their order until one talks to us as its policy wants (`trust.tls_policy`: DANE,
MTA-STS, the route). TLS is opportunistic where nobody wants more: a host whose STARTTLS is broken is tried again in the
clear, the fault goes to log and trace, and is remembered for some minutes only. A password is told over checked TLS, on
loopback, or where the route says `none`; never otherwise.
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
from datetime import UTC, datetime
from typing import NamedTuple

from daemon import log
from daemon.flow.fit import Content, Sign, fit
from daemon.flow.outcome import Result, Seen, of_answer, ours
from daemon.flow.peer import Patience, Peer, dial
from daemon.flow.route import Host, Router
from daemon.flow.sts import Policies
from daemon.flow.tls import Tls, chain, failure_of
from daemon.limits import LIMITS
from daemon.resolver import TemporaryDNSError
from daemon.store.queue import Claimed, Message
from daemon.store.routes import Route, domain_of
from daemon.store.segments import Reader, SegmentDamaged
from daemon.store.tls_memory import Result as TlsResult
from daemon.trust import dane, tls_policy
from daemon.trust.dane import Verdict
from daemon.trust.tls_policy import TLS_REQUIRED_NO, Policy
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

    def __init__(self, reason: str, status: str, words: str, verbatim: str = "", failure: str = "") -> None:
        super().__init__(words)
        self.reason = reason
        self.status = status
        self.words = words
        self.verbatim = verbatim
        self.failure = failure  # RFC 8460's word, where it was about TLS
        self.policy = ""
        self.address = self.local = ""  # of the connection, if there was one


class _NoTls(_Fault):
    """TLS was offered and did not come about."""


class _Spoken(NamedTuple):
    """What TLS proved: that the certificate is good, by which TLSA record; what the policy would have to say of it."""

    verified: bool = False
    proof: str = ""
    failure: str = ""


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
        sts: Policies | None = None,
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
        self.sts = sts
        self.count: Callable[[TlsResult], None] = lambda result: None  # hears of each session, for reports

    async def open(self, domain: str, route: Route | None, *, relaxed: bool = False) -> Session:
        """A session with the first host that talks to us. `relaxed`: no policy holds (RFC 8689 §5), but a route's.

        Raises `Unreachable`; `Unroutable` and `TemporaryDNSError` as `Router.hosts` does.
        """
        return await self.first_of(await self.router.hosts(domain, route), relaxed=relaxed)

    async def first_of(self, hosts: Sequence[Host], *, relaxed: bool = False) -> Session:
        """A session with the first of these that talks to us. Raises `Unreachable` with the last one's words."""
        result = ours("deferred", "no-host", "4.4.4", "no host to try")
        for place, host in enumerate(hosts):
            try:
                session = await self._session(host, relaxed)
                session.rest, session.passed = hosts[place + 1 :], place > 0
                return session
            except _Fault as fault:
                words = fault.words if fault.verbatim else f"{host.name}: {fault.words}"
                result = Result(
                    "deferred", fault.reason, fault.status, words, fault.verbatim, host.name, policy=fault.policy
                )  # fmt: skip
        raise Unreachable(result)

    async def policy(self, host: Host, relaxed: bool = False) -> Policy:
        """What a host is held to. Raises `TemporaryDNSError` when nobody can tell whether it has TLSA records."""
        if not host.domain:
            return Policy() if host.name.startswith("[") else tls_policy.of_route(host.tls)  # type: ignore[arg-type]
        if relaxed:
            return TLS_REQUIRED_NO
        records = None
        if host.mx_secure:
            records = await dane.look_up(
                self.router.resolver, host.name, host.port, canonical=host.canonical, secure=host.secure,
                also=(host.domain, host.also),
            )  # fmt: skip
        if records is not None or self.sts is None:
            return tls_policy.of_host(host.domain, host.name, records=records, mx_secure=host.mx_secure)
        found = await self.sts.of(host.domain)
        return tls_policy.of_host(
            host.domain, host.name, sts=found.policy, mx_secure=host.mx_secure, failure=found.failure
        )  # fmt: skip

    async def _session(self, host: Host, relaxed: bool) -> Session:
        try:
            policy = await self.policy(host, relaxed)
        except TemporaryDNSError as trouble:  # never less than what it may ask for: an attacker would see to that
            self._report(Policy(domain=host.domain, level="dane", source="dane"), host, "dnssec-invalid")
            raise _Fault("dane", "4.7.5", f"whether it has TLSA records is not known: {trouble}") from None
        try:
            if policy.forbidden:
                raise _Fault("mta-sts", "4.7.5", policy.forbidden, failure="validation-failure")
            return await self._held_to(policy, host)
        except _Fault as fault:
            fault.policy = policy.name
            if fault.failure:
                self._report(policy, host, fault.failure, fault.address, fault.local)
            raise

    async def _held_to(self, policy: Policy, host: Host) -> Session:
        note = self.faults.of("tls", host.name) if policy.is_opportunistic and not host.username else ""
        if not note:
            try:
                return await self._try(policy, host, plain=False, note="")
            except _NoTls as fault:
                if not policy.is_opportunistic or (host.username and not _is_loopback(host)):
                    raise
                note = f"STARTTLS failed: {fault.words}"
                self.faults.remember("tls", host.name, note)
                log.trouble("starttls-failed", host=host.name, error=fault.words)
                self._report(policy, host, fault.failure, fault.address, fault.local)
        return await self._try(policy, host, plain=True, note=note)

    def _report(self, policy: Policy, host: Host, failure: str, address: str = "", local: str = "") -> None:
        """Count a session, or what came of the try (RFC 8460 §4.3)."""
        if policy.domain:
            kind = "tlsa" if policy.source == "dane" else policy.kind
            self.count(TlsResult(policy.domain, kind, policy.text, host.name, failure, local, address))
            if policy.failure:
                self.count(TlsResult(policy.domain, "sts", "", host.name, policy.failure, local, address))

    async def _try(self, policy: Policy, host: Host, *, plain: bool, note: str) -> Session:
        implicit = policy.level == "implicit"
        try:
            peer = await dial(
                host.addresses, host.port, self.name(), self.patience, local=self.local(),
                context=self.tls.strict if implicit else None, host=_certificate_name(host),
            )  # fmt: skip
        except OSError as error:
            raise _Fault("tls" if isinstance(error, ssl.SSLError) else "connect", "4.4.1", _words(error)) from None
        try:
            spoken = _Spoken(verified=implicit)
            await peer.take(peer.client.greet())
            if not plain and not implicit and policy.level != "none":
                spoken = await self._start_tls(peer, policy, host)
            if host.username is not None:
                await self._log_in(peer, host, spoken.verified)
        except SessionRefused as refused:
            await peer.close()
            words = f"{refused.stage}: {refused.reply}"
            raise _Fault("session", _soft(refused.reply), words, refused.reply.verbatim) from None
        except WireError as error:
            peer.abort()
            raise _Fault("session", "4.4.2", _words(error)) from None
        except BaseException as error:
            if isinstance(error, _Fault):
                error.address, error.local = peer.address, peer.local
            peer.abort()
            raise
        if not plain:
            self._report(policy, host, spoken.failure, peer.address, peer.local)
        seen = Seen(
            host.name, peer.address, peer.session.version() or "" if peer.session else "", spoken.verified,
            peer.client.capabilities.dsn, note, policy.name, spoken.proof,
        )  # fmt: skip
        return Session(self, peer, seen, proven=policy.proven_name and spoken.verified)

    async def _start_tls(self, peer: Peer, policy: Policy, host: Host) -> _Spoken:
        """TLS if there is any to be had, and what it proved. Raises `_NoTls` where it failed."""
        password = host.username is not None and not _is_loopback(host)
        must = password or not policy.is_opportunistic
        reason = policy.source if policy.source in ("dane", "mta-sts") else "tls"
        if not peer.client.capabilities.starttls:
            if must:
                words = "TLS is required, and the host does not offer STARTTLS"
                raise _NoTls(reason, "4.7.4", words, failure="starttls-not-supported")
            return _Spoken(failure="starttls-not-supported")
        reply = await peer.take(peer.client.start_tls())
        if reply.code != 220:
            if must:
                raise _NoTls(reason, "4.7.4", f"STARTTLS: {reply}", reply.verbatim, "starttls-not-supported")
            return _Spoken(failure="starttls-not-supported")  # in good order: the session goes on in the clear
        checked = password or policy.level in ("starttls", "mta-sts")  # by OpenSSL, in the handshake
        name = policy.records.base if policy.records is not None else _certificate_name(host)  # RFC 7672 §8.1
        spoken = _Spoken(verified=True)
        try:
            strict = self.tls.sts if policy.level == "mta-sts" else self.tls.strict
            await peer.start_tls(strict if checked else self.tls.lenient, name)
            if not checked:
                assert peer.session is not None
                spoken = self._judged(peer.session, policy, host, reason)
            await peer.take(peer.client.hello())
        except (OSError, WireError, SessionRefused) as error:
            peer.abort()
            raise _NoTls(reason, "4.7.5", _words(error), failure=failure_of(error)) from None
        return spoken

    def _judged(self, session: ssl.SSLObject, policy: Policy, host: Host, reason: str) -> _Spoken:
        """What the certificate proves. Raises `_NoTls` when DANE wants another one."""
        if policy.level == "dane":
            assert policy.records is not None
            try:
                verdict = dane.judge(policy.records, chain(session), datetime.now(UTC))
            except ValueError as error:
                verdict = Verdict("", "validation-failure", f"its certificate cannot be read: {error}")
            if verdict.failure:
                raise _NoTls(reason, "4.7.5", verdict.words, failure=verdict.failure)
            return _Spoken(True, f"TLSA {verdict.proof}")
        failure = self.tls.failure(session, host.name)
        if policy.level == "required":
            return _Spoken(not failure, failure="tlsa-invalid")  # RFC 8460 §4.3.2.2: none of its records can be used
        if policy.sts is None:
            return _Spoken(not failure)  # nobody promised a good one
        admitted = policy.sts.admits(host.name)
        return _Spoken(not failure, failure=failure or ("" if admitted else "validation-failure"))

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
    """One connection that is ready for messages. `proven`: over TLS with the host that the recipient's domain means,
    beyond what an attacker on the way could change."""

    def __init__(self, sender: Sender, peer: Peer, seen: Seen, *, proven: bool = False) -> None:
        self._sender = sender
        self._proven = proven
        self._peer = peer
        self.seen = seen
        self.carried = 0  # transactions
        self.rest: Sequence[Host] = ()  # hosts that were not tried, in their order
        self.passed = False  # hosts before this one did not talk to us
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
        unfit = self._unfit_for(recipients[0].message)
        if unfit is not None:
            return {recipient.id: unfit for recipient in recipients}
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

    def _unfit_for(self, message: Message) -> Result | None:
        """RFC 8689 §4.2.1: REQUIRETLS goes where it is understood, over proven TLS, or to another host, or back."""
        if message.tls != "required" or (self._proven and self._peer.client.capabilities.requiretls):
            return None
        if not self._proven:
            why = f"{self.seen.host} cannot be verified by DANE, MTA-STS or DNSSEC"
        else:
            why = f"{self.seen.host} does not offer REQUIRETLS"
        words = f"the sender requires TLS all the way, and {why}"
        if self.rest:
            return ours("deferred", "requiretls", "4.7.30", words, self.seen)._replace(early=True)
        if self.passed:  # a host that was not reached may be fit
            return ours("deferred", "requiretls", "4.7.30", words, self.seen)
        return ours("failed", "requiretls", "5.7.30", f"550 5.7.30 {words}", self.seen)

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
