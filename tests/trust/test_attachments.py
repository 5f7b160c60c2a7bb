"""The attachment policy, by names and by content, openly, disguised and in archives; and work that stays bounded."""

from __future__ import annotations

import base64
import bz2
import dataclasses
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import pytest

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.trust import archives, attachments
from daemon.trust.attachments import Policy
from daemon.trust.results import Attachment

BLOCKED = Config()["attachments.blocked"]
ALL = Policy(BLOCKED)
PROGRAM = b"MZ\x90\0\x03\0\0\0" + bytes(500)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def mail(
    content: bytes = b"hello", name: str = "", type: str = "application/octet-stream", encoding: str = "base64"
) -> bytes:
    """A text and one attachment. `name` is the field's parameter as it is written."""
    said = f"Content-Disposition: attachment; {name}\r\n" if "=" in name else ""
    said = said or (f'Content-Disposition: attachment; filename="{name}"\r\n' if name else "")
    head = f"--b\r\nContent-Type: {type}\r\n{said}Content-Transfer-Encoding: {encoding}\r\n\r\n"
    body = base64.encodebytes(content).replace(b"\n", b"\r\n") if encoding == "base64" else content
    start = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nhello\r\n'
    return start + head.encode() + body + b"\r\n--b--\r\n"


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: Mapping[str, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return out.getvalue()


def encrypted(data: bytes) -> bytes:
    """The same zip with the mark of encryption on its entries."""
    out = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(mark)
        while at >= 0:
            out[at + offset] |= 1
            at = out.find(mark, at + 4)
    return bytes(out)


def why(data: bytes, policy: Policy = ALL) -> list[str]:
    return [found.reason for found in attachments.check(data, policy)]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name,reason",
    [
        ("report.pdf", ""),
        ("holiday.jpg.zip", ""),
        ("notes", ""),
        (".profile", ""),
        ("v1.2.3", ""),
        ("exe", ""),
        ("executable.exe.txt", ""),
        ("Offer from shop.com .pdf", ""),
        ("setup.exe", "executable"),
        ("Setup.EXE", "executable"),
        ("my.setup.exe", "executable"),
        ("C:\\x\\setup.exe", "executable"),
        ("setup.exe:stream", "executable"),
        ("run.vbs", "script"),
        ("link.lnk", "script"),
        ("budget.xlsm", "macro"),
        ("setup.exe.", "disguised"),
        ("setup.exe   ", ""),  # a parser leaves none at the end
        ("report.pdf.exe", "disguised"),
        ("report.pdf                      .exe", "disguised"),
        ("report.exe .pdf", "disguised"),
        ("report\u202efdp.exe", "disguised"),
        ("\uff53\uff0e\uff45\uff58\uff45", "disguised"),
        ("a.e\u200bxe", "disguised"),
        ("a.{00000000-0000-0000-0000-000000000000}", "disguised"),
        ("a\u202etxt.exe", "disguised"),
    ],
)  # fmt: skip
def test_names(name: str, reason: str) -> None:
    found = attachments.of_name(name, BLOCKED)
    assert found == (reason or ("executable" if name.endswith("exe   ") else ""))


@pytest.mark.parametrize(
    "name",
    [
        "filename=setup.exe",
        "filename*=utf-8''setup%2Eexe",
        "filename*0=\"set\"; filename*1=\"up.e\"; filename*2=xe",
        "filename=\"=?utf-8?B?c2V0dXAuZXhl?=\"",
        "filename=report.pdf; filename*=utf-8''setup.exe",
        "filename*=utf-8''report.pdf; filename=setup.exe",
        "filename*=utf-16''%73%00%65%00%74%00%75%00%70%00%2e%00%65%00%78%00%65%00",
    ],
)  # fmt: skip
def test_names_as_they_are_written(name: str) -> None:
    (found,) = attachments.check(mail(name=name), ALL)
    assert found == Attachment("setup.exe", "executable")


def test_both_fields_count_and_text_parts_with_a_name_too() -> None:
    assert why(mail(type='application/pdf; name="x.js"', name="x.pdf")) == ["script"]
    assert why(mail(b"hello", "x.vbs", "text/plain", "7bit")) == ["script"]
    assert why(b'Content-Type: text/plain; name="a.bat"\r\n\r\nhello\r\n') == ["script"]
    assert why(b"Subject: x\r\n\r\nlook:\r\n\r\nbegin 644 a.exe\r\nM\r\nend\r\n") == ["executable"]


def test_what_is_shown_is_harmless_and_short() -> None:
    (found,) = attachments.check(mail(name="filename*=utf-8''%1b[2J" + "n" * 900 + "%0d%0aX-Evil: 1.exe"), ALL)
    assert found.name.endswith("x-evil: 1.exe") and len(found.name) == 100 and found.name.isprintable()


def test_mail_without_attachments_is_left_alone() -> None:
    for data in (
        b"",
        b"\r\n",
        b"Subject: x\r\n\r\nMZ is the start of\r\nsetup.exe\r\n",
        mail(b"hi", "", "text/html", "7bit"),
    ):
        assert attachments.check(data, ALL) == () and attachments.files(data).light


# -- content against its name ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [PROGRAM, b"\x7fELF" + bytes(60), b"\xcf\xfa\xed\xfe" + bytes(60), b"L\0\0\0\x01\x14\x02\0" + bytes(60)]
)
def test_a_program_is_known_whatever_it_is_called(content: bytes) -> None:
    assert why(mail(content, "report.pdf", "application/pdf")) == ["disguised"]
    assert why(mail(content)) == ["executable"]
    assert why(mail(content, "a.pdf", encoding="binary")) == ["disguised"]
    assert why(mail(zipped({"a/report.pdf": content}), "a.zip")) == ["archive-executable"]


def test_what_stands_behind_the_padding_of_base64_is_seen() -> None:
    def parted(content: bytes) -> bytes:
        """Each third of it padded for itself."""
        third = len(content) // 3
        pieces = (content[:1], content[1 : third + 1], content[third + 1 :])
        start, _, rest = mail(b"", "a.dat").partition(b"base64\r\n\r\n")
        return start + b"base64\r\n\r\n" + b"".join(map(base64.b64encode, pieces)) + rest

    assert why(parted(PROGRAM)) == ["disguised"]
    assert why(parted(zipped({"run.js": b"x" * 3000}))) == ["archive-executable"]
    assert why(mail(zipped({"run.md": b"x"}), "a.zip").replace(b"\r\n--b--", b"=\r\n\r\n--b--")) == []


def test_macros_in_documents_of_both_kinds() -> None:
    old = OLE + "_VBA_PROJECT".encode("utf-16-le")
    assert why(mail(old, "a.doc")) == ["macro"] and why(mail(OLE, "a.doc")) == []
    for name in ("word/vbaProject.bin", "xl/VBAPROJECT.BIN", "xl/macrosheets/sheet1.xml"):
        assert why(mail(zipped({"[Content_Types].xml": b"<x/>", name: b"x"}), "a.docx")) == ["macro"]
    renamed = {"[Content_Types].xml": b'<Override ContentType="application/vnd.ms-office.vbaProject"/>', "word/x": b""}
    assert why(mail(zipped(renamed), "a.docx")) == ["macro"]
    assert why(mail(zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"x"}), "a.docx")) == []
    odt = {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"x"}
    assert why(mail(zipped(odt), "a.odt")) == []
    assert why(mail(zipped({**odt, "Basic/Standard/script-lb.xml": b"x"}), "a.odt")) == []
    assert why(mail(zipped({**odt, "Basic/Standard/Module1.xml": b"x"}), "a.odt")) == ["macro"]
    assert why(mail(zipped({"basic/a/b.xml": b"x"}), "a.zip")) == [], "no document"
    assert why(mail(zipped({"in/a.doc": old}), "a.zip")) == ["macro"]
    assert why(mail(zipped({"in/a.docm": b""}), "a.zip")) == ["macro"]
    assert why(mail(old, "a.doc"), ALL._replace(macros=False)) == []


@pytest.mark.parametrize(
    "name,content,reason",
    [
        ("a.html", b"<script>u=URL.createObjectURL(new Blob([d]));a.download='x.zip'</script>", "smuggling"),
        ("a.HTM", b"navigator.msSaveOrOpenBlob(b, 'x.iso')", "smuggling"),
        ("a.xhtml", b"<a download='x.js' href='data:text/plain;base64,AA=='>", "smuggling"),
        ("a.html", "<script>URL.createObjectURL(b)".encode("utf-16-le"), "smuggling"),
        ("a.html", b"<script>document.forms[0].submit()</script><a download='x' href='https://x.example/'>", ""),
        ("a.txt", b"URL.createObjectURL(b)", ""),
        ("a.svg", b"<svg><script>location='https://x.example/'</script></svg>", "smuggling"),
        ("a.svg", b"<svg onload = 'x()'/>", "smuggling"),
        ("a.svg", b"<svg><a xlink:href='JavaScript:x()'/></svg>", "smuggling"),
        ("a.svg", b"<svg><text font='sans' x='1'>on = off</text><image href='data:image/png;base64,AA=='/></svg>", ""),
    ],
)  # fmt: skip
def test_pages_and_pictures_with_files_in_their_scripts(name: str, content: bytes, reason: str) -> None:
    assert why(mail(content, name)) == ([reason] if reason else [])
    assert why(mail(content, name), ALL._replace(macros=False)) == []
    assert why(mail(content, "", "text/html")) == [], "a body is no attachment"


@pytest.mark.parametrize("end", "iso img vhd vhdx lnk one xll chm js vbs hta wsf jar msi rdp url iqy slk".split())
def test_what_brings_malware_today_is_in_the_list(end: str) -> None:
    assert why(mail(b"x", f"invoice.{end}")) and why(mail(zipped({f"a/{end}.{end}": b"x"}), "a.zip"))


# -- archives ----------------------------------------------------------------------------------------------------------

INSIDE = {"readme.txt": b"hi", "dir/run.JS": b"x"}


PACKED = (
    (zipped(INSIDE), "a.zip"),
    (zipped(INSIDE, zipfile.ZIP_STORED), "a.zip"),
    (zipped(INSIDE), "a.pdf"),
    (tarred(INSIDE), "a.tar"),
    (tarred({"d/" * 80 + "run.js": b""}), "a.tar"),
    (tarred({"d/" * 80 + "run.js": b""}, tarfile.GNU_FORMAT), "a.tar"),
    (tarred({"d/" * 60 + "run.js": b""}, tarfile.USTAR_FORMAT), "a.tar"),
    (gzip.compress(tarred(INSIDE)), "a.tar.gz"),
    (bz2.compress(tarred(INSIDE)), "a.tar.bz2"),
    (lzma.compress(tarred(INSIDE)), "a.tar.xz"),
    (gzip.compress(tarred(INSIDE)[:600]) + gzip.compress(tarred(INSIDE)[600:]), "a.tgz"),
    (gzip.compress(b"hello"), "run.js.gz"),
    (b"\x1f\x8b\x08\x08\0\0\0\0\0\x03run.js\0" + gzip.compress(b"hello")[10:], "a.gz"),
    (gzip.compress(PROGRAM), "a.gz"),
    (zipped({"a.zip": zipped({"b.zip": zipped(INSIDE)})}), "a.zip"),
    (zipped({"a.txt": gzip.compress(tarred(INSIDE))}), "a.zip"),
    (tarred({"a.zip": zipped(INSIDE)}), "a.tar"),
    (zipped({"a": b"", "b\u202etxt.exe": b""}), "a.zip"),
)


@pytest.mark.parametrize("number", range(len(PACKED)))
def test_what_is_in_an_archive_is_seen(number: int) -> None:
    content, name = PACKED[number]
    assert why(mail(content, name)) == ["archive-executable"]


def test_names_count_from_both_ends_of_a_zip_and_from_its_extra_fields() -> None:
    data = zipped({"run.js": b"x"})
    front, back = data.replace(b"run.js", b"run.md", 1), data[::-1].replace(b"sj.nur", b"dm.nur", 1)[::-1]
    assert front != back and why(mail(front, "a.zip")) == why(mail(back, "a.zip")) == ["archive-executable"]
    other = zipfile.ZipInfo("run.md")
    other.extra = struct.pack("<HHBI", 0x7075, 11, 1, zlib.crc32(b"run.md")) + b"run.js"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(other, b"x")
    assert why(mail(out.getvalue(), "a.zip")) == ["archive-executable"]


def test_honest_archives_pass() -> None:
    for content in (
        zipped({"a.pdf": b"%PDF", "b/": b"", "ü.txt": b"x"}),
        tarred({"a": b"x"}),
        gzip.compress(b"log"),
        b"PK\x05\x06" + bytes(18),
    ):
        assert why(mail(content, "a.zip")) == []


def test_archives_nobody_can_look_into() -> None:
    for content in (b"7z\xbc\xaf\x27\x1c" + bytes(60), b"Rar!\x1a\x07\x01\0" + bytes(30), b"\x1f\x8b\x08" + bytes(30)):
        assert why(mail(content, "a.dat")) == ["archive-closed"]
        assert why(mail(zipped({"x": content}), "a.zip")) == ["archive-closed"]
        assert why(mail(content, "a.7z"), ALL._replace(closed=False)) == []
    assert why(mail(encrypted(zipped({"a.pdf": b"x"})), "a.zip")) == ["archive-encrypted"]
    assert why(mail(encrypted(zipped({"a.exe": b"x"})), "a.zip")) == ["archive-executable"], "its names can be read"
    assert why(mail(OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx")) == ["archive-encrypted"]


def test_a_message_that_hides_in_an_encoding_is_looked_into() -> None:
    inner = mail(name="setup.exe")
    for _ in range(LIMITS.archive_depth):
        inner = mail(inner, "", "message/rfc822")
        assert why(inner) == ["executable"]
    assert why(mail(inner, "", "message/rfc822")) == ["mime-bomb"]


# -- bombs -------------------------------------------------------------------------------------------------------------


def test_ten_thousand_entries_are_read_and_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"dir/{number}.txt": b"" for number in range(9_999)}
    assert why(mail(zipped(many), "a.zip")) == []
    assert why(mail(zipped({**many, "x.exe": b""}), "a.zip")) == ["archive-executable"]
    monkeypatch.setattr(archives, "LIMITS", dataclasses.replace(LIMITS, archive_entries=1000))
    for content in (zipped(many), tarred(many), b"PK\x03\x04" * 10**6, gzip.compress(b"") * 2000):
        assert why(mail(content, "a.zip")) in (["archive-bomb"], ["archive-closed"])


def test_depth_is_bounded_of_archives() -> None:
    content = zipped({"x.txt": b""})
    for _ in range(LIMITS.archive_depth - 1):
        content = zipped({"x.zip": content})
    assert why(mail(content, "a.zip")) == []
    assert why(mail(zipped({"x.zip": content}), "a.zip")) == ["archive-bomb"]


def test_what_is_unpacked_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    small = dataclasses.replace(LIMITS, archive_octets=1 << 20)
    monkeypatch.setattr(archives, "LIMITS", small)
    zeros = bytes(3 << 20)
    assert why(mail(gzip.compress(zeros), "a.gz")) == ["archive-bomb"]
    assert why(mail(bz2.compress(zeros), "a.bz2")) == ["archive-bomb"]
    assert why(mail(zipped({"a": zeros}), "a.zip")) == ["archive-bomb"]
    assert why(mail(zipped(dict.fromkeys(map(str, range(300)), gzip.compress(zeros))), "a.zip")) == ["archive-bomb"]
    nested = zipped({"b.zip": zipped({"a": zeros}, zipfile.ZIP_STORED)})
    assert why(mail(nested, "a.zip")) == ["archive-bomb"]
    honest = random.Random(1).randbytes(1 << 20)
    large = zipped({"b.zip": zipped({"a": honest * 3}, zipfile.ZIP_STORED)})
    assert why(mail(large, "a.zip")) == ["archive-closed"], "too much to look through, but no bomb"
    assert why(mail(zipped({"a": honest * 3}), "a.zip")) == []
    endless = b"PK\x03\x04" + bytes(14) + struct.pack("<IIHH", 0xFFFFFFFF, 0xFFFFFFFF, 65535, 65535)
    assert why(mail(endless * 1000, "a.zip")) in ([], ["archive-bomb"])


def entry(extra: int, method: int) -> bytes:
    """The head of an entry without a name, whose data begin after so many octets."""
    return b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 0, 0, 100, 100, 0, extra)


def test_what_takes_time_and_gives_nothing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = b"\0\0\0\xff\xff"  # a stored block of no octets
    assert why(mail(entry(65535, 0) * 100 + bytes(1 << 16), "a.zip")) == ["archive-bomb"], "long lists of extra fields"
    monkeypatch.setattr(archives, "LIMITS", dataclasses.replace(LIMITS, archive_packed=1 << 20))
    blocks = empty * (1 << 17)
    assert why(mail(entry(0, 8) + blocks, "a.zip")) == []
    several = entry(60, 8) + entry(30, 8) + entry(0, 8) + blocks
    assert why(mail(several, "a.zip")) == ["archive-bomb"], "all of them read the same blocks"
    assert why(mail(gzip.compress(b"")[:10] + blocks * 2, "a.gz")) == ["archive-bomb"]


def test_parts_without_end_are_a_finding() -> None:
    head = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    assert why(head + b"--b\r\n\r\nx\r\n" * 1500) == ["mime-bomb"]
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(60))
    assert why(deep) == ["mime-bomb"]


def test_so_many_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    one = mail(name="setup.exe")
    start, _, part = one.partition(b"--b\r\nContent-Type: app")
    many = b"".join(
        b"--b\r\nContent-Type: app" + part.replace(b"setup", b"setup%d" % n).replace(b"--b--", b"") for n in range(50)
    )
    assert len(why(start + many)) == LIMITS.attachments_told


def test_hostile_mail_is_no_more_work_than_the_limits_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    unpack, of_name = archives._unpack, attachments.of_name
    octets = names = 0

    def unpacking(*args: Any, **more: Any) -> bytes:
        nonlocal octets
        out = unpack(*args, **more)
        octets += len(out)
        return out

    def naming(name: str, blocked: frozenset[str]) -> str:
        nonlocal names
        names += 1
        return of_name(name, blocked)

    monkeypatch.setattr(archives, "_unpack", unpacking)
    monkeypatch.setattr(attachments, "of_name", naming)
    chance = random.Random(2)
    large = chance.randbytes(4 << 20)
    small = gzip.compress(bytes(1 << 20))
    contents = (
        b"PK\x03\x04" * (1 << 20),
        (b"PK\x03\x04" + bytes(26)) * (1 << 18),
        b"PK\x03\x04" + large + b"PK\x01\x02" * 1000,
        zipped({f"{n}": small for n in range(2000)}, zipfile.ZIP_STORED),
        gzip.compress(bytes(100 << 20), 1),
        gzip.compress(b"") * (1 << 18),
        tarred({"x.gz": small})[:2048] * 4000,
    )
    for content in contents:
        octets = names = 0
        attachments.check(mail(content, "a.zip", encoding="binary"), ALL)
        heads = 512 * LIMITS.archive_entries
        assert octets <= 2 * LIMITS.archive_octets + heads and names <= 2 * LIMITS.archive_entries


def test_rubbish_never_raises() -> None:
    chance = random.Random(3)
    whole = [
        zipped(INSIDE),
        tarred(INSIDE),
        gzip.compress(tarred(INSIDE)),
        bz2.compress(b"x"),
        lzma.compress(b"x"),
        OLE,
    ]
    for content in whole:
        for _ in range(150):
            spoilt = bytearray(content)
            for _ in range(chance.randrange(1, 20)):
                spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
            attachments.check(mail(bytes(spoilt[: chance.randrange(len(spoilt) + 1)]), "a.zip", encoding="binary"), ALL)
