"""The table of what the administration page can ask: each name with its arguments, whether it changes something, and
the verb of `daemon.admin` that does it, which `mailctl` calls too.

Arguments are named as in `mailctl`; what is left out means what it means there.
"""

from __future__ import annotations

from daemon.serve.web.admin import mail_verbs, people_verbs, server_verbs
from daemon.serve.web.admin.verb import Verb

VERBS: dict[str, Verb] = {**mail_verbs.TABLE, **people_verbs.TABLE, **server_verbs.TABLE}
