"""`urn:mailctl:owner`: what the owner of an account sees and sets that JMAP has no word for (mailctl-jmap(7)).

Each verb is the one that `mailctl` has for an administrator.
"""

import ipaddress

from daemon.config import Config, HostPort
from daemon.serve.web import export
from daemon.serve.web.jmap.method import Arguments
from daemon.serve.web.jmap.owner import credentials, mail, passkeys, rules, two_factor
from daemon.serve.web.visitors import Visitor

URN = "urn:mailctl:owner"
METHODS = {
    **credentials.METHODS,
    **mail.METHODS,
    **rules.RULE.methods,
    **two_factor.METHODS,
    **passkeys.METHODS,
}
TYPES = tuple(name.partition("/")[0] for name in METHODS if name.endswith("/get"))


def account(config: Config, visitor: Visitor) -> Arguments:
    """What stands in the session resource: where all mail is to be had, and for administrators their page."""
    told: Arguments = {"exportUrl": export.PATH}
    if visitor.admin and config["listen.admin"]:
        told["adminUrl"] = f"https://{_place(config, visitor)}/admin/"
    return told


def _place(config: Config, visitor: Visitor) -> HostPort:
    """Where that page is; of a listener on this machine only, as who sits at it, or comes by a tunnel, says it."""
    listener: HostPort = config["listen.admin"][0]
    try:
        address = ipaddress.ip_address(listener.host or "::")
    except ValueError:  # a name
        return listener
    if address.is_loopback:
        return HostPort("localhost", listener.port)
    return HostPort(visitor.host or config.hostname, listener.port) if address.is_unspecified else listener
