"""Which commands make a client one that hears of mod-sequences (RFC 7162 §3.1)."""

from __future__ import annotations

from daemon.wire.imap_commands import Enable, Select, Status, Store, Value
from daemon.wire.imap_fetch import Fetch
from daemon.wire.imap_filter import Filter
from daemon.wire.imap_search import Search


def wants_modseqs(asked: Value) -> bool:
    """From a command like this on, every FETCH that tells of changed flags tells the mod-sequence too."""
    match asked:
        case Select(condstore=wanted) | Search(modseq=wanted) | Filter(modseq=wanted):
            return wanted
        case Status(items=items) | Enable(capabilities=items):
            return "HIGHESTMODSEQ" in items or "CONDSTORE" in items
        case Fetch(items=asked_items):
            return "MODSEQ" in asked_items  # CHANGEDSINCE implies it
        case Store(unchanged_since=since):
            return since is not None
    return False
