"""Scripts made ready: compiled once, held by their content, bounded in memory; and which of them take long."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.sieve import Program, ScriptErrors, compile
from daemon.store import sieve
from daemon.store.tx import Tx


class Heavy(Exception):
    """Too much for the writer that everybody waits for: plan again in a thread of the server."""


_Asked = tuple[tuple[str, bool, str | None], ...]  # what was included: name, whether a global one, its text


class _Held(NamedTuple):
    program: Program | ScriptErrors
    included: _Asked
    size: int


class Programs:
    """Compiled scripts by content, the ones used last, and what is wrong with those that cannot be compiled."""

    def __init__(self) -> None:
        self._held: OrderedDict[object, _Held] = OrderedDict()
        self._size = 0
        self._slow: dict[object, float] = {}  # those of the held that took their time, and until when that counts
        self._complaints: set[tuple[int, str]] = set()
        self._lock = Lock()

    def get(self, tx: Tx, account_id: int, text: str, *, inline: bool = False) -> Program:
        """Raises `ScriptErrors`; and `Heavy`, `inline`, for what takes long to compile, or did to run."""
        key = _key(account_id, text)
        if inline and self._slow.get(key, 0.0) > time.monotonic():
            raise Heavy
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                self._held.move_to_end(key)
        if held is None or any(sieve.included(tx, account_id, name, all_) != was for name, all_, was in held.included):
            held = _compiled(tx, account_id, text, LIMITS.sieve_inline if inline else None)
            self._keep(key, held)
        if isinstance(held.program, ScriptErrors):
            raise held.program
        return held.program

    def _keep(self, key: object, held: _Held) -> None:
        with self._lock:
            old = self._held.pop(key, None)
            self._size += held.size - (old.size if old is not None else 0)
            self._held[key] = held
            while self._size > LIMITS.sieve_programs and len(self._held) > 1:
                gone, old = self._held.popitem(last=False)
                self._size -= old.size
                self._slow.pop(gone, None)

    def took(self, account_id: int, text: str, seconds: float) -> None:
        """How long a run was: who must not wait does not wait for it again soon."""
        key, slow = _key(account_id, text), seconds * 1000 > LIMITS.sieve_quick
        if not slow and key not in self._slow:
            return
        with self._lock:
            if slow and key in self._held:
                self._slow[key] = time.monotonic() + LIMITS.sieve_slow
            else:
                self._slow.pop(key, None)

    def complain(self, text: str, fault: str) -> bool:
        """Whether nobody was told of this fault yet: a script of all users would fill the log with it."""
        with self._lock:
            key = (hash(text), fault)
            if key in self._complaints:
                return False
            if len(self._complaints) >= LIMITS.sieve_complaints:
                self._complaints.clear()
            self._complaints.add(key)
            return True

    def __len__(self) -> int:
        return len(self._held)


def _key(account_id: int, text: str) -> object:
    """The same text includes other scripts for another user."""
    return (account_id, text) if "include" in text else text


def _compiled(tx: Tx, account_id: int, text: str, most: int | None) -> _Held:
    """Raises `Heavy` for more than `most` characters, with those of the scripts that it includes."""
    asked: dict[tuple[str, bool], str | None] = {}

    def library(name: str, everyone: bool) -> str | None:
        asked[name, everyone] = found = sieve.included(tx, account_id, name, everyone)
        if most is not None and len(text) + sum(len(each or "") for each in asked.values()) > most:
            raise Heavy
        return found

    if most is not None and len(text) > most:
        raise Heavy

    program: Program | ScriptErrors
    try:
        program = compile(text, library)
    except ScriptErrors as errors:
        program = errors
    included = tuple([(*key, found) for key, found in asked.items()])
    return _Held(program, included, len(text) + sum(len(found or "") for _, _, found in included))


programs = Programs()  # of this process
