"""Flags as a client reads them: one text for each state, made once and shared by all sessions."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.store import keywords
from daemon.store.db import Store
from daemon.wire import imap_reply

RECENT = 32  # a bit that the store does not use: said of a state in the session to which the message is \Recent
SYSTEM = tuple(keywords.NAMES.values())
_MOST = 50_000  # states remembered; a mailbox has a handful


class Labels:
    """Texts for states, which are `flags | keyword set << 8` (`store.snapshot`). Safe for several threads."""

    __slots__ = ("_store", "_words", "_texts")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._words: dict[int, tuple[str, ...]] = {keywords.NONE: ()}
        self._texts: dict[int, bytes] = {}

    def words(self, state: int) -> tuple[str, ...]:
        """The keywords of a state. A set of keywords never changes."""
        number = state >> 8
        found = self._words.get(number)
        if found is None:
            if len(self._words) > _MOST:
                self._words = {keywords.NONE: ()}
            found = self._words[number] = self._store.peek(keywords.names_of, number)
        return found

    def text(self, state: int) -> bytes:
        r"""`(\Seen $Forwarded)`."""
        found = self._texts.get(state)
        if found is None:
            names = [*keywords.flag_names(state & 0xFF), *self.words(state)]
            if state & RECENT:
                names.insert(0, "\\Recent")
            if len(self._texts) > _MOST:
                self._texts = {}
            found = self._texts[state] = imap_reply.flag_list(names)
        return found


def split(flags: Iterable[str]) -> tuple[int, list[str]]:
    """A client's flags as bits and keywords."""
    bits, names = 0, []
    for flag in flags:
        bit = keywords.SYSTEM.get(flag.lower())
        if bit is None:
            names.append(flag)
        else:
            bits |= bit
    return bits, names
