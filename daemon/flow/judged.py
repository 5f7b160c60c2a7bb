"""What became known of a message from outside, as a value: the plan, the answer, the trace and the log share it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from daemon.flow import dangers
from daemon.flow.envelope import Origin
from daemon.limits import LIMITS
from daemon.store import events, standing
from daemon.store.addresses import Denial
from daemon.store.standing import Source
from daemon.store.tx import Tx
from daemon.trust import spam_fields, verdict
from daemon.trust.results import Opinion, Signals
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
    points of spam; 0 when there is no score. `tag` are fields that say who could not be asked. `denied` are
    recipients that another filter refuses, `discarded` names the filter that wants it dropped. `source` is
    whose reputation it makes.
    """

    signals: Signals
    proof: Verdict
    field: bytes
    others: Verdict
    verdicts: Mapping[int, Verdict] = {}
    groups: tuple[Group, ...] = ()
    report: bool = False
    required: float = 0.0
    tag: bytes = b""
    denied: Mapping[tuple[str, str], Denial] = {}
    discarded: str = ""
    source: Source = Source()

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
        spam = spam_fields.header(self.of(account_id), self.required) if self.required else b""
        return self.field + spam + self.tag

    def denial(self, decided: Verdict, trace: str) -> Denial:
        """What the sender of a message is told that nobody takes."""
        code = 451 if decided.action == "defer" else 550
        other = self._engine(decided)
        if other is not None and other.code // 100 == code // 100 and other.text:
            return Denial(other.code, other.enhanced or f"{code // 100}.7.1", decided.reason, _plain(other.text))
        if decided.reason == "dmarc-reject":
            enhanced, text = "5.7.26", verdict.sentence(self.signals)
        else:
            enhanced, text = f"{code // 100}.7.1", f"not taken: {REASONS[decided.reason]}{self._own_words(decided)}"
        return Denial(code, enhanced, decided.reason, f"{text} (trace {trace})")

    def _own_words(self, decided: Verdict) -> str:
        """What another filter or the scanner says itself, in ASCII, as a reply is."""
        said, other = "", self._engine(decided)
        if other is not None:
            said = other.text or other.engine
        elif decided.reason == "virus":
            said = verdict.infection(self.signals)
        elif decided.reason == "attachment":
            said = ", ".join(each.name for each in self.signals.attachments[:3])
        return f" ({_plain(said)})" if said else ""

    def _engine(self, decided: Verdict) -> Opinion | None:
        """The other filter that decided."""
        wanted = decided.reason.removeprefix("engine-").replace("silent", "error")
        named = decided.reason.startswith("engine-")
        return next((each for each in self.signals.opinions if named and each.action == wanted), None)

    def not_forwarded(self, account_id: int | None) -> Denial:
        """What an alias says whose targets are elsewhere."""
        proof = self.of(account_id).reason.startswith(("dmarc-", "author-"))
        looks = "forged" if proof else "like spam"
        return Denial(
            550, "5.7.26" if proof else "5.7.1", "junk-not-forwarded",
            f"the message looks {looks}, and such mail is not forwarded",
        )  # fmt: skip

    @property
    def heard(self) -> bool:
        """Whether there is more to tell than what the proofs are."""
        s = self.signals
        return bool(self.required or s.opinions or s.attachments or s.scan.result != "off")

    def silent(self) -> list[str]:
        """Who was asked and could not say."""
        s = self.signals
        found = [f"the list {zone}" for zone in s.lists.silent]
        found += [f"the virus scanner ({s.scan.reason})"] if s.scan.result == "error" else []
        found += ["the virus scanner (it is too large)"] if s.scan.result == "too-large" else []
        found += ["the classifier"] if s.unread else []
        found += ["the attachment policy"] if dangers.unread(s.attachments) else []
        return found + [f"{each.engine} ({each.text})" for each in s.opinions if each.action == "error"]

    def words(self) -> dict[str, Any]:
        """For a line of the log; of several verdicts the one with the highest score."""
        s = self.signals
        said: dict[str, Any] = {}
        if self.field:
            dkim = ",".join(dict.fromkeys(signature.result for signature in s.signatures)) or "none"
            said = {"author": s.dmarc.domain or None, "spf": s.spf.result, "dkim": dkim, "dmarc": s.dmarc.result}
        if self.heard:
            worst = max((group.verdict for group in self.groups), key=lambda v: v.score, default=self.others)
            said |= {"verdict": worst.action, "why": worst.reason, "score": worst.score}
        return said

    def story(self, trace: str, origin: Origin, sender: str, message_id: str | None) -> list[events.New]:
        """For the trace: what the proofs are (reports that domains ask for are made of it too), and each verdict."""
        told = [self._authenticated(trace, origin, sender, message_id)] if self.field else []
        if self.heard:
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
            "score": made.score if self.required else None,
            "required": self.required or None,
            "for": group.recipients,
            "more": group.more or None,
            "signals": [_said(each) for each in made.contributions[: LIMITS.spam_reasons]],
            "silent": self.silent() or None,
            "source": _said(self.source) or None,
        }
        only = group.recipients[0] if len(group.recipients) == 1 and not group.more else None
        return events.New(trace, "judged", made.reason, recipient=only, detail=detail)


def _plain(text: str) -> str:
    """In ASCII and short, as a reply is."""
    return _UNSAFE.sub("?", text[: LIMITS.spam_words])


def _said(value: Any) -> dict[str, Any]:
    """The fields of a result that say something."""
    return {name: said for name, said in value._asdict().items() if said not in ("", False, 0, ())}


def tell_refusal(tx: Tx, told: list[events.New], judged: Judged) -> None:
    """A refused message leaves nothing but its story, and what it makes of the reputation of those it comes from."""
    events.record_all(tx, told)
    note(tx, judged)


def note(tx: Tx, judged: Judged) -> None:
    """Mail that was taken as wanted speaks for those it comes from, what was junk for all speaks against them."""
    made = [group.verdict for group in judged.groups]
    if not judged.required or not made or any(each.action == "defer" for each in made):
        return
    if any(each.action == "accept" for each in made):
        standing.note(tx, judged.source, good=1.0)
    elif not all(each.reason == "blocked" for each in made):  # that is the user's word, and says nothing of the mail
        standing.note(tx, judged.source, bad=1.0)
