"""SearchSnippet/get (RFC 8621 §5): where in subject and text of an email the words of a search are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from daemon.limits import LIMITS
from daemon.mail import bodies, object_ids, snippets
from daemon.mail.decode import decode_text, decode_transfer
from daemon.mail.message import Part, dress
from daemon.mail.text import strip_html
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.blob import stored_blobs
from daemon.serve.web.jmap.email import email_filter, email_get
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.store import emails
from daemon.store.db import Store
from daemon.store.find import All, Either, Query, Term
from daemon.store.segments import SegmentDamaged

_SPEC: core.Spec = {
    "filter": (core.or_null(core.is_object), None),
    "emailIds": (core.a_list(core.is_id), core.REQUIRED),
}
_IN_SUBJECT = frozenset(("any", "subject"))


async def get(call: Call, arguments: Arguments) -> Arguments:
    """SearchSnippet/get."""
    found = core.read(arguments, _SPEC)
    if len(found["emailIds"]) > LIMITS.jmap_get:
        raise MethodError("requestTooLarge", f"at most {LIMITS.jmap_get} emails are looked at at once")
    terms = list(_terms(email_filter.query_of(found["filter"])))
    subject = [str(term.value) for term in terms if term.kind in _IN_SUBJECT]
    body = [str(term.value) for term in terms if term.kind == "body"]
    ids = list(dict.fromkeys(found["emailIds"]))
    told = await call.store.aside_long(_snippets, call.store, call.account_id, ids, subject, body)
    there = {each["emailId"] for each in told}
    missing = [each for each in ids if each not in there]
    return {"accountId": found["accountId"], "list": told, "notFound": missing or None}


def _terms(query: Query) -> Iterator[Term]:
    """What is looked for, and not what must be missing."""
    match query:
        case Term():
            yield query
        case All(parts) | Either(parts):
            for part in parts:
                yield from _terms(part)


def _snippets(
    store: Store, account_id: int, ids: Sequence[str], subject: Sequence[str], body: Sequence[str]
) -> list[Arguments]:
    rows = store.read_now(emails.rows, account_id, core.numbers(object_ids.EMAIL, ids))
    found = []
    for number in core.numbers(object_ids.EMAIL, ids):
        row = rows.get(number)
        if row is None:
            continue
        title = store.read_now(emails.subject, row.blob_id)
        preview = _preview(store, row, body) if body else None
        found.append({"emailId": f"e{number}", "subject": snippets.marked(title, subject), "preview": preview})
    return found


def _preview(store: Store, row: emails.Email, words: Sequence[str]) -> str | None:
    """Out of the first part that has one of them, as a reader sees it."""
    data: Any = stored_blobs.Lazy(store, row.place)
    try:
        root = email_get.tree(row, data)
        dress(data, root)
        read = bodies.bodies(root)
        for part in {id(part): part for part in (*read.text, *read.html)}.values():
            if part.type == "text":
                shown = snippets.around(_text(data, part), words)
                if shown is not None:
                    return shown
    except SegmentDamaged:
        pass  # Email/get tells
    return None


def _text(data: stored_blobs.Lazy, part: Part) -> str:
    raw = data[part.body : min(part.end, part.body + 4 * LIMITS.search_text)]
    text = decode_text(decode_transfer(raw, part.encoding), part.charset, cut=True)
    return strip_html(text) if part.subtype == "html" else text


METHODS: dict[str, Method] = {"SearchSnippet/get": get}
