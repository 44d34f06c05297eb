"""How adapters are found, what counts as a command, and how errors are put into words."""

# ruff: noqa: ARG002, ARG004 - a command takes its session, whether it needs it or not

import re
import resource
from pathlib import Path
from typing import Any

import pytest
from dspool_worker import Adapter, CommandError, LanguageModel, Session
from dspool_worker.adapter import AdapterError, commands_of, load_adapter
from dspool_worker.errors import ErrorReport
from dspool_worker.host import AdapterHost


class Shop(Adapter):
    unit = "EUR"

    def buy(self, session: Session, /, item: str, count: int = 1) -> str:
        return f"{count} {item}"

    def stop_selling(self, session: Session, /) -> None:
        raise CommandError("sold out", code="sold_out", retryable=True)

    def _stock(self, session: Session, /) -> int:
        return 0

    @staticmethod
    def helper(session: Session) -> int:
        return 1

    @property
    def prices(self) -> dict[str, int]:
        return {}


def raised(command: Any, *args: Any, **kwargs: Any) -> BaseException:
    with pytest.raises(BaseException) as error:  # noqa: PT011
        command(*args, **kwargs)
    return error.value


def test_public_methods_are_commands_and_nothing_else() -> None:
    assert list(commands_of(Shop())) == ["buy", "stop_selling"]


def test_inherited_methods_are_commands_too() -> None:
    class Corner(Shop):
        def greet(self, session: Session, /) -> str:
            return "hello"

    assert list(commands_of(Corner())) == ["buy", "greet", "stop_selling"]


def test_a_command_without_a_session_is_refused() -> None:
    class Careless(Adapter):
        def buy(self) -> None:
            pass

    with pytest.raises(AdapterError, match=r"Careless\.buy\(\).* takes no session"):
        commands_of(Careless())


def test_an_async_command_is_refused() -> None:
    class Modern(Adapter):
        async def buy(self, session: Session, /) -> None:
            pass

    with pytest.raises(AdapterError, match="is async"):
        commands_of(Modern())


def test_loads_the_adapters_that_come_along() -> None:
    adapter = load_adapter("dspool_worker.adapters.loadtest:LoadTest")
    assert list(commands_of(adapter)) == [
        "append",
        "burn_cpu",
        "echo",
        "increment",
        "length",
        "measure",
        "read",
        "sleep",
    ]


@pytest.mark.parametrize("name", ["", "shop", "shop:", ":Shop", "shop:Shop()", "a:b:c"])
def test_a_name_that_is_no_path_is_refused(name: str) -> None:
    with pytest.raises((AdapterError, ValueError)):
        load_adapter(name)


def test_an_import_that_fails_tells_its_own_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fragile.py").write_text("import missing_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="missing_library"):
        load_adapter("fragile:Shop")


# ---- settings ----

TUNED = """
from dspool_worker import Adapter


class Tuned(Adapter):
    def __init__(self, settings):
        self.settings = settings

    def read(self, session, /):
        return self.settings


class Handing(Tuned):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Plain(Adapter):
    def __init__(self, *, debug=False):
        self.debug = debug

    def read(self, session, /):
        return self.debug
"""


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "tuned.py").write_text(TUNED)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "tuned"


@pytest.mark.parametrize("name", ["Tuned", "Handing"])
def test_an_adapter_that_takes_settings_gets_them(tuned: str, name: str) -> None:
    settings = {"model": {"name": "m", "sizes": [1, 2.5]}}
    adapter: Any = load_adapter(f"{tuned}:{name}", settings)
    assert adapter.settings == settings


def test_settings_that_nobody_wrote_are_empty(tuned: str) -> None:
    adapter: Any = load_adapter(f"{tuned}:Tuned")
    assert adapter.settings == {}


def test_settings_that_an_adapter_does_not_take_are_refused(tuned: str) -> None:
    assert load_adapter(f"{tuned}:Plain")
    with pytest.raises(AdapterError, match=r"Plain takes no settings, and there are a, b: remove"):
        load_adapter(f"{tuned}:Plain", {"b": 1, "a": 2})


# ---- errors ----


def describe(command: str, **kwargs: Any) -> ErrorReport:
    host = AdapterHost(Shop())
    return host.describe(raised(host.commands[command], Session(), **kwargs), command)


def test_a_refusal_keeps_its_code_and_words() -> None:
    report = describe("stop_selling")
    assert (report.category, report.code, report.message) == ("python", "sold_out", "sold out")
    assert report.retryable


def test_an_unknown_command_lists_the_known() -> None:
    report = AdapterHost(Shop()).unknown_command(b"bui")
    assert report.code == "unknown_command"
    assert "there is no command" in report.message
    assert "did you mean 'buy'?" in report.message
    assert "stop_selling" in report.message


def test_an_unknown_command_may_be_any_bytes() -> None:
    assert "\\xff" in AdapterHost(Shop()).unknown_command(b"\xff").message


def test_an_exception_that_cannot_be_printed_is_told_all_the_same() -> None:
    class Unprintable(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise ValueError

    report = AdapterHost(Shop()).describe(Unprintable(), "buy")
    assert "Unprintable" in report.message
    assert report.exception_type.endswith("Unprintable")


def test_what_runs_out_of_memory_is_told_what_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    host = AdapterHost(Shop())
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256 << 20, 256 << 20))
    report = host.describe(MemoryError(), "buy")
    assert (report.category, report.code) == ("resource_error", "out_of_memory")
    assert report.exception_type == "MemoryError"
    assert "limit is 256 MiB: raise worker.memory_limit" in report.message
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert "run fewer workers" in host.describe(MemoryError(), "buy").message


def test_reports_are_bounded() -> None:
    error = CommandError("ü" * 100_000, code="c" * 100_000)
    report = AdapterHost(Shop()).describe(error, "buy")
    assert sum(len(str(part).encode()) for part in report) < 32 * 1024
    assert report.message.endswith("...")


def test_retryable_may_be_anything_that_is_true_or_not() -> None:
    host = AdapterHost(Shop())
    vague: Any = re.search("later", "later")
    assert host.describe(CommandError("later", retryable=vague), "buy").retryable is True
    vague = re.search("later", "never")
    assert host.describe(CommandError("never", retryable=vague), "buy").retryable is False


def test_a_refusal_may_say_all_that_the_engine_acts_on() -> None:
    refusal = CommandError(
        "429",
        code="rate_limit",
        category="resource_error",
        retryable=True,
        retry_after=0.2501,
        provider="anthropic",
    )
    report = AdapterHost(Shop()).describe(refusal, "buy")
    assert (report.category, report.code, report.message) == ("resource_error", "rate_limit", "429")
    assert report.retryable
    assert report.retry_after_ms == 251
    assert report.provider == "anthropic"
    plain = AdapterHost(Shop()).describe(CommandError("closed"), "buy")
    assert (plain.category, plain.retry_after_ms, plain.provider) == ("python", 0, "")


def test_patience_has_a_bound() -> None:
    report = AdapterHost(Shop()).describe(CommandError("later", retry_after=1e12), "buy")
    assert report.retry_after_ms == 7 * 24 * 3600 * 1000


@pytest.mark.parametrize("category", ["", "Python", "initialization", "health_check", "later"])
def test_a_category_that_no_command_knows_of_is_refused(category: str) -> None:
    with pytest.raises(ValueError, match=r"known: connection, python, resource_error, session"):
        CommandError("no", category=category)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_patience_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="retry_after is a number of seconds"):
        CommandError("no", retry_after=seconds)


class Asking(Shop):
    """Knows what the errors of a library mean."""

    def describe_error(self, error: Exception) -> CommandError | None:
        if isinstance(error, CommandError):
            return CommandError("it was described twice", code="twice")
        if "outage" in str(error):
            return CommandError("it is down", code="down", retryable=True, provider="openai")
        if "bug" in str(error):
            raise RuntimeError("in the hook")
        return "nonsense" if "nonsense" in str(error) else None  # type: ignore[return-value]


def ask(command: Any) -> ErrorReport:
    return AdapterHost(Asking()).describe(raised(command), "buy")


def fail(error: Exception) -> None:
    raise error


def test_an_adapter_translates_what_a_library_raises() -> None:
    report = ask(lambda: fail(ValueError("outage")))
    assert (report.code, report.message, report.provider) == ("down", "it is down", "openai")
    assert report.retryable
    assert report.exception_type == "ValueError"
    assert "ValueError: outage" in report.traceback
    assert "it is down" not in report.traceback
    told = ask(lambda: fail(ValueError("no such thing")))
    assert (told.code, told.message) == ("exception", "ValueError: no such thing")
    assert not told.retryable


def test_a_refusal_needs_no_translation() -> None:
    assert ask(lambda: fail(CommandError("outage"))).code == "command_failed"


def test_what_runs_out_of_memory_may_be_translated_too() -> None:
    assert ask(lambda: fail(MemoryError("outage"))).code == "down"
    assert ask(lambda: fail(MemoryError())).code == "out_of_memory"


def test_a_hook_that_fails_costs_no_worker() -> None:
    report = ask(lambda: fail(ValueError("bug")))
    assert report.code == "exception"
    assert "ValueError: bug (and describe_error raised RuntimeError: in the hook)" in report.message
    report = ask(lambda: fail(ValueError("nonsense")))
    assert "(and describe_error returned a str)" in report.message


def test_keys_are_struck_out_of_errors() -> None:
    host = AdapterHost(Shop())
    assert host.set_language_model(1, "m", None, "sk-secret", None)[1] is None
    report = host.describe(ValueError("bad key sk-secret"), "buy")
    assert "sk-secret" not in "".join(map(str, report))
    assert "<api_key>" in report.message


def host_with_keys(*keys: str) -> AdapterHost:
    host = AdapterHost(Shop())
    for version, key in enumerate(keys, start=1):
        assert host.set_language_model(version, "m", None, key, None)[1] is None
    return host


@pytest.mark.parametrize("key", ["exception", "ValueError", "python"])
def test_a_key_leaves_the_words_alone_that_callers_act_on(key: str) -> None:
    report = host_with_keys(key).describe(ValueError(), "buy")
    assert (report.category, report.code) == ("python", "exception")
    assert report.exception_type == "ValueError"


def test_a_key_in_a_traceback_is_struck_out() -> None:
    error = raised(lambda: int("sk-secret"))
    report = host_with_keys("sk-secret").describe(error, "buy")
    assert "<api_key>" in report.traceback
    assert "sk-secret" not in report.traceback


def test_a_short_key_is_no_secret() -> None:
    report = host_with_keys("none", "1234567").describe(ValueError("none of 1234567"), "buy")
    assert report.message == "ValueError: none of 1234567"
    report = host_with_keys("12345678").describe(ValueError("none of 12345678"), "buy")
    assert report.message == "ValueError: none of <api_key>"


def test_a_key_that_begins_another_leaves_no_part_of_it() -> None:
    for keys in (["sk-secret", "sk-secret-two"], ["sk-secret-two", "sk-secret"]):
        report = host_with_keys(*keys).describe(ValueError("bad key sk-secret-two"), "buy")
        assert report.message == "ValueError: bad key <api_key>"


# Wherever a text is cut, no part of a key is left at its end.
def test_keys_are_struck_out_before_texts_are_cut() -> None:
    host = host_with_keys("sk-secret")
    for padding in range(8 * 1024 - 32, 8 * 1024 + 1):
        report = host.describe(CommandError("x" * padding + "sk-secret"), "buy")
        assert "sk-" not in report.message
    for padding in range(16 * 1024 - 40, 16 * 1024 + 1):
        report = host.describe(ValueError("sk-secret" + "x" * padding), "buy")
        assert not re.search("(secret|ecret|cret|ret|et)x", report.traceback)


def test_a_refusal_of_arguments_hides_keys_too() -> None:
    error = raised(Shop().buy, Session(), **{"sk-secret": 1}).with_traceback(None)
    report = host_with_keys("sk-secret").describe(error, "buy")
    assert report.code == "invalid_arguments"
    assert "'<api_key>'" in report.message


def test_a_language_model_hides_its_key() -> None:
    model = LanguageModel(1, "m", api_key="sk-secret")
    assert "sk-secret" not in repr(model)
    assert "sk-secret" not in str(model)


def test_an_adapter_that_refuses_a_language_model_is_reported() -> None:
    class Picky(Shop):
        def set_lm(self, language_model: LanguageModel) -> None:
            raise RuntimeError(f"no {language_model.api_key}")

    _, report = AdapterHost(Picky()).set_language_model(1, "m", None, "sk-secret", None)
    assert report is not None
    assert report.code == "set_lm_failed"
    assert "'m'" in report.message
    assert "sk-secret" not in "".join(map(str, report))


def test_an_empty_key_is_no_key() -> None:
    class Keeps(Shop):
        model: LanguageModel | None = None

        def set_lm(self, language_model: LanguageModel) -> None:
            self.model = language_model

    adapter = Keeps()
    told, _ = AdapterHost(adapter).set_language_model(3, "m", "http://x", None, 0.5)
    assert adapter.model is told
    assert told == LanguageModel(3, "m", "http://x", None, 0.5)


def test_a_key_is_forgotten_with_the_last_model_that_has_it() -> None:
    host = host_with_keys("sk-secret", "sk-secret", "sk-another")
    host.forget_language_model(1)
    host.forget_language_model(17)
    assert host.describe(ValueError("sk-secret"), "buy").message == "ValueError: <api_key>"
    host.forget_language_model(2)
    report = host.describe(ValueError("sk-secret, sk-another"), "buy")
    assert report.message == "ValueError: sk-secret, <api_key>"


def test_an_adapter_says_itself_why_it_refuses_a_language_model() -> None:
    class Picky(Shop):
        def set_lm(self, language_model: LanguageModel) -> None:
            raise CommandError(f"no {language_model.api_key}", code="invalid_language_model")

    _, report = AdapterHost(Picky()).set_language_model(1, "m", None, "sk-secret", None)
    assert report is not None
    assert (report.code, report.message) == ("invalid_language_model", "no <api_key>")


def test_a_hook_that_exits_costs_no_worker() -> None:
    class Exits(Shop):
        def describe_error(self, error: Exception) -> CommandError | None:
            raise SystemExit(1)

    report = AdapterHost(Exits()).describe(ValueError("bug"), "buy")
    assert report.code == "exception"
    assert "ValueError: bug (and describe_error raised SystemExit: 1)" in report.message
