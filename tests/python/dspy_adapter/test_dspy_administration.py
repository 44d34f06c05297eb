"""Commands around programs and predictions."""

from collections.abc import Callable

import pytest

pytest.importorskip("dspy")

from dspool_worker import CommandError, Session
from dspool_worker.adapter import commands_of
from dspool_worker.adapters.dspy import Dspy

Refusal = Callable[..., CommandError]


def test_its_commands_are_those_that_users_know(adapter: Dspy) -> None:
    assert sorted(commands_of(adapter)) == [
        "cleanup_session",
        "create_program",
        "delete_program",
        "execute_program",
        "get_program_info",
        "get_stats",
        "list_programs",
        "load_program",
        "ping",
        "predict",
        "reset_state",
    ]


def test_ping_says_who_answers(adapter: Dspy, session: Session, anonymous: Session) -> None:
    answer = adapter.ping(session)
    assert answer["status"] == "ok"
    assert answer["dspy_available"] is True
    assert answer["current_session"] == "s"
    assert adapter.ping(anonymous)["current_session"] is None
    assert answer.keys() >= {"timestamp", "uptime", "mode", "worker_id"}


def test_statistics_count_what_a_worker_did(session: Session, refusal: Refusal) -> None:
    adapter = Dspy()
    adapter.create_program(session, "p", "q -> a")
    adapter.execute_program(session, "p", {"q": "why"})
    refusal(adapter.execute_program, session, "p", {})
    stats = adapter.get_stats(session)
    assert (stats["command_count"], stats["error_count"]) == (3, 1)
    assert (stats["input_tokens"], stats["output_tokens"]) == (7, 3)
    assert (stats["programs_count"], stats["live_programs"]) == (1, 1)
    assert stats["memory_usage"] > 0


def test_no_more_programs_are_kept_built_than_configured(session: Session) -> None:
    adapter = Dspy({"live_programs": 2})
    for number in range(5):
        adapter.create_program(session, f"p{number}", f"q{number} -> a")
    assert adapter.get_stats(session)["live_programs"] == 2


@pytest.mark.parametrize("command", ["cleanup_session", "reset_state"])
def test_a_session_is_emptied(adapter: Dspy, session: Session, command: str) -> None:
    adapter.create_program(session, "p", "q -> a")
    adapter.predict(session, question="why")
    session["mine"] = 1
    result = getattr(adapter, command)(session)
    assert result["status"] in ("cleaned", "reset")
    assert list(result.values())[-2:] == [1, 1]
    assert dict(session) == {"mine": 1}
    assert list(getattr(adapter, command)(session).values())[-2:] == [0, 0]


def test_another_session_is_not_cleaned_up(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    assert adapter.cleanup_session(session, session_id="s")["session_id"] == "s"
    assert refusal(adapter.cleanup_session, session, session_id="t").code == "wrong_session"
