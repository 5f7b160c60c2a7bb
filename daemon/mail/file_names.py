"""The names of attachments: every one that some mail program may give a part, and what such a name really is.

Programs differ in which field and which writing they believe, and in what they leave out of a name before they save
it. So all names count here, and each in the form that shows what it is: without what is invisible, wide or decoration.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice

from daemon.limits import LIMITS
from daemon.mail.decode import Parameters, parameter_texts
from daemon.mail.header import content_type, disposition, split_fields
from daemon.mail.message import Part

_FILES = 20  # uuencoded ones of one text
_KEYS = (b"name", b"filename")
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn")  # marks of direction among them
_BLANKS = dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164\uffa0"), " ")  # drawn as nothing, and no spaces to Unicode
_ENDS = " .\\/\"'<>|*?"  # what file systems refuse or drop at the end of a name
_NAME = re.compile(rb"(?i)name[*0-9\s]*=")
_BLANK = re.compile(r"\s+")
_UUENCODED = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,200})", re.MULTILINE)


def of_part(part: Part) -> tuple[str, ...]:
    """The names of a part as they are written (RFC 2183 §2.3, RFC 2045 §5.1, RFC 2231, RFC 2047), each once; there are
    several where its fields contradict each other."""
    said = part.fields.get(b"content-disposition")
    return _names(part.parameters, said)


def of_header(header: bytes) -> tuple[str, ...]:
    """The same of the header of a part that was not scanned."""
    # Of nearly all: a pattern is found far more quickly than fields are taken apart, letters more quickly than that.
    if b"name" not in header.lower() or _NAME.search(header) is None:
        return ()
    fields = {name.lower(): value for name, value in reversed(split_fields(header))}
    kind = content_type(fields[b"content-type"]) if b"content-type" in fields else None
    return _names(kind[2] if kind else [], fields.get(b"content-disposition"))


def _names(parameters: Parameters, said: bytes | None) -> tuple[str, ...]:
    lists = [parameters]
    if said is not None:
        lists.insert(0, disposition(said)[1])
    found: list[str] = []
    for parameters in lists:
        wanted = [(name, value) for name, value in parameters if name.partition(b"*")[0] in _KEYS]
        found += parameter_texts(wanted).values()
        if len(wanted) > 1:
            for one in wanted:
                if b"*" not in one[0] or one[0].count(b"*") == 1 and one[0].endswith(b"*"):  # no continuation
                    found += parameter_texts([one]).values()
    return tuple(dict.fromkeys(found))


def uuencoded(text: bytes) -> tuple[str, ...]:
    """The names of files that stand uuencoded in a text (`begin 644 NAME`), as some programs show them."""
    if b"begin " not in text:  # found far more quickly than that it begins no line
        return ()
    return tuple(found[1].decode("utf-8", "replace") for found in islice(_UUENCODED.finditer(text), _FILES))


def normal(name: str) -> str:
    """A name as it really is: NFKC, in lower case, without controls, invisible characters, folders, and what stands at
    its end for nothing."""
    text = unicodedata.normalize("NFKC", name[-LIMITS.file_name :]).translate(_BLANKS)
    if not (text.isascii() and text.isprintable()):
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _INVISIBLE)
    text = _BLANK.sub(" ", text).rstrip(_ENDS)
    return re.split(r"[/\\]", text)[-1].strip().lower()


def turned(name: str) -> bool:
    """Whether it has characters that change the direction of what follows, so that its end is shown elsewhere."""
    return any(c in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068" for c in name)
