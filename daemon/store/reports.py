"""What others tell of our domains: their reports, kept in rows, and the sums an administrator asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.store import domains
from daemon.store.tx import Tx

DAY = 86_400_000  # ms
_CURSOR = "report-cursor"


class Head(NamedTuple):
    """One report. Times in ms."""

    kind: str
    domain: str
    org: str
    report_id: str
    begin_at: int
    end_at: int
    policy: Any


class Row(NamedTuple):
    """DMARC: messages that were alike. `proofs` must be JSON."""

    source_ip: str
    messages: int
    disposition: str
    dkim: str
    spf: str
    header_from: str
    envelope_from: str
    proofs: Any


class Session(NamedTuple):
    """TLS: sessions that went alike; `result` is '' for those that went well. `domain` is the report's."""

    domain: str
    policy_type: str
    result: str
    sessions: int
    sending_ip: str
    mx_host: str
    detail: str


def add(tx: Tx, head: Head, rows: Sequence[Row | Session]) -> str:
    """Keep a report: kept, known (it came before), or not-ours (about a domain that is none of ours)."""
    if not _is_ours(tx, head.domain):
        return "not-ours"
    added = tx.run(
        "insert into report (kind, domain, org, report_id, begin_at, end_at, received_at, policy)"
        " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
        *head[:6], tx.now, json.dumps(head.policy),
    )  # fmt: skip
    if not added:
        return "known"
    made = tx.value("select last_insert_rowid()")
    tx.many(
        "insert into report_row (report_id, number, source_ip, count, disposition, dkim, spf, header_from,"
        " envelope_from, proofs) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(made, number, *row[:-1], json.dumps(row.proofs)) for number, row in enumerate(rows) if isinstance(row, Row)],
    )
    tx.many(
        "insert into report_session (report_id, number, policy_type, result, count, sending_ip, mx_host, detail)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        [(made, number, *row[1:]) for number, row in enumerate(rows) if isinstance(row, Session)],
    )
    return "kept"


def _is_ours(tx: Tx, domain: str) -> bool:
    """A domain of ours, or one below it."""
    labels = domain.split(".")
    return any(domains.find(tx, ".".join(labels[at:])) is not None for at in range(len(labels)))


def forget(tx: Tx, before: int) -> int:
    """Drop the oldest report that ended before that time, or is one too many; how many went (0 or 1)."""
    rows = "(select count(*) from report_row) + (select count(*) from report_session)"
    oldest = tx.one("select id, end_at from report order by begin_at limit 1")
    if oldest is None or oldest[1] >= before and tx.value(f"select {rows}") <= LIMITS.reports_kept:
        return 0
    return tx.run("delete from report where id = ?", oldest[0])


# -- where they come from ----------------------------------------------------------------------------------------------


class Arrived(NamedTuple):
    """A message that may carry a report: where its bytes are."""

    email_id: int
    segment: int
    offset: int
    length: int
    trace: str


def arrived(tx: Tx, limit: int) -> tuple[int, list[Arrived]]:
    """Messages that came since the last look and look like a report, and up to which message was looked."""
    after = cursor(tx)
    last = tx.value("select max(id) from (select id from email where id > ? order by id limit ?)", after, limit)
    if last is None:
        return after, []
    rows = tx.all(
        "select e.id, b.segment_id, b.offset, b.length, coalesce(e.trace, '') from email e"
        " join blob b on b.id = e.blob_id join content c on c.blob_id = e.blob_id"
        " where e.id > ? and e.id <= ? and b.length <= ? and (c.subject like '%report domain:%'"
        " or instr(lower(cast(c.bodystructure as text)), 'tlsrpt') or instr(cast(c.bodystructure as text), '!'))"
        " order by e.id",
        after, last, 2 * LIMITS.report_packed,
    )  # fmt: skip
    return last, [Arrived(*row) for row in rows]


def cursor(tx: Tx) -> int:
    """The last message that was looked at."""
    found: int = tx.value("select value from counter where name = ?", _CURSOR)
    return found


def looked(tx: Tx, last: int) -> None:
    """Up to this message everything was looked at."""
    tx.run("update counter set value = max(value, ?) where name = ?", last, _CURSOR)


# -- what they say -----------------------------------------------------------------------------------------------------


_FAILED = "r.dkim <> 'pass' and r.spf <> 'pass'"
_ABOUT = "p.kind = ? and p.begin_at >= ? and (? is null or p.domain = ?)"


def overview(tx: Tx, kind: str, domain: str | None, since: int) -> tuple[int, int]:
    """Number of reports, and of those who tell."""
    found = tx.one(f"select count(*), count(distinct p.org) from report p where {_ABOUT}", kind, since, domain, domain)
    return (0, 0) if found is None else (found[0], found[1])


def by_domain(tx: Tx, domain: str | None, since: int) -> list[tuple[Any, ...]]:
    """DMARC: domain, messages, failed, quarantined, rejected."""
    return tx.all(
        f"select p.domain, sum(r.count), sum(iif({_FAILED}, r.count, 0)),"
        " sum(iif(r.disposition = 'quarantine', r.count, 0)), sum(iif(r.disposition = 'reject', r.count, 0))"
        f" from report p join report_row r on r.report_id = p.id where {_ABOUT} group by p.domain order by 1",
        "dmarc", since, domain, domain,
    )  # fmt: skip


def by_source(tx: Tx, domain: str | None, since: int, limit: int) -> list[tuple[Any, ...]]:
    """DMARC: address, domain in From, messages, failed, not aligned by DKIM, by SPF, one row's proofs; most first."""
    return tx.all(
        f"select r.source_ip, r.header_from, sum(r.count), sum(iif({_FAILED}, r.count, 0)),"
        " sum(iif(r.dkim <> 'pass', r.count, 0)), sum(iif(r.spf <> 'pass', r.count, 0)), max(r.proofs)"
        f" from report p join report_row r on r.report_id = p.id where {_ABOUT}"
        " group by r.source_ip, r.header_from order by 3 desc, 1, 2 limit ?",
        "dmarc", since, domain, domain, limit,
    )  # fmt: skip


def by_day(tx: Tx, kind: str, domain: str | None, since: int) -> list[tuple[Any, ...]]:
    """Start of the day in ms, messages or sessions, failed."""
    rows, failed = ("report_row", _FAILED) if kind == "dmarc" else ("report_session", "r.result <> ''")
    return tx.all(
        f"select p.begin_at / {DAY} * {DAY}, sum(r.count), sum(iif({failed}, r.count, 0))"
        f" from report p join {rows} r on r.report_id = p.id where {_ABOUT} group by 1 order by 1",
        kind, since, domain, domain,
    )  # fmt: skip


def tls_by_domain(tx: Tx, domain: str | None, since: int) -> list[tuple[Any, ...]]:
    """TLS: domain, kind of policy, sessions, failed."""
    return tx.all(
        "select p.domain, s.policy_type, sum(s.count), sum(iif(s.result <> '', s.count, 0))"
        f" from report p join report_session s on s.report_id = p.id where {_ABOUT} group by 1, 2 order by 1, 2",
        "tls", since, domain, domain,
    )  # fmt: skip


def tls_failures(tx: Tx, domain: str | None, since: int, limit: int) -> list[tuple[Any, ...]]:
    """TLS: what failed, at which host, for whom, how often, a detail; most first."""
    return tx.all(
        "select s.result, s.mx_host, p.org, sum(s.count), max(s.detail) from report p"
        f" join report_session s on s.report_id = p.id where s.result <> '' and {_ABOUT}"
        " group by 1, 2, 3 order by 4 desc, 1, 2, 3 limit ?",
        "tls", since, domain, domain, limit,
    )  # fmt: skip
