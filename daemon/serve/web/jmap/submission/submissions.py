"""EmailSubmission/get, /changes, /query, /set (RFC 8621 §7): messages go out, at once or at their time, and back again.

Sending obeys what submission over SMTP obeys (`flow/email_submission`). A message with HOLDFOR or HOLDUNTIL waits as a
row and can be called back until it goes (`flow/scheduled`).
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeVar

from daemon.config import Config
from daemon.flow import email_submission
from daemon.flow.email_submission import Asked, BadEnvelope, Submitter
from daemon.flow.submit import NotTaken
from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.mail.address import Address, parse_address
from daemon.serve.web.jmap import core, gets, sets
from daemon.serve.web.jmap.email import email_filter, email_set
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.serve.web.jmap.sets import SetError, bad
from daemon.serve.web.jmap.submission import identities
from daemon.serve.web.visitors import Visitor
from daemon.store import addresses, email_sets, submissions, web_changes
from daemon.store import identities as kept_identities
from daemon.store.email_sets import Stored
from daemon.store.submissions import New, Settled, Settlement, Submission
from daemon.store.tx import Tx
from daemon.wire import jmap

T = TypeVar("T")
KIND = "s"
_PROPERTIES = (
    "id", "identityId", "emailId", "threadId", "envelope", "sendAt", "undoStatus", "deliveryStatus", "dsnBlobIds",
    "mdnBlobIds",
)  # fmt: skip
_DELIVERED = {"delivered": "yes", "sent": "unknown", "failed": "no", "expired": "no"}
_REASONS = {"not-his-address": "forbiddenFrom", "too-large": "tooLarge"}
_INCOMPLETE = ("no-from", "several-from", "too-many-authors", "header-too-large")
_CONDITION = {
    **dict.fromkeys(("identityIds", "emailIds", "threadIds"), core.a_list(core.is_id)),
    "undoStatus": core.is_text,
    **dict.fromkeys(("before", "after"), email_filter.is_date),
}
_SORTS = {"emailId": 3, "threadId": 4, "sentAt": 7}


async def get(call: Call, arguments: Arguments) -> Arguments:
    ids, _ = gets.wanted(arguments, _PROPERTIES)
    state, found = await call.store.read(_read, call.account_id)
    if ids is not None:
        names = {sets.real_id(call, name) for name in ids}
        found = [one for one in found if f"{KIND}{one.id}" in names]
    traces = [one.trace for one in found if one.trace]
    fates = await call.store.read(submissions.fates, traces) if traces else {}
    return gets.answer(call, arguments, state, {f"{KIND}{one.id}": _told(one, fates) for one in found}, _PROPERTIES)


def _read(tx: Tx, account_id: int) -> tuple[str, list[Submission]]:
    return str(web_changes.state(tx, account_id)), submissions.everyone(tx, account_id)


def _told(one: Submission, fates: dict[tuple[str, str], tuple[str, str]]) -> Arguments:
    return {
        "id": f"{KIND}{one.id}",
        "identityId": f"{identities.KIND}{one.identity_id}",
        "emailId": f"{object_ids.EMAIL}{one.email_id}",
        "threadId": f"{object_ids.THREAD}{one.thread_id}",
        "envelope": one.envelope,
        "sendAt": jmap.utc_date(one.send_at),
        "undoStatus": one.state,
        "deliveryStatus": _statuses(one, fates),
        "dsnBlobIds": [],
        "mdnBlobIds": [],
    }


def _statuses(one: Submission, fates: dict[tuple[str, str], tuple[str, str]]) -> Arguments | None:
    """What became of each recipient. Before it goes there is nothing to say."""
    if one.state != "final":
        return None
    found: Arguments = {}
    for each in one.envelope["rcptTo"]:
        kind, words = fates.get((one.trace or "", each["email"]), ("", ""))
        if one.refusal is not None:
            kind, words = "failed", f"550 5.7.1 {one.refusal}"
        found[each["email"]] = {
            "smtpReply": words or "250 2.0.0 taken",
            "delivered": _DELIVERED.get(kind, "queued"),
            "displayed": "unknown",
        }
    return found


async def changes(call: Call, arguments: Arguments) -> Arguments:
    return await gets.changes(call, arguments, "submission", KIND)


# -- EmailSubmission/query (RFC 8621 §7.3) -----------------------------------------------------------------------------


async def query(call: Call, arguments: Arguments) -> Arguments:
    asked = core.read(arguments, core.QUERY)
    steps = core.comparators(asked, _SORTS)
    for condition in core.conditions(asked["filter"]):
        _check(condition)
    state, found = await call.store.read(_read, call.account_id)
    found = [one for one in found if _matches(asked["filter"], one)]
    for step in reversed(steps):
        found.sort(key=itemgetter(_SORTS[step.property]), reverse=not step.ascending)
    return core.listed(asked, state, [f"{KIND}{one.id}" for one in found], calculable=False)


async def query_changes(call: Call, arguments: Arguments) -> Arguments:
    raise MethodError("cannotCalculateChanges", "ask again with EmailSubmission/query")


def _check(condition: Arguments) -> None:
    """Raises `MethodError` (unsupportedFilter, invalidArguments)."""
    for name, value in condition.items():
        if name not in _CONDITION:
            raise MethodError("unsupportedFilter", f"nothing is found by {name}")
        if not _CONDITION[name](value):
            raise core.invalid(f"{name} of a filter is not of the right type")


def _matches(filter: Arguments | None, one: Submission) -> bool:
    if filter is None:
        return True
    if "operator" in filter:
        inner = [_matches(each, one) for each in filter["conditions"]]
        return {"AND": all(inner), "OR": any(inner), "NOT": not any(inner)}[filter["operator"]]
    has: dict[str, Callable[[Any], bool]] = {
        "identityIds": lambda value: f"{identities.KIND}{one.identity_id}" in value,
        "emailIds": lambda value: f"{object_ids.EMAIL}{one.email_id}" in value,
        "threadIds": lambda value: f"{object_ids.THREAD}{one.thread_id}" in value,
        "undoStatus": lambda value: one.state == value,
        "before": lambda value: one.send_at < (jmap.read_utc_date(value) or 0),
        "after": lambda value: one.send_at >= (jmap.read_utc_date(value) or 0),
    }
    return all(has[name](value) for name, value in filter.items())


# -- EmailSubmission/set (RFC 8621 §7.5) -------------------------------------------------------------------------------


async def set_(call: Call, arguments: Arguments) -> Arguments:
    update, destroy = arguments.get("onSuccessUpdateEmail") or {}, arguments.get("onSuccessDestroyEmail") or []
    if not isinstance(update, dict) or not all(isinstance(patch, dict) for patch in update.values()):
        raise MethodError("invalidArguments", "onSuccessUpdateEmail is an object of patches")
    if not isinstance(destroy, list) or not all(isinstance(name, str) for name in destroy):
        raise MethodError("invalidArguments", "onSuccessDestroyEmail is a list of ids")
    emails_of: dict[str, str] = {}
    more = ("onSuccessUpdateEmail", "onSuccessDestroyEmail")
    type = sets.Type(_Create(emails_of), _update, _destroy, more, touched=sets.of_web("submission", KIND))
    answer = await sets.run(call, arguments, type)
    done = {*(made["id"] for made in (answer["created"] or {}).values()), *(answer["updated"] or {})}
    done |= set(answer["destroyed"] or ())
    named = {name: sets.real_id(call, name) for name in [*update, *destroy]}
    for name in named.values():
        if name in done and name not in emails_of:
            one = call.store.peek(submissions.find, call.account_id, gets.number(KIND, name))
            if one is not None:
                emails_of[name] = f"{object_ids.EMAIL}{one.email_id}"
    changes = {emails_of[named[n]]: patch for n, patch in update.items() if named[n] in done and named[n] in emails_of}
    gone = [emails_of[named[n]] for n in destroy if named[n] in done and named[n] in emails_of]
    if not changes and not gone:
        return answer
    call.more.append(("Email/set", await email_set.implicit(call, changes, gone)))
    return answer


class _Create:
    """Notes which message each submission is of."""

    def __init__(self, emails_of: dict[str, str]) -> None:
        self.emails_of = emails_of

    async def __call__(self, call: Call, given: Arguments) -> Arguments:
        if strange := [name for name in given if name not in ("identityId", "emailId", "envelope")]:
            raise bad(strange, "is set by the server, or is no property of an EmailSubmission")
        identity = _identity(call, given)
        stored = _message(call, given)
        asked, envelope_given = await _asked(call, given, identity, stored)
        send_at = _time(call, asked)
        new = New(
            call.account_id, identity.id, stored.id, stored.thread_id, stored.blob_id,
            email_submission.told(asked.envelope), send_at,
        )  # fmt: skip
        try:
            made = await _hand_in(call, asked, stored, new)
        except BadEnvelope as no:
            raise SetError(no.type, no.text, **no.more) from None
        except NotTaken as no:
            raise _refused(call, no) from None
        number = f"{KIND}{made.id}"
        self.emails_of[number] = f"{object_ids.EMAIL}{stored.id}"
        told = _told(made, {})
        return {
            name: told[name] for name in _PROPERTIES if name not in given and (name != "envelope" or not envelope_given)
        }


def _identity(call: Call, given: Arguments) -> kept_identities.Identity:
    return _named(call, given, "identityId", identities.KIND, kept_identities.find, "identity")


def _message(call: Call, given: Arguments) -> Stored:
    return _named(call, given, "emailId", object_ids.EMAIL, email_sets.find, "message")


def _named(
    call: Call, given: Arguments, name: str, kind: str, find: Callable[[Tx, int, int], T | None], what: str
) -> T:  # fmt: skip
    """What an id names, of whoever asks. Raises `SetError` if there is none."""
    told = given.get(name)
    number = gets.number(kind, sets.real_id(call, told)) if isinstance(told, str) else 0
    found = call.store.peek(find, call.account_id, number)
    if found is None:
        raise bad([name], f"there is no such {what}")
    return found


async def _asked(
    call: Call, given: Arguments, identity: kept_identities.Identity, stored: Stored
) -> tuple[Asked, bool]:
    """The envelope, and whether it was given. Raises `SetError`."""
    envelope = given.get("envelope")
    try:
        if envelope is not None:
            if not isinstance(envelope, dict):
                raise bad(["envelope"], "is no envelope")
            most, recipients = call.config["limits.recipients"], envelope.get("rcptTo")
            if isinstance(recipients, list) and len(recipients) > most:  # before each of them is read
                text = f"a message has at most {most} recipients here"
                raise SetError("tooManyRecipients", text, maxRecipients=most)
            return email_submission.read(envelope, jmap.read_utc_date), True
        data = await call.store.aside(call.store.bytes_of, stored.place)

        def may(address: Address) -> bool:
            return call.store.peek(addresses.may_send_as, call.account_id, address)

        return Asked(await call.store.aside(email_submission.derived, data, may, parse_address(identity.email))), False
    except BadEnvelope as no:
        raise SetError(no.type, no.text, **no.more) from None


def _time(call: Call, asked: Asked) -> int:
    now = call.store.clock()
    at = now + asked.hold_for * 1000 if asked.hold_for is not None else asked.hold_until
    if at is None:
        return now
    if at > now + LIMITS.submission_delay * 1000:
        raise bad(["envelope/mailFrom"], f"a message waits for at most {LIMITS.submission_delay} seconds")
    return max(at, now)


async def _hand_in(call: Call, asked: Asked, stored: Stored, new: New) -> Submission:
    """At once, or into the rows that wait. Raises `BadEnvelope`, `NotTaken`, what the store raises."""
    road = Submitter(call.store, lambda: call.config, call.judge)
    if new.send_at <= call.store.clock():
        receipt = await road.send(call.account_id, asked.envelope, stored.place, Settlement(new=new))
        made = call.store.peek(submissions.of_trace, receipt.trace)
    else:
        await road.look(call.account_id, asked.envelope, stored.place)
        made = call.store.peek(submissions.find, call.account_id, await call.store.write(submissions.put, new))
    assert made is not None
    return made


def _refused(call: Call, no: NotTaken) -> SetError:
    most = call.config["limits.message_size"]
    if no.reason in _INCOMPLETE:
        return SetError("invalidEmail", no.text, properties=["from"])
    if no.code < 500:
        return SetError("serverUnavailable", no.text)
    return SetError(
        _REASONS.get(no.reason, "forbiddenToSend"), no.text, **({"maxSize": most} if no.reason == "too-large" else {})
    )


async def _update(call: Call, name: str, patch: Arguments) -> Arguments | None:
    """Its undoing, and nothing else."""
    number = gets.number(KIND, name)
    found = call.store.peek(submissions.find, call.account_id, number)
    if found is None:
        raise SetError("notFound", "there is no such submission")
    sets.flat(patch, {"undoStatus": lambda value: value in ("canceled", found.state)}, _PROPERTIES)
    if patch.get("undoStatus", found.state) == found.state:
        return None
    try:
        await call.store.write(submissions.cancel, call.account_id, number)
    except Settled:
        raise SetError("cannotUnsend", "it went already") from None
    return None


async def _destroy(call: Call, name: str) -> None:
    number = gets.number(KIND, name)
    found = call.store.peek(submissions.find, call.account_id, number)
    if found is not None and found.state == "pending":
        raise SetError("forbidden", "the message waits for its time; undo it first")
    await call.store.write(submissions.remove, call.account_id, number)


def capability(config: Config, visitor: Visitor) -> Arguments:
    """RFC 8621 §1.3.2: how long a message may wait, and what of SMTP an envelope can say."""
    extensions = {
        "FUTURERELEASE": [], "DSN": [], "SIZE": [str(config["limits.message_size"])], "REQUIRETLS": [],
        "LIMITS": [f"RCPTMAX={config['limits.recipients']}"],  # RFC 9422
    }  # fmt: skip
    return {"maxDelayedSend": LIMITS.submission_delay, "submissionExtensions": extensions}


METHODS: dict[str, Method] = {
    "EmailSubmission/get": get,
    "EmailSubmission/changes": changes,
    "EmailSubmission/query": query,
    "EmailSubmission/queryChanges": query_changes,
    "EmailSubmission/set": set_,
}
