"""A worker without a process: an adapter, and the sessions that are warm in it."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from dspool_worker._native import EncodeError, commit, roll_back, run
from dspool_worker.adapter import Adapter
from dspool_worker.call import CancelledError
from dspool_worker.errors import ErrorReport, refusal
from dspool_worker.host import AdapterHost
from dspool_worker.language_model import LanguageModel
from dspool_worker.session import Session
from dspool_worker.testing.answer import CallError
from dspool_worker.testing.call import TrialCall
from dspool_worker.testing.record import SessionRecord

Changes = tuple[dict[str, object], list[str], dict[str, object]]


class TrialWorker:
    """Runs one command of a session at a time, of all sessions at most `max_in_flight`."""

    def __init__(self, make_adapter: Callable[[], Adapter], max_in_flight: int) -> None:
        self.host = AdapterHost(make_adapter())
        self.host.adapter.start()
        self.slots = threading.BoundedSemaphore(max_in_flight)
        self._max_in_flight = max_in_flight
        self._warm: dict[str, tuple[int, Session]] = {}  # the version of what is held
        self._refusals: dict[int, ErrorReport | None] = {}  # by language model
        self._setting_lm = threading.Lock()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Waits for the commands that run here, and stops the adapter. Whoever waits for a slot
        gets it after the block, and has to see whether this is still a worker of the pool."""
        for _ in range(self._max_in_flight):
            self.slots.acquire()
        try:
            self.host.adapter.stop()
            yield
        finally:
            self.slots.release(self._max_in_flight)

    def evict(self, session_id: str) -> None:
        self._warm.pop(session_id, None)

    def require(self, language_model: LanguageModel | None) -> None:
        """Hands a language model to the adapter, once. CallError: it has refused it."""
        if language_model is None:
            return
        version = language_model.version
        with self._setting_lm:
            if version not in self._refusals:
                _, self._refusals[version] = self.host.set_language_model(
                    version,
                    language_model.model,
                    language_model.api_base,
                    language_model.api_key,
                    language_model.temperature,
                )
        refused = self._refusals[version]
        if refused is not None:
            raise CallError(refused)

    def execute(
        self, session_id: str, record: SessionRecord, command: str, args: bytes, call: TrialCall
    ) -> tuple[bytes, Changes]:
        """The encoded result, and what the command has changed. Raises CallError."""
        bound = self.host.commands.get(command)
        if bound is None:
            raise CallError(self.host.unknown_command(command.encode("utf-8", "surrogatepass")))
        if call.expired:
            raise CallError(_ended(call))
        session = self._session(session_id, record)
        session.call = call
        try:
            try:
                result = run(bound, session, args, call.deadline_ns)
            except BaseException as error:
                # As a worker sees it: from the adapter's first frame on.
                first = error.__traceback__
                raise self._failure(
                    error.with_traceback(first and first.tb_next), command, call
                ) from error
            if call.cancelled:
                raise CallError(_ended(call))
            changes: Changes = ({}, [], {}) if session_id == "" else self._commit(session)
        except BaseException:
            roll_back(session)
            raise
        finally:
            session.call = None
            call.end()
        changed = any(changes)
        if session_id:
            self._warm[session_id] = record.version + changed, session
        return result, changes

    def _session(self, session_id: str, record: SessionRecord) -> Session:
        version, session = self._warm.get(session_id, (-1, None))
        if session is None or version != record.version:
            session = Session(session_id, record.fields)
            if session_id:
                self._warm[session_id] = record.version, session
        return session

    def _commit(self, session: Session) -> Changes:
        try:
            return commit(session)
        except EncodeError as error:
            raise CallError(refusal("unserialisable_field", str(error))) from None

    def _failure(self, error: BaseException, command: str, call: TrialCall) -> BaseException:
        if isinstance(error, KeyboardInterrupt):
            return error
        if isinstance(error, CancelledError) and call.cancelled:
            return call.listener_error or CallError(_ended(call))
        if isinstance(error, EncodeError) and error.__traceback__ is None:
            return CallError(refusal("unserialisable_result", str(error)))
        return CallError(self.host.describe(error, command))


def _ended(call: TrialCall) -> ErrorReport:
    if call.given_up:
        return refusal("cancelled", "the caller cancelled the call", category="timeout")
    return refusal(
        "deadline_exceeded", "the call's deadline passed while it ran", category="timeout"
    )
