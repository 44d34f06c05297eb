"""The native side of a dspool worker: its channel, its loop, its values."""

from collections.abc import Callable, Iterator
from typing import Any

from dspool_worker.call import Call
from dspool_worker.errors import ErrorReport
from dspool_worker.host import AdapterHost
from dspool_worker.language_model import LanguageModel

class EncodeError(TypeError):
    """Something is no value."""

def encode(value: Any, root: str = "value", /) -> bytes:
    """The FlexBuffer of a value. EncodeError names what cannot be encoded, as part of `root`."""

def decode(encoded: bytes, /) -> Any:
    """The value of a FlexBuffer that the engine has verified."""

def run(
    command: Callable[..., Any], session: SessionState, args: bytes, deadline_ns: int, /
) -> bytes:
    """Runs a command on a session that a test made, as a worker does: from encoded arguments to
    the encoded result. EncodeError without a traceback: the result is no value."""

def commit(session: SessionState, /) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    """What was changed in a session that a test made, as a worker would tell the engine: puts,
    deletes, appends. Ends the command; the next one finds the session warm. EncodeError: a field
    is no value."""

def roll_back(session: SessionState, /) -> None:
    """Ends a command on a session that a test made as if it had raised."""

def running_session() -> SessionState | None:
    """The session whose command this thread runs, or None."""

def fork_socket() -> int:
    """The number of a fork server's socket to its engine."""

def channel_descriptors() -> list[int]:
    """The numbers that the descriptors of a worker's channel have."""

def read_fork_order(order: bytes, /) -> tuple[int, list[int]]:
    """The worker's epoch, and what the descriptors become that came along."""

def fork_ready() -> bytes:
    """Says that workers can be ordered."""

def fork_done(epoch: int, /) -> bytes:
    """Says that a worker was forked; goes with its pidfd."""

def fork_failed(epoch: int, report: ErrorReport, /) -> bytes:
    """Says why there is no worker; of epoch 0, why there will never be one."""

def fork_ended(epoch: int, signalled: bool, code: int, /) -> bytes:
    """Says how a worker ended; `code` is below 0 where nobody can tell."""

def rename_process(arguments: list[str], /) -> None:
    """Makes these the arguments that others see of this process, as far as there is room."""

def keep_private() -> None:
    """Closes core dumps, /proc and ptrace of this process, and of all that it forks, to others of
    the same user. RuntimeError: the system refuses."""

def protocol_version() -> int:
    """The protocol that this package speaks with an engine."""

class SessionState:
    """A session's fields: a mapping that notices changes."""

    def __new__(cls, id: str = ..., fields: dict[str, Any] = ...) -> SessionState: ...  # noqa: A002
    @property
    def id(self) -> str: ...
    @property
    def deadline_ns(self) -> int: ...
    @property
    def call(self) -> Call | None:
        """What the command runs for; None where no engine has called it."""
    @call.setter
    def call(self, call: Call | None) -> None: ...
    def get(self, key: str, default: Any = ..., /) -> Any: ...
    def clear(self) -> None: ...
    def __getitem__(self, key: str, /) -> Any: ...
    def __setitem__(self, key: str, value: Any, /) -> None: ...
    def __delitem__(self, key: str, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

class EngineCall:
    """One call from the engine, as its command sees it (dspool_worker.call.Call)."""

    @property
    def request_id(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def language_model(self) -> LanguageModel | None: ...
    @property
    def streams(self) -> bool: ...
    @property
    def cancelled(self) -> bool: ...
    def emit(self, chunk: Any, /) -> None:
        """Sends a chunk to the caller that listens, and waits while it is behind."""
    def add_usage(self, input_tokens: int, output_tokens: int, /) -> None:
        """Counts what a language model charged for."""

class Hello:
    """What the engine said first."""

    @property
    def max_in_flight(self) -> int: ...
    @property
    def session_cache(self) -> int: ...
    @property
    def session_cache_bytes(self) -> int: ...
    @property
    def protocol(self) -> int: ...

class Channel:
    """The worker's end of its channel."""

    def __init__(self, spin_us: int | None = None) -> None:
        """Attaches to the descriptors that the engine left. RuntimeError: there are none."""

    def hello(self) -> Hello:
        """Waits for the engine's first record."""

    def ready(self, python: str, commands: list[str]) -> None:
        """Says that commands may come."""

    def fail(self, report: ErrorReport) -> None:
        """Says why none will."""

class RequestLoop:
    """Executes what the engine sends."""

    def __init__(
        self,
        channel: Channel,
        host: AdapterHost,
        session_type: type[SessionState],
        commands: dict[str, Callable[..., Any]],
        hello: Hello,
    ) -> None: ...
    def serve(self) -> bool:
        """Returns True when told to drain, False when the engine is gone. To be called on each of
        max_in_flight threads."""
