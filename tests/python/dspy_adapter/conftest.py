"""What the tests of the dspy adapter share."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dspool_worker import CommandError, LanguageModel, Session
from fake_call import FakeCall, session_of
from lm_server import LmServer

MODEL = "openai/offline"


@pytest.fixture
def server() -> Iterator[LmServer]:
    with LmServer() as running:
        yield running


@pytest.fixture
def late(server: LmServer) -> Iterator[threading.Event]:
    """The model answers once this is set."""
    event = threading.Event()
    server.arrived = lambda: event.wait(60)
    yield event
    event.set()


@pytest.fixture
def language_model(server: LmServer) -> LanguageModel:
    return LanguageModel(1, MODEL, server.url, "sk-offline", 0.5)


@pytest.fixture(scope="session")
def adapter() -> Any:
    """One for all tests, as it is for all sessions of a worker."""
    from dspool_worker.adapters.dspy import Dspy

    return Dspy(
        {
            "tools": {
                "search": "dspy_app:search",
                "broken": "dspy_app:broken",
                "strange": "dspy_app:strange",
            },
            "programs": {"qa": "dspy_app:QA", "learner": "dspy_app:Learner", "odd": "dspy_app:Odd"},
        }
    )


@pytest.fixture
def call(language_model: LanguageModel) -> FakeCall:
    return FakeCall(language_model)


@pytest.fixture
def session(call: FakeCall) -> Session:
    return session_of(call)


@pytest.fixture
def anonymous(language_model: LanguageModel) -> Session:
    return session_of(FakeCall(language_model), "")


@pytest.fixture
def refusal() -> Callable[..., CommandError]:
    def refused(command: Any, *args: Any, **kwargs: Any) -> CommandError:
        with pytest.raises(CommandError) as error:
            command(*args, **kwargs)
        return error.value

    return refused
