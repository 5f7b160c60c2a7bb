"""What was judged in the name of domains that ask for reports, counted by day; and which reports are done.

Strangers choose domains and addresses, so rows are capped by day, by domain, and in number of domains: what is beyond
is counted without its facts, and the report says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.store import hand_ins
from daemon.store.tx import Tx

DAY = 86_400_000  # ms
KEPT = 7  # days evidence is kept: a report is made the day after, or when the server runs again
_CURSOR = "evidence-cursor"
_TEXT = 255  # characters of one fact
_RECORD = 2048  # characters of a policy record


class Judged(NamedTuple):
    """One message, as DMARC saw it. `dkim` are signatures as (domain, selector, result), `spf` is (domain, result).

    `disposition` is what was done: none, quarantine, reject, or pass; `override` why that is not what the policy asks
    (local_policy, policy_test_mode, ...), '' when it is. Domains of envelopes, not addresses.
    """

    policy_domain: str
    record: str
    source_ip: str
    header_from: str
    envelope_from: str
    spf: tuple[str, str]
    spf_aligned: bool
    dkim: tuple[tuple[str, str, str], ...]
    dkim_aligned: bool
    disposition: str
    override: str = ""


class Counted(NamedTuple):
    """Messages that were alike. `judged` None: those over the limit."""

    judged: Judged | None
    messages: int


def count(tx: Tx, judged: Judged, messages: int = 1, day: int | None = None) -> None:
    """Add messages that were alike to those of a day (today), if their domain asks for reports."""
    if "rua=" not in judged.record.replace(" ", "").lower():
        return
    day = tx.now // DAY if day is None else day
    domain, record = judged.policy_domain[:_TEXT], judged.record[:_RECORD]
    facts = _facts(judged)
    known = tx.one("select record, rows from dmarc_policy where day = ? and policy_domain = ?", day, domain)
    if known is None:
        if tx.value("select count(*) from dmarc_policy where day = ?", day) >= LIMITS.evidence_domains:
            return
        tx.run("insert into dmarc_policy (day, policy_domain, record) values (?, ?, ?)", day, domain, record)
    elif known[0] != record:
        tx.run("update dmarc_policy set record = ? where day = ? and policy_domain = ?", record, day, domain)
    if _add(tx, day, domain, facts, messages):
        return
    in_all = tx.value("select sum(rows) from dmarc_policy where day = ?", day)
    if known is not None and known[1] >= LIMITS.evidence_rows or in_all >= LIMITS.evidence_day:
        if _add(tx, day, domain, "", messages):
            return
        facts = ""
    else:
        tx.run("update dmarc_policy set rows = rows + 1 where day = ? and policy_domain = ?", day, domain)
    tx.run(
        "insert into dmarc_evidence (day, policy_domain, facts, count) values (?, ?, ?, ?)",
        day, domain, facts, messages,
    )  # fmt: skip


def _add(tx: Tx, day: int, domain: str, facts: str, messages: int) -> int:
    return tx.run(
        "update dmarc_evidence set count = count + ? where day = ? and policy_domain = ? and facts = ?",
        messages, day, domain, facts,
    )  # fmt: skip


class Seen(NamedTuple):
    """A message that was judged, as its event tells. `at` in ms."""

    at: int
    peer: str
    sender: str
    reason: str
    detail: str


def seen(tx: Tx, limit: int) -> tuple[int, int, list[Seen]]:
    """Messages judged since the last count: after which event, up to which, and those among them."""
    after: int = tx.value("select value from counter where name = ?", _CURSOR)
    last = tx.value("select max(id) from (select id from event where id > ? order by id limit ?)", after, limit)
    if last is None:
        return after, after, []
    rows = tx.all(
        "select at, coalesce(peer, ''), coalesce(sender, ''), reason, coalesce(detail, '{}') from event"
        " where id > ? and id <= ? and kind = 'authenticated'",
        after, last,
    )  # fmt: skip
    return after, last, [Seen(*row) for row in rows]


def count_all(tx: Tx, after: int, last: int, counted: Sequence[tuple[int, Judged, int]]) -> None:
    """Add what was tallied of the events up to `last`, unless somebody did: (day, judged, messages)."""
    if tx.run("update counter set value = ? where name = ? and value = ?", last, _CURSOR, after):
        for day, judged, messages in counted:
            count(tx, judged, messages, day)


def _facts(j: Judged) -> str:
    """In one spelling, so that alike is equal; the domain and its record stand elsewhere."""
    dkim = [[text[:_TEXT] for text in signature] for signature in j.dkim[: LIMITS.evidence_signatures]]
    return json.dumps(
        [j.source_ip, j.header_from[:_TEXT], j.envelope_from[:_TEXT], [text[:_TEXT] for text in j.spf],
         j.spf_aligned, dkim, j.dkim_aligned, j.disposition, j.override],
        separators=(",", ":"),
    )  # fmt: skip


def _judged(domain: str, record: str, facts: str) -> Judged | None:
    if not facts:
        return None
    ip, header_from, envelope_from, spf, spf_aligned, dkim, dkim_aligned, disposition, override = json.loads(facts)
    return Judged(
        domain, record, ip, header_from, envelope_from, (spf[0], spf[1]), spf_aligned,
        tuple((s[0], s[1], s[2]) for s in dkim), dkim_aligned, disposition, override,
    )  # fmt: skip


# -- for reports -------------------------------------------------------------------------------------------------------


def due(tx: Tx, kind: str, limit: int) -> list[tuple[int, str]]:
    """Days that are over and domains, of which reports are not done yet; the oldest first."""
    table = {"dmarc": "dmarc_policy", "tls": "tls_result"}[kind]
    return tx.all(
        f"select distinct day, policy_domain from {table} t where day < ? and not exists"
        " (select 1 from report_sent s where s.day = t.day and s.kind = ? and s.domain = t.policy_domain)"
        " order by day, policy_domain limit ?",
        tx.now // DAY, kind, limit,
    )  # fmt: skip


def of(tx: Tx, day: int, domain: str) -> tuple[str, list[Counted]]:
    """The record of a domain on a day, and what was counted, the most first."""
    record: str = tx.value("select record from dmarc_policy where day = ? and policy_domain = ?", day, domain) or ""
    rows = tx.all(
        "select facts, count from dmarc_evidence where day = ? and policy_domain = ? order by count desc, facts",
        day, domain,
    )  # fmt: skip
    return record, [Counted(_judged(domain, record, facts), number) for facts, number in rows]


class Session(NamedTuple):
    """Sessions with another server that went alike; `result` is '' for success (the rows are `tls_memory`'s)."""

    policy_type: str
    policy_string: str
    mx_host: str
    result: str
    sending_ip: str
    receiving_host: str
    sessions: int


def sessions(tx: Tx, day: int, domain: str) -> list[Session]:
    """What was counted of TLS towards a domain."""
    rows = tx.all(
        "select policy_type, policy_string, mx_host, result_type, sending_ip, receiving_host, count from tls_result"
        " where day = ? and policy_domain = ? order by policy_type, policy_string, result_type, count desc",
        day, domain,
    )  # fmt: skip
    return [Session(*row) for row in rows]


def done(tx: Tx, kind: str, day: int, domain: str, recipients: Sequence[str]) -> bool:
    """Note that a report is sent, before it is: whether nobody did so before. Mail twice is worse than never; what goes
    by HTTPS waits to be handed in from now on."""
    noted = tx.run(
        "insert into report_sent (kind, day, domain, at, recipients) values (?, ?, ?, ?, ?) on conflict do nothing",
        kind, day, domain, tx.now, " ".join(recipients),
    )  # fmt: skip
    if noted:
        hand_ins.put(tx, day, domain, [uri for uri in recipients if not uri.lower().startswith("mailto:")])
    return bool(noted)


def mailed(tx: Tx, day: int, domain: str) -> int:
    """How many reports went to mailboxes of a domain on a day: each was a session of its own."""
    rows = tx.all("select recipients from report_sent where at >= ? and at < ?", day * DAY, (day + 1) * DAY)
    uris = [uri.partition("?")[0].lower() for (recipients,) in rows for uri in recipients.split()]
    return sum(uri.startswith("mailto:") and uri.endswith("@" + domain) for uri in uris)


def forget(tx: Tx, before: int, limit: int) -> int:
    """Drop up to `limit` domains' days, and as many notes of reports, older than that time; how many went."""
    day = before // DAY
    old = tx.all("select day, policy_domain from dmarc_policy where day < ? order by day limit ?", day, limit)
    for one in old:
        tx.run("delete from dmarc_evidence where day = ? and policy_domain = ?", *one)
        tx.run("delete from dmarc_policy where day = ? and policy_domain = ?", *one)
    tx.run("delete from report_hand_in where day < ?", day)
    return len(old) + tx.run(
        "delete from report_sent where (day, kind, domain) in"
        " (select day, kind, domain from report_sent where day < ? order by day limit ?)",
        day, limit,
    )  # fmt: skip
