"""The test kit: an adapter behaves in it as in a worker."""

# ruff: noqa: ARG002 - a command takes its session, whether it needs it or not

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from dspool_worker import (
    Adapter,
    CancelledError,
    CommandError,
    LanguageModel,
    Session,
    testing,
    with_views,
)
from dspool_worker.adapter import AdapterError
from dspool_worker.command_log import CommandFormatter


class Cart(Adapter):
    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.seen = 0
        self.stopped = False
        self.meeting = threading.Barrier(2)

    def stop(self) -> None:
        self.stopped = True

    def describe_error(self, error: Exception) -> CommandError | None:
        if isinstance(error, TimeoutError):
            return CommandError("later", code="busy", retryable=True, retry_after=1.5)
        return None

    def add(self, session: Session, /, item: str, count: int = 1) -> int:
        if count < 1:
            raise CommandError("count is at least 1", code="invalid_count")
        items = session.setdefault("items", {})
        items[item] = items.get(item, 0) + count
        return sum(items.values())

    def note(self, session: Session, /, text: str) -> int:
        session.setdefault("notes", []).append(text)
        return len(session["notes"])

    def remove(self, session: Session, /, key: str) -> None:
        del session[key]

    def count_on_self(self, session: Session, /) -> int:
        self.seen += 1
        return self.seen

    def echo(self, session: Session, /, **args: Any) -> Any:
        return args

    def fail_after_change(self, session: Session, /, error: str) -> None:
        session["items"] = {"half": 1}
        raise {"value": ValueError, "type": TypeError, "timeout": TimeoutError}[error]("no")

    def return_set(self, session: Session, /) -> Any:
        session["items"] = 1
        return {"answers": [1, {"model": {1}}]}

    def put_set(self, session: Session, /) -> None:
        session["items"] = [{1}]

    def keep(self, session: Session, /) -> Any:
        for kept in self.kept:
            try:
                kept["items"]
            except RuntimeError as error:
                return str(error)
        self.kept.append(session)
        return None

    @with_views
    def view(self, session: Session, /, data: Any) -> Any:
        self.kept.append(data)
        return [type(data).__name__, data[:2]]

    def ask(self, session: Session, /, words: list[str]) -> str:
        session["asked"] = True
        for word in words:
            session.emit(word)
        session.add_usage(input_tokens=len(words), output_tokens=2)
        return " ".join(words)

    def model(self, session: Session, /) -> Any:
        lm = session.language_model
        return lm and [lm.model, lm.api_key]

    def wait_until_ended(self, session: Session, /) -> None:
        session["items"] = 1
        while True:
            session.check()
            time.sleep(0.001)

    def finish_too_late(self, session: Session, /) -> str:
        session["items"] = 1
        while session.time_left() != 0:
            time.sleep(0.001)
        return "nobody waits for this"

    def meet(self, session: Session, /) -> str:
        self.meeting.wait(timeout=60)
        return session.id

    def log(self, session: Session, /) -> tuple[str, int]:
        logging.getLogger("cart").warning("no %s", "tea")
        return session.id, session.request_id


@pytest.fixture
def pool() -> Iterator[testing.Pool]:
    with testing.Pool(Cart) as pool:
        yield pool


def test_commits_what_a_command_changed(pool: testing.Pool) -> None:
    cart = pool.session("user-42")
    assert cart.call("add", item="tea") == 1
    assert cart.call("add", item="cake", count=2) == 3
    assert cart.fields == {"items": {"cake": 2, "tea": 1}}
    assert (cart.id, cart.version) == ("user-42", 2)
    assert pool.session("other").fields == {}


def test_all_workers_see_every_commit(pool: testing.Pool) -> None:
    cart = pool.session("s")
    assert [cart.call("add", item="tea") for _ in range(5)] == [1, 2, 3, 4, 5]
    cart.call("note", text="a")
    assert cart.execute("remove", {"key": "notes"}).deletes == ["notes"]
    assert [cart.call("note", text="b") for _ in range(3)] == [1, 2, 3]
    assert cart.fields == {"items": {"tea": 5}, "notes": ["b", "b", "b"]}


def test_tells_changes_as_the_engine_gets_them(pool: testing.Pool) -> None:
    cart = pool.session("s")
    assert cart.execute("note", {"text": "a"}).puts == {"notes": ["a"]}
    second = cart.execute("note", {"text": "b"})
    assert (second.puts, second.deletes, second.appends) == ({}, [], {"notes": ["b"]})
    assert (second.value, second.version) == (2, 2)
    assert cart.execute("echo").version == 2


def test_values_are_what_the_codec_makes_of_them(pool: testing.Pool) -> None:
    assert pool.call("echo", b=(1, 2), a={"z": 1}) == {"a": {"z": 1}, "b": [1, 2]}
    with pytest.raises(TypeError, match=r"^args\.item is a set: use sorted"):
        pool.call("echo", item={1})


def test_an_error_is_the_callers_and_changes_nothing(pool: testing.Pool) -> None:
    cart = pool.session("s")
    cart.fill({"items": {"tea": 1}})
    with pytest.raises(testing.CallError) as refused:
        cart.call("add", item="tea", count=0)
    assert (refused.value.category, refused.value.code) == ("python", "invalid_count")
    assert refused.value.message == "count is at least 1"
    assert isinstance(refused.value.__cause__, CommandError)
    for error, code in {"value": "exception", "type": "exception", "timeout": "busy"}.items():
        with pytest.raises(testing.CallError) as refused:
            cart.call("fail_after_change", error=error)
        assert refused.value.code == code
        assert refused.value.traceback.splitlines()[1].strip().startswith(f'File "{__file__}"')
    assert (refused.value.retryable, refused.value.retry_after) == (True, 1.5)
    assert refused.value.exception_type == "TimeoutError"
    assert (cart.version, cart.fields) == (1, {"items": {"tea": 1}})


def test_arguments_that_do_not_fit_and_unknown_commands_are_refused(pool: testing.Pool) -> None:
    with pytest.raises(testing.CallError, match=r"call it as add\(item: str, count") as refused:
        pool.call("add", thing="tea")
    assert refused.value.code == "invalid_arguments"
    with pytest.raises(testing.CallError, match="did you mean 'add'") as refused:
        pool.call("ad")
    assert refused.value.code == "unknown_command"
    assert "add" in pool.commands


def test_what_is_no_value_is_told_by_its_place(pool: testing.Pool) -> None:
    cart = pool.session("s")
    with pytest.raises(testing.CallError, match=r"result\.answers\[1\]\.model is a set") as refused:
        cart.call("return_set")
    assert refused.value.code == "unserialisable_result"
    with pytest.raises(testing.CallError, match=r'session\["items"\]\[0\] is a set') as refused:
        cart.call("put_set")
    assert refused.value.code == "unserialisable_field"
    assert (cart.version, cart.fields) == (0, {})
    assert cart.call("add", item="tea") == 1


def test_each_command_of_a_session_runs_on_another_worker(pool: testing.Pool) -> None:
    one, other = pool.session("one"), pool.session("other")
    assert [one.call("count_on_self"), other.call("count_on_self")] == [1, 2]
    assert [one.call("count_on_self"), other.call("count_on_self")] == [1, 2]
    assert one.execute("echo").worker != one.execute("echo").worker
    assert len({id(adapter) for adapter in pool.adapters}) == 2


def test_a_restart_keeps_sessions_and_nothing_else(pool: testing.Pool) -> None:
    before = pool.adapters
    cart = pool.session("s")
    cart.call("add", item="tea")
    pool.restart()
    assert all(isinstance(adapter, Cart) and adapter.stopped for adapter in before)
    assert cart.call("count_on_self") == 1
    assert cart.call("add", item="tea") == 2


def test_an_evicted_session_is_read_anew() -> None:
    with testing.Pool(Cart, workers=1) as pool:
        cart = pool.session("s")
        cart.call("add", item="tea")
        cart.evict()
        assert cart.call("add", item="tea") == 2
        assert cart.version == 2


def test_a_session_ends_with_its_command() -> None:
    with testing.Pool(Cart, workers=1) as pool:
        assert pool.session("s").call("keep") is None
        assert "has ended: keep values" in pool.session("other").call("keep")
        assert "has ended: keep values" in pool.call("keep")


def test_nothing_is_kept_of_an_anonymous_call(pool: testing.Pool) -> None:
    assert pool.call("add", item="tea") == 1
    assert pool.call("add", item="tea") == 1
    answer = pool.execute("add", {"item": "tea"})
    assert (answer.version, answer.puts) == (0, {})


def test_views_end_with_their_command() -> None:
    with testing.Pool(Cart, workers=1) as pool:
        assert pool.call("view", data=b"long bytes") == ["memoryview", b"lo"]
        adapter = pool.adapters[0]
        assert isinstance(adapter, Cart)
        with pytest.raises(ValueError, match="released"):
            adapter.kept[0].tobytes()


def test_collects_chunks_and_usage(pool: testing.Pool) -> None:
    answer = pool.session("s").stream("ask", words=["a", "b"])
    assert (answer.value, answer.chunks) == ("a b", ["a", "b"])
    assert (answer.input_tokens, answer.output_tokens) == (2, 2)
    assert pool.session("s").execute("ask", {"words": ["a"]}).chunks == []


def test_a_listener_cancels(pool: testing.Pool) -> None:
    session = pool.session("s")
    heard: list[Any] = []

    def listen(chunk: Any) -> None:
        heard.append(chunk)
        session.cancel()

    with pytest.raises(testing.CallError) as ended:
        session.execute("ask", {"words": ["a", "b", "c"]}, on_chunk=listen)
    assert (ended.value.category, ended.value.code) == ("timeout", "cancelled")
    assert isinstance(ended.value.__cause__, CancelledError)
    assert (heard, session.fields) == (["a"], {})


def test_what_a_listener_raises_is_raised(pool: testing.Pool) -> None:
    def listen(chunk: Any) -> None:
        assert chunk == "b", "not what was expected"

    with pytest.raises(AssertionError, match="not what was expected"):
        pool.session("s").execute("ask", {"words": ["a", "b"]}, on_chunk=listen)
    assert pool.session("s").fields == {}


@pytest.mark.parametrize("command", ["wait_until_ended", "finish_too_late"])
def test_a_deadline_ends_the_call_and_takes_back_what_it_did(
    pool: testing.Pool, command: str
) -> None:
    session = pool.session("s")
    with pytest.raises(testing.CallError) as ended:
        session.execute(command, timeout_s=0.05)
    assert (ended.value.category, ended.value.code) == ("timeout", "deadline_exceeded")
    assert (session.version, session.fields) == (0, {})


def test_another_thread_cancels_a_call_that_others_wait_for(pool: testing.Pool) -> None:
    session = pool.session("s")
    ended: list[str] = []

    def wait() -> None:
        with pytest.raises(testing.CallError) as error:
            session.call("wait_until_ended")
        ended.append(error.value.code)

    thread = threading.Thread(target=wait)
    thread.start()
    runs = False
    while not runs:
        try:
            session.execute("echo", timeout_s=0.02)
        except testing.CallError as error:
            runs = "while it waited" in error.message
    session.cancel()
    thread.join()
    assert ended == ["cancelled"]
    assert session.call("echo") == {}


def test_language_models_of_the_pool_and_of_a_session(pool: testing.Pool) -> None:
    session = pool.session("s")
    assert session.call("model") is None
    pool.set_lm("openai/small", api_key="sk-secret")
    session.set_lm("openai/large")
    assert session.call("model") == ["openai/large", None]
    assert pool.session("t").call("model") == ["openai/small", "sk-secret"]


def test_set_lm_reaches_each_worker_once_and_may_refuse() -> None:
    class Picky(Cart):
        def set_lm(self, language_model: LanguageModel) -> None:
            self.kept.append(language_model.model)
            if language_model.model == "bad":
                raise ValueError(f"not {language_model.api_key}")

    with testing.Pool(Picky) as pool:
        pool.set_lm("good")
        for _ in range(4):
            pool.session("s").call("echo")
        assert [adapter.kept for adapter in pool.adapters] == [["good"], ["good"]]  # type: ignore[attr-defined]
        pool.set_lm("bad", api_key="sk-secret")
        with pytest.raises(testing.CallError) as refused:
            pool.session("s").call("echo")
        assert refused.value.code == "set_lm_failed"
        assert "sk-secret" not in refused.value.message + refused.value.traceback


def test_sessions_run_at_once_and_one_session_does_not() -> None:
    with testing.Pool(Cart, workers=1, max_in_flight=2) as pool:
        met: list[str] = []
        threads = [
            threading.Thread(target=lambda name=name: met.append(pool.session(name).call("meet")))
            for name in ("a", "b")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(met) == ["a", "b"]
        threads = [
            threading.Thread(target=pool.session("c").call, args=["add"], kwargs={"item": "x"})
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert pool.session("c").fields == {"items": {"x": 8}}


def test_a_session_called_from_its_own_command_is_an_error() -> None:
    class Inward(Adapter):
        def call(self, session: Session, /) -> None:
            inward.session("s").call("call")

    inward = testing.Pool(Inward)
    with pytest.raises(testing.CallError, match="would wait for ever"):
        inward.session("s").call("call")


def test_adapters_are_found_by_name_and_get_their_settings() -> None:
    class Configured(Adapter):
        def __init__(self, settings: dict[str, Any]) -> None:
            self.settings = settings

        def read(self, session: Session, /) -> Any:
            return self.settings

    assert testing.Pool(Configured, {"a": (1,)}).call("read") == {"a": [1]}
    assert testing.Pool("dspool_worker.adapters.loadtest:LoadTest").call("echo", a=1) == {"a": 1}
    with pytest.raises(AdapterError, match="takes no settings"):
        testing.Pool(Cart, {"a": 1})


@pytest.mark.parametrize("session_id", ["", "x" * 129, "ü" * 65])
def test_session_ids_are_bounded(pool: testing.Pool, session_id: str) -> None:
    with pytest.raises(ValueError, match="1 to 128 bytes"):
        pool.session(session_id)


def test_what_a_command_logs_names_session_and_request(
    pool: testing.Pool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dspool_worker import command_log

    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    factory = logging.getLogRecordFactory()
    command_log.install()
    try:
        session_id, request_id = pool.session("user\n42").call("log")
        logging.getLogger("cart").warning("no command")
    finally:
        logging.setLogRecordFactory(factory)
    lines = [CommandFormatter().format(record) for record in caplog.records]
    assert lines == [
        f"['user\\n42' #{request_id}] WARNING cart: no tea",
        "WARNING cart: no command",
    ]
    assert session_id == "user\n42"


class Meeting(Adapter):
    """Commands that wait, and a stop that does something."""

    on_stop: Any = staticmethod(lambda: None)

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()

    def stop(self) -> None:
        type(self).on_stop()

    def wait(self, session: Session, /) -> str:
        self.entered.set()
        assert self.leave.wait(60)
        return "waited"

    def who(self, session: Session, /) -> int:
        return id(self)


def _until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_call_that_waits_while_a_pool_restarts_is_answered_by_the_new_worker() -> None:
    class Restarted(Meeting):
        pass

    pool = testing.Pool(Restarted, workers=1)
    before = id(pool.adapters[0])
    late = pool.session("late")
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(late.call("who")), daemon=True)

    def call_meanwhile() -> None:
        Restarted.on_stop = staticmethod(lambda: None)
        caller.start()
        _until(lambda: late._record.turns == 1)  # it waits: the worker that stops has all slots

    Restarted.on_stop = staticmethod(call_meanwhile)
    pool.restart()
    caller.join(60)
    assert answers == [id(pool.adapters[0])]
    assert answers != [before]
    pool.close()


def test_a_call_that_waits_while_a_pool_closes_is_refused() -> None:
    pool = testing.Pool(Meeting, workers=1)
    adapter = pool.adapters[0]
    assert isinstance(adapter, Meeting)
    late = pool.session("late")
    ends: list[object] = []

    def call(session: testing.PoolSession, command: str) -> None:
        try:
            ends.append(session.call(command))
        except RuntimeError as error:
            ends.append(str(error))

    first = threading.Thread(target=call, args=(pool.session("first"), "wait"), daemon=True)
    second = threading.Thread(target=call, args=(late, "who"), daemon=True)
    closing = threading.Thread(target=pool.close, daemon=True)
    first.start()
    assert adapter.entered.wait(60)
    second.start()
    _until(lambda: late._record.turns == 1)
    closing.start()
    _until(lambda: not pool.adapters)
    adapter.leave.set()
    for thread in (first, second, closing):
        thread.join(60)
        assert not thread.is_alive()
    assert set(map(str, ends)) == {"waited", "this pool is closed"}
