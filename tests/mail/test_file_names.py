"""The names of attachments, in all the ways to write and to hide them."""

from __future__ import annotations

import dataclasses

import pytest

from daemon.limits import LIMITS
from daemon.mail import file_names
from daemon.mail.message import scan


def names(*fields: str) -> tuple[str, ...]:
    data = "".join(f"{field}\r\n" for field in fields).encode("latin-1") + b"\r\nx"
    return file_names.of_part(scan(data).root)


@pytest.mark.parametrize(
    "fields,want",
    [
        (["Content-Type: application/pdf; name=a.pdf"], ["a.pdf"]),
        (["Content-Disposition: attachment; filename=\"a b.exe\""], ["a b.exe"]),
        (["Content-Disposition: attachment; filename=a.pdf", "Content-Type: x/y; name=a.exe"], ["a.pdf", "a.exe"]),
        (["Content-Disposition: attachment; filename*=utf-8''%61.e%78e"], ["a.exe"]),
        (["Content-Disposition: attachment; filename*0=\"a.\"; filename*1=exe"], ["a.exe"]),
        (["Content-Disposition: attachment; filename*0*=utf-8''%61; filename*1*=.e%78; filename*2=e"], ["a.exe"]),
        (["Content-Type: x/y; name=\"=?utf-8?B?YS5leGU=?=\""], ["a.exe"]),
        (["Content-Type: x/y; name=\"=?utf-8?Q?a=2E?= =?utf-8?Q?exe?=\""], ["a.exe"]),
        (["Content-Disposition: attachment; filename=a.exe; filename*=utf-8''a.pdf"], ["a.pdf", "a.exe"]),
        (["Content-Disposition: attachment; filename=a.pdf; filename=a.exe"], ["a.pdf", "a.exe"]),
        (["Content-Disposition: attachment; name=a.exe"], ["a.exe"]),
        (["Content-Type: x/y; charset=utf-8"], []),
        ([], []),
    ],
)  # fmt: skip
def test_every_name_counts_that_some_program_believes(fields: list[str], want: list[str]) -> None:
    assert list(names(*fields)) == want


@pytest.mark.parametrize(
    "name,want",
    [
        ("Setup.EXE", "setup.exe"),
        ("setup.exe. . .", "setup.exe"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u200b.e\u00adxe\ufeff", "a.exe"),
        ("\uff41\uff0e\uff45\uff58\uff45", "a.exe"),
        ("a\u2024exe", "a.exe"),
        ("C:\\tmp\\a.exe", "a.exe"),
        ("../../a.exe/", "a.exe"),
        ('"a.exe"', '"a.exe'),
        ("a.pdf" + "\u2800" * 40 + ".exe", "a.pdf .exe"),
        ("a.pdf\t\n \u00a0.exe", "a.pdf .exe"),
        ("b\u0000.exe", "b.exe"),
        ("резюме.doc", "резюме.doc"),
        ("...", ""),
        ("", ""),
    ],
)
def test_a_name_as_it_really_is(name: str, want: str) -> None:
    assert file_names.normal(name) == want


def test_names_are_cut_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_names, "LIMITS", dataclasses.replace(LIMITS, file_name=10))
    assert file_names.normal("a" * 10**6 + ".exe") == "aaaaaa.exe"


def test_marks_of_direction_are_seen() -> None:
    assert (
        file_names.turned("x\u202efdp.exe")
        and file_names.turned("\u2067x")
        and not file_names.turned("تقرير.pdf\u200f")
    )


def test_files_in_a_text() -> None:
    text = b"hello\r\nbegin 644 a b.exe\r\nM...\r\nend\r\nbegin with\r\n begin 600 c\r\nbegin 755 d.js\r\n"
    assert file_names.uuencoded(text) == ("a b.exe", "d.js")
    assert len(file_names.uuencoded(b"begin 644 a\n" * 1000)) == 20
    assert file_names.uuencoded(b"begin\nto begin 644 x\nbegins 644 x\n") == file_names.uuencoded(b"begun") == ()
