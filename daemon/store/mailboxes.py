"""Mailboxes of an account: names, counters, subscriptions. Messages in them are in `messages`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from daemon.limits import LIMITS
from daemon.store.errors import Exists, Invalid, Missing
from daemon.store.tx import Tx

INBOX = "INBOX"
SEPARATOR = "/"
STANDARD = (  # made for every new user (traps I3)
    (INBOX, None),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
)
SPECIAL_USES = frozenset(("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"))  # to make one for
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff*%]")


@dataclass(frozen=True, slots=True)
class Mailbox:
    id: int
    account_id: int
    name: str
    special_use: str | None
    subscribed: bool
    uidvalidity: int
    uidnext: int
    modseq: int
    recent_from: int
    total: int
    unseen: int
    deleted: int
    size: int
    tombstone_floor: int
    created_modseq: int
    described_modseq: int
    unread: int
    threads: int | None
    unread_threads: int | None
    sort_order: int | None

    def counted(self, threads: int, unread_threads: int) -> Mailbox:
        """The same, its threads counted again."""
        return replace(self, threads=threads, unread_threads=unread_threads)


_COLUMNS = (
    "id, account_id, name, special_use, subscribed, uidvalidity, uidnext, modseq, recent_from, total, unseen, deleted,"
    " size, tombstone_floor, created_modseq, described_modseq, unread, threads, unread_threads, sort_order"
)


def normal_name(name: str) -> str:
    """The name as it is stored: INBOX in capitals, also as the first level; no empty levels. Raises `Invalid`."""
    name = name.removesuffix(SEPARATOR)
    levels = name.split(SEPARATOR)
    if not name or "" in levels:
        raise Invalid("a mailbox name has no empty level")
    if len(name.encode("utf-8", "surrogatepass")) > LIMITS.imap_mailbox_name:
        raise Invalid(f"a mailbox name has at most {LIMITS.imap_mailbox_name} octets")
    if len(levels) > LIMITS.imap_mailbox_depth:
        raise Invalid(f"mailboxes nest at most {LIMITS.imap_mailbox_depth} deep")
    if _UNFIT.search(name):
        raise Invalid("a mailbox name has no control characters and no * or %")
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    return SEPARATOR.join(levels)


def find(tx: Tx, account_id: int, name: str) -> Mailbox | None:
    """By its stored name; `inbox` in any case is INBOX."""
    if name[:5].upper() == INBOX and (len(name) == 5 or name[5] == SEPARATOR):
        name = INBOX + name[5:]
    row = tx.one(f"select {_COLUMNS} from mailbox where account_id = ? and name = ?", account_id, name)
    return None if row is None else _mailbox(row)


def exists(tx: Tx, account_id: int, name: str) -> bool:
    """Whether there is one of this name, as `normal_name` makes it."""
    return tx.value("select 1 from mailbox where account_id = ? and name = ?", account_id, name) is not None


def get(tx: Tx, account_id: int, name: str) -> Mailbox:
    """Raises `Missing`."""
    mailbox = find(tx, account_id, name)
    if mailbox is None:
        raise Missing(f"there is no mailbox {name!r}")
    return mailbox


def by_id(tx: Tx, mailbox_id: int) -> Mailbox | None:
    row = tx.one(f"select {_COLUMNS} from mailbox where id = ?", mailbox_id)
    return None if row is None else _mailbox(row)


def for_use(tx: Tx, account_id: int, special_use: str) -> str | None:
    """The name of the mailbox an account has for a special use (the oldest of several); None when it has none."""
    name: str | None = tx.value(
        "select name from mailbox where account_id = ? and special_use = ? order by id limit 1", account_id, special_use
    )
    return name


def use_for(tx: Tx, mailbox: Mailbox, special_use: str | None) -> None:
    """Give a mailbox a special use, or take it away."""
    modseq = next_modseq(tx, mailbox.account_id)
    tx.run("update mailbox set special_use = ? where id = ?", special_use, mailbox.id)
    _described(tx, mailbox.id, modseq)
    tx.touched(mailbox.id)
    tx.account_touched(mailbox.account_id)


def role(tx: Tx, mailbox: Mailbox) -> str:
    """The special use of a mailbox, or of the nearest one above it; '' without."""
    levels = mailbox.name.split(SEPARATOR)
    for depth in range(len(levels), 0, -1):
        box = mailbox if depth == len(levels) else find(tx, mailbox.account_id, SEPARATOR.join(levels[:depth]))
        if box is not None and box.special_use:
            return box.special_use
    return ""


def modseqs(tx: Tx, mailbox_ids: Sequence[int]) -> dict[int, int]:
    """The MODSEQ of each of these mailboxes that there is: whether somebody's memory of it is still right."""
    found: dict[int, int] = {}
    for at in range(0, len(mailbox_ids), LIMITS.step):
        some = mailbox_ids[at : at + LIMITS.step]
        found.update(tx.all(f"select id, modseq from mailbox where id in ({','.join('?' * len(some))})", *some))
    return found


def everyone(tx: Tx, account_id: int) -> list[Mailbox]:
    """All of an account, INBOX first, then by name."""
    rows = tx.all(
        f"select {_COLUMNS} from mailbox where account_id = ? order by name <> 'INBOX', name",
        account_id,
    )
    return [_mailbox(r) for r in rows]


def create_standard(tx: Tx, account_id: int) -> None:
    for name, use in STANDARD:
        _insert(tx, account_id, name, use)


def create(tx: Tx, account_id: int, name: str, special_use: str | None = None) -> Mailbox:
    """Make a mailbox and the levels above it (RFC 3501 §6.3.3). Raises `Exists`, `Invalid`."""
    name = normal_name(name)
    if find(tx, account_id, name) is not None:
        raise Exists(f"there is a mailbox {name!r} already")
    if special_use is not None and special_use not in SPECIAL_USES:
        raise Invalid(f"{special_use} is not a use a mailbox can be made for")
    levels = name.split(SEPARATOR)
    if not has_room(tx, account_id, name):
        raise Invalid(f"a user has at most {LIMITS.imap_mailboxes} mailboxes")
    for depth in range(1, len(levels)):
        above = SEPARATOR.join(levels[:depth])
        if find(tx, account_id, above) is None:
            _insert(tx, account_id, above, None, subscribed=False)
    _insert(tx, account_id, name, special_use, subscribed=False)
    return get(tx, account_id, name)


def has_room(tx: Tx, account_id: int, name: str) -> bool:
    """Whether one of this name may be made, with the levels above it."""
    count: int = tx.value("select count(*) from mailbox where account_id = ?", account_id)
    return count + len(name.split(SEPARATOR)) <= LIMITS.imap_mailboxes


def rename(tx: Tx, account_id: int, old: str, new: str) -> None:
    """Also what lies below. INBOX keeps its name and gives its messages away (the caller moves them).

    Raises `Missing`, `Exists`, `Invalid`.
    """
    old, new = normal_name(old), normal_name(new)
    source = get(tx, account_id, old)
    if find(tx, account_id, new) is not None:
        raise Exists(f"there is a mailbox {new!r} already")
    if old == INBOX:
        raise Invalid("INBOX keeps its name")
    if new.startswith(old + SEPARATOR):
        raise Invalid("a mailbox cannot move into itself")
    levels = new.split(SEPARATOR)
    for depth in range(1, len(levels)):
        above = SEPARATOR.join(levels[:depth])
        if find(tx, account_id, above) is None:
            _insert(tx, account_id, above, None, subscribed=False)
    for box in (source, *below(tx, account_id, old)):
        name = normal_name(new + box.name[len(old) :])
        if find(tx, account_id, name) is not None:
            raise Exists(f"there is a mailbox {name!r} already")
        # the same messages under a name that may have been used before: a new UIDVALIDITY (RFC 3501 §6.3.5)
        waiting = tx.run("delete from subscription where account_id = ? and name = ?", account_id, name)
        tx.run(
            "update mailbox set name = ?, uidvalidity = ?, subscribed = ? where id = ?",
            name, next_uidvalidity(tx), int(box.subscribed or waiting > 0), box.id,
        )  # fmt: skip
        _described(tx, box.id, next_modseq(tx, account_id))
        tx.touched(box.id)
    tx.account_touched(account_id)


def below(tx: Tx, account_id: int, name: str) -> list[Mailbox]:
    """What lies below a name, by name."""
    rows = tx.all(
        f"select {_COLUMNS} from mailbox where account_id = ? and name > ? and name < ? order by name",
        account_id,
        name + SEPARATOR,
        name + chr(ord(SEPARATOR) + 1),
    )
    return [_mailbox(r) for r in rows]


def remove_empty(tx: Tx, mailbox: Mailbox) -> None:
    """The row of a mailbox whose messages are gone (`messages.remove_mailbox`). A subscription stays (RFC 3501 §6.3.9).

    Raises `Invalid` for INBOX.
    """
    if mailbox.name == INBOX:
        raise Invalid("INBOX cannot be removed")
    if mailbox.subscribed and _subscriptions(tx, mailbox.account_id) < LIMITS.imap_mailboxes:
        tx.run("insert into subscription (account_id, name) values (?, ?)", mailbox.account_id, mailbox.name)
    modseq = next_modseq(tx, mailbox.account_id)
    tx.run(
        "insert into mailbox_tombstone (account_id, mailbox_id, modseq) values (?, ?, ?)",
        mailbox.account_id, mailbox.id, modseq,
    )  # fmt: skip
    tx.run("delete from mailbox where id = ?", mailbox.id)
    tx.touched(mailbox.id)
    for box in below(tx, mailbox.account_id, mailbox.name):
        _described(tx, box.id, modseq)  # it lies elsewhere in the tree now
        tx.touched(box.id)
    tx.account_touched(mailbox.account_id)
    for type in ("Email", "Mailbox", "Thread"):  # nobody will find its account by its number
        tx.object_touched(mailbox.account_id, type)


def subscribe(tx: Tx, account_id: int, name: str, wanted: bool) -> None:
    """A name that does not exist may be subscribed too (RFC 3501 §6.3.6). Raises `Invalid`."""
    name = normal_name(name)
    box = find(tx, account_id, name)
    if box is not None:
        if box.subscribed != wanted:
            tx.run("update mailbox set subscribed = ? where id = ?", int(wanted), box.id)
            _described(tx, box.id, next_modseq(tx, account_id))
            tx.touched(box.id)
        return
    if wanted:
        if _subscriptions(tx, account_id) >= LIMITS.imap_mailboxes:
            raise Invalid(f"a user has at most {LIMITS.imap_mailboxes} subscriptions")
        tx.run("insert into subscription (account_id, name) values (?, ?) on conflict do nothing", account_id, name)
    else:
        tx.run("delete from subscription where account_id = ? and name = ?", account_id, name)


def subscriptions(tx: Tx, account_id: int) -> list[str]:
    """All subscribed names, those of mailboxes that do not exist too."""
    rows = tx.all(
        "select name from mailbox where account_id = ? and subscribed union"
        " select name from subscription where account_id = ? order by 1",
        account_id,
        account_id,
    )
    return [r[0] for r in rows]


def _subscriptions(tx: Tx, account_id: int) -> int:
    count: int = tx.value("select count(*) from subscription where account_id = ?", account_id)
    return count


def keep_recent(tx: Tx, mailbox_id: int, uid: int) -> None:
    """UIDs below `uid` were \\Recent to some session: they are to no other. Nobody is told."""
    tx.run("update mailbox set recent_from = ? where id = ? and recent_from < ?", uid, mailbox_id, uid)


def count_recent(tx: Tx, mailbox_id: int, uid: int) -> int:
    """How many messages have that UID or a later one (STATUS RECENT)."""
    count: int = tx.value("select count(*) from membership where mailbox_id = ? and uid >= ?", mailbox_id, uid)
    return count


def next_modseq(tx: Tx, account_id: int) -> int:
    """One sequence an account, for IMAP and JMAP alike."""
    value: int = tx.value("update account set modseq = modseq + 1 where id = ? returning modseq", account_id)
    return value


def next_uidvalidity(tx: Tx) -> int:
    """Greater than any before, also after a restore: it follows the clock when that is ahead."""
    value: int = tx.value(
        "update counter set value = max(value + 1, ?) where name = 'uidvalidity' returning value", tx.now // 1000
    )
    return value


def order(tx: Tx, mailbox: Mailbox, number: int) -> None:
    """Where the user wants it among its neighbours."""
    tx.run("update mailbox set sort_order = ? where id = ?", number, mailbox.id)
    _described(tx, mailbox.id, next_modseq(tx, mailbox.account_id))
    tx.touched(mailbox.id)


def _described(tx: Tx, mailbox_id: int, modseq: int) -> None:
    """More than the counts of a mailbox is different now."""
    tx.run("update mailbox set modseq = ?1, described_modseq = ?1 where id = ?2", modseq, mailbox_id)


def _insert(tx: Tx, account_id: int, name: str, use: str | None, *, subscribed: bool = True) -> int:
    modseq = next_modseq(tx, account_id)
    tx.account_touched(account_id)
    tx.object_touched(account_id, "Mailbox")
    waiting = tx.run("delete from subscription where account_id = ? and name = ?", account_id, name)
    for box in below(tx, account_id, name):
        _described(tx, box.id, modseq)
        tx.touched(box.id)
    return tx.insert(
        "insert into mailbox (account_id, name, special_use, subscribed, uidvalidity, modseq, created_modseq,"
        " described_modseq, threads, unread_threads) values (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6, 0, 0)",
        account_id, name, use, int(subscribed or waiting > 0), next_uidvalidity(tx), modseq,
    )  # fmt: skip


def names(boxes: Iterable[Mailbox]) -> list[str]:
    return [box.name for box in boxes]


def _mailbox(r: tuple[Any, ...]) -> Mailbox:
    return Mailbox(r[0], r[1], r[2], r[3], bool(r[4]), *r[5:])
