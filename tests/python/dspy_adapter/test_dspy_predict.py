"""`predict`: real DSPy against an offline stand-in for a language model."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("dspy")

from dspool_worker import CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy import Dspy
from fake_call import FakeCall, session_of
from lm_server import LmServer, chat_format, contents

Refusal = Callable[..., CommandError]


def test_answers_whatever_is_asked(adapter: Dspy, anonymous: Session, server: LmServer) -> None:
    outputs = adapter.predict(anonymous, text="I love it!", task="classify", options=["a", "b"])
    assert outputs == {"answer": "answer to I love it!"}
    assert server.requests[0]["model"] == "offline"
    assert server.requests[0]["temperature"] == 0.5


@pytest.mark.parametrize(
    "inputs",
    [
        {"question": "What is the capital of France?"},
        {"text": "Classify this sentiment: I love this product!"},
        {
            "text": "I love this product!",
            "task": "classify_sentiment",
            "options": ["positive", "negative", "neutral"],
        },
        {"text": "Hello world", "source_language": "English", "target_language": "French"},
        {"text": "Long text to summarize...", "max_length": 50, "style": "concise"},
    ],
)
def test_takes_the_shapes_that_the_manual_shows(
    adapter: Dspy, anonymous: Session, server: LmServer, inputs: dict[str, Any]
) -> None:
    assert adapter.predict(anonymous, **inputs).keys() == {"answer"}
    asked = contents(server.requests[0], "user")[-1]
    for name, value in inputs.items():
        assert f"[[ ## {name} ## ]]" in asked
        assert all(str(item) in asked for item in (value if isinstance(value, list) else [value]))


def test_takes_a_signature(adapter: Dspy, anonymous: Session) -> None:
    outputs = adapter.predict(anonymous, signature="text -> mood, why", text="hooray")
    assert outputs == {"mood": "mood to hooray", "why": "why to hooray"}


def test_honours_the_types_of_outputs(adapter: Dspy, anonymous: Session, server: LmServer) -> None:
    answer = {
        "n": 7,
        "x": 2.5,
        "ok": "True",
        "l": '["a", "b"]',
        "d": '{"k": [1]}',
        "c": "red",
        "deep": '[{"a": [true]}]',
    }
    server.reply = lambda _: chat_format(answer)
    outputs = adapter.predict(
        anonymous,
        "q -> n: int, x: float, ok: bool, l: list[str], d: dict, c: Literal['red', 'blue'], "
        "deep: list[dict[str, list[bool]]]",
        q="why",
    )
    assert outputs == {
        "n": 7,
        "x": 2.5,
        "ok": True,
        "l": ["a", "b"],
        "d": {"k": [1]},
        "c": "red",
        "deep": [{"a": [True]}],
    }
    assert "one of: red; blue" in contents(server.requests[0], "system")[0]


def test_tells_what_the_model_was_charged_for(
    adapter: Dspy, session: Session, call: FakeCall
) -> None:
    adapter.predict(session, question="why")
    assert call.usage == (7, 3)


def test_without_a_language_model_says_what_to_call(refusal: Refusal) -> None:
    error = refusal(Dspy().predict, Session(), question="why")
    assert error.code == "no_language_model"
    assert "set_lm" in str(error)


def test_uses_no_model_but_the_calls(
    language_model: LanguageModel, server: LmServer, refusal: Refusal
) -> None:
    adapter = Dspy()
    adapter.set_lm(language_model)  # of another session
    error = refusal(adapter.predict, session_of(FakeCall(None)), question="why")
    assert error.code == "no_language_model"
    assert len(server.requests) == 0
    adapter.predict(Session(), question="why")  # where no engine calls
    assert len(server.requests) == 1


def test_sessions_have_models_of_their_own(
    adapter: Dspy, language_model: LanguageModel, server: LmServer
) -> None:
    for version, name in ((1, "one"), (2, "two"), (1, "one")):
        model = LanguageModel(version, f"openai/{name}", server.url, f"sk-{name}-offline")
        adapter.set_lm(model)
        adapter.predict(session_of(FakeCall(model), name), question="why")
        adapter.predict(session_of(FakeCall(language_model), "other"), question="why")
    asked = [request["model"] for request in server.requests]
    assert asked == ["one", "offline", "two", "offline", "one", "offline"]


def test_nothing_is_cached(adapter: Dspy, anonymous: Session, server: LmServer) -> None:
    for _ in range(2):
        adapter.predict(anonymous, question="why")
    assert len(server.requests) == 2


def test_inputs_must_be_those_of_the_signature(
    adapter: Dspy, anonymous: Session, refusal: Refusal, server: LmServer
) -> None:
    for signature, inputs in (
        (None, {}),
        (None, {"answer": "42"}),
        (None, {"question": "why", "c": None}),
        ("q, c -> a", {"q": "why", "c": None}),
        ("q -> a", {"question": "why"}),
        ("q -> a", {"q": "why", "more": 1}),
        ("q: int -> a", {"q": "1"}),
        ("q: int -> a", {"q": True}),
        ("q: list[int] -> a", {"q": [1, "2"]}),
        ("q: dict[str, list[int]] -> a", {"q": {"k": [None]}}),
        ("q: Literal['a', 'b'] -> a", {"q": "c"}),
    ):
        assert refusal(adapter.predict, anonymous, signature, **inputs).code == "invalid_inputs"
    assert not server.requests


def test_a_whole_number_is_a_float_too(adapter: Dspy, anonymous: Session) -> None:
    assert adapter.predict(anonymous, "x: float -> y", x=1) == {"y": "y to 1"}


def test_signatures_that_differ_in_the_type_of_a_value_are_different(
    adapter: Dspy, anonymous: Session, server: LmServer
) -> None:
    server.reply = lambda _: chat_format({"a": "1"})
    assert adapter.predict(anonymous, "q -> a: Literal[1, 2]", q="why") == {"a": 1}
    server.reply = lambda _: chat_format({"a": "True"})
    outputs = adapter.predict(anonymous, "q -> a: Literal[True, 2]", q="why")
    assert outputs["a"] is True
