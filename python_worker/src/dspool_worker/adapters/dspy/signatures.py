"""Signatures as callers write them: names, and types from a list. Nothing here is evaluated.

Written as text, "question, context: list[str] -> answer: str", or as a mapping:

    {"name": "QuestionAnswer", "description": "Answer briefly.",
     "inputs": [{"name": "question", "type": "string", "description": "..."}],
     "outputs": [{"name": "answer", "type": "string"}]}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dspool_worker.adapters.dspy.field_types import (
    TEXT,
    FieldType,
    parse_type,
    split_outside_types,
    type_name,
)
from dspool_worker.adapters.dspy.names import fault_of
from dspool_worker.adapters.dspy.refusals import clip, invalid_inputs, invalid_signature
from dspool_worker.adapters.dspy.values import encodable, is_attachment, unusable

_FIELDS = 128
_TEXT_LENGTH = 64 * 1024


@dataclass(frozen=True)
class Field:
    name: str
    type: FieldType = TEXT
    description: str = ""

    def record(self) -> dict[str, str]:
        return {"name": self.name, "type": str(self.type), "description": self.description}


@dataclass(frozen=True)
class Signature:
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    name: str = "Signature"
    description: str = ""

    @cached_property
    def key(self) -> str:
        """Tells signatures apart that compare as equal, as do `Literal[1]` and `Literal[True]`."""
        return json.dumps(self.record())

    @cached_property
    def conversation(self) -> str | None:
        """The name of the input that takes the conversation so far, if there is one."""
        return next((field.name for field in self.inputs if field.type.name == "History"), None)

    def record(self) -> dict[str, Any]:
        """The mapping that `parse` reads: what a session keeps, and any worker can rebuild."""
        return {
            "name": self.name,
            "description": self.description,
            "inputs": [field.record() for field in self.inputs],
            "outputs": [field.record() for field in self.outputs],
        }


def parse(signature: object) -> Signature:
    """Reads either form. CommandError `invalid_signature` says what is wrong with it."""
    if isinstance(signature, str):
        parsed = _parse_text(signature)
    elif isinstance(signature, Mapping):
        parsed = _parse_mapping(signature)
    else:
        raise invalid_signature(f"it is of type {type(signature).__name__}, not text or a mapping")
    if not parsed.inputs or not parsed.outputs:
        raise invalid_signature("it needs at least one input and one output")
    names: set[str] = set()
    for field in (*parsed.inputs, *parsed.outputs):
        if field.name in names:
            raise invalid_signature(f"{field.name} stands there twice")
        names.add(field.name)
    if any(field.type.name == "History" for field in parsed.outputs):
        raise invalid_signature("a History is an input, never an output")
    if sum(field.type.name == "History" for field in parsed.inputs) > 1:
        raise invalid_signature("there is one History at most")
    if parsed.conversation is not None and len(parsed.inputs) == 1:
        raise invalid_signature("beside the History it needs an input to ask with")
    return parsed


def of_inputs(inputs: Mapping[str, Any]) -> Signature:
    """The signature of a question that came without one: its inputs, and one answer.

    CommandError `invalid_inputs` says which of them cannot be one.
    """
    if not inputs:
        raise invalid_inputs("there is nothing to ask: pass inputs by name, such as question")
    if len(inputs) > _FIELDS - 1:
        raise invalid_inputs(f"there are {len(inputs)} of them, and at most {_FIELDS - 1}")
    if "answer" in inputs:
        raise invalid_inputs(
            "answer is what the output is called: call the input otherwise, or pass a signature"
        )
    fields = []
    for name, value in inputs.items():
        if (why := fault_of(name)) is not None:
            raise invalid_inputs(f"{clip(name)} cannot name an input: {why}")
        if value is None:
            raise invalid_inputs(f"{name} is null: leave it out, or give it a value")
        if (why := unusable(value)) is not None:
            raise invalid_inputs(f"{name} {why}")
        fields.append(Field(name, FieldType(type_name(value))))
    return Signature(tuple(fields), (Field("answer"),), name="Question")


def check_inputs(signature: Signature, inputs: object) -> dict[str, Any]:
    """The inputs; CommandError `invalid_inputs` unless they are the signature's, each of its type.

    The conversation may be left out.
    """
    if not isinstance(inputs, Mapping):
        raise invalid_inputs(f"they are of type {type_name(inputs)}, not a mapping of names")
    wrong = []
    known = {field.name: field for field in signature.inputs}
    for name, field in known.items():
        if field.type.name == "History":
            continue  # the conversation's own form is looked at where it is read
        if name not in inputs:
            wrong.append(f"{name} is missing")
        elif (why := field.type.mismatch(inputs[name])) or (why := unusable(inputs[name])):
            wrong.append(f"{name} {why}")
    unknown = [name for name in inputs if name not in known]
    if unknown:
        wrong.append(f"not in the signature: {', '.join(map(clip, unknown[:8]))}")
    if wrong:
        raise invalid_inputs("; ".join(wrong[:8]))
    return dict(inputs)


def _parse_text(text: str) -> Signature:
    _check_text("the signature", text)
    sides = split_outside_types(text, "->")
    if len(sides) != 2:
        raise invalid_signature(f"{clip(text)} is not of the form 'question -> answer'")
    inputs, outputs = (
        tuple(_parse_field_text(field) for field in split_outside_types(side, ",") if field.strip())
        for side in sides
    )
    _check_count(len(inputs) + len(outputs))
    return Signature(inputs, outputs)


def _parse_field_text(text: str) -> Field:
    name, separator, type_text = text.partition(":")
    if (separator and not type_text.strip()) or " " in name.strip():
        raise invalid_signature(f"{clip(text.strip())} is not of the form 'name' or 'name: type'")
    return _field(name.strip(), type_text.strip() or "str")


def _parse_mapping(mapping: Mapping[str, Any]) -> Signature:
    _check_keys("it", mapping, {"name", "description", "inputs", "outputs"})
    sides = [mapping.get(side) for side in ("inputs", "outputs")]
    for side, fields in zip(("inputs", "outputs"), sides, strict=True):
        if not isinstance(fields, Sequence) or isinstance(fields, (str, bytes)):
            raise invalid_signature(f"{side} is not a list of fields")
    _check_count(sum(map(len, sides)))  # type: ignore[arg-type]
    inputs, outputs = (tuple(map(_parse_field_mapping, fields)) for fields in sides)  # type: ignore[arg-type]
    return Signature(
        inputs, outputs, _text(mapping, "name") or "Signature", _text(mapping, "description")
    )


def _parse_field_mapping(field: object) -> Field:
    if isinstance(field, str):
        return _parse_field_text(field)
    if not isinstance(field, Mapping) or "name" not in field:
        raise invalid_signature("a field is not of the form {name, type, description}")
    _check_keys("a field", field, {"name", "type", "description"})
    return _field(field["name"], _text(field, "type") or "str", _text(field, "description"))


def _field(name: object, type_text: str, description: str = "") -> Field:
    if (why := fault_of(name)) is not None:
        raise invalid_signature(f"{clip(name)} cannot name a field: {why}")
    try:
        return Field(str(name), parse_type(type_text), description)
    except ValueError as error:
        raise invalid_signature(f"the type {clip(type_text)} of {name}: {error}") from None


def _text(mapping: Mapping[str, Any], key: str) -> str:
    value = mapping.get(key) or ""
    if not isinstance(value, str):
        raise invalid_signature(f"{key} is not text")
    _check_text(key, value)
    return value


def _check_text(what: str, text: str) -> None:
    if len(text) > _TEXT_LENGTH:
        raise invalid_signature(f"{what} has more than {_TEXT_LENGTH} characters")
    if not encodable(text):
        raise invalid_signature(f"{what} has a lone surrogate, which is no Unicode")
    if is_attachment(text):
        raise invalid_signature(f"{what} has DSPy's mark of an attachment")


def _check_keys(what: str, mapping: Mapping[str, Any], known: set[str]) -> None:
    unknown = [key for key in mapping if key not in known]
    if unknown:
        raise invalid_signature(
            f"{what} has {', '.join(map(clip, unknown[:8]))}: use {', '.join(sorted(known))}"
        )


def _check_count(count: int) -> None:
    if count > _FIELDS:
        raise invalid_signature(f"it has {count} fields, and at most {_FIELDS}")
