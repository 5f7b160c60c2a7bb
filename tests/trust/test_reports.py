"""Reports from anybody: what is read, what is refused, and that hostile ones cost little."""

from __future__ import annotations

import gzip
import io
import json
import resource
import subprocess
import sys
import time
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.limits import LIMITS
from daemon.trust import dmarc_report, tls_report, unpack
from daemon.trust.dmarc_report import Proof, Report, Row
from daemon.trust.tls_report import Failure, Policy
from daemon.trust.unpack import BadReport, expanded

NOW = 1_795_000_000
BEGIN, END = 1_794_873_600, 1_794_959_999
ROWS = (
    Row(
        "192.0.2.7", 12, "pass", "pass", "fail", "example.org", "bounce.example.net", "",
        proofs_dkim=(Proof("example.org", "pass", "s1"), Proof("other.example", "fail", "x")),
        proofs_spf=(Proof("bounce.example.net", "pass"),),
    ),
    Row("2001:db8::1", 1, "quarantine", "fail", "fail", "sub.example.org", "", "", ("local_policy",)),
)  # fmt: skip
OURS = Report(
    "mail.example.com", "postmaster@example.com", "20261127.example.org.ab12", BEGIN, END, "example.org",
    {"p": "reject", "sp": "none", "adkim": "r", "testing": "n", "discovery_method": "treewalk"}, ROWS,
    error="3 messages & <more>", generator="mailctl",
)  # fmt: skip
OLD = b"""<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <report_metadata><org_name>google.com</org_name><email>noreply-dmarc-support@google.com</email>
    <extra_contact_info>https://support.google.com/a/answer/2466580</extra_contact_info>
    <report_id>1234567890</report_id><date_range><begin>1794873600</begin><end>1794959999</end></date_range>
  </report_metadata>
  <policy_published><domain>example.org</domain><adkim>r</adkim><aspf>r</aspf><p>none</p><sp>none</sp><pct>100</pct>
  </policy_published>
  <record><row><source_ip>192.0.2.1</source_ip><count>3</count>
      <policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>pass</spf></policy_evaluated></row>
    <identifiers><header_from>example.org</header_from></identifiers>
    <auth_results><spf><domain>example.org</domain><result>pass</result></spf></auth_results></record>
</feedback>"""


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def refused(data: bytes, read: object = dmarc_report.read) -> str:
    with pytest.raises(BadReport) as error:
        read(data, NOW)  # type: ignore[operator]
    assert str(error.value)
    return error.value.reason


def test_what_we_write_we_read() -> None:
    assert dmarc_report.read(dmarc_report.write(OURS), NOW) == OURS._replace(rows=list(ROWS))


def test_elements_stand_in_the_order_of_the_rfc() -> None:
    text = dmarc_report.write(OURS).decode()
    order = [
        "<feedback xmlns=", "<version>1.0", "<report_metadata>", "<org_name>", "<email>", "<report_id>", "<begin>",
        "<end>", "<error>", "<generator>", "<policy_published>", "<domain>", "<discovery_method>", "<p>", "<sp>",
        "<adkim>", "<testing>", "<record>", "<source_ip>", "<count>", "<disposition>", "<dkim>", "<spf>",
        "<header_from>", "<envelope_from>", "<auth_results>", "<selector>", "<scope>mfrom",
    ]  # fmt: skip
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "3 messages &amp; &lt;more&gt;" in text


@pytest.mark.parametrize(
    "packed",
    [
        OLD,
        gzip.compress(OLD),
        zipped(("a!b!1!2.xml", OLD)),
        zipped(("a.xml", OLD), method=zipfile.ZIP_STORED),
        zipped(("folder/", b""), ("folder/a.xml", OLD)),
        OLD.replace(b"<feedback>", b'<feedback xmlns="http://dmarc.org/dmarc-xml/0.1">'),
        OLD.replace(b'encoding="UTF-8"', b'encoding="windows-1252"'),
        b"\xef\xbb\xbf" + OLD,
        gzip.compress(OLD) + b"\0" * 20,
    ],
)
def test_a_report_is_read_in_whatever_it_is_packed(packed: bytes) -> None:
    report = dmarc_report.read(packed, NOW)
    assert (report.org, report.domain, report.policy["pct"]) == ("google.com", "example.org", "100")
    (row,) = report.rows
    assert (row.source_ip, row.messages, row.dkim, row.spf, row.proofs_spf) == (
        "192.0.2.1", 3, "fail", "pass", (Proof("example.org", "pass"),)
    )  # fmt: skip


@pytest.mark.parametrize(
    "old, new, reason",
    [
        (b"<count>3<", b"<count>-3<", "number"),
        (b"<count>3<", b"<count>" + b"9" * 5000 + b"<", "number"),
        (b"<count>3<", b"<count>1e9<", "number"),
        (b"<begin>1794873600<", b"<begin>0<", "date"),
        (b"<begin>1794873600<", b"<begin>99999999999999<", "number"),
        (b"<end>1794959999<", b"<end>1794000000<", "date"),  # before its begin
        (b"<end>1794959999<", b"<end>1999999999<", "date"),  # to come
        (b"<begin>1794873600<", b"<begin>1694873600<", "date"),  # over years
        (b"192.0.2.1", b"192.0.2.256", "address"),
        (b"<domain>example.org</domain><adkim>", b"<adkim>", "missing"),
        (b"<report_id>1234567890</report_id>", b"", "missing"),
        (b"feedback>", b"html>", "kind"),
        (b"</feedback>", b"", "syntax"),
        (b"<org_name>", b"<org_name>\x00", "syntax"),
        (b'encoding="UTF-8"', b'encoding="klingon"', "syntax"),
        (b"google.com</org", b"<b>" * 20 + b"</b>" * 20 + b"</org", "too-deep"),
        (b"<feedback>", b'<!DOCTYPE feedback SYSTEM "http://127.0.0.1/x.dtd"><feedback>', "entity"),
        (b"<feedback>", b'<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><feedback>', "entity"),
        (b"<identifiers>", b"<identifiers>" + b"<x/>" * 5000, "too-many"),
    ],
)
def test_what_is_no_report_is_refused_with_a_reason(old: bytes, new: bytes, reason: str) -> None:
    assert old in OLD
    assert refused(OLD.replace(old, new)) == reason


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "syntax"),
        (b"hello", "syntax"),
        (gzip.compress(OLD)[:-100], "archive"),
        (b"\x1f\x8b" + b"x" * 50, "archive"),
        (b"PK\x03\x04", "archive"),
        (zipped(), "archive"),
        (zipped(*((f"{n}/", b"") for n in range(1000))), "archive"),
        (zipped(("a.xml", OLD), method=zipfile.ZIP_BZIP2), "archive"),
    ],
)
def test_what_cannot_be_opened_is_refused(data: bytes, reason: str) -> None:
    assert refused(data) == reason


def test_limits_of_an_attachment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(b"x" * (LIMITS.report_packed + 1)) == "too-large"
    record = OLD[OLD.index(b"<record>") : OLD.index(b"</feedback>")]
    many = OLD.replace(b"</feedback>", record * 30 + b"</feedback>")
    monkeypatch.setattr(dmarc_report, "LIMITS", replace(LIMITS, report_records=20))
    assert refused(many) == "too-many"
    monkeypatch.setattr(dmarc_report, "LIMITS", replace(LIMITS, report_size=1000))
    assert refused(gzip.compress(many)) == "too-large"
    proofs = b"<dkim><domain>d</domain><result>pass</result><selector>s</selector></dkim>" * 200
    monkeypatch.setattr(dmarc_report, "LIMITS", LIMITS)
    report = dmarc_report.read(OLD.replace(b"<auth_results>", b"<auth_results>" + proofs), NOW)
    assert len(report.rows[0].proofs_dkim) == LIMITS.report_proofs
    monkeypatch.setattr(unpack, "LIMITS", replace(LIMITS, report_files=2))
    assert refused(zipped(("a/", b""), ("b/", b""), ("c.xml", OLD))) == "archive"


def test_strangers_words_are_one_short_line() -> None:
    data = OLD.replace(b"google.com</org", b"\n  evil &#x202e;org " + b"y" * 9999 + b"</org")
    report = dmarc_report.read(data, NOW)
    assert len(report.org) == 255 and report.org.startswith("evil ") and "\n" not in report.org


# ------------------------------------------------------------------------------------------------------------- hostile


HOSTILE = """
import gzip, io, resource, sys, time, zipfile
sys.path.insert(0, sys.argv[1])
from daemon.trust import dmarc_report, tls_report
from daemon.trust.unpack import BadReport
record = (b"<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row><identifiers><header_from>x"
          b"</header_from></identifiers></record>")
def pieces(start, piece, count, end):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as f:
        f.write(start)
        for _ in range(count // 1000):
            f.write(piece * 1000)
        f.write(end)
    return out.getvalue()
bombs = {
    "gzip": (dmarc_report, pieces(b"<feedback>", b" " * 1000, 100_000, b"</feedback>")),
    "records": (dmarc_report, pieces(b"<feedback>", record, 1_000_000, b"</feedback>")),
    "elements": (dmarc_report, pieces(b"<feedback>", b"<x/>", 1_500_000, b"</feedback>")),
    "attributes": (dmarc_report, b"<feedback " + b" ".join(b"a%d='x'" % n for n in range(300_000)) + b"></feedback>"),
    "text": (dmarc_report, pieces(b"<feedback><report_metadata><org_name>", b"x" * 1000, 30_000,
                                  b"</org_name></report_metadata></feedback>")),
    "json": (tls_report, pieces(b'{"policies":', b"[", 500_000, b"")),
    "json-list": (tls_report, pieces(b'{"policies":[', b"[],", 600_000, b"1]}")),
    "json-number": (tls_report, b'{"policies":[' + b"9" * 1_000_000 + b"]}"),
}
dmarc_report.read  # imported
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
module, data = bombs[sys.argv[2]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
try:
    module.read(data, 1795000000)
    reason = "read"
except BadReport as error:
    reason = error.reason
print(reason, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, time.process_time() - started)
"""


@pytest.mark.parametrize(
    "bomb, reason",
    [
        ("gzip", "too-large"),
        ("records", "too-many"),
        ("elements", "too-many"),
        ("attributes", "missing"),
        ("text", "missing"),
        ("json", "too-deep"),
        ("json-list", "date"),
        ("json-number", "syntax"),
    ],
)
def test_hostile_reports_are_refused_in_bounded_memory_and_time(bomb: str, reason: str) -> None:
    """In a process of its own: what it takes at most is asked of the system."""
    top = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", HOSTILE, top, bomb], capture_output=True, text=True)
    said, grown, took = done.stdout.split()
    assert (said, done.stderr) == (reason, "")
    assert int(grown) < 128 and float(took) < 20, (grown, took)


def test_a_bomb_costs_what_the_limit_allows() -> None:
    bomb = gzip.compress(zlib.compress(b"\0" * 50_000_000) * 3)
    reader = expanded(gzip.compress(b"\0" * 50_000_000), 1_000_000)
    with pytest.raises(BadReport, match="larger"):
        reader.read()
    assert len(expanded(bomb, 1_000_000).read()) < 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    with pytest.raises(BadReport):
        expanded(zipped(("a", b"\0" * 100_000_000)), 1_000_000).read()
    assert time.process_time() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB; the bomb itself is made here


# ----------------------------------------------------------------------------------------------------------- about TLS


TLS = tls_report.Report(
    "Example Inc.", "tls@example.com", "5065427c-23d3-47ca-b6e0-946ea0e8c4be", BEGIN, END,
    [
        Policy(
            "sts", "example.org", ("version: STSv1", "mode: testing", "mx: *.mail.example.org", "max_age: 86400"),
            ("*.mail.example.org",), 5326, 303,
            (Failure("certificate-expired", 100, "2001:db8::11", "mx1.mail.example.org", ""),
             Failure("validation-failure", 3, "198.51.100.62", "mx3.mail.example.org", "203.0.113.58", "X509_V_ERR")),
        ),
        Policy("no-policy-found", "example.net", (), (), 5, 0),
    ],
)  # fmt: skip


def test_a_report_about_tls_that_we_write_we_read() -> None:
    packed = gzip.compress(tls_report.write(TLS))
    assert tls_report.read(packed, NOW) == TLS
    document = json.loads(tls_report.write(TLS))
    assert document["date-range"]["start-datetime"] == "2026-11-17T00:00:00Z"
    assert set(document["policies"][0]) == {"policy", "summary", "failure-details"}


def test_habits_of_others_are_taken() -> None:
    document = json.loads(tls_report.write(TLS))
    document["date-range"] = {"start-datetime": "2026-11-17T00:00:00", "end-datetime": "2026-11-17 23:59:59"}
    policy = document["policies"][0]
    policy["policy"]["mx-host"] = "*.mail.example.org"
    policy["summary"]["total-successful-session-count"] = "5326"
    document["policies"] = policy
    report = tls_report.read(json.dumps(document).encode(), NOW)
    assert (report.begin, report.end) == (BEGIN, END), "Microsoft's times have no zone"
    assert report.policies[0] == TLS.policies[0]


@pytest.mark.parametrize(
    "path, value, reason",
    [
        ((), [], "kind"),
        (("policies",), [], "missing"),
        (("policies",), ["x"], "syntax"),
        (("policies",), [{}] * (LIMITS.report_records + 1), "too-many"),
        (("report-id",), None, "missing"),
        (("date-range",), "today", "syntax"),
        (("date-range", "end-datetime"), "soon", "date"),
        (("date-range", "end-datetime"), "9999-12-31T23:59:59Z", "date"),
        (("date-range", "start-datetime"), "1970-01-01T00:00:00Z", "date"),
        (("policies", 0, "policy", "policy-type"), "magic", "missing"),
        (("policies", 0, "policy", "policy-domain"), "", "missing"),
        (("policies", 0, "summary", "total-failure-session-count"), -1, "number"),
        (("policies", 0, "summary", "total-failure-session-count"), 1.5, "number"),
        (("policies", 0, "failure-details", 0, "failed-session-count"), 10**13, "number"),
    ],
)
def test_what_is_no_report_about_tls_is_refused(path: tuple[str | int, ...], value: object, reason: str) -> None:
    document = json.loads(tls_report.write(TLS))
    if path:
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
    else:
        document = value
    assert refused(json.dumps(document).encode(), tls_report.read) == reason


def test_json_is_bounded() -> None:
    assert refused(gzip.compress(b" " * (LIMITS.tls_report_size + 1)), tls_report.read) == "too-large"
    assert refused(b"\xff", tls_report.read) == "syntax"
