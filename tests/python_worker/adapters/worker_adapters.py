"""Adapters for the tests of the worker: commands that do what adapters should not, too."""

import gc
import sys
import threading
import time
from typing import Any

from dspool_worker import Adapter, CommandError, LanguageModel, Session
from dspool_worker.errors import ErrorReport
from dspool_worker.host import AdapterHost


class Commands(Adapter):
    def __init__(self) -> None:
        self.barrier = threading.Barrier(4)
        self.language_model: LanguageModel | None = None
        self.told = 0
        self.kept: list[Any] = []

    def set_lm(self, language_model: LanguageModel) -> None:
        if language_model.model == "refused":
            raise ValueError(f"not with the key {language_model.api_key}")
        self.language_model = language_model
        self.told += 1

    def describe_error(self, error: Exception) -> CommandError | None:
        if not isinstance(error, TimeoutError):
            return None
        return CommandError(
            f"it took too long: {error}",
            code="too_slow",
            category="timeout",
            retryable=True,
            retry_after=1.5,
            provider="openai",
        )

    def echo(self, session: Session, /, **args: Any) -> dict[str, Any]:
        return args

    def put(self, session: Session, /, key: str, value: Any) -> None:
        session[key] = value

    def read(self, session: Session, /, key: str) -> Any:
        return session.get(key)

    def delete(self, session: Session, /, key: str) -> None:
        del session[key]

    def append(self, session: Session, /, key: str, value: Any) -> int:
        session.setdefault(key, []).append(value)
        return len(session[key])

    def append_and_raise(self, session: Session, /, key: str, value: Any) -> None:
        session[key].append(value)
        raise ValueError("no such thing")

    def grow_text(self, session: Session, /, key: str, by: str) -> None:
        session[key] += by

    def change_back(self, session: Session, /, key: str) -> None:
        value = session[key]
        session[key] = 0
        session[key] = value

    def put_and_delete(self, session: Session, /, key: str) -> None:
        session[key] = 1
        del session[key]

    def refill(self, session: Session, /, keys: list[str]) -> None:
        """Assigns the same dict, filled in the order that is asked for."""
        session["d"] = {key: [1] for key in keys}

    def touch_all(self, session: Session, /) -> int:
        return len(list(session.values()))

    def share(self, session: Session, /) -> bool:
        """Puts one list under two keys; True when a later call still finds them to be one."""
        if "a" in session:
            return session["a"] is session["b"]
        session["a"] = session["b"] = [1]
        return False

    def fields(self, session: Session, /) -> dict[str, Any]:
        return dict(session)

    def keep_and_change_later(self, session: Session, /, key: str) -> int:
        """Changes, behind the session's back, the list that an earlier call has kept."""
        for kept in self.kept:
            kept.append("changed behind its back")
        self.kept.append(session[key])
        return len(self.kept)

    def keep_session(self, session: Session, /) -> list[Any]:
        earlier = [type(error).__name__ for error in map(_use, self.kept)]
        self.kept.append(session)
        return earlier

    def time_left(self, session: Session, /, at_ns: int = 0) -> float | None:
        _wait_until(at_ns)
        return session.time_left()

    def session_id(self, session: Session, /) -> str:
        return session.id

    def greet(self, session: Session, /, name: str, polite: bool = True) -> str:
        return f"{'Dear ' if polite else ''}{name}"

    def raise_value_error(self, session: Session, /) -> None:
        session["touched"] = True
        raise ValueError("no such thing \ud800")

    def raise_type_error(self, session: Session, /) -> None:
        raise TypeError("inside the command")

    def raise_timeout(self, session: Session, /) -> None:
        raise TimeoutError("try later")

    def refuse(self, session: Session, /) -> None:
        raise CommandError("not today", code="closed", retryable=True)

    def leave(self, session: Session, /) -> None:
        sys.exit(3)

    def return_a_set(self, session: Session, /) -> Any:
        session["touched"] = True
        return {"answers": [1, {"model": {1}}]}

    def put_a_set(self, session: Session, /) -> None:
        session["models"] = [{1}]

    def return_bytes(self, session: Session, /, size: int) -> bytes:
        return bytes(size)

    def put_bytes(self, session: Session, /, size: int) -> None:
        session["large"] = bytes(size)

    def print_noise(self, session: Session, /) -> str:
        print("noise on stdout", flush=True)
        print("noise on stderr", file=sys.stderr)
        return "quiet"

    def meet(self, session: Session, /) -> int:
        """Returns when four commands are in here at once."""
        return self.barrier.wait(timeout=60)

    def model(self, session: Session, /) -> Any:
        model = self.language_model
        return model and {"model": model.model, "key": model.api_key, "repr": repr(model)}

    def own_model(self, session: Session, /) -> Any:
        model = session.language_model
        return model and model.model

    def times_told(self, session: Session, /) -> int:
        return self.told

    def models_alive(self, session: Session, /) -> int:
        gc.collect()
        return sum(isinstance(found, LanguageModel) for found in gc.get_objects())


class Raises(Adapter):
    def __init__(self) -> None:
        raise RuntimeError("the model file is missing")

    def echo(self, session: Session, /) -> None:
        pass


class BreaksItsLoop(Adapter):
    """Makes the loop itself raise, where an error should be put into words."""

    def start(self) -> None:
        # Of the kind that Python waits for before it exits.
        threading.Thread(target=threading.Event().wait).start()

    def break_loop(self, session: Session, /, at_ns: int = 0) -> None:
        _wait_until(at_ns)
        AdapterHost.describe = lambda *_: ErrorReport(None, None, None)
        raise RuntimeError

    def wait(self, session: Session, /) -> None:
        threading.Event().wait()


class WithoutCommands(Adapter):
    def _hidden(self, session: Session, /) -> None:
        pass


class NoAdapter:
    pass


def _wait_until(monotonic_ns: int) -> None:
    while time.monotonic_ns() <= monotonic_ns:
        time.sleep(0.001)


def _use(kept: Any) -> Exception:
    try:
        kept["key"]
    except Exception as error:
        return error
    return Exception("it worked")
