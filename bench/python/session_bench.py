"""What does a session cost a command, over a dict? And what does running a command cost?"""

import functools
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from dspool_worker import Session
from dspool_worker._native import commit, decode, encode, run

from .comparison import Comparison, compare

_CALLS = 10_000
_FIELDS: dict[str, Any] = {
    "n": 1,
    "text": "a text of some length",
    "turns": [],
    "items": {"tea": 1},
}
_Mapping = MutableMapping[str, Any]


def _read(fields: _Mapping) -> object:
    return fields["n"]


def _get(fields: _Mapping) -> object:
    return fields.get("missing")


def _contains(fields: _Mapping) -> object:
    return "n" in fields


def _assign(fields: _Mapping) -> None:
    fields["text"] = "another text"


def _count(fields: _Mapping) -> None:
    fields["n"] = fields["n"] + 1


def _append(fields: _Mapping) -> None:
    fields["turns"].append(1)


def _change_in_place(fields: _Mapping) -> None:
    fields["items"]["tea"] = 2


def comparisons() -> Iterator[Comparison]:
    """Single operations within a command, then whole commands."""
    operations: dict[str, Callable[[_Mapping], object]] = {
        "read": _read,
        "get": _get,
        "contains": _contains,
        "set": _assign,
        "count": _count,
        "append": _append,
        "change_in_place": _change_in_place,
    }
    for name, operation in operations.items():
        session, fields = Session("bench", _FIELDS), decode(encode(_FIELDS))
        yield compare(
            f"BM_Session_{name}",
            functools.partial(operation, session),
            functools.partial(operation, fields),
            against="dict",
            calls=_CALLS,
        )
    yield from _commands()


def _commands() -> Iterator[Comparison]:
    """From encoded arguments to the encoded result and the changes, over the command by itself."""
    args: dict[str, Any] = {"item": "tea", "count": 2}
    encoded = encode(args)

    def add(fields: _Mapping, /, item: str, count: int) -> int:
        items = fields["items"]
        items[item] = items.get(item, 0) + count
        return sum(items.values())

    session, fields = Session("bench", _FIELDS), decode(encode(_FIELDS))
    yield compare(
        "BM_Command_run",
        lambda: run(add, session, encoded, 0),
        lambda: add(fields, **args),
        against="method",
        calls=_CALLS // 10,
    )

    def add_and_commit() -> None:
        run(add, session, encoded, 0)
        commit(session)

    yield compare(
        "BM_Command_run_and_commit",
        add_and_commit,
        lambda: add(fields, **args),
        against="method",
        calls=_CALLS // 10,
    )
