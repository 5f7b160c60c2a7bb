"""What the full-text index knows of the terms of a query in one account, and what follows for the whole query.

Of a term it knows the emails that may fit, and those of them that surely do; of the rest the text decides. So it is for
a query: sets are joined as its parts are, and only what lies between the two has to be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

from daemon.store import fulltext
from daemon.store.find import HALVES, TEXT, All, Either, Not, Query, Term
from daemon.store.fulltext import Found
from daemon.store.tx import Tx

Known = Mapping[Term, Found]
"""By term; those that the index does not help with are left out."""


def known(tx: Tx, account_id: int, query: Query) -> Known:
    found: dict[Term, Found] = {}
    _look(tx, account_id, query, found)
    return found


def _look(tx: Tx, account_id: int, query: Query, found: dict[Term, Found]) -> None:
    match query:
        case Term():
            text, halves = _where(query)
            if text and query not in found:
                there = fulltext.look(tx, account_id, text, halves)
                if there is not None:
                    found[query] = there if query.kind in TEXT else Found(there.maybe, set())
        case Not(inner):
            _look(tx, account_id, inner, found)
        case All(parts) | Either(parts):
            for part in parts:
                _look(tx, account_id, part, found)


def _where(term: Term) -> tuple[str, tuple[str, ...]]:
    """What to look for, and in which halves of the index."""
    match term:
        case Term("header", (_, str(text))):
            return text, ("head",)
        case Term(kind, str(text)) if kind in HALVES:
            return text, HALVES[kind]
    return "", ()


def answer(known: Known, term: Term, email_id: int) -> bool | None:
    """Whether an email fits; None: its text decides."""
    found = known.get(term)
    if found is None or email_id in found.sure:
        return None if found is None else True
    return None if email_id in found.maybe else False


def between(known: Known, query: Query) -> tuple[set[int] | None, set[int]]:
    """The emails that may fit, None for all there are, and those of them that surely do."""
    match query:
        case Term():
            found = known.get(query)
            return (None, set()) if found is None else (found.maybe, found.sure)
        case All(parts) | Either(parts):
            sides = [between(known, part) for part in parts]
            if len(sides) == 1:
                return sides[0]
            maybe = [side for side, _ in sides if side is not None]
            sure = [side for _, side in sides]
            if isinstance(query, Either):
                return (set().union(*maybe) if len(maybe) == len(sides) else None), set().union(*sure)
            return (set.intersection(*maybe) if maybe else None), set.intersection(*sure) if sure else set()
    return None, set()
