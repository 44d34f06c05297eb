"""Programs that live in a session: each a field of it, a record that any worker builds it from.

    {"program_type": "react", "signature": {...}, "config": {"max_iters": 5}, "tools": ["search"],
     "state": {...}, "model": "openai/gpt-4o-mini", "created_at": 1753000000.0}

`state` is what an optimiser has learned, as DSPy saves it; `model` the language model that was in
use when the program was created. None of it is pickled.
"""

from collections.abc import Mapping
from typing import Any

from dspool_worker import CommandError, Session
from dspool_worker.adapters.dspy.program_state import count_demos
from dspool_worker.adapters.dspy.refusals import clip
from dspool_worker.adapters.dspy.values import encodable
from dspool_worker.errors import nearest

_PREFIX = "program:"
_ID_LENGTH = 128


def check_id(program_id: object) -> str:
    """CommandError `invalid_program_id` unless a program can be called this."""
    if (
        not isinstance(program_id, str)
        or not 0 < len(program_id) <= _ID_LENGTH
        or not encodable(program_id)
    ):
        raise CommandError(
            f"{clip(program_id)} cannot name a program: use 1 to {_ID_LENGTH} characters",
            code="invalid_program_id",
        )
    return program_id


def put_program(session: Session, program_id: str, record: dict[str, Any]) -> None:
    session[_PREFIX + program_id] = record


def find_program(session: Session, program_id: object) -> dict[str, Any] | None:
    if not isinstance(program_id, str):
        return None
    record = session.get(_PREFIX + program_id)
    if record is not None and (not isinstance(record, dict) or "program_type" not in record):
        raise CommandError(
            f"the session's field {clip(_PREFIX + program_id)} is no program: create it anew",
            code="invalid_program",
        )
    return record


def program_ids(session: Session) -> list[str]:
    return [key.removeprefix(_PREFIX) for key in session if key.startswith(_PREFIX)]


def remove_program(session: Session, program_id: str) -> None:
    del session[_PREFIX + program_id]


def not_found(session: Session, program_id: object, registered: list[str]) -> CommandError:
    known = [*program_ids(session), *registered]
    hint = nearest(program_id[:_ID_LENGTH] if isinstance(program_id, str) else "", known)
    return CommandError(
        f"there is no program {clip(program_id)} here: {hint}", code="program_not_found"
    )


def describe(program_id: str, record: dict[str, Any]) -> dict[str, Any]:
    """What is told of a program in a list: all but its state, of which there may be much."""
    described = {key: value for key, value in record.items() if key != "state"}
    return {
        "id": program_id,
        "program_id": program_id,
        **described,
        "demos": count_demos(record["state"]) if isinstance(record.get("state"), Mapping) else 0,
    }


def describe_stored(session: Session, program_id: str) -> dict[str, Any]:
    """A program of the session as `describe`, or what is wrong with its record."""
    try:
        return describe(program_id, find_program(session, program_id) or {})
    except CommandError as error:
        return {"id": program_id, "program_id": program_id, "error": str(error)}
