"""The base language (RFC 5228), with `:copy` (RFC 3894) and the parts of an address that RFC 5233 adds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from daemon.mail.mailboxes import Mailbox
from daemon.sieve.actions import Discard, Keep, Redirect
from daemon.sieve.addresses import one_address
from daemon.sieve.flags import FLAGS, flags_of
from daemon.sieve.index import INDEX, chosen
from daemon.sieve.matching import matcher, options
from daemon.sieve.mime import FACETS, HEADS, facet, heads
from daemon.sieve.places import PLACE, filing
from daemon.sieve.run import Run
from daemon.sieve.subject import Head, Sent
from daemon.sieve.words import NUMBER, STRING, STRINGS, Ask, Call, Do, Flow, Option, command, test

_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE)
_RET = re.compile(r"FULL|HDRS", re.IGNORECASE)
SEPARATOR = "+"  # between user and detail
COPY = Option("copy", needs="copy")
PARTS = (
    Option("all", group="address part"),
    Option("localpart", group="address part"),
    Option("domain", group="address part"),
    Option("user", needs="subaddress", group="address part"),
    Option("detail", needs="subaddress", group="address part"),
)
_ADDRESS_FIELDS = frozenset(
    (
        "from", "to", "cc", "bcc", "sender", "reply-to", "resent-from", "resent-to", "resent-cc", "resent-bcc",
        "resent-sender", "resent-reply-to", "return-path", "delivered-to", "x-original-to", "envelope-to",
        "envelope-from", "errors-to", "apparently-to", "disposition-notification-to", "return-receipt-to",
        "mail-followup-to", "mail-reply-to", "approved", "x-envelope-to", "x-envelope-from",
        "x-forwarded-to", "x-forwarded-for",
    )
)  # fmt: skip

# -------------------------------------------------------------------------------------------------------------- control


@command("stop")
def stop(call: Call) -> Do:
    return lambda run: "stop"


# -------------------------------------------------------------------------------------------------------------- actions


@command("keep", options=(FLAGS,))
def keep(call: Call) -> Do:
    flags = flags_of(call)
    return _do(lambda run: run.act(Keep(call.line, flags(run), run.message)))


@command("discard")
def discard(call: Call) -> Do:
    return _do(lambda run: run.act(Discard(call.line)))


@command("fileinto", STRING, needs="fileinto", options=(COPY, FLAGS, *PLACE))
def fileinto(call: Call) -> Do:
    place, copy = filing(call, call.text(0)), call.has("copy")
    return _do(lambda run: run.act(place(run), copy=copy))


_REDIRECT = (
    COPY,
    Option("list", needs="extlists"),
    Option("notify", STRING, needs="redirect-dsn"),
    Option("ret", STRING, needs="redirect-dsn"),
)


@command("redirect", STRING, options=_REDIRECT)
def redirect(call: Call) -> Do:
    """To an address, with what RFC 6009 lets say of notices. Lists (RFC 6134) are asked here, never sent to."""
    address, copy = call.text(0), call.has("copy")
    if call.has("list"):
        call.fault("there is no list here that mail can be redirected to")
    notify, ret = call.option_text("notify"), call.option_text("ret")
    if address.constant is not None and not one_address(address.constant):
        call.fault(f"{address.constant!r} is no address to redirect to", 0)
    if notify is not None and notify.constant is not None and not _NOTIFY.fullmatch(notify.constant):
        call.fault(":notify is NEVER, or some of SUCCESS, FAILURE and DELAY with commas between them")
    if ret is not None and ret.constant is not None and not _RET.fullmatch(ret.constant):
        call.fault(":ret is FULL or HDRS")

    def do(run: Run) -> Flow:
        to, when, what = address(run), notify(run) if notify else "", ret(run) if ret else ""
        plain = one_address(to)
        if plain is None:
            raise run.fault(f"{to[:80]!r} is no address to redirect to")
        if not (_NOTIFY.fullmatch(when or "NEVER") and _RET.fullmatch(what or "FULL")):
            raise run.fault(f":notify {when[:40]!r} or :ret {what[:40]!r} makes no sense")
        run.act(Redirect(plain, call.line, run.onward, when.upper(), what.upper()), copy=copy)
        return None

    return do


def _do(act: Callable[[Run], None]) -> Do:
    """A command behind which the script goes on."""

    def do(run: Run) -> Flow:
        act(run)
        return None

    return do


# ---------------------------------------------------------------------------------------------------------------- tests


@test("true")
def true(call: Call) -> Ask:
    return lambda run: True


@test("false")
def false(call: Call) -> Ask:
    return lambda run: False


@test("not", tests=1)
def not_(call: Call) -> Ask:
    (ask,) = call.tests
    return lambda run: not ask(run)


@test("anyof", tests="many")
def anyof(call: Call) -> Ask:
    tests = call.tests

    def any_(run: Run) -> bool:
        for ask in tests:
            if ask(run):
                return True
        return False

    return any_


@test("allof", tests="many")
def allof(call: Call) -> Ask:
    tests = call.tests

    def all_(run: Run) -> bool:
        for ask in tests:
            if not ask(run):
                return False
        return True

    return all_


@test("exists", STRINGS, options=HEADS)
def exists(call: Call) -> Ask:
    names, where = call.texts(0), heads(call)

    def ask(run: Run) -> bool:
        wanted, found = names(run), where(run)
        run.spend(len(wanted) * len(found) // 5)
        return all(any(head.has(name) for head in found) for name in wanted)

    return ask


@test("size", NUMBER, options=(Option("over", group="size"), Option("under", group="size")))
def size(call: Call) -> Ask:
    bound, over = call.number(0), call.has("over")
    if not over and not call.has("under"):
        call.fault("size takes :over or :under")
    if over:
        return lambda run: len(run.subject.data) > bound
    return lambda run: len(run.subject.data) < bound


@test("header", STRINGS, STRINGS, options=(*options(), *INDEX, *HEADS, *FACETS))
def header(call: Call) -> Ask:
    names, pick, where, part = call.texts(0), chosen(call), heads(call), facet(call)
    match = matcher(call, call.texts(1), 1)
    if names.constant and len(names.constant) == 1 and part is None and not call.has("mime"):
        name = names.constant[0]

        def ask(run: Run) -> bool:  # the usual one, in half the time
            run.spend(1)
            return match(run, pick(run.subject.head.texts(name)))

        return ask

    def values(run: Run) -> Iterator[str]:
        for head in where(run):
            for name in names(run):
                run.spend(1)
                if part is None:
                    yield from pick(head.texts(name))
                else:
                    for raw in pick(head.raw(name)):
                        yield from part(name.lower(), raw)

    return lambda run: match(run, values(run))


@test("address", STRINGS, STRINGS, options=(*options(), *PARTS, *INDEX, *HEADS))
def address(call: Call) -> Ask:
    names, part, pick, where = call.texts(0), address_part(call), chosen(call), heads(call)
    match, people = matcher(call, call.texts(1), 1), Head.named if part is _whole else Head.people  # section 2.4.2.3
    for name in names.constant or ():
        if name.lower() not in _ADDRESS_FIELDS:
            call.fault(f"{name} is no field of addresses", 0)

    def values(run: Run) -> Iterator[str]:
        for head in where(run):
            for name in names(run):
                run.spend(1)
                if name.lower() in _ADDRESS_FIELDS:
                    found = [part(each) for raw in pick(head.raw(name)) for each in people(head, raw)]
                    yield from [value for value in found if value is not None]

    return lambda run: match(run, values(run))


_ENVELOPE: dict[str, Callable[[Sent], str]] = {
    "from": lambda sent: sent.sender,
    "to": lambda sent: sent.recipient_as_sent or sent.recipient,
}
_NOTICES = ("notify", "orcpt", "ret", "envid")  # RFC 6009 section 3


@test("envelope", STRINGS, STRINGS, needs="envelope", options=(*options(), *PARTS))
def envelope(call: Call) -> Ask:
    names, keys, part = call.texts(0), call.texts(1), address_part(call)
    match, notices = matcher(call, keys, 1), call.allows("envelope-dsn")
    for name in names.constant or ():
        if name.lower() in _NOTICES:
            if not notices:
                call.lacks(f'the {name} of the envelope needs: require "envelope-dsn"', 0)
            if part is not _whole:
                call.fault(f"the {name} of the envelope is no address", 0)
        elif name.lower() not in _ENVELOPE:
            call.fault(f"the envelope has no {name!r}", 0)

    def values(run: Run) -> Iterator[str]:
        if run.subject.facts.event is not None:
            raise run.fault("what lies in a mailbox has no envelope")
        sent = run.subject.sent
        for name in map(str.lower, names(run)):
            if name in _ENVELOPE:
                yield from _parts(_ENVELOPE[name](sent), part)
            elif notices and name in _NOTICES:
                for said in [value for known, value in sent.extra if known == name]:
                    yield from said.split(",") if name == "notify" else (said,)

    return lambda run: match(run, values(run))


def _parts(text: str, part: Callable[[Mailbox], str | None]) -> Iterator[str]:
    """Of an address of the envelope; nobody's is an empty string, whatever is asked of it (RFC 5228 section 5.4)."""
    local, at, host = text.rpartition("@")
    value = part(Mailbox(None, None, local, host) if at else Mailbox(None, None, text, None)) if text else ""
    if value is not None:
        yield value


def address_part(call: Call) -> Callable[[Mailbox], str | None]:
    """What of an address is compared; None: it has no such part (RFC 5233)."""
    return _ADDRESS_PARTS[call.one_of(tuple(_ADDRESS_PARTS), "all")]


def _whole(box: Mailbox) -> str:
    return box.address


def _user(box: Mailbox) -> str:
    return (box.local or "").partition(SEPARATOR)[0]


def _detail(box: Mailbox) -> str | None:
    _, found, detail = (box.local or "").partition(SEPARATOR)
    return detail if found else None


_ADDRESS_PARTS: dict[str, Callable[[Mailbox], str | None]] = {
    "all": _whole,
    "localpart": lambda box: box.local or "",
    "domain": lambda box: box.host or "",
    "user": _user,
    "detail": _detail,
}
