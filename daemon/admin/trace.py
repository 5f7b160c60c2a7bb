"""The story of a message, in order and in plain words: where is it, and why? Refusals of strangers too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.admin import words
from daemon.mail.address import display_domain
from daemon.mail.remedy import remedy
from daemon.store import accounts, events, find, incidents, queue_desk
from daemon.store.db import Store
from daemon.store.errors import Missing
from daemon.store.events import Event
from daemon.store.tx import Tx
from daemon.trust.verdict import REASONS
from daemon.trust.weights import Contribution

_TRACE = 16  # characters of a trace
_ROADS = {
    "smtp": "from another server",
    "submission": "handed in",
    "relay": "from a trusted network",
    "lmtp": "by LMTP",
    "sendmail": "on this machine",
    "notice": "written by this server",
    "import": "by an import",
}
_WHY_QUEUED = {
    "forward": "because the user forwards it",
    "alias": "because an alias leads there",
    "filter": "because another filter added him",
    "notice": "a notice",
    "relay": "relayed for a trusted network",
}
_WHY_DROPPED = {
    "by-administrator": ", by hand",
    "junk-not-forwarded": ": junk is not forwarded",
    "quarantine": ", out of the quarantine",
    "engine-discard": ": another filter wants that",
    "incident": ", with all that the incident held, by hand",
}
_WHY_HELD = {"external-mail-held": "the setting queue.hold_external keeps mail for other servers here"}


_POLICIES = {
    "dane-unusable": "its TLSA records cannot be used",
    "mta-sts-testing": "its MTA-STS policy is for testing",
    "tls-required-no": "the sender wrote TLS-Required: No",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `text` says it in plain words; `reason` is from a short list."""

    at: int
    kind: str
    reason: str
    text: str
    sender: str | None
    recipient: str | None
    peer: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """One message, or what grew out of one. `now` says where its copies are at this moment."""

    trace: str
    message_id: str | None
    sender: str | None
    begun_at: int
    steps: tuple[Step, ...]
    now: tuple[str, ...]
    type: str = "message"


@dataclass(frozen=True, slots=True)
class Refused:
    """Strangers that were refused alike within an hour. `peer` `*` stands for many."""

    peer: str
    reason: str
    sender: str
    recipient: str
    reply: str
    count: int
    first_at: int
    last_at: int
    type: str = "refusal"


def stories(
    store: Store,
    name: str | None = None,
    *,
    sender: str | None = None,
    recipient: str | None = None,
    since: str | None = None,
    limit: int = 100,
) -> list[Story]:
    """Messages by Message-ID or trace (`name`), or by who wrote to whom since when; newest first.

    Raises `Missing` for a name that nothing has, `BadData`.
    """
    begin = None if since is None else words.past(since, store.clock())

    def work(tx: Tx) -> list[Story]:
        traces: Sequence[str] = ()
        if name is not None and len(name) == _TRACE and events.of_trace(tx, name.lower()):
            traces = (name.lower(),)
        elif name is not None:
            traces = events.find(tx, message_id=name, limit=limit)
        else:
            traces = events.find(tx, sender=sender, recipient=recipient, since=begin, limit=limit)
        waiting = _waiting(tx, traces)
        return [_story(tx, trace, waiting.get(trace, [])) for trace in traces]

    found = store.read_now(work)
    if name is not None and not found:
        raise Missing(f"nothing is known of {name}; events are kept for as long as the setting trace.retention says")
    return found


def refusals(
    store: Store,
    *,
    sender: str | None = None,
    recipient: str | None = None,
    since: str | None = None,
    limit: int = 100,
) -> list[Refused]:
    """Strangers that were refused, newest first. Raises `BadData`."""
    begin = None if since is None else words.past(since, store.clock())

    def work(tx: Tx) -> list[Refused]:
        rows = events.refusals(tx, sender=sender, recipient=recipient, since=begin, limit=limit)
        return [Refused(**row) for row in rows]

    return store.read_now(work)


def _waiting(tx: Tx, traces: Sequence[str]) -> dict[str, list[queue_desk.Row]]:
    """What of these is in the queue."""
    found: dict[str, list[queue_desk.Row]] = {}
    for row in queue_desk.of_traces(tx, traces):
        found.setdefault(row.trace, []).append(row)
    return found


def _story(tx: Tx, trace: str, waiting: list[queue_desk.Row]) -> Story:
    told = events.of_trace(tx, trace)
    message_id = next((e.message_id for e in told if e.message_id), None)
    sender = next((e.sender for e in told if e.sender is not None), None)
    return Story(
        trace=trace,
        message_id=message_id,
        sender=sender,
        begun_at=told[0].at,
        steps=tuple(_step(tx, event) for event in told),
        now=(*_in_mailboxes(tx, trace), *(_in_queue(row) for row in waiting)),
    )


def _in_mailboxes(tx: Tx, trace: str) -> list[str]:
    hits = find.candidates(tx, find.Term("trace", trace), None)
    rows = find.rows(tx, list(dict.fromkeys(hit.email_id for hit in hits)))
    return [f"in {', '.join(row.mailboxes)} of {row.user} (message {row.email_id})" for row in rows]


def _in_queue(row: queue_desk.Row) -> str:
    state = "held in the queue" if row.state == "held" else "waiting in the queue"
    return f"{state} for {row.recipient} (entry {row.id})"


def _step(tx: Tx, event: Event) -> Step:
    tell = _TELL.get(event.kind)
    text = tell(tx, event) if tell else events.KINDS.get(event.kind, event.kind)
    detail = {"next_at" if key == "next" else key: value for key, value in event.detail.items()}
    return Step(event.at, event.kind, event.reason, text, event.sender, event.recipient, event.peer, detail)


# ------------------------------------------------------------------------------------------------------ plain words


def _accepted(tx: Tx, e: Event) -> str:
    road = _ROADS.get(e.reason, e.reason)
    said = f"{e.detail['helo']} " if e.detail.get("helo") else ""
    peer = f" by {said}[{e.peer}]" if e.peer else ""
    with_ = f" with {e.detail['with']}" if e.detail.get("with") and e.peer else ""
    sender = f"mail from {e.sender}" if e.sender else "mail from nobody (<>)"
    return f"{sender} accepted, {road}{peer}{with_}, {_octets(e.detail.get('size'))}"


def _authenticated(tx: Tx, e: Event) -> str:
    """Each check with its result and whom it speaks for, then what was done, and why."""
    d = e.detail
    spf, dmarc, arc = d.get("spf", {}), d.get("dmarc", {}), d.get("arc")
    checks = [f"SPF {_of(spf)}"]
    checks += [f"DKIM {_of(signature)}" for signature in d.get("dkim") or ({"result": "none"},)]
    checks += [f"ARC {_of(arc)}"] if arc else []
    checks.append(f"DMARC {_of(dmarc)}" + (f", policy {dmarc['policy']}" if dmarc.get("policy") else ""))
    name = d.get("iprev", {}).get("name")
    checks.append(f"the address is {name}" if name else "the address has no name that leads back to it")
    done = {"junk": "goes to Junk", "refuse": "refused"}.get(str(d.get("action")), "accepted")
    return f"checked: {'; '.join(checks)}; {done}: {REASONS.get(e.reason, e.reason)}"


def _judged(tx: Tx, e: Event) -> str:
    """What was done for whom, the score, and what weighed most."""
    d = e.detail
    done = {"junk": "to Junk", "refuse": "refused", "defer": "put off"}.get(str(d.get("action")), "let in")
    whom = ", ".join(map(str, d.get("for", ())))
    whom += f" and {d['more']} more" if d.get("more") else ""
    weighed = [
        str(Contribution(str(s.get("name")), s.get("points", 0.0), str(s.get("words")), str(s.get("detail", ""))))
        for s in d.get("signals", ())
    ]
    said = [] if e.reason in ("spam", "clean") else [REASONS.get(e.reason, e.reason)]
    if d.get("required"):
        score = f"{d.get('score', 0.0):.1f} points, limit {d['required']:.1f}"
        said.append(score + (f": {', '.join(weighed)}" if weighed else ""))
    if d.get("silent"):
        said.append(f"no answer from {', '.join(map(str, d['silent']))}")
    return f"{done} for {whom}" + (f": {'; '.join(said)}" if said else "")


def _of(said: dict[str, Any]) -> str:
    whose = f" for {display_domain(str(said['domain']))}" if said.get("domain") else ""
    why = f" ({said['reason']})" if said.get("reason") else ""
    return f"{said.get('result', 'none')}{whose}{why}"


def _ruled(tx: Tx, e: Event) -> str:
    """What scripts did, each with its line."""
    said = []
    for step in e.detail.get("steps", ()):
        line = f", line {step['line']}" if step.get("line") else ""
        said.append(f"{step.get('did')} (script {step.get('script')}{line})")
    return f"rules of {e.detail.get('user') or e.recipient}: {'; '.join(said)}"


def _delivered(tx: Tx, e: Event) -> str:
    user = e.detail.get("user") or e.recipient
    whose = f" for {e.recipient}" if e.recipient and user != e.recipient else ""
    return f"delivered to {e.detail.get('mailbox', 'INBOX')} of {user}{whose}"


def _queued(tx: Tx, e: Event) -> str:
    why = _WHY_QUEUED.get(e.reason)
    return f"queued for {e.recipient}" + (f", {why}" if why else "")


def _held(tx: Tx, e: Event) -> str:
    if e.reason == "quarantine":
        return f"kept in the quarantine for {e.detail.get('user')} (entry {e.detail.get('entry')})"
    if e.reason == incidents.HELD:
        return f"held for {e.recipient}: its sender sends more than he may (incident {e.detail.get('incident')})"
    return f"held for {e.recipient}: {_WHY_HELD.get(e.reason, e.reason or 'no reason given')}"


def _released(tx: Tx, e: Event) -> str:
    if e.reason == "quarantine":
        how = "by hand" if e.detail.get("by") == "administrator" else "by a link"
        allowed = f"; {e.detail['allowed']} is let in from now on" if e.detail.get("allowed") else ""
        return f"released to {e.detail.get('mailbox', 'INBOX')} of {e.detail.get('user')}, {how}{allowed}"
    if e.reason == "incident":
        return f"{e.recipient} is released with all that incident {e.detail.get('incident')} held, by hand"
    how = {"retry": "begins again", "rerouted": "goes by another way"}.get(e.reason, "is released")
    return f"{e.recipient} {how}, by hand"


def _sent(tx: Tx, e: Event) -> str:
    tls = str(e.detail.get("tls") or "")
    how = f" over {tls}{_proved(e)}" if tls else " in clear text"
    took = f", {_span(e.detail['took'])} after it came" if e.detail.get("took") else ""
    return f"sent to {e.recipient}: {e.peer or 'the server there'} took it{how}{took}" + _reply(e)


def _proved(e: Event) -> str:
    """Whether the peer proved who it is, and by what; what it was held to without."""
    policy, proof = str(e.detail.get("policy") or ""), e.detail.get("proof")
    if not e.detail.get("verified"):
        return f", not verified ({_POLICIES[policy]})" if policy in _POLICIES else ""
    by = {"dane": " by DANE", "mta-sts": " as MTA-STS asks"}.get(policy, "")
    return f", verified{by}{f' ({proof})' if proof else ''}"


def _deferred(tx: Tx, e: Event) -> str:
    due = e.detail.get("next")
    later = f"; next try in {_span(due - e.at)}" if isinstance(due, int) and due > e.at else ""
    return f"put off for {e.recipient}: {_who(e)}{_reply(e)}{later}{_means(e)}"


def _failed(tx: Tx, e: Event) -> str:
    text = f": {e.detail['text']}" if e.detail.get("text") else ""
    who = "by hand" if e.reason == "administrator" else _who(e)
    return f"given up for {e.recipient}: {who}{text}{_reply(e)}{_means(e)}"


def _refused(tx: Tx, e: Event) -> str:
    whom = f" for {e.recipient}" if e.recipient else ""
    if e.detail.get("mailbox"):  # what a client would have put there
        whom = f", into {e.detail['mailbox']} of {_user(tx, e.detail.get('account'))}"
    text = e.detail.get("text") or e.detail.get("reply") or ""
    return f"refused{whom}: {e.reason}" + (f" ({text})" if text else "")


def _notified(tx: Tx, e: Event) -> str:
    whom = e.recipient or e.sender or "the sender"
    return f"{whom} was told" + (f" ({e.reason})" if e.reason else "")


def _dropped(tx: Tx, e: Event) -> str:
    return f"dropped for {e.recipient}" + _WHY_DROPPED.get(e.reason, f": {e.reason}")


def _expired(tx: Tx, e: Event) -> str:
    return f"too long in the queue for {e.recipient}" + _reply(e)


_FACTORS = {
    "web-password": "by the password",
    "web-totp": "by the password and a code of an authenticator program",
    "web-recovery": "by the password and a recovery code",
    "web-passkey": "by a passkey",
}
_SECURED = {
    "two-factor-on": "turned two-factor on",
    "two-factor-off": "has two-factor off",
    "recovery-codes-new": "has new recovery codes",
    "passkey-added": "has a new passkey",
    "passkey-removed": "has a passkey less",
}


def _login(tx: Tx, e: Event) -> str:
    if e.reason == "code-locked":
        return f"{e.recipient}: {e.detail.get('failures')} wrong codes in a row, no more are looked at for a while"
    with_ = f" with {e.detail['agent']}" if e.detail.get("agent") else ""
    return f"{e.recipient} signed in at the webmail {_FACTORS.get(e.reason, e.reason)} [{e.peer}]{with_}"


def _secured(tx: Tx, e: Event) -> str:
    name = f" ({e.detail['name']})" if e.detail.get("name") else ""
    return f"{e.recipient} {_SECURED.get(e.reason, e.reason)}{name}"


def _client(verb: str) -> Any:
    """What a mail program did, or the administrator."""

    def tell(tx: Tx, e: Event) -> str:
        d = e.detail
        user = d.get("user") or _user(tx, d.get("account"))
        many = f"{d['count']} messages " if d.get("count", 1) != 1 else ""
        where = (
            f" {'into' if e.kind in ('appended', 'imported') else 'from'} {d['mailbox']}" if d.get("mailbox") else ""
        )
        to = f" to {d['to']}" if d.get("to") else ""
        by = " by the administrator" if e.reason == "by-administrator" else f" [{e.peer}]" if e.peer else ""
        unscanned = f", not looked into for viruses: {d['unscanned']}" if d.get("unscanned") else ""
        return f"{many}{verb}{where}{to} of {user}{by}{unscanned}"

    return tell


_TELL: dict[str, Any] = {
    "accepted": _accepted,
    "authenticated": _authenticated,
    "judged": _judged,
    "ruled": _ruled,
    "delivered": _delivered,
    "queued": _queued,
    "held": _held,
    "released": _released,
    "sent": _sent,
    "deferred": _deferred,
    "failed": _failed,
    "refused": _refused,
    "notified": _notified,
    "dropped": _dropped,
    "expired": _expired,
    "appended": _client("saved"),
    "copied": _client("copied"),
    "moved": _client("moved"),
    "expunged": _client("removed"),
    "imported": _client("imported"),
    "login": _login,
    "secured": _secured,
}


def _user(tx: Tx, account_id: object) -> str:
    account = accounts.by_id(tx, account_id) if isinstance(account_id, int) else None
    return str(account.address) if account is not None else "a user who is gone"


def _who(e: Event) -> str:
    return e.peer or e.reason


def _reply(e: Event) -> str:
    reply = e.detail.get("reply")
    return f" said “{reply}”" if reply and e.peer else f" ({reply})" if reply else ""


def _means(e: Event) -> str:
    means = remedy(str(e.detail["reply"]), e.peer or "") if e.detail.get("reply") else None
    return f". {means.sentence}" if means is not None else ""


def _octets(size: object) -> str:
    return f"{size:,} octets" if isinstance(size, int) else "of unknown size"


def _span(ms: int) -> str:
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
