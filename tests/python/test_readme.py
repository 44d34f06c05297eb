"""The READMEs' adapters run as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest
from dspool_worker import CommandError, Session
from dspool_worker.adapter import commands_of

ROOT = Path(__file__).resolve().parents[2]


def python_of(readme: Path) -> dict[str, Any]:
    match = re.search(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert match is not None
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(compile(match[1], str(readme), "exec"), namespace)  # noqa: S102
    return namespace


def test_the_adapter_of_the_readme_keeps_notes() -> None:
    notes = python_of(ROOT / "README.md")["Notes"]()
    session = Session()
    assert sorted(commands_of(notes)) == ["add", "all"]
    assert notes.add(session, text="first") == 1
    assert notes.add(session, text="second") == 2
    assert notes.all(session) == ["first", "second"]


def test_the_adapter_of_the_workers_readme_fills_a_cart() -> None:
    cart = python_of(ROOT / "python_worker" / "README.md")["Cart"]()
    session = Session("any", {"items": {}})
    assert cart.add(session, item="tea") == 1
    assert cart.add(session, item="cake", count=2) == 3
    with pytest.raises(CommandError, match="at least 1"):
        cart.add(session, item="tea", count=0)
