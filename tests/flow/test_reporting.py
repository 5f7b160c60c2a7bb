"""Reports made, sent and collected: with a clock and a zone, in the store itself."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace

import pytest

from daemon.config import Config
from daemon.flow import collect, reporting
from daemon.flow.reported import About, published
from daemon.flow.reporting import Reporting
from daemon.flow.tally import judged_of, tally
from daemon.limits import LIMITS
from daemon.mail import report
from daemon.mail.address import parse_address
from daemon.mail.report import Letter
from daemon.store import domains, events, evidence
from daemon.store import reports as kept_reports
from daemon.store.evidence import DAY, Judged, Seen
from daemon.store.tx import Tx
from daemon.trust import dmarc_report, tls_report
from tests.flow.house import House
from tests.flow.table import Table

RECORD = "v=DMARC1; p=reject; t=y; rua=mailto:reports@far.example!20k,mailto:x@stranger.example"
JUDGED = Judged(
    "far.example", RECORD, "192.0.2.1", "news.far.example", "far.example", ("far.example", "pass"), True,
    (("far.example", "s1", "pass"),), True, "pass",
)  # fmt: skip
DNS = {("_smtp._tls.far.example", "TXT"): [b"v=TLSRPTv1; rua=mailto:tls@far.example,https://far.example/tls"]}


def worker(house: House, *, dns: dict[tuple[str, str], list[object] | str] | None = None, **more: object) -> Reporting:
    table = Table(DNS if dns is None else dns)  # type: ignore[arg-type]
    return Reporting(house.store, lambda: house.config, table, **more)  # type: ignore[arg-type]


def tomorrow(house: House) -> None:
    house.clock.now += DAY - house.clock.now % DAY + reporting._SPREAD


async def test_a_day_s_mail_is_reported_to_who_asks_and_agreed(house: House) -> None:
    for judged in (JUDGED, JUDGED, JUDGED._replace(source_ip="192.0.2.2", disposition="none", override="local_policy")):
        house.store.write_now(evidence.count, judged)
    day = house.clock.now // DAY
    sending = worker(house)
    assert await sending.send() == 0, "the day is not over"
    tomorrow(house)
    assert await sending.send() == 1
    (row,) = house.queued()
    assert (row.sender, row.recipient, row.origin) == ("postmaster@here.example", "reports@far.example", "report")
    (found,) = report.find(raw(house))
    told = dmarc_report.read(found.content, house.clock.now / 1000)
    assert (told.domain, told.begin, told.end) == ("far.example", day * 86400, day * 86400 + 86399)
    assert (told.org, told.email) == ("here.example", "postmaster@here.example")
    assert (told.policy["p"], told.policy["testing"], told.policy["np"]) == ("reject", "y", "reject")
    assert [(r.source_ip, r.messages, r.disposition, r.reasons) for r in told.rows] == [
        ("192.0.2.1", 2, "pass", ()), ("192.0.2.2", 1, "none", ("local_policy",)),
    ]  # fmt: skip
    assert await sending.send() == 0, "once"


def raw(house: House, recipient: str = "") -> bytes:
    from daemon.admin import queue

    return queue.raw(house.store, next(row.id for row in house.queued() if recipient in row.recipient))


async def test_the_mail_is_what_the_rfc_asks_for(house: House) -> None:
    house.store.write_now(evidence.count, JUDGED)
    tomorrow(house)
    await worker(house).send()
    head = raw(house).partition(b"\r\n\r\n")[0].decode()
    assert "Auto-Submitted: auto-generated" in head
    assert "Subject: Report Domain: far.example\r\n Submitter: here.example\r\n Report-ID: <" in head
    name = raw(house).partition(b'filename="')[2].partition(b'"')[0].decode()
    assert name.startswith("here.example!far.example!") and name.endswith(".xml.gz")
    row = house.queued()[0]
    assert house.store.read_now(Tx.value, "select notify from queue_recipient where id = ?", row.id) == "NEVER"


async def test_what_is_too_large_is_not_sent_and_size_counts_as_mail(house: House) -> None:
    for host in range(250):
        house.store.write_now(
            evidence.count,
            JUDGED._replace(source_ip=f"2001:db8::{host * 7919:x}", header_from=f"{host * 7919:x}.far.example"),
        )
    record = RECORD.replace("20k", "1k")
    house.store.write_now(evidence.count, JUDGED._replace(record=record))
    tomorrow(house)
    await worker(house).send()
    assert house.queued() == []


async def test_messages_over_the_limit_are_told_of(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "LIMITS", replace(LIMITS, evidence_rows=1))
    for host in range(3):
        house.store.write_now(evidence.count, JUDGED._replace(source_ip=f"192.0.2.{host}"))
    tomorrow(house)
    await worker(house).send()
    (found,) = report.find(raw(house))
    told = dmarc_report.read(found.content, house.clock.now / 1000)
    assert len(told.rows) == 1 and told.error.startswith("2 messages are not told")


async def test_tls_is_reported_by_mail_and_https(house: House) -> None:
    posted: list[tuple[str, bytes]] = []

    async def post(uri: str, content: bytes) -> str:
        posted.append((uri, content))
        return ""

    day = house.clock.now // DAY
    for values in (
        ("sts", "version: STSv1\nmode: enforce", "mx.far.example", "", "192.0.2.9", "198.51.100.1", 7),
        ("sts", "version: STSv1\nmode: enforce", "mx.far.example", "starttls-not-supported", "192.0.2.9",
         "198.51.100.2", 2),
        ("no-policy-found", "", "mx2.far.example", "", "192.0.2.9", "198.51.100.3", 1),
    ):  # fmt: skip
        sql = "insert into tls_result values (?, 'far.example', ?, ?, ?, ?, ?, ?, ?)"
        house.store.write_now(Tx.run, sql, day, *values)
    tomorrow(house)
    sending = worker(house, post=post)
    assert await sending.send() == 1
    await sending.hand_in()
    await sending.hand_in()
    assert [uri for uri, _ in posted] == ["https://far.example/tls"]
    (found,) = report.find(raw(house, "tls@far.example"))
    assert found.kind == "tls" and found.content == posted[0][1]
    told = tls_report.read(found.content, house.clock.now / 1000)
    assert [(p.type, p.domain, p.successful, p.failed) for p in told.policies] == [
        ("no-policy-found", "far.example", 1, 0), ("sts", "far.example", 7, 2),
    ]  # fmt: skip
    sts = told.policies[1]
    assert sts.strings == ("version: STSv1", "mode: enforce") and sts.mx_hosts == ("mx.far.example",)
    assert sts.failures == (
        tls_report.Failure("starttls-not-supported", 2, "192.0.2.9", "mx.far.example", "198.51.100.2"),
    )
    assert b"TLS-Report-Domain: far.example\r\nTLS-Report-Submitter: here.example\r\n" in raw(house, "tls@")


def session(house: House, number: int = 2) -> None:
    """Sessions with far.example today."""
    sql = "insert into tls_result values (?, 'far.example', 'no-policy-found', '', 'mx', '', 'ip', 'ip', ?)"
    house.store.write_now(Tx.run, sql, house.clock.now // DAY, number)


async def test_a_hand_in_that_fails_is_tried_again_for_a_day(house: House) -> None:
    tried: list[tuple[int, bytes]] = []

    async def full(uri: str, content: bytes) -> str:
        tried.append((house.clock.now, content))
        return "the answer is 503"

    session(house)
    tomorrow(house)
    began, sending = house.clock.now, worker(house, post=full)
    await sending.send()
    for _ in range(26 * 60):  # a day and two hours of rounds
        await sending.hand_in()
        house.clock.now += 60_000
    pauses = [0, 1, 3, 7, 15, 31, 63]
    assert [now - began for now, _ in tried] == [pause * LIMITS.hand_in_pause * 1000 for pause in pauses]
    assert tried[-1][0] < began + LIMITS.hand_in_end * 1000
    assert len({content for _, content in tried}) == 1, "the same report, under the same name"
    assert number(house, "select count(*) from report_hand_in") == 0


async def test_a_hand_in_that_a_crash_cut_off_is_tried_again(house: House) -> None:
    posted: list[str] = []

    async def crash(uri: str, content: bytes) -> str:
        raise RuntimeError("the end")

    async def post(uri: str, content: bytes) -> str:
        posted.append(uri)
        return ""

    session(house)
    tomorrow(house)
    await worker(house).send()
    with pytest.raises(RuntimeError):
        await worker(house, post=crash).hand_in()
    again = worker(house, post=post)
    await again.hand_in()
    assert posted == [], "not at once, or a fault would go round"
    house.clock.now += LIMITS.hand_in_pause * 1000
    house.config = Config([("reports.send", "no")])
    await again.hand_in()
    assert posted == [], "the administrator wants no reports sent"
    house.config = Config([("hostname", "mx.here.example")])
    await again.hand_in()
    assert posted == ["https://far.example/tls"]


async def test_so_many_are_handed_in_at_the_same_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "LIMITS", replace(LIMITS, hand_ins=3))
    now, most, together = 0, 0, asyncio.Event()

    async def slow(uri: str, content: bytes) -> str:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if most == 3:
            together.set()
        async with asyncio.timeout(10):
            await together.wait()
        now -= 1
        return ""

    uris = [f"https://far.example/{place}" for place in range(10)]
    house.store.write_now(evidence.done, "tls", house.clock.now // DAY, "far.example", uris)
    await worker(house, post=slow).hand_in()
    assert most == 3 and number(house, "select count(*) from report_hand_in") == 0


async def test_no_report_about_a_report(house: House) -> None:
    """Two servers that report to each other about nothing but their reports would never end."""
    day = house.clock.now // DAY
    house.store.write_now(
        evidence.done, "dmarc", day - 1, "far.example", ["mailto:x@far.example", "https://far.example/"]
    )
    session(house, 1)
    tomorrow(house)
    assert await worker(house).send() == 0
    assert house.queued() == [] and house.store.read_now(evidence.due, "tls", 9) == []
    house.store.write_now(Tx.run, "delete from report_sent where kind = 'tls'")
    house.store.write_now(Tx.run, "update tls_result set count = 2")
    assert await worker(house).send() == 1


async def test_a_silent_dns_makes_a_report_wait_and_a_missing_record_ends_it(house: House) -> None:
    house.store.write_now(evidence.count, JUDGED)
    stranger = JUDGED._replace(policy_domain="b.example", record="v=DMARC1; rua=mailto:x@stranger.example")
    house.store.write_now(evidence.count, stranger)
    tomorrow(house)
    name = "b.example._report._dmarc.stranger.example"
    assert await worker(house, dns={(name, "TXT"): "time-out"}).send() == 1
    assert [domain for _, domain in house.store.read_now(evidence.due, "dmarc", 9)] == ["b.example"]
    assert await worker(house).send() == 0
    assert house.store.read_now(evidence.due, "dmarc", 9) == []
    assert [row.recipient for row in house.queued()] == ["reports@far.example"]


async def test_settings_say_whether_and_from_where(house: House) -> None:
    house.store.write_now(evidence.count, JUDGED)
    tomorrow(house)
    house.config = Config([("reports.send", "no")])
    assert await worker(house).send() == 0
    house.config = Config([("hostname", "mx.here.example"), ("reports.from", "dmarc@here.example")])
    assert await worker(house).send() == 1
    assert house.queued()[0].sender == "dmarc@here.example"


def test_the_host_s_own_domain_sends(house: House) -> None:
    def sender(name: str) -> str:
        return str(house.store.peek(reporting.sender_of, Config([("hostname", name)])))

    house.store.write_now(domains.add, "a.example")
    house.store.write_now(domains.add, "sub.here.example")
    assert sender("mx.here.example") == "postmaster@here.example"
    assert sender("mx.sub.here.example") == "postmaster@sub.here.example"
    assert sender("elsewhere.test") == "postmaster@a.example"


def test_a_report_made_again_has_the_name_it_had() -> None:
    about = About("dmarc", 20_000, "far.example", parse_address("postmaster@here.example"), "mx.here.example")
    assert about.report_id == About(*about).report_id
    assert about.report_id.startswith("20241004.dmarc.far.example.")
    names = {about._replace(**more).file_name for more in ({}, {"day": 1}, {"domain": "x.example"}, {"hostname": "y"})}
    assert len(names) == 4


def test_defaults_of_a_policy_are_told() -> None:
    assert published("v=DMARC1; p=quarantine; np=reject; adkim=s; sp=nonsense") == {
        "discovery_method": "treewalk", "p": "quarantine", "sp": "quarantine", "np": "reject", "fo": "0",
        "adkim": "s", "aspf": "r", "testing": "n",
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- collecting


def letter(house: House, kind: str = "dmarc", domain: str = "here.example", content: bytes | None = None) -> bytes:
    begin = house.clock.now // 1000 - 86400
    if content is None and kind == "dmarc":
        row = dmarc_report.Row("192.0.2.1", 3, "none", "fail", "pass", domain)
        told = dmarc_report.Report(
            "far.example", "x@far.example", "id1", begin, begin + 86399, domain, {"p": "none"}, [row]
        )
        content = gzip.compress(dmarc_report.write(told))
    elif content is None:
        failure = tls_report.Failure("certificate-expired", 2, "192.0.2.1", "mx.here.example")
        policies = [
            tls_report.Policy("sts", domain, (), ("mx.here.example",), 5, 3, (failure,)),
            tls_report.Policy("no-policy-found", "stranger.example", (), (), 1, 0),
        ]
        content = gzip.compress(
            tls_report.write(tls_report.Report("Far", "x@far.example", "id2", begin, begin, policies))
        )
    name = f"far.example!{domain}!{begin}!{begin + 86399}.xml.gz"
    mail = Letter(kind, "x@far.example", "ann@here.example", domain, "far.example", "id", name, content, "text")
    return report.write(mail, hostname="far.example", now=house.clock.now / 1000)


def number(house: House, sql: str) -> int:
    found: int = house.store.read_now(Tx.value, sql)
    return found


async def test_reports_that_were_delivered_are_kept_once_and_the_mail_stays(house: House) -> None:
    for data in (letter(house), letter(house, "tls"), b"Subject: no report\r\n\r\nx\r\n", letter(house)):
        house.mail("x@far.example", "ann@here.example", "bob@here.example", data=data, kind="smtp")
    assert await collect.collect(house.store) == 2
    assert await collect.collect(house.store) == 0
    assert house.store.read_now(kept_reports.by_domain, None, 0) == [("here.example", 3, 0, 0, 0)]
    assert house.store.read_now(kept_reports.tls_by_domain, None, 0) == [("here.example", "sts", 8, 3)]
    failures = house.store.read_now(kept_reports.tls_failures, None, 0, 9)
    assert [(row[0], row[3]) for row in failures] == [("certificate-expired", 2), ("unspecified", 1)]
    assert len(house.inbox("ann@here.example")) == 4


@pytest.mark.parametrize(
    "content", [b"hello", gzip.compress(b"<feedback>" + b" " * 40_000_000 + b"</feedback>"), b"PK\x03\x04"]
)
async def test_what_cannot_be_read_changes_nothing(house: House, content: bytes) -> None:
    house.mail("x@far.example", "ann@here.example", data=letter(house, content=content), kind="smtp")
    house.mail("x@far.example", "ann@here.example", data=letter(house, domain="stranger.example"), kind="smtp")
    house.mail("x@far.example", "ann@here.example", data=letter(house), kind="smtp")
    assert await collect.collect(house.store) == 1
    assert len(house.inbox("ann@here.example")) == 3
    assert number(house, "select count(*) from report") == 1


async def test_looking_goes_on_in_steps_where_it_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "LIMITS", replace(LIMITS, report_look=2, report_files_of_mail=1))
    for turn in range(5):
        house.mail("x@far.example", "ann@here.example", data=b"Subject: %d\r\n\r\nx\r\n" % turn, kind="smtp")
    house.mail("x@far.example", "ann@here.example", data=letter(house), kind="smtp")
    assert await collect.collect(house.store) == 1
    assert house.store.read_now(kept_reports.cursor) == number(house, "select max(id) from email")


async def test_the_worker_forgets(house: House) -> None:
    house.store.write_now(evidence.count, JUDGED)
    house.mail("x@far.example", "ann@here.example", data=letter(house), kind="smtp")
    await collect.collect(house.store)
    house.clock.now += 500 * DAY
    await worker(house).forget()
    assert number(house, "select count(*) from report") == 0 == number(house, "select count(*) from dmarc_evidence")


async def test_a_round_is_a_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "LIMITS", replace(LIMITS, report_batch=2))
    for host in range(3):
        record = f"v=DMARC1; rua=mailto:r@d{host}.example"
        house.store.write_now(evidence.count, JUDGED._replace(policy_domain=f"d{host}.example", record=record))
    tomorrow(house)
    assert [await worker(house).send() for _ in range(3)] == [2, 1, 0]


# -------------------------------------------------------------------------------------------------------------- tally


def judged(house: House, *, result: str = "pass", reason: str = "dmarc-pass", **more: object) -> None:
    """The event of a received message, as the road in writes it."""
    dmarc = {
        "result": result,
        "domain": "far.example",
        "policy_domain": "far.example",
        "policy": "reject",
        "record": RECORD,
    }
    detail = {
        "action": "accept", "disposition": "none", "spf": {"result": "pass", "domain": "far.example"},
        "dkim": [{"result": "pass", "domain": "far.example", "selector": "s1"}],
        "dmarc": {**dmarc, "spf_aligned": result == "pass", "dkim_aligned": result == "pass"}, **more,
    }  # fmt: skip
    new = events.New("t", "authenticated", reason, sender="x@Far.example", peer="192.0.2.1", detail=detail)
    house.store.write_now(events.record_all, [new])


async def test_what_was_judged_is_tallied_once(house: House) -> None:
    for _ in range(3):
        judged(house)
    judged(house, result="fail", disposition="reject")
    judged(house, report=True)
    house.mail("x@far.example", "ann@here.example", kind="smtp")
    assert await tally(house.store) == 4
    assert await tally(house.store) == 0
    _, counted = house.store.read_now(evidence.of, house.clock.now // DAY, "far.example")
    first, second = counted
    assert first.messages == 3 and first.judged is not None and second.judged is not None
    assert first.judged == JUDGED._replace(header_from="far.example")
    assert (second.messages, second.judged.disposition, second.judged.override) == (1, "reject", "policy_test_mode")


@pytest.mark.parametrize(
    "reason, disposition, record, override",
    [
        ("dmarc-reject", "reject", "v=DMARC1; p=reject", ""),
        ("dmarc-reported", "none", "v=DMARC1; p=reject", "local_policy"),
        ("arc-trusted", "none", "v=DMARC1; p=reject", "trusted_forwarder"),
        ("dmarc-quarantine", "quarantine", "v=DMARC1; p=reject; t=y", "local_policy"),
    ],
)
def test_what_was_done_less_has_its_reason(reason: str, disposition: str, record: str, override: str) -> None:
    dmarc = {"result": "fail", "policy": "reject", "record": record, "policy_domain": "x", "domain": "x"}
    detail = json.dumps({"disposition": disposition, "dmarc": dmarc})
    found = judged_of(Seen(0, "192.0.2.1", "", reason, detail))
    assert found is not None and (found.disposition, found.override) == (disposition, override)


async def test_old_events_are_passed_over(house: House) -> None:
    judged(house)
    house.clock.now += 30 * DAY
    assert await tally(house.store) == 0
