"""A copy of a module for one call, so that nothing of it stays behind for the next."""

import copy
from typing import Any

import dspy

# What is longer than this is taken for data, and shared without a look at its items.
_CONTAINER_LENGTH = 1000


def copy_for_call(module: Any) -> Any:
    """Copies a module, its submodules and predictors with their demos; shares all else.

    So what a program assigns to itself ends with its call, and an index that its class has loaded
    is there once for all calls.
    """
    return _copy(module, {})


def _copy(value: Any, copies: dict[int, Any]) -> Any:
    if isinstance(value, dspy.Module):
        if id(value) not in copies:
            copied = copies[id(value)] = copy.copy(value)
            for key, item in vars(value).items():
                if key not in ("history", "callbacks"):
                    setattr(copied, key, _copy(item, copies))
            if isinstance(copied, dspy.Predict):
                copied.demos = list(copied.demos)
                copied.config = dict(copied.config)
        return copies[id(value)]
    if type(value) in (list, tuple) and _holds_module(value):
        return type(value)(_copy(item, copies) for item in value)
    if type(value) is dict and _holds_module(value):
        return {key: _copy(item, copies) for key, item in value.items()}
    return value


def _holds_module(value: Any) -> bool:
    if isinstance(value, (list, tuple, dict)):
        items = value.values() if isinstance(value, dict) else value
        return len(value) <= _CONTAINER_LENGTH and any(map(_holds_module, items))
    return isinstance(value, dspy.Module)
