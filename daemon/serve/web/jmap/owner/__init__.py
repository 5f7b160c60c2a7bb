"""`urn:mailctl:owner`: what the owner of an account sees and sets that JMAP has no word for (mailctl-jmap(7)).

Each verb is the one that `mailctl` has for an administrator.
"""

from daemon.serve.web.jmap.method import Capability
from daemon.serve.web.jmap.owner import credentials, mail, rules

URN = "urn:mailctl:owner"
METHODS = {**credentials.METHODS, **mail.METHODS, **rules.RULE.methods}
TYPES = tuple(name.partition("/")[0] for name in METHODS if name.endswith("/get"))
CAPABILITY = Capability(URN, METHODS)
