"""The README's Python block runs as it stands there."""

import re
from pathlib import Path
from typing import Any

from dspool_worker import Session
from dspool_worker.adapter import commands_of

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_adapter_of_the_readme_keeps_notes() -> None:
    match = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert match is not None
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(compile(match[1], str(README), "exec"), namespace)  # noqa: S102
    notes = namespace["Notes"]()
    session = Session()
    assert sorted(commands_of(notes)) == ["add", "all"]
    assert notes.add(session, text="first") == 1
    assert notes.add(session, text="second") == 2
    assert notes.all(session) == ["first", "second"]
