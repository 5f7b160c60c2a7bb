"""What was judged becomes evidence: the events of received mail are tallied, behind the road in and not on it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from daemon.flow.destinations import tags
from daemon.limits import LIMITS
from daemon.store import evidence
from daemon.store.db import Store
from daemon.store.evidence import DAY, Judged, Seen


async def tally(store: Store) -> int:
    """Count what was judged since the last time; how many messages. Raises `StoreError`."""
    total = 0
    while True:
        after, last, rows = await store.read(evidence.seen, LIMITS.report_look)
        if last == after:
            return total
        oldest = store.clock() - evidence.KEPT * DAY
        found: Counter[tuple[int, Judged]] = Counter()
        for row in rows:
            judged = judged_of(row)
            if judged is not None and row.at > oldest:
                found[row.at // DAY, judged] += 1
        await store.write(evidence.count_all, after, last, [(*key, messages) for key, messages in found.items()])
        total += found.total()


def judged_of(row: Seen) -> Judged | None:
    """The evidence in an event; None where nobody is to be told: no policy, or the message was a report itself."""
    detail = json.loads(row.detail)
    dmarc = detail.get("dmarc", {})
    record, domain = dmarc.get("record", ""), dmarc.get("policy_domain", "")
    if not record or not domain or detail.get("report"):
        return None
    spf = detail.get("spf", {})
    signatures = tuple((s.get("domain", ""), s.get("selector", ""), s["result"]) for s in detail.get("dkim", ()))
    disposition = detail.get("disposition", "none")
    return Judged(
        domain, record, row.peer, dmarc.get("domain", ""), row.sender.rpartition("@")[2].lower(),
        (spf.get("domain", ""), spf.get("result", "none")), dmarc.get("spf_aligned", False), signatures,
        dmarc.get("dkim_aligned", False), "pass" if dmarc.get("result") == "pass" else disposition,
        _override(row.reason, dmarc, disposition),
    )  # fmt: skip


def _override(reason: str, dmarc: dict[str, Any], disposition: str) -> str:
    """Why less was done than the policy asks (RFC 9990 §3.1.6); '' where it was done."""
    if dmarc.get("result") != "fail":
        return ""
    if reason == "arc-trusted":
        return "trusted_forwarder"
    if disposition != dmarc.get("policy", "none"):
        return "local_policy"
    return "policy_test_mode" if tags(dmarc["record"]).get("t", "").lower() == "y" else ""
