"""The READMEs' adapters run as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest
from dspool_worker import CommandError, Session, testing
from dspool_worker.adapter import commands_of
from dspool_worker.check import check_adapter

ROOT = Path(__file__).resolve().parents[2]


def python_of(readme: Path) -> dict[str, Any]:
    """What all its Python defines, read from top to bottom."""
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert blocks
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, str(readme), "exec"), namespace)  # noqa: S102
    return namespace


def test_the_adapter_of_the_readme_keeps_notes() -> None:
    notes = python_of(ROOT / "README.md")["Notes"]()
    session = Session()
    assert sorted(commands_of(notes)) == ["add", "all"]
    assert notes.add(session, text="first") == 1
    assert notes.add(session, text="second") == 2
    assert notes.all(session) == ["first", "second"]


WORKERS = ROOT / "python_worker" / "README.md"


def test_the_adapter_of_the_workers_readme_fills_a_cart() -> None:
    cart = python_of(WORKERS)["Cart"]()
    session = Session("any", {"items": {}})
    assert cart.add(session, item="tea") == 1
    assert cart.add(session, item="cake", count=2) == 3
    with pytest.raises(CommandError, match="at least 1"):
        cart.add(session, item="tea", count=0)


def test_the_tests_of_the_workers_readme_pass() -> None:
    tests = [value for name, value in python_of(WORKERS).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_the_errors_of_the_workers_readme_are_told() -> None:
    with testing.Pool(python_of(WORKERS)["Library"]) as pool:
        with pytest.raises(testing.CallError, match="a title is needed") as refused:
            pool.call("lend", title="")
        assert (refused.value.code, refused.value.retryable) == ("no_title", False)
        with pytest.raises(testing.CallError) as refused:
            pool.call("lend", title="Emma")
    error = refused.value
    assert (error.code, error.retryable, error.retry_after) == ("library_down", True, 2)
    assert error.exception_type == "ConnectionResetError"


def test_the_check_of_the_workers_readme_prints_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = WORKERS.read_text()
    cart = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    told = re.search(r"^\$ python -m dspool_worker --check .*?\n(.*?)```", text, re.DOTALL | re.M)
    assert cart is not None
    assert told is not None
    changed = cart[1].replace("count: int = 1", "count: int = 1, tags: list = []")
    (tmp_path / "my_app.py").write_text(changed)
    monkeypatch.syspath_prepend(str(tmp_path))
    report = check_adapter("my_app:Cart")
    report.findings = [each for each in report.findings if each.code != "cannot_be_forked"]
    assert report.as_text() == told[1].rstrip()
