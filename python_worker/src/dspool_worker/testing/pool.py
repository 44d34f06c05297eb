"""A pool in a test's own process."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dspool_worker._native import decode, encode
from dspool_worker.adapter import Adapter, construct_adapter, find_adapter
from dspool_worker.errors import refusal
from dspool_worker.language_model import LanguageModel
from dspool_worker.testing.answer import Answer, CallError
from dspool_worker.testing.call import TrialCall
from dspool_worker.testing.record import SessionRecord
from dspool_worker.testing.session import PoolSession
from dspool_worker.testing.worker import TrialWorker

_LONGEST_SESSION_ID = 128
_NS_PER_S = 1_000_000_000
_ANONYMOUS = ""


class Pool:
    """Runs the commands of an adapter, given as a class or as "package.module:Class".

    Commands are run by the threads that call them, of one session one after the other, of different
    sessions at once on up to `max_in_flight` threads in each worker.

    Each worker is an adapter object of its own, and calls go to them in turn. So with two workers,
    the default, a session's next command always runs where the one before it did not: what the
    adapter has kept to itself, instead of in the session, is not there.
    """

    def __init__(
        self,
        adapter: str | type[Adapter],
        settings: Mapping[str, Any] | None = None,
        *,
        workers: int = 2,
        max_in_flight: int = 1,
    ) -> None:
        """Raises AdapterError, or what the adapter's own import, `__init__` or `start` raise."""
        if workers < 1 or max_in_flight < 1:
            raise ValueError("a pool has at least one worker, which runs at least one command")
        self._adapter = adapter
        self._settings = dict(settings or {})
        self._count = workers
        self._max_in_flight = max_in_flight
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._stopping = threading.Lock()
        self._sessions: dict[str, SessionRecord] = {}
        self._language_model: LanguageModel | None = None
        self._lm_versions = itertools.count(1)
        self._workers: list[TrialWorker] = []
        for _ in range(workers):
            self._workers.append(self._start_worker())

    @property
    def commands(self) -> list[str]:
        return list(self._workers[0].host.commands)

    @property
    def adapters(self) -> list[Adapter]:
        """Those of the workers, for a look inside."""
        return [worker.host.adapter for worker in self._workers]

    def session(self, session_id: str) -> PoolSession:
        """The session of this name, which need not be there before its first call."""
        if not 1 <= len(session_id.encode("utf-8", "surrogatepass")) <= _LONGEST_SESSION_ID:
            raise ValueError("a session's id has 1 to 128 bytes of UTF-8: use a hash")
        with self._guard:
            record = self._sessions.setdefault(session_id, SessionRecord())
        return PoolSession(self, session_id, record)

    def call(self, command: str, /, **args: Any) -> Any:
        """The value of an anonymous call. Raises CallError."""
        return self.execute(command, args).value

    def execute(
        self,
        command: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        on_chunk: Callable[[Any], None] | None = None,
    ) -> Answer:
        """An anonymous call; as `PoolSession.execute`."""
        return self._execute(_ANONYMOUS, SessionRecord(), command, args, timeout_s, on_chunk)

    def set_lm(
        self,
        model: str,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        temperature: float | None = None,
    ) -> None:
        """Sets the pool's language model: each worker gets it before its next command."""
        self._language_model = self._new_lm(model, api_base, api_key, temperature)

    def restart(self) -> None:
        """Stops all workers, which waits for their commands, and starts others.

        Sessions stay; nothing of them is warm.
        """
        with self._stopping:
            for number, worker in enumerate(self._workers):
                with worker.stopped():
                    self._workers[number] = self._start_worker()

    def close(self) -> None:
        """Stops all workers, which waits for their commands; calls that wait are refused."""
        with self._stopping:
            workers, self._workers = self._workers, []
            for worker in workers:
                with worker.stopped():
                    pass

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_worker(self) -> TrialWorker:
        return TrialWorker(self._make_adapter, self._max_in_flight)

    def _make_adapter(self) -> Adapter:
        found = self._adapter
        # Copied by the codec, as settings are on their way to a worker.
        settings = decode(encode(self._settings, "settings"))
        return construct_adapter(find_adapter(found) if isinstance(found, str) else found, settings)

    def _new_lm(
        self, model: str, api_base: str | None, api_key: str | None, temperature: float | None
    ) -> LanguageModel:
        return LanguageModel(next(self._lm_versions), model, api_base, api_key, temperature)

    def _execute(
        self,
        session_id: str,
        record: SessionRecord,
        command: str,
        args: Mapping[str, Any] | None,
        timeout_s: float | None,
        on_chunk: Callable[[Any], None] | None,
    ) -> Answer:
        __tracebackhide__ = True
        deadline_ns = 0
        if timeout_s is not None:
            deadline_ns = time.monotonic_ns() + max(1, round(timeout_s * _NS_PER_S))
        encoded = encode(dict(args or {}), "args")
        self._worker(0)  # raises where the pool is closed
        if record.runs_on == threading.get_ident():
            raise RuntimeError(
                f"session {session_id!r} was called from its own command, and would wait for ever"
            )
        number = next(self._numbers)
        lm = record.language_model or self._language_model
        call = TrialCall(number, lm, on_chunk, deadline_ns)
        with _taken(record.order, call):
            index = (number if session_id == _ANONYMOUS else record.turns) % self._count
            record.turns += 1
            with self._slot(index, call) as worker:
                worker.require(lm)
                record.running, record.runs_on = call, threading.get_ident()
                try:
                    result, changes = worker.execute(session_id, record, command, encoded, call)
                finally:
                    record.running = record.runs_on = None
            record.commit(*changes)
            return Answer(
                decode(result),
                request_id=number,
                worker=index,
                version=record.version,
                puts=changes[0],
                deletes=changes[1],
                appends=changes[2],
                chunks=call.chunks,
                input_tokens=call.input_tokens,
                output_tokens=call.output_tokens,
            )

    def _worker(self, index: int) -> TrialWorker:
        workers = self._workers
        if not workers:
            raise RuntimeError("this pool is closed")
        return workers[index]

    @contextlib.contextmanager
    def _slot(self, index: int, call: TrialCall) -> Iterator[TrialWorker]:
        """Holds a slot of a worker, or of the one that took its place meanwhile."""
        while True:
            worker = self._worker(index)
            with _taken(worker.slots, call):
                if self._worker(index) is worker:
                    yield worker
                    return

    def _evict(self, session_id: str) -> None:
        for worker in self._workers:
            worker.evict(session_id)


@contextlib.contextmanager
def _taken(lock: "threading.Lock | threading.BoundedSemaphore", call: TrialCall) -> Iterator[None]:
    """Holds a lock or a slot, for which the call waits no longer than its deadline."""
    timeout_s = -1.0
    if call.deadline_ns != 0:
        timeout_s = max(0, call.deadline_ns - time.monotonic_ns()) / _NS_PER_S
    if not (lock.acquire() if timeout_s < 0 else lock.acquire(timeout=timeout_s)):
        raise CallError(
            refusal(
                "deadline_exceeded",
                "the call's deadline passed while it waited",
                category="timeout",
            )
        )
    try:
        yield
    finally:
        lock.release()
