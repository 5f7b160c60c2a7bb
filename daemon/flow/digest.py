"""Digests: once a day each user is told what the filter kept from his INBOX, if anything, and how he gets it.

Told is what was kept before the last full day ended, at the hour of a setting, and of which no digest told before: a
server that was down at that hour tells later, and nobody is told twice but after a crash at the wrong moment. The
letter goes the one road, as every notice does.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from daemon import log
from daemon.config import Config
from daemon.flow import receive
from daemon.flow.envelope import Envelope, Origin, Recipient
from daemon.flow.keeping import OTHER, RULES
from daemon.flow.postmaster import postmaster
from daemon.flow.rounds import rounds
from daemon.limits import LIMITS
from daemon.mail import digest, link
from daemon.mail.address import BadAddress, parse_address
from daemon.mail.digest import Digest, Item
from daemon.mail.link import Link
from daemon.setting_types import format_span
from daemon.store import accounts, quarantine
from daemon.store.db import Store
from daemon.store.quarantine import News, Row
from daemon.store.spool import Body
from daemon.store.tx import Tx
from daemon.trust.verdict import REASONS

_JUNK = (
    "What is in Junk you can also move to the INBOX with your mail program; the filter learns from that. What you leave"
    " there is treated as before."
)
_NO_LINKS = "What was refused is not in your mailbox; the administrator of this server can still deliver it to you."
_LINKS = "A link shows a page that asks before anything is done. Do not pass this letter on: who has a link may use it."
_ADMIN = "`mailctl quarantine show NUMBER` shows a message, `mailctl quarantine release NUMBER` delivers it."


class Digests:
    """The worker. `run` goes on until it is cancelled."""

    def __init__(self, store: Store, config: Callable[[], Config], *, every: float = LIMITS.digest_round) -> None:
        self._store = store
        self._config = config
        self._every = every

    async def run(self) -> None:
        await rounds(self._store, "digests", self.send, lambda: self._every)

    async def send(self) -> int:
        """Send what is due; how many."""
        config, made = self._config(), 0
        if not config["quarantine.keep"]:
            return 0
        before = last_hour(self._store.clock(), config["quarantine.digest_hour"])
        if config["quarantine.digest"]:
            while some := await self._store.read(quarantine.untold, before, LIMITS.digest_batch):
                for account in some:
                    made += await self._one(config, account, before)
        if config["quarantine.admin_digest"]:
            made += await self._one(config, None, before)
        return made

    async def _one(self, config: Config, account: int | None, before: int) -> bool:
        """One digest; False when there is nothing to tell any more. It is noted as told once it is there."""
        news = await self._store.read(quarantine.news, account, before)
        if news.rows:
            await self._mail(config, account, news)
        if news.last:
            await self._store.write(quarantine.told, account, before, news.last)
        return bool(news.rows)

    async def _mail(self, config: Config, account: int | None, news: News) -> None:
        made = self._store.peek(compose, config, account, news)
        if made is None:
            return
        data = digest.write(made, now=self._store.clock() / 1000, unique=secrets.token_hex(12))
        envelope = Envelope(None, [Recipient(parse_address(made.recipient), notify="NEVER")])
        receipt = await receive.accept(self._store, Origin("notice"), envelope, Body.of(data), config=config)
        denial = receipt.outcomes[0].denial
        told = {} if denial is None else {"trouble": denial.text}
        log.event("digest-sent", to=made.recipient, messages=len(made.items) + made.more, id=receipt.trace, **told)


def last_hour(now: int, hour: int) -> int:
    """The last time that it was this hour, by the clock of this machine; both in ms."""
    local = datetime.fromtimestamp(now / 1000)
    due = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return int((due if due <= local else due - timedelta(days=1)).timestamp() * 1000)


def compose(tx: Tx, config: Config, account: int | None, news: News) -> Digest | None:
    """The digest of a user, or of all; None when nobody can be written to."""
    whom = config["quarantine.admin_digest"] if account is None else None
    if account is not None and (user := accounts.by_id(tx, account)) is not None:
        whom = str(user.address)
    try:
        to = parse_address(whom or "")
    except BadAddress:
        return None
    place = "" if account is None else web_of(config)
    items = [_item(tx, row, place, config["quarantine.keep"], account is None) for row in news.rows]
    keep = f"Messages are kept for {_in_words(config['quarantine.keep'])}."
    advice = [_ADMIN] if account is None else [_LINKS if place else _NO_LINKS, _JUNK]
    sender = postmaster(tx, config.hostname, to)
    return Digest(str(sender), str(to), config.hostname, items, news.many - len(items), [*advice, keep])


def _in_words(seconds: int) -> str:
    """A span for those who know nothing of settings."""
    days, rest = divmod(seconds, 86400)
    return format_span(seconds) if rest or days < 2 else f"{days} days"


def web_of(config: Config) -> str:
    """Where the pages of this server begin; '' when it has none: a link that leads nowhere is not sent."""
    places = config["listen.https"]
    if not places:
        return ""
    return f"https://{config.hostname}" + ("" if places[0].port == 443 else f":{places[0].port}")


def _item(tx: Tx, row: Row, place: str, keep: int, everybody: bool) -> Item:
    kept = row.kept
    author = f"{kept.author_name} <{kept.author}>" if kept.author and kept.author_name else kept.author
    author = author or kept.author_name or kept.sender
    where = "in Junk" if row.junked else "refused"
    score = f" ({kept.score:.1f} points)" if kept.score else ""
    what = f"{where}: {REASONS.get(kept.reason, kept.reason)}{score}"
    links = _links(tx, row, place, keep) if place else ()
    return Item(row.id, row.at / 1000, author, kept.subject, what, row.user if everybody else "", links)


def _links(tx: Tx, row: Row, place: str, keep: int) -> tuple[tuple[str, str], ...]:
    """What the user may do himself, each for as long as the message is kept."""
    free = row.junked or RULES.get(row.kept.reason, OTHER).by == "user"
    wanted = [("release", "Deliver to my INBOX")] if free else []
    if row.kept.author:
        wanted += [("allow", "Deliver, and always let the sender in")] if free else []
        wanted += [("block", "Throw away, and block the sender")]
    key, end = quarantine.link_key(tx), row.at // 1000 + keep
    return tuple(
        (label, f"{place}/quarantine/{action}?token={link.make(Link(action, row.id, row.account_id, end), key)}")
        for action, label in wanted
    )
