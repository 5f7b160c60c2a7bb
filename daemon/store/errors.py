"""What the store raises. Every message is one sentence for whoever asked; doors choose code and form."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do it."""


class StoreFull(StoreError):
    """No room: 452 4.3.1. Nothing was written."""


class StoreBusy(StoreError):
    """Another process holds the database, or the store is closing: 451. Nothing was written."""


class StoreBroken(StoreError):
    """The database is damaged, foreign or unreadable. The message is one sentence for the administrator."""


class Refusal(Exception):
    """The store will not do this."""


class Missing(Refusal):
    """The thing named does not exist."""


class Exists(Refusal):
    """The name is taken."""


class Invalid(Refusal):
    """The value breaks a rule."""


class InUse(Refusal):
    """It stays as it is while it is used."""


class OverQuota(Refusal):
    """The mailbox's owner has no room: 452 4.2.2, NO [OVERQUOTA]."""
