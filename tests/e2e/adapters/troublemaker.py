"""An adapter that does what adapters must not do, for tests of the engine around it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import Any

from dspool_worker import Adapter, CommandError, LanguageModel, Session


class Troublemaker(Adapter):
    """Every command is one kind of trouble, or a way to see that there was none."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)
        self._has_failed = False
        self._ballast: list[bytes] = []

    def set_lm(self, language_model: LanguageModel) -> None:
        if language_model.model == "openai/refused":
            raise ValueError(f"not with the key {language_model.api_key}")

    def language_model(self, session: Session, /) -> dict[str, Any]:
        model = session.language_model
        if model is None:
            return {}
        return {"model": model.model, "api_key": model.api_key, "temperature": model.temperature}

    def meet_with_model(self, session: Session, /) -> str:
        """Returns when two commands are in here at once."""
        self._barrier.wait(timeout=60)
        return str(session.language_model and session.language_model.model)

    def tell_key(self, session: Session, /) -> None:
        model = session.language_model
        raise ValueError(f"refused with the key {model and model.api_key}")

    def increment(self, session: Session, /, by: int = 1) -> int:
        session["value"] = session.get("value", 0) + by
        return int(session["value"])

    def append(self, session: Session, /, item: Any) -> int:
        """Changes a list in place: nothing is assigned."""
        session.setdefault("items", []).append(item)
        return len(session["items"])

    def items(self, session: Session, /) -> list[Any]:
        return list(session.get("items", []))

    def keep(self, session: Session, /, size: int) -> int:
        session["blob"] = "x" * size
        return size

    def change_and_raise(self, session: Session, /) -> None:
        session["value"] = 1_000_000
        raise ValueError("changed my mind")

    def fail_politely(self, session: Session, /) -> None:
        raise CommandError("the shelf is empty", code="empty_shelf", retryable=True)

    def ask_provider(self, session: Session, /, answers: bool) -> str:
        """Asks a language model, which answers or not."""
        if not answers:
            raise CommandError("429, too many requests", retryable=True, provider="openai")
        return "42"

    def ask_for_patience(self, session: Session, /, seconds: float) -> str:
        """Refuses the first attempt of a call."""
        if session.attempt > 1:
            return "patience"
        raise CommandError(
            "not so fast", category="resource_error", retryable=True, retry_after=seconds
        )

    def fail_once_in_each_process(self, session: Session, /) -> int:
        if not self._has_failed:
            self._has_failed = True
            raise CommandError("not the first time", code="shy", retryable=True)
        return self.increment(session)

    def swell(self, session: Session, /, mib: int) -> None:
        """Takes memory that it never gives back."""
        self._ballast.append(b"x" * (mib << 20))

    def flood(self, session: Session, /) -> None:
        """Fills the worker's standard output for ever, from a process of its group."""
        subprocess.Popen(["/usr/bin/yes", "what it says has no end"])

    def pid(self, session: Session, /) -> int:
        return os.getpid()

    def sleep_and_increment(self, session: Session, /, ms: int) -> int:
        time.sleep(ms / 1000)
        return self.increment(session)

    def wait_for(self, session: Session, /, begun: str, end: str) -> int:
        """Makes the file `begun`, waits until there is the file `end`, and increments."""
        open(begun, "w").close()
        while not os.path.exists(end):
            time.sleep(0.001)
        return self.increment(session)

    def exit(self, session: Session, /, status: int = 3) -> None:
        os._exit(status)

    def close_descriptors_and_hang(self, session: Session, /) -> None:
        os.closerange(3, 1024)
        self.hang(session)

    def close_descriptors_on_signal(self, session: Session, /) -> int:
        """Returns the process, which closes them when it gets SIGUSR1."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})

        def close() -> None:
            signal.sigwait({signal.SIGUSR1})
            os.closerange(3, 1024)

        threading.Thread(target=close, daemon=True).start()
        return os.getpid()

    def quit(self, session: Session, /) -> None:
        raise SystemExit(4)

    def hang(self, session: Session, /) -> None:
        while True:
            time.sleep(60)

    def chatter(self, session: Session, /, lines: int = 100) -> str:
        """Prints, also past Python's buffers, what could pass for a message."""
        for line in range(lines):
            print("chatter", line)
        os.write(1, b"\x00\x01\x02 raw bytes on descriptor 1\n")
        os.write(2, b"raw bytes on descriptor 2\n")
        return "said"

    def environment(self, session: Session, /) -> list[str]:
        return sorted(os.environ)

    def too_much(self, session: Session, /) -> str:
        return "x" * (1 << 20)

    def nonsense(self, session: Session, /) -> Any:
        return {"answers": [1, 2, {"model": {1, 2}}]}
