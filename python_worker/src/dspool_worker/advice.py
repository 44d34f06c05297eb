"""What to use instead of a value that cannot travel.

Types are known by the names of their modules, so that nothing is imported for it.
"""

import collections.abc
import dataclasses
import inspect
from typing import NamedTuple

_VALUES = "None, bool, int, float, str, bytes, list, tuple and dict"


class _Kind(NamedTuple):
    words: str
    """"" where the type's own name says it."""
    instead: str


# By the class that a value is one of, or derives from: top-level package and name.
_BY_NAME = {
    ("torch", "Module"): _Kind(
        "PyTorch module", "keep it in the adapter, and use what it has computed"
    ),
    ("torch", "Tensor"): _Kind("PyTorch tensor", "use value.tolist()"),
    ("numpy", "ndarray"): _Kind("NumPy array", "use value.tolist(), or value.tobytes()"),
    ("numpy", "generic"): _Kind("NumPy scalar", "use value.item()"),
    ("pandas", "DataFrame"): _Kind("pandas DataFrame", 'use value.to_dict("records")'),
    ("pandas", "Series"): _Kind("pandas Series", "use value.tolist()"),
    ("pandas", "Index"): _Kind("pandas Index", "use value.tolist()"),
    ("pydantic", "BaseModel"): _Kind("pydantic model", 'use value.model_dump(mode="json")'),
    ("dspy", "Module"): _Kind("DSPy module", "use value.dump_state()"),
    ("dspy", "Example"): _Kind("DSPy prediction or example", "use value.toDict()"),
    ("dspy", "History"): _Kind("DSPy history", "use value.messages"),
    ("datetime", "timedelta"): _Kind("", "use value.total_seconds()"),
    ("datetime", "date"): _Kind("", "use value.isoformat()"),
    ("datetime", "time"): _Kind("", "use value.isoformat()"),
    ("decimal", "Decimal"): _Kind("", "use str(value), which is exact, or float(value)"),
    ("fractions", "Fraction"): _Kind("", "use str(value), which is exact, or float(value)"),
    ("uuid", "UUID"): _Kind("", "use str(value)"),
    ("pathlib", "PurePath"): _Kind("", "use str(value)"),
    ("enum", "Enum"): _Kind("", "use value.value"),
    ("builtins", "complex"): _Kind("", "use [value.real, value.imag]"),
    ("builtins", "BaseException"): _Kind("", "raise it, or use str(value)"),
    ("builtins", "type"): _Kind("", "use its name"),
}

_BY_BEHAVIOUR: list[tuple[type, _Kind]] = [
    (collections.abc.Awaitable, _Kind("", "use what asyncio.run(value) returns")),
    (collections.abc.AsyncIterator, _Kind("", "send its items by session.emit")),
    (collections.abc.Generator, _Kind("", "use list(value), or send its items by session.emit")),
    (collections.abc.Mapping, _Kind("", "use dict(value)")),
    (collections.abc.Set, _Kind("", "use sorted(value) or list(value)")),
    (collections.abc.Iterable, _Kind("", "use list(value)")),
    (collections.abc.Callable, _Kind("", "use what it returns")),  # type: ignore[list-item]
]


def refused(kind: type) -> str:
    """`is a PyTorch module (my_app.Net): keep it in the adapter, ...`, of what is no value."""
    words, instead = _kind_of(kind)
    name = kind.__name__
    place = "" if kind.__module__ == "builtins" else f" ({kind.__module__}.{kind.__qualname__})"
    return f"is {with_article(words or name)}{place}: {instead}"


def _kind_of(kind: type) -> _Kind:
    for base in inspect.getmro(kind):
        package = base.__module__.partition(".")[0].removeprefix("_")
        found = _BY_NAME.get((package, base.__name__))
        if found is not None:
            return found
    if dataclasses.is_dataclass(kind):
        return _Kind("", "use dataclasses.asdict(value)")
    for behaviour, found in _BY_BEHAVIOUR:
        if issubclass(kind, behaviour):
            return found
    return _Kind("", f"use only {_VALUES}")


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[:1] in "aeiouAEIOU" else f"a {noun}"
