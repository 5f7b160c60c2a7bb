"""The target of scripts: a script and the message it is run on, with NUL NUL between them."""

from __future__ import annotations

from daemon.sieve import CAPABILITIES, Facts, ScriptErrors, Sent, Subject, compile
from daemon.sieve.actions import Keep
from tests.fuzz.harness import KIB, Story, Target

LETTER = b"From: ann@example.org\r\nSubject: Hello\r\nContent-Type: text/html\r\n\r\n<p>Text</p>\r\n"
OTHER = 'require ["include", "variables"]; global "a"; set "a" "b"; return;'


def _sieve(pieces: list[bytes]) -> Story:
    """Compiled and run, nothing but `ScriptErrors` is raised, and after an error the message is kept."""
    story = Story()
    script, _, letter = b"".join(pieces).partition(b"\0\0")
    every = "require [" + ", ".join(f'"{name}"' for name in CAPABILITIES) + "];\n"
    for text in (script.decode("utf-8", "replace"), every + script.decode("latin-1")):
        try:
            program = compile(text, lambda name, everyone: OTHER if name else None)
        except ScriptErrors as wrong:
            assert all(error.place.line > 0 < error.place.column and error.text for error in wrong.errors)
            str(wrong).encode()
            story.add(str(wrong))
            continue
        facts = Facts(special_use=str, environment=str, in_list=lambda name, value: name == value)
        subject = Subject(letter or LETTER, Sent("ann@example.org", "me+x@example.net"), facts)
        result = program.run(subject, told=True)
        assert result.error is None or result.actions == (Keep(),)
        repr(result).encode()
        story.add(result)
    return story


SIEVE = Target("sieve", _sieve, memory=4096 * KIB, whole=True)
