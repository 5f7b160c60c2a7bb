"""RAR and 7z by their lists of names: what is in there, what cannot be read, and that nothing hostile costs much."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.trust import archives_7z
from daemon.trust.archives import Unpacking
from tests.trust import packing
from tests.trust.packing import (
    AES,
    COPY,
    LZMA_1,
    LZMA_2,
    block4,
    block5,
    file4,
    file5,
    listing,
    number,
    packed_7z,
    rar4,
    rar5,
    seven,
    streams,
    vint,
)
from tests.trust.test_attachments import ALL, PROGRAM, mail, why, zipped

PARTS = b"\x08\x0d" + number(2) + b"\x09" + number(10) + b"\x0a\x01" + bytes(8) + b"\0"
MAIN = b"\x04" + streams(0, 10, [30], LZMA_1, PARTS)
TEN = bytes(10)


def found(data: bytes) -> tuple[list[str], set[str]]:
    """The names in an archive, and what else is said of it."""
    all_ = list(Unpacking().look(data, "a"))
    return [each.name for each in all_ if each.kind == "name"], {each.kind for each in all_ if each.kind != "name"}


def archives(*names: str) -> dict[str, bytes]:
    """The same files in all that is listed."""
    raw = [name.encode() for name in names]
    header = listing(*names, main=b"\x04" + streams(0, 10, [30], LZMA_1))
    return {
        "rar5": rar5(*(file5(name, b"packed") for name in raw)),
        "rar4": rar4(*(file4(name, b"packed") for name in raw)),
        "7z": seven(header, TEN),
        "7z-lzma": packed_7z(header, LZMA_1, TEN),
        "7z-lzma2": packed_7z(header, LZMA_2, TEN),
        "7z-copied": packed_7z(header, COPY, TEN),
    }


KINDS = tuple(archives())
WHOLE = archives("read me.txt", "dir/run.js", "ünï.pdf")


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_seen_and_judged(kind: str) -> None:
    assert found(WHOLE[kind]) == (["a/read me.txt", "a/dir/run.js", "a/ünï.pdf"], set())
    assert why(mail(WHOLE[kind], "a.dat")) == ["archive-executable"]
    assert why(mail(zipped({"x": WHOLE[kind]}), "a.zip")) == ["archive-executable"]
    assert why(mail(archives("a.txt", "b.pdf")[kind], "a.rar")) == []
    assert why(mail(archives("a.docm")[kind], "a.rar")) == ["macro"]
    assert why(mail(archives("a.txt", "in/b.zip")[kind], "a.rar")) == ["archive-closed"]
    assert why(mail(archives("a\u202etxt.exe")[kind], "a.rar")) == ["archive-executable"]


def test_what_a_rar_does_not_pack_is_looked_into() -> None:
    inner = zipped({"x.js": b""})
    for data in (
        rar5(file5(b"a.txt", PROGRAM, stored=True)),
        rar5(file5(b"a.txt", inner, stored=True)),
        rar4(file4(b"a.txt", PROGRAM, method=0x30)),
        rar4(file4(b"a.txt", rar5(file5(b"x.js", b"")), method=0x30)),
    ):
        assert why(mail(data, "a.rar")) == ["archive-executable"]
    assert found(rar5(file5(b"d", b"", folder=True), file5(b"d/a", b"text", stored=True)))[1] == set()
    assert found(rar4(file4(b"d", b"", flags=0xE0, method=0x30)))[1] == set()
    deep = zipped({"x.txt": b""})
    for _ in range(LIMITS.archive_depth):
        deep = rar5(file5(b"x", deep, stored=True))
    assert why(mail(deep, "a.rar")) == ["archive-bomb"]


@pytest.mark.parametrize(
    "data",
    [
        rar5(file5(b"a.txt", PROGRAM, key=True, stored=True)),
        rar4(file4(b"a.txt", PROGRAM, flags=4, method=0x30)),
        packed_7z(listing("a.txt", main=b"\x04" + streams(0, 10, [32, 30], AES + LZMA_1)), LZMA_1, TEN),
    ],
)
def test_files_with_a_password(data: bytes) -> None:
    assert found(data) == (["a/a.txt"], {"encrypted"})


@pytest.mark.parametrize(
    "data",
    [
        rar5(block5(4, vint(0) * 3)),
        rar4(file4(b"a.txt", b""), flags=0x80),
        seven(b"\x17" + streams(0, 10, [30], AES), TEN),
    ],
)
def test_headers_with_a_password_close_an_archive(data: bytes) -> None:
    assert found(data) == ([], {"closed"})


def test_fields_of_an_archive_that_a_reader_passes_over() -> None:
    more = rar5(file5(b"a.js", b"x"), block5(3, vint(0), b"comment"), file5(b"b.js", b""))
    assert found(more) == (["a/a.js", "a/b.js"], set())
    large = rar4(file4(b"a.js", b"xyz", flags=0x100), packing.SERVICE4, file4(b"b.js", b""), end=b"")
    assert found(large) == (["a/a.js", "a/b.js"], set())
    properties = b"\x02\x0e" + number(2) + b"xx\0"
    assert found(seven(listing("a.js", "b", main=properties + MAIN), TEN)) == (["a/a.js", "a/b"], set())
    assert found(seven(b"\x01\0")) == ([], set())
    assert found(seven(b"")) == ([], set())
    assert found(seven(listing("a.js"))) == (["a/a.js"], set())


@pytest.mark.parametrize(
    ("narrow", "packed", "name"),
    [
        (b"a.txt", b"\0\x00a.t", "a.t"),
        (b"t?st.exe", b"\x04\x1ctC\0s", "t\u0443sts"),
        (b"run.exe", b"\x20\xc0\x05", "run.exe"),
        (b"abc", b"\x04\xc0\x81\x20", "\u0481\u0482\u0483"),
        (b"x", b"\x04\x50\x3f\x40", "\u043f\u0440"),
        (b"x", b"\0\x80\x41\x04\0", "\u0441"),
    ],
)
def test_names_in_utf_16_beside_others(narrow: bytes, packed: bytes, name: str) -> None:
    names, rest = found(rar4(file4(narrow + b"\0" + packed, b"", flags=0x200)))
    assert names[0] == f"a/{narrow.decode()}" and names[1:] == ([] if rest else [f"a/{name}"])


def test_names_end_where_programs_end_them() -> None:
    assert found(rar5(file5(b"run.exe\0.txt", b"")))[0] == ["a/run.exe"]
    assert found(rar4(file4(b"run.exe\0.txt", b"")))[0] == ["a/run.exe"]
    assert found(rar4(file4(b"\x81.exe", b"")))[0] == ["a/ü.exe"], "cp437"
    assert why(mail(rar5(file5(b"x/" * 3000 + b"run.exe", b"")), "a.rar")) == ["archive-executable"]


# -- what is broken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_wherever_it_is_cut_it_is_closed(kind: str) -> None:
    data = WHOLE[kind]
    whole, _ = found(data)
    for end in range(8, len(data)):
        names, rest = found(data[:end])
        assert names == whole[: len(names)]
        assert rest == {"closed"} or (kind == "rar4" and not rest), end  # which may lack an end


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_octet_is_wrong_it_is_the_same_or_closed(kind: str) -> None:
    data = WHOLE[kind]
    whole, _ = found(data)
    chance = random.Random(kind)
    for at in range(8, len(data)):
        for other in {data[at] ^ 1, data[at] ^ 0x80, 0, 0xFF, chance.randrange(256)} - {data[at]}:
            names, rest = found(data[:at] + bytes([other]) + data[at + 1 :])
            assert names == whole or rest, (at, other)


@pytest.mark.parametrize("kind", ["rar5", "rar4", "7z", "7z-copied"])
def test_a_name_counts_though_its_checksum_is_wrong(kind: str) -> None:
    code = "utf-16-le" if "7z" in kind else "ascii"
    spoilt = WHOLE[kind].replace("run.js".encode(code), "run.pl".encode(code))
    assert found(spoilt) == (["a/read me.txt", "a/dir/run.pl", "a/ünï.pdf"], {"closed"})


def nested(rounds: int) -> bytes:
    """A header packed in a header packed in a header."""
    header = listing("a.js")
    content = b""
    for _ in range(rounds):
        content, header = content + header, b"\x17" + streams(len(content), len(header), [len(header)], plain=header)
    return seven(header, content)


@pytest.mark.parametrize(
    "data",
    [
        b"Rar!\x1a\x07\x02\0" + TEN,
        rar5(block5(2, vint(0) * 3)),
        rar5(struct.pack("<I", 0) + b"\0"),
        rar5(struct.pack("<I", 0) + b"\xff" * 12),
        rar5(struct.pack("<I", 0) + vint(3 << 20)),
        rar5(block5(2, vint(0), extra=b"\x7f")),
        rar5(block5(2, vint(0) * 6, extra=vint(0) + b"\1")),
        rar4(struct.pack("<HBHH", 0, 0x74, 0, 6)),
        rar4(block4(0x74, 0x8000, b"short")),
        rar4(block4(0x75, 0, b"")),
        rar4(file4(b"a\0\0\xc0", b"", flags=0x200)),
        seven(b"\x01\x05" + number(1) + b"\0\0"),
        seven(b"\x01\x05" + number(2) + b"\x11" + number(5) + b"\0a\0\0\0" + b"\0\0"),
        seven(b"\x01\x05" + number(1) + b"\x11" + number(1) + b"\1" + b"\0\0"),
        seven(b"\x01\x05" + number(1) + b"\x11" + number(0) + b"\0\0"),
        seven(b"\x01\x05" + number(1 << 60)),
        seven(b"\x01\x03\0"),
        seven(b"\x02"),
        seven(b"\x01\x04\x06\0" + number(1 << 40)),
        seven(b"\x01\x04\x06\0\x01\x77"),
        seven(b"\x01\x04\x07\x0c"),
        seven(b"\x01\x04\x07\x0b\x01\x01"),
        seven(b"\x01\x04\x07\x0b\x01\0\0"),
        seven(b"\x01\x04\x07\x0b\x01\0\x01\x11\x00\x01\x03"),
        seven(b"\x01\x04" + streams(0, 1, [1])[:-2] + b"\x09"),
        seven(b"\x01\x04" + streams(0, 1, [1])[:-1] + b"\x08\x0d" + number(40_001)),
        seven(b"\x01\x04" + streams(0, 1, [1])[:-1] + b"\x08\x0d" + number(40_000) + b"\x09"),
        seven(b"\x01\x04" + streams(0, 1, [1])[:-1] + b"\x08\x0d" + number(40_000) + b"\x0a\0\xff"),
        seven(b"\x01\x04" + streams(0, 1, [1])[:-1] + b"\x08\x77"),
        seven(b"\x01\x04" + streams(0, 1, [1])[:-1] + b"\x77"),
        seven(b"\x17\0"),
        seven(b"\x17" + streams(0, 11, [30], LZMA_1), TEN),
        seven(b"\x17" + streams(0, 10, [30], LZMA_1), b"\xff" * 10),
        seven(b"\x17" + streams(0, 10, [30], b"\x23\x03\x01\x01\x05" + b"\xff" * 5), TEN),
        seven(b"\x17" + streams(0, 10, [30], b"\x03\x03\x03\x01"), TEN),
        seven(b"\x17" + streams(0, 10, [9]), TEN),
        seven(b"\x17" + streams(0, 10, [1 << 50], LZMA_1), TEN),
        nested(5),
        b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<IQQI", 0, 1 << 63, 1 << 63, 0),
    ],
)
def test_what_makes_no_sense_closes_an_archive(data: bytes) -> None:
    assert found(data)[1] == {"closed"}


def test_a_header_may_be_packed_more_than_once() -> None:
    assert found(nested(3)) == (["a/a.js"], set())


# -- what is too much --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rar5", "rar4", "7z"])
def test_so_many_entries_of_a_list_are_looked_at(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.trust.archives.LIMITS", type(LIMITS)(archive_entries=50))
    assert found(archives(*map(str, range(40)))[kind])[1] == set()
    names, rest = found(archives(*map(str, range(60)))[kind])
    assert len(names) <= 50 and rest == {"bomb"}


def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many octets of headers were unpacked."""
    unpack, octets = archives_7z._lzma, 0

    def unpacking(*args: Any) -> bytes:
        nonlocal octets
        out = unpack(*args)
        octets += len(out)
        return out

    monkeypatch.setattr(archives_7z, "_lzma", unpacking)
    return lambda: octets


def test_headers_of_7z_are_unpacked_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = counted(monkeypatch)
    assert found(packed_7z(bytes(LIMITS.archive_header + 1)))[1] == {"closed"} and octets() == 0
    assert found(packed_7z(b"\x01\x05" + bytes(LIMITS.archive_header - 2))) == ([], set())
    assert octets() == LIMITS.archive_header
    many = zipped({f"{n}.7z": packed_7z(bytes(1 << 20)) for n in range(200)})
    assert why(mail(many, "a.zip"))[0] in ("archive-closed", "archive-bomb")
    assert octets() <= 2 * LIMITS.archive_header + 128 * LIMITS.archive_entries + (1 << 20)


def test_rubbish_behind_a_signature_never_raises() -> None:
    chance = random.Random(7)
    for start in (rar5()[:8], rar4()[:7], seven(b"")[:8]):
        for _ in range(300):
            found(start + chance.randbytes(chance.randrange(120)))
    for data in WHOLE.values():
        for _ in range(200):
            spoilt = bytearray(data)
            for _ in range(chance.randrange(2, 12)):
                spoilt[chance.randrange(8, len(spoilt))] = chance.randrange(256)
            found(bytes(spoilt))


def test_others_that_nobody_opens_are_closed() -> None:
    arj = b"\x60\xea\x2c\0\x22\x0b\1\x0b\x10\0\2" + bytes(40)
    for content in (
        b"MSCF" + bytes(40), b"\x31\x08\x31\0\0\0\x90**ACE**" + bytes(40), b"\x21\0-lh5-" + bytes(40), arj,
        b"\x28\xb5\x2f\xfd" + bytes(40), b"\x1f\x9d\x90" + bytes(40),
    ):  # fmt: skip
        assert why(mail(content, "a.dat"), ALL) == ["archive-closed"]
    assert why(mail(b"a -lh text-" + bytes(9), "a.dat")) == []
