"""What an administrator's verb can end with, and the exit code each ending has: one table for every door.

Domain errors come from the store with their own sentences; those here are of the administrator's own doing.
"""

from __future__ import annotations

import errno

from daemon.config import BadSetting
from daemon.mail.address import BadAddress
from daemon.store.db import StoreBroken, StoreBusy, StoreFull
from daemon.store.errors import Exists, InUse, Invalid, Missing, OverQuota, Refusal
from daemon.store.segments import SegmentDamaged

__all__ = [
    "BadData", "BadSetting", "Exists", "InUse", "Invalid", "Missing", "NotNow", "NotPermitted", "OverQuota",
    "StoreBroken", "StoreBusy", "StoreFull", "Unavailable", "UnknownSetting", "exit_code", "sentence",
    "DONE", "FAILED", "USAGE", "DATA", "UNAVAILABLE", "TEMPORARY", "FORBIDDEN", "CONFIGURATION",
]  # fmt: skip
DONE, FAILED, USAGE, DATA, UNAVAILABLE, TEMPORARY, FORBIDDEN, CONFIGURATION = 0, 1, 64, 65, 69, 75, 77, 78


class BadData(Refusal):
    """A file or an address that was given cannot be used."""


class Unavailable(Exception):
    """A service that is needed does not answer."""


class NotNow(Exception):
    """Somebody else says no, for now or until something is put right."""


class NotPermitted(Exception):
    """Whoever asks may not."""


class UnknownSetting(BadSetting):
    """A key that no setting has."""


_CODES: tuple[tuple[tuple[type[BaseException], ...], int], ...] = (
    ((Missing, UnknownSetting), FAILED),
    ((NotNow, OverQuota, StoreBusy, StoreFull), TEMPORARY),
    ((BadAddress, BadData, Exists, Invalid, Refusal), DATA),
    ((Unavailable,), UNAVAILABLE),
    ((NotPermitted, PermissionError), FORBIDDEN),
    ((BadSetting, StoreBroken, SegmentDamaged), CONFIGURATION),
)


def exit_code(error: BaseException) -> int | None:
    """The exit code for an error that has one (sysexits); None for a fault of ours."""
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    if isinstance(error, OSError):
        return TEMPORARY if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE) else DATA
    return None


def sentence(error: BaseException) -> str:
    """What to tell: `what is wrong; what to do`."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror.lower()}"
    if isinstance(error, SegmentDamaged):
        return f"{error}; `mailctl doctor --store` says what is hurt, restore it from a backup"
    return str(error)
