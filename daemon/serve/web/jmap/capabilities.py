"""The table of all that JMAP can do here: what a client names in `using`, and the methods it may call then."""

from __future__ import annotations

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.serve.web.jmap import contacts, core, mailbox, mailbox_set, owner, quota, thread
from daemon.serve.web.jmap.blob import blobs
from daemon.serve.web.jmap.email import email_get, email_parse, email_set, email_view, snippet
from daemon.serve.web.jmap.method import Arguments, Capability
from daemon.serve.web.jmap.push import socket, subscriptions
from daemon.serve.web.jmap.submission import identities, submissions, vacations
from daemon.serve.web.visitors import Visitor

_BESIDE = 1 << 20  # octets of a message for its header and text; files beside take 78 octets for 57 (base64)


def _core(config: Config) -> Arguments:
    """RFC 8620 §2."""
    return {
        "maxSizeUpload": config["limits.message_size"],
        "maxConcurrentUpload": LIMITS.uploads_at_once,
        "maxSizeRequest": LIMITS.jmap_request,
        "maxConcurrentRequests": LIMITS.jmap_concurrent,
        "maxCallsInRequest": LIMITS.jmap_calls,
        "maxObjectsInGet": LIMITS.jmap_get,
        "maxObjectsInSet": LIMITS.jmap_set,
        "collationAlgorithms": ["i;ascii-casemap", "i;unicode-casemap"],
    }


def _mail(config: Config, visitor: Visitor) -> Arguments:
    """RFC 8621 §1.3.1."""
    return {
        "maxMailboxesPerEmail": None,
        "maxMailboxDepth": LIMITS.imap_mailbox_depth,
        "maxSizeMailboxName": LIMITS.imap_mailbox_name,
        "maxSizeAttachmentsPerEmail": max(config["limits.message_size"] - _BESIDE, 0) // 78 * 57,
        "emailQuerySortOptions": list(email_get.SORTS),
        "mayCreateTopLevelMailbox": True,
    }


CAPABILITIES: tuple[Capability, ...] = (
    Capability("urn:ietf:params:jmap:core", {"Core/echo": core.echo, **subscriptions.METHODS}, _core, None),
    Capability(
        "urn:ietf:params:jmap:mail",
        {
            **mailbox.METHODS,
            "Mailbox/set": mailbox_set.set_,
            **thread.METHODS,
            **email_get.METHODS,
            **email_set.METHODS,
            **email_parse.METHODS,
            **snippet.METHODS,
        },
        account=_mail,
    ),
    Capability(
        "urn:ietf:params:jmap:submission",
        {**identities.METHODS, **submissions.METHODS},
        account=submissions.capability,
    ),
    Capability("urn:ietf:params:jmap:vacationresponse", vacations.METHODS, account=lambda config, visitor: {}),
    Capability("urn:ietf:params:jmap:blob", blobs.METHODS, account=blobs.capability),
    Capability("urn:ietf:params:jmap:quota", quota.METHODS),
    socket.CAPABILITY,
    contacts.CAPABILITY,
    Capability(owner.URN, {**owner.METHODS, **email_view.METHODS}, account=owner.account),
)
