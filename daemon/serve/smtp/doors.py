"""The three doors, ready to be opened: a connection with the handler of its door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.serve.connection import Owner
from daemon.serve.smtp.commands import Door
from daemon.serve.smtp.lmtp import Lmtp
from daemon.serve.smtp.mx import Mx
from daemon.serve.smtp.post import Post
from daemon.serve.smtp.session import Smtp
from daemon.serve.smtp.submission import Submission

HANDLERS: Mapping[Door, Any] = {"mx": Mx(), "submission": Submission(), "lmtp": Lmtp()}
DOORS: Mapping[str, Door] = {"smtp": "mx", "submission": "submission", "submissions": "submission", "lmtp": "lmtp"}
"""Which door a listener's name (`listen.NAME`) opens."""


def connection(owner: Owner, post: Post) -> Smtp:
    """The protocol object for a connection that came in at `owner`."""
    door = DOORS[owner.name]
    return Smtp(owner, post, door, HANDLERS[door])
