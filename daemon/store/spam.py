"""What the filter learns: lessons that wait, messages that were learnt, and the sums a message is judged by.

A lesson is queued in the transaction of the move or flag that gives it (`teach`, `carried`, `relabelled`), and learnt
by a worker (`flow/learning`) that claims it, reads the message, and calls `learn`. A message is learnt once, under its
identity: the other class replaces the first, and `forget` takes away exactly what was added, for the ids that were
counted are kept. What a user learnt is his; what the house learnt (account 0) counts for everybody.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from daemon.limits import LIMITS
from daemon.mail.identity import of_id
from daemon.store import keywords, standing
from daemon.store.blobs import Place
from daemon.store.tx import Tx

if TYPE_CHECKING:
    from daemon.trust.bayes import Counts

Class = Literal["ham", "spam"]
HOUSE = 0  # the account of lessons that count for everybody
_JUNK, _NOT_JUNK = frozenset(("$junk", "junk")), frozenset(("$notjunk", "notjunk", "nonjunk"))
_ASKED = 256  # ids in one question


# -- what a message is judged by ---------------------------------------------------------------------------------------


def learnt(tx: Tx, accounts: Sequence[int]) -> dict[int, tuple[int, int]]:
    """How many ham and spam messages the house and each of these users learnt; who learnt nothing is not there."""
    owners = (HOUSE, *accounts)
    found: dict[int, tuple[int, int]] = {}
    for at in range(0, len(owners), _ASKED):
        some = owners[at : at + _ASKED]
        asked = f"select account_id, ham, spam from spam_learnt where account_id in ({','.join('?' * len(some))})"
        found |= {owner: (ham, spam) for owner, ham, spam in tx.all(asked, *some)}
    return found


def counts(
    tx: Tx, account_id: int, ids: Sequence[int], known: Mapping[int, tuple[int, int]] | None = None
) -> Counts | None:
    """What the house and this user learnt of these tokens, together; None when neither learnt anything. `known` is what
    `learnt` says of them."""
    if known is None:
        known = learnt(tx, (account_id,))
    owners = [owner for owner in dict.fromkeys((HOUSE, account_id)) if owner in known]
    if not owners:
        return None
    from daemon.trust.bayes import Counts  # late: whoever opens the store need not know how mail is judged

    tokens: dict[int, tuple[int, int]] = {}
    for owner in owners:
        for at in range(0, len(ids), _ASKED):
            some = list(ids[at : at + _ASKED])
            some += some[-1:] * (_ASKED - len(some))  # always as many: one statement, prepared once
            for token, ham, spam in tx.all(_COUNTED, owner, *some):
                before = tokens.get(token, (0, 0))
                tokens[token] = (before[0] + ham, before[1] + spam)
    return Counts(sum(known[owner][0] for owner in owners), sum(known[owner][1] for owner in owners), tokens)


_COUNTED = f"select token, ham, spam from spam_token where account_id = ? and token in ({','.join('?' * _ASKED)})"


# -- lessons -----------------------------------------------------------------------------------------------------------


def teach(tx: Tx, account_id: int, email_id: int, lesson: Class) -> None:
    """Queue a lesson about a message of this user."""
    _queue(tx, account_id, lesson, "moved", "email e where e.id = ?", email_id)


def carried(tx: Tx, account_id: int, roles: tuple[str, str], mailbox_id: int, uids: Sequence[int]) -> None:
    """A client copied or moved messages between mailboxes of these special uses; they are in `mailbox_id` now under
    `uids`, which are in order and without holes.

    What comes into Junk is spam; what leaves it is ham, unless it goes to Trash.
    """
    source, target = roles
    if (source == "\\Junk") == (target == "\\Junk") or not uids or target == "\\Trash":
        return
    _queue(
        tx, account_id, "spam" if target == "\\Junk" else "ham", "moved",
        "membership m join email e on e.id = m.email_id where m.mailbox_id = ? and m.uid between ? and ?",
        mailbox_id, uids[0], uids[-1],
    )  # fmt: skip


def appended(tx: Tx, account_id: int, role: str, email_id: int, words: Iterable[str], message_id: str) -> None:
    """A client put a message of its own into a mailbox of this special use, with these keywords.

    Some clients move mail that way. So it has left Junk, too, when it was delivered or learnt as such before.
    """
    said = said_at(role, words)
    if said:
        source = "moved" if role == "\\Junk" and said == "spam" else "keyword"
        _queue(tx, account_id, said, source, "email e where e.id = ?", email_id)
    elif role not in ("\\Trash", "\\Drafts", "\\Sent") and message_id and _was_junk(tx, account_id, message_id):
        teach(tx, account_id, email_id, "ham")


def relabelled(tx: Tx, account_id: int, before: int, after: int, which: str, *params: Any) -> None:
    """Messages are to get another set of keywords: a keyword that says what they are is a lesson, and its end is the
    lesson's end. `which` is a condition for rows of `membership` that have the set `before` now."""
    old, new = said_by(keywords.names_of(tx, before)), said_by(keywords.names_of(tx, after))
    if old != new:
        _queue(
            tx, account_id, new or f"not-{old}", "keyword",
            f"membership m join email e on e.id = m.email_id where {which}", *params,
        )  # fmt: skip


def said_by(words: Iterable[str]) -> Class | Literal[""]:
    """What keywords say a message is. Both kinds at once say nothing (RFC 9051 §2.3.2)."""
    names = {word.lower() for word in words}
    junk, not_junk = bool(names & _JUNK), bool(names & _NOT_JUNK)
    return "" if junk == not_junk else "spam" if junk else "ham"


def said_at(role: str, words: Iterable[str]) -> Class | Literal[""]:
    """What is said of a message that comes with its keywords into a mailbox of this special use: the keywords come
    first, then Junk; Trash says nothing."""
    if role == "\\Trash":
        return ""
    return said_by(words) or ("spam" if role == "\\Junk" else "")


def _queue(tx: Tx, account_id: int, lesson: str, source: str, where: str, *params: Any) -> None:
    """The last deed counts, but the end of a keyword ends only what that keyword said; and a move stays one when the
    client sets a keyword for it too."""
    tx.run(
        "insert into spam_lesson (account_id, blob_id, lesson, source)"
        f" select ?, e.blob_id, ?, ? from {where}"
        " on conflict (account_id, blob_id) do update set lesson = excluded.lesson, tries = 0, source = case"
        " when lesson = excluded.lesson and source = 'moved' then source else excluded.source end"
        " where excluded.lesson not like 'not-%'"
        " or (excluded.lesson = 'not-' || lesson and source = 'keyword')",
        account_id, lesson, source, *params,
    )  # fmt: skip
    tx.lessons_touched()


def _was_junk(tx: Tx, account_id: int, message_id: str) -> bool:
    """Whether a message with this Message-ID was learnt as spam, or delivered to a Junk mailbox of this user."""
    first = of_id(message_id)
    return bool(
        tx.value(
            "select 1 from spam_trained where account_id = ? and identity between ? and ? and class = 'spam' limit 1",
            account_id, first, first + b"\xff" * 16,
        )
        or tx.value(
            "select 1 from (select trace from event where message_id = ? order by id desc limit 20) t"
            " join event d on d.trace = t.trace and d.kind = 'delivered'"
            " join account a on a.id = ? join domain n on n.id = a.domain_id"
            " join mailbox b on b.account_id = a.id and b.name = d.detail ->> 'mailbox' and b.special_use = '\\Junk'"
            " where d.detail ->> 'user' = a.local || '@' || n.name limit 1",
            message_id, account_id,
        )
    )  # fmt: skip


class Lesson(NamedTuple):
    """A lesson that was claimed. `tries`: how often that was begun before and never ended."""

    blob_id: int
    lesson: str
    source: str
    tries: int
    place: Place


def next_learner(tx: Tx, after: int) -> int | None:
    """Whose lessons are next in turn, so that one who moves thousands does not keep the others waiting."""
    owner: int | None = tx.value("select min(account_id) from spam_lesson where account_id > ?", after)
    return owner if owner is not None else tx.value("select min(account_id) from spam_lesson")


def claim(tx: Tx, account_id: int, limit: int) -> list[Lesson]:
    """Lessons to be learnt now, noted as begun; what was begun before comes last, and one by one."""
    asked = (
        "select l.blob_id, l.lesson, l.source, l.tries, b.segment_id, b.offset, b.length from spam_lesson l"
        " join blob b on b.id = l.blob_id where l.account_id = ? and"
    )
    rows = tx.all(f"{asked} l.tries = 0 limit ?", account_id, limit) or tx.all(
        f"{asked} l.tries > 0 order by l.tries limit 1", account_id
    )
    tx.many(
        "update spam_lesson set tries = tries + 1 where account_id = ? and blob_id = ?",
        [(account_id, row[0]) for row in rows],
    )
    return [Lesson(row[0], row[1], row[2], row[3], Place(*row[4:])) for row in rows]


class Learnt(NamedTuple):
    """A lesson that was read: what it is of, and what is in it."""

    lesson: Lesson
    identity: bytes
    tokens: tuple[int, ...]


def learn_all(tx: Tx, account_id: int, learnt: Sequence[Learnt]) -> None:
    """Learn what was claimed. A lesson that was changed meanwhile waits on, as a new one; a user who is gone learns
    nothing any more."""
    there = tx.value("select 1 from account where id = ?", account_id)
    for (blob_id, lesson, source, *_), identity, tokens in learnt:
        if not drop(tx, account_id, blob_id, lesson, source) or not there:
            continue
        if lesson in ("ham", "spam"):
            if learn(tx, account_id, identity, lesson, tokens, source) and source == "moved":
                standing.heard(tx, account_id, blob_id, bad=lesson == "spam")
        else:
            forget(tx, account_id, identity, only=(lesson.removeprefix("not-"), source))


def drop(tx: Tx, account_id: int, blob_id: int, lesson: str, source: str) -> bool:
    """Take a lesson off the queue, if it is still this one."""
    return bool(
        tx.run(
            "delete from spam_lesson where account_id = ? and blob_id = ? and lesson = ? and source = ? and tries > 0",
            account_id, blob_id, lesson, source,
        )
    )  # fmt: skip


# -- what was learnt ---------------------------------------------------------------------------------------------------


def learn(tx: Tx, account_id: int, identity: bytes, class_: str, tokens: Iterable[int], source: str = "given") -> bool:
    """Count a message with these ids of tokens; whether anything changed. Learnt twice is learnt once; as the other
    class, it is that one from then on. Beyond `LIMITS.spam_lessons` the oldest of the class is forgotten."""
    row = tx.one(
        "select id, class, source, tokens from spam_trained where account_id = ? and identity = ?", account_id, identity
    )
    if row is not None and row[1] == class_:
        if source != "keyword" and row[2] == "keyword":
            tx.run("update spam_trained set source = ? where id = ?", source, row[0])
        return False
    ids = array("q", sorted(set(tokens)))
    _add(tx, account_id, class_, ids)  # before the old ones go, or rows would be deleted and made anew
    if row is not None:
        _remove(tx, account_id, row[0], row[1], row[3])
    tx.run(
        "insert into spam_trained (account_id, identity, class, source, tokens, at) values (?, ?, ?, ?, ?, ?)",
        account_id, identity, class_, source, _packed(ids), tx.now,
    )  # fmt: skip
    many = tx.value(f"select {class_} from spam_learnt where account_id = ?", account_id)
    if many > LIMITS.spam_lessons:
        _forget_oldest(tx, account_id, class_)
    return True


def forget(tx: Tx, account_id: int, identity: bytes, only: tuple[str, str] | None = None) -> bool:
    """Take away what was learnt of a message, if anything; `only`: if it is of this class and learnt this way."""
    row = tx.one(
        "select id, class, source, tokens from spam_trained where account_id = ? and identity = ?", account_id, identity
    )
    if row is None or (only is not None and row[1:3] != only):
        return False
    _remove(tx, account_id, row[0], row[1], row[3])
    return True


def forget_some(tx: Tx, account_id: int, tokens: int) -> int:
    """Forget the oldest lessons of an account, of about so many tokens together, and those that wait; how many."""
    tx.run("delete from spam_lesson where account_id = ?", account_id)
    gone = 0
    while tokens > 0:
        row = tx.one(
            "select id, class, tokens from spam_trained where account_id = ? order by class, id limit 1", account_id
        )
        if row is None:
            break
        _remove(tx, account_id, *row)
        tokens -= len(row[2]) // 8 + 1
        gone += 1
    return gone


class Sum(NamedTuple):
    """What an owner's lessons come to: messages, distinct tokens, lessons that wait, when the last one was learnt."""

    ham: int = 0
    spam: int = 0
    tokens: int = 0
    waiting: int = 0
    learnt_at: int | None = None


def summed(tx: Tx, owner: int) -> Sum:
    ham, spam = tx.one("select ham, spam from spam_learnt where account_id = ?", owner) or (0, 0)
    return Sum(
        ham, spam,
        tx.value("select count(*) from spam_token where account_id = ?", owner),
        tx.value("select count(*) from spam_lesson where account_id = ?", owner),
        tx.value("select max(at) from spam_trained where account_id = ?", owner),
    )  # fmt: skip


def trained_as(tx: Tx, owner: int, identity: bytes) -> tuple[str, array[int]] | None:
    """As what a message was learnt, and the tokens that were counted; None when it was not."""
    row = tx.one("select class, tokens from spam_trained where account_id = ? and identity = ?", owner, identity)
    return None if row is None else (row[0], unpacked(row[1]))


def forget_user(tx: Tx, account_id: int) -> None:
    """Everything of a user who goes. Much is taken away in steps before (`forget_some`)."""
    for table in ("spam_lesson", "spam_trained", "spam_token", "spam_learnt"):
        tx.run(f"delete from {table} where account_id = ?", account_id)


def _forget_oldest(tx: Tx, account_id: int, class_: str) -> None:
    row = tx.one(
        "select id, class, tokens from spam_trained where account_id = ? and class = ? order by id limit 1",
        account_id, class_,
    )  # fmt: skip
    assert row is not None
    _remove(tx, account_id, *row)


def _add(tx: Tx, account_id: int, class_: str, ids: array[int]) -> None:
    one = (1, 0) if class_ == "ham" else (0, 1)
    tx.many(
        "insert into spam_token (account_id, token, ham, spam) values (?, ?, ?, ?)"
        f" on conflict (account_id, token) do update set {class_} = {class_} + 1",
        ((account_id, token, *one) for token in ids),
    )
    tx.run(
        "insert into spam_learnt (account_id, ham, spam) values (?, ?, ?)"
        f" on conflict (account_id) do update set {class_} = {class_} + 1",
        account_id, *one,
    )  # fmt: skip


def _remove(tx: Tx, account_id: int, trained_id: int, class_: str, tokens: bytes) -> None:
    ids = [(account_id, token) for token in unpacked(tokens)]
    last = f"{class_} = 1 and {'spam' if class_ == 'ham' else 'ham'} = 0"
    tx.many(f"delete from spam_token where account_id = ? and token = ? and {last}", ids)
    tx.many(f"update spam_token set {class_} = {class_} - 1 where account_id = ? and token = ?", ids)
    tx.run(f"delete from spam_learnt where account_id = ? and {last}", account_id)
    tx.run(f"update spam_learnt set {class_} = {class_} - 1 where account_id = ?", account_id)
    tx.run("delete from spam_trained where id = ?", trained_id)


def _packed(ids: array[int]) -> bytes:
    if sys.byteorder == "big":
        ids = array("q", ids)
        ids.byteswap()
    return ids.tobytes()


def unpacked(tokens: bytes) -> array[int]:
    ids = array("q")
    ids.frombytes(tokens)
    if sys.byteorder == "big":
        ids.byteswap()
    return ids


# -- whether that is right ---------------------------------------------------------------------------------------------


def owners(tx: Tx) -> list[int]:
    """Whoever has anything here."""
    tables = ("spam_lesson", "spam_trained", "spam_token", "spam_learnt")
    return [r[0] for r in tx.all(" union ".join(f"select account_id from {table}" for table in tables) + " order by 1")]


def wrong(tx: Tx, owner: int) -> list[str]:
    """What does not hold of an owner's lessons and sums. Tokens are compared by their number and their sum."""
    found = []
    if owner != HOUSE and not tx.value("select 1 from account where id = ?", owner):
        found.append("belong to nobody")
    learnt = tx.one("select ham, spam from spam_learnt where account_id = ?", owner) or (0, 0)
    kept = tx.all("select token, ham, spam from spam_token where account_id = ?", owner)
    for class_, messages, column in (("ham", learnt[0], 1), ("spam", learnt[1], 2)):
        trained = many = total = 0
        for (tokens,) in tx.each("select tokens from spam_trained where account_id = ? and class = ?", owner, class_):
            ids = unpacked(tokens)
            trained, many, total = trained + 1, many + len(ids), total + sum(ids)
        if trained != messages:
            found.append(f"{messages} messages are counted as {class_}, {trained} were learnt")
        if (many, total) != (sum(row[column] for row in kept), sum(row[0] * row[column] for row in kept)):
            found.append(f"tokens of {class_} are not counted as they were learnt")
    return found
