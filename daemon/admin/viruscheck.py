"""What protects against viruses: whether there is a scanner that answers, with fresh signatures; how trials ended."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from daemon.admin.findings import Facts, Finding
from daemon.flow import drill
from daemon.limits import LIMITS
from daemon.store import drills
from daemon.trust import virus

_DATABASE = re.compile(r"/\d+/\w{3} (\w{3} +\d+ [\d:]{8} \d{4})")
_OLD = 7  # days; signatures come several times a day
_NEEDED = 3 << 30  # octets of memory that ClamAV's makers ask for: its signatures take half of that
_PATIENCE = LIMITS.doctor_patience / 3


async def check(facts: Facts) -> list[Finding]:
    """One about the scanner, one about each trial: what fails now, and what the server saw at its last one."""
    where = facts.config["virus.scanner"]
    if where is None:
        found = [_without(facts)]
    else:
        try:
            found = [_answers(facts, str(where), await virus.alive(where, _PATIENCE))]
        except virus.Silent as error:
            found = [_silent(facts, str(where), str(error))]
    if found[0].level != "error":
        found += [
            Finding("error", "drill-failed", name, text, "look at that part's settings, and at its own log")
            for name, passed, text in await drill.look(facts.config)
            if not passed
        ]
    return [*found, *_kept(facts)]


def _without(facts: Facts) -> Finding:
    config = facts.config
    only = "only the attachment policy protects against viruses"
    if config["attachments.action"] == "accept":
        only = "nothing protects against viruses, and attachments.action is off, too"
    room = ""
    with contextlib.suppress(ValueError, OSError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        enough = "enough" if memory >= _NEEDED else "too little"
        room = f" (it wants some {_NEEDED >> 30} GiB of memory; this machine has {memory / 2**30:.1f}, {enough})"
    remedy = f"install clamav-daemon{room}, then `mailctl config set virus.scanner unix:/run/clamav/clamd.ctl`"
    return Finding("warning", "scanner-none", "viruses", f"there is no virus scanner: {only}", remedy)


def _answers(facts: Facts, where: str, version: str) -> Finding:
    days = _age(version, facts.now)
    if days is not None and days > _OLD:
        text = f"its signatures are {days} days old: {version}"
        return Finding("warning", "scanner-old", where, text, "see that freshclam (clamav-freshclam) runs")
    return Finding("ok", "scanner-answers", where, f"the virus scanner answers: {version}")


def _silent(facts: Facts, where: str, why: str) -> Finding:
    defers = facts.config["virus.on_error"] == "defer"
    comes = "senders are told to try again" if defers else "mail is delivered unscanned"
    remedy = "start clamav-daemon, see that this server's user may use its socket, or mend virus.scanner"
    return Finding("error", "scanner-silent", where, f"{why}; meanwhile {comes}", remedy)


def _age(version: str, now: int) -> int | None:
    """Days since its signatures were made; None when it has none of ClamAV's."""
    said = _DATABASE.search(version)
    if said is None:
        return None
    try:
        made = datetime.strptime(" ".join(said[1].split()), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(now / 1000 - made.timestamp()) // 86400


def _kept(facts: Facts) -> Iterator[Finding]:
    """What the server saw."""
    for one in facts.store.read_now(drills.everyone):
        if one.failures:
            text = f"the server's hourly trial fails since {_moment(one.since_at)}: {one.text}"
            yield Finding("error", "drill-failed", one.name, text, "the log of the server has more of it")
        elif facts.running and facts.now - one.at > 2 * LIMITS.drill_round * 1000:
            text = f"the last trial was {_moment(one.at)}, and one is due every hour"
            yield Finding("warning", "drill-late", one.name, text, "look into the server's log")
        else:
            yield Finding("ok", "drill-passed", one.name, f"{one.text} ({_moment(one.at)})")


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
