"""A token as a reader can read it: for `X-Spam-Reasons`, the trace and `mailctl spam score`."""

from __future__ import annotations

_WORDS = {
    b"s:": "subject has “{}”",
    b"f:": "sender has “{}”",
    b"a:": "is addressed to {}",
    b"i:": "message-id looks like {}",
    b"r:": "came by way of {}",
    b"d:": "date has zone {}",
    b"x:": "field {}",
    b"b:": "boundary looks like {}",
    b"o:": "fields in the order {}",
    b"m:": "has a part {}",
    b"u:": "link to {}",
    b"t:": "HTML has {}",
}
_FIXED = {
    b"t:hidden": "the text is hidden",
    b"t:handler": "HTML has scripts",
    b"u:address for a host": "link to a bare IP address",
    b"u:encoded host": "link whose host is disguised",
    b"u:user before host": "link whose host is disguised",
    b"u:query": "link with parameters",
}
_KINDS = ((b"u:/", "link with “{}” in its path"), (b"u:count", "{} links"), (b"t:split words", "words split by HTML"))


def explain(token: bytes) -> str:
    """One token in words."""
    if token in _FIXED:
        return _FIXED[token]
    for mark, words in _KINDS:
        if token.startswith(mark):
            return words.format(_text(token[len(mark) :]))
    if token.startswith(b"h:"):
        text = _text(token[2:])
        return f"has field {text}" if text[:1].isupper() else text
    words = _WORDS.get(token[:2], "")
    return words.format(_text(token[2:])) if words else f"text has “{_text(token)}”"


def _text(token: bytes) -> str:
    text = token.decode("utf-8", "ignore").strip()
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
