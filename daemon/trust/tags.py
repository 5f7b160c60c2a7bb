"""Tag lists, `v=1; a=rsa-sha256; ...`: what signatures and key records are written in (RFC 6376 §3.2, RFC 8616 §4).

Read strictly: a list that is not as the grammar has it was made by somebody who means to be understood in two ways, or
by a broken program whose signature fails anyway.
"""

from __future__ import annotations

import base64
import binascii
import re

_TAG = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9_]*)[ \t]*=[ \t]*([\t\x20-\x3a\x3c-\x7e\x80-\U0010ffff]*)")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_SPACE = re.compile(r"[ \t]+")

Tags = dict[str, str]


class BadTags(ValueError):
    """Not a tag list, or a value that is not what its tag asks for; the text is a phrase for a reason."""


def parse_tags(octets: bytes) -> Tags:
    """Names (their case counts) and values without folds and outer blanks. Raises `BadTags`."""
    try:
        text = _FOLD.sub("", octets.removesuffix(b"\n").removesuffix(b"\r").decode())
    except UnicodeDecodeError:
        raise BadTags("neither ASCII nor UTF-8") from None
    tags = Tags()
    written = text.split(";")
    if len(written) > 1 and not written[-1].strip(" \t"):
        written.pop()  # the one semicolon that may stand at the end
    for tag in written:
        found = _TAG.fullmatch(tag)
        if not found:
            raise BadTags("malformed tag list")
        if found[1] in tags:
            raise BadTags(f"{found[1]}= twice")
        tags[found[1]] = found[2].rstrip(" \t")
    return tags


def needed(tags: Tags, *names: str) -> None:
    """Raises `BadTags` for the first of `names` that is missing or empty."""
    for name in names:
        if not tags.get(name):
            raise BadTags(f"no {name}=")


def octets_of(tags: Tags, name: str) -> bytes:
    """A value in base64, which may have blanks anywhere. Raises `BadTags`."""
    try:
        return base64.b64decode(_SPACE.sub("", tags[name]).encode(), validate=True)
    except binascii.Error:
        raise BadTags(f"{name}= is not base64") from None


def number_of(tags: Tags, name: str, digits: int) -> int | None:
    """A value of at most so many digits; None when the tag is not there. Raises `BadTags`."""
    value = tags.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > digits:
        raise BadTags(f"{name}= is not a number")
    return int(value)


def words_of(tags: Tags, name: str, default: str = "") -> list[str]:
    """The words of a list with colons, blanks around them removed."""
    return [word.strip(" \t") for word in tags.get(name, default).split(":")]
