"""Reports about TLS (TLS-RPT, RFC 8460): as values, written as JSON, read from anybody's JSON.

Reading is bounded in octets, depth, policies and failures. Others' habits are taken: times without a zone are UTC
(Microsoft), counts may be text, one host may stand where a list should.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.trust.dmarc_report import check_range, clean, number
from daemon.trust.unpack import BadReport, expanded

TYPES = ("tlsa", "sts", "no-policy-found")


class Failure(NamedTuple):
    """Sessions that failed alike (RFC 8460 §4.3)."""

    result: str
    sessions: int
    sending_ip: str = ""
    mx_host: str = ""
    receiving_ip: str = ""
    text: str = ""


class Policy(NamedTuple):
    """What was found published, and how sessions under it went."""

    type: str
    domain: str
    strings: tuple[str, ...]
    mx_hosts: tuple[str, ...]
    successful: int
    failed: int
    failures: tuple[Failure, ...] = ()


class Report(NamedTuple):
    """`begin` and `end` in seconds since 1970."""

    org: str
    contact: str
    report_id: str
    begin: int
    end: int
    policies: Sequence[Policy]


def write(report: Report) -> bytes:
    """The JSON of RFC 8460 §4.4."""
    document = {
        "organization-name": report.org,
        "date-range": {"start-datetime": _iso(report.begin), "end-datetime": _iso(report.end)},
        "contact-info": report.contact,
        "report-id": report.report_id,
        "policies": [_policy(p) for p in report.policies],
    }
    return json.dumps(document, indent=1).encode()


def _policy(p: Policy) -> dict[str, Any]:
    policy = {
        "policy-type": p.type,
        "policy-string": list(p.strings),
        "policy-domain": p.domain,
        "mx-host": list(p.mx_hosts),
    }
    found: dict[str, Any] = {
        "policy": {name: value for name, value in policy.items() if value != []},
        "summary": {"total-successful-session-count": p.successful, "total-failure-session-count": p.failed},
    }
    if p.failures:
        found["failure-details"] = [_failure(f) for f in p.failures]
    return found


def _failure(f: Failure) -> dict[str, Any]:
    found = {
        "result-type": f.result,
        "sending-mta-ip": f.sending_ip,
        "receiving-mx-hostname": f.mx_host,
        "receiving-ip": f.receiving_ip,
        "failed-session-count": f.sessions,
        "additional-information": f.text,
    }
    return {name: value for name, value in found.items() if value != ""}


def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def read(data: bytes, now: float) -> Report:
    """A report out of an attachment, packed or not. `now` in seconds. Raises `BadReport`."""
    try:
        document = json.loads(expanded(data, LIMITS.tls_report_size).read())
    except RecursionError:
        raise BadReport("too-deep", "the JSON is nested deeper than any report") from None
    except (ValueError, UnicodeError) as error:
        raise BadReport("syntax", f"this is no JSON: {str(error)[:100]}") from None
    if not isinstance(document, dict) or "policies" not in document:
        raise BadReport("kind", "this JSON is no report about TLS")
    dates = _dict(document.get("date-range"))
    begin, end = (_seconds(dates.get(f"{which}-datetime")) for which in ("start", "end"))
    check_range(begin, end, now)
    report_id = clean(document.get("report-id") or "")
    policies = _list(document["policies"])
    if not report_id or not policies:
        raise BadReport("missing", "the report has no id, or no policies")
    return Report(
        clean(document.get("organization-name") or ""), clean(document.get("contact-info") or ""), report_id, begin,
        end, [_read_policy(_dict(p)) for p in policies],
    )  # fmt: skip


def _read_policy(found: dict[str, Any]) -> Policy:
    policy, summary = _dict(found.get("policy")), _dict(found.get("summary"))
    domain = clean(policy.get("policy-domain") or "").lower().rstrip(".")
    kind = clean(policy.get("policy-type") or "").lower()
    if not domain or kind not in TYPES:
        raise BadReport("missing", "a policy does not say whose it is, or of which kind")
    return Policy(
        kind, domain,
        tuple(clean(s) for s in _list(policy.get("policy-string"))),
        tuple(clean(_host(h)) for h in _list(policy.get("mx-host"))),
        _count(summary.get("total-successful-session-count")),
        _count(summary.get("total-failure-session-count")),
        tuple(_read_failure(_dict(f)) for f in _list(found.get("failure-details"))),
    )  # fmt: skip


def _read_failure(found: dict[str, Any]) -> Failure:
    def text(name: str) -> str:
        return clean(found.get(name) or "")

    more = text("additional-information") or text("failure-reason-code")
    return Failure(
        text("result-type").lower() or "unspecified", _count(found.get("failed-session-count")),
        text("sending-mta-ip"), text("receiving-mx-hostname"), text("receiving-ip"), more,
    )  # fmt: skip


def _dict(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadReport("syntax", "something else stands where an object should")
    return value


def _list(value: object) -> list[Any]:
    found = [] if value is None else value if isinstance(value, list) else [value]
    if len(found) > LIMITS.report_records:
        raise BadReport("too-many", f"more than {LIMITS.report_records} entries in a list")
    return found


def _host(value: object) -> object:
    return value.get("hostname", "") if isinstance(value, dict) else value


def _count(value: object) -> int:
    return number("0" if value is None else str(value), LIMITS.report_count)


def _seconds(value: object) -> int:
    try:
        at = datetime.fromisoformat(str(value).strip())
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise BadReport("date", f"{str(value)[:40]!r} is no date") from None
