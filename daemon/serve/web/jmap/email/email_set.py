"""Email/set (RFC 8621 §4.6): keywords and mailboxes by patch, and the end of messages; what is made is `email_make`'s.

What one call changes is written some messages at a time, so that no delivery waits for long; the first write looks at
`ifInState` itself. What cannot be done about one message leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.web.jmap import gets, sets
from daemon.serve.web.jmap.email import email_make
from daemon.serve.web.jmap.method import Arguments, Call, Method
from daemon.serve.web.jmap.sets import Done, SetError, bad, error_of
from daemon.store import email_sets, savepoints, web_changes
from daemon.store.email_sets import Change
from daemon.store.errors import Refusal
from daemon.store.tx import Tx

Changes = dict[str, Change]
_STEP = 100  # messages changed in one transaction


async def set_(call: Call, arguments: Arguments) -> Arguments:
    wanted = sets.asked(arguments)
    done = sets.begin(call, wanted, touched=email_make.TOUCHED)
    for mark, given in wanted.create.items():
        try:
            done.created[mark] = made = await sets.guarded(email_make.create(call, given))
            call.created[mark] = made["id"]
        except SetError as no:
            done.not_created[mark] = no.answer
    gone = list(dict.fromkeys(sets.real_id(call, name) for name in wanted.destroy))
    changes: Changes = {}
    for name, patch in wanted.update.items():
        number = sets.real_id(call, name)
        try:
            if number in gone:
                raise SetError("willDestroy", "it is destroyed in the same call")
            changes[number] = change_of(call, patch)
        except SetError as no:
            done.not_updated[number] = no.answer
    if changes or gone:
        await _write(call, done, changes, gone, None if wanted.create else wanted.if_in_state)
    return done.answer(call)


async def _write(call: Call, done: Done, changes: Changes, gone: list[str], if_in_state: str | None) -> None:
    numbers = {name: gets.number(object_ids.EMAIL, name) for name in [*changes, *gone]}
    todo: list[tuple[int, Change | None]] = [(numbers[name], change) for name, change in changes.items()]
    todo += [(numbers[name], None) for name in gone]
    refused: dict[int, Refusal] = {}
    for at in range(0, len(todo), _STEP):
        no_of = await call.store.write(work, call.account_id, todo[at : at + _STEP], None if at else if_in_state)
        if no_of is None:
            sets.begin(call, sets.Asked({}, {}, [], if_in_state))  # says which state it is
            return
        refused |= no_of
    for name in changes:
        no = refused.get(numbers[name])
        if no is None:
            done.updated[name] = None
        else:
            done.not_updated[name] = error_of(no).answer
    for name in gone:
        no = refused.get(numbers[name])
        if no is None:
            done.destroyed.append(name)
        else:
            done.not_destroyed[name] = error_of(no).answer


def work(
    tx: Tx, account_id: int, todo: list[tuple[int, Change | None]], if_in_state: str | None
) -> dict[int, Refusal] | None:
    """Change messages, or destroy them (None), as far as that can be; why some cannot. None: the state is another one
    by now, and nothing was done."""
    if if_in_state is not None and str(web_changes.state(tx, account_id)) != if_in_state:
        return None
    refused: dict[int, Refusal] = {}
    trace = email_sets.new_trace(tx)
    for number, change in todo:
        try:
            with savepoints.savepoint(tx):
                if change is None:
                    email_sets.destroy(tx, account_id, number, trace)
                else:
                    email_sets.change(tx, account_id, number, change, trace)
        except Refusal as no:
            refused[number] = no
    return refused


def change_of(call: Call, patch: Arguments) -> Change:
    """What a PatchObject asks for. Raises `SetError`."""
    words, boxes = dict[str, bool](), dict[str, bool]()
    whole = {"keywords": False, "mailboxIds": False}
    if len(patch) > LIMITS.email_patch:
        raise SetError("invalidPatch", f"a patch changes at most {LIMITS.email_patch} things of a message")
    for path, value in patch.items():
        prop, slash, name = path.partition("/")
        target = {"keywords": words, "mailboxIds": boxes}.get(prop)
        if target is None:
            raise bad([path], "only keywords and mailboxIds of a message change")
        if not slash:
            if not isinstance(value, Mapping) or not all(each is True for each in value.values()):
                raise bad([path], "is no set of names that are true")
            whole[prop] = True
            target.update(dict.fromkeys(value, True))
        elif "/" in name or (value is not True and value is not None):
            raise SetError("invalidPatch", f"{path} is set to true, or to null")
        else:
            target[name.replace("~1", "/").replace("~0", "~")] = value is True
    if any(whole[prop] and any(path.startswith(prop + "/") for path in patch) for prop in whole):
        raise SetError("invalidPatch", "a property is set whole and in part at once")
    numbers = {gets.number(object_ids.MAILBOX, sets.real_id(call, name)): yes for name, yes in boxes.items()}
    return Change(
        words if words or whole["keywords"] else None, whole["keywords"],
        numbers if numbers or whole["mailboxIds"] else None, whole["mailboxIds"],
    )  # fmt: skip


async def implicit(call: Call, update: dict[str, Any], destroy: list[str]) -> Arguments:
    """The Email/set that the end of another method makes (RFC 8621 §7.5)."""
    return await set_(call, {"update": update, "destroy": destroy})


METHODS: dict[str, Method] = {
    "Email/set": set_,
    "Email/copy": email_make.copy,
    "Email/import": email_make.import_,
}
