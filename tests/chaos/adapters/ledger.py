"""The adapter of the chaos driver: sessions that are logs, and commands that hurt their worker.

Every change appends one entry, its call's token, to the session's log, so a session's version is
the length of its log, and two answers tell whether they saw the same past. Every answer says whose
it is: the token that it was asked with, and the session it was executed in.
"""

import ctypes
import os
import subprocess
import time
from typing import Any

from dspool_worker import Adapter, CommandError, Session

if os.path.exists(os.environ.get("LEDGER_BROKEN_BY", "")):
    raise ImportError("the ledger is broken")


def _change(session: Session, token: int, by: int) -> dict[str, Any]:
    """Makes the next entry; the first one's token names this life of the session."""
    if "log" in session:
        previous = session["log"][-1]
        session["log"].append(token)
        session["count"] += by
    else:
        previous = 0
        session["log"] = [token]
        session["born"] = token
        session["count"] = by
    return {
        "token": token,
        "session": session.id,
        "born": session["born"],
        "length": len(session["log"]),
        "previous": previous,
        "count": session["count"],
    }


class Ledger(Adapter):
    def __init__(self) -> None:
        self._leaked: list[int] = []

    def add(self, session: Session, /, token: int, by: int = 1) -> dict[str, Any]:
        return _change(session, token, by)

    def slow_add(
        self, session: Session, /, token: int, by: int = 1, ms: float = 10
    ) -> dict[str, Any]:
        time.sleep(ms / 1000)
        return _change(session, token, by)

    def keep(self, session: Session, /, token: int, size: int) -> dict[str, Any]:
        """Puts a long field beside the log."""
        session["blob"] = f"{session.id}:" + "x" * size
        return _change(session, token, 1)

    def weigh(
        self,
        session: Session,
        /,
        token: int,
        padding: str,
        by: int = 1,
    ) -> dict[str, Any]:
        """Takes long arguments."""
        return _change(session, token, by)

    def fail(self, session: Session, /, token: int) -> None:
        """Changes everything, and then is sorry."""
        _change(session, token, 1_000_000)
        raise CommandError("it was asked to fail", code="asked_to_fail")

    def read(self, session: Session, /, token: int) -> dict[str, Any]:
        return {
            "token": token,
            "session": session.id,
            "born": session.get("born", 0),
            "log": list(session.get("log", [])),
            "count": session.get("count", 0),
            "blob_is_ours": session.get("blob", f"{session.id}:").startswith(f"{session.id}:"),
        }

    # What hurts the worker; each changes the session first, which must not have happened.

    def exit(self, session: Session, /, token: int) -> None:
        _change(session, token, 1_000_000)
        os._exit(3)

    def segfault(self, session: Session, /, token: int) -> None:
        _change(session, token, 1_000_000)
        ctypes.string_at(8)

    def hold_gil(self, session: Session, /, token: int, ms: int) -> dict[str, Any]:
        """Waits within an extension that does not let other threads run."""
        ctypes.PyDLL(None).usleep(ms * 1000)
        return _change(session, token, 1)

    def spawn_children(self, session: Session, /, token: int, count: int) -> dict[str, Any]:
        """Starts processes that would live for an hour."""
        for _ in range(count):
            subprocess.Popen(["/bin/sleep", "3600"])
        return _change(session, token, 1)

    def hog_memory(self, session: Session, /, token: int, mib: int) -> int:
        """Asks for more memory than a worker may have."""
        _change(session, token, 1_000_000)
        return len(bytearray(mib << 20))

    def leak_descriptors(self, session: Session, /, token: int, count: int) -> dict[str, Any]:
        """Opens files that nobody closes."""
        for _ in range(count):
            self._leaked.append(os.open("/dev/null", os.O_RDONLY))
        return _change(session, token, 1)

    def tell_key(self, session: Session, /, token: int) -> None:
        """Puts the language model's key where it does not belong."""
        _change(session, token, 1_000_000)
        model = session.language_model
        key = (model.api_key if model else None) or ""
        raise CommandError(f"the key of {len(key)} characters is {key}", code="key_told")
