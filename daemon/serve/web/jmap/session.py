"""The Session object (RFC 8620 §2): what there is, for whom, and where. `api` tells it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec.json

from daemon.config import Config
from daemon.serve.web.jmap.method import Arguments, Capability
from daemon.serve.web.jmap.push import events
from daemon.serve.web.visitors import Visitor

API = "/jmap/api"
UPLOAD = "/jmap/upload/{accountId}/"
DOWNLOAD = "/jmap/download/{accountId}/{blobId}/{name}?type={type}"


def resource(capabilities: Sequence[Capability], config: Config, visitor: Visitor, origin: str) -> Arguments:
    """The object, with addresses under `origin`."""
    account = f"u{visitor.account_id}"
    of_account = {each.urn: each.account(config, visitor) for each in capabilities if each.account is not None}
    return {
        "capabilities": {each.urn: _absolute(each.session(config), origin) for each in capabilities},
        "accounts": {
            account: {
                "name": str(visitor.identity.address),
                "isPersonal": True,
                "isReadOnly": False,
                "accountCapabilities": of_account,
            }
        },
        "primaryAccounts": dict.fromkeys(of_account, account),
        "username": str(visitor.identity.address),
        "apiUrl": origin + API,
        "downloadUrl": origin + DOWNLOAD,
        "uploadUrl": origin + UPLOAD,
        "eventSourceUrl": origin + events.TEMPLATE,
        "state": state(capabilities, config, visitor),
    }


def _absolute(found: Arguments, origin: str) -> Arguments:
    """The same with the whole address of the socket, where it has one (RFC 8887 §3)."""
    return {**found, "url": f"wss{origin.removeprefix('https')}{found['url']}"} if "url" in found else found


def state(capabilities: Sequence[Capability], config: Config, visitor: Visitor) -> str:
    """Another one when anything of the Session object is another, its addresses aside."""
    told = [
        (each.urn, each.session(config), None if each.account is None else each.account(config, visitor))
        for each in capabilities
    ]
    whole = msgspec.json.encode((told, str(visitor.identity.address), visitor.account_id))
    return blake2b(whole, digest_size=8).hexdigest()
