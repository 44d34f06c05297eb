"""What a command runs for, beside its session: the call, as the engine knows it."""

from typing import Any, Protocol

from dspool_worker.language_model import LanguageModel


class CancelledError(BaseException):
    """The call has ended, by its caller, its deadline or its engine: nobody waits for an answer.

    Raised by `Session.emit` and `Session.check`. A command lets it pass: its session stays as it
    was before. As in asyncio it is no `Exception`, so that nothing takes it for an error to handle.
    """


class Call(Protocol):
    """One call that a command runs for. The worker has one, and so has `dspool_worker.testing`."""

    @property
    def request_id(self) -> int:
        """Names the call in the engine's log and history."""

    @property
    def attempt(self) -> int:
        """Counts from 1 within the call."""

    @property
    def language_model(self) -> LanguageModel | None:
        """The session's, or else the pool's; None: none is set."""

    @property
    def streams(self) -> bool:
        """Whether the caller listens to chunks."""

    @property
    def cancelled(self) -> bool:
        """Whether the call has ended already."""

    def emit(self, chunk: Any) -> None:
        """Sends a chunk to the caller that listens, and waits while it is behind. CancelledError:
        the call has ended meanwhile."""

    def add_usage(self, input_tokens: int, output_tokens: int) -> None:
        """Counts what a language model charged for."""
