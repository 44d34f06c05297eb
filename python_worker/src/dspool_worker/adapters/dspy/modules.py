"""Modules of DSPy, built from what a program's record says of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dspy

from dspool_worker.adapters.dspy.names import safe_names, show_as
from dspool_worker.adapters.dspy.refusals import clip, invalid_config, invalid_signature
from dspool_worker.adapters.dspy.signatures import Field, Signature
from dspool_worker.errors import nearest

_HISTORY = "history"
# What a kind of module adds to the signature, which callers cannot call their own.
_ADDED = {
    "predict": frozenset[str](),
    "chain_of_thought": frozenset({"reasoning"}),
    "react": frozenset(
        {"next_thought", "next_tool_args", "next_tool_name", "reasoning", "trajectory"}
    ),
}
_NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "max_tokens": (1, 1 << 20),
    "max_iters": (1, 100),
}


_OWN = Signature((), ())


@dataclass(frozen=True)
class Live:
    """A module that is built, and the names under which it knows its caller's fields."""

    module: Any
    signature: Signature = _OWN
    """That of a module of the deployment's own is empty: it takes what its `forward` takes."""
    internal: Mapping[str, str] = field(default_factory=dict)
    """By the caller's names."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """The caller's names, by those that prompts and answers of DSPy's have."""
    history: str | None = None
    """The input that takes the conversation so far."""
    tells_history: bool = False
    """Whether it takes it as a text."""


def check_config(config: object, program_type: str) -> dict[str, Any]:
    """What a caller configures of a module. CommandError `invalid_config` says what is wrong."""
    if not isinstance(config, Mapping):
        raise invalid_config("it is not a mapping")
    known = {"temperature", "top_p", "max_tokens"}
    if program_type == "react":
        known.add("max_iters")
    for name, value in config.items():
        if name not in known:
            raise invalid_config(f"there is no {clip(name)}: {nearest(str(name)[:64], known)}")
        low, high = _NUMBERS[name]
        whole = name.startswith("max_")
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise invalid_config(f"{name} is {clip(value)}, not a {'whole ' * whole}number")
        if not low <= value <= high:
            raise invalid_config(f"{name} is {clip(value)}: it is between {low} and {high}")
    return dict(config)


def build(
    program_type: str,
    signature: Signature,
    *,
    with_history: bool = False,
    config: Mapping[str, Any] | None = None,
    tools: Iterable[Any] = (),
) -> Live:
    """A module of DSPy's own. With `with_history`, it takes a conversation whose input is shown to
    nobody, where the signature has none."""
    fields = (*signature.inputs, *signature.outputs)
    taken = sorted(_ADDED[program_type] & {entry.name for entry in fields})
    if taken:
        raise invalid_signature(f"{program_type} adds {', '.join(taken)}: choose other names")
    internal = safe_names(entry.name for entry in fields)
    history = signature.conversation and internal[signature.conversation]
    # Each step of ReAct answers otherwise than a turn does, so a turn cannot be an example of one.
    tells_history = program_type == "react" and history is not None
    built = _build_signature(signature, internal, tells_history)
    if with_history and history is None:
        history = _HISTORY
        shown = _HISTORY
        while shown in internal:
            shown += "_"
        built = built.append(history, show_as(dspy.InputField(), shown), dspy.History)
    settings = dict(config or {})
    if program_type == "react":
        module = _build_react(built, settings, list(tools), internal)
    elif program_type == "chain_of_thought":
        module = dspy.ChainOfThought(built, **settings)
    else:
        module = dspy.Predict(built, **settings)
    shown_names = {key: name for name, key in internal.items()}
    return Live(module, signature, internal, shown_names, history, tells_history)


def _build_signature(signature: Signature, internal: Mapping[str, str], tells_history: bool) -> Any:
    fields: dict[str, Any] = {}
    for entries, make in (
        (signature.inputs, dspy.InputField),
        (signature.outputs, dspy.OutputField),
    ):
        for entry in entries:
            made = make(desc=entry.description or f"${{{entry.name}}}")
            if internal[entry.name] != entry.name:
                show_as(made, entry.name)
            told = tells_history and entry.name == signature.conversation
            fields[internal[entry.name]] = (str if told else entry.type.annotation, made)
    instructions = signature.description or _usual_instructions(signature)
    return dspy.Signature(fields, instructions, signature_name="Signature")


def _usual_instructions(signature: Signature) -> str:
    # DSPy's own, but with the caller's names.
    def listed(entries: Iterable[Field]) -> str:
        return ", ".join(f"`{entry.name}`" for entry in entries)

    asked, answered = listed(signature.inputs), listed(signature.outputs)
    return f"Given the fields {asked}, produce the fields {answered}."


def _build_react(
    signature: Any, settings: dict[str, Any], tools: list[Any], internal: Mapping[str, str]
) -> Any:
    react = dspy.ReAct(signature, tools=tools, max_iters=settings.pop("max_iters", 20))
    for predictor in (react.react, react.extract.predict):
        predictor.config = dict(settings)
    # It names the fields in its instructions.
    instructions = react.react.signature.instructions
    for name, key in internal.items():
        if name != key:
            instructions = instructions.replace(f"`{key}`", f"`{name}`")
    react.react.signature = react.react.signature.with_instructions(instructions)
    return react
