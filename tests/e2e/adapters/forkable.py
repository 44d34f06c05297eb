"""Adapters for the fork server: one that tells where it is, and some that must not be forked."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

from dspool_worker import Adapter, Session
from troublemaker import Troublemaker

MOST_DESCRIPTORS = 256


class Forkable(Troublemaker):
    """Tells what a process is that was forked."""

    def __init__(self) -> None:
        super().__init__()
        self._constructed_in = os.getpid()

    def constructed_in(self, session: Session, /) -> int:
        return self._constructed_in

    def parent(self, session: Session, /) -> int:
        return os.getppid()

    def draw(self, session: Session, /) -> float:
        return random.random()  # noqa: S311

    def traits(self, session: Session, /) -> dict[str, Any]:
        """What may not depend on how the process began."""
        status = Path("/proc/self/status").read_text().splitlines()
        return {
            "arguments": Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").decode(),
            "name": Path("/proc/self/comm").read_text(),
            "signals": [line for line in status if line.startswith(("SigBlk", "SigIgn", "SigCgt"))],
            "leads_its_group": os.getpgrp() == os.getpid(),
            "environment": sorted(f"{key}={value}" for key, value in os.environ.items()),
            "descriptors": _descriptors(),
        }

    def leave_a_process(self, session: Session, /) -> int:
        return subprocess.Popen(["/usr/bin/sleep", "3600"]).pid


def _descriptors() -> list[list[int]]:
    """The numbers and the kinds of all that are open."""
    found = []
    for number in range(MOST_DESCRIPTORS):
        try:
            found.append([number, stat.S_IFMT(os.fstat(number).st_mode)])
        except OSError:
            continue
    return found


class Threaded(Forkable):
    def __init__(self) -> None:
        super().__init__()
        threading.Thread(target=threading.Event().wait, name="flusher", daemon=True).start()


class JoinedThread(Forkable):
    def __init__(self) -> None:
        super().__init__()
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()


class Companion(Forkable):
    def __init__(self) -> None:
        super().__init__()
        self._companion = subprocess.Popen(["cat"], stdin=subprocess.PIPE)  # noqa: S607


class OpenCache(Forkable):
    def __init__(self) -> None:
        super().__init__()
        self._path = Path(os.environ["DSPOOL_TEST_CACHE"])
        self._cache = sqlite3.connect(self._path)
        self._cache.execute("CREATE TABLE IF NOT EXISTS cache (key, value)")
        self._cache.commit()


class DiesWhenForked(Forkable):
    def __init__(self) -> None:
        super().__init__()
        os.register_at_fork(before=lambda: os._exit(9))


class DiesAsAFork(Forkable):
    def __init__(self) -> None:
        super().__init__()
        os.register_at_fork(after_in_child=lambda: os._exit(5))


class StartsAThreadLater(Forkable):
    """In each worker, as it should."""

    def start(self) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()


class FailsInStart(Adapter):
    def start(self) -> None:
        raise RuntimeError("no such licence server")

    def command(self, session: Session, /) -> None:
        """There has to be one."""
