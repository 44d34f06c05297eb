"""What a language model's failures become: typed errors, each asked for once."""

import gc
import json
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("dspy")

import dspy
from dspool_worker import CancelledError, CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy import Dspy
from dspool_worker.adapters.dspy.language_models import live_lm
from dspool_worker.adapters.dspy.model_errors import typed_error
from fake_call import FakeCall, hurried, session_of
from lm_server import LmServer

Refusal = Callable[..., CommandError]
TOO_LONG = {
    "message": "This model's maximum context length is 8192 tokens.",
    "type": "invalid_request_error",
    "code": "context_length_exceeded",
}
NO_MODEL = {
    "message": "The model `offline` does not exist",
    "type": "invalid_request_error",
    "code": "model_not_found",
}


@pytest.mark.parametrize(
    ("status", "error", "code", "category", "retryable", "provider"),
    [
        (401, {}, "authentication_failed", "python", False, None),
        (403, {}, "authentication_failed", "python", False, None),
        (429, {}, "rate_limited", "resource_error", True, "openai"),
        (400, {}, "model_refused", "python", False, None),
        (400, TOO_LONG, "context_length_exceeded", "python", False, None),
        (404, NO_MODEL, "model_not_found", "python", False, None),
        (500, {}, "model_unavailable", "connection", True, "openai"),
        (503, {}, "model_unavailable", "connection", True, "openai"),
    ],
)
def test_what_a_provider_says_is_a_typed_error(
    adapter: Dspy,
    session: Session,
    server: LmServer,
    refusal: Refusal,
    status: int,
    error: dict[str, Any],
    code: str,
    category: str,
    retryable: bool,
    provider: str | None,
) -> None:
    server.status = status
    server.error = {**server.error, **error}
    raised = refusal(adapter.predict, session, question="why")
    assert (raised.code, raised.category) == (code, category)
    assert (raised.retryable, raised.provider) == (retryable, provider)
    assert raised.retry_after is None
    assert server.error["message"] in str(raised)
    assert len(server.requests) == 1
    assert dict(session) == {}


def test_a_rate_limit_says_when_to_come_back(
    adapter: Dspy, session: Session, server: LmServer, refusal: Refusal
) -> None:
    server.status, server.retry_after = 429, "7"
    raised = refusal(adapter.predict, session, question="why")
    assert (raised.code, raised.retry_after) == ("rate_limited", 7)


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("cut", {"model_unreachable"}),
        ("half", {"model_unreachable", "malformed_response"}),
        ("no_json", {"malformed_response"}),
    ],
)
def test_a_broken_response_is_worth_another_try(
    adapter: Dspy,
    session: Session,
    server: LmServer,
    refusal: Refusal,
    fault: str,
    codes: set[str],
) -> None:
    server.fault = fault
    raised = refusal(adapter.predict, session, question="why")
    assert raised.code in codes
    assert raised.retryable
    assert raised.provider == "openai"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"choices": {}}', b'{"choices": [[]]}', b"5"])
def test_json_that_is_no_completion_is_a_malformed_response(
    adapter: Dspy, session: Session, server: LmServer, refusal: Refusal, body: bytes
) -> None:
    server.body = body
    raised = refusal(adapter.predict, session, question="why")
    assert (raised.code, raised.category) == ("malformed_response", "connection")
    assert (raised.retryable, raised.provider) == (True, "openai")
    assert len(server.requests) == 1


def test_what_a_caller_sends_is_not_its_providers_failure() -> None:
    error = dspy.LMUnexpectedError("surrogates not allowed", model="openai/m")
    error.__cause__ = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    typed = typed_error(error, "openai/m", "openai")
    assert typed is not None
    assert (typed.code, typed.provider, typed.retryable) == ("model_failed", None, False)


def test_an_answer_that_is_not_supported_is_paid_for_once(
    adapter: Dspy, session: Session, server: LmServer, refusal: Refusal
) -> None:
    choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": "why not"}}
    choices = [{**choice, "index": index} for index in range(2)]
    server.body = json.dumps({"id": "1", "model": "offline", "choices": choices}).encode()
    raised = refusal(adapter.predict, session, question="why")
    assert (raised.code, raised.retryable) == ("model_refused", False)
    assert len(server.requests) == 1


def test_an_unreachable_model_is_worth_another_try(adapter: Dspy, refusal: Refusal) -> None:
    nowhere = LanguageModel(2, "openai/offline", "http://127.0.0.1:1/v1", "sk-offline", None)
    raised = refusal(adapter.predict, session_of(FakeCall(nowhere)), question="why")
    assert (raised.code, raised.category) == ("model_unreachable", "connection")
    assert raised.retryable


def test_what_is_left_of_the_call_is_the_models_time(
    adapter: Dspy, call: FakeCall, server: LmServer, refusal: Refusal
) -> None:
    late = threading.Event()
    server.arrived = late.wait
    raised = refusal(adapter.predict, hurried(call), question="why")
    late.set()
    assert (raised.code, raised.category, raised.retryable) == ("model_timeout", "timeout", True)


def test_a_call_that_has_ended_asks_nothing_more(
    adapter: Dspy, session: Session, call: FakeCall, server: LmServer
) -> None:
    def end() -> None:
        call.cancelled = True

    server.arrived = end
    adapter.create_program(session, "p", "question -> answer", "react")
    with pytest.raises(CancelledError):
        adapter.execute_program(session, "p", {"question": "why"})
    assert len(server.requests) == 1


def test_an_answer_in_another_form_is_asked_for_as_json_and_then_an_error(
    adapter: Dspy, session: Session, server: LmServer, refusal: Refusal
) -> None:
    server.reply = lambda _: "I would rather not."
    raised = refusal(adapter.predict, session, question="why")
    assert (raised.code, raised.category, raised.retryable) == (
        "malformed_answer",
        "python",
        True,
    )
    assert "I would rather not." in str(raised)
    assert raised.provider is None
    assert len(server.requests) == 2


def test_an_answer_of_the_wrong_type_is_an_error(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    raised = refusal(adapter.predict, session, "question -> answer: int", question="why")
    assert raised.code == "malformed_answer"


def test_what_failed_is_charged_too(
    adapter: Dspy, session: Session, call: FakeCall, server: LmServer, refusal: Refusal
) -> None:
    server.reply = lambda _: "no"
    refusal(adapter.predict, session, question="why")
    assert call.usage == (14, 6)


def test_a_model_that_cannot_be_made_is_refused_when_it_is_set(refusal: Refusal) -> None:
    raised = refusal(Dspy().set_lm, LanguageModel(1, "openai/"))
    assert raised.code == "invalid_language_model"


def test_what_nobody_knows_does_not_count_against_the_provider() -> None:
    error = typed_error(dspy.LMError("what is this", model="m"), "openai/m", "openai")
    assert error is not None
    assert (error.code, error.provider, error.retryable) == ("model_failed", None, False)


@pytest.mark.parametrize(
    ("said", "said_provider", "model", "provider"),
    [
        (None, None, "openai/a", "openai"),
        ("openai/a", "openai-chat", "openai/a", "openai"),
        ("a", "openai", "openai/a", "openai"),
        ("openai/b", "openai-chat", "openai/b", "openai"),
        ("anthropic/a", None, "anthropic/a", "anthropic"),
        ("a", "anthropic", "a", "anthropic"),
        ("meta/a", "openrouter", "meta/a", "openrouter"),
        ("a", None, "a", None),
    ],
)
def test_who_has_failed_is_blamed(
    said: str | None, said_provider: str | None, model: str, provider: str | None
) -> None:
    raised = dspy.LMServerError("no", model=said, provider=said_provider)
    error = typed_error(raised, "openai/a", "openai")
    assert error is not None
    assert (error.code, error.provider) == ("model_unavailable", provider)
    assert str(error).startswith(f"{model}: ")


@pytest.mark.parametrize("language_model", [None, LanguageModel(9, "mistral/other")])
def test_a_programs_own_model_needs_no_other_and_has_its_own_failures(
    server: LmServer,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Refusal,
    language_model: LanguageModel | None,
) -> None:
    monkeypatch.setenv("PINNED_API_BASE", server.url)
    deployment = Dspy({"programs": {"pinned": "dspy_app:Pinned"}})
    call = FakeCall(language_model)
    arguments = (session_of(call), "pinned", {"question": "why"})
    answer = deployment.execute_program(*arguments)
    assert (answer["outputs"], call.usage) == ({"answer": "answer to why"}, (7, 3))
    server.status = 401
    raised = refusal(deployment.execute_program, *arguments)
    assert raised.code == "authentication_failed"
    assert "openai/pinned" in str(raised)
    server.status, server.body = 200, b"[]"
    raised = refusal(deployment.execute_program, *arguments)
    assert (raised.code, raised.provider) == ("malformed_response", "openai")


def test_a_model_that_nobody_holds_any_more_is_not_kept(server: LmServer) -> None:
    model = LanguageModel(5, "openai/offline", server.url, "sk-replaced")
    kept = weakref.ref(live_lm(model))
    assert live_lm(LanguageModel(5, "openai/offline", server.url, "sk-replaced")) is kept()
    del model
    gc.collect()
    assert kept() is None
