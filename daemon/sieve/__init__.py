"""What does the owner want done with it? Sieve (RFC 5228), a compiler in passes.

Pure: script and message in, a value out.
`lexer` and `parser` make a tree, `check` makes of it a program out of the words that extensions declare (`words`,
`language`), `run` runs that on a `subject` and gives the `actions` that were decided. Three sentences prevent bugs:

1. What is not announced is refused when a script is checked, never when mail comes.
2. Whatever goes wrong while a script runs, the message is kept.
3. Every loop is bounded by what is left of `LIMITS.sieve_steps`, and every string by `LIMITS.sieve_variable`.
"""

from daemon.sieve.actions import Result
from daemon.sieve.check import Library, compile
from daemon.sieve.errors import ScriptError, ScriptErrors
from daemon.sieve.language import CAPABILITIES
from daemon.sieve.run import Program
from daemon.sieve.subject import Event, Facts, Sent, SpamScore, Subject

__all__ = [
    "CAPABILITIES", "Event", "Facts", "Library", "Program", "Result", "ScriptError", "ScriptErrors", "Sent",
    "SpamScore", "Subject", "compile",
]  # fmt: skip
