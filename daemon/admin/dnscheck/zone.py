"""The name servers of the zone, each asked itself: whether all answer, say the same, and are heard by others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from daemon.admin import dnsrecords
from daemon.admin.dnscheck.looking import Looking, several
from daemon.config import HostPort
from daemon.limits import LIMITS
from daemon.resolver import DNS, Answer, TemporaryDNSError

Question = tuple[str, str]
Said = frozenset[object] | None  # the records; None: it could not tell


class _Server(NamedTuple):
    """One name server and what it says of the zone."""

    name: str
    at: HostPort
    answers: dict[Question, Said]


async def look(at: Looking) -> None:
    zone, hosts = await _delegation(at)
    if not hosts:
        return
    servers = [s for s in await asyncio.gather(*(_ask(at, zone, host) for host in hosts)) if s is not None]
    if not servers:
        return
    agreed = True
    for question in _questions(at, zone):
        heard = [(s, s.answers[question]) for s in servers if s.answers.get(question) is not None]
        if len({said for _, said in heard}) > 1:
            agreed = False
            _disagree(at, question, heard)
        elif heard:
            await _compare(at, question, heard[0][1])
    if agreed:
        at.good("ns-found", zone, f"{several(s.name for s in servers)}: all say the same")


async def _delegation(at: Looking) -> tuple[str, list[str]]:
    """The zone that the domain is in, and its name servers; ('', []) when they cannot be found."""
    name = at.wanted.domain
    while name:
        answer = await at.ask(name, "NS")
        if answer is None:
            return "", []
        if answer.records and answer.canonical == name:
            return name, [str(r) for r in answer.records][: LIMITS.ns_servers]
        name = name.partition(".")[2]
    return "", []


async def _ask(at: Looking, zone: str, host: str) -> _Server | None:
    """Put all questions to one server; what is wrong with the server itself is said."""
    addresses = await at.addresses_of(host)
    if not addresses:
        if addresses is not None:
            at.say("warning", "ns-missing", host, f"this name server of {zone} has no address")
        return None
    place = HostPort(addresses[0], at.wanted.config["dns.out_port"])
    server = DNS([place], patience=LIMITS.ns_patience)
    try:
        known = await server.ask(zone, "NS")
    except TemporaryDNSError as error:
        if error.reason.isupper():  # an rcode
            at.say("error", "ns-lame", host, f"{place} is said to serve {zone}, but answers {error.reason}")
        else:
            at.say("warning", "ns-silent", host, f"{place} does not answer for {zone}: {error.reason}")
        return None
    if not known.records:
        at.say("error", "ns-lame", host, f"{place} is said to serve {zone}, but does not know it")
        return None
    questions = _questions(at, zone)
    said = await asyncio.gather(*(_said(server, question) for question in questions))
    return _Server(host, place, dict(zip(questions, said, strict=True)))


async def _said(server: DNS, question: Question) -> Said:
    try:
        return _records(await server.ask(*question))
    except TemporaryDNSError:
        return None


def _records(answer: Answer) -> frozenset[object]:
    return frozenset(answer.records)


def _questions(at: Looking, zone: str) -> list[Question]:
    """The names in this zone that mail depends on."""
    found = ((r.name, r.type) for r in dnsrecords.records(at.wanted) if r.type in ("MX", "A", "AAAA", "TXT", "TLSA"))
    return list(dict.fromkeys((n, k) for n, k in found if n == zone or n.endswith("." + zone)))


def _disagree(at: Looking, question: Question, heard: Iterable[tuple[_Server, Said]]) -> None:
    name, kind = question
    texts = [f"{server.name} says {_shown(said)}" for server, said in heard]
    at.say(
        "error", "ns-disagree", name,
        f"its {kind} is not the same everywhere: {'; '.join(texts)}; see that the zone is transferred to all",
    )  # fmt: skip


async def _compare(at: Looking, question: Question, said: Said) -> None:
    """What our resolver says, who may still remember what was there before."""
    answer = await at.ask(*question)
    if answer is not None and _records(answer) != said:
        at.say(
            "info", "ns-not-yet", question[0],
            f"its name servers say {_shown(said)} for {question[1]}, but {_shown(_records(answer))} is still"
            f" remembered for up to {answer.ttl} s",
        )  # fmt: skip


def _shown(said: Said) -> str:
    texts = sorted(r.decode("utf-8", "replace") if isinstance(r, bytes) else _text(r) for r in said or ())
    return (several(texts) or "nothing")[:200]


def _text(record: object) -> str:
    return " ".join(str(part) for part in record) if isinstance(record, tuple) else str(record)
