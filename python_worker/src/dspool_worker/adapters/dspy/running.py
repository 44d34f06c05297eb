"""The call that a program runs for, as what asks a language model for it needs it."""

import asyncio
import concurrent.futures
import contextvars
import math
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import dspy

from dspool_worker import CancelledError, Session

_RUNNING = "dspool_running"
LOOK_S = 0.1  # how long a wait may overlook that its call has ended
_UNWINDING_S = 1.0

T = TypeVar("T")


class Running:
    """The call that a program runs for. Any thread may use it, also one that outlives the call."""

    def __init__(self, session: Session) -> None:
        self._call = session.call  # the session's is another one's, once this has ended
        self._deadline = session.deadline
        self._streams_on = 0

    def stream_here(self) -> None:
        """Only what is asked on this thread is streamed: DSPy can hand on no other's."""
        self._streams_on = threading.get_ident()

    @property
    def streams_here(self) -> bool:
        return self._streams_on == threading.get_ident()

    def settings(self) -> dict[str, Any]:
        """For `dspy.context`, which hands it on to the threads that a program starts."""
        return {_RUNNING: self}

    def check(self) -> None:
        """CancelledError: the call has ended."""
        if self._call is not None and self._call.cancelled:
            raise CancelledError("the call has ended, and nobody waits for its answer")

    @property
    def has_deadline(self) -> bool:
        return self._deadline is not None

    def timeout_s(self) -> int | None:
        """What is left of the call, as `whole_timeout_s`; None: as long as it takes."""
        if self._deadline is None:
            return None
        return whole_timeout_s(self._deadline - time.monotonic())

    def wait_s(self) -> float:
        """How many seconds a request may wait until it asks again.

        LMTimeoutError: the call's time is up. CancelledError: it has ended otherwise.
        """
        left_s = LOOK_S
        if self._deadline is not None:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:  # before it counts as cancelled: it was the model that took so long
                raise dspy.LMTimeoutError("it took longer than the call had left")
        self.check()
        return min(left_s, LOOK_S)

    def wait_for(self, work: Callable[[], T], too_late: Callable[[T], object] | None = None) -> T:
        """What `work` returns, which cannot be cut into short waits: a thread does it. Where
        `wait_s` raises first, that is left to itself, and what it returns handed to `too_late`."""
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        context = contextvars.copy_context()

        def run() -> None:
            try:
                done.set_result(context.run(work))
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=run, name="dspool-request", daemon=True).start()
        try:
            while not done.done():
                concurrent.futures.wait((done,), timeout=self.wait_s())
        except BaseException:
            if too_late is not None:
                done.add_done_callback(lambda late: late.exception() or too_late(late.result()))
            raise
        return done.result()

    async def finish(self, asking: Coroutine[Any, Any, Any]) -> Any:
        """What `asking` returns, unless `wait_s` raises first: then it is cancelled."""
        task = asyncio.ensure_future(asking)
        try:
            while not task.done():
                await asyncio.wait((task,), timeout=self.wait_s())
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=_UNWINDING_S)


def running_call() -> Running | None:
    """The call that this thread works for; None: for none."""
    running: Running | None = dspy.settings.get(_RUNNING)
    return running


def whole_timeout_s(left_s: float) -> int:
    """A timeout at most a second longer than what is left: whole seconds, and steps of five beyond
    a minute, since DSPy keeps a pool of connections for each."""
    return max(1, math.ceil(left_s)) if left_s <= 60 else int(left_s // 5) * 5
