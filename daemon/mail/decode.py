"""From the encodings of mail to text: charsets, RFC 2047, RFC 2231, quoted-printable, base64.

Nothing here raises on what a peer wrote: an unknown charset is read as UTF-8 or else as windows-1252, a broken
encoding gives what could be read. The text that comes out has no control characters where it is a header's, and
never a lone surrogate.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from daemon.limits import LIMITS
from daemon.mail.octets import PIECE

# A whitelist: Python lacks names that mail uses (x-sjis, windows-874) and knows codecs that are none (idna,
# unicode_escape). What browsers read wider than its name says (iso-8859-1, gb2312) is read wide here too.
_CODECS: dict[str, tuple[str, ...]] = {
    "utf-8": ("utf8", "unicode-1-1-utf-8", "utf-8-sig"),
    "utf-7": ("utf7", "unicode-1-1-utf-7", "csunicode11utf7"),
    "utf-16": ("utf16", "ucs-2", "unicode", "iso-10646-ucs-2"),
    "utf-16-le": ("utf-16le",),
    "utf-16-be": ("utf-16be",),
    "utf-32": ("utf32",),
    "utf-32-le": ("utf-32le",),
    "utf-32-be": ("utf-32be",),
    "cp1252": ("iso-8859-1", "iso8859-1", "latin1", "latin-1", "l1", "windows-1252", "x-cp1252", "cp-1252", "ansi"),
    "iso8859-2": ("iso-8859-2", "latin2", "latin-2", "l2"),
    "iso8859-3": ("iso-8859-3", "latin3"),
    "iso8859-4": ("iso-8859-4", "latin4"),
    "iso8859-5": ("iso-8859-5", "cyrillic"),
    "iso8859-6": ("iso-8859-6", "iso-8859-6-i", "iso-8859-6-e", "arabic"),
    "iso8859-7": ("iso-8859-7", "greek"),
    "iso8859-8": ("iso-8859-8", "iso-8859-8-i", "iso-8859-8-e", "hebrew", "logical", "visual"),
    "cp1254": ("iso-8859-9", "iso8859-9", "latin5", "windows-1254", "x-cp1254"),
    "iso8859-10": ("iso-8859-10", "latin6"),
    "iso8859-13": ("iso-8859-13", "latin7"),
    "iso8859-14": ("iso-8859-14", "latin8"),
    "iso8859-15": ("iso-8859-15", "latin9", "latin-9", "l9"),
    "iso8859-16": ("iso-8859-16", "latin10"),
    "cp874": ("windows-874", "tis-620", "tis620", "iso-8859-11", "iso8859-11", "dos-874"),
    "cp1250": ("windows-1250", "x-cp1250", "cp-1250"),
    "cp1251": ("windows-1251", "x-cp1251", "cp-1251"),
    "cp1253": ("windows-1253", "x-cp1253"),
    "cp1255": ("windows-1255", "x-cp1255"),
    "cp1256": ("windows-1256", "x-cp1256"),
    "cp1257": ("windows-1257", "x-cp1257"),
    "cp1258": ("windows-1258", "x-cp1258"),
    "koi8-r": ("koi8", "koi", "cskoi8r"),
    "koi8-u": ("koi8-ru",),
    "koi8-t": (),
    "kz1048": ("strk1048-2002",),
    "ptcp154": ("pt154", "cyrillic-asian"),
    "gb18030": ("gb2312", "gbk", "x-gbk", "cp936", "ms936", "gb-2312-80", "chinese", "euc-cn", "x-euc-cn", "csgb2312"),
    "hz": ("hz-gb-2312", "hz-gb"),
    "big5hkscs": ("big5", "big5-hkscs", "x-x-big5", "big-5", "csbig5"),
    "cp950": ("x-windows-950", "ms950"),
    "cp932": ("shift-jis", "shiftjis", "sjis", "x-sjis", "windows-31j", "ms932", "ms-kanji", "csshiftjis", "cp-932"),
    "euc-jp": ("eucjp", "x-euc-jp", "x-eucjp", "ujis"),
    "iso2022_jp_3": ("iso-2022-jp", "iso-2022-jp-1", "iso-2022-jp-3", "csiso2022jp"),
    "iso2022_jp_2": ("iso-2022-jp-2",),
    "iso2022_kr": ("iso-2022-kr", "csiso2022kr"),
    "cp949": (
        "euc-kr",
        "euckr",
        "ks-c-5601-1987",
        "ks-c-5601-1989",
        "ksc5601",
        "uhc",
        "windows-949",
        "korean",
        "x-euc-kr",
    ),
    "johab": (),
    "mac-roman": ("macintosh", "x-mac-roman", "x-macroman", "mac"),
    "mac-cyrillic": ("x-mac-cyrillic", "x-mac-ukrainian"),
    "mac-greek": ("x-mac-greek",),
    "mac-turkish": ("x-mac-turkish",),
    "mac-latin2": ("x-mac-ce", "x-mac-centraleurroman"),
    "cp437": ("ibm437", "cp-437"),
    "cp720": ("ibm720",),
    "cp737": ("ibm737",),
    "cp775": ("ibm775",),
    "cp850": ("ibm850", "cp-850"),
    "cp852": ("ibm852", "cp-852"),
    "cp855": ("ibm855",),
    "cp857": ("ibm857",),
    "cp858": ("ibm858", "ibm00858"),
    "cp862": ("ibm862", "dos-862"),
    "cp866": ("ibm866", "cp-866"),
    "cp1125": ("cp866u", "ruscii"),
}
_ALIASES = {alias: codec for codec, aliases in _CODECS.items() for alias in (codec, *aliases)}
_GUESSED = frozenset(("", "us-ascii", "ascii", "ansi-x3.4-1968", "7bit", "8bit", "unknown-8bit", "x-unknown"))

_WORD = re.compile(r"=\?([!#-)+->@-~]{1,60})(?:\*[A-Za-z0-9-]{0,40})?\?([BbQq])\?([^?]*)\?=")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_HUGE = re.compile(r"&#[0-9]{1000,};?")  # Python reads no decimal number of more than 4300 digits
_SEGMENT = re.compile(rb"([^*]+)\*(?:([0-9]{1,3})(\*)?)?")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_NOT_BASE64_NOR_PADDING = _NOT_BASE64.replace(b"=", b"")
# Folding disappears, every other control is a space (a tab too: RFC 5322 §2.2.3 lets a fold begin with one).
UNFOLD = bytes(32 if octet < 32 or octet == 127 else octet for octet in range(256))

Parameters = list[tuple[bytes, bytes]]
"""Parameters of a structured field in order: name in lower case, value unquoted, otherwise as it stands."""


def codec_of(charset: str) -> str | None:
    """Python's name for a charset of mail, or None where it must be guessed."""
    name = charset.strip(" '\"\t").lower().replace("_", "-")
    return None if name in _GUESSED else _ALIASES.get(name)


def decode_text(data: bytes, charset: str, *, cut: bool = False) -> str:
    """`data` as text. Unknown, missing or ASCII charsets: UTF-8 if it is, else windows-1252. Never raises.

    `cut`: the data may end inside a character, which then does not make it windows-1252.
    """
    codec = codec_of(charset)
    if codec is None:
        return _guess(data, cut)
    text = data.decode(codec, "replace")
    return _SURROGATE.sub("\ufffd", text) if codec == "utf-7" else text


def _guess(data: bytes, cut: bool = False) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if cut and error.reason == "unexpected end of data":
            return data[: error.start].decode()
        return data.decode("cp1252", "replace")


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """The octets a Content-Transfer-Encoding stands for; as they are for an encoding unknown or none."""
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    return data


def decode_base64(data: bytes) -> bytes:
    """Base64 with whatever else stands between, cut short, or without its padding."""
    return _base64(data) if len(data) <= PIECE else b"".join(_base64_pieces(data))


def _base64_pieces(data: bytes) -> Iterator[bytes]:
    held = b""
    for at in range(0, len(data), PIECE):
        kept = held + data[at : at + PIECE].translate(None, _NOT_BASE64_NOR_PADDING)
        if b"=" in kept:  # it may end here
            yield _base64(kept + data[at + PIECE :])
            return
        whole = len(kept) // 4 * 4
        yield binascii.a2b_base64(kept[:whole])
        held = kept[whole:]
    yield _base64(held)


def _base64(data: bytes) -> bytes:
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        kept = data.translate(None, _NOT_BASE64)
        kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
        return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def unescape(text: str) -> str:
    """HTML's character references as what they stand for; a number that stands for no character is U+FFFD."""
    try:
        return html.unescape(text)
    except ValueError:
        return html.unescape(_HUGE.sub("\ufffd", text))


def unfold(value: bytes) -> bytes:
    """A field's value on one line, controls as spaces, without the space around it; bounded."""
    return value[: LIMITS.field_value].translate(UNFOLD, b"\r\n").strip()


def header_text(value: bytes) -> str:
    """An unstructured field's value (RFC 5322 §2.2.1) as text on one line, encoded words decoded."""
    raw = unfold(value)
    if raw.isascii():
        text = raw.decode("ascii")
        return decode_words(text) if "=?" in text else text
    return _CONTROL.sub(" ", decode_words(_guess(raw)))


def decode_words(text: str) -> str:
    """RFC 2047 encoded words in `text` as what they stand for; the first `LIMITS.encoded_words` of them.

    Tolerant of what is sent: spaces inside a word (iOS), no space between words, a character cut between two words.
    """
    if "=?" not in text:
        return text
    pieces: list[str] = []
    place = 0
    charset, octets = "", b""  # neighbours of one charset are joined before they are decoded
    for word in islice(_WORD.finditer(text), LIMITS.encoded_words):
        gap = text[place : word.start()]
        found = word[1].lower()
        if octets and (gap.strip() or found != charset):
            pieces.append(decode_text(octets, charset))
            octets = b""
            pieces.append(gap if gap.strip() else "")
        elif not octets and (gap.strip() or not place):
            pieces.append(gap)
        charset = found
        octets += _word_octets(word[2], word[3])
        place = word.end()
    pieces += (decode_text(octets, charset), text[place:])
    return _CONTROL.sub(" ", "".join(pieces))


def _word_octets(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return decode_base64(raw) if encoding in "Bb" else binascii.a2b_qp(raw, header=True)


def encode_words(text: str) -> str:
    """`text` as it may stand in a header: itself if printable ASCII, else RFC 2047 words of at most 75 characters."""
    if text.isascii() and text.isprintable():
        return text
    words = []
    chunk = b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(chunk) + len(octets) > 45:  # 60 characters of base64, 72 with the frame (RFC 2047 §2)
            words.append(chunk)
            chunk = b""
        chunk += octets
    words.append(chunk)
    return " ".join(f"=?UTF-8?B?{binascii.b2a_base64(word, newline=False).decode('ascii')}?=" for word in words)


def parameter_texts(parameters: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Parameters as text: RFC 2231 charsets and continuations resolved, encoded words (common, if wrong) decoded.

    Of `name*`, `name*0*…` and `name`, the first that is there counts, in this order; of repeated ones, the first.
    """
    plain: dict[str, str] = {}
    better: dict[str, str] = {}
    runs: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in parameters:
        segment = _SEGMENT.fullmatch(name) if b"*" in name else None
        if segment is None:
            plain.setdefault(name.decode("ascii", "replace"), header_text(value))
        elif segment[2] is None:
            better.setdefault(segment[1].decode("ascii", "replace"), _extended(value))
        else:
            runs.setdefault(segment[1], {}).setdefault(int(segment[2]), (value, segment[3] is not None))
    for base, run in runs.items():
        if 0 in run:
            better.setdefault(base.decode("ascii", "replace"), _join(run))
    return plain | better


def _extended(value: bytes) -> str:
    """`charset'language'%41bc` (RFC 2231 §4)."""
    charset, quote, rest = value.partition(b"'")
    language, second, text = rest.partition(b"'")
    if not quote or not second:
        charset, text = b"", value
    return _CONTROL.sub(" ", decode_text(_percent(text), charset.decode("ascii", "replace")))


def _join(run: dict[int, tuple[bytes, bool]]) -> str:
    """Continuations in the order of their numbers, up to the first that is missing (RFC 2231 §3, §4.1)."""
    charset = b""
    octets = []
    for number in range(len(run)):
        if number not in run:
            break
        value, extended = run[number]
        if number == 0 and extended and value.count(b"'") >= 2:
            charset, _, value = value.split(b"'", 2)
        octets.append(_percent(value) if extended else value)
    return _CONTROL.sub(" ", decode_text(b"".join(octets), charset.decode("ascii", "replace")))


def _percent(value: bytes) -> bytes:
    return _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), value)
