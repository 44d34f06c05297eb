"""The adapter of the load tester."""

from dspool_worker import Session
from dspool_worker.adapters.loadtest import LoadTest


def test_echo_returns_its_arguments() -> None:
    arguments = {"self": 1, "session": 2, "text": "x"}
    assert LoadTest().echo(Session(), **arguments) == arguments


def test_increment_tells_the_value_and_whose_it_is() -> None:
    adapter, session = LoadTest(), Session("s")
    assert adapter.increment(session) == {"value": 1, "session": "s"}
    assert adapter.increment(session, by=4) == {"value": 5, "session": "s"}
    assert adapter.read(session) == {"value": 5, "session": "s"}


def test_append_adds_to_the_history_and_length_reads_it() -> None:
    adapter, session = LoadTest(), Session("s", {"history": ["one"], "text": "abc"})
    adapter.append(session, item="two")
    assert session["history"] == ["one", "two"]
    assert adapter.length(session, key="history") == 2
    assert adapter.length(session) == 5


def test_work_takes_its_time() -> None:
    adapter, session = LoadTest(), Session()
    adapter.sleep(session, ms=0.1)
    assert adapter.burn_cpu(session, ms=0.1) > 0
