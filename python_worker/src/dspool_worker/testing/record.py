"""What a pool keeps of a session, in place of an engine."""

import threading
from typing import Any

from dspool_worker._native import decode, encode
from dspool_worker.language_model import LanguageModel
from dspool_worker.testing.call import TrialCall


class SessionRecord:
    """A session's fields, encoded, and the order of its commands."""

    def __init__(self) -> None:
        self.order = threading.Lock()
        """Held by whoever runs a command of the session, or changes it."""
        self.running: TrialCall | None = None
        self.runs_on: int | None = None
        """The thread that runs a command of it."""
        self.turns = 0
        """Counts its commands, for whose turn it is to run the next."""
        self.version = 0
        self.language_model: LanguageModel | None = None
        self._fields: dict[str, bytes] = {}

    @property
    def fields(self) -> dict[str, Any]:
        """A copy, as whoever reads the session would get it."""
        return {key: decode(value) for key, value in sorted(self._fields.items())}

    def replace(self, fields: dict[str, Any]) -> None:
        self._fields = {key: encode(value, f"fields[{key!r}]") for key, value in fields.items()}
        self.version += 1

    def commit(self, puts: dict[str, Any], deletes: list[str], appends: dict[str, Any]) -> None:
        if not (puts or deletes or appends):
            return
        for key in deletes:
            del self._fields[key]
        for key, value in puts.items():
            self._fields[key] = encode(value)
        for key, value in appends.items():
            self._fields[key] = encode(decode(self._fields[key]) + value)
        self.version += 1
