"""The registered domain above a name, by the public suffix list: `evil.co.uk` of `www.evil.co.uk`.

The list is read when it is first asked for: 2.5 MiB, and 40 ms.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=4096)
def registered(host: str) -> str:
    """`host` in lower case and A-labels; '' for what nobody can register."""
    return _list().privatesuffix(host) or "" if "." in host else ""


@cache
def _list() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
