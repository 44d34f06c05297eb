"""What commands do with their call: chunks, cancellation, usage."""

from __future__ import annotations

import threading
from typing import Any

from dspool_worker import Adapter, CancelledError, Session


class Streaming(Adapter):
    def __init__(self) -> None:
        self.kept: list[Any] = []

    def call(self, session: Session, /) -> dict[str, Any]:
        call = session.call
        return {
            "request_id": session.request_id,
            "attempt": session.attempt,
            "language_model": session.language_model,
            "streams": session.streams,
            "cancelled": session.cancelled,
            "type": type(call).__name__,
        }

    def keep_call(self, session: Session, /) -> list[Any]:
        """What calls that have ended still say of themselves."""
        told = [[call.request_id, call.cancelled, _emit_error(call)] for call in self.kept]
        self.kept.append(session.call)
        return told

    def count(self, session: Session, /, chunks: int) -> int:
        for number in range(chunks):
            session.emit(number)
        return chunks

    def count_for_ever(self, session: Session, /) -> None:
        session["touched"] = True
        number = 0
        while True:
            session.emit(number)
            number += 1

    def emit(self, session: Session, /, chunk: Any) -> None:
        session.emit(chunk)

    def emit_bytes(self, session: Session, /, sizes: list[int]) -> None:
        for size in sizes:
            session.emit(bytes(size))

    def emit_a_set(self, session: Session, /) -> None:
        session.emit({"answers": [{1}]})

    def emit_from_threads(self, session: Session, /, threads: int, each: int) -> None:
        """Several at once, as libraries do that call back from threads of theirs."""
        call = session.call

        def emit(thread: int) -> None:
            for number in range(each):
                call.emit([thread, number])

        running = [threading.Thread(target=emit, args=(thread,)) for thread in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    def leave_a_thread(self, session: Session, /) -> str:
        """Returns while a thread of its own still emits, and will for ever."""
        call = session.call
        first = threading.Event()

        def emit() -> None:
            try:
                while True:
                    call.emit("chunk")
                    first.set()
            except CancelledError:
                self.kept.append("the thread has left")

        threading.Thread(target=emit, daemon=True).start()
        first.wait()
        return "answered"

    def kept_notes(self, session: Session, /) -> list[Any]:
        return list(self.kept)

    def wait_until_cancelled(self, session: Session, /) -> None:
        session["touched"] = True
        session.emit("begun")
        while True:
            session.check()

    def notice_and_return(self, session: Session, /) -> bool:
        session.emit("begun")
        while not session.cancelled:
            pass
        session["noticed"] = True
        return session.cancelled

    def raise_cancelled(self, session: Session, /) -> None:
        raise CancelledError("for reasons of its own")

    def use_tokens(self, session: Session, /, fail: bool = False) -> None:
        session.add_usage(input_tokens=10, output_tokens=3)
        session.add_usage(input_tokens=1, output_tokens=2)
        if fail:
            raise ValueError("after it was charged for")

    def use_negative_tokens(self, session: Session, /) -> None:
        session.add_usage(input_tokens=-1, output_tokens=0)


def _emit_error(call: Any) -> str:
    try:
        call.emit("late")
    except CancelledError as error:
        return type(error).__name__
    return "it worked"
