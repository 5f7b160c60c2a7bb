"""Email/view of `urn:mailctl:owner`: what a webmail needs to show a message, beside the message itself.

An address for a frame in which its HTML can do no harm, how many pictures from elsewhere it would fetch, who it is
really from, and the invitations in it.
"""

from __future__ import annotations

from daemon.mail import invitation, object_ids
from daemon.mail.invitation import Invitation, Person
from daemon.serve.web import viewer
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.store.db import Store
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
    return {
        "remoteImages": viewer.look(found.message, "", False).remote,
        "authentication": _authentication(really(found.prefix, authors(data).domains)),
        "invitations": [_invitation(one) for one in invitation.invitations(data, root)],
    }


def _authentication(found: Really) -> Arguments:
    return {key: value or None for key, value in found._asdict().items()}


def _invitation(one: Invitation) -> Arguments:
    told = {key: value or None for key, value in one._asdict().items()}
    return told | {
        "allDay": told.pop("all_day") is not None,
        "zone": one.zone or None,
        "organizer": _person(one.organizer),
        "attendees": [_person(each) for each in one.attendees],
        "sequence": one.sequence,
    }


def _person(one: Person | None) -> Arguments | None:
    return None if one is None else {key: value or None for key, value in one._asdict().items()}


METHODS: dict[str, Method] = {"Email/view": view}
