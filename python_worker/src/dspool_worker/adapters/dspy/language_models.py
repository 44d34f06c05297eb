"""Language models of DSPy, one for each that a session or the pool uses."""

import functools
import math
import time
from typing import Any

import dspy

from dspool_worker import CommandError, LanguageModel, Session

_RUNNING = "dspool_running"
_KEPT = 256


class Running:
    """The call that a program runs for, as its language model needs it. Any thread may use it."""

    def __init__(self, session: Session) -> None:
        self._check = session.check
        self._deadline = session.deadline

    def settings(self) -> dict[str, Any]:
        """For `dspy.context`, which hands it on to the threads that a program starts."""
        return {_RUNNING: self}

    def timeout_s(self) -> int | None:
        """What is left of the call. Whole seconds, and whole minutes beyond one: DSPy keeps a pool
        of connections for each timeout. CancelledError: it has ended."""
        self._check()
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        step = 1 if left <= 60 else 60
        return max(1, math.ceil(left / step) * step)


class PoolLM(dspy.LM):  # type: ignore[misc]
    """A language model whose every request ends with the call that it is made for."""

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        running = dspy.settings.get(_RUNNING)
        timeout = None if running is None else running.timeout_s()
        if timeout is not None:
            kwargs["timeout"] = timeout
        return super().__call__(prompt, messages=messages, **kwargs)


@functools.lru_cache(_KEPT)
def live_lm(language_model: LanguageModel) -> PoolLM:
    """The model of DSPy for this one, its connections included. Equal ones have equal keys,
    addresses and versions."""
    # A server of one's own may want no key; DSPy wants one to be there.
    api_key = language_model.api_key or ("none" if language_model.api_base else None)
    try:
        return PoolLM(
            language_model.model,
            api_base=language_model.api_base,
            api_key=api_key,
            temperature=language_model.temperature,
            cache=False,
            num_retries=0,  # retrying is the pool's: it knows the deadline and the budget
        )
    except (ValueError, dspy.LMError) as error:
        raise CommandError(
            f"the language model {language_model.model} cannot be used: {error}",
            code="invalid_language_model",
        ) from error
