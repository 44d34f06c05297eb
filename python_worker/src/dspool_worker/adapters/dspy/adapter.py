"""The adapter: its methods are the commands of a pool that runs DSPy."""

import os
import time
from typing import Any

import dspy

from dspool_worker import Adapter, CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy.executor import Executor
from dspool_worker.adapters.dspy.language_models import live_lm
from dspool_worker.adapters.dspy.library import Library
from dspool_worker.adapters.dspy.memory import Memory
from dspool_worker.adapters.dspy.program_state import count_demos, parse_state
from dspool_worker.adapters.dspy.programs import (
    check_id,
    describe,
    describe_stored,
    find_program,
    not_found,
    program_ids,
    put_program,
    remove_program,
)
from dspool_worker.adapters.dspy.refusals import session_required
from dspool_worker.adapters.dspy.settings import parse_settings
from dspool_worker.adapters.dspy.statistics import Statistics


class Dspy(Adapter):
    """Predictions, conversations and programs; all that lasts of them belongs to sessions.

    What a session holds is plain data: `history`, the turns of its conversation, and a field
    `program:<id>` for each program, which is what it is built from. Any worker can go on with it.
    """

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        # DSPy's caches are shared by all sessions and outlive them.
        dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
        parsed = parse_settings(settings or {})
        self._library = Library(parsed)
        self._memory = Memory(parsed.history_turns, parsed.history_bytes)
        self._statistics = Statistics()
        self._executor = Executor(self._library, self._memory, self._statistics)

    def set_lm(self, language_model: LanguageModel) -> None:
        self._executor.own_model = None  # which the engine may have taken back
        live_lm(language_model)  # so that one that cannot be made is refused here
        self._executor.own_model = language_model

    def ping(self, session: Session, /) -> dict[str, Any]:
        """Says that this worker is alive."""
        return {
            "status": "ok",
            "timestamp": time.time(),
            "dspy_available": True,
            "dspy_version": dspy.__version__,
            "uptime": self._statistics.uptime,
            "mode": "pool-worker",
            "worker_id": str(os.getpid()),
            "current_session": session.id or None,
        }

    def predict(self, session: Session, /, signature: Any = None, **inputs: Any) -> dict[str, Any]:
        """Asks the language model; returns the signature's outputs, by default `answer`.

        In a session the turn is remembered, and the earlier ones go along unless `history` is
        False. Where the signature has an input of that name, it is that input.
        """
        with self._statistics.command():
            return self._executor.predict(session, signature, inputs)

    def create_program(
        self,
        session: Session,
        /,
        id: str,  # noqa: A002
        signature: Any = None,
        program_type: str = "predict",
        config: Any = None,
        tools: Any = None,
        state: Any = None,
    ) -> dict[str, Any]:
        """Keeps a program in the session, under its id; a program of the same id is replaced.

        `program_type` is predict, chain_of_thought, react, or a program of the deployment's own.
        `config` has temperature, top_p, max_tokens, and for react max_iters; `tools` are names of
        the deployment's, by default all; `state` is what DSPy saved of such a program.
        """
        with self._statistics.command():
            if not session.id:
                raise session_required("create_program")
            check_id(id)
            loaded = None if state is None else parse_state(state)
            record = self._library.make_record(program_type, signature, config, tools, loaded)
            self._library.program(record)
            language_model = session.language_model
            record["model"] = None if language_model is None else language_model.model
            record["created_at"] = time.time()
            put_program(session, id, record)
            return {
                "program_id": id,
                "status": "created",
                "signature": record["signature"],
                "program_type": program_type,
            }

    def load_program(self, session: Session, /, program_id: str, state: Any) -> dict[str, Any]:
        """Loads what an optimiser has learned into a program: the JSON that DSPy saves, as text or
        as a mapping. Of a program of the deployment's own, the session gets its own version."""
        with self._statistics.command():
            if not session.id:
                raise session_required("load_program")
            record = find_program(session, program_id)
            if record is None:
                if not self._library.is_registered(program_id):
                    raise self._not_found(session, program_id)
                record = self._library.make_record(program_id, None, None, None, None)
            loaded = parse_state(state)
            record = {**record, "state": loaded}
            self._library.program(record)
            put_program(session, program_id, record)
            return {"program_id": program_id, "status": "loaded", "demos": count_demos(loaded)}

    def execute_program(
        self,
        session: Session,
        /,
        program_id: str,
        inputs: Any = None,
        history: bool = True,
    ) -> dict[str, Any]:
        """Runs a program of this session, or of the deployment's own, on whichever worker this is.

        Where its signature has a History, the session's conversation goes along unless `history`
        is False, or `inputs` have one.
        """
        with self._statistics.command():
            begin = time.monotonic()
            record = find_program(session, program_id)
            if record is None and not self._library.is_registered(program_id):
                raise self._not_found(session, program_id)
            outputs = self._executor.execute(session, program_id, record, inputs, history)
            return {
                "program_id": program_id,
                "outputs": outputs,
                "execution_time": time.monotonic() - begin,
            }

    def list_programs(self, session: Session, /) -> dict[str, Any]:
        """The session's programs, and the names of the deployment's own. One whose record is none,
        since an application wrote it, is listed with `error`."""
        with self._statistics.command():
            programs = [describe_stored(session, key) for key in program_ids(session)]
            return {
                "programs": programs,
                "total_count": len(programs),
                "registered": self._library.registered,
            }

    def get_program_info(self, session: Session, /, program_id: str) -> dict[str, Any]:
        """A program of the session, with its state, which DSPy can load."""
        with self._statistics.command():
            if find_program(session, program_id) is None and self._library.is_registered(
                program_id
            ):
                record = self._library.make_record(program_id, None, None, None, None)
                return {**describe(program_id, record), "state": None}
            record = self._record(session, program_id)
            return {**describe(program_id, record), "state": record.get("state")}

    def delete_program(self, session: Session, /, program_id: str) -> dict[str, Any]:
        """Forgets a program of the session."""
        with self._statistics.command():
            if program_id not in program_ids(session):
                raise self._not_found(session, program_id)
            remove_program(session, program_id)
            return {"program_id": program_id, "status": "deleted"}

    def get_stats(self, session: Session, /) -> dict[str, Any]:
        """What this worker has done, and how many programs the session has."""
        return {
            **self._statistics.read(),
            "programs_count": len(program_ids(session)),
            "live_programs": self._library.size,
            "worker_id": str(os.getpid()),
            "dspy_available": True,
        }

    def cleanup_session(self, session: Session, /, session_id: str | None = None) -> dict[str, Any]:
        """Forgets the session's programs and conversation. `session_id`, if given, is its name."""
        with self._statistics.command():
            if session_id not in (None, session.id):
                raise CommandError(
                    "a command can clean up its own session only: call it in that session",
                    code="wrong_session",
                )
            programs, turns = self._forget(session)
            return {
                "status": "cleaned",
                "session_id": session.id,
                "programs_removed": programs,
                "turns_removed": turns,
            }

    def reset_state(self, session: Session, /) -> dict[str, Any]:
        """Forgets the session's programs and conversation."""
        with self._statistics.command():
            programs, turns = self._forget(session)
            return {"status": "reset", "programs_cleared": programs, "turns_cleared": turns}

    def _forget(self, session: Session) -> tuple[int, int]:
        programs = program_ids(session)
        for program_id in programs:
            remove_program(session, program_id)
        return len(programs), self._memory.forget(session)

    def _record(self, session: Session, program_id: str) -> dict[str, Any]:
        record = find_program(session, program_id)
        if record is None:
            raise self._not_found(session, program_id)
        return record

    def _not_found(self, session: Session, program_id: object) -> CommandError:
        return not_found(session, program_id, self._library.registered)
