"""The grammar of the command line: `mailctl NOUN VERB [ARGS]`, options anywhere, help with examples, exit codes.

Nouns are modules that are imported when they are called. Click parses; here is what it does not do by itself: options
that stand before noun and verb, the options every verb has, `ls` and `delete`, one form for every error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from mailctl.desk import Declined, Desk

USAGE, FAILED, TEMPORARY, INTERRUPTED = 64, 1, 75, 130
ALIASES = {"ls": "list", "delete": "rm"}


def _keep(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """An option that stands everywhere goes to the desk, whichever level it was found at."""
    if value not in (None, False) and option.name is not None:
        setattr(ctx.ensure_object(Desk), option.name, value)


def _everywhere() -> list[click.Parameter]:
    return [
        click.Option(
            ["--data"], metavar="DIR", callback=_keep, expose_value=False, help="The data directory [MAILCTL_DATA]."
        ),
        click.Option(["--json"], is_flag=True, callback=_keep, expose_value=False, help="JSON instead of tables."),
        click.Option(
            ["--no-color"], is_flag=True, callback=_keep, expose_value=False, help="No colours [NO_COLOR]."
        ),
    ]  # fmt: skip


EVERYWHERE = _everywhere()
_VALUED = {"--data"}
_FLAGS = {"--json", "--no-color", "--help", "-h", "--version"}
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Spoken(click.Command):
    """What nouns and verbs share: the options that stand everywhere, and examples in the help."""

    examples: Sequence[str]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *EVERYWHERE, *own[-1:]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shared = (*EVERYWHERE, self.get_help_option(ctx))
        for title, params in (
            ("Options", [p for p in self.get_params(ctx) if p not in shared]),
            ("Everywhere", shared),
        ):
            records = [r for p in params if p is not None and (r := p.get_help_record(ctx)) and r[0].startswith("-")]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"  {example}\n")


class Verb(_Spoken):
    """One verb. `examples` are whole command lines; every one must parse (tests/mailctl/test_help.py)."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", _SETTINGS)
        super().__init__(*args, **kwargs)
        self.examples = examples


class Noun(_Spoken, click.Group):
    """One noun with its verbs."""

    command_class = Verb

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", _SETTINGS)
        kwargs.setdefault("no_args_is_help", True)
        super().__init__(*args, **kwargs)
        self.examples = examples

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self.commands.get(ALIASES.get(cmd_name, ""))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order they were written: list show add set rm ...

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        _Spoken.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, c.get_short_help_str(200)) for name, c in self.commands.items()])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["VERB [ARGS]..."]


Noun.group_class = Noun


def noun(name: str, help: str, *examples: str) -> Noun:
    """A noun without behaviour of its own."""
    return Noun(name, help=help, examples=examples)


def verb(name: str, *examples: str) -> Callable[[Callable[..., Any]], Verb]:
    """A command that is noun and verb in one, such as `status`."""
    made: Callable[[Callable[..., Any]], Verb] = click.command(name, cls=Verb, examples=examples)
    return made


class Root(Noun):
    """`mailctl` itself. `nouns` maps titles of sections to names; each name is a module of this package."""

    def __init__(self, *args: Any, nouns: dict[str, dict[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = nouns
        self.nouns = [name for section in nouns.values() for name in section]

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["NOUN VERB [ARGS]..."]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self.nouns

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.nouns:
            return None
        command: click.Command = import_module(f"mailctl.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=self.nouns, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(list(section.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run, say what went wrong in one sentence, and leave with the exit code of the contract."""
        desk = extra.setdefault("obj", Desk())
        code = FAILED
        try:
            code = self._run(list(sys.argv[1:] if args is None else args), complete_var, extra)
        except BrokenPipeError:
            _mute()  # the reader had enough
            code = 0
        except KeyboardInterrupt:
            print(file=sys.stderr)  # the terminal has written ^C
            complain("interrupted")
            code = INTERRUPTED
        finally:
            desk.close()
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            _mute()
        sys.exit(code)

    def _run(self, args: list[str], complete_var: str | None, extra: dict[str, Any]) -> int:
        try:
            self._main_shell_completion(extra, "mailctl", complete_var)
            with self.make_context("mailctl", arrange(self, args), **extra) as ctx:
                done = self.invoke(ctx)
            return done if isinstance(done, int) else 0
        except click.exceptions.Exit as ended:
            return ended.exit_code
        except click.exceptions.NoArgsIsHelpError as error:
            print(error.format_message(), file=sys.stderr)
            return USAGE
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "mailctl"
            complain(f"{_lower(error.format_message())}; see `{path} --help`")
            return USAGE
        except Declined as error:
            complain(str(error))
            return FAILED
        except click.Abort:  # at a question
            complain("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            raise
        except Exception as error:
            return _ended_by(error)


def _ended_by(error: Exception) -> int:
    """The exit code for what a verb raised; a fault of ours is temporary, as SMTP's 451 would be."""
    from daemon.admin import errors

    code = errors.exit_code(error)
    if code is None:
        if os.environ.get("MAILCTL_TRACEBACK"):
            raise error
        complain(
            f"a fault in mailctl itself ({type(error).__name__}: {error});"
            " please report it with what MAILCTL_TRACEBACK=1 shows"
        )
        return TEMPORARY
    complain(errors.sentence(error))
    return code


def complain(sentence: str) -> None:
    print(f"mailctl: error: {sentence}", file=sys.stderr)


def _lower(text: str) -> str:
    text = text.strip().removesuffix(".").replace("\n", " ")
    return text[:1].lower() + text[1:] if not text[:2].isupper() else text


def _mute() -> None:
    """Nobody reads any more; the interpreter's own flush at the end must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def arrange(root: Root, args: list[str]) -> list[str]:
    """`args` with options that stand before noun and verb moved behind them."""
    ctx = click.Context(root, info_name="mailctl")
    node: click.Command = root
    words: list[str] = []
    early: list[str] = []
    place = 0
    while place < len(args) and isinstance(node, click.Group):
        token = args[place]
        if token in ("-", "--"):
            break
        if token.startswith("-"):
            following = args[place + 1] if place + 1 < len(args) else ""
            kinds = set() if "=" in token else _kinds(root, ctx, token)
            # --admin is a flag of `user add` and has a value in `setup`: what follows it tells them apart
            valued = True in kinds and (False not in kinds or node.get_command(ctx, following) is None)
            width = 2 if valued else 1
            early += args[place : place + width]
            place += width
            continue
        child = node.get_command(ctx, token)
        if child is None:
            break
        words.append(token)
        node = child
        place += 1
    return [*words, *early, *args[place:]]


def _kinds(root: Root, ctx: click.Context, option: str) -> set[bool]:
    """Whether an option takes a value: what all commands that have it say."""
    if option in _FLAGS or option in _VALUED:
        return {option in _VALUED}
    return {
        not p.is_flag
        for _, command in walk(root, ctx)
        for p in command.params
        if isinstance(p, click.Option) and option in (*p.opts, *p.secondary_opts)
    }


def walk(command: click.Command, ctx: click.Context, path: str = "mailctl") -> Iterator[tuple[str, click.Command]]:
    """Every command below, with its path; imports all nouns."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            if child is not None:
                yield from walk(child, ctx, f"{path} {name}")
