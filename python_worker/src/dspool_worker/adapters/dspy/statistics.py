"""What one worker has done since it began."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Statistics:
    """Thread-safe counters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commands = 0
        self._errors = 0
        self._input_tokens = 0
        self._output_tokens = 0
        self._began = time.monotonic()

    @contextmanager
    def command(self) -> Iterator[None]:
        """Counts a command, and whether it raises."""
        try:
            yield
        except BaseException:
            self._count(errors=1)
            raise
        finally:
            self._count(commands=1)

    def add_tokens(self, input_tokens: int, output_tokens: int) -> None:
        self._count(input_tokens=input_tokens, output_tokens=output_tokens)

    @property
    def uptime(self) -> float:
        """In seconds."""
        return time.monotonic() - self._began

    def read(self) -> dict[str, Any]:
        with self._lock:
            return {
                "command_count": self._commands,
                "error_count": self._errors,
                "input_tokens": self._input_tokens,
                "output_tokens": self._output_tokens,
                "uptime": self.uptime,
                "memory_usage": _resident_bytes(),
            }

    def _count(
        self, commands: int = 0, errors: int = 0, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        with self._lock:
            self._commands += commands
            self._errors += errors
            self._input_tokens += input_tokens
            self._output_tokens += output_tokens


def _resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
