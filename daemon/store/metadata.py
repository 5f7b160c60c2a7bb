"""Metadata of mailboxes and of the server (RFC 5464): values under names, kept for clients and asked by scripts.

Every user has his own: nobody else sees them, `/private` or `/shared`. Names are matched in any case and kept in lower
case. What a mailbox is for is an entry too (RFC 6154 §4), and stands in the mailbox's row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.store import mailboxes
from daemon.store.errors import Invalid, Missing
from daemon.store.tx import Tx

SPECIAL_USE = "/private/specialuse"
ADMIN = "/shared/admin"  # of the server: how to reach the administrator, for whom alone it is (RFC 5464 §3.2.1)
_ENTRY = re.compile(r"/(?:private|shared)(?:/[ -$&-)+-.0-~]+)+", re.ASCII | re.IGNORECASE)  # RFC 5464 §3.2

_VENDOR = re.compile(r"/[a-z]+/vendor(?:/[^/]+)?", re.IGNORECASE)  # too short: these have at least four levels


class NoRoom(Invalid):
    """`reason`: too-large (a value), too-many (entries of one mailbox or the server), no-room (in all)."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason

    def __reduce__(self) -> tuple[type[NoRoom], tuple[str, str]]:
        return NoRoom, (self.reason, str(self))  # it comes from another process


class BadUse(Invalid):
    """A special use that no mailbox has, or that this one cannot have."""


class Entry(NamedTuple):
    name: str
    value: bytes


def value(tx: Tx, account_id: int, mailbox_id: int | None, entry: str) -> str | None:
    """The value of one entry of a mailbox, or of the server (None), as text; None without one."""
    name = entry.lower()
    if name == SPECIAL_USE and mailbox_id is not None:
        use: str | None = tx.value(
            "select special_use from mailbox where id = ? and account_id = ?", mailbox_id, account_id
        )
        return use
    found: bytes | None = tx.value(
        "select value from metadata where account_id = ? and coalesce(mailbox_id, 0) = ? and entry = ?",
        account_id, mailbox_id or 0, name,
    )  # fmt: skip
    return None if found is None else found.decode("utf-8", "replace")


def get(tx: Tx, account_id: int, mailbox_id: int | None, names: Iterable[str], *, depth: int = 0) -> list[Entry]:
    """The entries of these names that there are, each once; with `depth` 1 those one level below too, with 2 all below.

    Reads all that a mailbox has: `LIMITS.metadata_entries` are not many.
    """
    wanted = [name.lower() for name in names]
    return [each for each in everything(tx, account_id, mailbox_id) if any(_is(each.name, n, depth) for n in wanted)]


def everything(tx: Tx, account_id: int, mailbox_id: int | None) -> list[Entry]:
    """All entries of a mailbox of this user, or of the server, by name."""
    rows = tx.all(
        "select entry, value from metadata where account_id = ?1 and coalesce(mailbox_id, 0) = coalesce(?2, 0)"
        f" union all select '{SPECIAL_USE}', cast(special_use as blob) from mailbox"
        " where id = ?2 and account_id = ?1 and special_use is not null order by 1",
        account_id, mailbox_id,
    )  # fmt: skip
    return [Entry(*row) for row in rows]


def of_mailboxes(tx: Tx, account_id: int, names: Iterable[str]) -> dict[int, dict[str, bytes]]:
    """By mailbox, the entries of these names (in lower case) that there are; the server's are not among them."""
    wanted = list(names)
    found: dict[int, dict[str, bytes]] = {}
    for mailbox_id, entry, value in tx.all(
        "select mailbox_id, entry, value from metadata where account_id = ? and mailbox_id is not null"
        f" and entry in ({','.join('?' * len(wanted))})",
        account_id, *wanted,
    ):  # fmt: skip
        found.setdefault(mailbox_id, {})[entry] = value
    if SPECIAL_USE in wanted:
        for box in mailboxes.everyone(tx, account_id):
            if box.special_use:
                found.setdefault(box.id, {})[SPECIAL_USE] = box.special_use.encode()
    return found


def _is(name: str, wanted: str, depth: int) -> bool:
    if name == wanted or not depth:
        return name == wanted
    below = name.removeprefix(f"{wanted}/")
    return below != name and (depth > 1 or "/" not in below)


def set(
    tx: Tx, account_id: int, mailbox_id: int | None, values: Mapping[str, bytes | None], *, by: int = 0
) -> list[str]:
    """Set entries, or remove them (None); the names of those that are different now. All or nothing. `by`: who it is,
    that he alone is not told of it.

    Raises `Missing` (the mailbox), `Invalid` (a name), `NoRoom`, `BadUse`.
    """
    box = None if mailbox_id is None else mailboxes.by_id(tx, mailbox_id)
    if mailbox_id is not None and (box is None or box.account_id != account_id):
        raise Missing("there is no such mailbox")
    changed: list[str] = []
    grows = False
    for name, new in values.items():
        entry = checked_entry(name)
        if entry == ADMIN and box is None:
            raise Invalid(f"{ADMIN} is the administrator's")
        if entry == SPECIAL_USE and box is not None:
            if _set_use(tx, box, new):
                changed.append(entry)
            continue
        if new is None:
            written = tx.run(
                "delete from metadata where account_id = ? and coalesce(mailbox_id, 0) = ? and entry = ?",
                account_id, mailbox_id or 0, entry,
            )  # fmt: skip
        elif len(new) > LIMITS.metadata_value:
            raise NoRoom("too-large", f"a value may have {LIMITS.metadata_value} octets")
        else:
            grows = True
            written = tx.run(
                "insert into metadata (account_id, mailbox_id, entry, value) values (?, ?, ?, ?)"
                " on conflict (account_id, coalesce(mailbox_id, 0), entry) do update set value = excluded.value"
                " where value <> excluded.value",
                account_id, mailbox_id, entry, new,
            )  # fmt: skip
        if written:
            changed.append(entry)
    if grows:
        _check_room(tx, account_id, mailbox_id)
    for entry in changed:
        tx.metadata_touched(account_id, mailbox_id, entry, by)
    return changed


def copy(tx: Tx, mailbox_id: int, to: int) -> None:
    """Give a new mailbox what another one has. Raises `NoRoom`."""
    tx.run(
        "insert into metadata (account_id, mailbox_id, entry, value) select account_id, ?, entry, value from metadata"
        " where mailbox_id = ?",
        to, mailbox_id,
    )  # fmt: skip
    account_id: int = tx.value("select account_id from mailbox where id = ?", to)
    _check_room(tx, account_id, to)


def _set_use(tx: Tx, box: mailboxes.Mailbox, new: bytes | None) -> bool:
    """RFC 6154 §4: nothing takes the use away."""
    use = None
    if new:
        use = next((use for use in mailboxes.SPECIAL_USES if use.lower().encode() == new.lower()), None)
        if use is None or box.name == mailboxes.INBOX:
            raise BadUse("that is no use this mailbox can have")
    if use == box.special_use:
        return False
    mailboxes.use_for(tx, box, use)
    return True


def _check_room(tx: Tx, account_id: int, mailbox_id: int | None) -> None:
    """Whether what was written may stay. Raises `NoRoom`, and then nothing of the work is kept."""
    count: int = tx.value(
        "select count(*) from metadata where account_id = ? and coalesce(mailbox_id, 0) = ?",
        account_id, mailbox_id or 0,
    )  # fmt: skip
    if count > LIMITS.metadata_entries:
        raise NoRoom("too-many", f"there may be {LIMITS.metadata_entries} entries")
    total, octets = tx.one(_SUMS + " where account_id = ?", account_id) or (0, 0)
    if total > LIMITS.metadata_total or octets > LIMITS.metadata_storage:
        raise NoRoom(
            "no-room",
            f"a user may have {LIMITS.metadata_total} entries of {LIMITS.metadata_storage} octets in all his mailboxes",
        )


_SUMS = "select count(*), coalesce(sum(length(entry) + length(value)), 0) from metadata"


def checked_entry(name: str) -> str:
    """The name as it is kept (RFC 5464 §3.2). Raises `Invalid`."""
    if len(name) > LIMITS.metadata_name:
        raise Invalid(f"the name of an entry has at most {LIMITS.metadata_name} characters")
    if not _ENTRY.fullmatch(name):
        raise Invalid("an entry is named /private/... or /shared/... in ASCII, without * and % and empty levels")
    if _VENDOR.fullmatch(name):
        raise Invalid("a vendor's entry is named /private/vendor/.../... or /shared/vendor/.../...")
    return name.lower()


def wrong(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """What does not hold: whose it is, and what is wrong."""
    rows = tx.all(
        "select 'metadata ' || d.entry || ' of mailbox ' || d.mailbox_id, 'is of another user than the mailbox'"
        " from metadata d join mailbox m on m.id = d.mailbox_id where m.account_id <> d.account_id union all"
        " select 'metadata ' || entry || ' of account ' || account_id, 'has a name that none has' from metadata"
        f" where entry <> lower(entry) or length(entry) > {LIMITS.metadata_name} or entry like '%/' or"
        f" entry like '%//%' or not (entry like '/private/%' or entry like '/shared/%') union all"
        " select 'metadata of account ' || account_id, 'is more than may be' from metadata group by account_id"
        f" having count(*) > {LIMITS.metadata_total}"
        f" or sum(length(entry) + length(value)) > {LIMITS.metadata_storage} limit ?",
        limit,
    )
    return [(subject, text) for subject, text in rows]
