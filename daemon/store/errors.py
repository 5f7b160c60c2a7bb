"""What domain functions raise. Every message is one sentence for whoever asked; doors choose code and form."""

from __future__ import annotations


class Refusal(Exception):
    """The store will not do this."""


class Missing(Refusal):
    """The thing named does not exist."""


class Exists(Refusal):
    """The name is taken."""


class Invalid(Refusal):
    """The value breaks a rule."""


class OverQuota(Refusal):
    """The mailbox's owner has no room: 452 4.2.2, NO [OVERQUOTA]."""
