"""How signatures become prompts, and answers values: DSPy's adapters, with the callers' names."""

import inspect
import re
from typing import Any

import dspy
from dspy.adapters.types.base_type import CUSTOM_TYPE_START_IDENTIFIER

from dspool_worker.adapters.dspy.names import renamed, shown_name

_HARMLESS_IDENTIFIER = CUSTOM_TYPE_START_IDENTIFIER.replace("CUSTOM-TYPE", "CUSTOM TYPE")


class _ShownSignature:
    """A signature with its callers' names, as far as DSPy's adapters look at it."""

    def __init__(self, signature: Any) -> None:
        self._signature = signature
        self.instructions = signature.instructions
        self.input_fields = _shown(signature.input_fields)
        self.output_fields = _shown(signature.output_fields)
        self.fields = {**self.input_fields, **self.output_fields}

    def delete(self, name: str) -> "_ShownSignature":
        internal = {shown_name(key, field): key for key, field in self._signature.fields.items()}
        return _ShownSignature(self._signature.delete(internal.get(name, name)))


class _CallersNames:
    """Shows fields by their callers' names, and lets no text of a caller become an attachment."""

    def format(self, signature: Any, demos: list[Any], inputs: dict[str, Any]) -> Any:
        names = renamed(signature)
        demos = [_defused(dict(demo)) for demo in demos]
        inputs = {key: _defused(value) for key, value in inputs.items()}
        if names:
            demos = [{names.get(key, key): value for key, value in demo.items()} for demo in demos]
            inputs = {names.get(key, key): value for key, value in inputs.items()}
            signature = _ShownSignature(signature)
        return super().format(signature, demos, inputs)  # type: ignore[misc]


class ChatAdapter(_CallersNames, dspy.ChatAdapter):  # type: ignore[misc]
    def _make_json_adapter_fallback(self) -> Any:
        return _JSONAdapter(use_native_function_calling=self.use_native_function_calling)

    def parse(self, signature: Any, completion: str) -> Any:
        for internal, shown in renamed(signature).items():
            header = rf"(?m)^([ \t]*\[\[ ## ){re.escape(shown)}( ## \]\])"
            completion = re.sub(header, rf"\g<1>{internal}\g<2>", completion)
        return super().parse(signature, completion)


class _JSONAdapter(_CallersNames, dspy.JSONAdapter):  # type: ignore[misc]
    def _prepare_response_format(self, lm: Any, lm_kwargs: dict[str, Any], signature: Any) -> None:
        if not renamed(signature):
            super()._prepare_response_format(lm, lm_kwargs, signature)
        elif "response_format" in lm.supported_params:
            # A schema would name the fields as DSPy does.
            lm_kwargs["response_format"] = {"type": "json_object"}

    def parse(self, signature: Any, completion: str) -> Any:
        names = renamed(signature)
        if not names:
            return super().parse(signature, completion)
        parsed = super().parse(_ShownSignature(signature), completion)
        internal = {shown: key for key, shown in names.items()}
        return {internal.get(key, key): value for key, value in parsed.items()}


# DSPy wraps both methods of every subclass for its callbacks; those of the base are enough.
for _adapter in (ChatAdapter, _JSONAdapter):
    for _method in ("format", "parse"):
        setattr(_adapter, _method, inspect.unwrap(getattr(_adapter, _method)))


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    return {shown_name(key, field): field for key, field in fields.items()}


def _defused(value: Any) -> Any:
    # DSPy makes images and files of what stands behind this mark in a prompt, and may read them
    # from the worker's disk.
    if isinstance(value, str):
        return value.replace(CUSTOM_TYPE_START_IDENTIFIER, _HARMLESS_IDENTIFIER)
    if isinstance(value, dict):
        return {_defused(key): _defused(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_defused(item) for item in value]
    if isinstance(value, dspy.History):
        return dspy.History(messages=_defused(value.messages))
    return value
