"""The one search language, from words to a query. mailctl-mail(1) describes it; `WORDS` is its vocabulary.

    from:alice subject:"the plan" since:2d is:unread
    (from:shop.example or subject:order) not in:Trash larger:1M

Terms beside each other must all be true; `or` is weaker, `not` (or a leading `-`) stronger; round brackets group. A
word without a colon is looked for in subject and addresses. How it can fail: `BadData` with what was not understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from daemon.admin import words
from daemon.admin.errors import BadData
from daemon.limits import LIMITS
from daemon.store import keywords
from daemon.store.find import All, Either, Not, Query, Term

_TOKEN = re.compile(r'\s*(?:([()])|(-)?(?:([A-Za-z][A-Za-z-]*):)?("(?:[^"\\]|\\.)*"|[^\s()"]+)|(\S))')
_STATES = {
    "unread": (keywords.SEEN, False),
    "unseen": (keywords.SEEN, False),
    "read": (keywords.SEEN, True),
    "seen": (keywords.SEEN, True),
    "answered": (keywords.ANSWERED, True),
    "unanswered": (keywords.ANSWERED, False),
    "flagged": (keywords.FLAGGED, True),
    "unflagged": (keywords.FLAGGED, False),
    "deleted": (keywords.DELETED, True),
    "undeleted": (keywords.DELETED, False),
    "draft": (keywords.DRAFT, True),
}
WORDS = {
    "from": "the From field holds this",
    "to": "the To field holds this",
    "cc": "the Cc field holds this",
    "bcc": "the Bcc field holds this",
    "subject": "the subject holds this",
    "body": "the text, or the name of an attachment, holds this",
    "text": "text or any header field holds this",
    "in": "it is in this mailbox, or the one for this use (`in:junk`); `in:Lists/*` with all below",
    "is": "one of " + ", ".join(_STATES),
    "has": "`attachment`: something is attached",
    "keyword": "it has this keyword",
    "since": "received since a date, or within a span such as 2d",
    "before": "received before a date, or longer ago than a span",
    "sent-since": "the same for the Date field",
    "sent-before": "the same for the Date field",
    "larger": "larger than a size such as 1M",
    "smaller": "smaller than a size",
    "id": "the number that `mail list` shows",
    "message-id": "the Message-ID, with or without angle brackets",
    "trace": "the trace it came by",
}
_ALSO = {"newer": "since", "after": "since", "older": "before", "folder": "in", "mailbox": "in", "msgid": "message-id"}


def parse(text: str, now: int) -> Query:
    """The query that `text` writes; of nothing, everything. `now` in ms for spans. Raises `BadData`."""
    if len(text) > LIMITS.imap_line:
        raise BadData(f"a search has at most {LIMITS.imap_line} characters")
    return _Reader(_tokens(text), now).read()


def _tokens(text: str) -> Iterator[tuple[str, bool, str, str]]:
    """(mark, negated, key, value): a bracket or an operator in `mark`, or a term."""
    for found in _TOKEN.finditer(text.rstrip()):
        bracket, minus, key, value, wrong = found.groups()
        if wrong:
            raise BadData(f"{text[found.start(5) :][:20]!r} is not understood: a quotation mark has no partner")
        if bracket:
            yield bracket, False, "", ""
        elif not key and not minus and value.lower() in ("or", "not", "and"):
            yield value.lower(), False, "", ""
        else:
            if value[0] == '"':
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            yield "", bool(minus), (key or "").lower(), value


class _Reader:
    """any := all ("or" all)*; all := one*; one := "not" one | "(" any ")" | term"""

    def __init__(self, tokens: Iterator[tuple[str, bool, str, str]], now: int) -> None:
        self.tokens = list(tokens)
        self.place = 0
        self.depth = 0
        self.now = now

    def read(self) -> Query:
        query = self._any()
        if self.place < len(self.tokens):
            raise BadData("a closing bracket has no partner")
        return query

    def _mark(self) -> str:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else "end"

    def _any(self) -> Query:
        parts = [self._all()]
        while self._mark() == "or":
            self.place += 1
            parts.append(self._all())
        if len(parts) > 1 and All() in parts:
            raise BadData("`or` needs a term on both sides")
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Query:
        parts: list[Query] = []
        while (mark := self._mark()) not in ("end", ")", "or"):
            if mark == "and":
                self.place += 1
            else:
                parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Query:
        mark, negated, key, value = self.tokens[self.place]
        self.place += 1
        self.depth += 1
        if self.depth > LIMITS.imap_nesting:
            raise BadData("the search is nested too deeply")
        if mark == "not":
            if self._mark() in ("end", ")", "or", "and"):
                raise BadData("`not` needs a term behind it")
            query: Query = Not(self._one())
        elif mark == "(":
            query = self._any()
            if self._mark() != ")":
                raise BadData("an opening bracket has no partner")
            self.place += 1
        else:
            query = self._term(key, value)
        self.depth -= 1
        return Not(query) if negated else query

    def _term(self, key: str, value: str) -> Query:
        key = _ALSO.get(key, key)
        if not key:
            return Term("any", value.lower())
        if key not in WORDS:
            raise BadData(f"{key}: is not a word of the search language; it knows {', '.join(WORDS)}")
        if key in ("from", "to", "cc", "bcc", "subject", "body", "text", "keyword"):
            return Term(key, value.lower())
        if key == "in":
            below = value.endswith("/*")
            return Term("below" if below else "in", value.removesuffix("/*").removeprefix("\\").lower())
        if key == "is":
            if value.lower() not in _STATES:
                raise BadData(f"is:{value} is not understood; it knows {', '.join(_STATES)}")
            bit, wanted = _STATES[value.lower()]
            return Term("flag", bit) if wanted else Not(Term("flag", bit))
        if key == "has":
            if value.lower() not in ("attachment", "attachments"):
                raise BadData(f"has:{value} is not understood; it knows attachment")
            return Term("attachment")
        if key == "id":
            if not value.isascii() or not value.isdigit() or len(value) > 18:
                raise BadData(f"id:{value} is not a number")
            return Term("id", int(value))
        if key in ("larger", "smaller"):
            return Term(key, words.octets(value))
        if key in ("message-id", "trace"):
            return Term(key, value.strip("<>"))
        return Term(key, words.past(value, self.now))
