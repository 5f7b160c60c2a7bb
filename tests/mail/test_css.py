"""Styles of mail: what is kept, and what is not understood goes."""

from __future__ import annotations

import pytest

from daemon.mail.css import Styles


def picture(address: str) -> str | None:
    return "/p" if address == "cid:p" else None


@pytest.mark.parametrize(
    "text, kept",
    [
        ("color:red", "color:red"),
        (" COLOR : Red ; ", "color:Red"),
        ("margin:0 auto -2px 1.5em!important", "margin:0 auto -2px 1.5em!important"),
        ("font-family:'Segoe UI',\"A b\",sans-serif", "font-family:'Segoe UI',\"A b\",sans-serif"),
        ("width:calc(100% - (2px * 3))", "width:calc(100% - (2px * 3))"),
        ("color:rgba(0,0,0,.5);width:1px", "color:rgba(0,0,0,.5);width:1px"),
        ("color:/* x */red/**/ ", "color:red"),
        ("background:#fff url(cid:p) no-repeat", 'background:#fff url("/p") no-repeat'),
        ("background:url( 'cid:p' )", 'background:url("/p")'),
        ("background:red url(http://x.example/)", "background:red none"),
        ("font-family:微软雅黑", "font-family:微软雅黑"),
        # not of the list
        ("position:fixed;color:red", "color:red"),
        ("-moz-binding:url(cid:p)", ""),
        ("--x:1", ""),
        ("content:'x'", ""),
        ("cursor:url(cid:p)", ""),
        ("border:url(cid:p)", ""),
        ("width:expression(1)", ""),
        ("background:image-set('x' 1x)", ""),
        ("background:URL(", ""),
        ("color:var(--x)", ""),
        # not understood
        ("color:\\72 ed", ""),
        ("c\\6flor:red", ""),
        ("background:u\\rl(cid:p)", ""),
        ("color:r<ed", ""),
        ("color:'red", ""),
        ("color:red)", ""),
        ("color:rgb(1", ""),
        ("color:[red]", ""),
        ("color", ""),
        ("color:", ""),
        (":red", ""),
        ("color red blue", ""),
        ("", ""),
        ("color:red}p{width:1px", "color:red"),
        ("x{;color:blue};width:1px", "width:1px"),
    ],
)
def test_a_style_attribute(text: str, kept: str) -> None:
    assert Styles(picture).declarations(text) == kept


@pytest.mark.parametrize(
    "text, kept",
    [
        ("p{color:red}", "p{color:red}"),
        ("<!-- a > .b#c:not([d='e']), *{width:1px;} -->", "a > .b#c:not([d='e']), *{width:1px}"),
        ("p{}q{color:red}", "q{color:red}"),
        ("{color:red}", ""),
        ("p{color:red", "p{color:red}"),
        ("p{color:red}}q{width:1px}", "p{color:red}q{width:1px}"),
        ("p\\3c{color:red}q{width:1px}", "q{width:1px}"),
        (
            "@media (max-width:600px){p{width:100%}q{x:y}}r{width:1px}",
            "@media (max-width:600px){p{width:100%}}r{width:1px}",
        ),
        ("@media screen{p{position:fixed}}", ""),
        ("@media screen{@media print{p{width:1px}}q{width:2px}}", "@media screen{q{width:2px}}"),
        ("@media \\73 creen{p{width:1px}}q{width:2px}", "q{width:2px}"),
        ("@import url(cid:p);@import 'x';p{width:1px}", "p{width:1px}"),
        ("@font-face{src:url(x)}@supports(x){p{width:1px}}q{width:2px}", "q{width:2px}"),
        ("p{q{width:1px}width:2px}", "p{width:2px}"),
        ("p{width:1px;q{a{b:c}}", "p{width:1px}"),
        ("p{background:url(cid:p)}", 'p{background:url("/p")}'),
        ("p{x:'</style><script>'}", ""),
    ],
)
def test_a_style_sheet(text: str, kept: str) -> None:
    found = Styles(picture).sheet(text)
    assert found == kept and "<" not in found


@pytest.mark.parametrize(
    "text, painted",
    [
        ("color:red", True),
        ("background:#fff", True),
        ("background-color:transparent!important", False),
        ("color:inherit;background:none", False),
        ("width:1px", False),
    ],
)
def test_colours_are_noticed(text: str, painted: bool) -> None:
    styles = Styles(picture)
    styles.declarations(text)
    assert styles.painted is painted
