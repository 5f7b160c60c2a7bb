"""HTML as it may be shown: what stays, what goes, what it costs."""

from __future__ import annotations

import dataclasses
import time

import pytest

from daemon.limits import LIMITS
from daemon.mail import css, html, html_tags
from daemon.mail.html import clean, link
from daemon.mail.html_tags import attributes, tidy

PARTS = {"logo@x": "/m/2", "https://example.org/a.png": "/m/3"}


def text(source: str, *, remote: bool = False) -> str:
    """What is shown, without what every link gets."""
    shown = clean(source, PARTS, remote=remote).text
    for always in (' target="_blank"', ' rel="noopener noreferrer nofollow"'):
        assert shown.count(always) == clean(source, PARTS, remote=remote).text.count("<a ")
        shown = shown.replace(always, "")
    return shown


@pytest.mark.parametrize(
    "source, shown",
    [
        ("a < b & c &amp; d &lt;e&gt; &nbsp;", "a &lt; b &amp; c &amp; d &lt;e&gt; &nbsp;"),
        ("<P CLASS=x ID='y'>a</P>", '<p class="x" id="y">a</p>'),
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<ul><li>a<li>b<p>c<li>d</ul>", "<ul><li>a</li><li>b<p>c</p></li><li>d</li></ul>"),
        ("<dl><dt>a<dd>b</dl>", "<dl><dt>a</dt><dd>b</dd></dl>"),
        (
            "<table><tr><td>a<td>b<tr><th>c</table>d",
            "<table><tbody><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></tbody></table>d",
        ),
        (
            "<table><tr><td><table><tr><td>a</table><td>b</table>",
            "<table><tbody><tr><td><table><tbody><tr><td>a</td></tr></tbody></table></td><td>b</td></tr></tbody></table>",
        ),
        (
            "<table><thead><tr><th>a<tbody><tr><td>b</table>",
            "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>",
        ),
        ("<b><i>a</b>b</i>", "<b><i>a</i></b>b"),
        ("<b><table><tr><td></b>a</table>", "<b><table><tbody><tr><td>a</td></tr></tbody></table></b>"),
        ("a<br>b</br><hr/>c<wbr>", "a<br>b<br><hr>c<wbr>"),
        ("</p></td>a", "a"),
        ("<font color=red size=2 face=x>a</font>", '<font color="red" size="2" face="x">a</font>'),
        ("<font color='a b'>a</font>", "<font>a</font>"),
        ("<center><nobr>a<nobr>b", "<center><nobr>a</nobr><nobr>b</nobr></center>"),
        # what goes with its content, and what goes alone
        ("<script>x</script>a<style>y</style>b<title>z</title>c", "abc"),
        ("a<script>x", "a"),
        ("a<svg>b", "ab"),
        ("a<svg><p>b</p></svg>c<svg>d", "acd"),
        ("a<svg>b<svg>c", "abc"),
        ("</svg></script>a", "a"),
        ("<form><button>a</button><input></form><blink>b</blink>", "ab"),
        ("a<!-- <p>b</p> -->c<!-->d<!doctype x><?y z>e<![if x]>f", "acdef"),
        ("a<!-- b", "a"),
        ("a<! b", "a"),
        ("a<3 <", "a&lt;3 &lt;"),
        ("a<p b='>'", "a"),
        ("a<p b='>'>c", "a<p>c</p>"),
        ("a\0b", "a\ufffdb"),
        # addresses
        ("<a href=https://example.org/?a=1&b=2>x</a>", '<a href="https://example.org/?a=1&amp;b=2">x</a>'),
        ("<a href='ja\tva&#10;script:x' target=_top rel=opener>x</a>", '<a>x</a>'),
        ("<a href=a><a href=b>x</a>", '<a></a><a>x</a>'),
        ("<img src=cid:logo%40x alt='a\"b'>", '<img src="/m/2" alt="a&quot;b">'),
        ("<img src=' cid:none'>", "<img>"),
        ("<img src=https://example.org/a.png>", '<img src="/m/3">'),
        ("<img src=https://example.org/b.png srcset=x onerror=y>", "<img>"),
        ("<img src='data:image/png;base64,AAAA'>", '<img src="data:image/png;base64,AAAA">'),
        ("<img src='data:image/svg+xml;base64,AAAA'>", "<img>"),
        (
            "<table background=http://x/><tr><td bgcolor=#fff>a</table>",
            '<table><tbody><tr><td bgcolor="#fff">a</td></tr></tbody></table>',
        ),
        ("<p style='color:red;position:fixed'>a</p>", '<p style="color:red">a</p>'),
        ("<p style='position:fixed'>a</p>", "<p>a</p>"),
    ],
)  # fmt: skip
def test_what_is_shown(source: str, shown: str) -> None:
    assert text(source) == shown


def test_pictures_from_elsewhere_are_counted_and_shown_when_asked_for() -> None:
    source = (
        "<img src=http://a.example/1><img src=//a.example/2><td background='https://a.example/3'>"
        "<p style='background:url(https://a.example/4)'>x<style>p{background:url(https://a.example/5)}</style>"
        "<img src='http://a.example/\"x'><img src=ftp://a.example/6><body background=https://a.example/7>"
    )
    hidden = clean(source, {})
    assert hidden.remote == 5 and "a.example" not in hidden.text + hidden.style + hidden.body_style
    shown = clean(source, {}, remote=True)
    assert shown.remote == 5
    assert '<img src="http://a.example/1"><img src="https://a.example/2">' in shown.text
    assert shown.style == 'p{background:url("https://a.example/5")}'
    assert shown.body_style == "background-image:url(&quot;https://a.example/7&quot;)"


def test_what_stands_at_the_body_and_in_sheets() -> None:
    found = clean(
        "<style>p{color:red}</style><body class='a\"' style='margin:0' bgcolor=#eee text=black><body class=b><p>x"
        "<style>q{width:1px}</style>",
        {},
    )
    assert found.style == "p{color:red}q{width:1px}" and found.text == "<p>x</p>"
    assert found.body_class == "a&quot;" and found.body_style == "margin:0;background-color:#eee;color:black"
    assert found.painted and not clean("<p>x", {}).painted and clean("<table><td bgcolor=red>", {}).painted


@pytest.mark.parametrize(
    "address, leads",
    [
        ("https://example.org/a b", "https://example.org/a b"),
        ("HTTP://example.org", "HTTP://example.org"),
        ("mailto:a@example.org?subject=x", "mailto:a@example.org?subject=x"),
        ("tel:+491234", "tel:+491234"),
        (" ht\ntps://example.org\0", "https://example.org"),
        ("javascript:x", None),
        ("\x01javascript:x", None),
        ("java\tscript:x", None),
        ("data:text/html,x", None),
        ("cid:x", None),
        ("/logout", None),
        ("//example.org", None),
        ("#x", None),
        ("", None),
    ],
)
def test_where_a_link_may_lead(address: str, leads: str | None) -> None:
    assert link(address) == leads


def test_attributes() -> None:
    assert attributes(" a=1 B='2 3' c=\"4\" d e = 5 a=6 f=&lt; =x \"g\"") == {
        "a": "1", "b": "2 3", "c": "4", "d": "", "e": "5", "f": "<", "x": "", "g": "",
    }  # fmt: skip


# -- limits ------------------------------------------------------------------------------------------------------------


def limited(monkeypatch: pytest.MonkeyPatch, **values: int) -> None:
    for module in (html, html_tags, css):
        if hasattr(module, "LIMITS"):
            monkeypatch.setattr(module, "LIMITS", dataclasses.replace(LIMITS, **values))


def test_html_is_shown_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, view_html=10)
    found = clean("<p>" + "x" * 20, {})
    assert found.text == "<p>xxxxxxx</p>" and found.cut
    assert not clean("<p>x", {}).cut


def test_tags_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, view_tags=3)
    assert clean("<p>a<p>b<p>c<p>d<p>e", {})[::6] == ("<p>a</p><p>b</p><p>c</p>", True)
    assert clean("< < < < <", {}).cut


def test_open_elements_are_bounded() -> None:
    found = text("<div>" * (LIMITS.view_depth + 50) + "x")
    assert found == "<div>" * LIMITS.view_depth + "x" + "</div>" * LIMITS.view_depth


def test_attributes_are_bounded() -> None:
    assert len(attributes(" ".join(f"{a}{b}" for a in "abcdefghij" for b in "abcdefghij"))) == LIMITS.view_attributes


def test_ampersands_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, view_ands=3)
    assert text("a&b&c<b>&</b>d&e") == "a&amp;b&amp;c<b>&amp;</b>de"


def test_styles_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, view_style=20)
    found = clean("<style>p{color:red}" + " " * 20 + "q{width:1px}</style><p style='color:red;         width:1px'>", {})
    assert found.style == "p{color:red}" and found.text == '<p style="color:red"></p>'


def repeated(piece: str) -> str:
    return piece * (LIMITS.view_html // len(piece))


def fonts(count: int) -> str:
    return "".join(f"<font color=c{number}>" for number in range(count))


NASTIES = {
    "formatting left open before paragraphs": fonts(20_000) + "<p>x" * 40_000,
    "formatting left open in paragraphs": "<p>" + fonts(90) + "</p>" + "<p>x" * 40_000,
    "formatting left open in cells": "<table><td></font></td></table>".join(fonts(10_000).split(">")) + "<p>x" * 40_000,
    "formatting in paragraphs": "<p>x".join(fonts(24_000).split(">")),
    **{
        piece: repeated(piece)
        for piece in (
            "<div>", "<a ", "<", "<b>", "<table>", "<table><tr><td>", "<style>", "<svg>", "&", "&#", "&amp;", '<a b="',
            "<li>x", "</p>", "<!--", "<!", "<p><table>", "<b><p>", "<b><i></b>", "<img src=x>",
            "&#99999999999;",
            "<body x=y>", "<a href=http://x/>x", "<td>", "<p style='color:red;background:url(http://x/)'>x", "<b>x<p>",
        )
    },
    "one attribute": '<p title="' + "x" * LIMITS.view_html + '">',
    "attributes": "<p " + repeated("a=b ")[:-9] + ">",
    "rules": "<style>" + "a{b:c}" * 170_000 + "</style>",
    "open rules": "<style>" + "@media x{" * 110_000 + "</style>",
}  # fmt: skip


@pytest.fixture(scope="module")
def ordinary() -> float:
    """CPU seconds that twenty newsletters of 50 KB take here and now: the measure for what nasty ones may take."""
    letter = (
        "<style>"
        + "p{color:red}" * 100
        + "</style>"
        + (
            "<table width=100%><tr><td style='padding:8px;color:#333'><a href=https://example.org/>Hello</a></table>"
            * 450
        )
    )
    clean(letter, {})
    started = time.process_time()
    for _ in range(20):
        clean(letter, {})
    return time.process_time() - started


@pytest.mark.parametrize("name", NASTIES)
def test_hostile_html_costs_no_more_than_long_html(name: str, ordinary: float) -> None:
    started = time.process_time()
    found = clean(NASTIES[name], {})
    assert time.process_time() - started < 4 * ordinary
    assert len(found.text) < 8 * LIMITS.view_html


def test_nothing_is_kept_that_a_reader_cannot_use() -> None:
    assert tidy("<p>a").text == "<p>a</p>"
    assert tidy("x<style>a</style>y<style>b</style>").sheets == ["a", "b"]
