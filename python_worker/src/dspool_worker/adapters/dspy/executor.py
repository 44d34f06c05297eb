"""Predictions and programs, from a caller's inputs to its outputs."""

import inspect
from collections.abc import Mapping
from typing import Any

import dspy

from dspool_worker import CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy.library import Library
from dspool_worker.adapters.dspy.memory import Memory, given_messages, in_words
from dspool_worker.adapters.dspy.modules import Live
from dspool_worker.adapters.dspy.program_state import dump_state, parse_state
from dspool_worker.adapters.dspy.programs import put_program
from dspool_worker.adapters.dspy.refusals import clip, invalid_inputs
from dspool_worker.adapters.dspy.runner import run_module
from dspool_worker.adapters.dspy.signatures import Signature, check_inputs
from dspool_worker.adapters.dspy.statistics import Statistics
from dspool_worker.adapters.dspy.values import plain, unusable

_SWITCH = "history"
# What DSPy's modules take beside inputs: to ask elsewhere, otherwise, or without end.
_RESERVED = frozenset(
    (
        "_trace",
        "args",
        "config",
        "demos",
        "lm",
        "max_iters",
        "new_signature",
        "prediction",
        "signature",
    )
)


class Executor:
    """Runs them for sessions, several at once."""

    def __init__(self, library: Library, memory: Memory, statistics: Statistics) -> None:
        self._library = library
        self._memory = memory
        self._statistics = statistics
        self.own_model: LanguageModel | None = None
        """Where no engine calls: never another session's."""

    def predict(
        self, session: Session, signature: object, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        parsed = None if signature is None else self._library.signature(signature)
        remembers = _take_switch(inputs, parsed) and bool(session.id)
        if parsed is not None and parsed.conversation is not None:
            live = self._library.prediction(parsed, with_history=False)
            return self._ask(session, live, inputs, sends=remembers, keeps=True)
        with_history = remembers and self._memory.begun(session)
        if parsed is None:
            live = self._library.question(inputs, with_history=with_history)
        else:
            live = self._library.prediction(parsed, with_history=with_history)
        return self._ask(session, live, inputs, sends=remembers, keeps=True)

    def execute(
        self,
        session: Session,
        program_id: str,
        record: Mapping[str, Any] | None,
        inputs: object,
        history: object,
    ) -> dict[str, Any]:
        """A program of the session's record, or without one a program of the deployment's own."""
        if not isinstance(history, bool):
            raise invalid_inputs("history is true or false: whether the conversation goes along")
        program_type = program_id if record is None else record["program_type"]
        if record is None or self._library.is_registered(program_type):
            return self._run_own(session, program_id, program_type, record, inputs)
        live = self._library.program(record)
        if not isinstance(inputs, Mapping):
            raise invalid_inputs("they are a mapping of the signature's names")
        converses = live.history is not None and bool(session.id)
        sends = converses and history
        return self._ask(session, live, dict(inputs), sends=sends, keeps=converses)

    def _ask(
        self, session: Session, live: Live, inputs: dict[str, Any], *, sends: bool, keeps: bool
    ) -> dict[str, Any]:
        signature = live.signature
        given = signature.conversation is not None and signature.conversation in inputs
        keeps = keeps and bool(session.id) and not given
        if keeps:
            self._memory.check(session)  # before anything is asked and charged for
        earlier: list[dict[str, Any]] = []
        if given:
            earlier = given_messages(inputs.pop(str(signature.conversation)))
        elif live.history is not None and sends:
            earlier = self._memory.messages(session, signature)
        inputs = check_inputs(signature, inputs)
        arguments = {live.internal[name]: value for name, value in inputs.items()}
        if live.history is not None:
            arguments[live.history] = (
                in_words(earlier) if live.tells_history else dspy.History(messages=earlier)
            )
        streamed = None
        if session.streams:
            streamed = {"reasoning", *(field.name for field in signature.outputs)}
        prediction = self._run(session, live, arguments, streamed)
        outputs = {
            live.shown.get(key, key): plain(value, otherwise=str)  # a tool may return what it likes
            for key, value in prediction.items()
        }
        if keeps:
            # Not what a module has said beside, such as its reasoning: that is no answer.
            answered = {
                field.name: outputs[field.name]
                for field in signature.outputs
                if field.name in outputs
            }
            self._memory.remember(session, inputs, answered)
        return outputs

    def _run_own(
        self,
        session: Session,
        program_id: str,
        program_type: str,
        record: Mapping[str, Any] | None,
        inputs: object,
    ) -> dict[str, Any]:
        live = self._library.own_program(program_type, record)
        arguments = _own_inputs(live, {} if inputs is None else inputs)
        before = dump_state(live)
        result = self._run(session, live, arguments, None)
        if not isinstance(result, (dspy.Prediction, Mapping)):
            raise CommandError(
                f"{program_type} returned {type(result).__name__}: let its forward return a "
                "dspy.Prediction",
                code="invalid_outputs",
            )
        if session.id and (after := dump_state(live)) != before:
            if record is None:
                record = self._library.make_record(program_type, None, None, None, None)
            learned = {**record, "state": parse_state(after)}
            self._library.program(learned)  # what could not be loaded again is refused here
            put_program(session, program_id, learned)
        return {key: plain(value) for key, value in result.items()}

    def _run(
        self, session: Session, live: Live, arguments: Mapping[str, Any], streamed: Any
    ) -> Any:
        model = self.own_model if session.call is None else session.language_model
        return run_module(live.module, arguments, session, model, self._statistics, streamed)


def _take_switch(inputs: dict[str, Any], signature: Signature | None) -> bool:
    """Takes `history` out of the inputs, where it is no input: a bool that no input is called."""
    if not isinstance(inputs.get(_SWITCH), bool):
        return True
    if signature is not None and any(
        field.name == _SWITCH and field.type.name != "History" for field in signature.inputs
    ):
        return True
    return bool(inputs.pop(_SWITCH))


def _own_inputs(live: Live, inputs: object) -> dict[str, Any]:
    if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
        raise invalid_inputs("they are a mapping of what the program's forward takes")
    for name, value in inputs.items():
        if (why := unusable(value)) is not None:
            raise invalid_inputs(f"{clip(name)} {why}")
    forward = inspect.signature(type(live.module).forward)
    reserved = sorted((_RESERVED & inputs.keys()) - _named(forward))
    if reserved:
        raise invalid_inputs(
            f"{', '.join(reserved)} would be DSPy's own: let the program's forward name them, or "
            "call them otherwise"
        )
    try:
        forward.bind(live.module, **inputs)
    except TypeError as error:
        raise invalid_inputs(
            f"the program's forward does not take them: {str(error)[:200]}"
        ) from None
    return dict(inputs)


def _named(signature: inspect.Signature) -> set[str]:
    """The parameters that take one argument each."""
    return {
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
