"""What became known of a message from outside, as a value: the plan, the answer, the trace and the log share it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from daemon.flow.envelope import Origin
from daemon.limits import LIMITS
from daemon.store import events
from daemon.store.addresses import Denial
from daemon.store.tx import Tx
from daemon.trust import spam_fields, verdict
from daemon.trust.results import Signals
from daemon.trust.verdict import REASONS, Verdict

_UNSAFE = re.compile(r"[^ -~]")


class Group(NamedTuple):
    """The recipients who share a verdict; `more`: how many are not named."""

    verdict: Verdict
    recipients: tuple[str, ...]
    more: int = 0


class Judged(NamedTuple):
    """What was found out about a message, and what is done with it.

    `proof` is what DMARC alone asks for, `field` the Authentication-Results, b"" when no proofs were looked at.
    `report`: it is a report itself, and none is made about it. `verdicts` are those of local accounts, `others` is the
    one for whoever it would be passed on to. `groups` has each verdict once with its recipients. `required` are the
    points of spam; 0 when nothing is told of a score.
    """

    signals: Signals
    proof: Verdict
    field: bytes
    others: Verdict
    verdicts: Mapping[int, Verdict] = {}
    groups: tuple[Group, ...] = ()
    report: bool = False
    required: float = 0.0

    def of(self, account_id: int | None) -> Verdict:
        return self.others if account_id is None else self.verdicts.get(account_id, self.others)

    def junk(self, account_id: int | None) -> bool:
        """Whether it goes to Junk there. What one recipient would refuse is junk for him when others take it."""
        return self.of(account_id).action in ("junk", "refuse")

    @property
    def whole(self) -> Verdict | None:
        """The one answer for all, when nobody takes it: `refuse` if all refuse, `defer` if the rest would defer."""
        wanted = [group.verdict for group in self.groups] or [self.others]
        if any(each.action not in ("refuse", "defer") for each in wanted):
            return None
        return next((each for each in wanted if each.action == "defer"), wanted[0])

    def done(self, decided: Verdict) -> str:
        """What is really done for those who have this verdict: no answer but one can be given for all."""
        if self.whole is None:
            return {"refuse": "junk", "defer": "accept"}.get(decided.action, decided.action)
        return self.whole.action

    def fields(self, account_id: int | None) -> bytes:
        """What stands in front of a copy."""
        if not self.required:
            return self.field
        return self.field + spam_fields.header(self.of(account_id), self.required)

    def denial(self, decided: Verdict, trace: str) -> Denial:
        """What the sender of a message is told that nobody takes."""
        code = 451 if decided.action == "defer" else 550
        if decided.reason == "dmarc-reject":
            enhanced, text = "5.7.26", verdict.sentence(self.signals)
        else:
            enhanced, text = f"{code // 100}.7.1", f"not taken: {REASONS[decided.reason]}{self._own_words(decided)}"
        return Denial(code, enhanced, decided.reason, f"{text} (trace {trace})")

    def _own_words(self, decided: Verdict) -> str:
        """What another filter or the scanner says itself, in ASCII, as a reply is."""
        said = ""
        if decided.reason.startswith("engine-"):
            wanted = decided.reason.removeprefix("engine-")
            said = next((each.text or each.engine for each in self.signals.opinions if each.action == wanted), "")
        elif decided.reason == "virus":
            said = self.signals.scan.name
        elif decided.reason == "attachment":
            said = ", ".join(each.name for each in self.signals.attachments[:3])
        return f" ({_UNSAFE.sub('?', said[: LIMITS.spam_words])})" if said else ""

    def not_forwarded(self, account_id: int | None) -> Denial:
        """What an alias says whose targets are elsewhere."""
        proof = self.of(account_id).reason.startswith(("dmarc-", "author-"))
        looks = "forged" if proof else "like spam"
        return Denial(
            550, "5.7.26" if proof else "5.7.1", "junk-not-forwarded",
            f"the message looks {looks}, and such mail is not forwarded",
        )  # fmt: skip

    def words(self) -> dict[str, Any]:
        """For a line of the log; of several verdicts the one with the highest score."""
        s = self.signals
        said: dict[str, Any] = {}
        if self.field:
            dkim = ",".join(dict.fromkeys(signature.result for signature in s.signatures)) or "none"
            said = {"author": s.dmarc.domain or None, "spf": s.spf.result, "dkim": dkim, "dmarc": s.dmarc.result}
        if self.required:
            worst = max((group.verdict for group in self.groups), key=lambda v: v.score, default=self.others)
            said |= {"verdict": worst.action, "why": worst.reason, "score": worst.score}
        return said

    def story(self, trace: str, origin: Origin, sender: str, message_id: str | None) -> list[events.New]:
        """For the trace: what the proofs are (reports that domains ask for are made of it too), and each verdict."""
        told = [self._authenticated(trace, origin, sender, message_id)] if self.field else []
        if self.required:
            told += [self._judged(trace, group) for group in self.groups]
        return told

    def _authenticated(self, trace: str, origin: Origin, sender: str, message_id: str | None) -> events.New:
        s = self.signals
        detail: dict[str, Any] = {
            "action": self.proof.action,
            "disposition": self.proof.disposition,
            "iprev": _said(s.iprev),
            "spf": _said(s.spf),
            "helo": _said(s.helo) if s.helo.result != "none" else None,
            "dkim": [_said(signature) for signature in s.signatures] or None,
            "arc": _said(s.arc) if s.arc.result != "none" else None,
            "dmarc": _said(s.dmarc),
            "report": self.report or None,
        }
        return events.New(
            trace, "authenticated", self.proof.reason,
            sender=sender, message_id=message_id, peer=origin.peer or None, detail=detail,
        )  # fmt: skip

    def _judged(self, trace: str, group: Group) -> events.New:
        made = group.verdict
        detail: dict[str, Any] = {
            "action": self.done(made),
            "score": made.score,
            "required": self.required,
            "for": group.recipients,
            "more": group.more or None,
            "signals": [_said(each) for each in made.contributions[: LIMITS.spam_reasons]],
        }
        only = group.recipients[0] if len(group.recipients) == 1 and not group.more else None
        return events.New(trace, "judged", made.reason, recipient=only, detail=detail)


def _said(value: Any) -> dict[str, Any]:
    """The fields of a result that say something."""
    return {name: said for name, said in value._asdict().items() if said not in ("", False, 0, ())}


def tell_refusal(tx: Tx, told: list[events.New]) -> None:
    """A refused message leaves nothing but its story."""
    events.record_all(tx, told)
