"""What became known of a message from outside, as a value: the plan, the answer, the trace and the log share it."""

from __future__ import annotations

from typing import Any, NamedTuple

from daemon.flow.envelope import Origin
from daemon.store import events
from daemon.store.addresses import Denial
from daemon.store.tx import Tx
from daemon.trust import verdict
from daemon.trust.results import Signals
from daemon.trust.verdict import Verdict


class Judged(NamedTuple):
    """What was found out about a message, what is done with it, and the Authentication-Results that say so.

    `report`: it is a report itself, and none is made about it.
    """

    signals: Signals
    verdict: Verdict
    field: bytes
    report: bool = False

    @property
    def junk(self) -> bool:
        return self.verdict.action == "junk"

    @property
    def refused(self) -> bool:
        return self.verdict.action == "refuse"

    def denial(self, trace: str) -> Denial:
        """What the sender of a refused message is told."""
        return Denial(550, "5.7.26", self.verdict.reason, f"{verdict.sentence(self.signals)} (trace {trace})")

    def words(self) -> dict[str, str | None]:
        """For a line of the log."""
        s = self.signals
        dkim = ",".join(dict.fromkeys(signature.result for signature in s.signatures)) or "none"
        return {"author": s.dmarc.domain or None, "spf": s.spf.result, "dkim": dkim, "dmarc": s.dmarc.result}

    def event(self, trace: str, origin: Origin, sender: str, message_id: str | None) -> events.New:
        """For the trace, and for the reports that domains ask for: everything that was found, as JSON."""
        s = self.signals
        detail: dict[str, Any] = {
            "action": self.verdict.action,
            "disposition": self.verdict.disposition,
            "iprev": _said(s.iprev),
            "spf": _said(s.spf),
            "helo": _said(s.helo) if s.helo.result != "none" else None,
            "dkim": [_said(signature) for signature in s.signatures] or None,
            "arc": _said(s.arc) if s.arc.result != "none" else None,
            "dmarc": _said(s.dmarc),
            "report": self.report or None,
        }
        return events.New(
            trace, "authenticated", self.verdict.reason,
            sender=sender, message_id=message_id, peer=origin.peer or None, detail=detail,
        )  # fmt: skip


def _said(value: Any) -> dict[str, Any]:
    """The fields of a result that say something."""
    return {name: said for name, said in value._asdict().items() if said not in ("", False, 0, ())}


def tell_refusal(tx: Tx, told: list[events.New]) -> None:
    """A refused message leaves nothing but its story."""
    events.record_all(tx, told)
