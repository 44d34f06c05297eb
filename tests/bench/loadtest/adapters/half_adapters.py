"""Adapters that lack something, for the tests of the program dspool."""

import os
import time
from typing import Any

from dspool_worker import Adapter, Session


class NoRead(Adapter):
    """Counts rightly, but cannot be asked in the end."""

    def increment(self, session: Session, /) -> dict[str, Any]:
        session["value"] = value = session.get("value", 0) + 1
        return {"value": value, "session": session.id}


class OnlyOneStarts(Adapter):
    """The first worker starts; the second opens the FIFO of DSPOOL_TEST_FIFO, and hangs."""

    def __init__(self) -> None:
        fifo = os.environ["DSPOOL_TEST_FIFO"]
        try:
            os.close(os.open(fifo + ".first", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            with open(fifo, "w"):
                time.sleep(3600)

    def increment(self, session: Session, /) -> dict[str, Any]:
        return {"value": 1, "session": session.id}
