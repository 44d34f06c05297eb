"""The adapter for measuring a pool: commands that do almost nothing, or a known amount."""

# ruff: noqa: ARG002 - a command takes its session, whether it needs it or not

import time
from typing import Any

from dspool_worker import Adapter, Session


class LoadTest(Adapter):
    def echo(self, session: Session, /, **args: Any) -> dict[str, Any]:
        """Returns its arguments."""
        return args

    def increment(self, session: Session, /, by: int = 1) -> dict[str, Any]:
        """Adds to the session's value, and tells whose it is, so that mix-ups show."""
        session["value"] = value = session.get("value", 0) + by
        return {"value": value, "session": session.id}

    def read(self, session: Session, /) -> dict[str, Any]:
        """What `increment` told last."""
        return {"value": session.get("value", 0), "session": session.id}

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
