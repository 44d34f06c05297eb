"""The adapter for measuring a pool: commands that do almost nothing, or a known amount."""

# ruff: noqa: ARG002 - a command takes its session, whether it needs it or not

import time
import zlib
from typing import Any

from dspool_worker import Adapter, Session, with_views


class LoadTest(Adapter):
    def echo(self, session: Session, /, **args: Any) -> dict[str, Any]:
        """Returns its arguments."""
        return args

    @with_views
    def increment(
        self,
        session: Session,
        /,
        by: int = 1,
        payload: memoryview | None = None,
        service_ms: float = 0,
    ) -> dict[str, Any]:
        """Adds to the session's value, and tells whose it is, so that mix-ups show.

        A payload goes back with the sum of what was seen of it here. Before, it waits for
        `service_ms`, as a command does that asks a language model.
        """
        if service_ms:
            time.sleep(service_ms / 1000)
        session["value"] = value = session.get("value", 0) + by
        if payload is None:
            return {"value": value, "session": session.id}
        return {
            "value": value,
            "session": session.id,
            "payload": payload,
            "crc32": zlib.crc32(payload),
        }

    def read(self, session: Session, /) -> dict[str, Any]:
        """What `increment` told last."""
        return {"value": session.get("value", 0), "session": session.id}

    def append(self, session: Session, /, item: str) -> None:
        """Adds to the session's history, a list that must be there."""
        session["history"].append(item)

    def length(self, session: Session, /, key: str | None = None) -> int:
        """How long a field of the session is, or all of them are; they are read for that."""
        return sum(map(len, session.values())) if key is None else len(session[key])

    @with_views
    def measure(self, session: Session, /, payload: memoryview) -> int:
        """How many bytes a payload has, which nobody reads."""
        return payload.nbytes

    def sleep(self, session: Session, /, ms: float) -> None:
        """Waits as a command does that asks a language model."""
        time.sleep(ms / 1000)

    def burn_cpu(self, session: Session, /, ms: float) -> int:
        """Computes for so much time of this thread, and returns how many rounds that took."""
        end = time.thread_time() + ms / 1000
        rounds = 0
        while time.thread_time() < end:
            rounds += 1
        return rounds
