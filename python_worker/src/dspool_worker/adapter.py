"""What an adapter is, and how one is found."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dspool_worker.errors import CommandError, nearest
from dspool_worker.language_model import LanguageModel
from dspool_worker.session import Session


class Adapter:
    """The base of every adapter: its public methods are the commands of a pool.

    A command takes the session by position and the caller's arguments by name, and returns what
    the caller gets: None, bool, int, float, str, bytes, lists, tuples, and dicts with str keys.
    `with_views` spares it copies of long bytes.

        class Counter(Adapter):
            def increment(self, session: Session, /, by: int = 1) -> int:
                session["value"] = session.get("value", 0) + by
                return session["value"]

    One whose `__init__` takes a parameter gets the pool's settings for it, `worker.settings` of the
    configuration, as a dict (`def __init__(self, settings: dict[str, Any]) -> None`): what a caller
    must not choose, such as the modules that the adapter imports.

    One object serves all sessions of its worker, and with `max_in_flight` above 1 several at once:
    what belongs to a session goes into the session.
    """

    def start(self) -> None:
        """Called once in each worker, before the first command. Raising here refuses the start.

        Threads, caches and connections begin here: where workers are forked, `__init__` runs in
        the process that forks them.
        """

    def stop(self) -> None:
        """Called once, when the engine has told the worker to drain."""

    def set_lm(self, language_model: LanguageModel) -> None:
        """Called once in this worker for each language model, before the first command that needs
        it. Raising here refuses it: the commands that need it end with that, and no others.

        Sessions may have language models of their own, so that several are in use at once: which
        one a command is to use says `session.language_model`.
        """

    def describe_error(self, error: Exception) -> CommandError | None:  # noqa: ARG002
        """What an exception means that a command raised, where that was no CommandError.

        What is returned is told to the caller with the type and the traceback of the exception: a
        code, whether and when to try again, the language-model provider that failed. Mistakes of
        callers, and keys that are refused, are no failures of a provider. None: it is told as it
        is, and is not run again.
        """
        return None


Command = TypeVar("Command", bound=Callable[..., Any])


def with_views(command: Command) -> Command:
    """Marks a command that takes the `bytes` among its arguments as read-only memoryviews.

    Of long values nothing is copied then. A view ends with its command: using it afterwards is a
    ValueError. What else still looks at its bytes by then, such as a NumPy array, keeps a copy.

        @with_views
        def checksum(self, session: Session, /, data: memoryview) -> int:
            return zlib.crc32(data)
    """
    command.takes_views = True  # type: ignore[attr-defined]
    return command


class AdapterError(Exception):
    """The adapter cannot be used; the message says why, and what to do."""


def load_adapter(name: str, settings: Mapping[str, Any] | None = None) -> Adapter:
    """Imports the adapter `package.module:Class`, and constructs it with its settings if it takes
    some.

    Raises AdapterError where there are settings that it does not take. Exceptions of the adapter's
    own code are not caught.
    """
    module_name, separator, class_name = name.partition(":")
    if not separator or not class_name.isidentifier():
        raise AdapterError(f"{name!r} does not name an adapter: write it as package.module:Class")
    module = importlib.import_module(module_name)
    found = getattr(module, class_name, None)
    if found is None:
        classes = [key for key, value in vars(module).items() if _is_adapter(value)]
        raise AdapterError(
            f"module {module_name} has no class {class_name}: {nearest(class_name, classes)}"
        )
    if not _is_adapter(found):
        raise AdapterError(f"{name} is no adapter: derive it from dspool_worker.Adapter")
    return _construct(name, found, dict(settings or {}))


def commands_of(adapter: Adapter) -> dict[str, Callable[..., Any]]:
    """The adapter's commands by name, sorted."""
    commands = {
        key: getattr(adapter, key)
        for key in sorted(dir(type(adapter)))
        if not key.startswith("_")
        and not hasattr(Adapter, key)
        and inspect.isfunction(inspect.getattr_static(type(adapter), key))
    }
    if not commands:
        raise AdapterError(f"{type(adapter).__qualname__} has no public method to be a command")
    for key, command in commands.items():
        _check_command(f"{type(adapter).__qualname__}.{key}", command)
    return commands


def _construct(name: str, found: type[Adapter], settings: dict[str, Any]) -> Adapter:
    kinds = {parameter.kind for parameter in inspect.signature(found).parameters.values()}
    if kinds & {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        return found(settings)  # type: ignore[call-arg]
    if not settings:
        return found()
    if inspect.Parameter.VAR_POSITIONAL in kinds:  # it hands on what it is given
        return found(settings)  # type: ignore[call-arg]
    raise AdapterError(
        f"{name} takes no settings, and there are {', '.join(sorted(settings))}: remove "
        "worker.settings, or write def __init__(self, settings)"
    )


def _is_adapter(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Adapter) and value is not Adapter


def _check_command(name: str, command: Callable[..., Any]) -> None:
    if inspect.iscoroutinefunction(command):
        raise AdapterError(f"{name} is async: a command is a plain method")
    try:
        inspect.signature(command).bind_partial(Session())
    except TypeError:
        raise AdapterError(
            f"{name}{inspect.signature(command)} takes no session: write it as "
            "def command(self, session, /, ...)"
        ) from None
