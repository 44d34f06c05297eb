"""Requests end with the call that they are made for, wherever they wait.

The model never answers here before the test allows it, so a request that waited for it would be
answered in the end, and fail the test.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("dspy")

import anyio.from_thread
from dspool_worker import CancelledError, CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy import Dspy, language_models
from dspool_worker.adapters.dspy.running import Running
from dspool_worker.adapters.dspy.streaming import run_streaming
from fake_call import FakeCall, hurried, session_of
from lm_server import LmServer

Refusal = Callable[..., CommandError]
Ask = Callable[[Dspy, Session], Any]
LATE_S = 60


@pytest.fixture(scope="module")
def deployment() -> Dspy:
    return Dspy({"programs": {"async": "dspy_app:Async", "threads": "dspy_app:Threads"}})


def predict(deployment: Dspy, session: Session) -> Any:
    return deployment.predict(session, question="why")


def asynchronous(deployment: Dspy, session: Session) -> Any:
    return deployment.execute_program(session, "async", {"question": "why"})


def threads(deployment: Dspy, session: Session) -> Any:
    return deployment.execute_program(session, "threads", {"question": "why"})


every_way = pytest.mark.parametrize("ask", [predict, asynchronous, threads])


@pytest.fixture(params=["dspy", "litellm"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whose engine serves; LiteLLM's place is taken by DSPy's own, untouched."""
    if request.param == "litellm":
        monkeypatch.setattr(language_models, "native_engine", lambda _lm: None)
    return str(request.param)


@pytest.fixture
def language_model(engine: str, server: LmServer) -> LanguageModel:
    return LanguageModel(1, "openai/offline", server.url, f"sk-{engine}")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Takes connections, and never reads or writes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@every_way
@pytest.mark.parametrize("streams", [False, True])
def test_a_cancelled_call_does_not_wait_for_its_model(
    deployment: Dspy,
    ask: Ask,
    engine: str,
    language_model: LanguageModel,
    server: LmServer,
    streams: bool,
) -> None:
    if streams and ask is predict and engine == "litellm":
        pytest.skip("LiteLLM streams from an event loop")
    call = FakeCall(language_model, streams=streams)
    late = threading.Event()

    def arrived() -> None:
        call.cancelled = True
        late.wait(LATE_S)

    server.arrived = arrived
    try:
        with pytest.raises(CancelledError):
            ask(deployment, session_of(call))
        assert server.requests
    finally:
        late.set()


def test_a_stream_from_an_event_loop_ends_with_its_call(call: FakeCall) -> None:
    ended = threading.Event()

    async def stream() -> None:
        call.cancelled = True
        try:
            await asyncio.sleep(LATE_S)
        finally:
            ended.set()

    def program() -> None:
        anyio.from_thread.run(stream)  # as DSPy does for LiteLLM

    running = Running(session_of(call))
    with pytest.raises(CancelledError):
        run_streaming(program, call.emit, None, running)
    assert ended.is_set()


@every_way
@pytest.mark.parametrize("fault", [None, "drip", "drip_head"])
def test_no_wait_is_longer_than_the_call(
    deployment: Dspy,
    ask: Ask,
    call: FakeCall,
    server: LmServer,
    late: threading.Event,
    refusal: Refusal,
    fault: str | None,
) -> None:
    if fault is not None:
        server.fault = fault
        late.set()
    if ask is threads:  # where DSPy makes None of what raises
        assert ask(deployment, hurried(call))["outputs"] == {"answers": [None, None]}
        return
    raised = refusal(ask, deployment, hurried(call))
    assert (raised.code, raised.category, raised.retryable) == ("model_timeout", "timeout", True)
    assert raised.provider == "openai"
    assert "than the call had left" in str(raised)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_does_not_read_or_shake_hands_is_not_waited_for(
    adapter: Dspy, engine: str, listener: socket.socket, refusal: Refusal, scheme: str
) -> None:
    address = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1"
    call = FakeCall(LanguageModel(1, "openai/offline", address, f"sk-{engine}"))
    question = "why " * (4 << 20)  # more than the kernel takes without a reader
    raised = refusal(adapter.predict, hurried(call), question=question)
    assert raised.code == "model_timeout"
    threading.Timer(0.1, setattr, (call, "cancelled", True)).start()
    with pytest.raises(CancelledError):
        adapter.predict(session_of(call), question=question)


def test_a_connection_is_used_again_unless_its_request_was_given_up(
    adapter: Dspy, engine: str, call: FakeCall, server: LmServer
) -> None:
    late = threading.Event()

    def arrived() -> None:
        call.cancelled = True
        late.wait(LATE_S)

    server.arrived = arrived
    with pytest.raises(CancelledError):
        adapter.predict(session_of(call), question="why")
    server.arrived = lambda: None
    late.set()
    call.cancelled = False
    for question in ("what", "where", "who"):
        answer = adapter.predict(session_of(call, question), question=question)
        assert answer == {"answer": f"answer to {question}"}
    if engine == "dspy":
        assert server.connections == 2


def test_a_call_without_a_deadline_may_take_long(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    server.arrived = lambda: time.sleep(0.35)  # several times as long as a wait
    assert session.deadline is None
    assert adapter.predict(session, question="why") == {"answer": "answer to why"}
