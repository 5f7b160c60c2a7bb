"""How mail programs find the server: SRV records, and the names that they ask for settings."""

from __future__ import annotations

from daemon.admin import dnsrecords
from daemon.admin.dnscheck.looking import Looking


async def look(at: Looking) -> None:
    missing, wrong = [], []
    for record in dnsrecords.services(at.wanted.domain, at.wanted.config):
        answer = await at.ask(record.name, "SRV")
        if answer is None:
            return
        said = [str(r) for r in answer.records]
        if not said and record.data.endswith(" ."):
            continue
        if not said:
            missing.append(record)
        elif not any(r.split()[2:] == record.data.split()[2:] for r in said):
            wrong.append(record)
    for record in missing:
        at.say("info", "srv-missing", record.name, "there is no SRV record", record)
    for record in wrong:
        at.say("warning", "srv-differs", record.name, "it does not lead to this server as it is set up", record)
    if not missing and not wrong:
        at.good("srv-found", at.wanted.domain, "mail programs find the server by themselves")
    for record in dnsrecords.autoconfig(at.wanted):
        if record.type == "CNAME" and await at.addresses_of(record.name) == []:
            at.say("info", "autoconfig-missing", record.name, "the name leads nowhere", record)
