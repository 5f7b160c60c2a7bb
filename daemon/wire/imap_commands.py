"""What a command means: one frozen value for each, made by `parse` from the words of `imap.read_command`.

IMAP4rev1 (RFC 3501) with IDLE (2177), NAMESPACE (2342), ID (2971), UNSELECT (3691), UIDPLUS (4315), ESEARCH (4731),
SASL-IR (4959), COMPRESS (4978), ENABLE (5161), LIST-EXTENDED (5258), METADATA (5464), LIST-STATUS (5819),
SPECIAL-USE (6154), MOVE (6851), CONDSTORE (7162), APPENDLIMIT (7889), STATUS=SIZE (8438), LIST-METADATA (9590) and
Pigeonhole's FILTER=SIEVE. A value says nothing about states: that is the session's table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.wire.imap import Bad, Body, Ceilings, Command, decode_base64
from daemon.wire.imap_arguments import Arguments
from daemon.wire.imap_fetch import Fetch, parse_fetch
from daemon.wire.imap_filter import Filter, parse_filter
from daemon.wire.imap_list import List, Lsub, parse_list, parse_lsub, status_items
from daemon.wire.imap_metadata import GetMetadata, SetMetadata, parse_get, parse_set
from daemon.wire.imap_reply import parse_internal_date
from daemon.wire.imap_search import Search, parse_search
from daemon.wire.imap_set import SequenceSet


@dataclass(frozen=True, slots=True)
class Capability: ...


@dataclass(frozen=True, slots=True)
class Noop: ...


@dataclass(frozen=True, slots=True)
class GetJmapAccess: ...


@dataclass(frozen=True, slots=True)
class Logout: ...


@dataclass(frozen=True, slots=True)
class StartTls: ...


@dataclass(frozen=True, slots=True)
class Check: ...


@dataclass(frozen=True, slots=True)
class Close: ...


@dataclass(frozen=True, slots=True)
class Unselect: ...


@dataclass(frozen=True, slots=True)
class Idle: ...


@dataclass(frozen=True, slots=True)
class Namespace: ...


@dataclass(frozen=True, slots=True)
class Compress:
    """With DEFLATE, the only mechanism there is."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """`initial` is the decoded initial response, None when the client sent none."""

    mechanism: str
    initial: bytes | None = None


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Id:
    fields: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Enable:
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or with `read_only` EXAMINE."""

    mailbox: str
    read_only: bool = False
    condstore: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """A "/" at the end of `mailbox` only says that levels below it will come (RFC 3501 §6.3.3).

    `use` are the special uses asked for (RFC 6154 §3).
    """

    mailbox: str
    use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    mailbox: str
    to: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Status:
    mailbox: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """`internal_date` in milliseconds since 1970; `utf8` when it came as `UTF8 (~{n})` (RFC 6855 §4, traps I15)."""

    body: Body
    flags: tuple[str, ...] = ()
    internal_date: int | None = None
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Append:
    mailbox: str
    messages: tuple[NewMessage, ...]


@dataclass(frozen=True, slots=True)
class Expunge:
    """`uids` are those of UID EXPUNGE."""

    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """`change` is "" (replace), "+" or "-"."""

    numbers: SequenceSet
    change: str
    flags: tuple[str, ...]
    silent: bool = False
    uid: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    numbers: SequenceSet
    mailbox: str
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    numbers: SequenceSet
    mailbox: str
    uid: bool = False


Value = (
    Capability | Noop | Logout | StartTls | Check | Close | Unselect | Idle | Namespace | Compress
    | Authenticate | Login | Id | Enable | Select | Create | Delete | Rename | Subscribe | Unsubscribe
    | List | Lsub | Status | Append | Expunge | Search | Fetch | Store | Copy | Move
    | GetMetadata | SetMetadata | Filter | GetJmapAccess
)  # fmt: skip


def parse(command: Command, limits: Ceilings) -> Value:
    """What `command` asks for. Raises `Bad` with its tag; the stream is in sync then, all words are there."""
    try:
        reader = _READERS.get(command.name)
        if reader is None:
            raise Bad("unknown command")
        arguments = Arguments(command.arguments, limits)
        value = reader(arguments)
        arguments.end()
        return value
    except Bad as bad:
        bad.tag = command.tag
        raise


def _authenticate(words: Arguments) -> Authenticate:
    mechanism = words.keyword("mechanism")
    if not words.more():
        return Authenticate(mechanism)
    initial = words.astring("initial response")
    return Authenticate(mechanism, b"" if initial == b"=" else decode_base64(initial))  # RFC 4959 §3


def _credential(octets: bytes) -> str:
    """UTF-8, or what old clients send instead: a password is not refused for its charset (traps I30)."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _login(words: Arguments) -> Login:
    return Login(_credential(words.astring("user name")), _credential(words.astring("password")))


def _id(words: Arguments) -> Id:
    if words.skip_keyword("NIL"):
        return Id()
    listed = words.listed("field list")
    fields = []
    while listed.more():
        name = listed.astring("field name").decode("utf-8", "replace")
        value = None if listed.skip_keyword("NIL") else listed.astring("value").decode("utf-8", "replace")
        fields.append((name, value))
    return Id(tuple(fields))


def _enable(words: Arguments) -> Enable:
    names = [words.keyword("capability")]
    while words.more():
        names.append(words.keyword("capability"))
    return Enable(tuple(names))


def _compress(words: Arguments) -> Compress:
    if words.keyword("mechanism") != "DEFLATE":
        raise Bad("DEFLATE is the only mechanism")
    return Compress()


def _select(words: Arguments, *, read_only: bool) -> Select:
    name = words.mailbox()
    condstore = False
    if words.has_list():
        parameters = words.listed("parameters")
        while parameters.more():
            if parameters.keyword("parameter") != "CONDSTORE":
                raise Bad("unknown SELECT parameter")
            condstore = True
    return Select(name, read_only, condstore)


def _create(words: Arguments) -> Create:
    name = words.mailbox()
    use: list[str] = []
    if words.has_list():
        parameters = words.listed("parameters")
        if parameters.keyword("parameter") != "USE":
            raise Bad("unknown CREATE parameter")
        uses = parameters.listed("special uses")
        parameters.end()
        while uses.more():
            use.append(uses.atom("special use"))
    return Create(name, tuple(use))


def _status(words: Arguments) -> Status:
    return Status(words.mailbox(), status_items(words.listed("STATUS items")))


def _append(words: Arguments) -> Append:
    name = words.mailbox()
    messages = [_new_message(words)]
    while words.more():
        messages.append(_new_message(words))
    return Append(name, tuple(messages))


def _new_message(words: Arguments) -> NewMessage:
    flags = words.flags() if words.has_list() else ()
    date = None
    if isinstance(words.peek(), bytes):
        date = parse_internal_date(words.string("date-time").decode("ascii", "replace"))
    utf8 = words.skip_keyword("UTF8")
    if utf8:
        listed = words.listed("message")
        body = listed.body()
        listed.end()
    else:
        body = words.body()
    if not body.size:
        raise Bad("an empty message is not kept", status="NO")  # RFC 3502 §6.3.11: how a client changes its mind
    return NewMessage(body, flags, date, utf8)


def _store(words: Arguments, *, uid: bool) -> Store:
    numbers = words.numbers()
    unchanged_since = None
    if words.has_list():
        modifiers = words.listed("modifiers")
        if modifiers.keyword("modifier") != "UNCHANGEDSINCE":
            raise Bad("unknown STORE modifier")
        unchanged_since = modifiers.number("mod-sequence")
        modifiers.end()
    item = words.keyword("item")
    change = item[0] if item[0] in "+-" else ""
    name = item[len(change) :]
    if name not in ("FLAGS", "FLAGS.SILENT"):
        raise Bad("FLAGS expected")
    if not words.more():
        raise Bad("flags expected")
    return Store(numbers, change, words.flags(), name == "FLAGS.SILENT", uid, unchanged_since)


_READERS: dict[str, Callable[[Arguments], Value]] = {
    "CAPABILITY": lambda words: Capability(),
    "NOOP": lambda words: Noop(),
    "LOGOUT": lambda words: Logout(),
    "GETJMAPACCESS": lambda words: GetJmapAccess(),
    "STARTTLS": lambda words: StartTls(),
    "AUTHENTICATE": _authenticate,
    "LOGIN": _login,
    "ID": _id,
    "ENABLE": _enable,
    "COMPRESS": _compress,
    "NAMESPACE": lambda words: Namespace(),
    "SELECT": lambda words: _select(words, read_only=False),
    "EXAMINE": lambda words: _select(words, read_only=True),
    "CREATE": _create,
    "DELETE": lambda words: Delete(words.mailbox()),
    "RENAME": lambda words: Rename(words.mailbox(), words.mailbox()),
    "SUBSCRIBE": lambda words: Subscribe(words.mailbox()),
    "UNSUBSCRIBE": lambda words: Unsubscribe(words.mailbox()),
    "LIST": parse_list,
    "LSUB": parse_lsub,
    "STATUS": _status,
    "GETMETADATA": parse_get,
    "SETMETADATA": parse_set,
    "APPEND": _append,
    "IDLE": lambda words: Idle(),
    "CHECK": lambda words: Check(),
    "CLOSE": lambda words: Close(),
    "UNSELECT": lambda words: Unselect(),
    "EXPUNGE": lambda words: Expunge(),
    "UID EXPUNGE": lambda words: Expunge(words.numbers()),
    "SEARCH": lambda words: parse_search(words, uid=False),
    "UID SEARCH": lambda words: parse_search(words, uid=True),
    "FETCH": lambda words: parse_fetch(words, uid=False),
    "UID FETCH": lambda words: parse_fetch(words, uid=True),
    "STORE": lambda words: _store(words, uid=False),
    "UID STORE": lambda words: _store(words, uid=True),
    "COPY": lambda words: Copy(words.numbers(), words.mailbox()),
    "UID COPY": lambda words: Copy(words.numbers(), words.mailbox(), uid=True),
    "MOVE": lambda words: Move(words.numbers(), words.mailbox()),
    "FILTER": lambda words: parse_filter(words, uid=False),
    "UID FILTER": lambda words: parse_filter(words, uid=True),
    "UID MOVE": lambda words: Move(words.numbers(), words.mailbox(), uid=True),
}
