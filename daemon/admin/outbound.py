"""Whether mail can leave: many networks close port 25. What went out lately proves it; a probe only if one is named.

A probe connects to the mail servers of the named domain, hears the greeting, says EHLO and QUIT. No mail is sent.
"""

from __future__ import annotations

import asyncio
import contextlib

from daemon.admin.findings import Facts, Finding, in_words
from daemon.flow.route import Host, Ourselves, Router, Unroutable
from daemon.limits import LIMITS
from daemon.resolver import DNS, TemporaryDNSError
from daemon.store import census

_LATELY = 2 * 86_400_000
_SUBJECT = "port 25"
_CLOSED = "ask the hosting provider to open port 25 outward, or send through a relay (`mailctl route add --default`)"
_HOSTS = 3


async def check(facts: Facts) -> list[Finding]:
    """One finding: what is known, or what the probe found."""
    if facts.probe:
        return [await _probe(facts)]
    success = (await facts.store.read(census.queue_state)).last_success_at
    if success is not None and facts.now - success < _LATELY:
        return [Finding("ok", "outbound-works", _SUBJECT, f"mail left {(facts.now - success) // 60_000} minutes ago")]
    text = "whether other servers can be reached was not tried: nothing went out lately, and nothing was asked for"
    remedy = "`mailctl doctor --probe DOMAIN` connects to the mail servers of a domain you name, and sends no mail"
    return [Finding("info", "outbound-untried", _SUBJECT, text, remedy)]


async def _probe(facts: Facts) -> Finding:
    config = facts.config
    resolver = DNS(config["dns.servers"], patience=LIMITS.doctor_patience / 3)
    ourselves = Ourselves(config["hostname"], config["listen.smtp"])
    try:
        hosts = await Router(resolver, ourselves, port=config["smtp.out_port"]).hosts(facts.probe, None)
    except (Unroutable, TemporaryDNSError) as error:
        text = f"the mail servers of {facts.probe} are not known: {error}"
        return Finding("error", "outbound-no-host", _SUBJECT, text, "name another domain, or look at dns.servers")
    tries = [asyncio.create_task(_try(facts, host)) for host in hosts[:_HOSTS]]
    try:
        said = ""
        for one in asyncio.as_completed(tries):
            reached, said = await one
            if reached:
                return Finding("ok", "outbound-open", _SUBJECT, said)
        return Finding("error", "outbound-closed", _SUBJECT, f"{facts.probe} is not reached: {said}", _CLOSED)
    finally:
        for task in tries:
            task.cancel()
        await asyncio.gather(*tries, return_exceptions=True)


async def _try(facts: Facts, host: Host) -> tuple[bool, str]:
    """Whether a host greets us, and what to tell of it."""
    source = facts.config["smtp.out_address"]
    said = "it has no address"
    for address in host.addresses:
        fits = bool(source) and (":" in source) == (":" in address)
        try:
            async with asyncio.timeout(LIMITS.doctor_patience / 3):
                reader, writer = await asyncio.open_connection(
                    address, host.port, limit=LIMITS.reply_line, local_addr=(source, 0) if fits else None
                )
                with contextlib.closing(writer):
                    greeting = (await reader.readline()).decode("utf-8", "replace").strip()
                    writer.write(f"EHLO {facts.config['hostname']}\r\nQUIT\r\n".encode())
                    await writer.drain()
            if greeting.startswith("220"):
                return True, f"{host.name} answers: {greeting[:100]}"
            said = f"{host.name} says: {greeting[:200] or 'nothing'}"
        except TimeoutError:
            said = f"{host.name} [{address}] does not answer"
        except (OSError, ValueError) as error:
            said = f"{host.name} [{address}]: {in_words(error)}"
    return False, said
