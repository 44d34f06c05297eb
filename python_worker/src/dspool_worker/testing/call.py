"""A call without an engine."""

import threading
import time
from collections.abc import Callable
from typing import Any

from dspool_worker._native import decode, encode
from dspool_worker.call import CancelledError
from dspool_worker.language_model import LanguageModel


class TrialCall:
    """A `dspool_worker.call.Call` that keeps what its command sends. Any thread may cancel it."""

    attempt = 1

    def __init__(
        self,
        request_id: int,
        language_model: LanguageModel | None,
        on_chunk: Callable[[Any], None] | None,
        deadline_ns: int,
    ) -> None:
        self.request_id = request_id
        self.language_model = language_model
        self.deadline_ns = deadline_ns
        self.chunks: list[Any] = []
        self.input_tokens = 0
        self.output_tokens = 0
        self.listener_error: BaseException | None = None
        self._on_chunk = on_chunk
        self._given_up = threading.Event()
        self._has_ended = False
        self._counting = threading.Lock()

    @property
    def streams(self) -> bool:
        return self._on_chunk is not None

    @property
    def given_up(self) -> bool:
        """Whether somebody has cancelled it."""
        return self._given_up.is_set()

    @property
    def expired(self) -> bool:
        return self.deadline_ns != 0 and time.monotonic_ns() >= self.deadline_ns

    @property
    def cancelled(self) -> bool:
        return self.given_up or self.expired or self._has_ended

    def cancel(self) -> None:
        self._given_up.set()

    def end(self) -> None:
        """Its command has ended: whoever has kept it counts as cancelled, and changes nothing."""
        with self._counting:
            self._has_ended = True

    def emit(self, chunk: Any) -> None:
        if self._on_chunk is None:
            return
        value = decode(encode(chunk, "chunk"))
        if self.cancelled:
            raise CancelledError("the call has ended, and nobody listens any more")
        self.chunks.append(value)
        try:
            self._on_chunk(value)
        except BaseException as error:
            self.listener_error = error
            self.cancel()
            raise CancelledError("its listener raised an exception") from error

    def add_usage(self, input_tokens: int, output_tokens: int) -> None:
        with self._counting:
            if self._has_ended:
                return
            self.input_tokens += input_tokens
            self.output_tokens += output_tokens
