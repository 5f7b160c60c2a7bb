"""One line an event, the same keys everywhere: `event=refused reason=unknown-user ip=192.0.2.1 id=...`.

A postmaster greps an id from the connection to the bounce. Never a password, never a message's text.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

_logger = logging.getLogger("maild")
_PLAIN = re.compile(r"[!#-\[\]-~]+")  # printable ASCII without space, quote, backslash
_say: Callable[[str], None] = _logger.info  # how an event's line is said


def start(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send log lines to `stream` (stderr). Libraries that log every command are told to be quiet."""
    global _say
    lines = _Lines(stream or sys.stderr)
    root = logging.getLogger()
    root.handlers[:] = [lines]
    _say = lines.say if level <= logging.INFO else _logger.info
    # What no line of ours shows is not looked up for each (logging HOWTO, "Optimization"): a line costs a third then.
    vars(logging).update(
        logThreads=False, logProcesses=False, logMultiprocessing=False, logAsyncioTasks=False, _srcfile=None
    )  # fmt: skip
    root.setLevel(logging.WARNING)
    _logger.setLevel(level)
    logging.getLogger("mail.log").setLevel(logging.WARNING)


class _Lines(logging.StreamHandler[TextIO]):
    """Time and message; the time of a second is made once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._second = 0
        self._stamp = ""

    def say(self, message: str) -> None:
        """A line without a record made of it first, which costs more than the line."""
        with self.lock, contextlib.suppress(Exception):  # type: ignore[union-attr]
            self.stream.write(f"{self._at(time.time())} {message}\n")
            self.stream.flush()

    def _at(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(second))
        return f"{self._stamp}.{int((now - second) * 1000):03d}"

    def format(self, record: logging.LogRecord) -> str:
        text = f"{self._at(record.created)} {record.getMessage()}"
        if record.exc_info and not isinstance(record.exc_info, bool):
            text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return text


def event(name: str, **fields: Any) -> None:
    """Log one event. Fields that are None are left out; values are quoted when they need it."""
    _say(line(name, fields))


def trouble(name: str, **fields: Any) -> None:
    """Something an administrator should look at."""
    _logger.warning(line(name, fields))


def fault(name: str, error: BaseException, **fields: Any) -> None:
    """A fault of ours, with its traceback. `fields` should carry the reference that the peer was told."""
    _logger.error(line(name, fields), exc_info=error)


def line(name: str, fields: dict[str, Any]) -> str:
    """The text of one event."""
    out = [f"event={name}"]
    for key, value in fields.items():
        if value is None:
            continue
        text = str(value)
        out.append(f"{key}={text if _PLAIN.fullmatch(text) else _quoted(text)}")
    return " ".join(out)


def _quoted(text: str) -> str:
    safe = text.replace("\\", "\\\\").replace('"', '\\"')
    if not safe.isprintable():
        safe = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in safe)
    return f'"{safe}"'
