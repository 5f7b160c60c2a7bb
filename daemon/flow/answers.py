"""What rules say to others in the owner's name: vacation answers (RFC 5230), notices (RFC 5436); and what the server
says to the owner when his rules go wrong. Whether anything is said at all is decided here (RFC 3834 section 2).

Everything goes out with the null sender and marked as automatic, so that nothing of it is ever answered.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

from daemon.limits import LIMITS
from daemon.mail.address import Address, BadAddress, parse_address
from daemon.mail.decode import encode_words, header_text
from daemon.mail.header import header_end
from daemon.mail.headers import crlf, format_date
from daemon.sieve.actions import Notify, Vacation
from daemon.sieve.subject import Head
from daemon.store import accounts, addresses
from daemon.store.tx import Tx

_LIST = tuple(f"list-{word}" for word in ("id", "post", "help", "subscribe", "unsubscribe", "owner", "archive"))
_MACHINES = re.compile(
    r"owner-.*|.*-(?:request|owner|bounces?|errors?)(?:\+.*)?|bounces?(?:[-+=].*)?|mailer-daemon|listserv|majordomo"
    r"|(?:no|do-?not)[-_.]?reply(?:[-+].*)?|prvs=.*|.*-confirm",
    re.I,
)  # RFC 3834 section 2, RFC 5230 section 4.6
_TO = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
_ID = re.compile(r"<[!-;=?-~]{1,900}>")
_CONTENT = re.compile(rb"^content-[!-9;-~]+:.*\r\n(?:[ \t].*\r\n)*", re.I | re.M)  # fields that a MIME entity has
_LINE = 990  # octets of a line that goes out as it is; RFC 5322 section 2.1.1 has 998


def automatic(head: Head) -> str:
    """The field that says that no person wrote to this one; "" when none does."""
    for value in head.texts("auto-submitted"):
        if value.partition(";")[0].strip().lower() != "no":
            return "Auto-Submitted"
    for name in _LIST:
        if head.has(name):
            return name.title()
    if any(value.strip().lower() in ("bulk", "list", "junk") for value in head.texts("precedence")):
        return "Precedence"
    for value in head.texts("x-auto-response-suppress"):
        if {"all", "oof", "autoreply"} & {word.strip().lower() for word in value.split(",")}:
            return "X-Auto-Response-Suppress"
    return ""


def unanswerable(
    tx: Tx, account_id: int, sender: Address | None, head: Head, also: Sequence[str], *, junk: bool
) -> str:
    """Why a vacation does not answer this message, in words; "" when it does. `also`: what is his address, too."""
    if sender is None or not sender.domain:
        return "it has no sender"
    if junk:
        return "it is junk"
    if _MACHINES.fullmatch(sender.local):
        return f"{sender} is no person"
    field = automatic(head)
    if field:
        return f"it is automatic or from a list ({field})"
    his = {address.key for address in map(_read, also) if address is not None}
    if sender.key in his or account_id in addresses.writers(tx, sender):
        return "he wrote it himself"
    named = 0
    for name in _TO:
        for raw in head.raw(name):
            for person in head.people(raw):
                address = _read(person.address)
                named += 1
                if named > LIMITS.vacation_named:
                    return "it has too many recipients"
                if address is not None and (address.key in his or addresses.writers(tx, address) == [account_id]):
                    return ""
    return "none of his addresses is among its recipients"


def _read(text: str) -> Address | None:
    try:
        return parse_address(text)
    except BadAddress:
        return None


def vacation(
    tx: Tx, action: Vacation, owner: accounts.Account, to: Address, head: Head, *, unique: str, hostname: str
) -> bytes:
    """The answer (RFC 5230 section 5)."""
    subject = action.subject or "Auto: " + " ".join((head.texts("subject") or ("",))[0].split())
    lines = [
        f"From: {_author(tx, owner, action.sender)}",
        f"To: <{to}>",
        f"Subject: {encode_words(subject.strip()[: LIMITS.vacation_subject])}",
        *_threading(head),
        "Auto-Submitted: auto-replied (vacation)",
    ]
    return _letter(tx, lines, action.text, f"{unique}@{hostname}", mime=action.mime)


def notice(
    tx: Tx, action: Notify, owner: accounts.Account, head: Head, *, unique: str, hostname: str
) -> tuple[list[Address], bytes] | None:
    """A notice and whom it goes to (RFC 5436 section 2.7); None where the method names nobody."""
    parts = urlsplit(action.method)
    to = [each for each in map(_read, map(unquote, parts.path.split(","))) if each is not None]
    given: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, max_num_fields=20) if parts.query.count("&") < 20 else ():
        given.setdefault(name.lower(), " ".join(value.split()))
    to = to[: LIMITS.sieve_redirects]
    if not to:
        return None
    author = (head.texts("from") or ("somebody",))[0]
    about = (head.texts("subject") or ("",))[0]
    subject = " ".join(action.message.split()) or given.get("subject") or f"New mail from {author}: {about}"
    words = action.message or f"New mail from {author}: {about}"
    weight = {"1": "1 (Highest)", "3": "5 (Lowest)"}.get(action.importance)
    lines = [
        f"From: {_author(tx, owner, action.sender)}",
        f"To: {', '.join(f'<{each}>' for each in to)}",
        f"Subject: {encode_words(subject[: LIMITS.vacation_subject])}",
        *_threading(head, replies=False),
        *([f"X-Priority: {weight}"] if weight else []),
        f'Auto-Submitted: auto-notified; owner-email="{owner.address}"',
    ]
    return to, _letter(tx, lines, given.get("body") or words, f"{unique}@{hostname}")


def fault(
    ours: Address, owner: Address, script: str, text: str, head: Head, *, kept: str, unique: str, hostname: str,
    now: float,
) -> bytes:  # fmt: skip
    """What the owner of a script is told, once a day."""
    about = [f"  {name}: {' '.join(value.split())[:200]}" for name in ("From", "Subject", "Date")
             for value in head.texts(name.lower())[:1]]  # fmt: skip
    lines = [
        f"Your mail rules (the script {script!r}) could not be followed:",
        "",
        f"  {' '.join(text.split())[:500]}",
        "",
        f"Nothing is lost: the message is in {kept}. It is this one:",
        *about,
        "",
        "Until the rules are changed this may happen to other mail too. You are told once a day at most.",
        f"To see what the rules do with a message:  mailctl sieve test --user {owner} {script} MESSAGE",
    ]
    head_lines = [
        f"From: Mail server <{ours}>",
        f"To: <{owner}>",
        "Subject: Your mail rules do not work",
        "Auto-Submitted: auto-generated",
    ]
    return _written(head_lines, "\n".join(lines) + "\n", f"{unique}@{hostname}", now)


def _author(tx: Tx, owner: accounts.Account, wanted: str) -> str:
    """Whom it is from: the address that the script says, if it is his; his own else."""
    name, address = owner.display_name, owner.address
    if wanted:
        shown, _, angle = wanted.rpartition("<")
        said = _read(angle.rstrip("> ").strip())
        if said is not None and owner.id in addresses.writers(tx, said):
            name, address = header_text(shown.strip().strip('"').encode("utf-8", "replace")), said
    if not name:
        return f"<{address}>"
    shown = encode_words(name)
    return (f"{shown} " if shown.startswith("=?") else '"' + re.sub(r'(["\\])', r"\\\1", shown) + '" ') + f"<{address}>"


def _threading(head: Head, *, replies: bool = True) -> list[str]:
    """In-Reply-To and References (RFC 5230 section 5.8, RFC 5322 section 3.6.4)."""
    own = _ID.search((head.texts("message-id") or ("",))[0])
    if own is None:
        return []
    before = _ID.findall((head.texts("references") or head.texts("in-reply-to") or ("",))[0])
    some = [*before[-LIMITS.vacation_references :], own[0]]
    return ([f"In-Reply-To: {own[0]}"] if replies else []) + ["References: " + "\r\n ".join(dict.fromkeys(some))]


def _letter(tx: Tx, lines: list[str], text: str, identity: str, *, mime: bool = False) -> bytes:
    return _written(lines, text, identity, tx.now / 1000, mime=mime)


def _written(lines: list[str], text: str, identity: str, now: float, *, mime: bool = False) -> bytes:
    """A whole message; `mime`: the text begins with its own Content fields (RFC 5230 section 4.4)."""
    head = [*lines, f"Date: {format_date(now)}", f"Message-ID: <{identity}>", "MIME-Version: 1.0"]
    body = crlf(text.replace("\0", "").encode("utf-8", "replace"))
    top = "".join(f"{line}\r\n" for line in head).encode("utf-8", "replace")
    if mime:
        split = header_end(body, 0, len(body))
        own = b"".join(each[0] for each in _CONTENT.finditer(body, 0, split))
        return top + own + b"\r\n" + body[split:].removeprefix(b"\r\n")
    encoding = b"7bit" if body.isascii() else b"8bit"
    if any(len(line) > _LINE for line in body.split(b"\r\n")):
        encoding, body = b"quoted-printable", crlf(quopri.encodestring(body.replace(b"\r\n", b"\n")))
    end = b"" if body.endswith(b"\r\n") else b"\r\n"
    fields = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    return top + fields + body + end
