"""Types of fields as callers write them: names from a list, in each other up to a depth.

    str  int  float  bool  list  list[T]  dict  dict[str, T]  Literal['a', 2, True]  History

Read by a parser of its own: nothing that a client sends is evaluated or imported. `History`, for
inputs only, is a conversation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import GenericAlias
from typing import Any, Literal

import dspy

from dspool_worker.adapters.dspy.values import is_attachment
from dspool_worker.errors import nearest

_DEPTH = 8
_CHOICES = 256
_LENGTH = 8 * 1024
_TOKEN = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_][A-Za-z_.]*)|(?P<number>-?\d{1,18})
    |(?P<text>'(?:[^'\\]|\\(?s:.))*'|"(?:[^"\\]|\\(?s:.))*")|(?P<mark>[\[\],]))\s*""",
    re.VERBOSE,
)
_SIMPLE: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}
_ALIASES = {
    "string": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "map": "dict",
    "literal": "Literal",
    "history": "History",
    "dspy.history": "History",
}
_NAMES = (*_SIMPLE, "list", "dict", "Literal", "History")


@dataclass(frozen=True)
class FieldType:
    """A type; `str()` of it is what `parse_type` reads."""

    name: str
    items: "FieldType | None" = None
    """Of a list's items, or of a dict's values; None: any."""
    choices: tuple[str | int | bool, ...] = ()
    """Of a Literal."""

    def __str__(self) -> str:
        if self.choices:
            return f"Literal[{', '.join(map(_written, self.choices))}]"
        if self.items is None:
            return self.name
        return f"{self.name}[{'str, ' if self.name == 'dict' else ''}{self.items}]"

    @property
    def annotation(self) -> Any:
        """The type as DSPy takes it."""
        if self.name == "Literal":
            return Literal[self.choices]
        if self.name == "History":
            return dspy.History
        if self.name in _SIMPLE:
            return _SIMPLE[self.name]
        items: Any = Any if self.items is None else self.items.annotation
        whole, arguments = (list, items) if self.name == "list" else (dict, (str, items))
        return GenericAlias(whole, arguments)

    def mismatch(self, value: object) -> str | None:
        """Why a value is not of this type, to be put behind its name; None: it is."""
        actual = type_name(value)
        if self.name == "Literal":
            known = any(value == choice and type(value) is type(choice) for choice in self.choices)
            return None if known else f"is not one of {', '.join(map(repr, self.choices[:16]))}"
        if actual != self.name and (actual, self.name) != ("int", "float"):
            return f"is {'null' if value is None else f'of type {actual}'}, not {self}"
        if self.items is None:
            return None
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):  # type: ignore[arg-type]
            if (why := self.items.mismatch(item)) is not None:
                return f"has [{str(key)[:64]!s}], which {why}"
        return None


TEXT = FieldType("str")


def type_name(value: object) -> str:
    """The name of a value's type, as signatures write it."""
    for known in (bool, int, float, str, list, dict):
        if isinstance(value, known):
            return known.__name__
    return type(value).__name__


def _written(choice: str | int | bool) -> str:
    if not isinstance(choice, str):
        return str(choice)
    return "'" + choice.replace("\\", "\\\\").replace("'", "\\'") + "'"


def parse_type(text: str) -> FieldType:
    """ValueError says what is wrong with it."""
    if len(text) > _LENGTH:
        raise ValueError(f"a type has at most {_LENGTH} characters")
    tokens = _tokens(text)
    parsed = _parse(tokens, 0)
    if tokens:
        raise ValueError(f"{tokens[0][1]!r} stands behind the type")
    return parsed


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{text[at : at + 32]!r} is no type: use {', '.join(_NAMES)}")
        kind = str(match.lastgroup)
        tokens.append((kind, match[kind]))
        at = match.end()
    return tokens


def _parse(tokens: list[tuple[str, str]], depth: int) -> FieldType:
    if depth == _DEPTH:
        raise ValueError(f"types are in each other at most {_DEPTH} deep")
    kind, word = tokens.pop(0) if tokens else ("", "nothing")
    name = _ALIASES.get(word.lower(), word if word == "Literal" else word.lower())
    if kind != "name" or (name not in _NAMES):
        raise ValueError(f"there is no type {word[:64]!r}: {nearest(word[:64], _NAMES)}")
    bracketed = _take(tokens, "[")
    if name == "Literal":
        if not bracketed:
            raise ValueError("Literal names its values: Literal['a', 'b']")
        return FieldType(name, choices=_parse_choices(tokens))
    if not bracketed:
        return FieldType("History" if name == "History" else name)
    if name not in ("list", "dict"):
        raise ValueError(f"{name} takes nothing in brackets")
    if name == "dict" and (str(_parse(tokens, depth + 1)) != "str" or not _take(tokens, ",")):
        raise ValueError("a dict's keys are str: dict[str, int]")
    items = _parse(tokens, depth + 1)
    if items.name == "History":
        raise ValueError("a History stands alone")
    if not _take(tokens, "]"):
        raise ValueError("a ] is missing")
    return FieldType(name, items)


def _parse_choices(tokens: list[tuple[str, str]]) -> tuple[str | int | bool, ...]:
    choices: list[str | int | bool] = []
    while True:
        kind, word = tokens.pop(0) if tokens else ("", "nothing")
        if kind == "text":
            choice = re.sub(r"(?s)\\(.)", r"\1", word[1:-1])
            if is_attachment(choice):
                raise ValueError("a value of a Literal has DSPy's mark of an attachment")
            choices.append(choice)
        elif kind == "number":
            choices.append(int(word))
        elif word.lower() in ("true", "false"):
            choices.append(word.lower() == "true")
        else:
            raise ValueError(f"{word[:64]!r} is no value of a Literal: use text, int or bool")
        if _take(tokens, "]"):
            break
        if not _take(tokens, ","):
            raise ValueError("a ] is missing")
    if len(choices) > _CHOICES:
        raise ValueError(f"a Literal has at most {_CHOICES} values")
    if len(set(map(repr, choices))) < len(choices):
        raise ValueError("a value of a Literal stands there twice")
    return tuple(choices)


def _take(tokens: list[tuple[str, str]], mark: str) -> bool:
    if tokens and tokens[0] == ("mark", mark):
        tokens.pop(0)
        return True
    return False


def split_outside_types(text: str, separator: str) -> Sequence[str]:
    """Splits a text where the separator stands outside of brackets and quotes."""
    parts, depth, quote, begin, at = [], 0, "", 0, 0
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif depth and character in "'\"":
            quote = character
        elif character == "[":
            depth += 1
        elif character == "]":
            depth = max(0, depth - 1)
        elif depth == 0 and text.startswith(separator, at):
            parts.append(text[begin:at])
            at += len(separator)
            begin = at
            continue
        at += 1
    return [*parts, text[begin:]]
