"""Sieve scripts: each user's with the active one, the administrator's before and after them, and what they remember.

Scripts are text here; nobody compiles them in this room. What a script remembers (whom a vacation answered, what
`duplicate` has seen, that its owner was told of an error) is written in the transaction that takes the message, and by
whether the row is new: of two messages at once one finds that the other was before it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from daemon.limits import LIMITS
from daemon.mail.address import Address
from daemon.store import domains, settings, states
from daemon.store.correspondents import name_of
from daemon.store.errors import Exists, InUse, Invalid, Missing
from daemon.store.tx import Tx

_DAY = 86_400_000  # ms
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # RFC 5804 section 1.6
PLACES = ("before", "after", "library")


class NoRoom(NamedTuple):
    """Why a script is not taken: `too-many` or `too-large` (RFC 5804 section 1.3: QUOTA/MAXSCRIPTS, QUOTA/MAXSIZE)."""

    reason: str
    text: str

    def __str__(self) -> str:
        return self.text


class Script(NamedTuple):
    """One that sees a user's mail. `place`: before, own or after."""

    place: str
    name: str
    text: str


class Global(NamedTuple):
    """One of the administrator's; `domain` "": for the users of all domains."""

    domain: str
    name: str
    place: str
    text: str


# --------------------------------------------------------------------------------------------------------- of a user


def put(tx: Tx, account_id: int, name: str, text: str) -> None:
    """Keep a script under its name; the active one stays active. Raises `Invalid` for a bad name or without room."""
    check_name(name)
    size = _octets(text)
    full = room(tx, account_id, name, size)
    if full is not None:
        raise Invalid(full.text)
    tx.run(
        "insert into sieve_script (account_id, name, text, size, changed_at) values (?, ?, ?, ?, ?)"
        " on conflict (account_id, name) do update set text = excluded.text, size = excluded.size,"
        " changed_at = excluded.changed_at",
        account_id, name, text, size, tx.now,
    )  # fmt: skip
    _changed(tx, account_id)


def get(tx: Tx, account_id: int, name: str) -> str:
    """The text. Raises `Missing`."""
    text: str | None = tx.value("select text from sieve_script where account_id = ? and name = ?", account_id, name)
    if text is None:
        raise _missing(name)
    return text


def names(tx: Tx, account_id: int) -> list[tuple[str, bool]]:
    """All of a user's scripts, and which one is active, by name."""
    rows = tx.all("select name, active from sieve_script where account_id = ? order by name", account_id)
    return [(name, bool(active)) for name, active in rows]


def active(tx: Tx, account_id: int) -> tuple[str, str] | None:
    """Name and text of the active one."""
    row = tx.one("select name, text from sieve_script where account_id = ? and active", account_id)
    return None if row is None else (row[0], row[1])


def activate(tx: Tx, account_id: int, name: str | None) -> None:
    """Make this the active one, or none of them. Raises `Missing`, and then nothing changes."""
    if name is not None:
        get(tx, account_id, name)
    tx.run("update sieve_script set active = 0 where account_id = ? and active", account_id)
    if name is not None:
        tx.run("update sieve_script set active = 1 where account_id = ? and name = ?", account_id, name)
    _changed(tx, account_id)


def remove(tx: Tx, account_id: int, name: str) -> None:
    """Raises `Missing`, and `InUse` for the active one (RFC 5804 section 2.10)."""
    row = tx.one("select active from sieve_script where account_id = ? and name = ?", account_id, name)
    if row is None:
        raise _missing(name)
    if row[0]:
        raise InUse(f"the script {name!r} is the active one")
    tx.run("delete from sieve_script where account_id = ? and name = ?", account_id, name)
    _changed(tx, account_id)


def rename(tx: Tx, account_id: int, old: str, new: str) -> None:
    """The active one stays active. Raises `Missing`, `Exists`, `Invalid`."""
    check_name(new)
    get(tx, account_id, old)
    if tx.value("select 1 from sieve_script where account_id = ? and name = ?", account_id, new):
        raise Exists(f"there is a script {new!r} already")
    tx.run("update sieve_script set name = ? where account_id = ? and name = ?", new, account_id, old)
    _changed(tx, account_id)


def _changed(tx: Tx, account_id: int) -> None:
    """His scripts are different now, and with them perhaps the rules and the answer in one of them."""
    states.changed(tx, account_id, "SieveScript", "Rule", "VacationResponse")
    tx.account_touched(account_id)


def room(tx: Tx, account_id: int, name: str, size: int) -> NoRoom | None:
    """What keeps a script of so many octets from being taken under this name, in place of what is there."""
    if size > LIMITS.sieve_script:
        return NoRoom("too-large", f"a script may have {LIMITS.sieve_script} octets")
    config = settings.load(tx)
    count, octets = tx.one(
        "select count(*), coalesce(sum(size), 0) from sieve_script where account_id = ? and name <> ?", account_id, name
    ) or (0, 0)
    if count >= config["sieve.scripts"]:
        return NoRoom("too-many", f"a user may have {config['sieve.scripts']} scripts")
    if octets + size > config["sieve.storage"]:
        return NoRoom("too-large", f"a user's scripts may have {config['sieve.storage']} octets together")
    return None


def check_name(name: str) -> None:
    """RFC 5804 section 1.6. Raises `Invalid`."""
    if not name or len(name) > LIMITS.sieve_script_name:
        raise Invalid(f"the name of a script has 1 to {LIMITS.sieve_script_name} characters")
    if _UNFIT.search(name):
        raise Invalid("the name of a script has no control characters")
    if not unicodedata.is_normalized("NFC", name):  # ManageSieve composes what it is asked for
        raise Invalid("the name of a script has composed characters (NFC)")


# ---------------------------------------------------------------------------------------------- of the administrator


def put_global(tx: Tx, name: str, text: str, *, place: str, domain: str = "") -> None:
    """For the users of a domain, or of all. Raises `Invalid`, `Missing` (no such domain)."""
    check_name(name)
    if place not in PLACES:
        raise Invalid(f"{place!r} is no place: {', '.join(PLACES)}")
    if _octets(text) > LIMITS.sieve_script:
        raise Invalid(f"a script may have {LIMITS.sieve_script} octets")
    where = _domain_id(tx, domain)
    if not tx.run(
        "update sieve_global set text = ?, place = ?, changed_at = ? where coalesce(domain_id, 0) = ? and name = ?",
        text, place, tx.now, where or 0, name,
    ):  # fmt: skip
        if tx.value("select count(*) from sieve_global") >= LIMITS.sieve_globals:
            raise Invalid(f"there may be {LIMITS.sieve_globals} global scripts")
        tx.run(
            "insert into sieve_global (domain_id, name, place, text, changed_at) values (?, ?, ?, ?, ?)",
            where, name, place, text, tx.now,
        )  # fmt: skip


def remove_global(tx: Tx, name: str, *, domain: str = "") -> None:
    """Raises `Missing`."""
    if not tx.run(
        "delete from sieve_global where coalesce(domain_id, 0) = ? and name = ?", _domain_id(tx, domain) or 0, name
    ):
        raise _missing(name)


def globals(tx: Tx) -> list[Global]:
    """All of the administrator's, those for everybody first."""
    rows = tx.all(
        "select coalesce(d.name, ''), g.name, g.place, g.text from sieve_global g"
        " left join domain d on d.id = g.domain_id order by d.name, g.name"
    )
    return [Global(*row) for row in rows]


def included(tx: Tx, account_id: int, name: str, everyone: bool) -> str | None:
    """The text of a script that another one includes: a global one of the user's domain or of all, or his own."""
    if not everyone:
        own: str | None = tx.value("select text from sieve_script where account_id = ? and name = ?", account_id, name)
        return own
    text: str | None = tx.value(
        "select text from sieve_global where name = ? and (domain_id is null or domain_id ="
        " (select domain_id from account where id = ?)) order by domain_id is null limit 1",
        name, account_id,
    )  # fmt: skip
    return text


def scripts(tx: Tx, account_id: int) -> list[Script]:
    """Those that see this user's mail, in their order: global, his own, global. Most have none."""
    rows = tx.all(
        "select 'own', name, text, 1, 0 from sieve_script where account_id = ?1 and active union all"
        " select place, name, text, iif(place = 'before', 0, 2), iif(place = 'before', 1, -1) * (domain_id is not null)"
        " from sieve_global where place <> 'library'"
        " and (domain_id is null or domain_id = (select domain_id from account where id = ?1))",
        account_id,
    )
    if len(rows) > 1:
        rows.sort(key=lambda row: (row[3], row[4], row[1]))  # what is for all stands outside of what is for a domain
    return [Script(*row[:3]) for row in rows]


# -------------------------------------------------------------------------------------------------- what is remembered


def answered(tx: Tx, account_id: int, handle: str, sender: Address) -> bool:
    """Whether this sender had this answer, and its time is not over."""
    return bool(
        tx.value(
            "select 1 from vacation_answer where account_id = ? and handle = ? and sender = ? and until_at > ?",
            account_id, handle, name_of(sender), tx.now,
        )
    )  # fmt: skip


def answer(tx: Tx, account_id: int, handle: str, sender: Address, seconds: int) -> bool:
    """Remember that he is answered now; False: he was already, or so many were that nobody new is."""
    if seconds <= 0:
        return True  # RFC 6131 section 2: each message is answered
    if tx.value("select count(*) from vacation_answer where account_id = ?", account_id) >= LIMITS.vacation_answers:
        return False  # who writes under so many names is no person; an answer to each would make us his helper
    return _remember(tx, "vacation_answer", (account_id, handle, name_of(sender)), seconds)


def seen(tx: Tx, account_id: int, handle: str) -> bool:
    """Whether `duplicate` remembers this."""
    return bool(
        tx.value(
            "select 1 from sieve_seen where account_id = ? and handle = ? and until_at > ?", account_id, handle, tx.now
        )
    )


def see(tx: Tx, account_id: int, handle: str, seconds: int, *, again: bool = False) -> bool:
    """Remember it; False: it is remembered already. `again` (`:last`): from now on, if so."""
    if again:
        tx.run("delete from sieve_seen where account_id = ? and handle = ?", account_id, handle)
    over: int = tx.value("select count(*) from sieve_seen where account_id = ?", account_id) + 1 - LIMITS.sieve_seen
    if over > 0:
        tx.run(
            "delete from sieve_seen where (account_id, handle) in (select account_id, handle from sieve_seen"
            " where account_id = ? order by until_at limit ?)",
            account_id, over,
        )  # fmt: skip
    return seconds <= 0 or _remember(tx, "sieve_seen", (account_id, handle), seconds)


def _remember(tx: Tx, table: str, key: tuple[int | str, ...], seconds: int) -> bool:
    """False: it is remembered already, or its owner was removed a moment ago."""
    columns = ("account_id", "handle", "sender")[: len(key)]
    return bool(
        tx.run(
            f"insert into {table} ({', '.join(columns)}, until_at) select {', '.join('?' * len(key))}, ?"
            " where exists (select 1 from account where id = ?)"
            f" on conflict do update set until_at = excluded.until_at where {table}.until_at <= ?",
            *key, tx.now + seconds * 1000, key[0], tx.now,
        )
    )  # fmt: skip


def may_be_told(tx: Tx, account_id: int) -> bool:
    """Whether the owner has not heard for a day that his rules go wrong."""
    return bool(
        tx.value(
            "select 1 from account where id = ? and coalesce(sieve_told_at, 0) not between ? and ?",
            account_id, tx.now - _DAY + 1, tx.now,
        )
    )  # fmt: skip


def told(tx: Tx, account_id: int) -> bool:
    """He hears it now; False: he was told within a day."""
    if not may_be_told(tx, account_id):
        return False
    tx.run("update account set sieve_told_at = ? where id = ?", tx.now, account_id)
    return True


def forget(tx: Tx, limit: int) -> int:
    """Drop up to `limit` of each that matter no more; how many went."""
    return tx.run(
        "delete from vacation_answer where (account_id, handle, sender) in"
        " (select account_id, handle, sender from vacation_answer where until_at <= ? order by until_at limit ?)",
        tx.now, limit,
    ) + tx.run(
        "delete from sieve_seen where (account_id, handle) in"
        " (select account_id, handle from sieve_seen where until_at <= ? order by until_at limit ?)",
        tx.now, limit,
    )  # fmt: skip


def wrong(tx: Tx, limit: int) -> list[tuple[str, str]]:
    """What does not hold: whose it is, and what is wrong."""
    rows = tx.all(
        "select 'script ' || id, 'has another size than it says' from sieve_script"
        " where size <> length(cast(text as blob)) or name = '' union all"
        " select 'answers of account ' || account_id, 'are remembered without a sender' from vacation_answer"
        " where sender = '' or handle = '' union all"
        " select 'answers of account ' || account_id, 'are more than may be' from vacation_answer"
        f" group by account_id having count(*) > {LIMITS.vacation_answers} union all"
        " select 'duplicates of account ' || account_id, 'are more than may be' from sieve_seen"
        f" group by account_id having count(*) > {LIMITS.sieve_seen} limit ?",
        limit,
    )
    return [(subject, text) for subject, text in rows]


def _octets(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise Invalid("a script is text in UTF-8") from None


def _domain_id(tx: Tx, domain: str) -> int | None:
    return domains.get(tx, domain).id if domain else None


def _missing(name: str) -> Missing:
    return Missing(f"there is no script {name!r}")


# ------------------------------------------------------------------------------------------------ an answer not given


def vacation_kept(tx: Tx, account_id: int) -> tuple[str, str, str, str] | None:
    """What a user's answer says when it is given: text, subject, first and last day."""
    row = tx.one("select text, subject, first_day, last_day from vacation_response where account_id = ?", account_id)
    return None if row is None else (row[0], row[1], row[2], row[3])


def keep_vacation(tx: Tx, account_id: int, text: str, subject: str, first: str, last: str) -> None:
    tx.run(
        "insert into vacation_response (account_id, text, subject, first_day, last_day) values (?, ?, ?, ?, ?)"
        " on conflict (account_id) do update set text = excluded.text, subject = excluded.subject,"
        " first_day = excluded.first_day, last_day = excluded.last_day",
        account_id, text, subject, first, last,
    )  # fmt: skip
