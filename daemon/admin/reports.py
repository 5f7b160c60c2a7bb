"""What others tell of our domains, summed up: who sends as us, what fails, and whether that gets better.

How it can fail: `Missing` for a domain that is not ours, `BadData`. Only what was received as mail is known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from daemon.admin import words
from daemon.store import domains, reports
from daemon.store.db import Store
from daemon.store.tx import Tx

A = TypeVar("A")
B = TypeVar("B")

_SOURCES = 1000  # lines at most
_DEFAULT = "30d"


@dataclass(frozen=True, slots=True)
class Domain:
    """Messages in the name of a domain. `failed`: neither DKIM nor SPF was aligned."""

    domain: str
    messages: int
    failed: int
    quarantined: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends. `no_dkim`, `no_spf`: messages without an aligned pass; `signers`, `paths`: the domains that DKIM and
    SPF were about."""

    ip: str
    domain: str
    messages: int
    failed: int
    no_dkim: int
    no_spf: int
    signers: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """Messages or TLS sessions of one day. `at` is its beginning in UTC."""

    at: int
    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class DMARC:
    """`reporters`: how many different organisations told of it."""

    since_at: int
    reports: int
    reporters: int
    domains: tuple[Domain, ...]
    sources: tuple[Source, ...]
    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """TLS sessions towards a domain under one kind of policy: tlsa, sts, no-policy-found."""

    domain: str
    policy: str
    sessions: int
    failed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong at which host, and who says so."""

    result: str
    host: str
    reporter: str
    sessions: int
    text: str


@dataclass(frozen=True, slots=True)
class TLS:
    since_at: int
    reports: int
    reporters: int
    policies: tuple[Policy, ...]
    failures: tuple[Failure, ...]
    days: tuple[Day, ...]


def dmarc(store: Store, *, domain: str | None = None, since: str | None = None, limit: int | None = None) -> DMARC:
    """Of one domain, or of all."""

    def look(tx: Tx, name: str | None, start: int) -> tuple[tuple[Domain, ...], tuple[Source, ...]]:
        return (
            tuple(Domain(*row) for row in reports.by_domain(tx, name, start)),
            tuple(_source(*row) for row in reports.by_source(tx, name, start, limit or _SOURCES)),
        )

    return DMARC(*_told(store, "dmarc", domain, since, look))


def tls(store: Store, *, domain: str | None = None, since: str | None = None, limit: int | None = None) -> TLS:
    """Of one domain, or of all."""

    def look(tx: Tx, name: str | None, start: int) -> tuple[tuple[Policy, ...], tuple[Failure, ...]]:
        return (
            tuple(Policy(*row) for row in reports.tls_by_domain(tx, name, start)),
            tuple(Failure(*row) for row in reports.tls_failures(tx, name, start, limit or _SOURCES)),
        )

    return TLS(*_told(store, "tls", domain, since, look))


def _told(
    store: Store, kind: str, domain: str | None, since: str | None, look: Callable[[Tx, str | None, int], tuple[A, B]]
) -> tuple[int, int, int, A, B, tuple[Day, ...]]:
    """Since when, of how many reports and reporters, the two tables of that kind, and the days; all of one moment."""
    start = words.past(since or _DEFAULT, store.clock())
    name = None if domain is None else words.domain(domain)

    def work(tx: Tx) -> tuple[int, int, int, A, B, tuple[Day, ...]]:
        if name is not None:
            domains.get(tx, name)
        days = tuple(Day(*row) for row in reports.by_day(tx, kind, name, start))
        return start, *reports.overview(tx, kind, name, start), *look(tx, name, start), days

    return store.read_now(work)


def _source(ip: str, domain: str, messages: int, failed: int, no_dkim: int, no_spf: int, proofs: str) -> Source:
    told = json.loads(proofs)
    return Source(
        ip, domain, messages, failed, no_dkim, no_spf, _distinct(told.get("dkim", [])), _distinct(told.get("spf", []))
    )


def _distinct(proofs: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(proof[0] for proof in proofs if proof and proof[0]))
