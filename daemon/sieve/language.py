"""The whole language: which extensions there are, and where their words are declared. To add one, add a line here."""

from __future__ import annotations

from daemon.sieve import base, body, dates, duplicate, environment, flags, places, replies, scores, variables

MODULES = (base, body, dates, duplicate, environment, flags, places, replies, scores, variables)
"""Importing them declares their words."""

CAPABILITIES: tuple[str, ...] = (
    "body",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "comparator-i;unicode-casemap",
    "copy",
    "date",
    "duplicate",
    "encoded-character",
    "enotify",
    "envelope",
    "environment",
    "ereject",
    "fcc",
    "fileinto",
    "ihave",
    "imap4flags",
    "index",
    "mailbox",
    "mailboxid",
    "regex",
    "reject",
    "relational",
    "spamtest",
    "spamtestplus",
    "special-use",
    "subaddress",
    "vacation",
    "vacation-seconds",
    "variables",
    "virustest",
)
"""What `require` may name, as ManageSieve announces it."""
