"""What the text of a setting may be: the types of `config`, each with what reads it and what it refuses.

Text is what the administrator writes, values are what the program uses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.limits import LIMITS

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BadSetting(ValueError):
    """The text is not a value of this setting; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class HostPort:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Socket:
    """Where another program listens: the `path` of a Unix socket, or a host and port."""

    path: str = ""
    at: HostPort | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.at is None else f"inet{'6' if ':' in self.at.host else ''}:{self.at}"


def _text(text: str) -> str:
    if any(ord(c) < 32 for c in text):
        raise BadSetting("must be one line of text")
    return text


def hostname(text: str) -> str:
    """A host's name in lower case, without the last dot. Raises `BadSetting`."""
    name = text.strip().rstrip(".").lower()
    if not re.fullmatch(
        r"(?=.{1,253}$)([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", name
    ):
        raise BadSetting(f"{text!r} is not a host name")
    return name


def _flag(text: str) -> bool:
    try:
        return {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}[text.strip().lower()]
    except KeyError:
        raise BadSetting(f"{text!r} is not yes or no") from None


def _count(text: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or len(text) > 12:
        raise BadSetting(f"{text!r} is not a number")
    return int(text)


def _hour(text: str) -> int:
    if (hour := _count(text)) > 23:
        raise BadSetting(f"{text!r} is not an hour from 0 to 23")
    return hour


_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(text: str) -> int:
    """Octets from `50M`, `1.5 GiB`, `1024`. Raises `BadSetting`."""
    found = re.fullmatch(r"\s*(\d{1,15})(\.\d{1,3})?\s*([kmgt]?)(i?b)?\s*", text, re.IGNORECASE | re.ASCII)
    if not found:
        raise BadSetting(f"{text!r} is not a size such as 50M")
    return int(float(found[1] + (found[2] or "")) * _SIZES[found[3].lower()])


_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_span(text: str) -> int:
    """Seconds from `90s`, `5m`, `2h`, `1d`, `1h30m`, `1w`. Raises `BadSetting`."""
    found = re.findall(r"(\d{1,9})\s*([smhdw])", text.strip().lower(), re.ASCII)
    if not found or "".join(n + u for n, u in found) != re.sub(r"\s", "", text.lower()):
        raise BadSetting(f"{text!r} is not a time span such as 15m")
    return sum(int(n) * _SPANS[u] for n, u in found)


def format_span(seconds: int) -> str:
    """The shortest writing of a span: 5400 is `1h30m`."""
    out = ""
    for unit in "wdhms":
        count, seconds = divmod(seconds, _SPANS[unit])
        out += f"{count}{unit}" if count else ""
    return out or "0s"


def _spans(text: str) -> tuple[int, ...]:
    return tuple(parse_span(t) for t in text.split(",")) if text.strip() else ()


def _points(text: str) -> float:
    found = re.fullmatch(r"\s*(\d{1,4}(?:\.\d{1,2})?)\s*", text, re.ASCII)
    if not found:
        raise BadSetting(f"{text!r} is not a number of points such as 5.0")
    return float(found[1])


def parse_host_port(text: str, default_port: int | None = None) -> HostPort:
    """`127.0.0.1:25`, `[::1]:25`, `mail.example.org:587`. Raises `BadSetting`."""
    found = re.fullmatch(r"\s*(?:\[([0-9A-Fa-f:.%]+)\]|([^:\s\[\]]*))(?::(\d{1,5}))?\s*", text, re.ASCII)
    port = int(found[3]) if found and found[3] else default_port
    if not found or port is None or port > 65535:
        raise BadSetting(f"{text!r} is not HOST:PORT")
    return HostPort(found[1] or found[2] or "", port)


def _listeners(text: str) -> tuple[HostPort, ...]:
    if text.strip().lower() == "off":
        return ()
    return tuple(parse_host_port(t) for t in text.split(","))


def _servers(text: str) -> tuple[HostPort, ...]:
    return tuple(parse_host_port(t, 53) for t in text.split(",") if t.strip())


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(t.strip(), strict=False) for t in text.split(",") if t.strip())
    except ValueError as error:
        raise BadSetting(str(error)) from None


def _newlines(text: str) -> str:
    if text not in ("refuse", "normalize"):
        raise BadSetting(f"{text!r} is not refuse or normalize")
    return text


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise BadSetting(f"{text!r} is not one of {', '.join(words)}")
        return text

    return parse


def _milters(text: str) -> tuple[Socket, ...]:
    """In the order in which they are asked: `unix:/path`, `inet:HOST:PORT`, `inet6:[ADDRESS]:PORT`."""
    found = []
    for word in text.replace(",", " ").split():
        kind, _, where = word.partition(":")
        if kind == "unix" and where.startswith("/"):
            found.append(Socket(where))
        elif kind in ("inet", "inet6") and (at := parse_host_port(where)).host and at.port:
            found.append(Socket(at=at))
        else:
            raise BadSetting(f"{word!r} is not unix:/PATH, inet:HOST:PORT or inet6:[ADDRESS]:PORT")
    if len(found) > LIMITS.filters:
        raise BadSetting(f"so many filters: {LIMITS.filters} at most")
    return tuple(found)


def _scanner(text: str) -> Socket | None:
    """`unix:/path` or HOST:PORT; None for nothing."""
    if not text.strip():
        return None
    if text.startswith("unix:/"):
        return Socket(text.removeprefix("unix:"))
    at = parse_host_port(text, 3310)
    if not at.host or not at.port:
        raise BadSetting(f"{text!r} is not unix:/PATH or HOST:PORT")
    return Socket(at=at)


def _extensions(text: str) -> frozenset[str]:
    """Ends of file names, without their dots, in lower case."""
    found = frozenset(word.lower().lstrip(".") for word in text.replace(",", " ").split())
    for word in found:
        if not re.fullmatch(r"[a-z0-9_-]{1,20}", word):
            raise BadSetting(f"{word!r} is not the end of a file name such as exe")
    return found


def _http(text: str) -> str:
    if text and not re.fullmatch(r"https?://[!-.0-~]+/?|unix:/[!-~]+", text):
        raise BadSetting(f"{text!r} is not http://HOST:PORT or unix:/PATH")
    return text.rstrip("/")


def _answer_time(text: str) -> int:
    seconds = parse_span(text)
    if not 1 <= seconds <= LIMITS.filter_patience:
        raise BadSetting(f"must be from 1s to {LIMITS.filter_patience}s: a sender waits meanwhile")
    return seconds


def _names(text: str) -> tuple[str, ...]:
    """Host names, each once; the first label may be `*`."""
    found = []
    for name in text.replace(",", " ").split():
        found.append("*." + hostname(name[2:]) if name.startswith("*.") else hostname(name))
    return tuple(dict.fromkeys(found))


def _url(text: str) -> str:
    if not re.fullmatch(r"https://[!-~]+", text):
        raise BadSetting(f"{text!r} is not an https:// address")
    return text


def _mailbox(text: str) -> str:
    """Only the outline: who uses it reads it as an address."""
    if text and not re.fullmatch(r"[^\s@<>]{1,64}@[^\s@<>]{1,255}", text):
        raise BadSetting(f"{text!r} is not an address such as postmaster@example.org")
    return text


def _path(text: str) -> str:
    if text and not text.startswith("/"):
        raise BadSetting(f"{text!r} is not an absolute path")
    return text


TYPES: Mapping[str, Callable[[str], Any]] = {
    "text": _text,
    "hostname": hostname,
    "yes/no": _flag,
    "number": _count,
    "hour": _hour,
    "points": _points,
    "size": parse_size,
    "span": parse_span,
    "spans": _spans,
    "listeners": _listeners,
    "servers": _servers,
    "networks": _networks,
    "refuse/normalize": _newlines,
    "enforce/report": _choice("enforce", "report"),
    "notice/defer": _choice("notice", "defer"),
    "address": _mailbox,
    "path": _path,
    "url": _url,
    "names": _names,
    "milters": _milters,
    "http": _http,
    "scanner": _scanner,
    "extensions": _extensions,
    "defer/deliver": _choice("defer", "deliver"),
    "refuse/junk/accept": _choice("refuse", "junk", "accept"),
    "answer time": _answer_time,
    "accept-tagged/defer": _choice("accept-tagged", "defer"),
    "never/two-factor/always": _choice("never", "two-factor", "always"),
    "none/testing/enforce": _choice("none", "testing", "enforce"),
    "challenge": _choice("http-01", "tls-alpn-01", "dns-01"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is text as the administrator would write it."""

    key: str
    type: str
    default: str
    effect: str
    unit: str = ""
    restart: bool = False

    def parse(self, text: str) -> Any:
        """The value. Raises `BadSetting` with the key in its sentence."""
        try:
            return TYPES[self.type](text)
        except BadSetting as error:
            raise BadSetting(f"{self.key}: {error}") from None
