"""What administrators write for addresses, times and sizes, read in one place. All raise `BadData`."""

from __future__ import annotations

import re
from datetime import datetime

from daemon.admin.errors import BadData
from daemon.config import BadSetting, parse_size, parse_span
from daemon.mail.address import Address, BadAddress, normal_domain, parse_address


def address(text: str) -> Address:
    try:
        return parse_address(text.strip())
    except BadAddress as error:
        raise BadData(f"{text!r} is not an address: {error.reason}; write it as name@example.org") from None


def domain(text: str) -> str:
    """In lower-case A-labels."""
    try:
        name = normal_domain(text.strip())
    except BadAddress as error:
        raise BadData(f"{text!r} is not a domain: {error.reason}") from None
    if name.startswith("["):
        raise BadData(f"{text!r} is an address literal, not a domain")
    return name


def octets(text: str) -> int:
    try:
        return parse_size(text)
    except BadSetting as error:
        raise BadData(str(error)) from None


def span(text: str) -> int:
    """Milliseconds."""
    try:
        return parse_span(text) * 1000
    except BadSetting as error:
        raise BadData(str(error)) from None


def past(text: str, now: int) -> int:
    """A moment gone by, in ms: `2d` ago, or a date."""
    return now - span(text) if _is_span(text) else moment(text)


def ahead(text: str, now: int) -> int:
    """A moment to come, in ms: `90d` from now, or a date."""
    return now + span(text) if _is_span(text) else moment(text)


def moment(text: str) -> int:
    """A date with or without a time, local unless it names a zone: `2026-11-23`, `2026-11-23T16:00Z`."""
    try:
        return int(datetime.fromisoformat(text.strip()).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise BadData(f"{text!r} is neither a time span such as 2d nor a date such as 2026-11-23") from None


def _is_span(text: str) -> bool:
    return re.fullmatch(r"(\s*\d+\s*[smhdwSMHDW])+\s*", text, re.ASCII) is not None
