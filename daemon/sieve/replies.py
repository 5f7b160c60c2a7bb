"""What is said to others of a message: a refusal (RFC 5429), an answer while away (RFC 5230, RFC 6131), a notice
(RFC 5435, RFC 5436). Whether it is really said, and how often, the house decides."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from daemon.limits import LIMITS
from daemon.sieve.actions import FileInto, Notify, Reject, Vacation
from daemon.sieve.addresses import one_address
from daemon.sieve.flags import FLAGS
from daemon.sieve.matching import matcher, options
from daemon.sieve.places import PLACE, filing
from daemon.sieve.run import Run
from daemon.sieve.words import NUMBER, STRING, STRINGS, Ask, Call, Do, Flow, Option, command, test

DAY = 86400
_FCC = (Option("fcc", STRING, needs="fcc"), FLAGS, *PLACE)
_HEADER = re.compile(r"[\r\n\0]")


@command("reject", STRING, needs="reject")
def reject(call: Call) -> Do:
    return _refuse(call, at_smtp=False)


@command("ereject", STRING, needs="ereject")
def ereject(call: Call) -> Do:
    return _refuse(call, at_smtp=True)


def _refuse(call: Call, *, at_smtp: bool) -> Do:
    text = call.text(0)

    def do(run: Run) -> Flow:
        run.act(Reject(text(run), call.line, at_smtp))
        return None

    return do


# ------------------------------------------------------------------------------------------------------------- vacation

_VACATION = (
    Option("days", NUMBER, group="period"),
    Option("seconds", NUMBER, needs="vacation-seconds", group="period"),
    Option("subject", STRING),
    Option("from", STRING),
    Option("addresses", STRINGS),
    Option("mime"),
    Option("handle", STRING),
    *_FCC,
)


@command("vacation", STRING, needs="vacation vacation-seconds", options=_VACATION)
def vacation(call: Call) -> Do:
    text, subject, sender, handle = call.text(0), *map(call.option_text, ("subject", "from", "handle"))
    addresses, mime, period = call.option_texts("addresses"), call.has("mime"), _period(call)
    copy = fcc(call)
    if sender is not None and sender.constant is not None and not one_address(sender.constant):
        call.fault(f"{sender.constant!r} is no address to write from")

    def do(run: Run) -> Flow:
        if any(isinstance(action, Vacation) for action in run.actions):
            raise run.fault("a script may answer a message once")
        words = text(run), subject(run) if subject else "", sender(run) if sender else ""
        name = handle(run) if handle else _handle(*words, str(mime))
        his = tuple(addresses(run)) if addresses else ()
        writer = words[2] if one_address(words[2]) else ""
        run.act(
            Vacation(
                words[0], call.line, mime, _HEADER.sub(" ", words[1]), writer, his, name, period,
                copy(run) if copy else None,
            )
        )  # fmt: skip
        return None

    return do


def _period(call: Call) -> int:
    """Seconds between two answers to one sender; what is too short or too long is brought into bounds (section 4.1)."""
    seconds, days = call.option_number("seconds"), call.option_number("days")
    if seconds is not None:
        return min(max(seconds, 0), LIMITS.vacation_longest)
    return min(max(7 if days is None else days, 1) * DAY, LIMITS.vacation_longest)


def _handle(*words: str) -> str:
    """Two answers with the same words are one (RFC 5230 section 4.2)."""
    return sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def fcc(call: Call) -> Callable[[Run], FileInto] | None:
    """Where a copy of what is sent goes (RFC 8580)."""
    mailbox = call.option_text("fcc")
    if mailbox is None:
        if any(call.has(name) for name in ("create", "specialuse", "mailboxid", "flags")):
            call.fault(":flags, :create and their like belong to :fcc here")
        return None
    return filing(call, mailbox)


# --------------------------------------------------------------------------------------------------------------- notify

_NOTIFY = (
    Option("from", STRING),
    Option("importance", STRING),
    Option("options", STRINGS),
    Option("message", STRING),
    *_FCC,
)
_IMPORTANCE = ("1", "2", "3")
_CAPABILITIES = {"online": "maybe"}


@command("notify", STRING, needs="enotify", options=_NOTIFY)
def notify(call: Call) -> Do:
    method = call.text(0)
    sender, importance, message = map(call.option_text, ("from", "importance", "message"))
    wanted, copy = call.option_texts("options"), fcc(call)
    if method.constant is not None and not is_method(method.constant):
        call.fault(f"{method.constant!r} is no way to notify somebody: it should be mailto:address", 0)
    if importance is not None and importance.constant not in (None, *_IMPORTANCE):
        call.fault(":importance is 1, 2 or 3")

    def do(run: Run) -> Flow:
        uri = method(run)
        if not is_method(uri):
            raise run.fault(f"{uri!r} is no way to notify somebody")
        if sum(isinstance(action, Notify) for action in run.actions) >= LIMITS.sieve_redirects:
            raise run.fault(f"a script may notify {LIMITS.sieve_redirects} times")
        writer, weight = sender(run) if sender else "", importance(run) if importance else "2"
        if weight not in _IMPORTANCE:
            raise run.fault(f":importance is 1, 2 or 3, not {weight[:20]!r}")
        run.act(
            Notify(
                uri, call.line, writer if one_address(writer) else "", weight,
                tuple(wanted(run)) if wanted else (), message(run) if message else "", copy(run) if copy else None,
            )
        )  # fmt: skip
        return None

    return do


def is_method(uri: str) -> bool:
    """RFC 5436: mailto with at least one address."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return (
        parts.scheme.lower() == "mailto"
        and bool(parts.path)
        and all(one_address(unquote(each)) for each in parts.path.split(","))
    )


@test("valid_notify_method", STRINGS, needs="enotify")
def valid_notify_method(call: Call) -> Ask:
    methods = call.texts(0)
    return lambda run: all(is_method(uri) for uri in methods(run))


@test("notify_method_capability", STRING, STRING, STRINGS, needs="enotify", options=options())
def notify_method_capability(call: Call) -> Ask:
    method, name, match = call.text(0), call.text(1), matcher(call, call.texts(2), 2)

    def ask(run: Run) -> bool:
        value = _CAPABILITIES.get(name(run).lower()) if is_method(method(run)) else None
        return value is not None and match(run, (value,))

    return ask
