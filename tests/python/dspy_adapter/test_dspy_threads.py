"""Threads of a program: they belong to the call that has started them, and to no other."""

import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("dspy")

from dspool_worker import CancelledError, testing
from dspool_worker.adapters.dspy import Dspy
from dspool_worker.adapters.dspy.usage import Usage
from dspy_app import Straggler
from lm_server import LmServer

NAMES = {"crowd": "Crowd", "straggler": "Straggler", "tracking": "Tracking"}
SETTINGS = {"programs": {key: f"dspy_app:{name}" for key, name in NAMES.items()}}


@pytest.fixture
def pool(server: LmServer) -> Iterator[testing.Pool]:
    with testing.Pool(Dspy, SETTINGS, workers=1) as running:
        running.set_lm("openai/offline", api_base=server.url, api_key="sk-offline")
        yield running


def test_threads_of_a_cancelled_call_ask_nothing_more(pool: testing.Pool, server: LmServer) -> None:
    session = pool.session("s")
    both = threading.Barrier(2, action=session.cancel, timeout=60)
    ended = threading.Event()

    def arrived() -> None:
        both.wait()
        ended.wait(60)

    server.arrived = arrived
    others = set(threading.enumerate())
    try:
        with pytest.raises(testing.CallError) as raised:
            session.call(
                "execute_program",
                program_id="crowd",
                inputs={"question": "why", "count": 40},
            )
    finally:
        ended.set()
    assert raised.value.code == "cancelled"
    server.arrived = lambda: None
    for thread in set(threading.enumerate()) - others:
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(60)
            assert not thread.is_alive()
    assert len(server.requests) == 2


def test_a_thread_that_its_call_has_left_behind_asks_nothing(
    pool: testing.Pool, server: LmServer
) -> None:
    Straggler.freed.clear()
    session = pool.session("s")
    session.call("execute_program", program_id="straggler", inputs={"question": "why"})
    Straggler.freed.set()
    assert Straggler.thread is not None
    Straggler.thread.join(60)
    assert [type(error) for error in Straggler.raised] == [CancelledError]
    assert server.requests == []


def test_what_all_threads_use_is_counted(pool: testing.Pool, server: LmServer) -> None:
    arguments = {"program_id": "crowd", "inputs": {"question": "why", "count": 9}}
    answer = pool.session("s").execute("execute_program", arguments)
    assert answer.value["outputs"] == {"count": 9}
    assert len(server.requests) == 9
    assert (answer.input_tokens, answer.output_tokens) == (9 * 7, 9 * 3)


def test_what_a_program_tracks_itself_is_counted_too(pool: testing.Pool) -> None:
    arguments = {"program_id": "tracking", "inputs": {"question": "why"}}
    answer = pool.session("s").execute("execute_program", arguments)
    assert "'prompt_tokens': 7" in answer.value["outputs"]["usage"]
    assert (answer.input_tokens, answer.output_tokens) == (7, 3)


def test_usage_is_counted_until_the_call_ends() -> None:
    usage = Usage()
    usage.add_usage("a", {"prompt_tokens": 7, "completion_tokens": 3})
    usage.add_usage("b", {"prompt_tokens": None, "completion_tokens": -1})
    usage.add_usage("b", {"completion_tokens": 2})
    assert usage.get_total_tokens() == {
        "a": {"prompt_tokens": 7, "completion_tokens": 3},
        "b": {"prompt_tokens": 0, "completion_tokens": 2},
    }
    assert usage.end() == (7, 5)
    usage.add_usage("a", {"prompt_tokens": 7, "completion_tokens": 3})
    assert usage.end() == (7, 5)
