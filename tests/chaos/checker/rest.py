"""What must be so when nothing goes on any more, and when the engine has stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .evidence import NEVER, Evidence
from .violation import Violation, violation


def check_rest(evidence: Evidence) -> Iterator[Violation]:
    rest = evidence.rest
    if rest is None:
        yield violation("evidence", "the driver did not get to its end: see engine.log")
        return
    if rest.get("events_dropped", 0):
        yield violation("evidence", f"the history lost {rest['events_dropped']} events")
    if rest.get("calls_that_hang", 0):
        yield violation("ended_once", f"{rest['calls_that_hang']} calls hang")
        return  # the driver gave up there
    if evidence.stopped_ns == NEVER:
        yield from check_at_rest(evidence.run, rest)
        yield from _check_counters(evidence, rest)
    yield from check_leftovers(rest)


def check_at_rest(run: dict[str, Any], rest: dict[str, Any]) -> Iterator[Violation]:
    for member in ("attempts_in_flight", "waiting_calls"):
        if rest[member] != 0:
            yield violation("slots", f"{member} is {rest[member]} at rest")
    if rest["active_workers"] != run["pool_size"]:
        yield violation(
            "slots", f"{rest['active_workers']} of {run['pool_size']} workers are ready at rest"
        )
    if rest["state_bytes"] != 0:
        yield violation(
            "memory", f"{rest['state_bytes']} bytes of fields are left though all sessions ended"
        )
    if rest["active_sessions"] != 0:
        yield violation("memory", f"{rest['active_sessions']} sessions are left that were ended")


def _check_counters(evidence: Evidence, rest: dict[str, Any]) -> Iterator[Violation]:
    def happened(kind: str, detail: str = "") -> int:
        return sum(event.kind == kind and detail in ("", event.detail) for event in evidence.events)

    counted = {
        "commits": happened("commit"),
        "late_answers": happened("fenced"),
        "expired_sessions": happened("session_ended", "expired"),
    }
    for counter, count in counted.items():
        if rest[counter] != count:
            yield violation("truth", f"{counter} is {rest[counter]}, and {count} happened")


def check_leftovers(rest: dict[str, Any]) -> Iterator[Violation]:
    for process in rest["processes"]:
        yield violation("leftovers", f"the process {process} is left")
    for resource in ("descriptors", "mappings"):
        before, after = rest[f"{resource}_before"], rest[f"{resource}_after"]
        if after != before:
            yield violation("leftovers", f"there are {after} {resource}, and were {before}")
