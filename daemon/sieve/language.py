"""The whole language: which extensions there are, and where their words are declared. To add one, add a line here."""

from __future__ import annotations

from daemon.sieve import base

MODULES = (base,)
"""Importing them declares their words."""

CAPABILITIES: tuple[str, ...] = (
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "comparator-i;unicode-casemap",
    "copy",
    "encoded-character",
    "envelope",
    "fileinto",
    "relational",
    "subaddress",
)
"""What `require` may name, as ManageSieve announces it."""
