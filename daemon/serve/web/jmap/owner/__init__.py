"""`urn:mailctl:owner`: what the owner of an account sees and sets that JMAP has no word for (mailctl-jmap(7)).

Each verb is the one that `mailctl` has for an administrator.
"""

from daemon.config import Config
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
    """What stands in the session resource: where all mail is to be had."""
    return {"exportUrl": export.PATH}
