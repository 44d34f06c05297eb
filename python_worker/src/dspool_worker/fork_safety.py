"""Whether this process can be forked: what a fork would break, or share with its copy."""

import os
import socket
import stat
import threading
import time

_SQLITE_HEADER = b"SQLite format 3\0"
_SQLITE_ENDINGS = ("-journal", "-wal", "-shm")


def fork_hindrance(patience_s: float = 0.0) -> str | None:
    """What must not be there when a worker is forked, in words; None: it may be.

    A fork copies the thread that forks and no other: what the others held stays held for ever. It
    shares open SQLite files, such as a disk cache, whose locks do not survive that, and network
    connections, on which two processes would talk at once. Threads that are about to end are
    waited for, `patience_s` long.
    """
    until = time.monotonic() + patience_s
    while (threads := _other_threads()) and time.monotonic() < until:
        time.sleep(0.005)
    return threads or _shared_files()


def own_children() -> str | None:
    """What it has started would be nobody's when the process that forks is killed."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return "it has started a process"


def _other_threads() -> str | None:
    count = len(os.listdir("/proc/self/task")) - 1
    if count == 0:
        return None
    known = [
        thread.name for thread in threading.enumerate() if thread is not threading.main_thread()
    ]
    names = f" ({', '.join(known)})" if known else ", not started by Python"
    return f"it has started {count} thread{'s' if count > 1 else ''}{names}"


def _shared_files() -> str | None:
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        try:
            mode = os.fstat(descriptor).st_mode
            path = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the one that listed them
            continue
        if stat.S_ISREG(mode) and _is_sqlite(descriptor, path):
            return f"it has the SQLite file {path} open"
        if stat.S_ISSOCK(mode) and (peer := _network_peer(descriptor)):
            return f"it is connected with {peer}"
    return None


def _is_sqlite(descriptor: int, path: str) -> bool:
    if path.endswith(_SQLITE_ENDINGS):
        return True
    try:
        # Not by its path: closing another descriptor of the file would drop SQLite's locks on it.
        return os.pread(descriptor, len(_SQLITE_HEADER), 0) == _SQLITE_HEADER
    except OSError:  # not open for reading
        return False


def _network_peer(descriptor: int) -> str | None:
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        if copy.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        try:
            host, port, *_ = copy.getpeername()
        except OSError:  # it listens, or is not connected
            return None
    return f"{host}:{port}"
