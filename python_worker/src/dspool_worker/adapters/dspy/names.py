"""Names of fields: what callers call them, and what Python and DSPy can call them.

Callers may call a field `class`, `my-field`, `2nd` or `größe`. DSPy keeps it under a name that is
safe, and prompts, answers and errors show the caller's.
"""

import keyword
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import dspy

_LENGTH = 64
_SAFE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# What DSPy's modules keep for themselves when they are called; `history` is a conversation's.
_TAKEN = frozenset(
    (
        "args",
        "completions",
        "config",
        "demos",
        "history",
        "instance",
        "kwargs",
        "lm",
        "max_iters",
        "module",
        "new_signature",
        "prediction",
        "self",
        "signature",
        "trace",
    )
)
_SHOWN = "dspool_name"


def fault_of(name: object) -> str | None:
    """Why this cannot name a field; None: it can."""
    if not isinstance(name, str) or not name:
        return "a name is text, and not empty"
    if len(name) > _LENGTH:
        return f"a name has at most {_LENGTH} characters"
    if name == "completed":
        return "completed is how an answer ends: call the field otherwise"
    if _SAFE.fullmatch(name) is not None:
        return None
    if name != name.strip() or not all(_is_allowed(character) for character in name):
        return "a name is made of letters, digits, and in between of _ - . / or spaces"
    return None


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """For each name of the caller's the one that DSPy uses, which is the same where it can be."""
    names = list(names)
    safe: dict[str, str] = {}
    for number, name in enumerate(names):
        internal = name
        if not _is_safe(name):
            internal = f"field_{number}"
            while internal in names:
                internal += "_"
        safe[name] = internal
    return safe


def show_as(field: Any, name: str) -> Any:
    """Has prompts call a field of DSPy by its caller's name."""
    field.json_schema_extra[_SHOWN] = name
    return field


def shown_name(internal: str, field: Any) -> str:
    """What prompts call a field of DSPy."""
    return str(field.json_schema_extra.get(_SHOWN, internal))


def renamed(signature: Any) -> dict[str, str]:
    """The fields that callers call otherwise than DSPy does, by DSPy's names."""
    return {
        key: field.json_schema_extra[_SHOWN]
        for key, field in signature.model_fields.items()
        if _SHOWN in field.json_schema_extra
    }


def _is_allowed(character: str) -> bool:
    return character in "_-./ " or unicodedata.category(character)[0] in "LNM"


def _is_safe(name: str) -> bool:
    return (
        _SAFE.fullmatch(name) is not None
        and not keyword.iskeyword(name)
        and name not in _TAKEN
        and not name.startswith("model_")
        and not hasattr(dspy.Signature, name)
    )
