"""DSPy's own engine, handed to it: what it is told to be able to do, what it counts, and whom it
leaves to DSPy."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("dspy")

import dspy
from dspool_worker import LanguageModel
from dspool_worker.adapters.dspy.engine import NativeEngine
from dspool_worker.adapters.dspy.language_models import NativeLM, PoolLM, live_lm
from dspy.clients.engines.lm15_engine import LM15Engine
from dspy.lm15 import Message, Response, TextPart, Usage
from lm_server import LmServer

MODELS = ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"]
MODELS += ["xai/grok-4", "groq/llama-3.3-70b-versatile", "openai/o3"]
USAGE = Usage(
    input_tokens=100,
    output_tokens=10,
    total_tokens=110,
    reasoning_tokens=5,
    cache_read_tokens=50,
    cache_write_tokens=20,
)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_told_to_be_able_to_do_what_it_can(model: str) -> None:
    language_model = LanguageModel(1, model, None, "sk-none")
    ours = live_lm(language_model)
    alone = dspy.LM(model, api_key="sk-none", cache=False)
    assert isinstance(ours, NativeLM)
    for ability in ("function_calling", "reasoning", "response_schema"):
        name = f"supports_{ability}"
        assert getattr(ours, name) == getattr(alone, name)
    assert ours.supported_params == alone.supported_params


def test_the_provider_is_asked_as_by_dspy_alone(
    server: LmServer, language_model: LanguageModel
) -> None:
    def ask(lm: dspy.LM) -> list[bytes]:
        server.bodies.clear()
        with dspy.context(lm=lm):
            dspy.Predict("question, n: int -> answer")(question="Why?", n=1)
            dspy.ChainOfThought("question -> answer", max_tokens=50)(question="Wöhin?")
            lm("why", temperature=0.1, n=2)
        return list(server.bodies)

    ours = live_lm(language_model)
    assert isinstance(ours, NativeLM)
    alone = dspy.LM(
        language_model.model,
        api_base=server.url,
        api_key=language_model.api_key,
        temperature=language_model.temperature,
        cache=False,
    )
    asked = ask(ours)
    assert len(asked) >= 3
    assert asked == ask(alone)


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted_as_dspy_counts_them(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_engine: LM15Engine, _request: object) -> Response:
        message = Message.assistant([TextPart("yes")])
        return Response(id=None, model="m", message=message, finish_reason="stop", usage=USAGE)

    monkeypatch.setattr(LM15Engine, "complete", answer)
    language_model = LanguageModel(1, model, None, "sk-none")
    counted = []
    for lm in (live_lm(language_model), dspy.LM(model, api_key="sk-none", cache=False)):
        with dspy.track_usage() as tracker, dspy.context(disable_history=True):
            assert lm("why") == ["yes"]
        entry = tracker.get_total_tokens()[model]
        counted.append([entry[name] for name in ("prompt_tokens", "completion_tokens")])
    assert counted[0] == counted[1]


@pytest.mark.parametrize("model", MODELS)
def test_streamed_tokens_are_counted_so_too(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dspy._vendor.lm15.types import StreamEndEvent, StreamStartEvent

    def stream(_engine: LM15Engine, _request: object) -> Iterator[Any]:
        yield StreamStartEvent()
        yield StreamEndEvent(finish_reason="stop", usage=USAGE)

    def answer(_engine: LM15Engine, _request: object) -> Response:
        message = Message.assistant([TextPart("yes")])
        return Response(id=None, model="m", message=message, finish_reason="stop", usage=USAGE)

    monkeypatch.setattr(LM15Engine, "stream", stream)
    monkeypatch.setattr(LM15Engine, "complete", answer)
    language_model = LanguageModel(1, model, None, "sk-none")
    engine = live_lm(language_model).engine
    assert isinstance(engine, NativeEngine)
    [_start, end] = engine.stream(None)
    assert end.usage == engine.complete(None).usage


def test_what_the_engine_does_not_take_is_asked_as_dspy_would(
    language_model: LanguageModel, server: LmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = live_lm(language_model)
    asked: list[Any] = []

    def ask(_lm: PoolLM, prompt: Any = None, **kwargs: Any) -> list[str]:
        asked.append((prompt, kwargs))
        return ["by the other"]

    monkeypatch.setattr(PoolLM, "__call__", ask)
    other_spelling = {"reasoning": {"effort": "low"}}
    assert lm("why", **other_spelling) == ["by the other"]
    assert asked == [("why", {"messages": None, **other_spelling})]
    assert not server.requests


def test_a_model_that_dspy_serves_otherwise_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    language_model = LanguageModel(1, "cohere/command-r", None, "sk-none")
    assert type(live_lm(language_model)) is PoolLM
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:1/v1")  # a gateway, for LiteLLM
    language_model = LanguageModel(1, "openai/gpt-4o-mini", None, "sk-none")
    assert type(live_lm(language_model)) is PoolLM


def test_a_copy_of_a_model_asks_over_its_connections(
    language_model: LanguageModel, server: LmServer
) -> None:
    lm = live_lm(language_model)
    for other in (lm.copy(temperature=0.9), copy.deepcopy(lm)):
        assert other.engine is lm.engine
        other("why")
    assert lm.copy(temperature=0.9).other.kwargs["temperature"] == 0.9
    assert [request["temperature"] for request in server.requests] == [0.9, 0.5]
    assert server.connections == 1


def test_a_saved_model_has_no_key(language_model: LanguageModel) -> None:
    lm = live_lm(language_model)
    assert lm.dump_state()["model"] == language_model.model
    assert "sk-offline" not in str(lm.dump_state()) + str(vars(lm)["kwargs"])
