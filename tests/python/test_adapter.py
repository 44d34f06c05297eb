"""How adapters are found, what counts as a command, and how errors are put into words."""

# ruff: noqa: ARG002, ARG004 - a command takes its session, whether it needs it or not

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
    assert list(commands_of(adapter)) == ["burn_cpu", "echo", "increment", "read", "sleep"]


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


def test_reports_are_bounded() -> None:
    error = CommandError("ü" * 100_000, code="c" * 100_000)
    report = AdapterHost(Shop()).describe(error, "buy")
    assert sum(len(str(part).encode()) for part in report) < 32 * 1024
    assert report.message.endswith("...")


def test_keys_are_struck_out_of_errors() -> None:
    host = AdapterHost(Shop())
    assert host.set_language_model(1, "m", None, "sk-secret", None) is None
    report = host.describe(ValueError("bad key sk-secret"), "buy")
    assert "sk-secret" not in "".join(map(str, report))
    assert "<api_key>" in report.message


def test_a_language_model_hides_its_key() -> None:
    model = LanguageModel(1, "m", api_key="sk-secret")
    assert "sk-secret" not in repr(model)
    assert "sk-secret" not in str(model)


def test_an_adapter_that_refuses_a_language_model_is_reported() -> None:
    class Picky(Shop):
        def set_lm(self, language_model: LanguageModel) -> None:
            raise RuntimeError(f"no {language_model.api_key}")

    report = AdapterHost(Picky()).set_language_model(1, "m", None, "sk-secret", None)
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
    AdapterHost(adapter).set_language_model(3, "m", "http://x", None, 0.5)
    assert adapter.model == LanguageModel(3, "m", "http://x", None, 0.5)
