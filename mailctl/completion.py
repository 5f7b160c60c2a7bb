"""`mailctl completion`: what a shell needs to complete nouns, verbs, options and names."""

from __future__ import annotations

import click

from mailctl.desk import Desk, at_desk
from mailctl.grammar import verb


@verb(
    "completion",
    "mailctl completion bash > /etc/bash_completion.d/mailctl",
    "mailctl completion zsh > ~/.zfunc/_mailctl",
    "mailctl completion fish > ~/.config/fish/completions/mailctl.fish",
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@at_desk
def command(desk: Desk, shell: str) -> None:
    """Print the completion script for bash, zsh or fish."""
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    from mailctl.main import cli

    script = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}[shell]
    source = script.source_template % script(cli, {}, "mailctl", "_MAILCTL_COMPLETE").source_vars()
    desk.out.document({"shell": shell, "script": source}, lambda: desk.out.print(source.strip()))
