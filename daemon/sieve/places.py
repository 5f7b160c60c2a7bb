"""Where mail is filed: by name, `:create` and `mailboxexists` (RFC 5490), special use (RFC 8579), id (RFC 9042)."""

from __future__ import annotations

import re
from collections.abc import Callable

from daemon.sieve.actions import FileInto
from daemon.sieve.flags import flags_of
from daemon.sieve.run import Run
from daemon.sieve.strings import Text
from daemon.sieve.words import STRING, STRINGS, Ask, Call, Option, test

PLACE = (
    Option("create", needs="mailbox"),
    Option("specialuse", STRING, needs="special-use"),
    Option("mailboxid", STRING, needs="mailboxid"),
)
USES = ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important")
_USE = re.compile(r"\\[A-Za-z0-9._$-]+")  # one that we do not know is one that no mailbox has
_NORMAL = {use.lower(): use for use in USES}


def filing(call: Call, mailbox: Text) -> Callable[[Run], FileInto]:
    """The action of a command that takes the arguments of fileinto."""
    if mailbox.constant == "":
        call.fault("a mailbox has a name")
    if call.has("specialuse") and call.has("mailboxid"):
        call.fault(":specialuse and :mailboxid exclude each other")
    flags, create, line = flags_of(call), call.has("create"), call.line
    use, number = call.option_text("specialuse"), call.option_text("mailboxid")
    if use is not None and use.constant is not None and not _USE.fullmatch(use.constant):
        call.fault(f"{use.constant!r} is no special use: it should be one like \\Junk")

    def place(run: Run) -> FileInto:
        name = mailbox(run)
        if not name:
            raise run.fault("a mailbox has a name")
        special = _NORMAL.get(use(run).lower(), "") if use is not None else ""
        if name.upper() == "INBOX":
            name = "INBOX"  # in whatever case (RFC 3501 section 5.1)
        return FileInto(name, line, flags(run), run.message, create, special, number(run) if number is not None else "")

    return place


@test("mailboxexists", STRINGS, needs="mailbox")
def mailboxexists(call: Call) -> Ask:
    names = call.texts(0)
    return lambda run: all(run.subject.facts.mailbox_exists(name) for name in names(run))


@test("mailboxidexists", STRINGS, needs="mailboxid")
def mailboxidexists(call: Call) -> Ask:
    numbers = call.texts(0)
    return lambda run: all(run.subject.facts.mailbox_by_id(number) is not None for number in numbers(run))


@test("specialuse_exists", STRING, STRINGS, needs="special-use", lacks="first")
def specialuse_exists(call: Call) -> Ask:
    """Whether there is a mailbox of each of these uses; or whether the one named has all of them."""
    mailbox, uses = call.text(0) if len(call.given) == 2 else None, call.texts(-1)

    def ask(run: Run) -> bool:
        found = [run.subject.facts.special_use(_NORMAL.get(use.lower(), use)) for use in uses(run)]
        if mailbox is None:
            return all(name is not None for name in found)
        name = mailbox(run)
        return all(each == name for each in found)

    return ask
