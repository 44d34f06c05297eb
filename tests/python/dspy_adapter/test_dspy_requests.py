"""Requests of programs: where they go, and how long they may take, however a program asks."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("dspy")

from dspool_worker import CancelledError, CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy import Dspy, language_models
from dspool_worker.adapters.dspy.running import whole_timeout_s
from fake_call import FakeCall, hurried, session_of
from lm_server import LmServer

Refusal = Callable[..., CommandError]


@pytest.fixture(scope="module")
def deployment() -> Dspy:
    names = {"open": "Open", "configured": "Configured", "async": "Async", "threads": "Threads"}
    return Dspy({"programs": {key: f"dspy_app:{name}" for key, name in names.items()}})


@pytest.mark.parametrize(
    "reserved",
    [
        {"config": {"api_base": "http://127.0.0.1:1"}},
        {"signature": "question -> answer: list[os.PathLike]"},
        {"demos": [{"question": "a", "answer": "b"}]},
        {"lm": "openai/other"},
        {"max_iters": 10**9},
        {"new_signature": "a -> b"},
        {"prediction": {"type": "content", "content": "x"}},
        {"args": [1]},
        {"_trace": False},
    ],
    ids=lambda reserved: next(iter(reserved)),
)
def test_what_dspy_takes_beside_inputs_is_no_clients(
    deployment: Dspy, session: Session, server: LmServer, refusal: Refusal, reserved: dict[str, Any]
) -> None:
    error = refusal(deployment.execute_program, session, "open", {"question": "why", **reserved})
    assert error.code == "invalid_inputs"
    assert next(iter(reserved)) in str(error)
    assert not server.requests
    outputs = deployment.execute_program(session, "open", {"question": "why"})["outputs"]
    assert outputs == {"answer": "answer to why"}


def test_a_key_goes_nowhere_but_to_its_own_server(
    deployment: Dspy, session: Session, server: LmServer, refusal: Refusal
) -> None:
    with LmServer() as other:
        for config in (
            {"api_base": other.url},
            {"base_url": other.url},
            {"headers": {"x": "y"}},
            {"extra_headers": {"x": "y"}},
            {"api_key": "sk-of-another"},
            {"model_list": []},
            {"custom_llm_provider": "anthropic"},
        ):
            inputs = {"question": "why", "config": config}
            error = refusal(deployment.execute_program, session, "configured", inputs)
            assert error.code == "invalid_config"
            assert "set_lm" in str(error)
        assert not other.requests
    assert not server.requests
    inputs = {"question": "why", "config": {"temperature": 0.9}}
    deployment.execute_program(session, "configured", inputs)
    assert server.requests[0]["temperature"] == 0.9


def test_no_timeout_is_longer_than_the_call_by_more_than_a_second() -> None:
    for left in (-1, 0, 0.2, 1, 59.5, 60, 61, 64.9, 119, 3600.5):
        assert 1 <= whole_timeout_s(left) <= max(0, left) + 1
        assert whole_timeout_s(left) > left - 5
    assert len({whole_timeout_s(tenths / 10) for tenths in range(6000)}) < 180


class Patient(Session):
    """A session whose call has much time left."""

    __slots__ = ()

    @property
    def deadline(self) -> float:
        return time.monotonic() + 600


@pytest.mark.parametrize("kind", [Session, Patient])
@pytest.mark.parametrize("native", [True, False])
def test_a_program_may_wait_for_less_than_its_call(
    deployment: Dspy,
    server: LmServer,
    refusal: Refusal,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Session],
    native: bool,
) -> None:
    if not native:
        monkeypatch.setattr(language_models, "native_engine", lambda _lm: None)
    late = threading.Event()
    server.arrived = lambda: late.wait(60)
    session = kind("s")
    session.call = FakeCall(LanguageModel(1, "openai/offline", server.url, f"sk-hasty-{native}"))
    inputs = {"question": "why", "config": {"timeout": 0.3}}
    raised = refusal(deployment.execute_program, session, "configured", inputs)
    assert not late.is_set()
    late.set()
    assert (raised.code, raised.retryable) == ("model_timeout", True)


def test_asynchronous_requests_end_with_the_call(
    deployment: Dspy, call: FakeCall, server: LmServer, refusal: Refusal
) -> None:
    late = threading.Event()
    server.arrived = lambda: late.wait(60)
    raised = refusal(deployment.execute_program, hurried(call), "async", {"question": "why"})
    late.set()
    assert raised.code == "model_timeout"


def test_asynchronous_requests_are_not_begun_for_a_call_that_has_ended(
    deployment: Dspy, session: Session, call: FakeCall, server: LmServer
) -> None:
    def end() -> None:
        call.cancelled = True

    server.arrived = end
    with pytest.raises(CancelledError):
        deployment.execute_program(session, "async", {"question": "why"})
    assert len(server.requests) == 1


@pytest.mark.parametrize("program", ["async", "threads"])
def test_what_is_not_asked_on_the_programs_thread_does_not_stream(
    deployment: Dspy, language_model: LanguageModel, program: str
) -> None:
    quiet = session_of(FakeCall(language_model))
    call = FakeCall(language_model, streams=True)
    arguments = (program, {"question": "why"})
    expected = deployment.execute_program(quiet, *arguments)["outputs"]
    assert expected in ({"answer": "answer to why"}, {"answers": ["answer to why"] * 2})
    assert deployment.execute_program(session_of(call), *arguments)["outputs"] == expected
    assert call.chunks == []
