"""Signatures as callers write them: names, and types from a list. Nothing here is evaluated.

Written as text, "question, context: list[str] -> answer: str", or as a mapping:

    {"name": "QuestionAnswer", "description": "Answer briefly.",
     "inputs": [{"name": "question", "type": "string", "description": "..."}],
     "outputs": [{"name": "answer", "type": "string"}]}
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dspool_worker import CommandError

TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list,
    "dict": dict,
    "list[str]": list[str],
    "list[int]": list[int],
    "list[float]": list[float],
    "list[bool]": list[bool],
    "list[dict]": list[dict[str, Any]],
    "dict[str,str]": dict[str, str],
    "dict[str,int]": dict[str, int],
    "dict[str,float]": dict[str, float],
}
_ALIASES = {
    "string": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "map": "dict",
}
_FIELD = re.compile(r"([^:\s]+)\s*(?::\s*(.+))?")


@dataclass(frozen=True)
class Field:
    name: str
    type: str = "str"
    description: str = ""


@dataclass(frozen=True)
class Signature:
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    name: str = "Signature"
    description: str = ""

    def record(self) -> dict[str, Any]:
        """The mapping that `parse` reads: what a session keeps, and any worker can rebuild."""
        return asdict(self)


def parse(signature: object) -> Signature:
    """Reads either form. CommandError `invalid_signature` says what is wrong with it."""
    if isinstance(signature, str):
        parsed = _parse_text(signature)
    elif isinstance(signature, Mapping):
        parsed = _parse_mapping(signature)
    else:
        raise _invalid(f"it is of type {type(signature).__name__}, not text or a mapping")
    names = [field.name for field in (*parsed.inputs, *parsed.outputs)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise _invalid(f"{', '.join(repeated)} stands there twice")
    if not parsed.inputs or not parsed.outputs:
        raise _invalid("it needs at least one input and one output")
    return parsed


def of_inputs(inputs: Mapping[str, Any]) -> Signature:
    """The signature of a question that came without one: its inputs, and one answer.

    CommandError `invalid_inputs` says which of them cannot be one.
    """
    if "answer" in inputs:
        raise _do_not_fit(
            "answer is what the output is called: call the input otherwise, or pass a signature"
        )
    nulls = [name for name, value in inputs.items() if value is None]
    if nulls:
        raise _do_not_fit(f"{', '.join(nulls)} is null: leave it out, or give it a value")
    fields = tuple(_field(name, type(value).__name__) for name, value in inputs.items())
    return parse(Signature(fields, (Field("answer"),), name="Question").record())


def check_inputs(signature: Signature, inputs: Mapping[str, Any]) -> None:
    """CommandError `invalid_inputs` unless the inputs are the signature's, each of its type."""
    known = {field.name: field for field in signature.inputs}
    missing = sorted(known.keys() - inputs.keys())
    unknown = sorted(inputs.keys() - known.keys())
    wrong = [
        f"{name} is {_type_of(inputs[name])}, not {field.type}"
        for name, field in known.items()
        if name in inputs and not _is_of_type(inputs[name], field.type)
    ]
    if missing:
        wrong.append(f"missing: {', '.join(missing)}")
    if unknown:
        wrong.append(f"not in the signature: {', '.join(unknown)}")
    if wrong:
        raise _do_not_fit("; ".join(wrong))


def _parse_text(text: str) -> Signature:
    sides = text.split("->")
    if len(sides) != 2:
        raise _invalid(f"{text!r} is not of the form 'question -> answer'")
    inputs, outputs = (tuple(map(_parse_field_text, _split_fields(side))) for side in sides)
    return Signature(inputs, outputs)


def _split_fields(side: str) -> list[str]:
    # Commas between brackets belong to a type.
    return [field.strip() for field in re.split(r",(?![^\[]*\])", side) if field.strip()]


def _parse_field_text(text: str) -> Field:
    match = _FIELD.fullmatch(text)
    if match is None:
        raise _invalid(f"{text!r} is not of the form 'name' or 'name: type'")
    return _field(match[1], match[2] or "str")


def _parse_mapping(mapping: Mapping[str, Any]) -> Signature:
    unknown = sorted(mapping.keys() - {"name", "description", "inputs", "outputs"})
    if unknown:
        raise _invalid(f"it has {', '.join(unknown)}: use name, description, inputs and outputs")
    return Signature(
        inputs=_parse_fields(mapping, "inputs"),
        outputs=_parse_fields(mapping, "outputs"),
        name=_text(mapping, "name") or "Signature",
        description=_text(mapping, "description"),
    )


def _parse_fields(mapping: Mapping[str, Any], side: str) -> tuple[Field, ...]:
    fields = mapping.get(side)
    if not isinstance(fields, Sequence) or isinstance(fields, str):
        raise _invalid(f"{side} is not a list of fields")
    return tuple(_parse_field_mapping(field, side) for field in fields)


def _parse_field_mapping(field: object, side: str) -> Field:
    if not isinstance(field, Mapping) or "name" not in field:
        raise _invalid(f"a field of {side} is not of the form {{name, type, description}}")
    unknown = sorted(field.keys() - {"name", "type", "description"})
    if unknown:
        raise _invalid(f"a field of {side} has {', '.join(unknown)}")
    return _field(_text(field, "name"), _text(field, "type") or "str", _text(field, "description"))


def _text(mapping: Mapping[str, Any], key: str) -> str:
    value = mapping.get(key) or ""
    if not isinstance(value, str):
        raise _invalid(f"{key} is not text")
    return value


def _field(name: str, type_name: str, description: str = "") -> Field:
    if not name.isidentifier() or name.startswith("_"):
        raise _invalid(
            f"{name!r} cannot name a field: use letters, digits and underscores, a letter first"
        )
    key = type_name.strip().lower().replace(" ", "")
    key = _ALIASES.get(key, key)
    if key not in TYPES:
        raise _invalid(f"{name} has the type {type_name!r}: use one of {', '.join(TYPES)}")
    return Field(name, key, description)


def _is_of_type(value: object, type_name: str) -> bool:
    expected = type_name.partition("[")[0]
    actual = type(value).__name__
    return actual == expected or (actual == "int" and expected == "float")


def _type_of(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"


def _do_not_fit(why: str) -> CommandError:
    return CommandError(f"the inputs do not fit: {why}", code="invalid_inputs")


def _invalid(why: str) -> CommandError:
    return CommandError(f"the signature cannot be used: {why}", code="invalid_signature")
