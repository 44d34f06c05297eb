"""An adapter whose commands say something while they run."""

from __future__ import annotations

import os
import time

from dspool_worker import Adapter, CommandError, Session


class Streamer(Adapter):
    def increment(self, session: Session, /) -> int:
        session["value"] = session.get("value", 0) + 1
        return int(session["value"])

    def count(self, session: Session, /, chunks: int, padding: str = "") -> int:
        """Emits the numbers below `chunks`, and counts its calls in the session."""
        for number in range(chunks):
            session.emit(number)
        return self.increment(session)

    def count_for_ever(self, session: Session, /) -> None:
        session["value"] = 1_000_000
        number = 0
        while True:
            session.emit(number)
            number += 1

    def say_and_check(self, session: Session, /) -> None:
        """Says once that it has begun, and looks from then on whether anybody waits for it."""
        session["value"] = 1_000_000
        session.emit("begun")
        while True:
            session.check()
            time.sleep(0.001)

    def say_pid(self, session: Session, /, chunks: int) -> int:
        """Emits its process's number; its first attempt goes on for ever."""
        for _ in range(chunks):
            session.emit(os.getpid())
        while session.attempt == 1:
            session.check()
            time.sleep(0.001)
        return self.increment(session)

    def emit_bytes(self, session: Session, /, size: int) -> int:
        session.emit(bytes(size))
        return size

    def use_tokens(self, session: Session, /, fails_before: int = 1) -> int:
        """Is charged for, and fails, in attempts before this one."""
        session.add_usage(input_tokens=100, output_tokens=7)
        if session.attempt < fails_before:
            raise CommandError("charged, and failed", code="charged", retryable=True)
        return session.attempt
