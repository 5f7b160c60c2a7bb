"""The grammar of the command line: options anywhere, aliases of verbs, one form of errors, help with examples."""

from __future__ import annotations

import json
import shlex

import click
import pytest

from mailctl.desk import Desk
from mailctl.grammar import arrange, walk
from mailctl.main import cli
from tests.mailctl.conftest import Ctl

CTX = click.Context(cli, info_name="mailctl")
COMMANDS = dict(walk(cli, CTX))
VERBS = {path: command for path, command in COMMANDS.items() if not isinstance(command, click.Group)}


@pytest.mark.parametrize(
    "args",
    [
        ["--json", "user", "list"],
        ["user", "--json", "list"],
        ["user", "list", "--json"],
        ["--domain", "example.org", "user", "list", "--json"],
        ["--json", "--domain=example.org", "user", "ls"],
        ["user", "--domain", "example.org", "--json", "ls"],
    ],
)
def test_options_stand_before_and_after_noun_and_verb_alike(town: Ctl, args: list[str]) -> None:
    found = [json.loads(line)["address"] for line in town.ok(*args).splitlines()]
    assert found == ["alice@example.org", "bob@example.org"]


def test_the_data_directory_is_named_before_or_after(town: Ctl) -> None:
    town.runner.env["MAILCTL_DATA"] = "/nonexistent"
    for args in (["--data", str(town.path), "user", "list"], ["user", "list", f"--data={town.path}"]):
        assert "alice@example.org" in town.ok(*args)


@pytest.mark.parametrize(
    "args, want",
    [
        (["user", "list"], ["user", "list"]),
        (["--yes", "user", "rm", "a"], ["user", "rm", "--yes", "a"]),
        (
            ["--expires", "9d", "user", "app-password", "add", "a"],
            ["user", "app-password", "add", "--expires", "9d", "a"],
        ),
        (["--nonsense", "user", "list"], ["user", "list", "--nonsense"]),
        (["--admin", "user", "add", "a"], ["user", "add", "--admin", "a"]),
        (["--admin", "a@b.example", "setup"], ["setup", "--admin", "a@b.example"]),
        (["user", "--", "list"], ["user", "--", "list"]),
        (["--help"], ["--help"]),
        (["--help", "user", "add"], ["user", "add", "--help"]),
        (["nonsense", "--json"], ["nonsense", "--json"]),
    ],
)  # fmt: skip
def test_options_that_stand_early_are_moved_behind_the_verb(args: list[str], want: list[str]) -> None:
    assert arrange(cli, args) == want


def test_ls_and_delete_are_list_and_rm(town: Ctl) -> None:
    assert town.ok("user", "ls") == town.ok("user", "list")
    town.ok("user", "delete", "bob@example.org", "--yes")
    assert "bob" not in town.ok("user", "list")


def test_a_noun_is_singular_and_a_misspelt_one_is_put_right(ctl: Ctl) -> None:
    assert "no such command 'users'" in ctl.fails(64, "users", "list")
    assert "user" in ctl.fails(64, "usr", "list")


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["user", "nonsense"],
        ["user", "add"],
        ["user", "list", "--nonsense"],
        ["user", "list", "--domain"],
        ["user", "list", "surplus"],
        ["trace"],
        ["completion", "tcsh"],
        ["mail", "list", "--limit", "many"],
    ],
)
def test_a_wrong_command_line_ends_with_64_and_says_where_help_is(ctl: Ctl, args: list[str]) -> None:
    assert ctl.fails(64, *args).endswith("--help`")


@pytest.mark.parametrize("args", [[], ["user"], ["user", "app-password"]])
def test_a_noun_alone_shows_its_verbs_and_ends_with_64(ctl: Ctl, args: list[str]) -> None:
    done = ctl(*args)
    assert done.exit_code == 64
    assert done.stdout == ""
    assert "Usage: mailctl" in done.stderr


@pytest.mark.parametrize("path", COMMANDS)
def test_every_help_has_an_example_that_parses(path: str) -> None:
    command = COMMANDS[path]
    examples = getattr(command, "examples", ())
    assert examples, f"{path} has no example"
    text = command.get_help(click.Context(command, info_name=path))
    for example in examples:
        assert f"  {example}\n" in text + "\n"
        for part in example.split(" | "):
            words = [w for w in shlex.split(part.partition(" > ")[0].partition(" < ")[0])]
            if words[0] != "mailctl":
                continue
            parse(words[1:])


def parse(words: list[str]) -> None:
    """Parse without running; raises click's usage errors."""
    command: click.Command = cli
    ctx = cli.make_context("mailctl", arrange(cli, words), obj=Desk())
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
        assert found is not None, words
        ctx = found.make_context(name, rest, parent=ctx)
        command = found


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_says_what_it_does_in_one_line(path: str) -> None:
    help = VERBS[path].help or ""
    assert help.partition("\n")[0].rstrip().endswith((".", ":")) or ". " in help


def test_the_list_of_nouns_tells_what_each_noun_is(ctl: Ctl) -> None:
    text = ctl.ok("--help")
    for name in cli.nouns:
        assert f"  {name} " in text
        command = cli.get_command(CTX, name)
        assert command is not None and command.name == name


def test_destructive_verbs_have_yes_and_dry_run() -> None:
    for path in VERBS:
        if path.split()[-1] in ("rm", "drop", "bounce"):
            names = {name for p in VERBS[path].params for name in p.opts}
            assert {"--yes", "--dry-run"} <= names, path


def test_no_secret_is_an_argument() -> None:
    for path, command in VERBS.items():
        for param in command.params:
            assert param.name not in ("password", "secret", "passphrase"), path


def test_the_version_is_said_in_three_ways(ctl: Ctl) -> None:
    assert ctl.ok("--version") == f"mailctl {ctl.json('version')['version']}\n"
    assert "SQLite" in ctl.ok("version")


@pytest.mark.parametrize("shell, mark", [("bash", "complete -o"), ("zsh", "#compdef mailctl"), ("fish", "complete --")])
def test_completion_scripts_are_printed(ctl: Ctl, shell: str, mark: str) -> None:
    assert mark in ctl.ok("completion", shell)


@pytest.mark.parametrize(
    "line, want",
    [
        ("mailctl us", {"user"}),
        ("mailctl user app", {"app-password"}),
        ("mailctl user show b", {"bob@example.org"}),
        ("mailctl user list --domain ", {"example.org"}),
        ("mailctl alias rm i", {"info@example.org"}),
        ("mailctl config get queue.l", {"queue.lifetime"}),
        ("mailctl dkim rotate ", {"example.org"}),
        ("mailctl user list --js", {"--json"}),
        ("mailctl mail list alice@example.org --us", {"--user"}),
    ],
)
def test_a_shell_completes_nouns_verbs_options_and_names(town: Ctl, line: str, want: set[str]) -> None:
    town.ok("alias", "add", "info@example.org", "bob@example.org")
    words = line.split(" ")
    town.runner.env |= {
        "_MAILCTL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
    }  # fmt: skip
    found = {one.partition(",")[2] for one in town().stdout.splitlines()}
    assert found == want


def test_completion_makes_no_store(ctl: Ctl) -> None:
    ctl.runner.env |= {"_MAILCTL_COMPLETE": "zsh_complete", "COMP_WORDS": "mailctl user show ", "COMP_CWORD": "3"}
    assert not ctl().stdout.strip()
    assert not ctl.path.exists()
