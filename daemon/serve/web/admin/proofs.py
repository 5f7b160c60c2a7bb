"""What decides who gets in wants more than a session: an open screen, or a cookie that was stolen, does not do it
alone. Whoever asks signed in, or said his present password, a short while ago.
"""

from __future__ import annotations

from daemon.limits import LIMITS
from daemon.serve.login import Door
from daemon.serve.web.visitors import Visitor
from daemon.store import web_sessions
from daemon.store.db import Store


class Proofs:
    """When each session's owner said his password last. They end with the process: he is asked again."""

    def __init__(self, store: Store, door: Door) -> None:
        self._store, self._door = store, door
        self._said: dict[int | None, int] = {}

    def is_fresh(self, who: Visitor) -> bool:
        """Whether he signed in, or said his password, not long ago."""
        sessions = self._store.peek(web_sessions.everyone, who.account_id)
        begun = next((each.created_at for each in sessions if each.id == who.session_id), 0)
        return max(begun, self._said.get(who.session_id, 0)) > self._ago()

    async def take(self, who: Visitor, peer: str, password: str) -> None:
        """His password, through the one door with its throttle. Raises `LoginRefused`."""
        await self._door.own(peer, str(who.identity.address), password, True)
        since = self._ago()
        self._said = {session: at for session, at in self._said.items() if at > since}
        self._said[who.session_id] = self._store.clock()

    def _ago(self) -> int:
        return self._store.clock() - LIMITS.admin_proof * 1000
