"""The dspy adapter: real DSPy against an offline stand-in for a language model."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from dspool_worker import CommandError, LanguageModel, Session
from dspool_worker._native import decode, encode
from lm_server import LmServer

pytest.importorskip("dspy")

from dspool_worker.adapters.dspy import Dspy

MODEL = "openai/offline"


@pytest.fixture
def server() -> Iterator[LmServer]:
    with LmServer() as running:
        yield running


@pytest.fixture
def adapter(server: LmServer) -> Dspy:
    adapter = Dspy()
    adapter.set_lm(LanguageModel(1, MODEL, server.url, "sk-offline", 0.5))
    return adapter


def contents(request: dict[str, Any], role: str) -> list[str]:
    return [message["content"] for message in request["messages"] if message["role"] == role]


def test_predict_answers_whatever_is_asked(adapter: Dspy, server: LmServer) -> None:
    outputs = adapter.predict(Session(), text="I love it!", task="classify", options=["a", "b"])
    assert outputs == {"answer": "answer to I love it!"}
    assert server.requests[0]["model"] == "offline"
    assert server.requests[0]["temperature"] == 0.5


def test_predict_takes_a_signature(adapter: Dspy) -> None:
    outputs = adapter.predict(Session(), signature="text -> mood, why", text="hooray")
    assert outputs == {"mood": "mood to hooray", "why": "why to hooray"}


def test_a_session_remembers_its_turns(adapter: Dspy, server: LmServer) -> None:
    session = Session("s")
    adapter.predict(session, question="first")
    adapter.predict(session, question="second")
    first, second = server.requests
    assert len(contents(first, "assistant")) == 0
    assert "first" in contents(second, "user")[0]
    assert "answer to first" in contents(second, "assistant")[0]
    assert "history" not in contents(second, "user")[-1]
    assert session["history"] == [
        {"inputs": {"question": "first"}, "outputs": {"answer": "answer to first"}},
        {"inputs": {"question": "second"}, "outputs": {"answer": "answer to second"}},
    ]


def test_history_can_be_left_out(adapter: Dspy, server: LmServer) -> None:
    session = Session("s")
    adapter.predict(session, question="first")
    adapter.predict(session, question="second", _history=False)
    assert len(contents(server.requests[1], "assistant")) == 0
    assert len(session["history"]) == 2


def test_an_input_may_be_called_history(adapter: Dspy, server: LmServer) -> None:
    session = Session("s")
    for before in ("what was said before", True):
        adapter.predict(session, question="why", history=before)
    first, second = server.requests
    assert "what was said before" in contents(first, "user")[-1]
    assert "[[ ## history ## ]]\nTrue" in contents(second, "user")[-1]
    assert "what was said before" in contents(second, "user")[0]
    assert "answer to why" in contents(second, "assistant")[0]


def test_an_output_may_be_called_history(adapter: Dspy, server: LmServer) -> None:
    session = Session("s")
    for number in range(2):
        outputs = adapter.predict(session, signature="topic -> history", topic=f"topic {number}")
        assert outputs == {"history": f"history to topic {number}"}
    assert "history to topic 0" in contents(server.requests[1], "assistant")[0]


def test_what_is_remembered_is_bounded(adapter: Dspy) -> None:
    session = Session("s")
    for number in range(25):
        adapter.predict(session, question=f"question {number}", _history=False)
    assert [turn["inputs"]["question"] for turn in session["history"]] == [
        f"question {number}" for number in range(5, 25)
    ]
    for _ in range(5):
        adapter.predict(session, question="long " * 2000, _history=False)
    assert len(encode(session["history"])) <= 32 * 1024
    assert session["history"]


def test_an_anonymous_call_remembers_nothing(adapter: Dspy) -> None:
    session = Session()
    adapter.predict(session, question="first")
    assert dict(session) == {}


def test_a_program_lives_in_its_session(adapter: Dspy) -> None:
    session = Session("s")
    created = adapter.create_program(
        session,
        id="qa",
        signature={
            "name": "QuestionAnswer",
            "inputs": [{"name": "question", "type": "string"}],
            "outputs": [{"name": "answer", "type": "string"}],
        },
    )
    assert created["program_id"] == "qa"
    assert created["status"] == "created"
    result = adapter.execute_program(session, program_id="qa", inputs={"question": "why"})
    assert result["program_id"] == "qa"
    assert result["outputs"] == {"answer": "answer to why"}
    assert result["execution_time"] > 0
    assert adapter.list_programs(session)["total_count"] == 1
    assert adapter.get_program_info(session, program_id="qa")["program_type"] == "predict"
    adapter.delete_program(session, program_id="qa")
    assert adapter.list_programs(session) == {"programs": [], "total_count": 0}


ELSEWHERE = """
import sys
from dspool_worker import LanguageModel, Session
from dspool_worker._native import decode, encode
from dspool_worker.adapters.dspy import Dspy

fields, url = decode(sys.stdin.buffer.read())
adapter = Dspy()
adapter.set_lm(LanguageModel(1, "openai/offline", url, "sk-offline", None))
result = adapter.execute_program(Session("s", fields), program_id="cot", inputs={"question": "why"})
assert "litellm" not in sys.modules and "diskcache" not in sys.modules
sys.stdout.buffer.write(encode(result["outputs"]))
"""


def test_a_program_goes_on_in_another_process(adapter: Dspy, server: LmServer) -> None:
    session = Session("s")
    adapter.create_program(session, "cot", "question -> answer", "chain_of_thought")
    elsewhere = subprocess.run(  # noqa: S603
        [sys.executable, "-c", ELSEWHERE],
        input=encode([dict(session), server.url]),
        capture_output=True,
        check=True,
    )
    assert decode(elsewhere.stdout) == {"reasoning": "reasoning to why", "answer": "answer to why"}


def refusal(command: Any, *args: Any, **kwargs: Any) -> CommandError:
    with pytest.raises(CommandError) as error:
        command(*args, **kwargs)
    return error.value


def test_without_a_language_model_it_says_what_to_call() -> None:
    error = refusal(Dspy().predict, Session(), question="why")
    assert error.code == "no_language_model"
    assert "set_lm" in str(error)


def test_a_signature_that_cannot_be_built_creates_nothing(adapter: Dspy) -> None:
    session = Session("s")
    for signature in ("question", "a: socket -> b", "schema -> answer", "lm -> answer"):
        error = refusal(adapter.create_program, session, "p", signature)
        assert error.code == "invalid_signature"
    assert "programs" not in session


def test_a_program_needs_a_session(adapter: Dspy) -> None:
    error = refusal(adapter.create_program, Session(), "p", "question -> answer")
    assert error.code == "session_required"


def test_an_unknown_program_is_named(adapter: Dspy) -> None:
    session = Session("s")
    adapter.create_program(session, "qa_bot", "question -> answer")
    error = refusal(adapter.execute_program, session, "qa_bit", {})
    assert error.code == "program_not_found"
    assert "did you mean 'qa_bot'?" in str(error)


def test_an_unknown_program_type_is_named(adapter: Dspy) -> None:
    error = refusal(adapter.create_program, Session("s"), "p", "a -> b", "react")
    assert error.code == "invalid_program_type"


def test_inputs_must_be_those_of_the_signature(adapter: Dspy) -> None:
    session = Session("s")
    adapter.create_program(session, "qa", "question -> answer")
    assert refusal(adapter.execute_program, session, "qa", {"q": "why"}).code == "invalid_inputs"
    assert refusal(adapter.predict, session).code == "invalid_inputs"
    assert refusal(adapter.predict, session, answer="42").code == "invalid_inputs"
    assert refusal(adapter.predict, session, question="why", c=None).code == "invalid_inputs"
    assert refusal(adapter.predict, session, "q, c -> a", q="why", c=None).code == "invalid_inputs"


@pytest.mark.parametrize(("status", "retryable"), [(429, True), (500, True), (401, False)])
def test_errors_of_the_model_are_raised_once(
    adapter: Dspy, server: LmServer, status: int, retryable: bool
) -> None:
    server.status = status
    session = Session("s")
    with pytest.raises(Exception, match="not now") as error:
        adapter.predict(session, question="why")
    told = adapter.describe_error(error.value)
    assert (told is not None) == retryable
    if told is not None:
        assert told.retryable
        assert told.provider == "openai"
    assert len(server.requests) == 1
    assert "history" not in session


def test_an_unreachable_model_is_worth_another_try(adapter: Dspy) -> None:
    adapter.set_lm(LanguageModel(2, MODEL, "http://127.0.0.1:1/v1", "sk-offline", None))
    with pytest.raises(Exception, match="offline") as error:
        adapter.predict(Session(), question="why")
    told = adapter.describe_error(error.value)
    assert told is not None
    assert told.retryable


def test_nothing_is_cached(adapter: Dspy, server: LmServer) -> None:
    for _ in range(2):
        adapter.predict(Session(), question="why")
    assert len(server.requests) == 2
