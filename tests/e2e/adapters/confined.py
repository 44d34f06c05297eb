"""An adapter that tells what it is kept from, and tries to get past it."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

from dspool_worker import Adapter, Session
from forkable import Forkable

_PR_GET_DUMPABLE = 3


class Confined(Forkable):
    def limits(self, session: Session, /) -> dict[str, Any]:
        """What the kernel says of this process."""
        status = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        return {
            "no_new_privileges": int(status["NoNewPrivs"]),
            "seccomp": int(status["Seccomp"]),
            "dumpable": ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0),
            "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
            "memory": resource.getrlimit(resource.RLIMIT_DATA)[1],
            "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        }

    def open_files(self, session: Session, /) -> list[str]:
        """What each descriptor is, also those of whoever is started from here."""
        paths = []
        for name in os.listdir("/proc/self/fd"):
            try:
                paths.append(os.readlink(f"/proc/self/fd/{name}"))
            except OSError:  # the one that listed them
                continue
        return paths

    def allocate(self, session: Session, /, mib: int) -> int:
        return len(bytearray(mib << 20))

    def share(self, session: Session, /, mib: int) -> int:
        """Uses memory that no process has for itself, which only a cgroup counts."""
        with mmap.mmap(-1, mib << 20) as shared:
            for at in range(0, len(shared), mmap.PAGESIZE):
                shared[at] = 1
            return len(shared)

    def multiply(self, session: Session, /, most: int) -> list[int]:
        """Starts processes in sessions of their own, until it may not; returns them."""
        pids: list[int] = []
        try:
            while len(pids) < most:
                pid = os.fork()
                if pid == 0:
                    os.setsid()
                    while True:
                        time.sleep(3600)
                pids.append(pid)
        except BlockingIOError:
            pass
        return pids

    def leave_a_session(self, session: Session, /) -> int:
        return subprocess.Popen(["/usr/bin/sleep", "3600"], start_new_session=True).pid


class Hungry(Adapter):
    def start(self) -> None:
        bytearray(1 << 40)

    def command(self, session: Session, /) -> None:
        """There has to be one."""
