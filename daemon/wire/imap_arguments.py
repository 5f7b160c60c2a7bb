"""The words of a command, read in order. Every complaint is a `Bad` that names what was expected."""

from __future__ import annotations

import re

from daemon.wire.imap import Bad, Body, Ceilings, Word
from daemon.wire.imap_set import SequenceSet, parse_set
from daemon.wire.mailbox_name import checked_name

SYSTEM_FLAGS = {
    flag.upper(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent")
}
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")  # RFC 3501 §9: an atom
_NUMBER = re.compile(r"[0-9]{1,19}")
MODSEQ_MAX = (1 << 63) - 1  # RFC 7162 §7: mod-sequence values have 63 bits


class Arguments:
    """A cursor over words."""

    __slots__ = ("words", "at", "limits")

    def __init__(self, words: tuple[Word, ...], limits: Ceilings) -> None:
        self.words = words
        self.at = 0
        self.limits = limits

    def more(self) -> bool:
        return self.at < len(self.words)

    def peek(self) -> Word | None:
        return self.words[self.at] if self.at < len(self.words) else None

    def end(self) -> None:
        if self.at < len(self.words):
            raise Bad("too many arguments")

    def atom(self, what: str) -> str:
        word = self.peek()
        if not isinstance(word, str):
            raise Bad(f"{what} expected")
        self.at += 1
        return word

    def keyword(self, what: str) -> str:
        """An atom that stands for itself, in upper case."""
        return self.atom(what).upper()

    def skip_keyword(self, name: str) -> bool:
        """Is `name` next? Then pass it."""
        word = self.peek()
        if isinstance(word, str) and word.upper() == name:
            self.at += 1
            return True
        return False

    def astring(self, what: str) -> bytes:
        word = self.peek()
        if isinstance(word, str):
            self.at += 1
            return word.encode()
        return self.string(what)

    def string(self, what: str) -> bytes:
        word = self.peek()
        if not isinstance(word, bytes):
            raise Bad(f"{what} expected")
        self.at += 1
        return word

    def body(self) -> Body:
        word = self.peek()
        if not isinstance(word, Body):
            raise Bad("message literal expected")
        self.at += 1
        return word

    def has_list(self) -> bool:
        return isinstance(self.peek(), tuple)

    def listed(self, what: str) -> Arguments:
        """A cursor over the parenthesised list that is next."""
        word = self.peek()
        if not isinstance(word, tuple):
            raise Bad(f"{what} expected")
        self.at += 1
        return Arguments(word, self.limits)

    def rest(self) -> Arguments:
        """A cursor over what is left, as if it stood in parentheses."""
        words, self.at = self.words[self.at :], len(self.words)
        return Arguments(words, self.limits)

    def only(self) -> Arguments:
        """A cursor over the next word, as if it stood in parentheses."""
        words = self.words[self.at : self.at + 1]
        self.at += len(words)
        return Arguments(words, self.limits)

    def numbers(self) -> SequenceSet:
        return parse_set(self.atom("sequence set"), self.limits.imap_set_ranges)

    def number(self, what: str, least: int = 0) -> int:
        return number(self.atom(what), what, least)

    def mailbox(self) -> str:
        name = self.astring("mailbox name")
        return checked_name(name, self.limits.imap_mailbox_name, self.limits.imap_mailbox_depth)

    def flags(self) -> tuple[str, ...]:
        """A list of flags with or without parentheses (STORE has both): system flags in their own spelling, each once.

        `\\Recent` is not a client's to set and is dropped: copying tools send what they were told (traps I31).
        """
        words = self.listed("flags") if self.has_list() else self.rest()
        flags: dict[str, str] = {}
        while words.more():
            flag = words.atom("flag")
            if flag.startswith("\\"):
                if flag.upper() not in SYSTEM_FLAGS:
                    raise Bad("unknown system flag")
                flag = SYSTEM_FLAGS[flag.upper()]
            else:
                self.check_keyword(flag)
            flags.setdefault(flag.upper(), flag)
        flags.pop("\\RECENT", None)
        return tuple(flags.values())

    def check_keyword(self, name: str) -> str:
        if not _KEYWORD.fullmatch(name):
            raise Bad("a keyword with characters it may not have")
        if len(name) > self.limits.imap_keyword_name:
            raise Bad("keyword too long", status="NO", code="LIMIT")
        return name


def number(text: str, what: str, least: int = 0) -> int:
    """The number `text` from `least` up to 63 bits. Raises `Bad`."""
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= MODSEQ_MAX:
        raise Bad(f"{what} expected")
    return int(text)
