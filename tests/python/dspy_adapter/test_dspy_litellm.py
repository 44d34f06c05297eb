"""Models that DSPy does not serve by its own engine: LiteLLM itself asks them, over real HTTP."""

import importlib.util
import threading
from collections.abc import Callable

import pytest

pytest.importorskip("dspy")
if importlib.util.find_spec("litellm") is None:
    pytest.skip("LiteLLM is not installed", allow_module_level=True)

from dspool_worker import CancelledError, CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy import Dspy
from fake_call import FakeCall, hurried, session_of
from lm_server import LmServer

Refusal = Callable[..., CommandError]


@pytest.fixture
def language_model(server: LmServer) -> LanguageModel:
    return LanguageModel(1, "mistral/mistral-small", server.url, "sk-offline", 0.5)


def test_an_answer_and_its_tokens_come_back(
    adapter: Dspy, call: FakeCall, session: Session, server: LmServer
) -> None:
    assert adapter.predict(session, question="why") == {"answer": "answer to why"}
    assert call.usage == (7, 3)
    assert server.requests[0]["model"] == "mistral-small"
    assert server.requests[0]["temperature"] == 0.5
    assert len(session["history"]) == 1


def test_it_streams(adapter: Dspy, language_model: LanguageModel, server: LmServer) -> None:
    listening = FakeCall(language_model, streams=True)
    outputs = adapter.predict(session_of(listening), question="a long question")
    assert "".join(chunk["text"] for chunk in listening.chunks) == outputs["answer"]
    assert len(listening.chunks) > 1
    assert server.requests[0]["stream"] is True


@pytest.mark.parametrize(
    ("status", "code", "retryable", "provider"),
    [
        (401, "authentication_failed", False, None),
        (429, "rate_limited", True, "mistral"),
        (400, "model_refused", False, None),
        (500, "model_unavailable", True, "mistral"),
    ],
)
def test_what_a_provider_says_is_a_typed_error(
    adapter: Dspy,
    session: Session,
    server: LmServer,
    refusal: Refusal,
    status: int,
    code: str,
    retryable: bool,
    provider: str | None,
) -> None:
    server.status, server.retry_after = status, "7"
    raised = refusal(adapter.predict, session, question="why")
    assert (raised.code, raised.retryable, raised.provider) == (code, retryable, provider)
    assert raised.retry_after == (7 if retryable else None)
    assert len(server.requests) == 1, "the engine owns retries"
    assert "sk-offline" not in str(raised)
    assert dict(session) == {}


def test_a_cancelled_call_does_not_wait_for_it(
    adapter: Dspy, call: FakeCall, session: Session, server: LmServer, late: threading.Event
) -> None:
    def arrived() -> None:
        call.cancelled = True
        late.wait(60)

    server.arrived = arrived
    with pytest.raises(CancelledError):
        adapter.predict(session, question="why")


@pytest.mark.usefixtures("late")
def test_a_call_that_is_out_of_time_does_not_either(
    adapter: Dspy, call: FakeCall, refusal: Refusal
) -> None:
    raised = refusal(adapter.predict, hurried(call), question="why")
    assert raised.code == "model_timeout"
