"""A session, as a command sees it."""

import time
from collections.abc import MutableMapping
from typing import Any

from dspool_worker._native import SessionState
from dspool_worker.call import CancelledError
from dspool_worker.language_model import LanguageModel

_NS_PER_S = 1_000_000_000


class Session(SessionState, MutableMapping[str, Any]):
    """The session's fields: a mapping from str to what a command may return, that notices changes.

    Assigning, deleting and changing a value in place (`session["turns"].append(turn)`) all count.
    When the command returns, what it changed is committed by the engine together with its answer;
    when it raises, nothing is. In an anonymous call (`session.id == ""`) the mapping begins empty
    and nothing is kept.

    What is read is read from where the engine keeps it, when it is first used: fields that a
    command does not touch cost next to nothing. Of a list or a text that has only grown, only what
    was added is sent. Written as one expression, `session["turns"].append(turn)`, `.extend(...)`,
    `+= [...]`, adding to a list costs the same however long it is; once the list is kept in a
    variable or passed on, or an item that can be changed in place was looked at, it is compared
    with what it was before, item by item, when the command ends.

    Values are the session's own: a list read from it is not the list that was put there (it is a
    subclass of `list`, whose copies are plain lists), dicts come back sorted by key, and tuples as
    lists. Keys are iterated in sorted order. Objects read in one command mean nothing to the next,
    and the session itself cannot be used once its command has ended.

    For tests, `Session("name", {"key": value})` makes one.
    """

    __slots__ = ()

    @property
    def deadline(self) -> float | None:
        """When the call ends, on the clock of `time.monotonic`; None: it need not end."""
        return self.deadline_ns / _NS_PER_S if self.deadline_ns else None

    def time_left(self) -> float | None:
        """Seconds until the deadline, never below 0; None: as long as it takes."""
        deadline = self.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    @property
    def request_id(self) -> int:
        """Names the call in the engine's log and history; 0 where no engine has called."""
        return 0 if self.call is None else self.call.request_id

    @property
    def attempt(self) -> int:
        """Which attempt of the call this is, counted from 1."""
        return 1 if self.call is None else self.call.attempt

    @property
    def language_model(self) -> LanguageModel | None:
        """What this call is to use: the session's own, or else the pool's; None: none is set."""
        return None if self.call is None else self.call.language_model

    @property
    def cancelled(self) -> bool:
        """Whether the call has ended already: its caller went away, or its deadline has passed."""
        return self.call is not None and self.call.cancelled

    def check(self) -> None:
        """Raises CancelledError once the call has ended: for the loops of long commands."""
        if self.cancelled:
            raise CancelledError("the call has ended, and nobody waits for its answer")

    @property
    def streams(self) -> bool:
        """Whether the caller listens to chunks (`on_chunk`)."""
        return self.call is not None and self.call.streams

    def emit(self, chunk: Any) -> None:
        """Sends a chunk, a value as commands return them, ahead of the answer.

        Chunks come to the caller in order. Waits while the caller is behind; raises CancelledError
        once the call has ended. Where nobody listens, nothing happens.
        """
        if self.call is not None and self.call.streams:
            self.call.emit(chunk)

    def add_usage(self, *, input_tokens: int, output_tokens: int) -> None:
        """Counts tokens that a language model charged for; the answer and the engine's statistics
        have the sums."""
        if self.call is not None:
            self.call.add_usage(input_tokens, output_tokens)

    def __repr__(self) -> str:
        return f"Session({self.id!r})"
