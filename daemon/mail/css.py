"""The style of mail, written anew from what is understood of it (CSS Syntax Level 3): it may change how text looks.

It cannot fetch, cannot reach over what it belongs to, and cannot count or answer. Properties and functions are those
of two lists; what has an escape, a character that is no CSS, or a word of neither list is left out with its whole
declaration, and with its whole rule where it stands before a block. No at-rule but `@media` is kept. Addresses go
through one function of the caller's, in the few properties that show pictures.

The cost is one pass over tokens, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Picture = Callable[[str], str | None]
"""Where a picture is fetched from that a style names; None where it is not."""

_TOKEN = re.compile(
    r"""(?P<space>\s++|/\*(?s:.*?)(?:\*/|\Z)|<!--|-->)
    |(?P<string>"[^"\\\n\r\f<>]*+"|'[^'\\\n\r\f<>]*+')
    |(?P<url>url\(\s*+(?:"[^"\\\n\r\f<>]*+"|'[^'\\\n\r\f<>]*+'|[^\s"'()\\<>]*+)\s*+\))
    |(?P<function>[\w-]++\()
    |(?P<word>[-+.\#%\w!]++)
    |(?P<mark>[][{}();:,/*>~=^$|@])
    |(?P<other>.)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_FUNCTIONS = frozenset(
    ("rgb", "rgba", "hsl", "hsla", "calc", "min", "max", "clamp", "linear-gradient", "radial-gradient")
)  # fmt: skip
_PICTURES = frozenset(("background", "background-image", "list-style", "list-style-image"))
_PAINT = frozenset(("color", "background", "background-color", "background-image"))
_NO_PAINT = frozenset(("", "transparent", "inherit", "initial", "unset", "none", "currentcolor", "auto"))
_NAMES = """
align-content align-items align-self background background-attachment background-clip background-color background-image
background-origin background-position background-repeat background-size border border-bottom border-bottom-color
border-bottom-left-radius border-bottom-right-radius border-bottom-style border-bottom-width border-collapse
border-color border-left border-left-color border-left-style border-left-width border-radius border-right
border-right-color border-right-style border-right-width border-spacing border-style border-top border-top-color
border-top-left-radius border-top-right-radius border-top-style border-top-width border-width box-shadow box-sizing
break-after break-before break-inside caption-side clear color color-scheme column-gap direction display empty-cells
flex flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap float font font-family font-feature-settings
font-size font-size-adjust font-stretch font-style font-variant font-weight gap height hyphens justify-content
letter-spacing line-height list-style list-style-image list-style-position list-style-type margin margin-bottom
margin-left margin-right margin-top max-height max-width min-height min-width object-fit object-position opacity order
orphans outline outline-color outline-style outline-width overflow overflow-wrap overflow-x overflow-y padding
padding-bottom padding-left padding-right padding-top page-break-after page-break-before page-break-inside quotes
row-gap tab-size table-layout text-align text-align-last text-decoration text-decoration-color text-decoration-line
text-decoration-style text-indent text-overflow text-shadow text-transform text-underline-offset unicode-bidi
vertical-align visibility white-space widows width word-break word-spacing word-wrap writing-mode
"""
PROPERTIES = frozenset(_NAMES.split())
_IN_VALUE = frozenset(",/()*")
_IN_SELECTOR = frozenset(",>~*:[]()=^$|")
_MEDIA = re.compile(r"@media\b[\w\s(),.:/-]{1,300}", re.IGNORECASE | re.ASCII)


class Token(NamedTuple):
    kind: str
    text: str


class Styles:
    """The styles of one message. `painted`: some of them set colours, so that it was made for one background."""

    __slots__ = ("painted", "_picture")

    def __init__(self, picture: Picture) -> None:
        self.painted = False
        self._picture = picture

    def declarations(self, text: str) -> str:
        """A style attribute."""
        return self._block(_tokens(text))

    def sheet(self, text: str) -> str:
        """A style sheet. What comes out has no `<`."""
        return self._rules(_tokens(text), False)

    def _rules(self, tokens: Iterator[Token], nested: bool) -> str:
        kept = []
        before: list[Token] = []
        for token in tokens:
            if token.text == "{":
                kept.append(self._rule(before, tokens, nested))
            elif token.text == "}" and nested:
                break
            elif token.text not in (";", "}"):  # `;` ends @import and its like
                before.append(token)
                continue
            before = []
        return "".join(kept)

    def _rule(self, before: list[Token], tokens: Iterator[Token], nested: bool) -> str:
        """One rule, from behind its `{`; '' for one that is not kept."""
        head = _joined(before)
        if head.startswith("@"):
            if nested or not _MEDIA.fullmatch(head):
                _skip(tokens)
                return ""
            inner = self._rules(tokens, True)
            return f"{head}{{{inner}}}" if inner else ""
        body = self._block(tokens)
        return f"{head}{{{body}}}" if head and body and _is_selector(before) else ""

    def _block(self, tokens: Iterator[Token]) -> str:
        """Declarations up to the `}` of their block."""
        kept = []
        one: list[Token] = []
        for token in tokens:
            if token.text == "{":
                _skip(tokens)
            elif token.text in (";", "}"):
                kept.append(self._declaration(one))
                if token.text == "}":
                    one = []
                    break
            else:
                one.append(token)
                continue
            one = []
        kept.append(self._declaration(one))
        return ";".join(filter(None, kept))

    def _declaration(self, tokens: list[Token]) -> str:
        words = _stripped(tokens)
        if len(words) < 3:
            return ""
        name = words[0].text.lower()
        rest = _stripped(words[1:])
        if name not in PROPERTIES or not rest or rest[0].text != ":":
            return ""
        value = self._value(name, rest[1:])
        if not value:
            return ""
        if name in _PAINT and value.lower().removesuffix("!important").strip() not in _NO_PAINT:
            self.painted = True
        return f"{name}:{value}"

    def _value(self, name: str, tokens: Iterable[Token]) -> str:
        """'' for a value that is not understood in every token."""
        kept = []
        depth = 0
        for kind, text in tokens:
            if kind == "url":
                if name not in _PICTURES:
                    return ""
                place = self._picture(text[4:-1].strip().strip("\"'"))
                kept.append("none" if place is None else f'url("{place}")')
                continue
            if kind == "function":
                depth += 1
                if text[:-1].lower() not in _FUNCTIONS:
                    return ""
            elif kind == "mark":
                depth += {"(": 1, ")": -1}.get(text, 0)
                if text not in _IN_VALUE or depth < 0:
                    return ""
            elif kind == "other":
                return ""
            kept.append(" " if kind == "space" else text)
        return "".join(kept).strip() if not depth else ""


def _tokens(text: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(text):
        yield Token(found.lastgroup or "", found[0])


def _is_selector(tokens: Iterable[Token]) -> bool:
    return all(
        kind in ("space", "word", "string", "function") or kind == "mark" and text in _IN_SELECTOR
        for kind, text in tokens
    )


def _skip(tokens: Iterator[Token]) -> None:
    """To the end of a block, with the blocks in it."""
    depth = 1
    for token in tokens:
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        if not depth:
            return


def _stripped(tokens: list[Token]) -> list[Token]:
    start, end = 0, len(tokens)
    while start < end and tokens[start].kind == "space":
        start += 1
    while end > start and tokens[end - 1].kind == "space":
        end -= 1
    return tokens[start:end]


def _joined(tokens: list[Token]) -> str:
    return "".join(" " if token.kind == "space" else token.text for token in tokens).strip()
