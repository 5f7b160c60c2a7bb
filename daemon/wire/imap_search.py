"""What a SEARCH looks for, as a tree (RFC 3501 §6.4.4, ESEARCH of RFC 4731, MODSEQ of RFC 7162, WITHIN of RFC 5032,
OBJECTID of RFC 8474).

The tree is at most `imap_nesting` deep, however long the chain of ORs that a client sends: OR of OR is one `Or` of
many, a list in a list is one `And`, NOT NOT is nothing. Reading it needs no recursion but for parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from daemon.wire.imap import Bad
from daemon.wire.imap_arguments import Arguments
from daemon.wire.imap_reply import badcharset, month_number
from daemon.wire.imap_set import SequenceSet


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class Not:
    key: Key


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Or:
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Message numbers, or with `uid` UIDs."""

    numbers: SequenceSet
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A system flag in its own spelling, or a keyword as the client wrote it."""

    name: str


@dataclass(frozen=True, slots=True)
class Header:
    """A field whose name is `name` (upper case) and whose value contains `text`; any value if that is empty."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """`text` anywhere in the body, or with `header` also in the header."""

    text: str
    header: bool


@dataclass(frozen=True, slots=True)
class Day:
    """INTERNALDATE, or with `sent` the Date field, is `when` (BEFORE, ON, SINCE) `day`; hours and zones aside."""

    when: str
    day: date
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Age:
    """INTERNALDATE at most `seconds` ago, or with `older` at least."""

    seconds: int
    older: bool


@dataclass(frozen=True, slots=True)
class Size:
    """RFC822.SIZE below `octets`, or with `larger` above."""

    octets: int
    larger: bool


@dataclass(frozen=True, slots=True)
class ModSeq:
    """Changed at `least` or later."""

    least: int


@dataclass(frozen=True, slots=True)
class ObjectId:
    """The message (`what` EMAILID) or its conversation (THREADID) has this id (RFC 8474 §6)."""

    what: str
    id: str


Key = All | Not | And | Or | Numbers | Flag | Header | Text | Day | Age | Size | ModSeq | ObjectId


@dataclass(frozen=True, slots=True)
class Search:
    """`returns` is None for the old answer, else what ESEARCH is to say, in that order; `modseq` if a key names it."""

    key: Key
    uid: bool = False
    returns: tuple[str, ...] | None = None
    modseq: bool = False


RETURNS = ("MIN", "MAX", "ALL", "COUNT")
CHARSETS = frozenset(
    ["US-ASCII", "UTF-8", "KOI8-R", "ISO-2022-JP", "SHIFT_JIS", "EUC-JP", "EUC-KR", "GB2312", "GBK", "GB18030", "BIG5"]
    + [f"ISO-8859-{number}" for number in (*range(1, 12), *range(13, 17))]
    + [f"WINDOWS-{number}" for number in range(1250, 1259)]
)
_DATE = re.compile(r"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_FLAGS = {name.upper(): Flag(f"\\{name}") for name in ("Answered", "Deleted", "Draft", "Flagged", "Recent", "Seen")}


def parse_search(arguments: Arguments, *, uid: bool) -> Search:
    """`SEARCH` and `UID SEARCH`. Raises `Bad`."""
    returns = None
    if arguments.skip_keyword("RETURN"):
        wanted = arguments.listed("RETURN options")
        returns = _returns(wanted)
    key, modseq = parse_criteria(arguments)
    return Search(key, uid, returns, modseq)


def parse_criteria(arguments: Arguments) -> tuple[Key, bool]:
    """`[CHARSET x]` and the keys, all that is left; whether a key names a mod-sequence. Raises `Bad`."""
    charset = "UTF-8"  # RFC 3501 has US-ASCII, of which this is the only harmless extension
    if arguments.skip_keyword("CHARSET"):
        charset = arguments.astring("charset").decode("ascii", "replace").upper()
        if charset not in CHARSETS:
            raise Bad("that charset is not known here", status="NO", code=badcharset(("US-ASCII", "UTF-8")))
    reader = _Keys(charset, arguments.limits.imap_nesting)
    return reader.read(arguments), reader.modseq


def _returns(wanted: Arguments) -> tuple[str, ...]:
    found = []
    while wanted.more():
        option = wanted.keyword("RETURN option")
        if option not in RETURNS:
            raise Bad("unknown RETURN option")
        found.append(option)
    return tuple(dict.fromkeys(found)) or ("ALL",)  # RFC 4731 §3.1: () is ALL


@dataclass(slots=True)
class _Open:
    """An operator that waits for its keys; each key with its depth."""

    operator: str
    keys: list[tuple[Key, int]] = field(default_factory=list)

    def complete(self) -> bool:
        return len(self.keys) == {"NOT": 1, "OR": 2}.get(self.operator, -1)


@dataclass(slots=True)
class _Keys:
    """Reads keys in one charset."""

    charset: str
    nesting: int
    modseq: bool = False

    def read(self, words: Arguments) -> Key:
        return self._all(words)[0]

    def _all(self, words: Arguments) -> tuple[Key, int]:
        """All keys up to the end of `words`, which must all hold, and how deep they are."""
        waiting = [_Open("AND")]
        while words.more():
            if words.has_list():
                found = self._all(words.listed("keys"))
            else:
                name = words.keyword("search key")
                if name in ("NOT", "OR"):
                    waiting.append(_Open(name))
                    continue
                key = self._key(name, words)
                found = key, {Not: 2, And: 3}.get(type(key), 1)  # UNSEEN, NEW
            waiting[-1].keys.append(found)
            while waiting[-1].complete():
                done = waiting.pop()
                waiting[-1].keys.append(self._joined(done))
        if len(waiting) > 1 or not waiting[0].keys:
            raise Bad("search key expected")
        return self._joined(waiting[0])

    def _joined(self, done: _Open) -> tuple[Key, int]:
        """One key of an operator and its keys, no deeper than it must be."""
        first, depth = done.keys[0]
        if done.operator == "NOT":
            if isinstance(first, Not):
                return first.key, depth - 1
            return self._bounded(Not(first), depth + 1)
        if len(done.keys) == 1:
            return first, depth
        kind: type[And] | type[Or] = And if done.operator == "AND" else Or
        keys: list[Key] = []
        deepest = 0
        for key, depth in done.keys:
            if isinstance(key, kind):
                keys += key.keys
                deepest = max(deepest, depth - 1)
            else:
                keys.append(key)
                deepest = max(deepest, depth)
        return self._bounded(kind(tuple(keys)), deepest + 1)

    def _bounded(self, key: Key, depth: int) -> tuple[Key, int]:
        if depth > self.nesting:
            raise Bad(f"search keys over {self.nesting} deep")
        return key, depth

    def _key(self, name: str, words: Arguments) -> Key:
        if name in _FLAGS:
            return _FLAGS[name]
        if name.startswith("UN") and name[2:] in _FLAGS and name != "UNRECENT":
            return Not(_FLAGS[name[2:]])
        if name in _READERS:
            return _READERS[name](self, words)
        if name[0].isdigit() or name[0] == "*":
            words.at -= 1
            return Numbers(words.numbers())
        raise Bad("unknown search key")

    def text(self, words: Arguments) -> str:
        try:
            return words.astring("search string").decode(self.charset)
        except UnicodeDecodeError:
            raise Bad(f"a search string that is not {self.charset}") from None

    def header(self, words: Arguments) -> Key:
        name = words.astring("field name").decode("ascii", "replace").upper()
        return Header(name, self.text(words))

    def modified(self, words: Arguments) -> Key:
        """`MODSEQ ["/flags/\\Seen" all] 917`: the entry's name is read and, as most do, not looked at."""
        self.modseq = True
        if isinstance(words.peek(), bytes):
            words.string("entry name")
            if words.keyword("entry type") not in ("PRIV", "SHARED", "ALL"):
                raise Bad("entry type expected")
        return ModSeq(words.number("mod-sequence"))


def _object_id(what: str) -> Callable[[_Keys, Arguments], Key]:
    def read(keys: _Keys, words: Arguments) -> Key:
        found = words.atom("object id")
        if _OBJECT_ID.fullmatch(found) is None:
            raise Bad("object id expected")
        return ObjectId(what, found)

    return read


def _day(words: Arguments) -> date:
    """A date, quoted or not. Raises `Bad` also for days that do not exist."""
    found = _DATE.fullmatch(words.astring("date").decode("ascii", "replace"))
    try:
        if found is not None:
            return date(int(found[3]), month_number(found[2]), int(found[1]))
    except (ValueError, KeyError):
        pass
    raise Bad("date expected")


def _fields(name: str) -> Callable[[_Keys, Arguments], Key]:
    return lambda keys, words: Header(name, keys.text(words))


def _days(name: str) -> Callable[[_Keys, Arguments], Key]:
    return lambda keys, words: Day(name.removeprefix("SENT"), _day(words), sent=name.startswith("SENT"))


_READERS: dict[str, Callable[[_Keys, Arguments], Key]] = {
    "ALL": lambda keys, words: All(),
    "NEW": lambda keys, words: And((_FLAGS["RECENT"], Not(_FLAGS["SEEN"]))),
    "OLD": lambda keys, words: Not(_FLAGS["RECENT"]),
    "KEYWORD": lambda keys, words: Flag(words.check_keyword(words.atom("keyword"))),
    "UNKEYWORD": lambda keys, words: Not(Flag(words.check_keyword(words.atom("keyword")))),
    "HEADER": _Keys.header,
    "BODY": lambda keys, words: Text(keys.text(words), header=False),
    "TEXT": lambda keys, words: Text(keys.text(words), header=True),
    "LARGER": lambda keys, words: Size(words.number("size"), larger=True),
    "SMALLER": lambda keys, words: Size(words.number("size"), larger=False),
    "OLDER": lambda keys, words: Age(words.number("seconds", 1), older=True),
    "YOUNGER": lambda keys, words: Age(words.number("seconds", 1), older=False),
    "UID": lambda keys, words: Numbers(words.numbers(), uid=True),
    "MODSEQ": _Keys.modified,
    "EMAILID": _object_id("EMAILID"),
    "THREADID": _object_id("THREADID"),
    **{name: _fields(name) for name in ("BCC", "CC", "FROM", "SUBJECT", "TO")},
    **{name: _days(name) for name in ("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE")},
}
