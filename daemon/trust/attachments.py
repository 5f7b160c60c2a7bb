"""The attachment policy: programs, scripts and macro documents, openly, under another name, or in an archive.

It works without a virus scanner and asks nobody. Names count as they really are (`mail.file_names`), what a part says
of itself is held against its first octets, and archives are looked into (`archives`). Mail without attachments costs
a look at its structure; only archives and office documents are decoded as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from daemon.limits import LIMITS
from daemon.mail import file_names
from daemon.mail.decode import decode_base64, decode_transfer
from daemon.mail.message import Part, scan
from daemon.trust import archives
from daemon.trust.archives import Unpacking
from daemon.trust.results import Attachment

if TYPE_CHECKING:
    from daemon.mail.header import Data

REASONS = {
    "disguised": "a program that looks like something else",
    "executable": "a program",
    "script": "a script that is run when it is opened",
    "macro": "an office document with macros",
    "smuggling": "a page or a picture whose script makes a file, or leads elsewhere",
    "archive-executable": "an archive with a program in it",
    "archive-bomb": "an archive with too much in it, or too deep, to look through",
    "archive-encrypted": "an encrypted archive or document",
    "archive-closed": "an archive that cannot be looked into",
    "mime-bomb": "more parts, or parts nested deeper, than are looked at",
    "unread": "it could not be looked at for now",
}
"""The worst first: of one part the first is told."""
_ORDER = {reason: place for place, reason in enumerate(REASONS)}
_SCRIPTS = frozenset(
    "application bat cmd command gadget hta inf iqy isp jnlp js jse lnk mjs msc msh one onepkg oqy ps1 ps1xml ps2 psc1"
    " psm1 pyz pyzw reg rqy scf sct search-ms searchconnector-ms settingcontent-ms shb shs slk url vb vbe vbs website"
    " ws wsc wsf wsh".split()
)
_MACROS = frozenset("docm dotm xlsm xltm xlam pptm potm ppsm ppam sldm".split())
_INNOCENT = frozenset(
    "avi bmp csv doc docx eml gif heic htm html ics jpeg jpg log mov mp3 mp4 odp ods odt pdf png pps ppt pptx rtf svg"
    " tif tiff txt vcf wav webp xls xlsx xml zip".split()
)
_CLASS = re.compile(r"\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}")  # Windows opens it with what has this number
_UNSHOWN = re.compile(r"[^ -~\u00a1-\uffff]")
_PAGE = re.compile(r"\.(?:s|x|d)?html?$")
_PICTURE = re.compile(r"\.svg$")
_MAKE_A_FILE = (b"createobjecturl", b"mssaveoropenblob", b"mssaveblob")
_GIVES_A_FILE = re.compile(rb"\bdownload\s*=[^>]{0,200}\bdata:")
_RUNS = re.compile(rb"<script|[\s\"']on[a-z]{3,20}\s*=|(?:javascript|data:text/html)[:;,]")
_PLAIN = ("7bit", "8bit", "binary", "x-uuencode", "uuencode", "x-uue")
_PADDINGS = 1000  # of one base64
_HEAD = 512  # octets of a part by which its kind is known
_OF = {
    "program": "archive-executable",
    "macro": "macro",
    "encrypted": "archive-encrypted",
    "closed": "archive-closed",
    "bomb": "archive-bomb",
}


class Policy(NamedTuple):
    """`blocked`: ends of names, in lower case without dots. `macros` and `closed`: whether documents with macros (and
    pages with files in their scripts), and archives that nobody can look into, are objected to. `programs`: whether
    anything else is."""

    blocked: frozenset[str]
    programs: bool = True
    macros: bool = True
    closed: bool = True


class File(NamedTuple):
    """One part: its names as written and its first octets decoded. `inside`: it has to be unpacked to be known."""

    part: Part
    names: tuple[str, ...]
    head: bytes
    inside: bool


class Files(NamedTuple):
    """What of a message may be dangerous, before anything is unpacked. `cut`: not all of it was looked at."""

    files: tuple[File, ...]
    cut: bool = False

    @property
    def light(self) -> bool:
        """Whether nothing has to be unpacked."""
        return not any(file.inside for file in self.files)


def check(data: Data, policy: Policy) -> tuple[Attachment, ...]:
    """What the policy objects to in a message, at most `LIMITS.attachments_told`; bounded work, and it never raises."""
    return judge(data, files(data), policy)


def files(data: Data) -> Files:
    """A first look: every part that is no plain text without a name."""
    found, parts, closed = [], 0, False
    for part in scan(data).root.walk():
        parts += 1
        closed |= part.media == "application/octet-stream" and _said(part).startswith(b"multipart/")
        names = file_names.of_part(part)
        if part.parts and not names:
            continue
        if part.type == "text" and part.encoding in _PLAIN:
            names += file_names.uuencoded(bytes(data[part.body : min(part.end, part.body + LIMITS.search_text)]))
        head = b"" if part.parts else _decoded(data, part, _HEAD)
        kind = archives.kind_of(head)
        inside = archives.opened(kind) or (_said(part).startswith(b"message/") and part.type == "application")
        if names or kind or inside:
            found.append(File(part, names, head, inside))
    return Files(tuple(found), closed or parts >= LIMITS.mime_parts)


def judge(data: Data, looked: Files, policy: Policy) -> tuple[Attachment, ...]:
    """The same for what was looked at before."""
    unpacking = Unpacking()
    found: dict[Attachment, None] = {}
    if looked.cut:
        found[Attachment("", "mime-bomb")] = None
    for file in looked.files:
        worst = min(_objections(data, file, policy, unpacking, 1), key=lambda each: _ORDER[each.reason], default=None)
        if worst is not None:
            found[worst] = None
    wanted = [each for each in found if _wanted(each.reason, policy)]
    return tuple(wanted[: LIMITS.attachments_told])


def _wanted(reason: str, policy: Policy) -> bool:
    if reason in ("macro", "smuggling"):
        return policy.macros
    return policy.closed if reason in ("archive-encrypted", "archive-closed") else policy.programs


def _objections(data: Data, file: File, policy: Policy, unpacking: Unpacking, depth: int) -> Iterator[Attachment]:
    shown = _shown(file.names[0] if file.names else "")
    for name in file.names:
        if reason := of_name(name, policy.blocked):
            yield Attachment(_shown(name), reason)
    kind = archives.kind_of(file.head)
    if kind == "program":
        yield Attachment(shown, "disguised" if file.names else "executable")
    elif kind == "closed":
        yield Attachment(shown, "archive-closed")
    elif _smuggles(data, file):
        yield Attachment(shown, "smuggling")
    elif file.inside:
        content = _decoded(data, file.part)
        if not kind:  # a message that hides in an encoding (RFC 2046 §5.2.1 forbids it)
            if depth > LIMITS.archive_depth:
                yield Attachment(shown, "mime-bomb")
                return
            for inner in files(content).files:
                yield from _objections(content, inner, policy, unpacking, depth + 1)
            return
        yield from _inside(content, shown, policy, unpacking)


def _smuggles(data: Data, file: File) -> bool:
    """Whether a page that is attached makes a file out of itself when it is opened, or a picture has a script."""
    names = [file_names.normal(name) for name in file.names]
    picture = any(map(_PICTURE.search, names)) or (bool(names) and file.part.media == "image/svg+xml")
    if not picture and not any(map(_PAGE.search, names)):
        return False
    content = _decoded(data, file.part, LIMITS.search_text).replace(b"\0", b"").lower()  # UTF-16 too
    if picture:
        return _RUNS.search(content) is not None
    gives = b"download" in content and _GIVES_A_FILE.search(content) is not None
    return gives or any(word in content for word in _MAKE_A_FILE)


def _inside(content: bytes, shown: str, policy: Policy, unpacking: Unpacking) -> Iterator[Attachment]:
    for name, kind in unpacking.look(content, shown):
        if kind != "name":
            yield Attachment(_shown(name), _OF[kind])
        elif reason := of_name(name, policy.blocked):
            yield Attachment(_shown(name), "macro" if reason == "macro" else "archive-executable")


def of_name(name: str, blocked: frozenset[str]) -> str:
    """Why a name is objected to, '' if it is not. One that a user is not shown as it is, or that pretends to be a
    document, is `disguised`."""
    plain = file_names.normal(name)
    _, *pieces = plain.split(".")
    if not pieces:
        return ""
    ends = {pieces[-1], pieces[-1].partition(":")[0].strip()}  # NAME:STREAM, of NTFS
    cut = {piece.strip() for piece in pieces[:-1] if piece != piece.rstrip()} - {"com"}  # by who stops at a blank
    if _CLASS.fullmatch(pieces[-1]):
        return "disguised"
    if ends & _MACROS:
        return "macro"
    if not (ends | cut) & blocked:
        return ""
    if cut & blocked or file_names.turned(name) or name.rstrip() != name.rstrip(" .\t") or _wide(name):
        return "disguised"
    if len(pieces) > 1 and pieces[-2].strip() in _INNOCENT:
        return "disguised"
    return "script" if ends & _SCRIPTS else "executable"


def _wide(name: str) -> bool:
    """Whether its end is written so that only a program sees through it."""
    return file_names.normal(name)[-4:] != name.strip().lower()[-4:]


def _said(part: Part) -> bytes:
    return part.fields.get(b"content-type", b"").strip().lower()


def _decoded(data: Data, part: Part, most: int = 0) -> bytes:
    """The octets of a part, or at least the first `most` of them, if there are as many."""
    end = min(part.end, part.body + 2 * most + 100) if most else part.end
    decoded = _transferred(bytes(data[part.body : end]), part.encoding)
    return decoded[:most] if most else decoded


def _transferred(raw: bytes, encoding: str) -> bytes:
    """What a Content-Transfer-Encoding stands for. Some programs read base64 on behind its padding, and so is it here:
    what is hidden from one reader must not be hidden from us."""
    if encoding == "base64" and raw.partition(b"=")[2].lstrip(b"=").strip():
        return b"".join(map(decode_base64, raw.split(b"=", _PADDINGS)))
    return decode_transfer(raw, encoding)


def _shown(name: str) -> str:
    """A name for people: nothing invisible, not long, its end."""
    return _UNSHOWN.sub("?", file_names.normal(name))[-LIMITS.spam_words // 2 :]
