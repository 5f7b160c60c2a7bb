"""What others tell of our domains, summed up: who sends as us, what fails, and whether that gets better.

How it can fail: `Missing` for a domain that is not ours, `BadData`. Only what was received as mail is known here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.admin import words
from daemon.store import domains, reports
from daemon.store.db import Store
from daemon.store.tx import Tx

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
    name, start = _asked(store, domain, since)

    def work(tx: Tx) -> DMARC:
        seen = reports.overview(tx, "dmarc", name, start)
        return DMARC(
            start, *seen,
            tuple(Domain(*row) for row in reports.by_domain(tx, name, start)),
            tuple(_source(*row) for row in reports.by_source(tx, name, start, limit or _SOURCES)),
            tuple(Day(*row) for row in reports.by_day(tx, name, start)),
        )  # fmt: skip

    return store.read_now(work)


def tls(store: Store, *, domain: str | None = None, since: str | None = None, limit: int | None = None) -> TLS:
    """Of one domain, or of all."""
    name, start = _asked(store, domain, since)

    def work(tx: Tx) -> TLS:
        seen = reports.overview(tx, "tls", name, start)
        return TLS(
            start, *seen,
            tuple(Policy(*row) for row in reports.tls_by_domain(tx, name, start)),
            tuple(Failure(*row) for row in reports.tls_failures(tx, name, start, limit or _SOURCES)),
            tuple(Day(*row) for row in reports.tls_by_day(tx, name, start)),
        )  # fmt: skip

    return store.read_now(work)


def _asked(store: Store, domain: str | None, since: str | None) -> tuple[str | None, int]:
    start = words.past(since or _DEFAULT, store.clock())
    if domain is None:
        return None, start
    name = words.domain(domain)
    store.read_now(lambda tx: domains.get(tx, name))
    return name, start


def _source(ip: str, domain: str, messages: int, failed: int, no_dkim: int, no_spf: int, proofs: str) -> Source:
    told = json.loads(proofs)
    return Source(
        ip, domain, messages, failed, no_dkim, no_spf, _distinct(told.get("dkim", [])), _distinct(told.get("spf", []))
    )


def _distinct(proofs: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(proof[0] for proof in proofs if proof and proof[0]))
