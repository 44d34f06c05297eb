"""Tools and programs of the deployment's own: imported from its configuration, never for a caller.

All of them are imported and looked at when the adapter is constructed, so that a wrong one refuses
the start, and a fork server shares them.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import dspy

from dspool_worker.adapter import AdapterError
from dspool_worker.errors import nearest, summary

BUILT_IN_KINDS = ("predict", "chain_of_thought", "react")


def import_tools(targets: Mapping[str, str]) -> dict[str, Any]:
    """The deployment's functions, as tools of DSPy with the names that it gave them."""
    return {name: _make_tool(name, _import(target)) for name, target in targets.items()}


def import_programs(targets: Mapping[str, str]) -> dict[str, Any]:
    """One dspy.Module of each of the deployment's classes, never run itself: calls get copies."""
    return {name: _make_program(name, target) for name, target in targets.items()}


def _make_tool(name: str, function: Any) -> Any:
    if not name.isidentifier() or name == "finish":
        raise AdapterError(f"a tool cannot be called {name!r}: use a name, other than finish")
    if isinstance(function, dspy.Tool):
        function = function.func
    if not callable(function) or inspect.isclass(function):
        raise AdapterError(f"the tool {name} is {type(function).__name__}, not a function")
    if inspect.iscoroutinefunction(function):
        raise AdapterError(f"the tool {name} is async: a tool is a plain function")
    return dspy.Tool(function, name=name)


def _make_program(name: str, target: str) -> Any:
    if name in BUILT_IN_KINDS:
        raise AdapterError(f"a program cannot be called {name}: that is a program_type of DSPy's")
    program = _import(target)
    if not inspect.isclass(program) or not issubclass(program, dspy.Module):
        raise AdapterError(f"the program {name}, {target}, is no class derived from dspy.Module")
    try:
        return program()
    except Exception as error:
        raise AdapterError(
            f"the program {name} could not be made: {summary(error)}: {target} is called without "
            "arguments, and before there is a language model"
        ) from error


def _import(target: str) -> Any:
    module_name, separator, attribute = target.partition(":")
    if not separator or not attribute.isidentifier():
        raise AdapterError(f"{target!r} names nothing to import: write it as package.module:name")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise AdapterError(f"{target} could not be imported: {summary(error)}") from error
    if not hasattr(module, attribute):
        known = [key for key in vars(module) if not key.startswith("_")]
        raise AdapterError(f"{module_name} has no {attribute}: {nearest(attribute, known)}")
    return getattr(module, attribute)
