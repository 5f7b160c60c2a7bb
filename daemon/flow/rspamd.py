"""An rspamd is asked about one message by its own protocol: one POST of the message, an answer in JSON.

The answer is believed as far as it makes sense: what is of the wrong kind, too long or too much is an error of the
filter, and none of it counts.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from daemon.flow.draft import Draft
from daemon.flow.opinions import Broken, Patience, Question, number
from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.changes import Add, Edit, Insert, Remove, Replace
from daemon.mail.decode import encode_words
from daemon.trust.results import Opinion

_PIECE = 256 * 1024  # octets of the message sent at once
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"[!-9;-~]{1,200}")
_ACTIONS = {
    "no action": "accept",
    "greylist": "accept",  # when it is to be tried again, it says `soft reject`
    "add header": "junk",
    "rewrite subject": "junk",
    "quarantine": "junk",
    "soft reject": "defer",
    "reject": "refuse",
    "discard": "accept",
}


async def ask(url: str, password_file: str, draft: Draft, question: Question, patience: Patience) -> Opinion:
    """Its opinion; the changes it wants are made in `draft` unless it wants no more of the message. Raises `Broken`,
    `OSError`, `TooMuch`."""
    answer = await _answer(url, _headers(draft, question, password_file), draft, patience)
    action = _kind(answer.get("action"), str, "an action")
    if action not in _ACTIONS:
        raise Broken(f"it wants {action[:40]!r}, which is no action")
    opinion = Opinion(
        url, _ACTIONS[action],  # type: ignore[arg-type]
        number(answer.get("score")), number(answer.get("required_score")), _symbols(answer.get("symbols", {})),
    )  # fmt: skip
    if opinion.action in ("refuse", "defer"):
        messages = _kind(answer.get("messages", {}), dict, "messages")
        return opinion._replace(text=_line(messages.get("smtp_message", "")))
    if action == "discard":
        draft.discarded = url
        return opinion._replace(text="taken and dropped")
    wishes = _kind(answer.get("milter", {}), dict, "milter")
    envelope = _envelope(draft, wishes)  # all of it makes sense, or none of it is done
    draft.edit([*_edits(answer, wishes, action)])
    for change in envelope:
        change()
    return opinion._replace(text="" if action in ("no action", "add header") else action)


async def alive(url: str, patience: float) -> str:
    """What it says to a ping. Raises `Broken`, `OSError`."""
    try:
        async with _session(url, patience) as session, session.get(_address(url, "/ping")) as response:
            return _line((await response.content.read(LIMITS.filter_words)).decode("utf-8", "replace"))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Broken(str(error) or f"no answer within {patience:g} s") from None


# -- the question ------------------------------------------------------------------------------------------------------


def _headers(draft: Draft, question: Question, password_file: str) -> list[tuple[str, str]]:
    """What it is told beside the message. Raises `OSError` when the password cannot be read."""
    peer = question.origin
    told = [
        ("From", str(draft.sender or "")),
        *(("Rcpt", str(recipient)) for recipient in draft.recipients.values()),
        ("IP", peer.peer),
        ("Helo", peer.helo),
        ("Hostname", question.reverse),
        ("User", question.user if peer.account_id is not None else ""),
        ("Queue-Id", question.trace),
        ("MTA-Name", question.hostname),
        ("TLS-Version", peer.tls),
    ]
    if password_file:
        told.append(("Password", Path(password_file).read_text().strip()))
    clean = [(name, _UNSAFE.sub(" ", value)) for name, value in told if value or name == "From"]
    return [*clean, ("Content-Type", "application/octet-stream"), ("Content-Length", str(draft.size))]


def _session(url: str, patience: float) -> aiohttp.ClientSession:
    """What the library would do for a browser's sake is off."""
    connector: aiohttp.BaseConnector
    if url.startswith("unix:"):
        connector = aiohttp.UnixConnector(url.removeprefix("unix:"), force_close=True)
    else:
        connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False, resolver=aiohttp.ThreadedResolver())
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False,
        timeout=aiohttp.ClientTimeout(sock_connect=LIMITS.filter_connect, sock_read=patience),
        headers={"Accept-Encoding": "identity", "User-Agent": "mailctl"},
    )  # fmt: skip


def _address(url: str, path: str) -> str:
    return f"http://localhost{path}" if url.startswith("unix:") else url + path


async def _answer(url: str, headers: list[tuple[str, str]], draft: Draft, patience: Patience) -> dict[str, Any]:
    async def message() -> AsyncIterator[bytes]:
        yield draft.head
        for piece in draft.pieces(_PIECE):
            yield piece

    late = min(patience.until, asyncio.get_running_loop().time() + LIMITS.filter_connect + patience.answer)
    try:
        async with asyncio.timeout_at(late), _session(url, patience.answer) as session:
            asked = session.post(_address(url, "/checkv2"), data=message(), headers=headers, allow_redirects=False)
            async with asked as response:
                data = await _limited(response)
                if response.status != 200:
                    raise Broken(f"it answers {response.status}: {_line(data[:200].decode('utf-8', 'replace'))}")
    except TimeoutError:
        raise Broken(f"no answer within {patience.answer:g} s") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise Broken(str(error) or type(error).__name__) from None
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        raise Broken("its answer is no JSON") from None
    return dict(_kind(answer, dict, "something"))


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    data = b""
    while piece := await response.content.read(LIMITS.rspamd_answer + 1 - len(data)):
        data += piece
        if len(data) > LIMITS.rspamd_answer:
            response.close()  # the rest of a long one is not waited for
            raise Broken(f"its answer is over {LIMITS.rspamd_answer} octets")
    return data


# -- the answer --------------------------------------------------------------------------------------------------------


def _kind(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise Broken(f"its answer has {what} that makes no sense")
    return value


def _line(value: object) -> str:
    return _UNSAFE.sub(" ", value if isinstance(value, str) else "")[: LIMITS.filter_words].strip()


def _symbols(found: object) -> tuple[str, ...]:
    """Those that weigh most first."""
    scored = [
        (name[:60], number(symbol.get("score")) or 0.0)
        for name, symbol in _kind(found, dict, "symbols").items()
        if isinstance(symbol, dict)
    ]
    scored.sort(key=lambda pair: -abs(pair[1]))
    return tuple(f"{_UNSAFE.sub(' ', name)}({score:g})" for name, score in scored[: LIMITS.filter_symbols])


def _edits(answer: dict[str, Any], wishes: dict[str, Any], action: str) -> Iterator[Edit]:
    """The changes of the header: what goes first, so that what is added stays."""
    for name, which in _kind(wishes.get("remove_headers", {}), dict, "remove_headers").items():
        for one in _several(which):
            yield Remove(_place(one), _name(name))
    if action == "rewrite subject" and isinstance(subject := answer.get("subject"), str):
        yield Replace(1, b"Subject", b" " + encode_words(_UNSAFE.sub(" ", subject)).encode())
    for name, values in _kind(wishes.get("add_headers", {}), dict, "add_headers").items():
        for value in _several(values):
            yield _added(_name(name), value)
    for value in _several(answer.get("dkim-signature", [])):
        yield _added(b"DKIM-Signature", {"value": value, "order": 0})


def _several(value: Any) -> list[Any]:
    return value[: LIMITS.filter_edits] if isinstance(value, list) else [value]


def _name(name: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise Broken(f"{name[:40]!r} is no name of a field")
    return name.encode()


def _place(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LIMITS.header_fields:
        raise Broken("its answer has a place of a field that makes no sense")
    return value


def _added(name: bytes, value: Any) -> Edit:
    """`order` counts from the top; from below it means: below all others."""
    order = _place(value.get("order", -1)) if isinstance(value, dict) else -1
    text = value.get("value") if isinstance(value, dict) else value
    octets = b" " + _kind(text, str, "a field").encode("utf-8", "replace")
    return Add(name, octets) if order < 0 else Insert(order, name, octets)


def _envelope(draft: Draft, wishes: dict[str, Any]) -> list[Callable[[], None]]:
    """The changes of the envelope, to be made."""
    changes = list[Callable[[], None]]()
    if (sender := wishes.get("change_from")) is not None:
        changes.append(partial(setattr, draft, "sender", _mailbox(sender) if sender not in ("", "<>") else None))
    for key, change in (("add_rcpt", draft.add), ("del_rcpt", draft.remove)):
        changes += [partial(change, _mailbox(recipient)) for recipient in _several(wishes.get(key, []))]
    return changes


def _mailbox(text: Any) -> Address:
    try:
        return parse_address(_kind(text, str, "an address").removeprefix("<").removesuffix(">"))
    except BadAddress as error:
        raise Broken(f"an address that is none: {error.reason}") from None
