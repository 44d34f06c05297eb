"""An adapter with commands, and with sessions, that end their worker."""

from __future__ import annotations

import os
import signal

from dspool_worker import Session
from troublemaker import Troublemaker


class Mortal(Troublemaker):
    def crash(self, session: Session, /) -> None:
        signal.raise_signal(signal.SIGSEGV)  # in this thread, whichever it is

    def poison(self, session: Session, /) -> None:
        """Leaves a state that no command survives but those of Troublemaker."""
        session["poisoned"] = True

    def count(self, session: Session, /) -> int:
        self._survive(session)
        return int(session.get("value", 0))

    def add(self, session: Session, /, by: int = 1) -> int:
        self._survive(session)
        return self.increment(session, by)

    def _survive(self, session: Session) -> None:
        if session.get("poisoned"):
            os._exit(13)
