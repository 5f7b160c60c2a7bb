"""The rows: every figure that was asked for, in the order in which they are measured."""

from __future__ import annotations

from typing import Literal

from bench.believed import BELIEVED, FILTERED, Judged, judged
from bench.browsing import seen, shown
from bench.delivering import delivered, relayed
from bench.listing import first_page, found, paged
from bench.peers_filters import names
from bench.pushing import pushed
from bench.reading import copied, fetched, logins, retrieved, searched
from bench.resting import alone, idling
from bench.row import DEFAULT_PEERS, Figure, Row, Target
from bench.ruling import costing
from bench.sieving import beside_itself, ruled_by

MIB = 1 << 20


def _deliver(name: str, title: str, sessions: int, each: int, *flags: str) -> Row:
    return Row(
        name,
        f"2 KB, {sessions} sessions, {title}",
        delivered(sessions, each, 2048, *flags),
        (
            Figure("rate", "delivered to the mailbox", "msg/s", True, Target("at least", 4)),
            Figure("cpu", "CPU per 1,000 messages", "s", False, Target("at most", 0.25)),
        ),
    )


def _judged(name: str, sessions: int, title: str, by: Judged, filters: str, wanted: float) -> Row:
    return Row(
        f"{name}-{sessions}",
        f"10 KB, signed, {sessions} sessions, {title}",
        judged(by, sessions),
        (
            Figure("rate", "delivered to the mailbox", "msg/s", True, Target("at least", wanted)),
            Figure("cpu", "CPU per 1,000 messages", "s", False),
        ),
        names(filters),
        settings=by.settings,
    )


def _believed(sessions: int) -> Row:
    return _judged("believed", sessions, "checked by SPF, DKIM and DMARC", BELIEVED, "trust", 2.5)


def _filtered(sessions: int) -> Row:
    return _judged("filtered", sessions, "all checks: proofs, blocklists, words", FILTERED, "rspamd", 3)


def _relay(sessions: int) -> Row:
    return Row(
        f"relay-{sessions}",
        f"2 KB, {sessions} session{'s' if sessions > 1 else ''}, relayed to a sink",
        relayed(sessions),
        (
            Figure("rate", "at the sink", "msg/s", True, Target("at least", 3)),
            Figure("cpu", "CPU per 1,000 messages", "s", False),
        ),
    )


def _login(name: str, title: str, peers: tuple[str, ...], target: Target | None, *flags: str) -> Row:
    return Row(
        name,
        f"IMAP login + logout, 10 at once, {title}",
        logins(10, *flags),
        (Figure("rate", "sessions", "/s", True, target), Figure("cpu", "CPU per 1,000 sessions", "s", False)),
        peers,
    )


def _found(name: str, title: str, by: Literal["jmap", "imap"]) -> Row:
    return Row(
        name,
        f"16 texts in 100,000 different messages, {title}",
        found(by),
        (
            Figure("p95", "answer, p95", "ms", False, Target("under", 300)),
            Figure("ms", "answer", "ms", False),
            Figure("first", "the connection's first", "ms", False),
        ),
        note="words of all, some or none of the messages, phrases, pieces of words; Dovecot has no full-text index",
    )


ROWS = (
    Row("idle", "idle, 100 users", alone,
        (Figure("rss", "resident", "MiB", False, Target("under", 120)), Figure("pss", "proportional", "MiB", False)),
        fresh=True),
    _deliver("deliver-10", "many messages a session", 10, 0),
    _deliver("deliver-50", "many messages a session", 50, 0),
    _deliver("deliver-10-tls", "many messages a session, STARTTLS", 10, 0, "-S"),
    _deliver("deliver-50-tls", "many messages a session, STARTTLS", 50, 0, "-S"),
    _deliver("deliver-10-each", "one message a session", 10, 1),
    _deliver("deliver-50-each", "one message a session", 50, 1),
    _deliver("deliver-10-each-tls", "one message a session, STARTTLS", 10, 1, "-S"),
    _deliver("deliver-50-each-tls", "one message a session, STARTTLS", 50, 1, "-S"),
    Row("deliver-1mb", "1 MB, 10 sessions, many messages a session", delivered(10, 0, MIB),
        (Figure("rate", "delivered to the mailbox", "msg/s", True, Target("at least", 2)),
         Figure("cpu", "CPU per 1,000 messages", "s", False))),
    _believed(10),
    _believed(50),
    _filtered(10),
    _filtered(50),
    Row("rules-10", "2 KB, 10 sessions, many messages a session, 10 rules for each user; all lie where they say",
        ruled_by,
        (Figure("rate", "delivered to the right mailbox", "msg/s", True, Target("at least", 3)),
         Figure("cpu", "CPU per 1,000 messages", "s", False)),
        names("sieve")),
    Row("rules-share", "the same, our server with the 10 rules beside itself without, four runs in turn", beside_itself,
        (Figure("share", "rate with rules, of that without", "%", True, Target("from", 85)),
         Figure("rate", "with", "msg/s", True),
         Figure("plain", "without", "msg/s", True),
         Figure("more", "more CPU for a message", "%", False)),
        peers=()),
    Row("rules-50", "50 rules, a message of 10 KB, in one process, compiled before", costing(50),
        (Figure("cpu", "CPU of the plan with them beyond that without", "ms", False, Target("under", 1)),
         Figure("run", "of it reading the header and running", "ms", False),
         Figure("compile", "compiling, once", "ms", False)),
        peers=()),
    Row("push", "20 messages/s offered to 10 idling mailboxes", pushed,
        (Figure("p99", "dot to IDLE push, p99", "ms", False, Target("under", 50)),
         Figure("p50", "dot to IDLE push, p50", "ms", False),
         Figure("missed", "never pushed", "", False)),
        note="what was not pushed 5 s after the last dot counts as 5,000 ms"),
    _login("login", "default set-up", DEFAULT_PEERS, Target("at least", 8)),
    _login("login-tls", "default set-up, STARTTLS", DEFAULT_PEERS, Target("at least", 8), "-S"),
    _login("login-tuned", "Dovecot tuned for logins", ("pd-tuned",), None),
    _login("login-tuned-tls", "Dovecot tuned for logins, STARTTLS", ("pd-tuned",), None, "-S"),
    Row("pop3", "POP3 RETR of 10,000 messages", retrieved,
        (Figure("rate", "messages", "/s", True, Target("at least", 1)), Figure("mb", "bytes", "MB/s", True))),
    Row("peek", "IMAP FETCH 1:* (UID BODY.PEEK[]) of 10,000", fetched("Box10k", "(UID BODY.PEEK[])"),
        (Figure("rate", "messages", "/s", True, Target("at least", 1)), Figure("mb", "bytes", "MB/s", True))),
    Row("flags", "FETCH 1:* (UID FLAGS) of 100,000", fetched("Box100k", "(UID FLAGS)"),
        (Figure("ms", "answer", "ms", False, Target("at most", 1.2)),
         Figure("first", "the connection's first", "ms", False))),
    Row("envelope", "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE) of 100,000",
        fetched("Box100k", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
        (Figure("ms", "answer", "ms", False, Target("at most", 0.7)),
         Figure("first", "the connection's first", "ms", False))),
    Row("search", "SEARCH BODY xylophone in 100,000, of which 2,000 have it", searched("Box100k", "BODY xylophone"),
        (Figure("ms", "answer", "ms", False, Target("at most", 1)),
         Figure("first", "the connection's first", "ms", False))),
    Row("copy", "COPY of 10,000", copied,
        (Figure("ms", "answer", "ms", False, Target("at most", 1)),)),
    Row("jmap", "pages of 50 of 10,000 in turn, one connection: SEARCH and FETCH, or Email/query and Email/get",
        paged,
        (Figure("rate", "messages, by JMAP (the peers: IMAP)", "/s", True),
         Figure("imap", "messages, by IMAP", "/s", True),
         Figure("rate_cpu", "CPU per 1,000, by JMAP (the peers: IMAP)", "s", False),
         Figure("imap_cpu", "CPU per 1,000, by IMAP", "s", False)),
        note="UID SEARCH ALL tells all numbers each time; who wants a mailbox as it is asks by FETCH alone"),
    Row("page", "first page of 100,000, as the webmail asks: 50 conversations (the peers: 50 messages, by IMAP)",
        first_page,
        (Figure("p95", "answer, p95", "ms", False, Target("under", 300)),
         Figure("ms", "answer", "ms", False),
         Figure("first", "the connection's first", "ms", False, Target("under", 300)))),
    Row("page-browser", "the same in chromium, from reload to rows painted", shown,
        (Figure("p95", "p95", "ms", False, Target("under", 1000)), Figure("ms", "median", "ms", False)),
        peers=()),
    _found("search-text", "the newest 50: Email/query and Email/get (the peers: SEARCH TEXT and FETCH)", "jmap"),
    _found("search-body", "UID SEARCH BODY", "imap"),
    Row("seen", "a star set in a browser, taken off by IMAP: until another browser and an idling client see it", seen,
        (Figure("worst", "the latest of all", "ms", False, Target("under", 500)),
         Figure("browser_p50", "browser to browser, p50", "ms", False),
         Figure("imap_p50", "browser to IDLE, p50", "ms", False),
         Figure("store_p50", "STORE to both browsers, p50", "ms", False)),
        peers=()),
    _relay(1),
    _relay(10),
    Row("idle-5000", "5,000 idle IMAP connections (the peers: 500)", idling,
        (Figure("each", "memory for one", "KiB", False, Target("under", 40)),
         Figure("rss", "resident with all", "MiB", False),
         Figure("core", "CPU meanwhile, of one core", "%", False)),
        fresh=True),
)  # fmt: skip
