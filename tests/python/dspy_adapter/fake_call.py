"""A call without an engine."""

import threading
import time
from collections.abc import Callable
from typing import Any

from dspool_worker import LanguageModel, Session


class FakeCall:
    """What a session's command runs for, and what it did with it."""

    request_id = 1
    attempt = 1

    def __init__(self, language_model: LanguageModel | None, *, streams: bool = False) -> None:
        self.language_model = language_model
        self.streams = streams
        self.cancelled = False
        self.chunks: list[Any] = []
        self.usage = (0, 0)
        self.on_chunk: Callable[[Any], object] = lambda _: None
        self.thread = threading.get_ident()

    def emit(self, chunk: Any) -> None:
        assert threading.get_ident() == self.thread, "a session is its command's thread's own"
        self.chunks.append(chunk)
        self.on_chunk(chunk)

    def add_usage(self, input_tokens: int, output_tokens: int) -> None:
        self.usage = (self.usage[0] + input_tokens, self.usage[1] + output_tokens)


def session_of(
    call: FakeCall, session_id: str = "s", fields: dict[str, Any] | None = None
) -> Session:
    session = Session(session_id, fields or {})
    session.call = call
    return session


class _Hurried(Session):
    __slots__ = ()

    @property
    def deadline(self) -> float:
        return time.monotonic() + 0.2


def hurried(call: FakeCall) -> Session:
    """A session whose call has little time left."""
    session = _Hurried("s")
    session.call = call
    return session
