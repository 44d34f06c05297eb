"""One piece of work beside another that does without us, in one run."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """Medians of one call, in nanoseconds."""

    name: str
    ours_ns: float
    bare_ns: float
    bare: str
    """What ours is compared with."""
    at_most: float | None
    """The budget of `ratio`; None: there is none."""

    @property
    def ratio(self) -> float:
        return self.ours_ns / self.bare_ns

    @property
    def within_budget(self) -> bool:
        return self.at_most is None or self.ratio <= self.at_most

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "ours_ns": round(self.ours_ns, 1),
            "bare": self.bare,
            "bare_ns": round(self.bare_ns, 1),
            "ratio": round(self.ratio, 4),
            "budget": self.at_most,
            "within_budget": self.within_budget,
        }


def compare(
    name: str,
    ours: Work,
    bare: Work,
    *,
    against: str,
    calls: int,
    rounds: int = 31,
    at_most: float | None = None,
) -> Comparison:
    """Times `calls` calls of either, in turns, so that what disturbs the machine disturbs both.

    The ratio is that of the medians of `rounds` turns, the first of which is not counted.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for work, taken in zip((ours, bare), times, strict=True):
            taken.append(_time_ns(work, calls) / calls)
    medians = [statistics.median(taken[1:]) for taken in times]
    return Comparison(name, medians[0], medians[1], against, at_most)


def _time_ns(work: Work, calls: int) -> int:
    begin = time.thread_time_ns()
    for _ in range(calls):
        work()
    return time.thread_time_ns() - begin
