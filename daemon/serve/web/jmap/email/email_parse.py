"""Email/parse (RFC 8621 §4.9): what a blob says, read as a message that is not stored: an attached one, an upload."""

from __future__ import annotations

from daemon.limits import LIMITS
from daemon.mail.header import header_end, split_fields
from daemon.mail.message import scan
from daemon.mail.text import has_attachment, preview
from daemon.serve.web.jmap import core
from daemon.serve.web.jmap.blob import find_blob
from daemon.serve.web.jmap.blob.find_blob import Found
from daemon.serve.web.jmap.email import email_content
from daemon.serve.web.jmap.email.email_content import Content, Wanted
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError

_NONE = ("id", "threadId", "mailboxIds", "keywords", "receivedAt")  # what only stored messages have
_DEFAULT = tuple(name for name in email_content.DEFAULT if name not in email_content.META)
_ARGUMENTS: core.Spec = {
    "blobIds": (core.a_list(core.is_text), core.REQUIRED),
    "properties": core.GET["properties"],
    **email_content.ARGUMENTS,
}


async def parse(call: Call, arguments: Arguments) -> Arguments:
    asked = core.read(arguments, _ARGUMENTS)
    names = [call.created.get(name[1:], name) if name[:1] == "#" else name for name in asked["blobIds"]]
    if len(names) > LIMITS.jmap_get:
        raise MethodError("requestTooLarge", f"at most {LIMITS.jmap_get} objects at once")
    wanted = email_content.wanted(asked, _DEFAULT)
    if asked["properties"] is None:
        wanted = wanted._replace(properties=frozenset(_DEFAULT))
    parsed: dict[str, Arguments] = {}
    unreadable, missing = [], []
    for name in dict.fromkeys(names):
        found = await find_blob.find(call.store, call.account_id, name)
        if found is None:
            missing.append(name)
            continue
        told = await call.store.aside(_shown, name, found, wanted)
        if told is None:
            unreadable.append(name)
        else:
            parsed[name] = told
    return {
        "accountId": asked["accountId"],
        "parsed": parsed or None,
        "notParsable": unreadable or None,
        "notFound": missing or None,
    }


def _shown(name: str, found: Found, wanted: Wanted) -> Arguments | None:
    """The properties; None for what has no header, and so is no message."""
    data = found.data
    if not split_fields(data[: header_end(data, 0, len(data))]):
        return None
    message = scan(data)
    about: Arguments = {
        "blobId": name,
        "size": len(data),
        "hasAttachment": has_attachment(message.root),
        "preview": preview(message),
        **dict.fromkeys(_NONE),
    }
    told = {prop: value for prop, value in about.items() if prop in wanted.properties}
    root = message.root
    content = Content(b"", data, root.body, lambda: root, lambda number: find_blob.inside(name, number))
    return told | email_content.show(content, wanted)


METHODS: dict[str, Method] = {"Email/parse": parse}
