"""Decoding: every charset by the whitelist, every broken encoding to something, never an error."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits import LIMITS
from daemon.mail import decode
from daemon.mail.decode import (
    codec_of,
    decode_base64,
    decode_text,
    decode_transfer,
    decode_words,
    encode_words,
    header_text,
    parameter_texts,
    unescape,
    unfold,
)
from daemon.mail.octets import PIECE


def test_every_codec_of_the_table_is_one_python_knows() -> None:
    for codec in decode._CODECS:
        codecs.lookup(codec)


@pytest.mark.parametrize("name", ["idna", "punycode", "unicode_escape", "undefined", "rot13", "base64", "zlib", "mbcs"])
def test_codecs_that_are_no_charsets_are_unknown(name: str) -> None:
    assert codec_of(name) is None


@pytest.mark.parametrize(
    "charset,data,text",
    [
        ("x-sjis", "日本".encode("cp932"), "日本"),
        ("windows-874", b"\xa1", "ก"),
        ("CP-850", b"\x81", "ü"),
        ("x-gbk", "中文".encode("gbk"), "中文"),
        ("gb2312", "镕".encode("gbk"), "镕"),
        ("ISO_8859-8-I", b"\xe0", "א"),
        ("windows-31j", b"\x87\x40", "①"),
        ("x-mac-roman", b"\x8e", "é"),
        ("ks_c_5601-1987", "한국".encode("cp949"), "한국"),
        ("iso-2022-jp", "日本".encode("iso2022_jp"), "日本"),
        ("iso-8859-1", b"\x80\xe9", "€é"),
        ("utf-8", b"a\xffb", "a\ufffdb"),
        ("utf-7", b"+2AA-", "\ufffd"),
        ("us-ascii", "é".encode(), "é"),
        ("", b"\xe9t\xe9", "été"),
        ("no-such-thing", b"\x81", "\ufffd"),
        ("'utf-8'", "é".encode(), "é"),
        ("", b"a\xc3b", "aÃb"),
    ],
)
def test_charsets(charset: str, data: bytes, text: str) -> None:
    assert decode_text(data, charset) == text


def test_a_character_cut_off_at_the_end_is_dropped_where_the_caller_has_cut() -> None:
    assert decode_text("aé".encode()[:-1], "", cut=True) == "a"
    assert decode_text(b"a\xe9", "") == "aé"
    assert decode_text(b"a\xe9b", "", cut=True) == "aéb"


@pytest.mark.parametrize(
    "data,want",
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGVs\r\nbG8=\r\n", b"hello"),
        (b"aGVsbG8", b"hello"),
        (b"aGVsb", b"hel"),
        (b"!aG*Vs bG8", b"hello"),
        (b"a", b""),
        (b"", b""),
    ],
)
def test_base64_is_read_however_broken(data: bytes, want: bytes) -> None:
    assert decode_base64(data) == want


def test_transfer_encodings() -> None:
    assert decode_transfer(b"aGk=", "base64") == b"hi"
    assert decode_transfer(b"a=3D=\r\nb=ZZ", "quoted-printable") == b"a=b=ZZ"
    assert decode_transfer(b"=3D", "8bit") == b"=3D"


@pytest.mark.parametrize(
    "text,want",
    [
        ("plain", "plain"),
        ("=?utf-8?Q?caf=C3=A9_x?= y", "café x y"),
        ("=?UTF-8?b?Y2Fmw6k=?=", "café"),
        ("a =?utf-8?q?b?= c =?utf-8?q?d?=", "a b c d"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?=  =?iso-8859-1?q?=E9?=", "aé"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        ("=?utf-8?b?w6k?==?utf-8?b?w6k=?=", "éé"),
        ("=?utf-8?q?two words?=", "two words"),
        ("=?utf-8*en?q?x?=", "x"),
        ("=?utf-8?q??= x", " x"),
        ("=?utf-8?x?y?=", "=?utf-8?x?y?="),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?nope?q?=E9?=", "é"),
        ("=?utf-8?q?a=0Ab?=", "a b"),
        ("é =?utf-8?q?é?=", "é é"),
    ],
)
def test_encoded_words(text: str, want: str) -> None:
    assert decode_words(text) == want


def test_encoded_words_are_bounded() -> None:
    text = decode_words("=?utf-8?q?x?=" * (LIMITS.encoded_words + 1))
    assert text == "x" * LIMITS.encoded_words + "=?utf-8?q?x?="


@pytest.mark.parametrize(
    "value,text",
    [
        (b" plain\r\n\tfolded\r", "plain folded"),
        (b" a\x00b", "a b"),
        (b" caf\xc3\xa9", "café"),
        (b" caf\xe9", "café"),
        (b" \xc2\x85x", " x"),
        (b"=?utf-8?q?x?=\r\n =?utf-8?q?y?=", "xy"),
    ],
)
def test_header_texts(value: bytes, text: str) -> None:
    assert header_text(value) == text


def test_a_value_is_bounded() -> None:
    assert len(unfold(b"x" * 10**6)) == LIMITS.field_value


@given(st.text(max_size=100))
def test_what_was_encoded_is_decoded_to_itself(text: str) -> None:
    encoded = encode_words(text)
    assert encoded.isascii() and encoded.isprintable()
    assert all(len(word) <= 75 for word in encoded.split(" ")) or encoded == text
    if encoded != text:
        assert decode_words(encoded) == decode._CONTROL.sub(" ", text)


@pytest.mark.parametrize(
    "parameters,want",
    [
        ([(b"name", b"x")], {"name": "x"}),
        ([(b"name", b"=?utf-8?q?=C3=A9?=")], {"name": "é"}),
        ([(b"name", b"\xe9")], {"name": "é"}),
        ([(b"name*", b"utf-8''%C3%A9")], {"name": "é"}),
        ([(b"name*", b"iso-8859-1'de'%E9x")], {"name": "éx"}),
        ([(b"name*", b"%C3%A9")], {"name": "é"}),
        ([(b"name*0", b"a"), (b"name*1", b"b")], {"name": "ab"}),
        ([(b"name*1*", b"%A9"), (b"name*0*", b"utf-8''%C3"), (b"name*2", b"%20")], {"name": "é%20"}),
        ([(b"name*0", b"a"), (b"name*2", b"c")], {"name": "a"}),
        ([(b"name*1", b"a")], {}),
        ([(b"name*0*", b"a")], {"name": "a"}),
        ([(b"name", b"x"), (b"name", b"y")], {"name": "x"}),
        ([(b"name", b"x"), (b"name*0", b"z"), (b"name*", b"utf-8''y")], {"name": "y"}),
        ([(b"a*b*c", b"x")], {"a*b*c": "x"}),
    ],
)
def test_parameters(parameters: decode.Parameters, want: dict[str, str]) -> None:
    assert parameter_texts(parameters) == want


@given(
    st.binary(max_size=100), st.sampled_from(["", "utf-8", "utf-7", "utf-16", "iso-2022-jp", "hz", "big5", "utf-32"])
)
def test_any_bytes_become_text_without_surrogates(data: bytes, charset: str) -> None:
    decode_text(data, charset).encode()
    header_text(b"=?" + charset.encode() + b"?b?" + data + b"?=").encode()
    header_text(data).encode()


@pytest.mark.parametrize("end", [b"", b"QQ==", b"QQ", b"Q", b"=QUJD", b"QQ==QUJD", b"\r\n", b"!"])
@pytest.mark.parametrize("shift", range(6))
def test_a_long_base64_is_decoded_in_pieces(end: bytes, shift: int) -> None:
    data = b"\r" * shift + b"QUJD-REVG\r\n" * 130_000 + end
    assert len(data) > PIECE and decode_base64(data) == decode._base64(data)


@pytest.mark.parametrize(
    "text,plain",
    [
        ("a &amp; b &lt;c", "a & b <c"),
        ("&#65;&#x42;&#0;&#1114112;", "AB\ufffd\ufffd"),
        ("<&#" + "1" * 5000 + ";>&#65;", "<\ufffd>A"),
        ("&#" + "1" * 5000, "\ufffd"),
        ("&#x" + "1" * 5000 + ";", "\ufffd"),
    ],
)
def test_character_references(text: str, plain: str) -> None:
    assert unescape(text) == plain
