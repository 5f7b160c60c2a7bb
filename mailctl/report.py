"""`mailctl report`: what other servers tell of mail in the name of our domains, and of TLS towards us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

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
    desk.out.document(found, lambda: _tell(desk, found, (found.domains, _DOMAINS), (found.sources, _SOURCES)))


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
    desk.out.document(found, lambda: _tell(desk, found, (found.policies, _POLICIES), (found.failures, _FAILURES)))


def _amount(title: str, name: str, color: str = "") -> Column:
    """A column of numbers; `color` marks those that are not 0."""
    return Column(
        title,
        lambda row: f"{getattr(row, name):,}",
        lambda row: color if getattr(row, name) else "",
        right=True,
    )


_DOMAINS = (
    Column("DOMAIN", lambda d: d.domain, "bold"),
    _amount("MESSAGES", "messages"),
    _amount("FAILED", "failed", "red"),
    _amount("QUARANTINED", "quarantined"),
    _amount("REJECTED", "rejected"),
)
_SOURCES = (
    Column("SOURCE", lambda s: s.ip, "bold"),
    Column("FROM", lambda s: s.domain),
    _amount("MESSAGES", "messages"),
    _amount("FAILED", "failed", "red"),
    _amount("NO DKIM", "no_dkim"),
    _amount("NO SPF", "no_spf"),
    Column("SIGNED BY", lambda s: ", ".join(s.signers), fold=True),
    Column("RETURN PATH", lambda s: ", ".join(s.paths), fold=True),
)
_POLICIES = (
    Column("DOMAIN", lambda p: p.domain, "bold"),
    Column("POLICY", lambda p: p.policy),
    _amount("SESSIONS", "sessions"),
    _amount("FAILED", "failed", "red"),
)
_FAILURES = (
    Column("RESULT", lambda f: f.result, "red"),
    Column("HOST", lambda f: f.host),
    Column("REPORTER", lambda f: f.reporter),
    _amount("SESSIONS", "sessions"),
    Column("WHAT", lambda f: f.text, fold=True),
)


def _tell(desk: Desk, found: DMARC | TLS, *tables: tuple[Sequence[Any], Sequence[Column]]) -> None:
    """For people: how much is known, its tables, the trend."""
    out = desk.out
    if not found.reports:
        out.note("no reports yet; `mailctl dns records DOMAIN` prints the record that asks for them")
        return
    out.print(out.dim(f"{count(found.reports, 'report')} of {count(found.reporters, 'organisation')}"))
    for rows, columns in tables:
        if rows:
            out.print()
            out.rows(rows, columns)
    _days(desk, found.days)


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
        said = f"{day.total:,}" + (f" ({day.failed:,} failed)" if day.failed else "")
        desk.out.print(f"{datetime.fromtimestamp(day.at / 1000, UTC):%Y-%m-%d}  {bar}{' ' * (_BAR - cells)}  {said}")
