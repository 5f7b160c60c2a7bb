"""The whole language: which extensions there are, and where their words are declared. To add one, add a line here."""

from __future__ import annotations

from daemon.sieve import base, body, dates, environment, flags, places, variables

MODULES = (base, body, dates, environment, flags, places, variables)
"""Importing them declares their words."""

CAPABILITIES: tuple[str, ...] = (
    "body",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "comparator-i;unicode-casemap",
    "copy",
    "date",
    "encoded-character",
    "environment",
    "envelope",
    "fileinto",
    "ihave",
    "imap4flags",
    "index",
    "mailbox",
    "mailboxid",
    "relational",
    "special-use",
    "subaddress",
    "variables",
)
"""What `require` may name, as ManageSieve announces it."""
