"""What is read, and what is attached: the trees of RFC 8621 §4.1.4 and others."""

from __future__ import annotations

import pytest

from daemon.mail import bodies
from daemon.mail.message import Part, dress, pack, scan, unpack

Tree = str | tuple[str, list["Tree"]]


def build(tree: Tree, depth: int = 0) -> bytes:
    """A message of a tree: parts are `type` or `type;name` or `type!disposition`, named by their place."""
    if isinstance(tree, str):
        kind, _, name = tree.partition(";")
        kind, _, where = kind.partition("!")
        fields = f"Content-Type: {kind}{f'; name={name}' if name else ''}\r\n"
        fields += f"Content-Disposition: {where}\r\n" if where else ""
        return f"{fields}\r\ntext".encode()
    kind, parts = tree
    boundary = f"b{depth}"
    inner = b"".join(b"\r\n--%s\r\n%s" % (boundary.encode(), build(part, depth + 1)) for part in parts)
    return b"Content-Type: multipart/%s; boundary=%s\r\n\r\n%s\r\n--%s--\r\n" % (
        kind.encode(), boundary.encode(), inner, boundary.encode()
    )  # fmt: skip


# The example of RFC 8621 §4.1.4, with the letters it gives its parts.
EXAMPLE: Tree = (
    "mixed",
    [
        "text/plain!inline",  # A
        (
            "mixed",
            [
                (
                    "alternative",
                    [
                        ("mixed", ["text/plain!inline", "image/jpeg!inline", "text/plain!inline"]),  # B C D
                        ("related", ["text/html", "image/jpeg"]),  # E F
                    ],
                ),
                "image/jpeg!attachment",  # G
                "application/x-excel",  # H
                "message/rfc822",  # J
            ],
        ),
        "text/plain!inline",  # K
    ],
)

TREES: list[tuple[str, Tree, str, str, str]] = [
    ("the example", EXAMPLE, "A B C D K", "A E K", "C F G H J"),
    ("plain", "text/plain", "A", "A", ""),
    ("html alone", "text/html", "A", "A", ""),
    ("a file alone", "application/pdf", "", "", "A"),
    ("a picture alone", "image/png", "A", "A", ""),
    ("alternatives", ("alternative", ["text/plain", "text/html"]), "A", "B", ""),
    ("alternatives and a calendar", ("alternative", ["text/plain", "text/html", "text/calendar"]), "A", "B", "C"),
    ("alternatives and a picture", ("alternative", ["text/plain", "text/html", "image/png"]), "A", "B", "C"),
    ("html without plain", ("alternative", ["text/html"]), "A", "A", ""),
    ("plain without html", ("alternative", ["text/plain"]), "A", "A", ""),
    ("a picture of the html", ("related", ["text/html", "image/png"]), "A", "A", "B"),
    ("a named text is a file", ("mixed", ["text/plain", "text/plain;a.txt"]), "A", "A", "B"),
    ("a named text that comes first is none", ("mixed", ["text/plain;a.txt"]), "A", "A", ""),
    ("an attached text", ("mixed", ["text/plain", "text/html!attachment"]), "A", "A", "B"),
    ("a picture between", ("mixed", ["text/plain", "image/png", "text/plain"]), "A B C", "A B C", ""),
    ("pictures only as html", ("alternative", ["text/plain", ("mixed", ["text/html", "image/png"])]), "A", "B C", "C"),
]


def letters(root: Part) -> dict[int, str]:
    leaves = [part for _, part in bodies.numbered(root) if not part.is_multipart]
    return {id(part): "ABCDEFGHJK"[at] for at, part in enumerate(leaves)}


@pytest.mark.parametrize(("name", "tree", "text", "html", "attached"), TREES, ids=[t[0] for t in TREES])
def test_what_is_read_and_what_is_attached(name: str, tree: Tree, text: str, html: str, attached: str) -> None:
    data = build(tree)
    for root in (scan(data).root, unpack(pack(scan(data).root))):
        dress(data, root)
        known = letters(root)
        found = bodies.bodies(root)
        lists = [" ".join(known[id(part)] for part in each) for each in (found.text, found.html, found.attachments)]
        assert lists == [text, html, attached]


def test_parts_are_numbered_as_imap_does() -> None:
    root = scan(build(EXAMPLE)).root
    assert [number for number, _ in bodies.numbered(root) if number] == [
        "1", "2.1.1.1", "2.1.1.2", "2.1.1.3", "2.1.2.1", "2.1.2.2", "2.2", "2.3", "2.4", "3"
    ]  # fmt: skip
    assert [number for number, _ in bodies.numbered(scan(b"\r\nhello").root)] == ["1"]


def test_facts_of_a_part() -> None:
    root = scan(
        b"Content-Type: text/plain; charset=UTF-8; name=other\r\n"
        b"Content-Disposition: Attachment; filename*=utf-8''%C3%A4.txt\r\n"
        b"Content-ID: <one@x>\r\nContent-Language: de, en\r\nContent-Location: a/b\r\n\r\nhello"
    ).root
    assert bodies.facts(root) == ("ä.txt", "utf-8", "attachment", "one@x", ["de", "en"], "a/b")
    assert bodies.facts(scan(b"\r\nhello").root) == (None, "us-ascii", None, None, None, None)
    odd = scan(b"Content-Type: image/png; charset=x; name=a\r\nContent-ID: bare\r\nContent-Language: \r\n\r\n").root
    assert bodies.facts(odd) == ("a", "x", None, "bare", None, None)


TEXTS = [
    (b"", b"caf\xc3\xa9\r\nb", "café\nb", False),
    (b"Content-Type: text/plain; charset=iso-8859-1\r\n", b"caf\xe9", "café", False),
    (b"Content-Type: text/plain; charset=utf-8\r\n", b"caf\xe9", "caf\ufffd", True),
    (b"", b"caf\xe9", "café", True),
    (b"Content-Type: text/plain; charset=x-nonsense\r\n", b"caf\xc3\xa9", "café", True),
    (b"Content-Type: text/plain; charset=x-nonsense\r\n", b"cafe", "cafe", False),
    (b"Content-Transfer-Encoding: quoted-printable\r\n", b"caf=C3=A9=\r\n", "café", False),
    (b"Content-Transfer-Encoding: x-uue\r\n", b"cafe", "cafe", True),
    (b"Content-Type: text/plain; charset=utf-7\r\n", b"+2AA-", "\ufffd", True),
]


@pytest.mark.parametrize(("fields", "body", "text", "wrong"), TEXTS)
def test_text_of_a_part(fields: bytes, body: bytes, text: str, wrong: bool) -> None:
    root = scan(b"Subject: x\r\n" + fields + b"\r\n" + body).root
    assert bodies.text_of(body, root) == (text, wrong)


@pytest.mark.parametrize(
    ("text", "octets", "is_html", "kept"),
    [
        ("hello", 3, False, "hel"),
        ("aé", 2, False, "a"),
        ("a<b", 3, False, "a<b"),
        ("<p>a<a href=x>", 8, True, "<p>a"),
        ("<p>abc", 5, True, "<p>ab"),
    ],
)
def test_a_text_is_cut_between_characters_and_tags(text: str, octets: int, is_html: bool, kept: str) -> None:
    assert bodies.shortened(text, octets, is_html) == kept
