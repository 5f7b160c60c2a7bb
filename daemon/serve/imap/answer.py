"""How a command ends: an `Answer` is its tagged line, `No` is raised for a refusal, in one place made octets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon.store.db import StoreBroken, StoreBusy, StoreError, StoreFull
from daemon.store.errors import Exists, Invalid, Missing, OverQuota, Refusal
from daemon.store.segments import SegmentDamaged


@dataclass(frozen=True, slots=True)
class Answer:
    """The tagged line. `after` is done once it is sent (TLS, compression), `ends` closes the connection then."""

    text: str = ""
    code: str | bytes = ""
    status: str = "OK"
    after: Callable[[], Awaitable[None]] | None = None
    ends: bool = False


DONE = Answer()


class No(Exception):
    """`NO [CODE] text`, codes as in RFC 5530."""

    def __init__(self, text: str, code: str | bytes = "", status: str = "NO") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.status = status


class Goodbye(Exception):
    """The session ends here: `* BYE text`."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Torn(Exception):
    """A literal was begun and cannot be ended: only closing the connection tells the client."""


_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (Missing, "NONEXISTENT"),
    (Exists, "ALREADYEXISTS"),
    (OverQuota, "OVERQUOTA"),
    (Invalid, "CANNOT"),
)
_TROUBLES: tuple[tuple[type[Exception], str, str], ...] = (
    (StoreFull, "UNAVAILABLE", "the disk is full; nothing was changed, try again later"),
    (StoreBusy, "UNAVAILABLE", "the store is busy; nothing was changed, try again"),
    (StoreBroken, "UNAVAILABLE", "the store is out of order"),
    (StoreError, "UNAVAILABLE", "the store cannot do it now"),
    (SegmentDamaged, "CORRUPTION", "the message is damaged on disk; the administrator can see which"),
)


def refusal(error: Exception) -> No | None:
    """What the store's refusals and troubles are in IMAP; None for anything else."""
    if isinstance(error, No):
        return error
    if isinstance(error, Refusal):
        code = next((code for kind, code in _REFUSALS if isinstance(error, kind)), "")
        return No(str(error), code)
    for kind, code, text in _TROUBLES:
        if isinstance(error, kind):
            return No(text, code)
    return None
