"""DMARC aggregate reports (RFC 9990): as values, written as XML, read from anybody's XML.

Reading takes the older format too (RFC 7489), any namespace or none, and elements in any order. What is read is
bounded in octets, depth, records and elements; DTDs and entities are refused. What cannot be is refused with a reason.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from daemon.limits import LIMITS
from daemon.trust.unpack import BadReport, expanded

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"
DISPOSITIONS = ("none", "quarantine", "reject", "pass")
_POLICY = ("p", "sp", "np", "fo", "adkim", "aspf", "testing", "discovery_method", "pct")
_DEPTH = 8  # feedback/record/row/policy_evaluated/reason/comment is 6
_EARLIEST = 1325376000  # 2012: before there was DMARC
_LONGEST = 32 * 86400  # a month
_TEXT = 255  # characters of one value
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd]")


class Proof(NamedTuple):
    """What one DKIM signature or SPF said. `selector` is "" for SPF."""

    domain: str
    result: str
    selector: str = ""


class Row(NamedTuple):
    """Messages from one address that were alike. `dkim` and `spf`: pass or fail, aligned with the author's domain."""

    source_ip: str
    messages: int
    disposition: str
    dkim: str
    spf: str
    header_from: str
    envelope_from: str = ""
    envelope_to: str = ""
    reasons: tuple[str, ...] = ()
    proofs_dkim: tuple[Proof, ...] = ()
    proofs_spf: tuple[Proof, ...] = ()


class Report(NamedTuple):
    """`begin` and `end` in seconds since 1970; `policy` as published, by the names of the XML."""

    org: str
    email: str
    report_id: str
    begin: int
    end: int
    domain: str
    policy: Mapping[str, str]
    rows: Sequence[Row]
    error: str = ""
    generator: str = ""


# ------------------------------------------------------------------------------------------------------------- writing


def write(report: Report) -> bytes:
    """The XML, elements in the order of RFC 9990 §3.1.1."""
    return "\n".join(_lines(report)).encode("utf-8", "replace")


def _lines(r: Report) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<feedback xmlns="{NAMESPACE}">'
    yield " <version>1.0</version>"
    yield " <report_metadata>"
    yield from _elements("  ", org_name=r.org, email=r.email, report_id=r.report_id)
    yield "  <date_range>"
    yield from _elements("   ", begin=r.begin, end=r.end)
    yield "  </date_range>"
    yield from _elements("  ", error=r.error or None, generator=r.generator or None)
    yield " </report_metadata>"
    yield " <policy_published>"
    order = ("discovery_method", "p", "sp", "np", "fo", "adkim", "aspf", "testing")
    yield from _elements("  ", domain=r.domain, **{name: r.policy.get(name) for name in order})
    yield " </policy_published>"
    for row in r.rows:
        yield from _record(row)
    yield "</feedback>"
    yield ""


def _record(row: Row) -> Iterator[str]:
    yield " <record>"
    yield "  <row>"
    yield from _elements("   ", source_ip=row.source_ip, count=row.messages)
    yield "   <policy_evaluated>"
    yield from _elements("    ", disposition=row.disposition, dkim=row.dkim, spf=row.spf)
    for reason in row.reasons:
        yield "    <reason>"
        yield from _elements("     ", type=reason)
        yield "    </reason>"
    yield "   </policy_evaluated>"
    yield "  </row>"
    yield "  <identifiers>"
    yield from _elements(
        "   ", header_from=row.header_from, envelope_from=row.envelope_from, envelope_to=row.envelope_to or None
    )
    yield "  </identifiers>"
    yield "  <auth_results>"
    for proof in row.proofs_dkim:
        yield "   <dkim>"
        yield from _elements("    ", domain=proof.domain, selector=proof.selector, result=proof.result)
        yield "   </dkim>"
    for proof in row.proofs_spf[:1]:
        yield "   <spf>"
        yield from _elements("    ", domain=proof.domain, scope="mfrom", result=proof.result)
        yield "   </spf>"
    yield "  </auth_results>"
    yield " </record>"


def _elements(indent: str, **values: object) -> Iterator[str]:
    for name, value in values.items():
        if value is not None:
            yield f"{indent}<{name}>{escape(_UNPRINTABLE.sub('?', str(value)))}</{name}>"


# ------------------------------------------------------------------------------------------------------------- reading


def read(data: bytes, now: float) -> Report:
    """A report out of an attachment, packed or not. `now` in seconds. Raises `BadReport`."""
    from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import ParseError, iterparse  # type: ignore[import-untyped]

    try:
        return _Reader(now).read(iterparse(expanded(data, LIMITS.report_size), ("start", "end"), forbid_dtd=True))
    except DefusedXmlException as error:
        raise BadReport("entity", f"the XML declares what no report needs: {type(error).__name__}") from None
    except (ParseError, LookupError, ValueError) as error:  # also an encoding that nobody knows
        raise BadReport("syntax", f"this is no XML: {error}") from None


class _Reader:
    """One report while it is read: what was used is thrown away at once."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.metadata: dict[str, str] = {}
        self.policy: dict[str, str] = {}
        self.rows: list[Row] = []

    def read(self, events: Iterator[tuple[str, Element]]) -> Report:
        depth = elements = held = 0
        root: Element | None = None
        for event, element in events:
            if event == "start":
                depth += 1
                elements += 1
                held += 1
                root = element if root is None else root
                if depth == 1 and _name(element) != "feedback":
                    raise BadReport("kind", f"this XML is no report but {_name(element)[:60]!r}")
                if depth > _DEPTH:
                    raise BadReport("too-deep", "the XML is nested deeper than any report")
                if held > LIMITS.report_record or elements > LIMITS.report_elements:
                    raise BadReport("too-many", "more elements than any report has")
                continue
            depth -= 1
            if depth == 1 and root is not None:
                self.part(element)
                root.clear()
                held = 0
        return self.report()

    def part(self, element: Element) -> None:
        match _name(element):
            case "report_metadata":
                self.metadata = _values(element) | {
                    name: value for child in element if _name(child) == "date_range"
                    for name, value in _values(child).items()
                }  # fmt: skip
            case "policy_published":
                self.policy = _values(element)
            case "record":
                if len(self.rows) >= LIMITS.report_records:
                    raise BadReport("too-many", f"more than {LIMITS.report_records} records")
                self.rows.append(_row(element))

    def report(self) -> Report:
        domain = self.policy.get("domain", "").lower().rstrip(".")
        report_id = self.metadata.get("report_id", "")
        if not (domain and report_id):
            raise BadReport("missing", "the report does not say whom it is about, or has no id")
        begin, end = (number(self.metadata.get(name, ""), 1 << 40) for name in ("begin", "end"))
        check_range(begin, end, self.now)
        policy = {name: self.policy[name].lower() for name in _POLICY if self.policy.get(name)}
        return Report(
            self.metadata.get("org_name", ""), self.metadata.get("email", ""), report_id, begin, end, domain, policy,
            self.rows, self.metadata.get("error", ""), self.metadata.get("generator", ""),
        )  # fmt: skip


def _row(record: Element) -> Row:
    row, evaluated, identifiers, reasons = dict[str, str](), dict[str, str](), dict[str, str](), list[str]()
    proofs: dict[str, list[Proof]] = {"dkim": [], "spf": []}
    for part in record:
        match _name(part):
            case "row":
                row = _values(part)
                for child in part:
                    if _name(child) == "policy_evaluated":
                        evaluated = _values(child)
                        reasons = [_values(r).get("type", "") for r in child if _name(r) == "reason"]
            case "identifiers":
                identifiers = _values(part)
            case "auth_results":
                for child in part:
                    if _name(child) in proofs:
                        said = _values(child)
                        found = (said.get(name, "").lower() for name in ("domain", "result", "selector"))
                        proofs[_name(child)].append(Proof(*found))
    return Row(
        address(row.get("source_ip", "")),
        number(row.get("count", ""), LIMITS.report_count),
        _word(evaluated.get("disposition", "none"), DISPOSITIONS),
        _word(evaluated.get("dkim", "fail"), ("pass", "fail")),
        _word(evaluated.get("spf", "fail"), ("pass", "fail")),
        identifiers.get("header_from", "").lower().rstrip("."),
        identifiers.get("envelope_from", "").lower(),
        identifiers.get("envelope_to", "").lower(),
        tuple(reason for reason in reasons if reason)[: LIMITS.report_proofs],
        tuple(proofs["dkim"])[: LIMITS.report_proofs],
        tuple(proofs["spf"])[: LIMITS.report_proofs],
    )


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _values(element: Element) -> dict[str, str]:
    """Children that hold text, by name."""
    return {_name(child): clean(child.text or "") for child in element if not len(child)}


def clean(text: object) -> str:
    """A stranger's words as we keep them: one line, printable, short."""
    return " ".join(_UNPRINTABLE.sub("?", str(text)[: 4 * _TEXT]).split())[:_TEXT]


def number(text: str, highest: int) -> int:
    """Raises `BadReport`."""
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII) or int(text) > highest:
        raise BadReport("number", f"{text[:40]!r} is no number a report can have there")
    return int(text)


def address(text: str) -> str:
    """An IP address in its one spelling. Raises `BadReport`."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise BadReport("address", f"{text[:60]!r} is no IP address") from None


def check_range(begin: int, end: int, now: float) -> None:
    """Whether a report may be about this time. Raises `BadReport`."""
    if not _EARLIEST <= begin <= end <= now + 2 * 86400 or end - begin > _LONGEST:
        raise BadReport("date", f"no report can be about the time from {begin} to {end}")


def _word(text: str, allowed: tuple[str, ...]) -> str:
    word = text.lower()
    return word if word in allowed else "other"
