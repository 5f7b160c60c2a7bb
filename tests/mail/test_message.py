"""The MIME tree: offsets of well-formed and malformed mail, limits, and the packed form."""

from __future__ import annotations

import mmap
import tempfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import daemon.mail.message as message_room
from daemon.limits import LIMITS
from daemon.mail.message import Message, Part, body_of, pack, scan, unpack, unpack_root


def shape(part: Part) -> str:
    inner = f"[{' '.join(shape(child) for child in part.parts)}]" if part.parts else ""
    return f"{part.type}/{part.subtype}{inner}"


def bodies(message: Message) -> list[bytes]:
    return [bytes(message.data[part.body : part.end]) for part in message.root.walk() if not part.parts]


def multipart(boundary: bytes, *parts: bytes, end: bytes = b"--\r\n", subtype: bytes = b"mixed") -> bytes:
    lines = b"".join(b"\r\n--" + boundary + b"\r\n" + part for part in parts)
    return (
        b"Content-Type: multipart/" + subtype + b'; boundary="' + boundary + b'"\r\n\r\npreamble' + lines
        + b"\r\n--" + boundary + end
    )  # fmt: skip


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_plain_message(end: bytes) -> None:
    data = end.join([b"Subject: x", b"X-Folded: a", b"\tb", b"", b"one", b"two", b""])
    message = scan(data)
    root = message.root
    assert (root.header, root.end, root.lines) == (0, len(data), 2)
    assert data[root.body :] == end.join([b"one", b"two", b""])
    assert root.size == len(data) - root.body
    assert root.media == "text/plain"
    assert [name for name, _ in message.fields] == [b"Subject", b"X-Folded"]
    assert message.first(b"subject") == (b" x\r" if end == b"\r\n" else b" x")
    assert message.first(b"to") is None


def test_every_field_of_a_name_is_there_in_order() -> None:
    message = scan(b"Received: 1\nSubject: x\nRECEIVED: 2\n\n")
    assert message.every(b"received") == [b" 1", b" 2"]


@pytest.mark.parametrize(
    "data,body",
    [
        (b"", 0),
        (b"\r\nbody", 2),
        (b"\nbody", 1),
        (b"\r", 1),
        (b"\rbody", 5),
        (b"a: b", 4),
        (b"a: b\r\n", 6),
        (b"a: b\n\r\nbody", 7),
        (b"a: b\r\n\r\nbody", 8),
        (b"no field at all\r\n\r\nbody", 19),
    ],
)
def test_a_header_ends_at_the_blank_line(data: bytes, body: int) -> None:
    assert scan(data).root.body == body


def test_the_parts_of_a_multipart_lie_between_its_boundaries() -> None:
    data = multipart(b"b", b"\r\none", b"Content-Type: text/html; charset=UTF-8\r\n\r\ntwo\r\n\r\n", b"", b"\r\n")
    message = scan(data)
    assert shape(message.root) == "multipart/mixed[text/plain text/html text/plain text/plain]"
    assert bodies(message) == [b"one", b"two\r\n\r\n", b"", b""]
    assert [part.charset for part in message.root.parts] == ["", "utf-8", "", ""]
    assert message.root.is_multipart and not message.root.is_message


def test_line_ends_may_be_bare() -> None:
    message = scan(multipart(b"b", b"\r\none", b"\r\ntwo").replace(b"\r\n", b"\n"))
    assert bodies(message) == [b"one", b"two"]


@pytest.mark.parametrize(
    "data,want",
    [
        (multipart(b"b", b"\r\none", end=b""), [b"one", b""]),
        (multipart(b"b", b"\r\none", b"\r\ntwo\r\n", end=b"-- \t\r\nepilogue"), [b"one", b"two\r\n"]),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n", [b"one\r\n"]),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b \t\r\n\r\none\r\n--bb\r\n--b--", [b"one\r\n--bb"]),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b--", [b"", b""]),
        (b"Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b\r\n\r\nx", [b"x"]),
        (b"Content-Type: multipart/mixed; boundary*0=b;\r\n boundary*1=c\r\n\r\n--bc\r\n\r\nx", [b"x"]),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--b", [b""]),
    ],
)  # fmt: skip
def test_boundaries_may_be_sloppy(data: bytes, want: list[bytes]) -> None:
    assert bodies(scan(data)) == want


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: multipart/mixed\r\n\r\none\r\n",
        b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\none\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\none\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\none\r\n--b--\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
    ],
)  # fmt: skip
def test_a_multipart_without_parts_is_plain_text(data: bytes) -> None:
    root = scan(data).root
    assert root.media == "text/plain" and not root.parts
    assert root.lines == data[root.body :].count(b"\n")


def test_an_inner_boundary_that_begins_like_the_outer_is_not_the_outer() -> None:
    inner = multipart(b"outer-inner", b"\r\none", b"\r\ntwo")
    message = scan(multipart(b"outer", inner, b"\r\nthree"))
    assert bodies(message) == [b"one", b"two", b"three"]


def test_of_two_content_types_the_first_counts() -> None:
    assert scan(b"Content-Type: text/html\nContent-Type: text/plain\n\n").root.media == "text/html"


@pytest.mark.parametrize("value", [b"", b"text", b"/", b"text/", b"\xff/\x00", b"text plain"])
def test_a_content_type_that_is_none_is_plain_text(value: bytes) -> None:
    assert scan(b"Content-Type: " + value + b"\n\nx\n").root.media == "text/plain"


@pytest.mark.parametrize(
    "value,encoding",
    [(b"BASE64", "base64"), (b" quoted-printable (really)", "quoted-printable"), (b"", "7bit"), (b"\xff", "7bit")],
)
def test_encodings(value: bytes, encoding: str) -> None:
    assert scan(b"Content-Transfer-Encoding:" + value + b"\n\n").root.encoding == encoding


def test_a_message_inside_is_opened() -> None:
    inner = b"Subject: in\r\n\r\none\r\ntwo\r\n"
    message = scan(multipart(b"b", b"Content-Type: message/rfc822\r\n\r\n" + inner, b"\r\nx"))
    assert shape(message.root) == "multipart/mixed[message/rfc822[text/plain] text/plain]"
    part = message.root.parts[0]
    assert part.is_message and part.lines == inner.count(b"\n")
    assert part.parts[0].fields[b"subject"] == b" in\r"


def test_an_encoded_message_inside_stays_closed() -> None:
    data = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA\n"
    assert scan(data).root.media == "application/octet-stream"


def test_a_digest_holds_messages() -> None:
    data = multipart(b"b", b"\r\nSubject: in\r\n\r\nx", b"Content-Type: text/html\r\n\r\n", subtype=b"digest")
    assert shape(scan(data).root) == "multipart/digest[message/rfc822[text/plain] text/html]"


def test_lines_of_messages_inside_messages() -> None:
    data = b"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nA: b\n\none\n"
    root = scan(data).root
    assert (root.lines, root.parts[0].lines, root.parts[0].parts[0].lines) == (5, 3, 1)


def nested(depth: int) -> bytes:
    head = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(depth))
    return head + b"\r\ninnermost\r\n"


def test_what_is_nested_too_deep_stays_closed() -> None:
    parts = list(scan(nested(2000)).root.walk())
    assert len(parts) == LIMITS.mime_depth + 1
    assert parts[-1].media == "application/octet-stream"
    parts = list(scan(b"Content-Type: message/rfc822\n\n" * 2000).root.walk())
    assert len(parts) == LIMITS.mime_depth + 1
    assert parts[-1].media == "application/octet-stream"


def test_parts_too_many_belong_to_the_last() -> None:
    data = multipart(b"b", *[b"\r\n%d" % n for n in range(3000)])
    message = scan(data)
    assert len(list(message.root.walk())) == LIMITS.mime_parts
    assert message.root.parts[-1].end == len(data)
    inner = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--"
    message = scan(multipart(b"b", *[inner] * 3000))
    assert {part.media for part in message.root.parts} == {"application/octet-stream"}
    message = scan(multipart(b"b", *[b"Content-Type: message/rfc822\r\n\r\nx"] * 999))
    assert {part.media for part in message.root.parts} == {"application/octet-stream"}


def test_a_search_too_long_leaves_the_rest_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_room, "LIMITS", replace(LIMITS, mime_search=1000))
    inner = multipart(b"c", b"\r\nx")
    message = scan(multipart(b"b", b"\r\none", b"\r\ntwo", inner, *[b"\r\nmore"] * 10))
    assert len(message.root.parts) == 4
    assert message.root.parts[2].media == "application/octet-stream"
    assert message.root.parts[3].end == len(message.data)


def test_a_header_too_long_ends_with_a_whole_line() -> None:
    line = b"X-Long: " + b"x" * 990 + b"\r\n"
    data = line * (LIMITS.header_bytes // len(line) + 10) + b"\r\nbody"
    message = scan(data)
    assert message.root.body == LIMITS.header_bytes // len(line) * len(line)
    assert len(message.fields) == LIMITS.header_fields
    endless = b"x" * (LIMITS.header_bytes + 10)
    assert scan(endless).root.body == LIMITS.header_bytes


def test_a_mapped_file_is_read_like_bytes() -> None:
    data = multipart(b"b", b"\r\none\r\ntwo", b"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx\r\n")
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert pack(scan(mapped).root) == pack(scan(data).root)
    assert pack(scan(bytearray(data)).root) == pack(scan(data).root)


def stripped(part: Part) -> Part:
    return replace(part, fields={}, parameters=[], parts=[stripped(child) for child in part.parts])


SPECIMENS = [
    b"",
    b"Subject: x\r\n\r\nbody\r\n",
    b"Content-Type: text/plain; charset=\"a b\xff-c\"\r\n\r\n",
    multipart(b"b", b"", multipart(b"c", b"\r\n1", b"\r\n2"), b"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\n"),
    nested(60),
]  # fmt: skip


@pytest.mark.parametrize("data", SPECIMENS)
def test_a_packed_tree_comes_back(data: bytes) -> None:
    root = scan(data).root
    assert unpack(pack(root)) == stripped(root)
    assert unpack_root(pack(root)) == replace(stripped(root), parts=[])
    assert body_of(pack(root)) == root.body


@pytest.mark.parametrize("cut", [b"", b"2", b"1"])
def test_a_packed_tree_that_is_none_is_an_error(cut: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(cut)
    with pytest.raises(ValueError):
        unpack_root(cut)
    with pytest.raises(ValueError):
        body_of(cut)


def test_a_packed_tree_with_rows_missing_or_too_many_is_an_error() -> None:
    packed = pack(scan(multipart(b"b", b"", b"")).root)
    with pytest.raises(ValueError):
        unpack(packed.rsplit(b"\n", 1)[0])
    with pytest.raises(ValueError):
        unpack(packed + packed[packed.rindex(b"\n") :])


PIECES = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\x00", b"\xff", b" ", b"\t", b"--", b"b", b"--b", b"\r\n--b\r\n", b"\n--b--\n", b":",
        b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: multipart/digest; boundary=\"b\"\n",
        b"Content-Type: message/rfc822\r\n", b"Content-Type: text/plain; charset=x\r\n", b"\r\n\r\n", b"text",
        b"Content-Transfer-Encoding: base64\r\n", b"Subject: =?utf-8?q?x?=\r\n", b"From: a <b@c>\r\n",
    ]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=40).map(b"".join)))
def test_any_bytes_have_a_structure_with_parts_inside_their_parents(data: bytes) -> None:
    root = scan(data).root
    assert (root.header, root.end) == (0, len(data))
    for part in root.walk():
        assert part.header <= part.body <= part.end
        place = part.body
        for child in part.parts:
            assert place <= child.header and child.end <= part.end
            place = child.end
    assert unpack(pack(root)) == stripped(root)
