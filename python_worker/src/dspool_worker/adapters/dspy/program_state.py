"""What an optimiser has learned of a program: DSPy's JSON state, read and written with care.

It is what `program.save("program.json")` writes: for each predictor its demos, its instructions,
and its fields' prefixes and descriptions, which it matches by position. A state names classes to
import and servers to ask, and sets attributes by name; of these, nothing is taken over.
"""

import json
from collections.abc import Mapping
from typing import Any

import dspy

from dspool_worker.adapters.dspy.modules import Live
from dspool_worker.adapters.dspy.refusals import clip, invalid_state
from dspool_worker.adapters.dspy.values import encodable, is_attachment, size_of, unusable
from dspool_worker.errors import nearest

_LENGTH = 4 * 1024 * 1024
_DEMOS = 256
_IGNORED = frozenset({"metadata", "lm", "train", "traces"})
_KNOWN = _IGNORED | {"demos", "signature", "fields"}


def parse_state(state: object) -> dict[str, Any]:
    """A state as a mapping, from that or its JSON text."""
    if isinstance(state, str):
        if len(state) > _LENGTH:
            raise invalid_state(f"it has more than {_LENGTH} characters")
        try:
            state = json.loads(state)
        except (ValueError, RecursionError) as error:
            raise invalid_state(f"it is no JSON: {clip(str(error))}") from None
    if not isinstance(state, Mapping):
        raise invalid_state("it is not what DSPy saves as JSON")
    if (why := unusable(state)) is not None:
        raise invalid_state(f"it {why}")
    if size_of(state) > _LENGTH:
        raise invalid_state(f"it has more than {_LENGTH} bytes")
    return dict(state)


def load_state(live: Live, state: Mapping[str, Any]) -> None:
    """Loads it into a module that nobody else uses yet. CommandError `invalid_state`: it is none
    of this program's."""
    predictors = _predictors(live.module)
    parts = {"self": state} if _is_flat(live.module) else state
    unknown = [name for name in parts if name not in predictors and name != "metadata"]
    if unknown:
        raise invalid_state(
            f"the program has no predictor {clip(unknown[0])}: "
            f"{nearest(str(unknown[0])[:64], predictors)}"
        )
    loaded = {}
    for name, predictor in predictors.items():
        if not isinstance(parts.get(name), Mapping):
            raise invalid_state(f"it has nothing of the predictor {name}")
        loaded[name] = _clean(name, parts[name], predictor, live)
    for name, predictor in predictors.items():
        pinned = predictor.lm  # by the deployment; DSPy would set the state's
        predictor.load_state(loaded[name])
        predictor.lm = pinned


def dump_state(live: Live) -> dict[str, Any]:
    """The state of a module, with its caller's names, as `load_state` and DSPy read it.

    Of demos the last are kept, as many as can be loaded again.
    """
    kept = _DEMOS
    while size_of(state := _dump(live, kept)) > _LENGTH and kept > 0:
        kept //= 2
    return state


def count_demos(state: Mapping[str, Any]) -> int:
    parts = [state, *(part for part in state.values() if isinstance(part, Mapping))]
    return sum(len(part["demos"]) for part in parts if isinstance(part.get("demos"), list))


def _dump(live: Live, demos: int) -> dict[str, Any]:
    state = {}
    for name, predictor in _predictors(live.module).items():
        part = predictor.dump_state()
        part = {**part, "traces": [], "train": [], "lm": None}
        last = part["demos"][-demos:] if demos else []
        part["demos"] = [_renamed(dict(demo), live.shown) for demo in last]
        state[name] = part
    state = state["self"] if _is_flat(live.module) else state
    plain: dict[str, Any] = json.loads(json.dumps(state, default=str))
    return plain


def _is_flat(module: Any) -> bool:
    return isinstance(module, dspy.Predict)


def _predictors(module: Any) -> dict[str, Any]:
    return dict(module.named_predictors())


def _clean(name: str, part: Mapping[str, Any], predictor: Any, live: Live) -> dict[str, Any]:
    unknown = [key for key in part if key not in _KNOWN]
    if unknown:
        raise invalid_state(f"{name} has {clip(unknown[0])}, which is nothing that DSPy saves")
    if part.get("fields"):
        raise invalid_state(f"{name} has criteria of decisions, which are not supported")
    demos = part.get("demos", [])
    if not isinstance(demos, list) or len(demos) > _DEMOS:
        raise invalid_state(f"the demos of {name} are a list of at most {_DEMOS}")
    if not all(isinstance(demo, Mapping) for demo in demos):
        raise invalid_state(f"a demo of {name} is not a mapping of fields")
    return {
        "demos": [_renamed(dict(demo), live.internal) for demo in demos],
        "traces": [],
        "train": [],
        "lm": None,
        "signature": _clean_signature(name, part.get("signature"), predictor),
    }


def _clean_signature(name: str, saved: object, predictor: Any) -> dict[str, Any]:
    if not isinstance(saved, Mapping) or not isinstance(saved.get("instructions"), str):
        raise invalid_state(f"{name} has no signature with instructions")
    fields = saved.get("fields")
    if not isinstance(fields, list) or not all(map(_is_field, fields)):
        raise invalid_state(f"the fields of {name} are not of the form {{prefix, description}}")
    if len(fields) != len(predictor.signature.fields):
        raise invalid_state(
            f"{name} has {len(fields)} fields, and the program's has "
            f"{len(predictor.signature.fields)}: it was saved of another signature"
        )
    texts = [saved["instructions"], *(field["description"] for field in fields)]
    if any(map(is_attachment, texts)):
        raise invalid_state(f"a text of {name} has DSPy's mark of an attachment")
    kept = [{"prefix": field["prefix"], "description": field["description"]} for field in fields]
    return {"instructions": saved["instructions"], "fields": kept}


def _is_field(field: object) -> bool:
    return isinstance(field, Mapping) and all(
        isinstance(field.get(key), str) and encodable(field[key])
        for key in ("prefix", "description")
    )


def _renamed(demo: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in demo.items()}
