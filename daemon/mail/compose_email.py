"""What a JMAP client hands in to have a message made of it (RFC 8621 §4.6): its properties to fields and a MIME tree.

Every MUST of that section is looked at here, before a byte is written. All that is wrong is told at once, each with the
property it is about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from daemon.limits import LIMITS
from daemon.mail import compose_fields
from daemon.mail.compose import File, Piece, Text
from daemon.mail.compose_fields import BadValue

SHORT = {  # the properties that stand for a field (RFC 8621 §4.1.3), in the order they are written in
    "from": ("From", "addresses"),
    "sender": ("Sender", "addresses"),
    "replyTo": ("Reply-To", "addresses"),
    "to": ("To", "addresses"),
    "cc": ("Cc", "addresses"),
    "bcc": ("Bcc", "addresses"),
    "subject": ("Subject", "text"),
    "sentAt": ("Date", "date"),
    "messageId": ("Message-ID", "messageids"),
    "inReplyTo": ("In-Reply-To", "messageids"),
    "references": ("References", "messageids"),
}
_ELSEWHERE = frozenset(("mailboxIds", "keywords", "receivedAt"))  # what `Email/set` itself looks at
_BODIES = ("textBody", "htmlBody", "attachments")
_PART = frozenset(
    ("partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location", "subParts")
)
_OURS = frozenset(
    ("mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id",
     "content-language", "content-location")
)  # fmt: skip
_MEDIA = re.compile(r"[!#-'*+.0-9A-Z^-~-]{1,100}/[!#-'*+.0-9A-Z^-~-]{1,100}", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,100}")
_CID = re.compile(r"[^\s<>\0-\x1f\x7f-\U0010ffff]{1,900}")
_LOCATION = re.compile(r"[!-~]{1,900}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class BadEmail(Exception):
    """It cannot be made so: what is wrong with which properties (`invalidProperties`)."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name} {why}" for name, why in wrong.items()))
        self.properties = list(wrong)


class Draft(NamedTuple):
    """A message to be made: its fields with their line ends, the names of those in lower case, its MIME tree."""

    head: list[bytes]
    names: frozenset[str]
    root: Piece

    @property
    def blobs(self) -> list[str]:
        """The blobs it takes octets from, each once."""
        return list(dict.fromkeys(p.content.blob for p in self.root.walk() if isinstance(p.content, File)))


def read(asked: Mapping[str, Any]) -> Draft:
    """Raises `BadEmail`."""
    reader = _Reader(asked)
    head, names = reader.fields(asked, "")
    root = reader.structure() if "bodyStructure" in asked else reader.bodies()
    if not reader.wrong:
        reader.look_at_parts(root, names)
    if reader.wrong:
        raise BadEmail(reader.wrong)
    return Draft(head, names, root)


class _Reader:
    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.asked = asked
        self.wrong: dict[str, str] = {}
        self.parts = 0
        self.values = self._body_values(asked.get("bodyValues"))
        known = {*SHORT, *_ELSEWHERE, *_BODIES, "bodyStructure", "bodyValues"}
        for name in asked:
            if name not in known and not name.startswith("header:"):
                self.wrong[name] = "is set by the server, or is no property of an Email"
        if "bodyStructure" in asked:
            for name in _BODIES:
                if asked.get(name) is not None:
                    self.wrong[name] = "cannot be given beside bodyStructure"

    # -- fields

    def fields(self, asked: Mapping[str, Any], where: str) -> tuple[list[bytes], frozenset[str]]:
        """The fields of a message, or of a part (`where` is its place, with a slash)."""
        head: list[bytes] = []
        names: set[str] = set()
        short = SHORT if not where else {}
        for prop in [*[p for p in short if p in asked], *[p for p in asked if p.startswith("header:")]]:
            found = compose_fields.Asked(*short[prop], False) if prop in short else compose_fields.asked(prop)
            if found is None:
                self.wrong[where + prop] = "is no form that this field has"
                continue
            name = found.name.lower()
            if name in names:
                self.wrong[where + prop] = f"is the field {found.name} once more"
            elif name.startswith("content-") and not where:
                self.wrong[prop] = "belongs to a part of the body"
            elif name in _OURS:
                self.wrong[where + prop] = "is the server's to write, from the properties that say it"
            else:
                names.add(name)
                head += self._lines(found, asked[prop], where + prop)
        return head, frozenset(names)

    def _lines(self, found: compose_fields.Asked, value: Any, prop: str) -> list[bytes]:
        values = value if found.all else [value]
        if value is None or value == [] and not found.all:
            return []
        if not isinstance(values, list) or len(values) > LIMITS.compose_fields:
            self.wrong[prop] = f"is no list of up to {LIMITS.compose_fields} fields"
            return []
        try:
            return [compose_fields.field(found.name, found.form, each) for each in values]
        except BadValue as error:
            self.wrong[prop] = str(error)
            return []

    # -- the body

    def _body_values(self, given: Any) -> Mapping[str, str]:
        found: dict[str, str] = {}
        if given is None:
            return found
        if not isinstance(given, Mapping):
            self.wrong["bodyValues"] = "is no object"
            return found
        for part, value in given.items():
            where = f"bodyValues/{part}"
            if not isinstance(value, Mapping) or not isinstance(value.get("value"), str):
                self.wrong[where] = "has no text as its value"
            elif value.get("isEncodingProblem") or value.get("isTruncated"):
                self.wrong[where] = "is a text that is not whole"
            elif set(value) - {"value", "isEncodingProblem", "isTruncated"}:
                self.wrong[where] = "has a property that no EmailBodyValue has"
            else:
                found[part] = value["value"]
        return found

    def structure(self) -> Piece:
        return self._part(self.asked["bodyStructure"], "bodyStructure", 0)

    def bodies(self) -> Piece:
        """RFC 8621 §4.6: at most one plain text and one HTML, and files; pictures of the HTML stay with it."""
        text = self._only("textBody", "text/plain")
        html = self._only("htmlBody", "text/html")
        files = self._list("attachments")
        inline = [each for each in files if html and each.cid and each.disposition == "inline"]
        files = [each for each in files if each not in inline]
        for each in files:
            each.disposition = each.disposition or "attachment"
        shown = html
        if html and inline:
            shown = Piece("multipart/related", parts=[html, *inline])
        if text and shown:
            shown = Piece("multipart/alternative", parts=[text, shown])
        shown = shown or text
        if files:
            return Piece("multipart/mixed", parts=[*([shown] if shown else []), *files])
        return shown or Piece("text/plain", Text(""))

    def _list(self, name: str) -> list[Piece]:
        given = self.asked.get(name)
        if given is None:
            return []
        if not isinstance(given, list):
            self.wrong[name] = "is no list of parts"
            return []
        return [self._part(each, f"{name}/{place}", 1) for place, each in enumerate(given)]

    def _only(self, name: str, media: str) -> Piece | None:
        given = self.asked.get(name)
        if isinstance(given, list) and len(given) != 1:
            if given:
                self.wrong[name] = "has more than one part"
            return None
        found = self._list(name)
        if not found:
            return None
        if isinstance(given, list) and isinstance(given[0], Mapping) and given[0].get("type") is None:
            found[0].media = media
        if found[0].media != media:
            self.wrong[name] = f"is not {media}"
        return found[0]

    def _part(self, given: Any, where: str, depth: int) -> Piece:
        self.parts += 1
        if self.parts > LIMITS.mime_parts or depth >= LIMITS.mime_depth:
            self.wrong[where] = f"is one part too many, or nested over {LIMITS.mime_depth} deep"
            return Piece("text/plain")
        if not isinstance(given, Mapping):
            self.wrong[where] = "is no part"
            return Piece("text/plain")
        for name in given:
            if name not in _PART and not name.startswith("header:"):
                self.wrong[f"{where}/{name}"] = "is no property that a new part has"
        piece = Piece(self._media(given, where))
        piece.name = self._word(given, where, "name") or ""
        piece.charset = self._word(given, where, "charset", _WORD) or ""
        piece.disposition = (self._word(given, where, "disposition", _WORD) or "").lower()
        piece.cid = self._word(given, where, "cid", _CID) or ""
        piece.location = self._word(given, where, "location", _LOCATION) or ""
        piece.language = self._languages(given, where)
        piece.fields = self.fields(given, where + "/")[0]
        if piece.media.startswith("multipart/"):
            self._inside(piece, given, where, depth)
        else:
            self._content(piece, given, where)
        return piece

    def _inside(self, piece: Piece, given: Mapping[str, Any], where: str, depth: int) -> None:
        inside = given.get("subParts")
        if not isinstance(inside, list) or not inside:
            self.wrong[f"{where}/subParts"] = "is no list of parts"
            return
        for name in ("partId", "blobId"):
            if given.get(name) is not None:
                self.wrong[f"{where}/{name}"] = "is given for a multipart, which has none"
        piece.parts = [self._part(each, f"{where}/subParts/{place}", depth + 1) for place, each in enumerate(inside)]

    def _content(self, piece: Piece, given: Mapping[str, Any], where: str) -> None:
        part, blob = given.get("partId"), given.get("blobId")
        if given.get("subParts"):
            self.wrong[f"{where}/subParts"] = "are in a part that is no multipart"
        elif (part is None) == (blob is None):
            self.wrong[f"{where}/partId"] = "or blobId must be given, one of the two"
        elif blob is not None:
            if not isinstance(blob, str):
                self.wrong[f"{where}/blobId"] = "is no id"
            piece.content = File(str(blob))
        elif not isinstance(part, str) or part not in self.values:
            self.wrong[f"{where}/partId"] = "is not among bodyValues"
        else:
            piece.content = Text(self.values[part])
            for name in ("charset", "size"):
                if given.get(name) is not None:
                    self.wrong[f"{where}/{name}"] = "cannot be given with a partId"

    def _media(self, given: Mapping[str, Any], where: str) -> str:
        media = given.get("type")
        if media is None:
            return "text/plain" if given.get("partId") is not None else "application/octet-stream"
        if not isinstance(media, str) or not _MEDIA.fullmatch(media):
            self.wrong[f"{where}/type"] = "is no media type"
            return "text/plain"
        return media.lower()

    def _word(
        self, given: Mapping[str, Any], where: str, name: str, pattern: re.Pattern[str] | None = None
    ) -> str | None:
        value = given.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            self.wrong[f"{where}/{name}"] = "is not what this can be"
            return None
        return _CONTROL.sub(" ", value)[: LIMITS.file_name]

    def _languages(self, given: Mapping[str, Any], where: str) -> tuple[str, ...]:
        value = given.get("language")
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, str) and _WORD.fullmatch(v) for v in value):
            self.wrong[f"{where}/language"] = "is no list of languages"
            return ()
        return tuple(value[: LIMITS.parameters])

    def look_at_parts(self, root: Piece, names: frozenset[str]) -> None:
        """The root's own fields are the message's: none of them twice."""
        for line in root.fields:
            name = line.partition(b":")[0].decode().lower()
            if name in names:
                self.wrong[f"bodyStructure/header:{name}"] = "is a field of the message already"
