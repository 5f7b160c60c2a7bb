"""Mail from other servers is judged before it is accepted: its proofs are examined, a verdict is found, the field that
tells of it is written, and what others wrote in our name is taken out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from daemon.config import Config
from daemon.flow.envelope import Envelope, Origin
from daemon.flow.judged import Judged
from daemon.mail.report import is_report
from daemon.resolver import Resolver
from daemon.store.spool import Body
from daemon.trust import authres, verdict
from daemon.trust.examine import examine
from daemon.trust.verdict import Policy

_PIECE = 1 << 20  # octets copied at once


async def judge(
    resolver: Resolver,
    origin: Origin,
    envelope: Envelope,
    body: Body,
    config: Config,
    now: int,
) -> tuple[Judged, Body]:
    """The verdict on a complete message, and the body that may be kept: the same, or one without forged fields.

    `now` in milliseconds. When this raises, the body is closed.
    """
    us = config["hostname"]
    with contextlib.ExitStack() as undo:
        undo.callback(body.close)
        signals = await examine(
            resolver, ip=origin.peer, helo=origin.helo, sender=envelope.reverse_path, data=body.view(),
            now=now // 1000, receiver=us,
        )  # fmt: skip
        decided = verdict.judge(signals, Policy(config["trust.dmarc"] == "enforce", config["trust.arc_sealers"]))
        field = authres.header(us, signals, mail_from=envelope.sender, helo=origin.helo, ip=origin.peer)
        report = is_report(body.view())
        kept = _without(body, authres.forged(body.view(), us))
        undo.pop_all()
    if kept is not body:
        body.close()
    return Judged(signals, decided, field, report), kept


def _without(body: Body, spans: Sequence[tuple[int, int]]) -> Body:
    if not spans:
        return body
    data, kept, place = body.view(), body.alike(), 0
    try:
        for start, end in [*spans, (len(data), len(data))]:
            for at in range(place, start, _PIECE):
                kept.write(data[at : min(at + _PIECE, start)])
            place = end
    except BaseException:
        kept.close()
        raise
    return kept
