"""Real DSPy: predictions, conversations, and programs that live in the session.

What a session holds is plain data: `history`, the turns of its conversation, and `programs`, each
as the signature and module that it is built from. Any worker can go on with it.
"""

import functools
import json
import math
import os
import time
from typing import Any

# Before DSPy is imported: LiteLLM, which it may load, must not fetch its price list.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import dspy

from dspool_worker import Adapter, CommandError, LanguageModel, Session
from dspool_worker._native import encode
from dspool_worker.adapters import signature as signatures
from dspool_worker.adapters.signature import Signature
from dspool_worker.errors import nearest, summary

_MODULES = {"predict": dspy.Predict, "chain_of_thought": dspy.ChainOfThought}
_HISTORY_TURNS = 20
_HISTORY_BYTES = 32 * 1024
_LIVE_PROGRAMS = 256
_LIVE_MODELS = 64
# Names that DSPy's modules keep for themselves when they are called.
_CALL_NAMES = frozenset({"config", "demos", "lm", "new_signature", "signature"})


class Dspy(Adapter):
    """The language model is the session's or the pool's; everything else belongs to sessions."""

    def __init__(self) -> None:
        # DSPy's caches are shared by all sessions and outlive them.
        dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
        self._language_model: LanguageModel | None = None  # for commands that no engine has called
        self._lm = functools.lru_cache(_LIVE_MODELS)(_build_lm)
        self._module = functools.lru_cache(_LIVE_PROGRAMS)(_build_module)

    def set_lm(self, language_model: LanguageModel) -> None:
        self._lm(language_model)
        self._language_model = language_model

    def describe_error(self, error: Exception) -> CommandError | None:
        # What may pass by itself: its limits, its outages, and that it does not answer in time.
        if not dspy.is_retryable_lm_error(error):
            return None
        language_model = self._language_model
        return CommandError(
            summary(error),
            code="exception",
            retryable=True,
            provider=language_model.provider if language_model else None,
        )

    def predict(
        self,
        session: Session,
        /,
        signature: str | dict[str, Any] | None = None,
        _history: bool = True,
        **inputs: Any,
    ) -> dict[str, Any]:
        """Asks the language model; returns the signature's outputs, by default `answer`.

        In a session the turn is remembered, and the earlier ones go along unless `_history` is
        False; it begins as no input may, so that an input can be called `history`.
        """
        if not inputs:
            raise CommandError(
                "there is nothing to ask: pass inputs by name, such as question",
                code="invalid_inputs",
            )
        spec = signatures.of_inputs(inputs) if signature is None else signatures.parse(signature)
        signatures.check_inputs(spec, inputs)
        turns = session.get("history", [])
        earlier = [{**turn["inputs"], **turn["outputs"]} for turn in turns] if _history else []
        outputs = self._run(session, "predict", spec, inputs, earlier)
        if session.id:
            session["history"] = _bounded([*turns, {"inputs": inputs, "outputs": outputs}])
        return outputs

    def create_program(
        self,
        session: Session,
        /,
        id: str,  # noqa: A002
        signature: str | dict[str, Any],
        program_type: str = "predict",
    ) -> dict[str, Any]:
        """Keeps a program in the session, under its id; a program of the same id is replaced."""
        if not session.id:
            raise CommandError(
                "a program needs a session to live in: call create_program in a session",
                code="session_required",
            )
        if program_type not in _MODULES:
            raise CommandError(
                f"there is no program_type {program_type!r}: {nearest(program_type, _MODULES)}",
                code="invalid_program_type",
            )
        spec = signatures.parse(signature)
        self._live_module(program_type, spec, with_history=False)
        session.setdefault("programs", {})[id] = {
            "program_type": program_type,
            "signature": spec.record(),
        }
        return {
            "program_id": id,
            "status": "created",
            "signature": spec.record(),
            "program_type": program_type,
        }

    def execute_program(
        self, session: Session, /, program_id: str, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Runs a program of this session, on whichever worker this is."""
        program = _program(session, program_id)
        spec = signatures.parse(program["signature"])
        signatures.check_inputs(spec, inputs)
        begin = time.monotonic()
        outputs = self._run(session, program["program_type"], spec, inputs, [])
        return {
            "program_id": program_id,
            "outputs": outputs,
            "execution_time": time.monotonic() - begin,
        }

    def list_programs(self, session: Session, /) -> dict[str, Any]:
        """The session's programs."""
        programs = [{"id": key, **program} for key, program in session.get("programs", {}).items()]
        return {"programs": programs, "total_count": len(programs)}

    def get_program_info(self, session: Session, /, program_id: str) -> dict[str, Any]:
        return {"id": program_id, **_program(session, program_id)}

    def delete_program(self, session: Session, /, program_id: str) -> dict[str, Any]:
        _program(session, program_id)
        del session["programs"][program_id]
        return {"program_id": program_id, "status": "deleted"}

    def _run(
        self,
        session: Session,
        program_type: str,
        spec: Signature,
        inputs: dict[str, Any],
        earlier: list[dict[str, Any]],
    ) -> dict[str, Any]:
        language_model = session.language_model or self._language_model
        if language_model is None:
            raise CommandError(
                "no language model is set: call set_lm on the pool first",
                code="no_language_model",
            )
        lm = self._lm(language_model)
        left = session.time_left()
        if left is not None:
            lm = lm.copy(timeout=_timeout_s(left))
        if earlier:
            inputs = {**inputs, _history_field(spec): dspy.History(messages=earlier)}
        module = self._live_module(program_type, spec, with_history=bool(earlier))
        with dspy.context(lm=lm, disable_history=True, trace=None):
            prediction = module(**inputs)
        return dict(prediction.items())

    def _live_module(self, program_type: str, spec: Signature, with_history: bool) -> dspy.Module:
        taken = [
            field.name
            for field in (*spec.inputs, *spec.outputs)
            if hasattr(dspy.Signature, field.name) or field.name in _CALL_NAMES
        ]
        if taken:
            raise CommandError(
                f"the signature cannot be used: DSPy uses {', '.join(taken)} itself: "
                "choose other names",
                code="invalid_signature",
            )
        return self._module(program_type, json.dumps(spec.record()), with_history)


def _build_lm(language_model: LanguageModel) -> dspy.LM:
    # A server of one's own may want no key; DSPy wants one to be there.
    api_key = language_model.api_key or ("none" if language_model.api_base else None)
    return dspy.LM(
        language_model.model,
        api_base=language_model.api_base,
        api_key=api_key,
        temperature=language_model.temperature,
        cache=False,
        num_retries=0,  # retrying is the pool's: it knows the deadline and the budget
    )


def _program(session: Session, program_id: str) -> dict[str, Any]:
    programs: dict[str, dict[str, Any]] = session.get("programs", {})
    if program_id not in programs:
        raise CommandError(
            f"this session has no program {program_id!r}: {nearest(program_id, programs)}",
            code="program_not_found",
        )
    return programs[program_id]


def _build_module(program_type: str, record: str, with_history: bool) -> dspy.Module:
    spec = signatures.parse(json.loads(record))
    fields: dict[str, Any] = {}
    for field in spec.inputs:
        fields[field.name] = (signatures.TYPES[field.type], dspy.InputField(**_described(field)))
    for field in spec.outputs:
        fields[field.name] = (signatures.TYPES[field.type], dspy.OutputField(**_described(field)))
    built = dspy.Signature(fields, spec.description or None, signature_name=spec.name)
    if with_history:
        built = built.append(_history_field(spec), dspy.InputField(), dspy.History)
    return _MODULES[program_type](built)


def _history_field(spec: Signature) -> str:
    # DSPy knows it by its type and never shows its name; fields called history are the caller's.
    name = "history"
    while any(field.name == name for field in (*spec.inputs, *spec.outputs)):
        name += "_"
    return name


def _described(field: signatures.Field) -> dict[str, str]:
    return {"desc": field.description} if field.description else {}


def _bounded(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    turns = turns[-_HISTORY_TURNS:]
    while turns and len(encode(turns)) > _HISTORY_BYTES:
        turns = turns[1:]
    return turns


def _timeout_s(left: float) -> int:
    # Whole seconds, and whole minutes beyond one: DSPy keeps a connection pool for each timeout.
    step = 1 if left <= 60 else 60
    return max(1, math.ceil(left / step) * step)
