"""The man pages name every command, option, setting and JSON key, and format without a warning."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import click
import pytest

from daemon.config import SETTINGS
from mailctl.grammar import EVERYWHERE, walk
from mailctl.main import cli
from tests.mailctl.conftest import Ctl, contained

MAN = Path(__file__).parents[2] / "man"
PAGES = sorted(MAN.glob("man*/*.[1578]"))
CTX = click.Context(cli, info_name="mailctl")
VERBS = {path: command for path, command in walk(cli, CTX) if not isinstance(command, click.Group)}
IN_THE_FIRST = ("serve", "version", "completion")  # told in mailctl(1)


def page_of(noun: str) -> str:
    return (MAN / "man1" / ("mailctl.1" if noun in IN_THE_FIRST else f"mailctl-{noun}.1")).read_text()


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_a_page_formats_without_a_warning(path: Path) -> None:
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(path)], capture_output=True, text=True)
    assert not done.stdout, done.stdout
    assert subprocess.run(["mandoc", "-T", "utf8", str(path)], capture_output=True).returncode == 0


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_is_in_its_page_with_its_options_and_examples(path: str) -> None:
    noun, *rest = path.split()[1:]
    page = page_of(noun)
    verb = " ".join(rest) or noun
    assert re.search(rf"^\.It Cm {re.escape(verb)}( |$)", page, re.MULTILINE), f"`.It Cm {verb}` is missing"
    for param in VERBS[path].params:
        if isinstance(param, click.Option):
            for name in (*param.opts, *param.secondary_opts):
                assert re.search(rf"Fl {re.escape(name[1:])}\b", page), f"{name} is missing"
    if noun not in IN_THE_FIRST:
        for example in getattr(VERBS[path], "examples", ()):
            assert example.replace("\\", "\\e") in page, f"{example} is missing"


def test_every_noun_is_in_the_first_page_with_its_verbs() -> None:
    first = (MAN / "man1" / "mailctl.1").read_text()
    for noun in cli.nouns:
        assert f"\n.It Cm {noun}\n" in first
        assert noun in IN_THE_FIRST or f".Xr mailctl-{noun} 1" in first
    for param in EVERYWHERE:
        assert f"Fl {param.opts[0][1:]}" in first
    for code in (0, 1, 64, 65, 69, 75, 77, 78, 130):
        assert f"\n.It {code}\n" in first


def test_no_page_tells_of_a_noun_or_verb_that_is_not_there() -> None:
    known = {" ".join(path.split()[2:]) or path.split()[1] for path in VERBS}
    for path in (MAN / "man1").glob("mailctl-*.1"):
        noun = path.stem.removeprefix("mailctl-")
        assert noun in cli.nouns
        verbs = path.read_text().partition(".Sh JSON")[0].partition(".Sh THE SEARCH")[0]
        for name in re.findall(r"^\.It Cm ([a-z-]+(?: [a-z]+)?)(?: |$)", verbs, re.MULTILINE):
            assert name in known or name.split()[0] in known, f"{path.name}: {name}"


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_is_in_its_page_with_type_default_and_effect(key: str) -> None:
    page = (MAN / "man5" / "mailctl-config.5").read_text()
    setting = SETTINGS[key]
    _, found, rest = page.partition(f"\n.It Cm {key}\n")
    assert found, f"`.It Cm {key}` is missing"
    entry = rest.partition("\n.It ")[0].partition("\n.El")[0]
    assert f".Pq {setting.type}\n" in entry
    assert (f'"{setting.default}"' if setting.default else "Default:") in entry
    assert ("must be restarted" in entry) == setting.restart
    words = set(re.findall(r"[A-Za-z]{4,}", setting.effect)) - set(re.findall(r"[A-Za-z]{4,}", entry))
    assert not words, f"the effect is told otherwise: {words}"


def test_no_page_tells_of_a_setting_that_is_not_there() -> None:
    page = (MAN / "man5" / "mailctl-config.5").read_text()
    assert set(re.findall(r"^\.It Cm (\S+)$", page, re.MULTILINE)) == set(SETTINGS)


def test_the_search_language_is_in_its_page() -> None:
    from daemon.admin.search import WORDS

    page = page_of("mail")
    assert set(re.findall(r"^\.It Ic ([a-z-]+)\\&:$", page, re.MULTILINE)) == set(WORDS)


def all_keys(document: object) -> set[str]:
    """Of an object, and of those in it but for `detail`, which is as the event has it."""
    if isinstance(document, dict):
        return set(document).union(*(all_keys(each) for name, each in document.items() if name != "detail"))
    return set().union(*map(all_keys, document)) if isinstance(document, list) else set()


def test_every_json_key_is_documented(town: Ctl, letter: Path, tmp_path: Path) -> None:
    town.ok("user", "app-password", "add", "bob@example.org", "phone")
    town.ok("alias", "add", "info@example.org", "bob@example.org")
    town.ok("ban", "add", "192.0.2.1")
    town.ok("route", "add", "--to", "x.example", "y.example")
    town.ok("mail", "deliver", str(letter), "--to", "alice@example.org", "--to", "z@far.example")
    contained(town)
    script = tmp_path / "own.sieve"
    script.write_text("keep;")
    setup = ("--hostname", "mail.example.org", "--domain", "example.org", "--admin", "alice@example.org")
    for args in (
        ["user", "list"], ["session", "list"], ["user", "app-password", "list", "bob@example.org"],
        ["domain", "show", "example.org"],
        ["alias", "list"], ["forward", "add", "bob@example.org", "b@far.example"], ["forward", "list"],
        ["forward", "rm", "bob@example.org", "--all", "--yes"], ["address", "test", "bob@example.org"],
        ["mailbox", "list"], ["mail", "list"], ["mail", "show", "1"],
        ["mail", "deliver", str(letter), "--to", "bob@example.org"], ["mail", "import", "bob@example.org", str(letter)],
        ["mail", "export", "bob@example.org", str(tmp_path / "x.mbox")], ["mail", "rm", "2", "--yes"],
        ["mail", "index"], ["mail", "reindex", "--all", "--yes"],
        ["queue", "list"],
        ["queue", "show", "1"], ["queue", "stats"], ["queue", "flush"], ["route", "list"],
        ["dns", "records", "example.org"], ["dkim", "list"], ["dkim", "rotate", "example.org"],
        ["setup", *setup], ["cert", "list"], ["config", "list"],
        ["config", "set", "queue.lifetime", "1d"], ["config", "history"], ["ban", "list"],
        ["ban", "rm", "--all", "--yes"],
        ["mail", "import", "alice@example.org", str(letter), "--mailbox", "Junk"],
        ["spam", "score", str(letter)], ["spam", "train", "--spam", str(letter)], ["spam", "stats"],
        ["spam", "retrain", "--user", "alice@example.org", "--yes"], ["spam", "eval", "--user", "alice@example.org"],
        ["trace", "--since", "1d"], ["status"], ["report", "dmarc"], ["report", "tls"], ["version"],
        ["sieve", "put", "alice@example.org", "own", str(script)], ["sieve", "list"],
        ["sieve", "get", "alice@example.org", "own"], ["sieve", "test", str(script), str(letter)],
        ["sieve", "activate", "alice@example.org", "own"], ["sieve", "activate", "alice@example.org", "--none"],
        ["sieve", "rm", "alice@example.org", "own", "--yes"],
        ["rule", "add", "alice@example.org", "--from", "x", "--flag"], ["rule", "list"],
        ["rule", "move", "alice@example.org", "1", "1"], ["rule", "rm", "alice@example.org", "1", "--yes"],
        ["vacation", "set", "alice@example.org", "--text", "x"], ["vacation", "show", "alice@example.org"],
        ["vacation", "off", "alice@example.org"],
        ["queue", "list"], ["queue", "list", "--incident", "1"], ["queue", "release", "--incident", "1"],
        ["session", "kill", "bob@example.org", "--yes"], ["user", "rm", "bob@example.org", "--yes"],
    ):  # fmt: skip
        lines = town.ok(*args, "--json").splitlines()
        assert lines or args == ["session", "list"], args
        page = page_of(args[0])
        keys = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(r"\b(?:Cm|Ql) ([a-z0-9_ ,\"]+)", page))))
        told = all_keys(json.loads(lines[0])) if lines else {"user", "protocol", "peer", "app_password", "since_at"}
        assert not told - keys, f"{args}: {told - keys}"
