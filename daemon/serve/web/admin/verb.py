"""What a verb of the administration page is, and the forms of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct

from daemon.limits import LIMITS
from daemon.store.db import Store

Text = Annotated[str, Meta(max_length=1000)]
Texts = Annotated[list[Text], Meta(max_length=LIMITS.admin_rows)]
Number = Annotated[int, Meta(ge=1, le=2**53)]
Many = Annotated[int, Meta(ge=1, le=LIMITS.admin_rows)]
Numbers = Annotated[list[Number], Meta(min_length=1, max_length=LIMITS.admin_rows)]


@dataclass(frozen=True, slots=True)
class Verb:
    """`run(store, asked)` in a thread that may wait; `asked` is of the type `asked`. `signed`: it is told, too, who
    asks, as the third argument. `apart`: `run(asked)` only gives the words of a `mailctl` that does it in a process of
    its own, since it takes minutes, or much memory. `proven`: it decides who gets in, as settings do (`proofs`)."""

    run: Callable[..., Any]
    asked: type[Struct]
    changes: bool = False
    signed: bool = False
    apart: bool = False
    proven: bool = False

    def do(self, store: Store, asked: Any, who: str) -> Any:
        """Its answer, for `who`. Raises what it raises."""
        return self.run(store, asked, who) if self.signed else self.run(store, asked)


class Asked(Struct, forbid_unknown_fields=True):
    """Arguments of a verb."""


class Nothing(Asked):
    """No arguments."""
