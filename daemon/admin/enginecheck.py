"""Whether the other filters that are set answer: a milter says what it wants, an rspamd says pong. No mail is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from daemon.admin.findings import Facts, Finding, in_words
from daemon.config import Socket
from daemon.flow import milter
from daemon.flow.opinions import Broken, Patience
from daemon.limits import LIMITS

_PATIENCE = LIMITS.doctor_patience / 2


async def check(facts: Facts) -> list[Finding]:
    """A finding for each filter; one in all without any."""
    config = facts.config
    asked = [_one(str(where), _milter(where), config["filter.on_error"]) for where in config["filter.milters"]]
    if url := config["filter.rspamd"]:
        asked.insert(0, _one(url, _rspamd(url), config["filter.on_error"]))
    if not asked:
        return [Finding("ok", "filters-none", "filters", "no other filters are set (filter.milters, filter.rspamd)")]
    return list(await asyncio.gather(*asked))


async def _one(name: str, asking: Awaitable[str], on_error: str) -> Finding:
    try:
        return Finding("ok", "filter-answers", name, await asking)
    except Broken as error:
        said = str(error)
    except OSError as error:
        said = in_words(error)
    comes = "mail is taken without its opinion" if on_error == "accept-tagged" else "senders are told to try again"
    remedy = "start it, or take it out of filter.milters or filter.rspamd"
    return Finding("error", "filter-silent", name, f"{said}; meanwhile {comes}", remedy)


async def _milter(where: Socket) -> str:
    late = asyncio.get_running_loop().time() + _PATIENCE
    options = await milter.greeted(where, Patience(late, _PATIENCE))
    return f"it answers, and speaks version {options.version} of the milter protocol"


async def _rspamd(url: str) -> str:
    from daemon.flow import rspamd

    return f"it answers: {await rspamd.alive(url, _PATIENCE)}"
