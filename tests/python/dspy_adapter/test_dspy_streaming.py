"""Streaming: a model's text as it comes, by field and in order, ahead of the same answer."""

import logging
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("dspy")

from dspool_worker import CancelledError, CommandError, LanguageModel, command_log, testing
from dspool_worker.adapters.dspy import Dspy
from dspool_worker.adapters.dspy.streaming import FieldSplitter
from fake_call import FakeCall, session_of
from lm_server import LmServer


@pytest.fixture
def listening(language_model: LanguageModel) -> FakeCall:
    return FakeCall(language_model, streams=True)


def joined(chunks: list[Any]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for chunk in chunks:
        fields[chunk["field"]] = fields.get(chunk["field"], "") + chunk["text"]
    return fields


def test_chunks_are_the_answer_in_pieces(
    adapter: Dspy, listening: FakeCall, server: LmServer
) -> None:
    session = session_of(listening)
    outputs = adapter.predict(session, "question -> mood, my-field", question="a long question")
    assert outputs == {"mood": "mood to a long question", "my-field": "my-field to a long question"}
    assert joined(listening.chunks) == outputs
    assert len(listening.chunks) > 4
    fields = [chunk["field"] for chunk in listening.chunks]
    assert fields == sorted(fields, key=["mood", "my-field"].index)
    assert listening.usage == (7, 3)
    assert len(session["history"]) == 1
    assert server.requests[0]["stream"] is True


def test_programs_stream_what_they_answer(adapter: Dspy, listening: FakeCall) -> None:
    session = session_of(listening)
    adapter.create_program(session, "p", "question -> answer", "chain_of_thought")
    outputs = adapter.execute_program(session, "p", {"question": "why"})["outputs"]
    assert joined(listening.chunks) == outputs


def test_programs_of_the_deployment_stream_all_that_is_said(
    adapter: Dspy, listening: FakeCall
) -> None:
    adapter.execute_program(session_of(listening), "qa", {"question": "why"})
    assert joined(listening.chunks).keys() == {"query", "reasoning", "answer"}


def test_what_litellm_streams_is_counted_not_guessed(
    adapter: Dspy, server: LmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    async def acompletion(**arguments: Any) -> None:
        asked.append(arguments)
        raise ConnectionError("it is not there")

    # To import it takes longer than all other tests here.
    library = SimpleNamespace(acompletion=acompletion)
    monkeypatch.setattr("dspy.clients.lm._get_litellm", lambda: library)
    monkeypatch.setenv("OPENAI_API_BASE", server.url)  # DSPy's own engine does not take it then
    call = FakeCall(LanguageModel(1, "openai/offline", server.url, "sk-streamed"), streams=True)
    with pytest.raises(CommandError):
        adapter.predict(session_of(call), question="why")
    assert [arguments["stream_options"] for arguments in asked] == [{"include_usage": True}]


@pytest.fixture
def commands_log() -> Iterator[None]:
    """Records say whose they are, as in a worker."""
    factory, handler = logging.getLogRecordFactory(), logging.lastResort
    command_log.install()
    yield
    logging.setLogRecordFactory(factory)
    logging.lastResort = handler


@pytest.mark.usefixtures("commands_log")
@pytest.mark.parametrize("on_chunk", [None, lambda _: None])
def test_what_a_program_logs_is_its_sessions(
    server: LmServer, caplog: pytest.LogCaptureFixture, on_chunk: Any
) -> None:
    with testing.Pool(Dspy, {"programs": {"logging": "dspy_app:Logging"}}, workers=1) as pool:
        pool.set_lm("openai/offline", api_base=server.url, api_key="sk-offline")
        arguments = {"program_id": "logging", "inputs": {"question": "why"}}
        pool.session("user-42").execute("execute_program", arguments, on_chunk=on_chunk)
    logged = [record for record in caplog.records if record.name == "dspy_app"]
    assert [record.getMessage() for record in logged] == ["asked why"]
    assert [vars(record)["dspool_session"] for record in logged] == ["user-42"]
    assert vars(logged[0])["dspool_request"] > 0


def test_a_listener_that_goes_away_ends_it(adapter: Dspy, listening: FakeCall) -> None:
    def go_away(_: object) -> None:
        raise CancelledError("gone")

    listening.on_chunk = go_away
    session = session_of(listening)
    with pytest.raises(CancelledError):
        adapter.predict(session, question="why")
    assert len(listening.chunks) == 1
    assert dict(session) == {}


def test_a_stream_that_is_cut_is_an_error(
    adapter: Dspy, listening: FakeCall, server: LmServer, refusal: Any
) -> None:
    server.fault = "half"
    raised = refusal(adapter.predict, session_of(listening), question="why")
    assert raised.retryable
    assert raised.provider == "openai"


def test_a_model_that_refuses_streams_nothing(
    adapter: Dspy, listening: FakeCall, server: LmServer, refusal: Any
) -> None:
    server.status = 429
    raised = refusal(adapter.predict, session_of(listening), question="why")
    assert raised.code == "rate_limited"
    assert listening.chunks == []


TEXTS = [
    (
        "[[ ## a ## ]]\none\n\n[[ ## b ## ]]\ntwo\n\n[[ ## completed ## ]]\n",
        {"a": "one", "b": "two"},
    ),
    ("[[ ## a ## ]] on its line\n[[ ## b ## ]]\n[[1, 2]]\n", {"a": "on its line", "b": "[[1, 2]]"}),
    ("[[ ## a ## ]]\nx [[ ## b ## ]] y\n\n  z\n", {"a": "x [[ ## b ## ]] y\n\n  z"}),
    ("hello\n [[ ## a ## ]]\n[[ ##", {"a": "[[ ##"}),
    ("[[ ## a ## ]]\nq\n[[ ## secret ## ]]\nno\n[[ ## b ## ]]\nyes", {"a": "q", "b": "yes"}),
    ("I shall not.", {}),
]


@pytest.mark.parametrize(("text", "fields"), TEXTS)
def test_fields_are_found_however_the_text_is_cut(text: str, fields: dict[str, str]) -> None:
    for seed in range(50):
        draw = random.Random(seed)  # noqa: S311
        chunks: list[Any] = []
        splitter = FieldSplitter(chunks.append, {"a", "b"})
        at = 0
        while at < len(text):
            size = draw.randint(1, 7)
            splitter.feed(text[at : at + size])
            at += size
        splitter.end()
        assert joined(chunks) == fields, f"seed {seed}"


def test_a_long_text_is_not_held_back() -> None:
    chunks: list[Any] = []
    splitter = FieldSplitter(chunks.append, None)
    splitter.feed("[[ ## a ## ]]\nword")
    assert joined(chunks) == {"a": "word"}
    splitter.feed("\n[[ ## " + "b" * 100)
    assert len(joined(chunks)["a"]) > 100
