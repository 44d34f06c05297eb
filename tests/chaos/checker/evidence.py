"""What a run has left behind, read back. tests/chaos/README.md has the members of each file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NEVER = 2**63 - 1  # a time after all others

# Commands that append their token to the session's log, and those that must never change anything.
CHANGES = frozenset(
    {
        "add",
        "slow_add",
        "keep",
        "weigh",
        "hold_gil",
        "spawn_children",
        "leak_descriptors",
        "engine.append",
    }
)
CHANGE_NOTHING = frozenset({"fail", "exit", "segfault", "hog_memory", "tell_key"})
READS = frozenset({"read", "engine.read_fields"})


@dataclass(frozen=True)
class Return:
    """How a caller was told that its call has ended."""

    time_ns: int
    code: str
    state_applied: str
    version: int
    value: Any
    line: str

    @property
    def ok(self) -> bool:
        return self.code == "ok"


@dataclass
class Call:
    """A call as its caller saw it."""

    number: int
    session: str
    command: str
    args: dict[str, Any]
    key: str
    timeout_ms: int | None
    ttl_ms: int | None
    invoked_ns: int
    line: str
    returns: list[Return] = field(default_factory=list)

    @property
    def token(self) -> int:
        return int(self.args.get("token", 0))

    @property
    def by(self) -> int:
        """What it adds to the session's count."""
        return 0 if self.command == "engine.append" else int(self.args.get("by", 1))

    @property
    def answer(self) -> Return | None:
        return next((each for each in self.returns if each.ok), None)

    @property
    def returned_ns(self) -> int:
        return min((each.time_ns for each in self.returns), default=NEVER)

    @property
    def may_have_happened(self) -> bool:
        """Whether what it was told leaves open that it changed its session."""
        return not self.returns or any(
            each.ok or each.state_applied != "no" for each in self.returns
        )

    def show(self) -> list[str]:
        return [self.line, *(each.line for each in self.returns)]


@dataclass(frozen=True)
class Event:
    """An event of the engine's own history."""

    kind: str
    time_ns: int
    call: int
    request: int
    version: int
    epoch: int
    worker: int
    attempt: int
    session: str
    detail: str
    line: str


@dataclass
class Lateness:
    """When the machine was late: from when something was to be done until it was."""

    spans: list[tuple[int, int]] = field(default_factory=list)

    def longest_ns(self, begin_ns: int, end_ns: int) -> int:
        """The longest time that it was so while the two passed."""
        return max((to - at for at, to in self.spans if to > begin_ns and at < end_ns), default=0)


@dataclass
class Evidence:
    run: dict[str, Any]
    calls: list[Call]
    events: list[Event]
    lateness: Lateness
    rest: dict[str, Any] | None  # None: the driver did not get there
    findings: list[tuple[str, str]] = field(default_factory=list)  # of the faults: rule, what

    @property
    def stopped_ns(self) -> int:
        """When the engine began to stop with calls in flight; its events end there."""
        return int((self.rest or {}).get("stopped_ns", NEVER))


class UnreadableEvidenceError(Exception):
    """A file is missing, or holds what no driver writes."""


def read_evidence(directory: Path) -> Evidence:
    try:
        run = json.loads((directory / "run.json").read_text())
        rest_file = directory / "rest.json"
        rest = json.loads(rest_file.read_text()) if rest_file.exists() else None
        return Evidence(
            run=run,
            calls=_read_calls(directory / "calls.jsonl"),
            events=[_event(line, members) for line, members in _lines(directory / "events.jsonl")],
            lateness=_read_lateness(directory / "lateness.jsonl"),
            rest=rest,
            findings=[
                (members["rule"], members["what"])
                for _, members in _lines(directory / "findings.jsonl")
            ],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableEvidenceError(f"{directory}: {error!r}") from error


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            yield line.rstrip("\n"), json.loads(line)


def _read_calls(path: Path) -> list[Call]:
    calls: dict[int, Call] = {}
    for line, members in _lines(path):
        number = members["call"]
        if members["type"] == "invoke":
            calls[number] = Call(
                number=number,
                session=members["session"],
                command=members["command"],
                args=members["args"],
                key=members["key"],
                timeout_ms=members.get("timeout_ms"),
                ttl_ms=members.get("ttl_ms"),
                invoked_ns=members["time_ns"],
                line=line,
            )
        else:
            calls[number].returns.append(
                Return(
                    time_ns=members["time_ns"],
                    code=members["code"],
                    state_applied=members.get("state_applied", "yes"),
                    version=members.get("version", 0),
                    value=members.get("value"),
                    line=line,
                )
            )
    return list(calls.values())


def _event(line: str, members: dict[str, Any]) -> Event:
    return Event(line=line, **members)


def _read_lateness(path: Path) -> Lateness:
    return Lateness([(members["from_ns"], members["to_ns"]) for _, members in _lines(path)])
