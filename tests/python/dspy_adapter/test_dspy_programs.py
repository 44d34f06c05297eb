"""Programs: records of a session, that any worker runs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dspy")

from dspool_worker import CommandError, Session
from dspool_worker._native import decode, encode
from dspool_worker.adapters.dspy import Dspy
from fake_call import FakeCall, session_of
from lm_server import LmServer, contents

Refusal = Callable[..., CommandError]
QUESTION_ANSWER = {
    "name": "QuestionAnswer",
    "inputs": [{"name": "question", "type": "string"}],
    "outputs": [{"name": "answer", "type": "string"}],
}


def test_a_program_lives_in_its_session(adapter: Dspy, session: Session) -> None:
    created = adapter.create_program(session, id="qa_bot", signature=QUESTION_ANSWER)
    assert created["program_id"] == "qa_bot"
    assert created["status"] == "created"
    assert created["program_type"] == "predict"
    assert created["signature"]["name"] == "QuestionAnswer"
    result = adapter.execute_program(session, program_id="qa_bot", inputs={"question": "why"})
    assert result["program_id"] == "qa_bot"
    assert result["outputs"] == {"answer": "answer to why"}
    assert result["execution_time"] > 0
    listed = adapter.list_programs(session)
    assert listed["total_count"] == 1
    assert listed["programs"][0]["id"] == "qa_bot"
    assert listed["registered"] == ["learner", "odd", "qa"]
    info = adapter.get_program_info(session, program_id="qa_bot")
    assert (info["program_type"], info["model"]) == ("predict", "openai/offline")
    assert adapter.delete_program(session, program_id="qa_bot")["status"] == "deleted"
    assert adapter.list_programs(session)["total_count"] == 0


def test_a_program_of_the_same_id_is_replaced(adapter: Dspy, session: Session) -> None:
    for signature in ("question -> answer", "question -> reply"):
        adapter.create_program(session, "p", signature)
    outputs = adapter.execute_program(session, "p", {"question": "why"})["outputs"]
    assert outputs == {"reply": "reply to why"}


def test_what_is_configured_reaches_the_model(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    config = {"temperature": 0.1, "max_tokens": 50}
    for program_type in ("predict", "chain_of_thought", "react"):
        adapter.create_program(session, "p", "q -> a", program_type, config)
        adapter.execute_program(session, "p", {"q": "why"})
        assert server.requests[-1]["temperature"] == 0.1
        assert server.requests[-1]["max_completion_tokens"] == 50


@pytest.mark.parametrize(
    "config",
    [
        5,
        {"temprature": 0.1},
        {"temperature": "hot"},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"max_tokens": 0.5},
        {"max_tokens": True},
        {"max_iters": 3},
        {"api_base": "http://elsewhere"},
        {"lm": {"model": "x"}},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    adapter: Dspy, session: Session, refusal: Refusal, config: Any
) -> None:
    error = refusal(adapter.create_program, session, "p", "q -> a", "predict", config)
    assert error.code == "invalid_config"
    assert dict(session) == {}


def test_a_signature_that_cannot_be_built_creates_nothing(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    for signature in ("question", "a: socket -> b", {"name": "x"}, None):
        error = refusal(adapter.create_program, session, "p", signature)
        assert error.code == "invalid_signature"
    error = refusal(adapter.create_program, session, "p", "q -> reasoning", "chain_of_thought")
    assert error.code == "invalid_signature"
    assert dict(session) == {}


def test_a_program_needs_a_session(adapter: Dspy, anonymous: Session, refusal: Refusal) -> None:
    error = refusal(adapter.create_program, anonymous, "p", "question -> answer")
    assert error.code == "session_required"
    assert "in a session" in str(error)
    assert refusal(adapter.load_program, anonymous, "qa", {}).code == "session_required"


def test_an_unknown_program_is_named(adapter: Dspy, session: Session, refusal: Refusal) -> None:
    adapter.create_program(session, "qa_bot", "question -> answer")
    for command in (adapter.execute_program, adapter.get_program_info, adapter.delete_program):
        error = refusal(command, session, "qa_bit")
        assert error.code == "program_not_found"
        assert "did you mean 'qa_bot'?" in str(error)


def test_an_unknown_program_type_is_named(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    error = refusal(adapter.create_program, session, "p", "a -> b", "chain_of_thoughts")
    assert error.code == "invalid_program_type"
    assert "did you mean 'chain_of_thought'?" in str(error)


def test_inputs_must_be_those_of_the_program(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    adapter.create_program(session, "qa", "question -> answer")
    for inputs in ({"q": "why"}, {}, None, "why", {"question": 5}):
        error = refusal(adapter.execute_program, session, "qa", inputs)
        assert error.code == "invalid_inputs"


def test_a_field_that_is_no_program_is_told(
    adapter: Dspy, call: FakeCall, refusal: Refusal
) -> None:
    for record in (5, {}, {"program_type": "gone"}, {"program_type": "predict"}):
        session = session_of(call, "s", {"program:p": record})
        error = refusal(adapter.execute_program, session, "p", {"q": "why"})
        assert error.code in ("invalid_program", "invalid_program_type", "invalid_signature")


def test_a_program_with_a_history_converses(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    adapter.create_program(session, "chat", "question, talk: History -> answer")
    for question in ("first", "second"):
        adapter.execute_program(session, "chat", {"question": question})
    assert "answer to first" in contents(server.requests[1], "assistant")[0]
    adapter.execute_program(session, "chat", {"question": "third"}, history=False)
    assert contents(server.requests[2], "assistant") == []
    assert len(session["history"]) == 3


@pytest.mark.parametrize("history", [0, 1, "no", None])
def test_whether_the_conversation_goes_along_is_a_bool(
    adapter: Dspy, session: Session, server: LmServer, refusal: Refusal, history: Any
) -> None:
    adapter.create_program(session, "p", "question -> answer")
    for program in ("p", "qa"):
        inputs = {"question": "why"}
        error = refusal(adapter.execute_program, session, program, inputs, history=history)
        assert error.code == "invalid_inputs"
        assert "history" in str(error)
    assert not server.requests


def test_a_program_without_one_neither_sends_nor_keeps_turns(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    adapter.create_program(session, "qa", "question -> answer")
    adapter.predict(session, question="before")
    adapter.execute_program(session, "qa", {"question": "why"})
    assert contents(server.requests[1], "assistant") == []
    assert len(session["history"]) == 1


ELSEWHERE = """
import sys
sys.path[:0] = sys.argv[1:]
from dspool_worker import LanguageModel
from dspool_worker._native import decode, encode
from dspool_worker.adapters.dspy import Dspy
from fake_call import FakeCall, session_of

fields, url, program_ids = decode(sys.stdin.buffer.read())
adapter = Dspy({"tools": {"search": "dspy_app:search", "broken": "dspy_app:broken",
                          "strange": "dspy_app:strange"},
                "programs": {"learner": "dspy_app:Learner"}})
model = LanguageModel(1, "openai/offline", url, "sk-offline", 0.5)
session = session_of(FakeCall(model), "s", fields)
results = [adapter.execute_program(session, key, {"question": "why"})["outputs"]
           for key in program_ids]
results.append(adapter.predict(session, question="and then?"))
assert "litellm" not in sys.modules and "diskcache" not in sys.modules
sys.stdout.buffer.write(encode(results))
"""


def test_goes_on_in_another_process_with_the_same_prompts(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    described = {**QUESTION_ANSWER, "description": "Be brief."}
    adapter.create_program(session, "p", "question -> answer, score: str")
    adapter.create_program(session, "cot", described, "chain_of_thought", {"temperature": 0.3})
    adapter.create_program(session, "agent", described, "react", {"max_iters": 2})
    adapter.create_program(session, "own", program_type="learner")
    adapter.execute_program(session, "own", {"question": "learned before"})
    adapter.predict(session, question="first")
    ids = ["p", "cot", "agent", "own"]
    handed_over = encode([dict(session), server.url, ids])
    server.bodies.clear()

    here: list[Any] = [
        adapter.execute_program(session, key, {"question": "why"})["outputs"] for key in ids
    ]
    here.append(adapter.predict(session, question="and then?"))
    bodies = list(server.bodies)
    server.bodies.clear()
    elsewhere = subprocess.run(  # noqa: S603
        [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent)],
        input=handed_over,
        capture_output=True,
        check=False,
    )
    assert elsewhere.returncode == 0, elsewhere.stderr.decode()
    assert decode(elsewhere.stdout) == here
    assert server.bodies == bodies


@pytest.mark.parametrize("record", [5, {}, {"program_type": "predict", "state": 5}])
def test_a_record_that_is_no_program_is_listed_and_deleted(
    adapter: Dspy, call: FakeCall, record: Any
) -> None:
    session = session_of(call, "s", {"program:bad": record})
    adapter.create_program(session, "good", "q -> a")
    bad, good = adapter.list_programs(session)["programs"]
    assert (bad["id"], good["id"]) == ("bad", "good")
    assert "error" not in good
    assert ("error" in bad) == (record != {"program_type": "predict", "state": 5})
    adapter.delete_program(session, "bad")
    assert adapter.list_programs(session)["total_count"] == 1
