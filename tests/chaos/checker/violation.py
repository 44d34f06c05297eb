"""A promise that was broken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# The rules, each with the promise that it holds the engine to.
RULES = {
    "evidence": "the driver got to its end, and the history is whole",
    "ended_once": "every call ends exactly once",
    "deadline": "every call ends by its deadline, plus 100 ms and what the machine was late",
    "crossed": "an answer is its caller's, and of its session",
    "linearizable": "a session's answers fit one order of its commands, in which each takes effect "
    "between its call and its return",
    "lost": "what was acknowledged is there",
    "once": "an operation takes effect once; so does all that has the same idempotency key",
    "state_applied": "what was told to have changed nothing has changed nothing",
    "versions": "a session's commits are 1, 2, 3, without a gap",
    "commits": "an answer comes after its commit, which comes from the call's own attempt",
    "order": "attempts of a session run one at a time, for its oldest call, at its version",
    "fencing": "what comes from an attempt that was given up is thrown away",
    "epochs": "no two workers share an epoch, and attempts run on workers that live",
    "expiry": "a session expires when nobody has used it for its ttl, and not before",
    "slots": "at rest nothing is in flight or waits, and all workers are there",
    "memory": "when all sessions have ended, none of their memory is left",
    "leftovers": "when the engine has stopped, no process, descriptor or mapping of it is left",
    "truth": "the counters agree with what happened",
    "told": "what goes wrong is told as what it is",
    "secrets": "a key is nowhere but in the workers that use it",
}


@dataclass(frozen=True)
class Violation:
    rule: str
    what: str
    shown: tuple[str, ...] = ()  # the lines of the evidence that show it

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"there is no rule {self.rule!r}")


def violation(rule: str, what: str, *shown: Iterable[str] | str) -> Violation:
    lines: list[str] = []
    for each in shown:
        lines.extend([each] if isinstance(each, str) else each)
    return Violation(rule, what, tuple(lines))
