"""A session, as a command sees it."""

import time
from collections.abc import MutableMapping
from typing import Any

from dspool_worker._native import SessionState

_NS_PER_S = 1_000_000_000


class Session(SessionState, MutableMapping[str, Any]):
    """The session's fields: a mapping from str to what a command may return, that notices changes.

    Assigning, deleting and changing a value in place (`session["turns"].append(turn)`) all count.
    When the command returns, what it changed is committed by the engine together with its answer;
    when it raises, nothing is. In an anonymous call (`session.id == ""`) the mapping begins empty
    and nothing is kept.

    Values are the session's own: a list read from it is not the list that was put there, dicts come
    back sorted by key, and tuples as lists. Objects read in one command mean nothing to the next,
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

    def __repr__(self) -> str:
        return f"Session({self.id!r})"
