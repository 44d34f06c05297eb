"""An adapter that is constructed with the pool's settings, and one that takes none."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Any

from dspool_worker import Adapter, Session

_PR_GET_DUMPABLE = 3


class Configured(Adapter):
    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._constructed_in = os.getpid()
        self._was_dumpable = bool(ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))

    def settings(self, session: Session, /) -> dict[str, Any]:
        return self._settings

    def constructed_here(self, session: Session, /) -> bool:
        return self._constructed_in == os.getpid()

    def was_dumpable(self, session: Session, /) -> bool:
        """Whether others could read the process when it knew its settings."""
        return self._was_dumpable

    def look_for(self, session: Session, /, text: str) -> list[str]:
        """Where others could read this text of the process or the one that it was forked from."""
        found = []
        for pid in ("self", str(os.getppid())):
            for name in ("cmdline", "environ"):
                with contextlib.suppress(PermissionError):  # nor could others
                    if text.encode() in Path("/proc", pid, name).read_bytes():
                        found.append(f"{pid}/{name}")
        return found

    def descriptors(self, session: Session, /) -> list[str]:
        return sorted(
            os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()
        )


class Plain(Adapter):
    def ping(self, session: Session, /) -> str:
        return "pong"
