"""What the IMAP sessions of one process share."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping

from daemon.config import Config
from daemon.serve.connection import Connection
from daemon.serve.imap.session import Session
from daemon.serve.imap.view import Views
from daemon.serve.login import Door, closed_accounts
from daemon.store.db import Store
from daemon.store.tx import Changes


class Imap:
    """One per process: `serve` is the whole life of one connection. Close it after the last one, before the store."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Config],
        door: Door,
        context: Callable[[], ssl.SSLContext | None] = lambda: None,
        end_point: Callable[[ssl.SSLObject], bytes | None] = lambda tls: None,
    ) -> None:
        """`config` gives the settings as they are now, `context` the TLS context for STARTTLS, `end_point` the hash
        of the certificate that a TLS connection shows."""
        self.store = store
        self.config = config
        self.door = door
        self.tls_context = context
        self.views = Views(store)
        self._end_point = end_point
        self._sessions: dict[int, set[Session]] = {}  # by account, those logged in
        self._rules: tuple[Config, int, Mapping[str, frozenset[str]]] | None = None
        self._deaf = store.listen(self._changed)

    async def serve(self, conn: Connection) -> None:
        """Talk with one client until all is said; the caller closes the connection."""
        session = Session(conn, self)
        try:
            await session.run()
        finally:
            if session.identity is not None:
                mine = self._sessions[session.account_id]
                mine.discard(session)
                if not mine:
                    del self._sessions[session.account_id]

    async def close(self) -> None:
        self._deaf()
        await self.views.close()

    # -- what sessions ask ---------------------------------------------------------------------------------------------

    def logged_in(self, session: Session) -> None:
        self._sessions.setdefault(session.account_id, set()).add(session)

    def mechanisms(self, conn: Connection) -> tuple[str, ...]:
        """SASL mechanisms that may be used on this connection now."""
        return self.door.offered(conn.tls, self.end_point(conn))

    def end_point(self, conn: Connection) -> bytes | None:
        return None if conn.ssl_object is None else self._end_point(conn.ssl_object)

    @property
    def message_size(self) -> int:
        return self._known_rules()[1]

    def capabilities_off(self, user: str | None) -> frozenset[str]:
        """What is not announced: to anybody, and to this user."""
        off = self._known_rules()[2]
        none: frozenset[str] = frozenset()
        return off.get("", none) | (off.get(user.upper(), none) if user is not None else none)

    def _known_rules(self) -> tuple[Config, int, Mapping[str, frozenset[str]]]:
        config = self.config()
        if self._rules is None or self._rules[0] is not config:
            off: dict[str, frozenset[str]] = {}
            for word in config["imap.capabilities_off"].upper().split():
                user, _, name = word.rpartition(":")
                off[user] = off.get(user, frozenset()) | {name}
            self._rules = (config, config["limits.message_size"], off)
        return self._rules

    # -- who may stay --------------------------------------------------------------------------------------------------

    def _changed(self, changes: Changes) -> None:
        """An account that was removed or disabled takes its sessions with it (D19)."""
        touched = self._sessions.keys() if changes.everything else changes.accounts & self._sessions.keys()
        if touched:
            self.views.run(self._show_out(list(touched)))

    async def _show_out(self, touched: list[int]) -> None:
        for account_id in await self.store.read(closed_accounts, touched):
            for session in tuple(self._sessions.get(account_id, ())):
                session.end("this account is disabled")
