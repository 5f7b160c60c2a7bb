"""Filters of Email/query as a query of the store (RFC 8621 §4.4.1), and what only the bytes of a message can say.

Texts are looked for word by word: every word, or phrase in quotes, must be there as it stands, in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.mail.decode import header_text
from daemon.mail.header import split_fields
from daemon.mail.message import body_of, scan, unpack
from daemon.mail.text import search_text
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.blob import stored_blobs
from daemon.serve.web.jmap.method import Arguments, MethodError
from daemon.store import email_find, emails, find, text_terms
from daemon.store.db import Store
from daemon.store.find import All, Either, Not, Query, Term
from daemon.store.fulltext import Found
from daemon.store.segments import SegmentDamaged
from daemon.store.tx import Tx
from daemon.wire.jmap import read_utc_date

_WORD = re.compile(r"\"([^\"]*)\"?|'([^']*)'(?=\s|\Z)|(\S+)")
_WHOLE = 1 << 20  # octets of a message read at once; of a longer one only what is looked at
_KEYWORD = re.compile(r"[!-~]{1,255}")


def words(text: str) -> list[str]:
    """What is to be found, in lower case: words and phrases in quotes."""
    found = [(a or b or c).lower() for a, b, c in _WORD.findall(text)]
    return [word for word in found if word][: LIMITS.jmap_filter]


def query_of(filter: Arguments | None) -> Query:
    """Raises `MethodError` (invalidArguments, unsupportedFilter)."""
    core.conditions(filter)
    return All() if filter is None else _query(filter)


def _query(filter: Arguments) -> Query:
    if "operator" in filter:
        inner = tuple(_query(each) for each in filter["conditions"])
        if filter["operator"] == "AND":
            return All(inner)
        return Either(inner) if filter["operator"] == "OR" else Not(Either(inner))
    parts: list[Query] = []
    for name, value in filter.items():
        if name not in _CONDITIONS:
            raise MethodError("unsupportedFilter", f"nothing is found by {name}")
        check, make = _CONDITIONS[name]
        if not check(value):
            raise core.invalid(f"{name} of a filter is not of the right type")
        parts.append(make(value))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _mailbox(value: str) -> int:
    """A number that no mailbox has for an id of nobody's."""
    return object_ids.number(object_ids.MAILBOX, value) or 0


def _elsewhere(value: list[str]) -> Query:
    return Term("elsewhere", str([_mailbox(each) for each in value]))


def _each(kind: str) -> Callable[[str], Query]:
    return lambda value: All(tuple(Term(kind, word) for word in words(value)))


def _text(value: str) -> Query:
    return All(tuple(Either((Term("any", word), Term("body", word))) for word in words(value)))


def _date(kind: str) -> Callable[[str], Query]:
    return lambda value: Term(kind, read_utc_date(value))


def _header(value: list[str]) -> Query:
    return Term("header", (value[0].lower(), value[1].lower() if len(value) > 1 else ""))


def _is_keyword(value: Any) -> bool:
    return isinstance(value, str) and _KEYWORD.fullmatch(value) is not None


def _is_header(value: Any) -> bool:
    return core.a_list(core.is_text)(value) and len(value) in (1, 2)


def _keyword(kind: str) -> Callable[[str], Query]:
    return lambda value: Term(kind, value.lower())


def is_date(value: Any) -> bool:
    return read_utc_date(value) is not None


_CONDITIONS: dict[str, tuple[core.Check, Callable[[Any], Query]]] = {
    "inMailbox": (core.is_id, lambda value: Term("mailbox", _mailbox(value))),
    "inMailboxOtherThan": (core.a_list(core.is_id), _elsewhere),
    "before": (is_date, _date("before")),
    "after": (is_date, _date("after")),
    "minSize": (core.is_unsigned, lambda value: Term("least", value)),
    "maxSize": (core.is_unsigned, lambda value: Term("most", value)),
    "allInThreadHaveKeyword": (_is_keyword, _keyword("all-keyword")),
    "someInThreadHaveKeyword": (_is_keyword, _keyword("some-keyword")),
    "noneInThreadHaveKeyword": (_is_keyword, lambda value: Not(_keyword("some-keyword")(value))),
    "hasKeyword": (_is_keyword, _keyword("keyword")),
    "notKeyword": (_is_keyword, lambda value: Not(_keyword("keyword")(value))),
    "hasAttachment": (core.is_bool, lambda value: Term("attachment", int(value))),
    "text": (core.is_text, _text),
    "from": (core.is_text, _each("from")),
    "to": (core.is_text, _each("to")),
    "cc": (core.is_text, _each("cc")),
    "bcc": (core.is_text, _each("bcc")),
    "subject": (core.is_text, _each("subject")),
    "body": (core.is_text, _each("body")),
    "header": (_is_header, _header),
}


class Looking:
    """Whether emails fit a query that their bytes have a say in. What the index is sure of is not looked at; what SQL
    knows is asked for some emails at once; bytes are read last, those of one email at a time. For a thread that may
    wait.

    `maybe`: others do not fit; None: any may.
    """

    def __init__(self, tx: Tx, store: Store, account_id: int, query: Query) -> None:
        self._tx = tx
        self._store = store
        self._account_id = account_id
        self._query = query
        self._terms = find.leaves(query, email_find.BYTES)
        self._known = text_terms.known(tx, account_id, query)
        self.maybe = self._known.maybe
        self._unread: list[int] = []
        self._rows: dict[int, emails.Email] | None = None  # of those, when the first is looked at
        self._email_id = 0
        self._body: str | None = None
        self._fields: list[tuple[str, str]] | None = None

    def fitting(self, ids: set[int]) -> set[int]:
        """Those of these emails that fit."""
        found = ids & self._known.sure
        unsure = (ids if self.maybe is None else ids & self.maybe) - found
        true = email_find.answers(self._tx, sorted(self._open(unsure)), self._terms)

        def of(term: Term) -> Found | None:
            if term in true:
                return Found(true[term], true[term])
            known = self._known.terms.get(term)
            return known and Found(known.maybe & unsure, known.sure & unsure)

        some, sure = text_terms.between(of, self._query)
        unread = sorted((unsure if some is None else some) - sure)
        self._unread, self._rows = unread, None
        for email_id in unread:
            self._email_id, self._body, self._fields = email_id, None, None
            if find.matches(self._query, {term: email_id in those for term, those in true.items()}, self._has):
                found.add(email_id)
        return found | sure

    def _open(self, ids: set[int]) -> set[int]:
        """The emails that SQL has to be asked about: those that the index does not rule out of each term."""
        some: set[int] = set()
        for term in self._terms:
            known = self._known.terms.get(term)
            some |= ids if known is None else ids & known.maybe
        return some

    def _has(self, term: Term) -> bool:
        known = self._known.answer(term, self._email_id)
        if known is not None:
            return known
        try:
            if term.kind == "body":
                return term.value in self.body()
            name, text = term.value
            return any(name == field and text in value for field, value in self.fields())
        except SegmentDamaged:
            return False  # what cannot be read is not found; Email/get tells why

    def body(self) -> str:
        """The text of its parts and the names of its files, in lower case."""
        if self._body is None:
            row = self._row()
            if row is None:
                return ""
            data = stored_blobs.Lazy(self._store, row.place)
            source: Any = data if data.length > _WHOLE else data[0 : data.length]
            root = unpack(row.parts) if row.parts else scan(data[0 : data.length]).root
            self._body = search_text(source, root)
        return self._body

    def fields(self) -> list[tuple[str, str]]:
        if self._fields is None:
            row = self._row()
            if row is None:
                return []
            data = stored_blobs.Lazy(self._store, row.place)
            body = body_of(row.parts) if row.parts else scan(data[0 : data.length]).root.body
            block = row.prefix + data[0:body]
            self._fields = [(n.decode("latin-1").lower(), header_text(v).lower()) for n, v in split_fields(block)]
        return self._fields

    def _row(self) -> emails.Email | None:
        if self._rows is None:
            self._rows = emails.rows(self._tx, self._account_id, self._unread)
        return self._rows.get(self._email_id)
