"""What the IMAP sessions of one process share."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping

from daemon.config import Config
from daemon.serve.connection import Connection
from daemon.serve.imap.metadata_news import Watchers
from daemon.serve.imap.session import Session
from daemon.serve.imap.view import Views
from daemon.serve.login import Door
from daemon.store.db import Store


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
        self.watchers = Watchers(store)
        self._end_point = end_point
        self._rules: tuple[Config, int, Mapping[str, frozenset[str]]] | None = None

    async def serve(self, conn: Connection) -> None:
        """Talk with one client until all is said; the caller closes the connection."""
        session = Session(conn, self)
        try:
            await session.run()
        finally:
            self.door.sessions.leave(session.live)

    async def close(self) -> None:
        self.watchers.close()
        await self.views.close()

    # -- what sessions ask ---------------------------------------------------------------------------------------------

    def logged_in(self, session: Session) -> None:
        assert session.identity is not None
        session.live = self.door.sessions.enter(session.identity, "imap", session.conn, session.end)

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
