"""Other filters that are asked about mail before it is accepted: an rspamd by its own protocol, then milters in order.

Each is shown the message as those before it left it. One that refuses or defers ends the round. One that cannot be
asked is an opinion too (`error`): it is in the log and in the trace, and the setting filter.on_error says what comes of
the mail.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from daemon import log
from daemon.config import Config
from daemon.flow import milter
from daemon.flow.draft import Changes, Draft
from daemon.flow.envelope import Envelope, Origin
from daemon.flow.opinions import Broken, Patience, Question
from daemon.limits import LIMITS
from daemon.mail.changes import TooMuch, field_of
from daemon.store.spool import Body
from daemon.trust.results import Opinion

Engine = Callable[[Draft, Question, Patience], Awaitable[Opinion]]


class Asked(NamedTuple):
    """What they say. `body` is the one that was handed in, or another that takes its place; both are the caller's."""

    opinions: tuple[Opinion, ...]
    body: Body
    changes: Changes


def wanted(config: Config, origin: Origin) -> bool:
    """Whether they are asked about this mail: a stranger's, or with filter.outgoing our users' own."""
    if not (config["filter.milters"] or config["filter.rspamd"]):
        return False
    return origin.kind == "smtp" or (origin.kind == "submission" and config["filter.outgoing"])


async def ask(
    config: Config,
    origin: Origin,
    envelope: Envelope,
    body: Body,
    *,
    now: int,
    trace: str = "",
    reverse: str = "",
    user: str = "",
    until: float = math.inf,
) -> Asked:
    """Ask all that are set, in 30 s, or `until` then (the loop's time). `now` in milliseconds; `reverse` is the peer's
    name in the DNS, if it is known and leads back to it; `user` who logged in. Raises `OSError` when a changed body
    cannot be written."""
    loop = asyncio.get_running_loop()
    patience = Patience(min(until, loop.time() + LIMITS.filter_patience), config["filter.timeout"])
    question = Question(config["hostname"], origin, trace or origin.trace, reverse, user or envelope.reverse_path, now)
    opinions = list[Opinion]()
    with contextlib.closing(Draft(body, envelope)) as draft:
        for name, engine in _engines(config):
            opinion = await _asked(name, engine, draft, question, patience)
            opinions.append(opinion)
            if opinion.action in ("refuse", "defer") or draft.discarded:
                break
        long = draft.size > LIMITS.parse_inline
        kept = await asyncio.to_thread(draft.finish) if long else draft.finish()
        return Asked(tuple(opinions), kept, draft.changes)


def _engines(config: Config) -> list[tuple[str, Engine]]:
    found = list[tuple[str, Engine]]()
    if url := config["filter.rspamd"]:
        from daemon.flow import rspamd  # late: its library takes half a second, and few ask it

        found.append((url, partial(rspamd.ask, url, config["filter.rspamd_password"])))
    return found + [(str(where), partial(milter.ask, where)) for where in config["filter.milters"]]


async def _asked(name: str, engine: Engine, draft: Draft, question: Question, patience: Patience) -> Opinion:
    """Never raises: who cannot be asked has no say, which is said."""
    try:
        async with asyncio.timeout_at(patience.until):
            return await engine(draft, question, patience)
    except TimeoutError:
        why = f"no verdict within the {LIMITS.filter_patience} s of all filters"
    except (Broken, TooMuch, OSError) as error:
        why = str(error)[: LIMITS.filter_words] or type(error).__name__
    except Exception as error:  # a fault of ours says nothing about the message
        log.fault("filter-fault", error, engine=name, id=question.trace or None)
        why = "it could not be asked"
    log.event("filter-failed", id=question.trace or None, engine=name, text=why)
    return Opinion(name, "error", text=why)


def failed(opinions: tuple[Opinion, ...]) -> bool:
    """Whether one of them could not be asked: then filter.on_error decides, unless another one decided."""
    return any(opinion.action == "error" for opinion in opinions)


def tag(opinions: tuple[Opinion, ...]) -> bytes:
    """The field that mail carries which is taken though a filter could not be asked; nothing when all could."""
    said = "; ".join(f"{o.engine}: {o.text}" for o in opinions if o.action == "error")
    return field_of(b"X-Filter-Error", b" " + said.encode("ascii", "replace")) if said else b""
