"""SenderEntry, QuarantinedMessage and Forwarding: who is let in and kept out, what was kept, where mail goes on to."""

from __future__ import annotations

import hashlib

from daemon.admin import people, quarantine, senders
from daemon.flow import keeping
from daemon.limits import LIMITS
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.few import SINGLETON, Few, Object, aside, date, said, texts
from daemon.serve.web.jmap.method import Arguments, Call, MethodError
from daemon.serve.web.jmap.sets import SetError
from daemon.serve.web.visitors import Visitor
from daemon.store import accounts, sender_lists, states
from daemon.store import quarantine as kept
from daemon.store.tx import Tx
from daemon.wire.jmap import utc_date

# --------------------------------------------------------------------------------------------------------- SenderEntry


def _senders(tx: Tx, visitor: Visitor) -> list[Object]:
    return [_sender(each) for each in sender_lists.everyone(tx, visitor.account_id)]


def _sender(entry: sender_lists.Entry) -> Object:
    return {
        "id": "s" + hashlib.sha256(entry.sender.encode()).hexdigest()[:20], "sender": entry.sender, "kind": entry.kind,
        "allowed": entry.allowed, "note": entry.note, "createdAt": utc_date(entry.created_at),
    }  # fmt: skip


async def _add_sender(call: Call, value: Object) -> Object:
    sender, allowed = said(value, "sender", str, ""), said(value, "allowed", bool, False)
    user, note = str(call.visitor.identity.address), said(value, "note", str, "")[: LIMITS.owner_text]
    (made,) = await aside(call, senders.add, [sender], allowed=allowed, user=user, note=note)
    there = await call.store.read(_senders, call.visitor)
    return next(each for each in there if each["sender"] == made.sender)


async def _turn_sender(call: Call, object: Object, changes: Object) -> None:
    if "sender" in changes:
        raise SetError("invalidProperties", "another sender is another entry", "sender")
    await _add_sender(call, {**{name: object[name] for name in ("sender", "allowed", "note")}, **changes})


async def _remove_sender(call: Call, object: Object) -> None:
    user = str(call.visitor.identity.address)
    await aside(call, senders.remove, [object["sender"]], allowed=object["allowed"], user=user)


SENDER = Few(
    "SenderEntry", _senders, frozenset(("sender", "allowed", "note")), _add_sender, _turn_sender, _remove_sender
)

# -------------------------------------------------------------------------------------------------- QuarantinedMessage


def _quarantined(tx: Tx, visitor: Visitor) -> list[Object]:
    return [_message(row) for row in kept.find(tx, visitor.account_id)]


def _message(row: kept.Row) -> Object:
    found = row.kept
    by = keeping.RULES.get(found.reason, keeping.OTHER).by
    return {
        "id": f"q{row.id}", "state": "junk" if row.junked else "refused", "reason": found.reason, "why": found.why,
        "score": found.score, "sender": found.sender,
        "from": {"email": found.author, "name": found.author_name or None},
        "recipient": found.recipient, "subject": found.subject, "messageId": found.message_id, "size": row.size,
        "keptAt": utc_date(row.at), "mayRelease": row.junked or by == "user",
        "emailId": None if row.email_id is None else f"e{row.email_id}", "action": None,
    }  # fmt: skip


_SAID = {
    "gone": ("notFound", "it is not kept any more"),
    "forbidden": ("forbidden", "only the administrator can release this message"),
    "infected": ("forbidden", "a virus was found in this message"),
    "later": ("rateLimit", "it cannot be looked into for viruses just now"),
    "full": ("overQuota", "the mailbox, or the list of senders, is full"),
}


async def _decide(call: Call, object: Object, changes: Object) -> Object:
    action = said(changes, "action", str, "")
    if action not in ("release", "allow", "block"):
        raise SetError("invalidProperties", "action is release, allow or block", "action")
    return await _done(call, object, action)


async def _throw_away(call: Call, object: Object) -> None:
    await _done(call, object, "drop")


async def _done(call: Call, object: Object, action: str) -> Object:
    outcome = await aside(call, quarantine.decide, call.account_id, object["id"][1:], action)
    if outcome.result != "done":
        raise SetError(*_SAID[outcome.result])
    return {"action": action}


async def query(call: Call, arguments: Arguments) -> Arguments:
    """QuarantinedMessage/query: newest first; `filter` has text (in sender, author or name) and reason."""
    asked = core.read(arguments, core.QUERY)
    wanted = asked["filter"] or {}
    if not wanted.keys() <= {"text", "reason"}:
        raise MethodError("unsupportedFilter", "filter has text and reason")
    if asked["sort"]:
        raise MethodError("unsupportedSort", "the newest stands first")
    text, reason = (None if wanted.get(name) is None else str(wanted[name]) for name in ("text", "reason"))
    state, ids = await call.store.read(_found, call.account_id, text, reason)
    return core.listed(asked, state, ids, calculable=False)


def _found(tx: Tx, account_id: int, text: str | None, reason: str | None) -> tuple[str, list[str]]:
    rows = kept.find(tx, account_id, sender=text, reason=reason)
    return str(states.of_type(tx, account_id, kept.TYPE)), [f"q{row.id}" for row in rows]


QUARANTINED = Few(kept.TYPE, _quarantined, frozenset(("action",)), None, _decide, _throw_away)

# ---------------------------------------------------------------------------------------------------------- Forwarding


def _forwarding(tx: Tx, visitor: Visitor) -> list[Object]:
    account = accounts.by_id(tx, visitor.account_id)
    there = [] if account is None else [each for each in people.forwards_of(tx, [account]) if each.enabled]
    keep = account is None or account.forward_keep
    targets = [
        {
            "address": each.address, "health": each.health or None, "sentAt": date(each.sent_at),
            "failedAt": date(each.failed_at), "failure": each.failure,
        }
        for each in there
    ]  # fmt: skip
    return [{"id": SINGLETON, "addresses": [each.address for each in there], "keep": keep, "targets": targets}]


async def _forward(call: Call, object: Object, changes: Object) -> None:
    targets = texts(changes, "addresses") if "addresses" in changes else None
    if targets is not None and len(targets) > LIMITS.owner_forwards:
        raise SetError("invalidProperties", f"mail goes on to {LIMITS.owner_forwards} addresses at most", "addresses")
    keep = said(changes, "keep", bool, True) if "keep" in changes else None
    await aside(call, people.set_forwards, str(call.visitor.identity.address), targets, keep=keep)


FORWARDING = Few(
    "Forwarding", _forwarding, frozenset(("addresses", "keep")), None, _forward, None, scope="sieve", single=True
)
METHODS = {**SENDER.methods, **QUARANTINED.methods, f"{kept.TYPE}/query": query, **FORWARDING.methods}
