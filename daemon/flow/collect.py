"""Reports about us that came as mail: known by their type, read within limits, and kept as rows.

The mail itself stays where it was delivered, and what cannot be read changes nothing: a line in the log says why.
"""

from __future__ import annotations

from itertools import islice

from daemon import log
from daemon.limits import LIMITS
from daemon.mail import report
from daemon.store import reports
from daemon.store.db import Store
from daemon.store.reports import Arrived, Head
from daemon.store.segments import SegmentDamaged
from daemon.trust import dmarc_report, tls_report
from daemon.trust.unpack import BadReport

Kept = tuple[Head, list[reports.Row | reports.Session]]


async def collect(store: Store) -> int:
    """Look at what was delivered since the last look; how many reports were kept. Raises `StoreError`."""
    kept = 0
    while True:
        last, arrived = await store.read(reports.arrived, LIMITS.report_look)
        for one in arrived:
            kept += await _one(store, one)
        before = await store.read(reports.cursor)
        if last == before:
            return kept
        await store.write(reports.looked, last)


async def _one(store: Store, arrived: Arrived) -> int:
    try:
        data = await store.aside(store.bytes_of, (arrived.segment, arrived.offset, arrived.length))
    except SegmentDamaged:
        return 0
    kept = 0
    for found in await store.aside(_found, data):
        try:
            head, rows = await store.aside(_read, found, store.clock() / 1000)
        except BadReport as error:
            log.event("report-refused", kind=found.kind, id=arrived.trace, reason=error.reason, text=str(error))
            continue
        for part in _parted(head, rows):
            result = await store.write(reports.add, *part)
            kept += result == "kept"
            log.event("report", kind=found.kind, id=arrived.trace, domain=part[0].domain, org=head.org, result=result)
    return kept


def _found(data: bytes) -> list[report.Found]:
    return list(islice(report.find(data), LIMITS.report_files_of_mail))


def _read(found: report.Found, now: float) -> Kept:
    """Raises `BadReport`."""
    return _dmarc(found.content, now) if found.kind == "dmarc" else _tls(found.content, now)


def _dmarc(content: bytes, now: float) -> Kept:
    told = dmarc_report.read(content, now)
    head = Head("dmarc", told.domain, told.org, told.report_id, told.begin * 1000, told.end * 1000, dict(told.policy))
    rows: list[reports.Row | reports.Session] = [
        reports.Row(
            row.source_ip, row.messages, row.disposition, row.dkim, row.spf, row.header_from, row.envelope_from,
            {"dkim": [list(p) for p in row.proofs_dkim[:10]], "spf": [list(p[:2]) for p in row.proofs_spf[:2]]},
        )
        for row in told.rows
    ]  # fmt: skip
    return head, rows


def _tls(content: bytes, now: float) -> Kept:
    told = tls_report.read(content, now)
    head = Head("tls", "", told.org, told.report_id, told.begin * 1000, told.end * 1000, {})
    rows: list[reports.Row | reports.Session] = []
    policy: dict[str, list[str]] = {}
    for one in told.policies:
        policy[one.domain] = list(one.strings)[:20]
        hosts = " ".join(one.mx_hosts)[:255]
        if one.successful:
            rows.append(reports.Session(one.domain, one.type, "", one.successful, "", hosts, ""))
        for f in one.failures:
            rows.append(reports.Session(one.domain, one.type, f.result, f.sessions, f.sending_ip, f.mx_host, f.text))
        rest = one.failed - sum(f.sessions for f in one.failures)
        if rest > 0:
            rows.append(reports.Session(one.domain, one.type, "unspecified", rest, "", hosts, ""))
    return head._replace(policy=policy), rows


def _parted(head: Head, rows: list[reports.Row | reports.Session]) -> list[Kept]:
    """A report about TLS may tell of several domains: one for each."""
    if head.kind == "dmarc":
        return [(head, rows)]
    names = dict.fromkeys(row.domain for row in rows if isinstance(row, reports.Session))
    return [
        (
            head._replace(domain=name, policy=head.policy.get(name, [])),
            [row for row in rows if isinstance(row, reports.Session) and row.domain == name],
        )
        for name in names
    ]
