"""What lists in the DNS say of a message (RFC 5782): of the peer's address, of the domains that sent it and those that
signed it, of the hosts its links lead to. All are asked side by side; what the resolver knows already costs nothing.

Silence is no listing. A list that fails its own test, or some questions in a row, is left alone for a while: a dead one
costs a message its time once, and the name servers few questions.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from daemon import log
from daemon.limits import LIMITS
from daemon.resolver import Resolver, TemporaryDNSError
from daemon.trust import dnsbl
from daemon.trust.organisation import registered
from daemon.trust.results import Kind, Listing, Lists


class Wanted(NamedTuple):
    """The lists that are asked: of bad and of good addresses, of the domains of senders, of the hosts of links; and of
    good domains, which are asked about those that signed it."""

    addresses: Sequence[str] = ()
    welcome: Sequence[str] = ()
    domains: Sequence[str] = ()
    links: Sequence[str] = ()
    signers: Sequence[str] = ()


class _Health:
    """What is known of one list: how often it failed in a row, and until when it is believed, or left alone."""

    __slots__ = ("failures", "resting", "sound")

    def __init__(self) -> None:
        self.failures = 0
        self.sound = self.resting = float("-inf")


class Zones:
    """The health of every list that is asked. One for all doors of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, bool], _Health] = {}

    def of(self, zone: str, names: bool) -> _Health:
        return self._known.setdefault((zone, names), _Health())

    def resting(self, health: _Health) -> bool:
        return self._clock() < health.resting

    def sound(self, health: _Health) -> bool:
        return self._clock() < health.sound

    def passed(self, health: _Health) -> None:
        """It proved that it can be believed."""
        health.sound = self._clock() + LIMITS.list_proved

    def failed(self, zone: str, health: _Health, reason: str, *, at_once: bool = False) -> None:
        """It said nothing of use; after some times, or `at_once`, it is not asked for a while."""
        if self.resting(health):  # another message has seen to that
            return
        health.failures += 1
        rests = at_once or health.failures >= LIMITS.list_failures
        if rests:
            health.failures = LIMITS.list_failures - 1  # one more after the rest is enough
            health.resting, health.sound = self._clock() + LIMITS.list_rest, float("-inf")
        log.event("list-silent", list=dnsbl.title(zone), reason=reason, rest=LIMITS.list_rest if rests else None)


class _Question(NamedTuple):
    what: str
    name: str  # what stands before the zone
    kind: Kind


def check(
    resolver: Resolver,
    ip: str,
    domains: Iterable[str],
    links: Iterable[str],
    wanted: Wanted,
    zones: Zones,
    signers: Iterable[str] = (),
) -> Lists | Coroutine[Any, Any, Lists]:
    """What they say of the peer's address ('' or a private one: not asked), of names in A-labels, of the hosts of
    links, and of whoever is said to have signed it, which counts for those who did (`proved`). To be awaited where
    somebody has to be asked: that takes at most `LIMITS.list_patience` seconds. Never raises for what it was given."""
    rounds = list(_rounds(resolver, _asked(ip, domains, links, signers, wanted), zones))
    resting = {round_.zone for round_ in rounds if zones.resting(round_.health)}
    rounds = [round_ for round_ in rounds if round_.zone not in resting]
    asking = [round_ for round_ in rounds if not round_.remembered()]
    return _ask(asking, rounds, resting, zones) if asking else _told(rounds, resting, zones)


async def _ask(asking: Sequence[_Round], rounds: Sequence[_Round], resting: set[str], zones: Zones) -> Lists:
    await _wait({asyncio.create_task(round_.ask()): round_ for round_ in asking})
    found = _told(rounds, resting, zones)
    for round_ in asking:
        if not round_.trouble:
            round_.health.failures = 0
    return found


def _told(rounds: Sequence[_Round], resting: set[str], zones: Zones) -> Lists:
    for round_ in rounds:
        if round_.trouble:
            zones.failed(round_.zone, round_.health, round_.trouble, at_once=round_.unsound)
    silent = resting | {round_.zone for round_ in rounds if round_.trouble}
    return Lists(
        tuple(listing for round_ in rounds if not round_.unsound for listing in round_.found),
        tuple(sorted(map(dnsbl.title, silent))),
    )


def proved(lists: Lists, signers: Iterable[str]) -> Lists:
    """Without welcomes of domains that did not sign it: `signers` are those of the signatures that pass."""
    if not any(map(_of_signer, lists.found)):
        return lists
    names = set(_registered(signers))
    return lists._replace(found=tuple(each for each in lists.found if not _of_signer(each) or each.what in names))


def _of_signer(listing: Listing) -> bool:
    return listing.good and listing.kind == "domain"


async def _wait(asking: Mapping[asyncio.Task[None], _Round]) -> None:
    try:
        done, late = await asyncio.wait(asking, timeout=LIMITS.list_patience)
    finally:
        for task in asking:
            task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in late:
        asking[task].trouble = f"no answer within {LIMITS.list_patience} s"
    for task in done:
        task.result()


class _Round:
    """All questions of one message to one list."""

    def __init__(self, resolver: Resolver, zone: str, questions: list[_Question], good: bool, zones: Zones) -> None:
        self.resolver = resolver
        self.zone = zone
        self.questions = questions
        self.good = good
        self.zones = zones
        self.found: list[Listing] = []
        self.names = questions[0].kind != "address"
        self.health = zones.of(zone, self.names)
        self.trouble = ""
        self.unsound = False

    def remembered(self) -> bool:
        """Take what is known without asking; whether that is all."""
        if not self.zones.sound(self.health):
            return False
        left = []
        for each in self.questions:
            answer = self.resolver.known(f"{each.name}.{self.zone}", "A")
            if answer is None:
                left.append(each)
            elif answer.records:
                self._heard(each, answer.records)
        self.questions = left
        return not left or self.unsound

    async def ask(self) -> None:
        if not self.zones.sound(self.health):
            self.trouble = await dnsbl.test(self.resolver, self.zone, names=self.names)
            if self.trouble:
                self.unsound = True
                return
            self.zones.passed(self.health)
        await asyncio.gather(*map(self._ask, self.questions))

    async def _ask(self, question: _Question) -> None:
        try:
            self._heard(question, (await self.resolver.ask(f"{question.name}.{self.zone}", "A")).records)
        except TemporaryDNSError as error:
            self.trouble = f"it cannot say now: {error.reason}"

    def _heard(self, question: _Question, records: Iterable[str]) -> None:
        said = dnsbl.read(self.zone, records)
        if said.code:
            self.found.append(
                Listing(dnsbl.title(self.zone), question.what, question.kind, said.code, self.good, said.part)
            )
        elif said.trouble:
            self.trouble, self.unsound = said.trouble, True


def _rounds(resolver: Resolver, asked: Iterable[tuple[str, list[_Question], bool]], zones: Zones) -> Iterator[_Round]:
    """Each list with what it is asked, at most `LIMITS.list_questions` in all."""
    left = LIMITS.list_questions
    for zone, questions, good in asked:
        some = questions[:left]
        left -= len(some)
        if some:
            yield _Round(resolver, zone, some, good, zones)


def _asked(
    ip: str, domains: Iterable[str], links: Iterable[str], signers: Iterable[str], wanted: Wanted
) -> Iterator[tuple[str, list[_Question], bool]]:
    most = LIMITS.blocklists
    if address := _public(ip):
        for zones in (wanted.addresses, wanted.welcome):
            for zone in zones[:most]:
                yield zone, [_Question(address, dnsbl.reversed_address(address), "address")], zones is wanted.welcome
    signed = [_Question(name, name, "domain") for name in _registered(signers)[: LIMITS.list_domains]]
    for zone in wanted.signers[:most]:
        yield zone, list(signed), True
    senders = [_Question(name, name, "domain") for name in _registered(domains)[: LIMITS.list_domains]]
    hosts = list(_hosts(links))
    for zone in dict.fromkeys((*wanted.domains[:most], *wanted.links[:most])):
        some = list(senders) if zone in wanted.domains else []
        if zone in wanted.links:  # a link home to the sender says nothing new
            seen = {each.what for each in some}
            some += [h for h in hosts if h.what not in seen and (h.what == h.name or dnsbl.takes_addresses(zone))]
        yield zone, some, False


def _hosts(links: Iterable[str]) -> Iterator[_Question]:
    names: list[str] = []
    addresses: list[str] = []
    for host in links:
        (addresses if ":" in host or host.rpartition(".")[2].isdigit() else names).append(host)
    for name in _registered(names):
        yield _Question(name, name, "link")
    for address in filter(None, map(_public, addresses)):
        yield _Question(address, dnsbl.reversed_address(address), "link")


def _registered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, map(registered, names))))


def _public(ip: str) -> str:
    """An address that others may be asked about, or ''."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    address = getattr(address, "ipv4_mapped", None) or address
    return str(address) if address.is_global and not address.is_multicast else ""
