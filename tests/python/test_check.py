"""What `python -m dspool_worker --check` says of adapters that are wrong, or are not."""

import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from dspool_worker.check import CheckReport, Finding, check_adapter

Check = Callable[[str], CheckReport]
PRELUDE = """
from __future__ import annotations
import dataclasses, datetime, enum, threading, typing
from collections.abc import Iterator, Mapping, Sequence
from typing import *
from dspool_worker import Adapter, Session, with_views
"""
NUMBERS = itertools.count()


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Checks the adapter `A` of a module with this text."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def check_text(text: str) -> CheckReport:
        module = f"checked_{next(NUMBERS)}"
        (tmp_path / f"{module}.py").write_text(PRELUDE + textwrap.dedent(text))
        report = check_adapter(f"{module}:A")
        # Of this process, in which other tests may have left a thread.
        report.findings = [each for each in report.findings if each.code != "cannot_be_forked"]
        return report

    return check_text


def only(report: CheckReport) -> Finding:
    assert len(report.findings) == 1, report.as_text()
    return report.findings[0]


def test_a_good_adapter_is_told_with_its_commands(check: Check) -> None:
    report = check(
        """
        class Item(TypedDict):
            name: str

        class A(Adapter):
            def __init__(self) -> None:
                self._lock = threading.Lock()
                self._cache: dict[str, int] = {}

            def start(self) -> None:
                self.client = object()

            def add(
                self, session: Session, /, item: str, count: int = 1, more: Item | None = None
            ) -> dict[str, list[int | None]]:
                '''Adds to the cart.

                And more.
                '''
                with self._lock:
                    self._cache[item] = count
                return {}

            def all(self, session, /, **filters: Any) -> tuple[Literal["a"], Sequence[float]]:
                return ("a", [])

            @with_views
            def show(self, _session: Mapping[str, Any], data: memoryview) -> object: ...
        """
    )
    assert report.findings == []
    assert report.ok
    usages = {command.name: command for command in report.commands}
    assert usages["add"].usage.startswith("add(item: ")
    assert usages["add"].summary == "Adds to the cart."
    assert list(usages) == ["add", "all", "show"]


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("async def c(self, session, /): ...", "async_command", "asyncio.run"),
        ("def c(self, session, /): yield 1", "generator_command", "session.emit"),
        ("def c(self): ...", "missing_session", "takes no session"),
        ("def c(self, item: str): ...", "missing_session", "session as `item`"),
        ("def c(self, *, session): ...", "missing_session", "/, ..."),
        ("def c(self, session, item, /): ...", "positional_only", "behind the session"),
        ("def c(self, session, /, *a): ...", "positional_only", "`*a`, which is always empty"),
        ("def c(self, session, **a): ...", "session_by_name", "def c(self, session, /"),
        ("def c(self, session, /, a=[]): ...", "mutable_default", "a=None"),
        ("def c(self, session, /, a: set[int]): ...", "argument_type", "`a` is never a set"),
        ("def c(self, session, /, a: Custom): ...", "argument_type", "`a` is never a Custom"),
        ("def c(self, session, /, a: tuple[int, int]): ...", "argument_type", "never a tuple"),
        ("def c(self, session, /, a: list[datetime.date]): ...", "argument_type", "never a date"),
        ("def c(self, session, /, a: dict[int, str]): ...", "argument_type", "keys that are not"),
        ("def c(self, session, /, a: Names): ...", "argument_type", "`a` is never a set"),
        ("def c(self, session, /, a: memoryview): ...", "argument_type", "never a memoryview"),
        ("def c(self, session, /) -> Custom: ...", "result_type", "dataclasses.asdict(value)"),
        ("def c(self, session, /) -> Iterator[int]: ...", "result_type", "is an Iterator"),
        ("def c(self, session, /) -> list[set[str]] | None: ...", "result_type", "sorted(value)"),
        ("def c(self, session, /) -> datetime.datetime: ...", "result_type", "isoformat()"),
        ("def c(self, session, /): self.seen = 1", "state_on_self", "`self.seen`"),
        ("def c(self, session, /): self.seen[1] += 1", "state_on_self", "`self.seen`"),
        ("def c(self, session, /): self.a.b.append(1)", "state_on_self", "`self.a`"),
        ("def c(self, session, /): del self.seen", "state_on_self", "max_in_flight"),
        ("def setup(self, session, /): ...", "looks_like_a_hook", "called start"),
        (
            "def start(self, pool): ...\n    def c(self, session, /): ...",
            "bad_hook",
            "def start(self)",
        ),
        (
            "async def stop(self): ...\n    def c(self, session, /): ...",
            "bad_hook",
            "def stop(self)",
        ),
        (
            "@staticmethod\n    def d(session): ...\n    def c(self, session, /): ...",
            "no_command",
            "staticmethod",
        ),
        ("x = 1", "no_adapter", "has no public method"),
        (
            "def __init__(self): raise OSError('no file')\n    def c(self, session, /): ...",
            "construction_failed",
            "OSError: no file",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_fix(check: Check, text: str, code: str, told: str) -> None:
    custom = "@dataclasses.dataclass\nclass Custom: ...\nNames = NewType('Names', set)\n"
    finding = only(check(f"{custom}class A(Adapter):\n    {text}\n"))
    assert finding.code == code
    assert told in f"{finding.message}: {finding.fix}"
    assert finding.fix


@pytest.mark.parametrize(
    "text",
    [
        "def c(self, session, /, a: str | Custom, b: Sequence[Any] = ()): ...",
        "def c(self, session, /, a: Name, b: 'NotThere'): ...",
        "def c(self, session, /) -> Colour: ...",
        "def c(self, session, /) -> Mapping[str, Any]: ...",
        "def c(self, session, /): self.seen",
        "def c(self, session, /): session['a'] = self.names.get('a')",
    ],
)
def test_what_is_in_doubt_is_let_pass(check: Check, text: str) -> None:
    more = (
        "class Custom: ...\nclass Colour(str, enum.Enum): RED = 'r'\nName = NewType('Name', str)\n"
    )
    report = check(f"{more}class A(Adapter):\n    {text}\n")
    assert report.findings == [], report.as_text()


def test_all_is_told_at_once(check: Check) -> None:
    report = check(
        """
        class A(Adapter):
            async def a(self, session, /): ...
            def b(self): ...
            def c(self, session, /): self.seen = 1
        """
    )
    assert [each.code for each in report.findings] == [
        "async_command",
        "missing_session",
        "state_on_self",
    ]
    assert not report.ok
    assert report.as_text().splitlines()[-1] == "  2 errors, 1 warning"
    assert f"A.b ({report.adapter.partition(':')[0]}.py:" in report.as_text()


def test_a_warning_is_no_hindrance(check: Check) -> None:
    assert check("class A(Adapter):\n    def c(self, session, /, a=[]): ...").ok


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import not_there_at_all", "install it for"),
        ("1 / 0", "ZeroDivisionError"),
        ("class A(Adapter: ...", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("class B(Adapter): ...", "known: B"),
        ("class A: ...", "derive it from dspool_worker.Adapter"),
    ],
)
def test_what_cannot_be_imported_is_told(check: Check, text: str, told: str) -> None:
    finding = only(check(text))
    assert told in f"{finding.message}: {finding.fix}"


def test_a_line_that_raised_is_named(check: Check) -> None:
    report = check("\n\n1 / 0\n")
    assert only(report).where == f"{report.adapter.partition(':')[0]}.py:9"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "dspool_worker", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


SHOP = """
import sqlite3
from dspool_worker import Adapter

print("noise")


class Shop(Adapter):
    def __init__(self, settings):
        self.cache = sqlite3.connect(settings["cache"])
        self.cache.execute("CREATE TABLE IF NOT EXISTS cache (key)")

    def buy(self, session, /, item: str) -> None: ...
"""


def test_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "pool.toml").write_text(f"[worker.settings]\ncache = '{tmp_path}/cache.db'\n")
    (tmp_path / "settings.json").write_text(json.dumps({"cache": f"{tmp_path}/cache.db"}))
    (tmp_path / "wrong.json").write_text(json.dumps({"cash": 1}))

    settings = "pool.toml" if sys.version_info >= (3, 11) else "settings.json"
    done = run(tmp_path, "--check", "shop:Shop", "--settings", settings, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"]
    assert told["commands"] == [{"name": "buy", "usage": "buy(item: str)", "summary": ""}]
    assert [each["code"] for each in told["findings"]] == ["cannot_be_forked"]
    assert "cache.db open" in told["findings"][0]["message"]
    assert "spawn" in told["findings"][0]["fix"]
    assert "noise" in done.stderr

    done = run(tmp_path, "--check", "shop:Shop", "--settings", "wrong.json")
    assert done.returncode == 1
    assert "KeyError: 'cache'" in done.stdout
    assert "error    shop.py:" in done.stdout


@pytest.mark.parametrize("name", ["loadtest:LoadTest", "dspy:Dspy"])
def test_the_adapters_that_come_along_are_good_and_can_be_forked(tmp_path: Path, name: str) -> None:
    if name == "dspy:Dspy":
        pytest.importorskip("dspy")
    done = run(tmp_path, "--check", f"dspool_worker.adapters.{name}", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    codes = [each["code"] for each in json.loads(done.stdout)["findings"]]
    assert "cannot_be_forked" not in codes, done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--check", "shop.Shop"], "does not name an adapter"),
        (["--check", "shop:Shop", "--settings", "not_there.json"], "not_there.json"),
        (["--check"], "usage: "),
    ],
)
def test_what_cannot_be_checked_ends_with_2(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_help_has_examples(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    assert "--check my_app.cart:Cart" in done.stdout
