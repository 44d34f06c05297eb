"""The clock's part of linearizability: what had returned before another call began comes before."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from .evidence import Call
from .violation import Violation, violation


@dataclass(frozen=True)
class Point:
    """A command that took effect (or looked) when the log had so many changes, its own included."""

    place: int
    changes: bool
    invoked_ns: int
    returned_ns: int
    call: Call


def check_real_time(session: str, points: list[Point]) -> Iterator[Violation]:
    """In the order of invocation, each point against the furthest one that had returned by then."""
    returned: list[tuple[int, int, int]] = []  # a heap by the time of return
    furthest: Point | None = None
    ordered = sorted(points, key=lambda point: point.invoked_ns)
    for index, point in enumerate(ordered):
        while returned and returned[0][0] < point.invoked_ns:
            other = ordered[heapq.heappop(returned)[2]]
            if furthest is None or other.place > furthest.place:
                furthest = other
        heapq.heappush(returned, (point.returned_ns, point.place, index))
        if furthest is None:
            continue
        if point.place < furthest.place or (point.changes and point.place == furthest.place):
            saw = "is" if point.changes else "saw only up to"
            yield violation(
                "linearizable",
                f"call {point.call.number} {saw} change {point.place} of session {session!r}, "
                f"though call {furthest.call.number}, which had returned before, tells of change "
                f"{furthest.place}",
                furthest.call.show(),
                point.call.show(),
            )
