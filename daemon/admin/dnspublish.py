"""Publishing a domain's records by dynamic update: see what is there, say what would change, change it as it was said.

What is ours is put right: DKIM keys, the MTA-STS id, SRV, the `3 1 1` records of TLSA. What somebody may have meant
otherwise (MX, addresses, SPF, aliases) is added where there is none, and replaced only when that was asked for. A
DMARC or TLS-RPT record that stands alone stays as it is: an administrator's p=reject must not become our p=none. Of
TXT records at one name only those of the same kind are touched, whatever else is there.

Each change names what it found as its prerequisite (RFC 2136 §2.4): who changed the zone in between is not overwritten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.update

from daemon.admin import dnsrecords, dnsupdate
from daemon.admin.dnsrecords import Record, Wishes
from daemon.admin.dnsupdate import Key
from daemon.admin.errors import BadData, BadSetting, NotPermitted, Unavailable
from daemon.config import Config, HostPort, parse_host_port

_VERSIONS = {"_dmarc": "v=DMARC1", "_mta-sts": "v=STSv1", "_smtp": "v=TLSRPTv1"}  # by the first label; else SPF or DKIM


@dataclass(frozen=True, slots=True)
class Step:
    """`action`: add, change, remove, keep (something else is there, and stays) or elsewhere (in a zone that this server
    does not have). `old` goes and `new` comes, data as in a zone file; `found` is all that the name has of the type.
    `note` says why it is not simply done."""

    action: str
    name: str
    type: str
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    note: str = ""
    ttl: int = dnsrecords.TTL
    zone: str = ""

    def __str__(self) -> str:
        where = f"{self.name}. {self.type}"
        match self.action:
            case "add":
                return f"add {where} {_all(self.new)}"
            case "remove":
                return f"remove {where} {_all(self.old)}"
            case "change":
                return f"change {where} from {_all(self.old)} to {_all(self.new)}"
        return f"leave {where}{' ' * bool(self.found)}{_all(self.found)}: {self.note}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, in the order of the zone file."""

    domain: str
    server: str
    steps: tuple[Step, ...]

    @property
    def changes(self) -> tuple[Step, ...]:
        return tuple(s for s in self.steps if s.action in ("add", "change", "remove"))

    @property
    def left(self) -> tuple[Step, ...]:
        return tuple(s for s in self.steps if s.action in ("keep", "elsewhere"))


def target(config: Config, server: str | None, key_text: str | None) -> tuple[HostPort, Key]:
    """Where to publish and with which key: as given, else as the settings say. Raises `BadData`, `OSError`."""
    servers, file = config["dns.update_server"], config["dns.update_key"]
    try:
        place = parse_host_port(server, 53) if server else servers[0] if servers else None
    except BadSetting as error:
        raise BadData(str(error)) from None
    if place is None:
        raise BadSetting("no name server to publish at; say --server, or set dns.update_server")
    if key_text is None and not file:
        raise BadSetting("no TSIG key; say --key-file or --key-stdin, or set dns.update_key")
    return place, dnsupdate.read_key(Path(file).read_text(errors="replace") if key_text is None else key_text)


def look(server: HostPort, key: Key, wanted: Wishes, *, replace: bool = False) -> Plan:
    """`plan` for who has no loop."""
    return asyncio.run(plan(server, key, wanted, replace=replace))


def publish(server: HostPort, key: Key, planned: Plan) -> None:
    """`carry_out` for who has no loop."""
    asyncio.run(carry_out(server, key, planned))


async def plan(server: HostPort, key: Key, wanted: Wishes, *, replace: bool = False) -> Plan:
    """Compare what the server has with what should be. Raises `Unavailable`, `NotPermitted`, `BadData`."""
    zones = {wanted.domain: await dnsupdate.zone_of(server, key, wanted.domain)}
    signed = bool(_records(await dnsupdate.ask(server, key, zones[wanted.domain], "DNSKEY"), "", "DNSKEY"))
    steps = []
    for (name, kind), records in _sets(dnsrecords.records(wanted)).items():
        if kind == "TLSA" and not signed:
            note = "TLSA is worth nothing before the zone is signed by DNSSEC"
            steps.append(Step("keep", name, kind, note=note))
            continue
        try:
            zone = zones.get(name) or await dnsupdate.zone_of(server, key, name)
        except (Unavailable, NotPermitted):
            note = f"{server} has no zone for it; publish it where that is: {_all(r.data for r in records)}"
            steps.append(Step("elsewhere", name, kind, note=note))
            continue
        steps += await _compare(server, key, zone, name, kind, records, replace)
    if not wanted.addresses:
        await _has_address(server, key, wanted.host)
    for name in wanted.gone:
        there = _records(await dnsupdate.ask(server, key, name, "TXT"), name, "TXT")
        if there:
            steps.append(Step("remove", name, "TXT", old=there, found=there, zone=zones[wanted.domain]))
    return Plan(wanted.domain, str(server), tuple(steps))


async def _has_address(server: HostPort, key: Key, host: str) -> None:
    """An MX that leads nowhere is not published; name servers refuse it, too. A host elsewhere is not ours to judge."""
    try:
        answers = [await dnsupdate.ask(server, key, host, kind) for kind in ("A", "AAAA")]
    except (Unavailable, NotPermitted):
        return
    if not any(answer.answer for answer in answers):
        raise BadData(f"{host} has no address in the DNS, and none is known here; name it by --address")


async def carry_out(server: HostPort, key: Key, planned: Plan) -> None:
    """Send the changes, one update for a zone. Raises `Unavailable`, `NotPermitted`."""
    for zone in dict.fromkeys(step.zone for step in planned.changes):
        message = dns.update.UpdateMessage(zone)
        for step in planned.changes:
            if step.zone == zone:
                _prepare(message, step)
        await dnsupdate.send(server, key, message)


def _prepare(message: dns.update.UpdateMessage, step: Step) -> None:
    """The records of a step, under the condition that the name still has what it had."""
    owner = dns.name.from_text(step.name)
    if step.found:
        message.present(owner, *_parsed(step.type, step.found))
    else:
        message.absent(owner, step.type)
    for record in _parsed(step.type, step.old):
        message.delete(owner, record)
    if step.new:
        message.add(owner, step.ttl, *_parsed(step.type, step.new))


def _sets(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    found: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        found.setdefault((record.name, record.type), []).append(record)
    return found


async def _compare(
    server: HostPort, key: Key, zone: str, name: str, kind: str, records: Sequence[Record], replace: bool
) -> list[Step]:
    """One name and type: nothing, or the one step it takes."""
    answer = await dnsupdate.ask(server, key, name, kind)
    there, new = _records(answer, name, kind), _canonical(kind, (r.data for r in records))
    beside = await _beside(server, key, answer, name, kind)
    if beside:
        return [Step("keep", name, kind, found=beside, note="a name with an alias can have nothing else (RFC 1034)")]
    alike = tuple(data for data in there if _alike(name, kind, data))
    old = tuple(data for data in alike if data not in new and kind != "CAA")  # others may have other issuers
    missing = tuple(data for data in new if data not in there)
    if not missing and not (old and _ours(name, kind)):
        return []
    if old and not _ours(name, kind):
        if _stands(name, kind, alike, new):
            return []
        if not replace:
            note = f"somebody published something else; --replace makes it {_all(new)}"
            return [Step("keep", name, kind, found=alike, note=note)]
    action = "change" if old and missing else "remove" if old else "add"
    return [Step(action, name, kind, old, missing, there, ttl=records[0].ttl, zone=zone)]


async def _beside(server: HostPort, key: Key, answer: dns.message.Message, name: str, kind: str) -> tuple[str, ...]:
    """What stands in the way of it: an alias, or addresses where ours would be the alias."""
    if kind != "CNAME":
        return _records(answer, name, "CNAME")
    found: tuple[str, ...] = ()
    for other in ("A", "AAAA"):
        found += _records(await dnsupdate.ask(server, key, name, other), name, other)
    return found


def _ours(name: str, kind: str) -> bool:
    """Whether nobody else can have meant anything by it."""
    return kind in ("SRV", "TLSA") or kind == "TXT" and ("._domainkey." in name or name.startswith("_mta-sts."))


def _alike(name: str, kind: str, data: str) -> bool:
    """Whether a record that is there is of the kind that ours takes the place of."""
    if kind == "TLSA":
        return data.startswith("3 1 1 ")
    if kind != "TXT" or "._domainkey." in name:
        return True
    version = _VERSIONS.get(name.partition(".")[0], "v=spf1").lower()
    return data.lower().startswith((f'"{version};', f'"{version} ', f'"{version}"'))


def _stands(name: str, kind: str, there: Sequence[str], new: Sequence[str]) -> bool:
    """Whether what is there does its work as well as ours would."""
    if kind == "MX":
        return any(data.split()[1] == mine.split()[1] for data in there for mine in new)
    return kind == "TXT" and name.startswith(("_dmarc.", "_smtp.")) and len(there) == 1


def _records(answer: dns.message.Message, name: str, kind: str) -> tuple[str, ...]:
    """The data of one name and type in an answer ('' any name), in the one form that zone files are compared in."""
    owner = dns.name.from_text(name) if name else None
    wanted = dns.rdatatype.from_text(kind)
    found = (s for s in answer.answer if s.rdtype == wanted and (owner is None or s.name == owner))
    return _canonical(kind, (record.to_text() for rrset in found for record in rrset))


def _canonical(kind: str, data: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({record.to_text().lower() if kind in ("MX", "SRV", "CNAME") else record.to_text()
                         for record in _parsed(kind, data)}))  # fmt: skip


def _parsed(kind: str, data: Iterable[str]) -> list[dns.rdata.Rdata]:
    wanted = dns.rdatatype.from_text(kind)
    return [dns.rdata.from_text(dns.rdataclass.IN, wanted, text, relativize=False) for text in data]


def _all(data: Iterable[str]) -> str:
    return " and ".join(data)
