"""What an adapter is, and how one is found."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from dspool_worker.errors import nearest
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
        """Called before the first command that needs this language model."""

    def is_retryable(self, error: Exception) -> bool:  # noqa: ARG002
        """Whether a command that raised this may succeed when it is run again."""
        return False

    def failed_provider(self, error: Exception) -> str | None:  # noqa: ARG002
        """The language-model provider that failed, where that is why a command raised this.

        The engine has a circuit breaker for each provider. Mistakes of callers, and keys that are
        refused, are no failures of a provider.
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


def load_adapter(name: str) -> Adapter:
    """Imports and constructs the adapter `package.module:Class`.

    Exceptions of the adapter's own code are not caught.
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
    adapter: Adapter = found()
    return adapter


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
