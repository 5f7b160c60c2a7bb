"""What the full-text index knows of a query about one account: the emails that may fit, and those that surely do.

Of each term it knows what may fit and what surely does; so it is for a query, as sets are joined as its parts are. Only
what lies between the two has to be looked at: by SQL, and by reading texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from daemon.store import fulltext
from daemon.store.find import HALVES, TEXT, All, Either, Not, Query, Term
from daemon.store.fulltext import Found, Sought, View
from daemon.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Known:
    """`maybe` None: any email may fit. `terms`: the same of each term that the index helps with, of emails that may fit
    but not surely."""

    maybe: set[int] | None
    sure: set[int]
    terms: Mapping[Term, Found]

    def answer(self, term: Term, email_id: int) -> bool | None:
        """Whether a term is true of an email that may fit; None: its text decides."""
        found = self.terms.get(term)
        if found is None or email_id in found.sure:
            return None if found is None else True
        return None if email_id in found.maybe else False


def known(tx: Tx, account_id: int, query: Query) -> Known:
    wanted = dict(_sought(query))
    rest = fulltext.unread(tx, account_id) if wanted else None
    if rest is None:
        return Known(None, set(), {})
    maybe: set[int] | None = set(rest)
    sure: set[int] = set()
    terms = {term: Found(set(rest), set()) for term in wanted}
    for view in fulltext.views(tx, account_id):
        here = _Here(view, wanted)
        some, surely = between(here.get, query)
        unsure = set(range(len(view.ids))) - surely if some is None else some - surely
        sure |= view.emails(surely)
        if some is None or maybe is None:
            maybe = None
        else:
            maybe |= view.emails(some)
        for term in wanted if unsure else ():
            found = here.of(term)
            terms[term].maybe.update(view.emails(found.maybe & unsure))
            terms[term].sure.update(view.emails(found.sure & unsure))
    return Known(maybe, sure, terms)


class _Here:
    """The terms of a query in one block, each looked for when it is asked about."""

    def __init__(self, view: View, wanted: Mapping[Term, Sought]) -> None:
        self._view = view
        self._wanted = wanted
        self._found: dict[Term, Found] = {}

    def get(self, term: Term) -> Found | None:
        return self.of(term) if term in self._wanted else None

    def of(self, term: Term) -> Found:
        if term not in self._found:
            found = self._view.look(self._wanted[term])
            # In headers stands more than what other terms are about.
            self._found[term] = found if term.kind in TEXT else Found(found.maybe, set())
        return self._found[term]


def _sought(query: Query) -> Iterator[tuple[Term, Sought]]:
    match query:
        case Term("header", (_, str(text))):
            wanted = fulltext.sought(text, ("head",))
        case Term(kind, str(text)) if kind in HALVES:
            wanted = fulltext.sought(text, HALVES[kind])
        case Not(inner):
            yield from _sought(inner)
            return
        case All(parts) | Either(parts):
            for part in parts:
                yield from _sought(part)
            return
        case _:
            return
    if wanted is not None:
        yield query, wanted


def between(known: Callable[[Term], Found | None], query: Query) -> tuple[set[int] | None, set[int]]:
    """What may fit, None for all there is, and what of it surely does, out of the same for terms. A part that nothing
    fits ends the look at a conjunction."""
    match query:
        case Term():
            found = known(query)
            return (None, set()) if found is None else (found.maybe, found.sure)
        case All(parts):
            some: set[int] | None = None
            every: set[int] | None = None
            for part in parts:
                maybe, sure = between(known, part)
                if maybe is not None:
                    some = maybe if some is None else some & maybe
                every = sure if every is None else every & sure
                if some is not None and not some:
                    return some, some
            return some, every or set()
        case Either(parts):
            sides = [between(known, part) for part in parts]
            sure = set().union(*(sure for _, sure in sides))
            if any(maybe is None for maybe, _ in sides):
                return None, sure
            return set().union(*(maybe for maybe, _ in sides if maybe is not None)), sure
    return None, set()
