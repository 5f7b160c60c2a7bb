"""`mailctl report`: what other servers tell of mail in the name of our domains, and of TLS towards us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mailctl import options
from mailctl.desk import Desk, at_desk
from mailctl.grammar import noun
from mailctl.out import Column, count

if TYPE_CHECKING:
    from daemon.admin.reports import DMARC, TLS, Day

command = noun(
    "report",
    "What other servers tell of mail in the name of our domains, and of TLS towards us.",
    "mailctl report dmarc",
    "mailctl report tls --domain example.org",
)
_since = click.option("--since", metavar="WHEN", help="About days since a span ago or a date [30d].")
_BAR = 30  # cells of the longest bar


@command.command("dmarc", examples=("mailctl report dmarc", "mailctl report dmarc --domain example.org --since 7d"))
@options.domain
@_since
@options.limit
@at_desk
def dmarc(desk: Desk, domain: str | None, since: str | None, limit: int | None) -> None:
    """Who sends in the name of our domains, what of it is not proved by SPF or DKIM, and how that goes on.

    Known from the aggregate reports that came as mail to an address here (`rua` in the DMARC record).
    """
    from daemon.admin import reports

    found = reports.dmarc(desk.store, domain=domain, since=since, limit=limit)
    desk.out.document(found, lambda: _tell_dmarc(desk, found))


@command.command("tls", examples=("mailctl report tls", "mailctl report tls --domain example.org --json"))
@options.domain
@_since
@options.limit
@at_desk
def tls(desk: Desk, domain: str | None, since: str | None, limit: int | None) -> None:
    """How TLS towards our domains went for others, what failed, and how that goes on.

    Known from the reports about TLS that came as mail to an address here (`rua` in the record at _smtp._tls).
    """
    from daemon.admin import reports

    found = reports.tls(desk.store, domain=domain, since=since, limit=limit)
    desk.out.document(found, lambda: _tell_tls(desk, found))


def _tell_dmarc(desk: Desk, found: DMARC) -> None:
    if not _head(desk, found.reports, found.reporters):
        return
    out = desk.out
    out.rows(
        found.domains,
        [
            Column("DOMAIN", lambda d: d.domain, "bold"),
            Column("MESSAGES", lambda d: f"{d.messages:,}", right=True),
            Column("FAILED", lambda d: f"{d.failed:,}", lambda d: "red" if d.failed else "green", right=True),
            Column("QUARANTINED", lambda d: f"{d.quarantined:,}", right=True),
            Column("REJECTED", lambda d: f"{d.rejected:,}", right=True),
        ],
    )
    out.print()
    out.rows(
        found.sources,
        [
            Column("SOURCE", lambda s: s.ip, "bold"),
            Column("FROM", lambda s: s.domain),
            Column("MESSAGES", lambda s: f"{s.messages:,}", right=True),
            Column("FAILED", lambda s: f"{s.failed:,}", lambda s: "red" if s.failed else "", right=True),
            Column("NO DKIM", lambda s: f"{s.no_dkim:,}", right=True),
            Column("NO SPF", lambda s: f"{s.no_spf:,}", right=True),
            Column("SIGNED BY", lambda s: ", ".join(s.signers), fold=True),
            Column("RETURN PATH", lambda s: ", ".join(s.paths), fold=True),
        ],
    )
    _days(desk, found.days)


def _tell_tls(desk: Desk, found: TLS) -> None:
    if not _head(desk, found.reports, found.reporters):
        return
    out = desk.out
    out.rows(
        found.policies,
        [
            Column("DOMAIN", lambda p: p.domain, "bold"),
            Column("POLICY", lambda p: p.policy),
            Column("SESSIONS", lambda p: f"{p.sessions:,}", right=True),
            Column("FAILED", lambda p: f"{p.failed:,}", lambda p: "red" if p.failed else "green", right=True),
        ],
    )
    if found.failures:
        out.print()
        out.rows(
            found.failures,
            [
                Column("RESULT", lambda f: f.result, "red"),
                Column("HOST", lambda f: f.host),
                Column("REPORTER", lambda f: f.reporter),
                Column("SESSIONS", lambda f: f"{f.sessions:,}", right=True),
                Column("WHAT", lambda f: f.text, fold=True),
            ],
        )
    _days(desk, found.days)


def _head(desk: Desk, reports: int, reporters: int) -> bool:
    if not reports:
        desk.out.note("no reports yet; `mailctl dns records DOMAIN` prints the record that asks for them")
        return False
    desk.out.print(desk.out.dim(f"{count(reports, 'report')} of {count(reporters, 'organisation')}"))
    return True


def _days(desk: Desk, days: Sequence[Day]) -> None:
    """The trend: a bar for each day, what failed at its end."""
    most = max((day.total for day in days), default=0)
    if not most:
        return
    desk.out.print()
    for day in days:
        cells = max(1, round(day.total * _BAR / most))
        bad = min(cells, round(day.failed * cells / day.total) or (1 if day.failed else 0)) if day.total else 0
        bar = "#" * (cells - bad) + desk.out.styled("x" * bad, "31")
        said = f"{day.total:,}" + (f", {day.failed:,} failed" if day.failed else "")
        desk.out.print(f"{datetime.fromtimestamp(day.at / 1000, UTC):%Y-%m-%d}  {bar}{' ' * (_BAR - cells)}  {said}")
