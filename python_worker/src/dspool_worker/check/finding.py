"""What is wrong with an adapter, and how it is told."""

import inspect
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

ERROR = "error"
WARNING = "warning"


class Finding(NamedTuple):
    """One thing that is wrong.

    With an error the adapter cannot be started, or a command of it fails whenever it is called.
    With a warning it works, though perhaps not as it is meant to.
    """

    level: str
    code: str
    where: str
    message: str
    fix: str


class Usage(NamedTuple):
    """A command, as callers are told of it."""

    name: str
    usage: str
    summary: str


@dataclass
class CheckReport:
    """All that was found out about an adapter."""

    adapter: str
    commands: list[Usage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether it can be deployed; there may be warnings."""
        return self.count(ERROR) == 0

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        told = asdict(self)
        told["commands"] = [usage._asdict() for usage in self.commands]
        told["findings"] = [finding._asdict() for finding in self.findings]
        return {"ok": self.ok, **told}

    def as_text(self) -> str:
        lines = [self.adapter]
        for finding in self.findings:
            lines.append(f"  {finding.level:8} {finding.where}: {finding.message}")
            lines.append(f"  {'':8} fix: {finding.fix}")
        if self.commands:
            lines.append("  commands")
            for command in self.commands:
                about = f"  # {command.summary}" if command.summary else ""
                lines.append(f"    {command.usage}{about}")
        errors, warnings = self.count(ERROR), self.count(WARNING)
        lines.append(f"  {_counted(errors, ERROR)}, {_counted(warnings, WARNING)}")
        return "\n".join(lines)


def place_of(function: Callable[..., Any]) -> str:
    """`Cart.add (cart.py:12)`."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = function.__qualname__.rpartition("<locals>.")[2]
    if code is None:
        return name
    return f"{name} ({os.path.basename(code.co_filename)}:{code.co_firstlineno})"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
