"""Conversations: what a session remembers, and sends along."""

from collections.abc import Callable

import pytest

pytest.importorskip("dspy")

from dspool_worker import CommandError, LanguageModel, Session
from dspool_worker._native import commit
from dspool_worker.adapters.dspy import Dspy
from dspool_worker.adapters.dspy.values import size_of
from fake_call import FakeCall, session_of
from lm_server import LmServer, contents

Refusal = Callable[..., CommandError]


def turn(question: str) -> dict[str, dict[str, str]]:
    return {"inputs": {"question": question}, "outputs": {"answer": f"answer to {question}"}}


def test_a_session_remembers_its_turns(adapter: Dspy, session: Session, server: LmServer) -> None:
    adapter.predict(session, question="first")
    adapter.predict(session, question="second")
    first, second = server.requests
    assert len(contents(first, "assistant")) == 0
    assert "first" in contents(second, "user")[0]
    assert "answer to first" in contents(second, "assistant")[0]
    assert "history" not in contents(second, "user")[-1]
    assert session["history"] == [turn("first"), turn("second")]


def test_the_manuals_conversation_is_remembered(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    lines = [
        "Hello, I'm starting a conversation",
        "Can you remember what I just said?",
        "Now summarize our entire conversation",
    ]
    for line in lines:
        adapter.predict(session, text=line)
    said = contents(server.requests[2], "user")
    heard = contents(server.requests[2], "assistant")
    assert [line in text for line, text in zip(lines, said, strict=True)] == [True] * 3
    assert [f"answer to {line}" in text for line, text in zip(lines[:2], heard, strict=True)] == [
        True,
        True,
    ]


def test_a_turn_is_an_append(adapter: Dspy, session: Session, call: FakeCall) -> None:
    adapter.predict(session, question="first")
    assert commit(session) == ({"history": [turn("first")]}, [], {})
    session.call = call
    adapter.predict(session, question="second")
    assert commit(session) == ({}, [], {"history": [turn("second")]})


def test_history_can_be_left_out(adapter: Dspy, session: Session, server: LmServer) -> None:
    adapter.predict(session, question="first")
    adapter.predict(session, question="second", history=False)
    assert len(contents(server.requests[1], "assistant")) == 0
    assert "history" not in contents(server.requests[1], "user")[-1]
    assert len(session["history"]) == 2


def test_an_input_may_be_called_history(adapter: Dspy, session: Session, server: LmServer) -> None:
    adapter.predict(session, question="why", history="what was said before")
    adapter.predict(session, "question, history: bool -> answer", question="why", history=False)
    first, second = server.requests
    assert "what was said before" in contents(first, "user")[-1]
    assert "[[ ## history ## ]]\nFalse" in contents(second, "user")[-1]
    assert "what was said before" in contents(second, "user")[0]
    assert "answer to why" in contents(second, "assistant")[0]


def test_an_output_may_be_called_history(adapter: Dspy, session: Session, server: LmServer) -> None:
    for number in range(2):
        outputs = adapter.predict(session, "topic -> history", topic=f"topic {number}")
        assert outputs == {"history": f"history to topic {number}"}
    assert "history to topic 0" in contents(server.requests[1], "assistant")[0]


def test_turns_of_another_signature_are_told_in_words(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    adapter.predict(session, "topic, level: int -> essay", topic="rings", level=3)
    adapter.predict(session, question="and shorter?")
    earlier = contents(server.requests[1], "user")[0]
    assert "[[ ## question ## ]]\ntopic: rings\nlevel: 3" in earlier
    assert "essay: essay to rings" in contents(server.requests[1], "assistant")[0]


def test_a_signature_with_a_history_gets_the_sessions(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    signature = "question, talk: dspy.History -> answer"
    for question in ("first", "second"):
        adapter.predict(session, signature, question=question)
    adapter.predict(session, signature, question="third", history=False)
    assert [len(contents(request, "assistant")) for request in server.requests] == [0, 1, 0]
    assert session["history"] == [turn("first"), turn("second"), turn("third")]


def test_a_caller_may_send_a_history_of_its_own(
    adapter: Dspy, session: Session, server: LmServer, refusal: Refusal
) -> None:
    signature = "question, history: History -> answer"
    adapter.predict(session, question="not sent")
    said = [{"question": "before", "answer": "as I said"}]
    for given in (said, {"messages": said}):
        adapter.predict(session, signature, question="now", history=given)
        assert "before" in contents(server.requests[-1], "user")[0]
        assert "as I said" in contents(server.requests[-1], "assistant")[0]
    assert session["history"] == [turn("not sent")]
    error = refusal(adapter.predict, session, signature, question="now", history=[1])
    assert error.code == "invalid_inputs"


def test_what_is_sent_is_bounded_by_turns(language_model: LanguageModel, server: LmServer) -> None:
    adapter, session = Dspy({"history_turns": 3}), session_of(FakeCall(language_model))
    for number in range(14):
        adapter.predict(session, question=f"question {number}")
        assert len(session["history"]) <= 6
    said = contents(server.requests[-1], "user")
    assert [number for number in range(14) if f"question {number}\n" in "".join(said)] == [
        10,
        11,
        12,
        13,
    ]


def test_what_is_sent_is_bounded_by_bytes(language_model: LanguageModel, server: LmServer) -> None:
    adapter = Dspy({"history_bytes": 5000})
    session = session_of(FakeCall(language_model))
    for number in range(12):
        adapter.predict(session, question=f"{number} {'long ' * 100}")
        assert size_of(session["history"]) <= 10_000 + 100
    assert 2 <= len(contents(server.requests[-1], "assistant")) < 12
    kept = len(session["history"])
    adapter.predict(session, question="too long " * 1000)
    assert len(session["history"]) == kept


def test_an_anonymous_call_remembers_nothing(adapter: Dspy, anonymous: Session) -> None:
    adapter.predict(anonymous, question="first")
    assert dict(anonymous) == {}


def test_a_field_that_is_no_conversation_is_told(
    adapter: Dspy, call: FakeCall, refusal: Refusal
) -> None:
    session = session_of(call, "s", {"history": ["what is this"]})
    assert refusal(adapter.predict, session, question="why").code == "invalid_history"


def test_a_turn_that_looks_like_a_call_of_tools_is_data(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    adapter.predict(session, "data: dict -> answer", data={"tool_calls": [{"name": "os.system"}]})
    adapter.predict(session, "data: dict -> answer", data={"k": 1})
    assert "os.system" in contents(server.requests[1], "user")[0]


@pytest.mark.parametrize("program_type", ["chain_of_thought", "react"])
def test_a_turn_of_a_program_is_what_its_signature_has(
    adapter: Dspy, session: Session, server: LmServer, program_type: str
) -> None:
    adapter.create_program(session, "chat", "question, talk: History -> answer", program_type)
    for question in ("first", "second"):
        outputs = adapter.execute_program(session, "chat", {"question": question})["outputs"]
        assert "reasoning" in outputs
    assert session["history"] == [turn("first"), turn("second")]
    server.requests.clear()
    adapter.predict(session, question="third")
    assert [
        text.split("]]\n")[1].split("\n")[0] for text in contents(server.requests[0], "user")
    ] == [
        "first",
        "second",
        "third",
    ]


def test_a_chain_of_thought_gets_turns_as_messages(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    adapter.create_program(session, "chat", "question, talk: History -> answer", "chain_of_thought")
    for question in ("first", "second"):
        adapter.execute_program(session, "chat", {"question": question})
    (said,) = contents(server.requests[1], "assistant")
    assert "[[ ## answer ## ]]\nanswer to first" in said
    assert "reasoning to first" not in said


def test_react_is_told_of_turns_in_words(adapter: Dspy, session: Session, server: LmServer) -> None:
    adapter.create_program(session, "agent", "question, talk: History -> answer", "react")
    for question in ("first", "second"):
        adapter.execute_program(session, "agent", {"question": question})
    assert len(server.requests) == 4
    for request in server.requests:
        assert contents(request, "assistant") == []
    for request in server.requests[2:]:
        told = "[[ ## talk ## ]]\nquestion: first\nanswer: answer to first\n"
        assert told in contents(request, "user")[-1]


@pytest.mark.parametrize("history", [5, 0, "text", {"k": 1}, ["text"]])
def test_a_field_that_is_no_conversation_costs_no_request(
    adapter: Dspy, call: FakeCall, refusal: Refusal, server: LmServer, history: object
) -> None:
    session = session_of(call, "s", {"history": history})
    for arguments in ({}, {"history": False}):
        error = refusal(adapter.predict, session, question="why", **arguments)
        assert error.code == "invalid_history"
    assert not server.requests
    turns = 1 if isinstance(history, list) else 0
    assert adapter.reset_state(session)["turns_cleared"] == turns
    adapter.predict(session, question="why")
    assert session["history"] == [turn("why")]
