"""What a report of ours says of one domain and day, and what it is called: DMARC (RFC 9990) and TLS (RFC 8460)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from daemon.flow.destinations import tags
from daemon.mail.address import Address
from daemon.store.evidence import DAY, Counted, Judged, Session
from daemon.trust import dmarc_report, tls_report
from daemon.trust.dmarc_report import Proof, Row
from daemon.trust.tls_report import Failure, Policy


class About(NamedTuple):
    """One report to be made: of which day, about whom, by whom."""

    kind: str
    day: int
    domain: str
    sender: Address
    hostname: str

    @property
    def begin(self) -> int:
        """Seconds since 1970."""
        return self.day * DAY // 1000

    @property
    def end(self) -> int:
        return self.begin + DAY // 1000 - 1

    @property
    def unique(self) -> str:
        """The same whenever it is made again (RFC 9990 §3.5.2: a report sent anew has the name it had)."""
        text = f"{self.kind} {self.day} {self.domain} {self.hostname}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def report_id(self) -> str:
        return f"{datetime.fromtimestamp(self.begin, UTC):%Y%m%d}.{self.kind}.{self.domain}.{self.unique}"

    @property
    def file_name(self) -> str:
        extension = "xml" if self.kind == "dmarc" else "json"
        names = f"{self.sender.domain}!{self.domain}!{self.begin}!{self.end}!{self.unique}"
        return f"{names}.{extension}.gz"


def dmarc(about: About, record: str, counted: Sequence[Counted]) -> bytes:
    """The XML about one domain and day."""
    lost = sum(one.messages for one in counted if one.judged is None)
    rows = [_row(one.judged, one.messages) for one in counted if one.judged is not None]
    error = f"{lost} messages are not told: they differed from each other too much" if lost else ""
    return dmarc_report.write(
        dmarc_report.Report(
            about.sender.domain,
            str(about.sender),
            about.report_id,
            about.begin,
            about.end,
            about.domain,
            published(record),
            rows,
            error=error,
            generator="mailctl",
        )  # fmt: skip
    )


def published(record: str) -> dict[str, str]:
    """A DMARC record by the names of the report, what is not said with its default (RFC 9989 §4.7)."""
    said = tags(record)
    policy = _among(said.get("p"), ("none", "quarantine", "reject"), "none")
    below = _among(said.get("sp"), ("none", "quarantine", "reject"), policy)
    return {
        "discovery_method": "treewalk",
        "p": policy,
        "sp": below,
        "np": _among(said.get("np"), ("none", "quarantine", "reject"), below),
        "fo": said.get("fo", "0")[:20],
        "adkim": _among(said.get("adkim"), ("r", "s"), "r"),
        "aspf": _among(said.get("aspf"), ("r", "s"), "r"),
        "testing": _among(said.get("t"), ("y", "n"), "n"),
    }


def _among(value: str | None, words: tuple[str, ...], default: str) -> str:
    return value.lower() if value is not None and value.lower() in words else default


def _row(judged: Judged, messages: int) -> Row:
    words = {True: "pass", False: "fail"}
    return Row(
        judged.source_ip, messages, judged.disposition, words[judged.dkim_aligned], words[judged.spf_aligned],
        judged.header_from, judged.envelope_from, "", (judged.override,) if judged.override else (),
        tuple(Proof(domain, result, selector) for domain, selector, result in judged.dkim),
        (Proof(*judged.spf),) if judged.spf[0] else (),
    )  # fmt: skip


def tls(about: About, counted: Sequence[Session]) -> bytes:
    """The JSON about one domain and day: one policy for each that was found published."""
    policies: dict[tuple[str, str], list[Session]] = {}
    for one in counted:
        policies.setdefault((one.policy_type, one.policy_string), []).append(one)
    return tls_report.write(
        tls_report.Report(
            about.sender.domain,
            str(about.sender),
            about.report_id,
            about.begin,
            about.end,
            [_policy(about.domain, *published, sessions) for published, sessions in policies.items()],
        )  # fmt: skip
    )


def _policy(domain: str, kind: str, text: str, sessions: Sequence[Session]) -> Policy:
    failures = [s for s in sessions if s.result]
    hosts = dict.fromkeys(s.mx_host for s in sessions if s.mx_host)
    return Policy(
        kind, domain, tuple(text.splitlines()), tuple(hosts), sum(s.sessions for s in sessions if not s.result),
        sum(s.sessions for s in failures),
        tuple(Failure(f.result, f.sessions, f.sending_ip, f.mx_host, f.receiving_host) for f in failures),
    )  # fmt: skip
