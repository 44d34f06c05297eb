"""A language model that the engine has taken back leaves nothing of it in a worker."""

import gc
import secrets
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("dspy")

from dspool_worker import CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy import Dspy
from dspool_worker.adapters.dspy.language_models import live_lm
from dspool_worker.host import AdapterHost
from fake_call import FakeCall, session_of
from lm_server import LmServer


@pytest.fixture
def host() -> AdapterHost:
    programs = {"qa": "QA", "async": "Async", "threads": "Threads", "learner": "Learner"}
    return AdapterHost(Dspy({"programs": {key: f"dspy_app:{n}" for key, n in programs.items()}}))


def use(host: AdapterHost, model: LanguageModel, server: LmServer) -> None:
    """Every way in which a call asks a model, and fails to."""
    adapter = host.adapter
    for streams in (False, True):
        call = FakeCall(model, streams=streams)
        session = session_of(call)
        adapter.predict(session, question="why")
        adapter.predict(session, "question -> answer", question="why")
        adapter.create_program(session, "p", "question -> answer", "react")
        adapter.execute_program(session, "p", {"question": "why"})
        for program in ("qa", "async", "threads", "learner"):
            adapter.execute_program(session, program, {"question": "why"})
        server.status = 401
        with pytest.raises(CommandError):
            adapter.predict(session, question="why")
        server.status = 200


def holders(key: str) -> Iterator[Any]:
    """The language models that are still there with this key, and what holds the key itself."""
    gc.collect()
    for held in gc.get_objects():
        if isinstance(held, LanguageModel):
            if held.api_key == key:
                yield held
        elif type(held) is dict:
            values = list(held.values())  # at once: another thread may add some
            if any(isinstance(value, str) and key in value for value in values):
                yield held


@pytest.mark.parametrize("refused", [False, True], ids=["replaced", "replacement_refused"])
def test_a_forgotten_model_is_gone_with_its_key_and_its_connections(
    host: AdapterHost, server: LmServer, refused: bool
) -> None:
    key = f"sk-{secrets.token_hex(8)}"  # nowhere else
    model, report = host.set_language_model(1, "openai/offline", server.url, key, None)
    assert report is None
    use(host, model, server)
    assert server.requests
    assert list(holders(key))
    lm = live_lm(model)
    made = [weakref.ref(each) for each in (model, lm, lm.other, lm.engine)]
    del lm
    # As the engine does: one is forgotten when another comes.
    host.forget_language_model(1)
    replacement = "openai/" if refused else "openai/offline"
    host.set_language_model(2, replacement, server.url, "sk-replacement", None)
    del model
    for _ in range(200):  # threads that a program had started may still be ending
        gc.collect()
        if not any(each() for each in made):
            break
        time.sleep(0.05)
    assert [each() for each in made] == [None] * len(made)
    assert [type(held) for held in holders(key)] == []


def test_a_model_without_a_session_is_the_last_that_was_set(
    host: AdapterHost, server: LmServer
) -> None:
    host.adapter.set_lm(LanguageModel(1, "openai/offline", server.url, "sk-first"))
    host.adapter.set_lm(LanguageModel(2, "openai/offline", server.url, "sk-second"))
    assert host.adapter.predict(Session(), question="why") == {"answer": "answer to why"}
