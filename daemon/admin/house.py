"""Opening the store for an administrator, with one clear sentence when that cannot be."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from sqlite3 import DatabaseError

from daemon.admin.errors import Missing, NotPermitted
from daemon.config import BadSetting, DataDir
from daemon.store import settings
from daemon.store.db import Store, StoreBroken

__all__ = ["Store", "open_store"]


def open_store(path: Path, *, create: bool = True) -> Store:
    """The store in `path`, made when it is not there (mode 0700) unless `create` is false.

    Raises `NotPermitted`, `StoreBroken` for a directory or database that cannot be used, and `Missing`.
    """
    data = DataDir(path)
    try:
        if not create and not data.database.exists():
            raise Missing(f"there is no mail server's data in {path}")
        for place in (data.database, path):
            if place.exists() and not os.access(place, os.R_OK | os.W_OK):
                raise NotPermitted(f"{place} belongs to somebody else; become its owner, or name another with --data")
        store = Store.open(data)
        with contextlib.suppress(BadSetting, DatabaseError):  # said to who asks for settings; others may mend them
            store.reserve = store.read_now(settings.load)["store.reserve"]
        return store
    except PermissionError as error:
        raise NotPermitted(
            f"{error.filename or path}: not permitted; become the server's user, or name another directory with --data"
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreBroken(
            f"{error.filename or path} cannot be a data directory ({error.strerror}); name another with --data"
        ) from None
