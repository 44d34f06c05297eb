"""Many sessions at once, on threads: each in a context of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("dspy")

from dspool_worker import LanguageModel
from dspool_worker.adapters.dspy import Dspy
from fake_call import FakeCall, session_of
from lm_server import LmServer, contents

SESSIONS = 64


def test_all_of_them_wait_for_the_model_at_once(adapter: Dspy, server: LmServer) -> None:
    """The model answers nobody before all have asked: one after the other, they would never end."""
    together = threading.Barrier(SESSIONS, timeout=60)
    server.arrived = together.wait

    def converse(number: int) -> tuple[dict[str, object], int]:
        model = LanguageModel(number, f"openai/model-{number % 4}", server.url, "sk-offline", None)
        session = session_of(FakeCall(model), f"s{number}")
        adapter.create_program(session, "p", f"question -> answer, of_{number % 8}")
        outputs = adapter.execute_program(session, "p", {"question": f"number {number}"})["outputs"]
        return outputs, len(session)

    with ThreadPoolExecutor(SESSIONS) as threads:
        results = list(threads.map(converse, range(SESSIONS)))
    assert results == [
        ({"answer": f"answer to number {n}", f"of_{n % 8}": f"of_{n % 8} to number {n}"}, 1)
        for n in range(SESSIONS)
    ]
    for request in server.requests:
        number = int(contents(request, "user")[-1].split("number ")[1].split()[0])
        assert request["model"] == f"model-{number % 4}"


def test_streams_run_at_once_too(adapter: Dspy, server: LmServer) -> None:
    """More of them than DSPy's own limit of threads."""
    count = 12
    together = threading.Barrier(count, timeout=60)
    server.arrived = together.wait

    def listen(number: int) -> tuple[str, str]:
        model = LanguageModel(1, "openai/offline", server.url, "sk-offline", None)
        call = FakeCall(model, streams=True)
        outputs = adapter.predict(session_of(call, f"s{number}"), question=f"number {number}")
        return outputs["answer"], "".join(chunk["text"] for chunk in call.chunks)

    with ThreadPoolExecutor(count) as threads:
        results = list(threads.map(listen, range(count)))
    assert results == [(f"answer to number {n}",) * 2 for n in range(count)]
