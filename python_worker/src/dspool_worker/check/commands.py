"""What is wrong with the commands and hooks of an adapter, as far as it shows without a call."""

import inspect
import typing
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from dspool_worker.adapter import Adapter, command_names
from dspool_worker.check.annotations import arguments, results
from dspool_worker.check.finding import ERROR, WARNING, Finding, place_of
from dspool_worker.session import Session

_Function = Callable[..., Any]
_HOOK_ARGUMENTS = {"start": 0, "stop": 0, "set_lm": 1, "describe_error": 1}
_MEANT = {
    "is_retryable": "describe_error",
    "failed_provider": "describe_error",
    "set_language_model": "set_lm",
    **dict.fromkeys(["setup", "set_up", "startup", "on_start"], "start"),
    **dict.fromkeys(["teardown", "tear_down", "shutdown", "close", "on_stop"], "stop"),
}


def command_findings(adapter: type[Adapter]) -> Iterator[Finding]:
    """Of all public methods."""
    names = command_names(adapter)
    for name in names:
        function = inspect.getattr_static(adapter, name)
        if name in _MEANT:
            yield Finding(
                WARNING,
                "looks_like_a_hook",
                place_of(function),
                "is a command, which any caller can call",
                f"the hook is called {_MEANT[name]}; or begin the name with an underscore",
            )
        yield from _command_findings(function)
    yield from _other_findings(adapter, set(names))
    yield from _hook_findings(adapter)


def _command_findings(function: _Function) -> Iterator[Finding]:
    place = place_of(function)
    yield from _kind_findings(function, place)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    hints = _hints_of(function)
    first = parameters[0] if parameters else None
    if first is None or not _may_be_session(first, hints):
        given = "takes no session" if first is None else f"is given its session as `{first.name}`"
        yield Finding(
            ERROR,
            "missing_session",
            place,
            given,
            f"write it as def {function.__name__}(self, session: Session, /, ...)",
        )
        return
    if first.kind is inspect.Parameter.VAR_POSITIONAL:
        return
    rest = parameters[1:]
    if first.kind is not inspect.Parameter.POSITIONAL_ONLY and any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in rest
    ):
        yield Finding(
            WARNING,
            "session_by_name",
            place,
            f"no caller's argument can be called `{first.name}`",
            f"write a / behind it: def {function.__name__}(self, {first.name}, /, ...)",
        )
    for parameter in rest:
        yield from _parameter_findings(parameter, place)
    yield from _annotation_findings(function, rest, hints, place)


def _kind_findings(function: _Function, place: str) -> Iterator[Finding]:
    if inspect.iscoroutinefunction(function):
        yield Finding(
            ERROR,
            "async_command",
            place,
            "is async, and a command is a plain method",
            "write `def`, and run what is async by asyncio.run(...)",
        )
    elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield Finding(
            ERROR,
            "generator_command",
            place,
            "yields, and a generator cannot be returned",
            "send what comes ahead of the answer by session.emit(chunk), and return the rest",
        )


def _parameter_findings(parameter: inspect.Parameter, place: str) -> Iterator[Finding]:
    name = parameter.name
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        needed = parameter.default is inspect.Parameter.empty
        yield Finding(
            ERROR if needed else WARNING,
            "positional_only",
            place,
            f"cannot be given `{name}`, since arguments are passed by name",
            "put the / directly behind the session",
        )
    elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        yield Finding(
            WARNING,
            "positional_only",
            place,
            f"takes `*{name}`, which is always empty, since arguments are passed by name",
            "remove it, or take a list by name",
        )
    if isinstance(parameter.default, list | dict | set | bytearray):
        yield Finding(
            WARNING,
            "mutable_default",
            place,
            f"`{name}` has a default that all its calls share, of all sessions",
            f"write {name}=None, and make a new one in the command",
        )


def _annotation_findings(
    function: _Function, parameters: list[inspect.Parameter], hints: dict[str, Any], place: str
) -> Iterator[Finding]:
    views = hasattr(function, "takes_views")
    given = arguments(with_views=views)
    for parameter in parameters:
        problem = given.problem(hints.get(parameter.name, Any))
        if problem is not None:
            arrives = "None, bool, int, float, str, bytes, list and dict"
            arrives = arrives.replace("bytes", "memoryview") if views else arrives
            yield Finding(
                ERROR,
                "argument_type",
                place,
                f"`{parameter.name}` {problem}",
                f"annotate what arrives ({arrives}), and make of it in the command what you need",
            )
    problem = results().problem(hints.get("return", Any))
    if problem is not None:
        told, _, fix = problem.partition(": ")
        yield Finding(ERROR, "result_type", place, f"what it returns {told}", fix)


def _other_findings(adapter: type[Adapter], commands: set[str]) -> Iterator[Finding]:
    """Of what looks like a command and is none."""
    for name in sorted(dir(adapter)):
        if name.startswith("_") or name in commands or hasattr(Adapter, name):
            continue
        found = inspect.getattr_static(adapter, name)
        method = getattr(adapter, name)
        if inspect.isclass(method) or not callable(method):
            continue
        try:
            takes_session = "session" in inspect.signature(method).parameters
        except (TypeError, ValueError):
            continue
        if takes_session:
            yield Finding(
                WARNING,
                "no_command",
                f"{adapter.__qualname__}.{name}",
                f"is no command, since it is {_described(found)}",
                "make it a plain method; a decorator has to return a function (functools.wraps)",
            )


def _hook_findings(adapter: type[Adapter]) -> Iterator[Finding]:
    for name, count in _HOOK_ARGUMENTS.items():
        hook = inspect.getattr_static(adapter, name)
        if hook is inspect.getattr_static(Adapter, name) or not inspect.isfunction(hook):
            continue
        expected = ", ".join(["self", "language_model", "error"][: 1 + count])
        if name == "describe_error":
            expected = "self, error"
        try:
            inspect.signature(hook).bind(*range(1 + count))
            fits = not inspect.iscoroutinefunction(hook)
        except TypeError:
            fits = False
        if not fits:
            yield Finding(
                ERROR,
                "bad_hook",
                place_of(hook),
                f"{name}{inspect.signature(hook)} cannot be called as the hook that it is",
                f"write it as def {name}({expected})",
            )


def _may_be_session(parameter: inspect.Parameter, hints: dict[str, Any]) -> bool:
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return False
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return False
    annotation = hints.get(parameter.name)
    if annotation is None:
        return "session" in parameter.name or parameter.name.startswith("_")
    annotation = typing.get_origin(annotation) or annotation
    if inspect.isclass(annotation):
        try:
            return issubclass(Session, annotation) or issubclass(annotation, MutableMapping)
        except TypeError:
            return True
    return True


def _hints_of(function: _Function) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # names that are there for type checkers only
        return {}


def _described(found: object) -> str:
    return f"a {type(found).__name__}"
