"""What a script decides: values that the house carries out, in their order, in the one transaction of acceptance.

`line` is where the script says so, 0 for the implicit keep. `message` is the message as the script had changed it by
then (editheader, replace, enclose), None while it is as it came. `within`: the included script that says so.
"""

from __future__ import annotations

from typing import NamedTuple

from daemon.sieve.errors import ScriptError


class Keep(NamedTuple):
    """Into the mailbox where it would go without a script. `flags` None: none were said."""

    line: int = 0
    flags: tuple[str, ...] | None = None
    message: bytes | None = None
    within: str = ""


class FileInto(NamedTuple):
    """Into a mailbox by name (RFC 5228), special use (RFC 8579: the mailbox is where there is none of that use) or id
    (RFC 9042: the same). `create` (RFC 5490): make it if it is not there."""

    mailbox: str
    line: int = 0
    flags: tuple[str, ...] | None = None
    message: bytes | None = None
    create: bool = False
    special_use: str = ""
    mailbox_id: str = ""
    within: str = ""


class Redirect(NamedTuple):
    """Send it on. `ret` and `notify` as RFC 6009 has them, "" for what the sender asked for."""

    address: str
    line: int = 0
    message: bytes | None = None
    notify: str = ""
    ret: str = ""
    within: str = ""


class Discard(NamedTuple):
    line: int = 0
    within: str = ""


class Reject(NamedTuple):
    """Refuse it with these words (RFC 5429). `at_smtp`: as the answer to the message, where that can be."""

    text: str
    line: int = 0
    at_smtp: bool = True
    within: str = ""


class Vacation(NamedTuple):
    """Answer its sender, once in so many seconds (RFC 5230, RFC 6131). `mime`: the text is a MIME entity."""

    text: str
    line: int = 0
    mime: bool = False
    subject: str = ""
    sender: str = ""
    addresses: tuple[str, ...] = ()
    handle: str = ""
    seconds: int = 7 * 86400
    fcc: FileInto | None = None
    within: str = ""


class Notify(NamedTuple):
    """Tell somebody of it (RFC 5435); `method` is a URI. `importance`: 1 high, 2 normal, 3 low."""

    method: str
    line: int = 0
    sender: str = ""
    importance: str = "2"
    options: tuple[str, ...] = ()
    message: str = ""
    fcc: FileInto | None = None
    within: str = ""


Action = Keep | FileInto | Redirect | Discard | Reject | Vacation | Notify


class Seen(NamedTuple):
    """What a `duplicate` test (RFC 7352) wants remembered, for so many seconds. `last`: from the last time on."""

    handle: str
    seconds: int
    last: bool = False


class Step(NamedTuple):
    """A step of a script that was watched: what it did or asked, and what came of it. `within`: the included script."""

    line: int
    text: str
    outcome: str
    within: str = ""


class Result(NamedTuple):
    """What a run decided. After an `error` it is to be kept, whatever the script had said before; `spent`: its steps
    were too few."""

    actions: tuple[Action, ...] = (Keep(),)
    seen: tuple[Seen, ...] = ()
    error: ScriptError | None = None
    steps: tuple[Step, ...] = ()
    spent: bool = False
