"""Targets that read one value: a message, an address, an exchange of passwords, a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from daemon.limits import LIMITS
from daemon.mail import headers as our_headers
from daemon.mail.address import Address, BadAddress, normal_domain, parse_address, parse_path
from daemon.mail.decode import encode_words, header_text
from daemon.mail.mailboxes import mailboxes
from daemon.mail.message import Part, pack, scan, unpack
from daemon.mail.section import cut, find_part, locate, pick_fields
from daemon.mail.summary import summarize
from daemon.mail.text import search_text
from daemon.wire import client_hello, sasl
from daemon.wire.imap import Bad, Command
from daemon.wire.imap_arguments import Arguments
from daemon.wire.imap_commands import parse
from daemon.wire.imap_search import And, Not, Or, Search
from daemon.wire.mailbox_name import MailboxPattern, decode_name, encode_name
from daemon.wire.smtp import Refused
from daemon.wire.smtp_parameters import from_xtext, rcpt, xtext
from tests.fuzz.harness import KIB, Story, Target
from tests.mail.grammar import check_body, check_envelope, read
from tests.wire.imap_parsing import value_of


def whole(look: Callable[[bytes, Story], None]) -> Callable[[list[bytes]], Story]:
    def run(pieces: list[bytes]) -> Story:
        story = Story()
        look(b"".join(pieces), story)
        return story

    return run


# -- messages ----------------------------------------------------------------------------------------------------------


def _message(data: bytes, story: Story) -> None:
    """All that is made of a message at delivery and when it is read."""
    message = scan(data)
    _check_part(message.root, 0, len(data))
    summary = summarize(data)
    check_envelope(read(summary.envelope))
    check_body(read(summary.body), extended=False)
    check_body(read(summary.bodystructure), extended=True)
    for name, value in summary._asdict().items():
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                text.encode()  # what is no UTF-8 cannot be stored
                assert "\n" not in text and "\r" not in text and "\0" not in text, name
    root = unpack(summary.parts)
    assert pack(root) == summary.parts
    assert [(p.header, p.body, p.end) for p in root.walk()] == [(p.header, p.body, p.end) for p in message.root.walk()]
    search_text(data, root, headers=True).encode()
    for path in ((), (1,), (2,), (1, 1), (1, 2, 1), (9,)):
        part = find_part(root, path) if path else root
        for text in ("", "HEADER", "TEXT", "MIME", "HEADER.FIELDS"):
            stretch = locate(root, path, text, 7)
            assert stretch is None or part is not None
            if stretch is not None:
                start, stop = stretch
                assert 0 <= start <= stop <= 7 + len(data)
                first, last = cut(stretch, 3, 10)
                assert start <= first <= last <= min(first + 10, stop)
    named = pick_fields(data[: root.body], [b"subject", b"to"])
    others = pick_fields(data[: root.body], [b"subject", b"to"], but=True)
    assert named.endswith(b"\r\n") and others.endswith(b"\r\n")
    story.add(summary.envelope, summary.bodystructure, summary.message_id, summary.subject)


def _check_part(part: Part, start: int, end: int) -> None:
    """Parts lie in their parent, in order, none over another."""
    assert start <= part.header <= part.body <= part.end <= end, (part.header, part.body, part.end, start, end)
    at = part.body
    for child in part.parts:
        _check_part(child, at, part.end)
        at = child.end


MESSAGE = Target(
    "message",
    whole(_message),
    memory=2048 * KIB,
    whole=True,
)


# -- addresses ---------------------------------------------------------------------------------------------------------


def _address(data: bytes, story: Story) -> None:
    """Read and written again, an address is the same; as a field nothing of it is refused."""
    text = data.decode("utf-8", "surrogateescape")
    for reader in (
        parse_address,
        lambda t: parse_path(t, postmaster=True, bare=True),
        lambda t: parse_address(t, utf8=False),
    ):
        try:
            found = reader(text)
        except BadAddress as bad:
            story.add(bad.reason)
            continue
        story.add(found)
        if found is not None:
            _check_address(found)
    try:
        domain = normal_domain(text)
        assert normal_domain(domain) == domain
        story.add(domain)
    except BadAddress as bad:
        story.add(bad.reason)
    found_boxes = mailboxes(data)
    assert len(found_boxes) <= LIMITS.addresses + 1  # a group's end
    story.add(found_boxes)
    try:
        story.add(rcpt(b"TO:" + data, smtputf8=True))
    except Refused as refusal:
        story.add(bytes(refusal.reply))
    plain = data.decode("latin-1")
    assert from_xtext(xtext(plain)) == plain
    shown = header_text(data[:4000])  # as words it must stay below LIMITS.encoded_words and field_value
    assert header_text(encode_words(shown).encode()) == shown or "=?" in shown or shown != shown.strip()


def _check_address(found: Address) -> None:
    written = str(found)
    assert not any(ord(c) < 32 or ord(c) == 127 for c in written), written
    written.encode()
    if found.domain:
        assert parse_address(written) == found, written
        assert len(written) <= LIMITS.smtp_address * 3
    found.display.encode()
    assert parse_path(f"<{written}>", postmaster=True) == found
    assert b"\r\n" == our_headers.delivered_to(found)[-2:] and our_headers.delivered_to(found).count(b"\n") == 1


ADDRESS = Target(
    "address",
    whole(_address),
    whole=True,
)


# -- passwords ---------------------------------------------------------------------------------------------------------

SALT, NONCE = b"salt of the earth", "fuzz"
ALICE = sasl.ScramUser(SALT, 4096, (sasl.scram_keys("secret", SALT, 4096),))
SALTED = sasl.salted("secret", SALT, 4096)


def _sasl(data: bytes, story: Story) -> None:
    """Lines: a mechanism, then what the peer says. The same lines to our client, as a server's."""
    name, *lines = data.split(b"\n")
    for end_point in (None, b"end point"):
        exchange = sasl.exchange(name.decode("latin-1"), lines[0] if lines else None, NONCE, end_point)
        if exchange is None:
            continue
        waiting = lines[1:]
        try:
            want = next(exchange)
            while True:
                if isinstance(want, sasl.WantKeys):
                    known = want.login == "alice"
                    want = exchange.send(ALICE if known else sasl.made_up(b"secret", want.login, 4096))
                elif waiting:
                    want = exchange.send(waiting.pop(0))
                else:
                    break
        except sasl.Refused as refusal:
            story.add(refusal.reason, refusal.text)
        except StopIteration as end:
            assert isinstance(end.value, sasl.Claim | sasl.Proof)
            assert not isinstance(end.value, sasl.Proof) or end.value.login == "alice"
            story.add(end.value)
    for line in (data, *lines):
        try:
            story.add(sasl.decode(line), sasl.decode_initial(line))
        except sasl.Refused as refusal:
            story.add(refusal.reason)
    _sasl_client(name.decode("latin-1").split(), lines, story)


def _sasl_client(mechanisms: list[str], lines: list[bytes], story: Story) -> None:
    chosen = sasl.client(mechanisms, "alice", "secret", NONCE)
    if chosen is None:
        return
    exchange = chosen[1]
    try:
        said = next(exchange)
        for line in lines:
            said = exchange.send(line)
            if isinstance(said, sasl.Derive):
                assert said.iterations <= sasl.CLIENT_ITERATIONS
                right = (said.salt, said.iterations) == (SALT, 4096)
                said = exchange.send(SALTED if right else b"\0" * 32)
        sasl.finish(exchange)
        story.add("satisfied", said)
    except sasl.Refused as refusal:
        story.add(refusal.reason)
    except StopIteration:
        story.add("a challenge too many")


SASL = Target(
    "sasl",
    whole(_sasl),
    whole=True,
)


# -- TLS before TLS ----------------------------------------------------------------------------------------------------


def _client_hello(data: bytes, story: Story) -> None:
    try:
        found = client_hello.read(data)
    except client_hello.NoHello:
        return
    if found is not None:
        assert found.name.isascii() and found.name == found.name.lower()
        assert sum(map(len, found.protocols)) < len(data)
        assert client_hello.read(data[:-1]) in (None, found)
        story.add(found.name, *found.protocols)


CLIENT_HELLO = Target(
    "client_hello",
    whole(_client_hello),
    whole=True,
)


# -- searches and names of mailboxes -----------------------------------------------------------------------------------

NARROW = replace(LIMITS, imap_nesting=12)


def _depth(key: object) -> int:
    if isinstance(key, Not):
        return 1 + _depth(key.key)
    if isinstance(key, And | Or):
        return 1 + max(map(_depth, key.keys))
    return 1


def _search(data: bytes, story: Story) -> None:
    """`SEARCH` and what follows, as a line; and the same words as names and patterns of mailboxes."""
    line = data.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"{", b"(")
    try:
        found = value_of(b"SEARCH " + line, NARROW)
        assert isinstance(found, Search) and _depth(found.key) <= NARROW.imap_nesting
        story.add(found)
    except Bad as bad:
        story.add(bad.text, bad.code)
    text = data.decode("utf-8", "replace")
    assert decode_name(encode_name(text)) == text
    try:
        name = Arguments((data,), NARROW).mailbox()
        assert Arguments((encode_name(name).encode(),), NARROW).mailbox() == name
        story.add(name)
    except Bad as bad:
        story.add(bad.text)
    pattern = MailboxPattern(text)
    story.add(pattern.matches(text), pattern.matches("INBOX"), MailboxPattern("*").matches(text))
    assert MailboxPattern("*").matches(text)
    for name in ("FETCH", "STORE", "LIST", "STATUS"):
        try:
            story.add(parse(Command("a", name, (text, (text, data), text)), NARROW))
        except Bad as bad:
            story.add(bad.text)


SEARCH = Target(
    "search",
    whole(_search),
    whole=True,
)
