"""Email/view of `urn:mailctl:owner`: what a webmail needs to show a message, beside the message itself.

An address for a frame in which its HTML can do no harm, how many pictures from elsewhere it would fetch, who it is
really from, and the invitations in it with what may be answered.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection

from daemon.mail import invitation, object_ids
from daemon.mail.invitation import Invitation, Person
from daemon.mail.invitation_reply import replies
from daemon.serve.web import viewer
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.store import accounts, identities
from daemon.store.db import Store
from daemon.store.tx import Tx
from daemon.trust.author import authors
from daemon.trust.really import Really, really

_SPEC: core.Spec = {"id": (core.is_id, core.REQUIRED), "remoteImages": (core.is_bool, False)}


async def view(call: Call, arguments: Arguments) -> Arguments:
    """`id` of an Email, `remoteImages`: with pictures from elsewhere. Raises `MethodError` (notFound)."""
    found = core.read(arguments, _SPEC)
    number = object_ids.number(object_ids.EMAIL, found["id"])
    told = None if number is None else await call.store.aside(_look, call.store, call.account_id, number)
    if told is None or number is None:
        raise MethodError("notFound", "there is no such email")
    url = viewer.address(call.store, call.account_id, number, found["remoteImages"])
    return {"accountId": found["accountId"], "id": found["id"], "url": url, **told}


def _look(store: Store, account_id: int, email_id: int) -> Arguments | None:
    found = viewer.read(store, account_id, email_id)
    if found is None:
        return None
    data, root = found.message.data, found.message.root
    own = store.read_now(_own, account_id)
    now = datetime.datetime.fromtimestamp(store.clock() // 1000, datetime.UTC)
    return {
        "remoteImages": viewer.look(found.message, "", False).remote,
        "authentication": _authentication(really(found.prefix, authors(data).domains)),
        "invitations": [_invitation(one, own, now) for one in invitation.invitations(data, root)],
    }


def _own(tx: Tx, account_id: int) -> frozenset[str]:
    """The addresses that a user may answer as."""
    account = accounts.by_id(tx, account_id)
    mine = [str(account.address)] if account is not None else []
    return frozenset(each.lower() for each in (*mine, *(one.email for one in identities.everyone(tx, account_id))))


def _authentication(found: Really) -> Arguments:
    return {key: value or None for key, value in found._asdict().items()}


def _invitation(one: Invitation, own: Collection[str], now: datetime.datetime) -> Arguments:
    told = {key: value or None for key, value in one._asdict().items()}
    answers = replies(one, own, now)
    return told | {
        "allDay": told.pop("all_day") is not None,
        "zone": one.zone or None,
        "organizer": _person(one.organizer),
        "attendees": [_person(each) for each in one.attendees],
        "sequence": one.sequence,
        "replies": None if answers is None else {"attendee": answers.attendee, **answers.texts},
    }


def _person(one: Person | None) -> Arguments | None:
    return None if one is None else {key: value or None for key, value in one._asdict().items()}


METHODS: dict[str, Method] = {"Email/view": view}
