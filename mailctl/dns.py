"""`mailctl dns`: what the world must know of a domain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import clean, pad, width_of

if TYPE_CHECKING:
    from daemon.admin.dnscheck import Finding
    from daemon.admin.dnspublish import Plan
    from daemon.admin.dnsrecords import Record

command = noun(
    "dns",
    "What the world must know of a domain, and whether it does.",
    "mailctl dns records example.org",
    "mailctl dns check example.org",
    "mailctl dns publish example.org",
)
_domain = click.argument("domain", metavar="DOMAIN", shell_complete=options.complete_domains)
_address = click.option(
    "--address", "addresses", metavar="IP", multiple=True, help="This server's public address, when it has others."
)
LEVELS = {"ok": "32", "info": "36", "warning": "33", "error": "31"}


@command.command("check", examples=("mailctl dns check example.org", "mailctl dns check example.org --json"))
@_domain
@_address
@at_desk
def check(desk: Desk, domain: str, addresses: tuple[str, ...]) -> int:
    """Ask the DNS about a domain and say what is missing, with the record to publish.

    Exit code 1: something is wrong; 69: the name servers did not answer.
    """
    from daemon.admin import dnscheck

    found = dnscheck.check(desk.store, domain, addresses)
    if desk.json:
        desk.out.rows(found, [])
    else:
        tell(desk, found)
    errors = {f.reason for f in found if f.level == "error"}
    return 69 if errors == {"dns-failed"} else 1 if errors else 0


def tell(desk: Desk, found: list[Finding]) -> None:
    """Findings, one below the other, each record on a line that can be copied."""
    out = desk.out
    for one in found:
        out.print(f"{out.styled(one.level.ljust(7), '1;' + LEVELS[one.level])}  {out.bold(clean(one.subject))}")
        out.print(f"         {clean(one.text)}")
        if one.breaks:
            out.print(f"         {out.dim(clean(one.breaks))}")
        if one.record:
            out.print(f"         {out.styled(clean(one.record), '36')}")
    out.summed([one.level for one in found], "nothing is wrong")


@command.command(
    "records", examples=("mailctl dns records example.org", "mailctl dns records example.org --address 192.0.2.25")
)
@_domain
@_address
@at_desk
def records(desk: Desk, domain: str, addresses: tuple[str, ...]) -> None:
    """Print what to publish for a domain, as a zone file."""
    from daemon.admin import dnsrecords

    wanted = dnsrecords.wishes(desk.store, domain, addresses)
    found = dnsrecords.records(wanted)
    if desk.json:
        desk.out.rows(found, [])
        return
    _zone(desk, found)
    if not wanted.addresses:
        host = wanted.config["hostname"]
        desk.out.print(
            f"; {host} needs an A or AAAA record: its public address is not known here, name it by --address"
        )


def _zone(desk: Desk, found: list[Record]) -> None:
    name = max(width_of(r.name) for r in found) + 1
    for record in found:
        line = f"{pad(record.name + '.', name, False)}  {record.ttl}  IN  {record.type:<4}  {record.data}"
        desk.out.print(desk.out.dim(f"; {record.purpose}"))
        desk.out.print(line)


@command.command(
    "publish",
    examples=(
        "mailctl dns publish example.org --server ns1.example.org --key-file /etc/mailctl/tsig.key --dry-run",
        "mailctl dns publish example.org",
        "mailctl dns publish example.org --replace --yes",
    ),
)
@_domain
@_address
@click.option("--server", metavar="HOST[:PORT]", help="The primary name server. Default: dns.update_server.")
@click.option(
    "--key-file",
    metavar="FILE",
    type=click.Path(),
    help="Its TSIG key, as tsig-keygen writes it. Default: dns.update_key.",
)
@click.option("--key-stdin", is_flag=True, help="Read the TSIG key from standard input.")
@click.option("--replace", is_flag=True, help="Replace also MX, SPF and addresses that somebody else published.")
@options.careful
@at_desk
def publish(
    desk: Desk,
    domain: str,
    addresses: tuple[str, ...],
    server: str | None,
    key_file: str | None,
    key_stdin: bool,
    replace: bool,
    yes: bool,
    dry_run: bool,
) -> None:
    """Publish the records of a domain by dynamic update (RFC 2136), after showing what would change.

    Only names and types of ours are touched; what somebody else published stays, unless --replace is said.
    """
    from daemon.admin import dnspublish, dnsrecords

    if key_file and key_stdin:
        raise click.UsageError("--key-file and --key-stdin are two sources; name one")
    text = Path(key_file).read_text(errors="replace") if key_file else sys.stdin.read() if key_stdin else None
    wanted = dnsrecords.wishes(desk.store, domain, addresses)
    place, key = dnspublish.target(wanted.config, server, text)
    planned = dnspublish.look(place, key, wanted, replace=replace)
    touched = [str(step) for step in planned.changes]
    before = dry_run or (desk.interactive and not yes)  # part of the difference that somebody looks at
    if before:
        _left(desk, planned)
    if not desk.agreed(f"change the zone at {place}", touched, yes=yes or not touched, dry_run=dry_run):
        return
    if touched:
        dnspublish.publish(place, key, planned)
    if not before:
        _left(desk, planned)
    said = f"published at {place}: {'; '.join(touched)}" if touched else f"nothing to change at {place}"
    desk.out.done(said, planned)


def _left(desk: Desk, planned: Plan) -> None:
    """What is otherwise than we would have it, and why it stays so."""
    for step in planned.left:
        desk.out.note(str(step))
