"""LIST and LSUB: plain, extended (RFC 5258), with STATUS (RFC 5819), SPECIAL-USE (RFC 6154) and METADATA (RFC 9590)."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.wire.imap import Bad
from daemon.wire.imap_arguments import Arguments
from daemon.wire.imap_metadata import listed_entries
from daemon.wire.mailbox_name import MailboxPattern, decode_name

STATUS_ITEMS = frozenset(
    ("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE", "HIGHESTMODSEQ", "APPENDLIMIT", "MAILBOXID")
)
SELECTIONS = frozenset(("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"))


@dataclass(frozen=True, slots=True)
class List:
    """`patterns` have the reference before them. With `asks_separator` the client only wants to know that.

    `select` narrows (SUBSCRIBED, REMOTE, RECURSIVEMATCH, SPECIAL-USE), `returns` says more of each mailbox (SUBSCRIBED,
    CHILDREN, SPECIAL-USE; what a selection implies is in it); `status` are the items for `* STATUS` after each,
    `metadata` the entries for `* METADATA`.
    """

    patterns: tuple[str, ...]
    asks_separator: bool = False
    extended: bool = False
    select: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()

    def matchers(self) -> list[MailboxPattern]:
        return [MailboxPattern(pattern) for pattern in self.patterns]


@dataclass(frozen=True, slots=True)
class Lsub:
    pattern: str

    def matcher(self) -> MailboxPattern:
        return MailboxPattern(self.pattern)


def status_items(words: Arguments) -> tuple[str, ...]:
    """What STATUS is asked for, each once. Raises `Bad`."""
    items = [words.keyword("STATUS item")]
    while words.more():
        items.append(words.keyword("STATUS item"))
    if unknown := set(items) - STATUS_ITEMS:
        raise Bad(f"unknown STATUS item {min(unknown)}")
    return tuple(dict.fromkeys(items))


def parse_list(words: Arguments) -> List:
    """Raises `Bad`."""
    extended = False
    select: set[str] = set()
    if words.has_list():
        extended = True
        select = _selection(words.listed("selection options"))
    reference = _pattern(words)
    if words.has_list():
        extended = True
        listed = words.listed("patterns")
        patterns = [_pattern(listed)]
        while listed.more():
            patterns.append(_pattern(listed))
        if len(patterns) > words.limits.imap_list_patterns:
            raise Bad(f"over {words.limits.imap_list_patterns} patterns")
    else:
        patterns = [_pattern(words)]
    returns: set[str] = select & {"SUBSCRIBED", "SPECIAL-USE"}  # RFC 5258 §3.1, RFC 6154 §2
    status: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    if words.skip_keyword("RETURN"):
        extended = True
        listed = words.listed("RETURN options")
        while listed.more():
            option = listed.keyword("RETURN option")
            if option == "STATUS":
                status = status_items(listed.listed("STATUS items"))
            elif option == "METADATA":
                metadata = listed_entries(listed)
            elif option in ("SUBSCRIBED", "CHILDREN", "SPECIAL-USE"):
                returns.add(option)
            else:
                raise Bad("unknown RETURN option")
    joined = tuple(dict.fromkeys(reference + pattern for pattern in patterns))
    asks_separator = not extended and patterns == [""]
    return List(joined, asks_separator, extended, frozenset(select), frozenset(returns), status, metadata)


def parse_lsub(words: Arguments) -> Lsub:
    """Raises `Bad`."""
    return Lsub(_pattern(words) + _pattern(words))


def _selection(words: Arguments) -> set[str]:
    options = set()
    while words.more():
        options.add(words.keyword("selection option"))
    if options - SELECTIONS:
        raise Bad("unknown selection option")
    if "RECURSIVEMATCH" in options and not options & {"SUBSCRIBED", "SPECIAL-USE"}:
        raise Bad("RECURSIVEMATCH wants something to match")  # RFC 5258 §3.1
    return options


def _pattern(words: Arguments) -> str:
    wire = words.astring("mailbox pattern")
    if len(wire) > words.limits.imap_mailbox_name:
        raise Bad("mailbox pattern too long")
    try:
        return decode_name(wire.decode())
    except UnicodeDecodeError:
        raise Bad("a mailbox pattern that is not modified UTF-7") from None
