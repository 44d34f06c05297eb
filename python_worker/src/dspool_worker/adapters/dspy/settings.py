"""What a deployment configures of the adapter, under `[worker.settings]`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dspool_worker.adapter import AdapterError
from dspool_worker.errors import nearest


@dataclass(frozen=True)
class Settings:
    """One default each; what is not in here is refused."""

    tools: Mapping[str, str] = field(default_factory=dict)
    """Functions that ReAct may call, by name: {"search": "my_app:search"}."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Classes of dspy.Module, by name: {"qa": "my_app:QA"}."""
    history_turns: int = 20
    """How many turns of a conversation are sent along, at most."""
    history_bytes: int = 32 * 1024
    """How many bytes of them are, at most."""
    live_programs: int = 256
    """How many programs a worker keeps built."""


def parse_settings(settings: Mapping[str, Any]) -> Settings:
    """AdapterError says which of them is wrong."""
    known = [entry.name for entry in fields(Settings)]
    for name, value in settings.items():
        if name not in known:
            raise AdapterError(f"there is no worker.settings.{name}: {nearest(name, known)}")
        if name in ("tools", "programs"):
            _check_targets(name, value)
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise AdapterError(f"worker.settings.{name} is {value!r}: it is a number, at least 1")
    return Settings(**settings)


def _check_targets(name: str, targets: object) -> None:
    if not isinstance(targets, Mapping):
        raise AdapterError(f"worker.settings.{name} is a table of names: qa = 'my_app:QA'")
    for key, target in targets.items():
        if not isinstance(target, str):
            raise AdapterError(f"worker.settings.{name}.{key} is {target!r}: write 'my_app:QA'")
