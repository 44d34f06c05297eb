"""The tokens that a call's language models charge for."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from dspy.utils.usage_tracker import UsageTracker

_INPUT = "prompt_tokens"
_OUTPUT = "completion_tokens"


class Usage(UsageTracker):  # type: ignore[misc]
    """Sums up what all threads of a program use, until its call ends.

    DSPy gives each thread of `dspy.Parallel` a copy of the tracker, and never looks at it again: a
    copy of this one is the same.
    """

    def __init__(self) -> None:
        self.usage_data = _Entries(self)
        self._sums: dict[str, tuple[int, int]] = {}  # by model
        self._has_ended = False
        self._guard = threading.Lock()

    def __deepcopy__(self, memo: object) -> "Usage":
        return self

    def add_usage(self, lm: str, usage_entry: Mapping[str, Any]) -> None:
        with self._guard:
            if not self._has_ended:
                before = self._sums.get(lm, (0, 0))
                self._sums[lm] = (
                    before[0] + _count(usage_entry.get(_INPUT)),
                    before[1] + _count(usage_entry.get(_OUTPUT)),
                )

    def get_total_tokens(self) -> dict[str, dict[str, Any]]:
        with self._guard:
            return {lm: {_INPUT: read, _OUTPUT: said} for lm, (read, said) in self._sums.items()}

    def end(self) -> tuple[int, int]:
        """The tokens that went in and came out. What is added from now on counts nowhere."""
        with self._guard:
            self._has_ended = True
            sums = self._sums.values()
            return sum(read for read, _ in sums), sum(said for _, said in sums)


class _Entries:
    """Where `dspy.track_usage` in a program puts what it has tracked: `usage_data[lm].extend`."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    def __getitem__(self, lm: str) -> "_EntriesOfModel":
        return _EntriesOfModel(self._usage, lm)


class _EntriesOfModel:
    def __init__(self, usage: Usage, lm: str) -> None:
        self._usage = usage
        self._lm = lm

    def append(self, entry: Mapping[str, Any]) -> None:
        self._usage.add_usage(self._lm, entry)

    def extend(self, entries: Iterable[Mapping[str, Any]]) -> None:
        for entry in entries:
            self.append(entry)


def _count(tokens: object) -> int:
    """Of what a provider reports."""
    return tokens if isinstance(tokens, int) and tokens > 0 else 0
