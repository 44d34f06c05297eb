"""Language models of DSPy, one for each that a session or the pool uses."""

import math
import threading
import time
import weakref
from typing import Any

import dspy

from dspool_worker import CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy.refusals import invalid_config

_RUNNING = "dspool_running"
# Where a request goes, and what it shows there: never a request's own choice.
_FIXED = frozenset(
    (
        "api_base",
        "api_key",
        "base_url",
        "custom_llm_provider",
        "extra_headers",
        "headers",
        "model_list",
    )
)


class Running:
    """The call that a program runs for, as its language model needs it. Any thread may use it."""

    def __init__(self, session: Session) -> None:
        self._check = session.check
        self._deadline = session.deadline
        self._streams_on = 0

    def stream_here(self) -> None:
        """Only what is asked on this thread is streamed: DSPy can hand on no other's."""
        self._streams_on = threading.get_ident()

    @property
    def streams_here(self) -> bool:
        return self._streams_on == threading.get_ident()

    def settings(self) -> dict[str, Any]:
        """For `dspy.context`, which hands it on to the threads that a program starts."""
        return {_RUNNING: self}

    def timeout_s(self) -> int | None:
        """What is left of the call, as `whole_timeout_s`. CancelledError: it has ended."""
        self._check()
        return (
            None if self._deadline is None else whole_timeout_s(self._deadline - time.monotonic())
        )


def whole_timeout_s(left_s: float) -> int:
    """A timeout at most a second longer than what is left: whole seconds, and steps of five beyond
    a minute, since DSPy keeps a pool of connections for each."""
    return max(1, math.ceil(left_s)) if left_s <= 60 else int(left_s // 5) * 5


class PoolLM(dspy.LM):  # type: ignore[misc]
    """A language model whose every request ends with the call that it is made for, and goes where
    its key belongs."""

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        running = _prepare(kwargs)
        if running is None or running.streams_here or dspy.settings.get("send_stream") is None:
            return super().__call__(prompt, messages=messages, **kwargs)
        with dspy.context(send_stream=None):
            return super().__call__(prompt, messages=messages, **kwargs)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        _prepare(kwargs)
        with dspy.context(send_stream=None):
            return await super().acall(prompt, messages=messages, **kwargs)


def _prepare(kwargs: dict[str, Any]) -> Running | None:
    """Gives a request the timeout of the call that runs, if one does."""
    if not _FIXED.isdisjoint(kwargs):
        names = ", ".join(sorted(_FIXED & kwargs.keys()))
        raise invalid_config(f"a request cannot choose its {names}: that is set with set_lm")
    running: Running | None = dspy.settings.get(_RUNNING)
    if running is not None and (timeout := running.timeout_s()) is not None:
        kwargs["timeout"] = timeout
    return running


# Whoever holds the language model keeps its entry: keys of replaced ones do not stay.
_live: "weakref.WeakKeyDictionary[LanguageModel, PoolLM]" = weakref.WeakKeyDictionary()
_making = threading.Lock()


def live_lm(language_model: LanguageModel) -> PoolLM:
    """The model of DSPy for this one, its connections included. Equal ones have equal keys,
    addresses and versions."""
    lm = _live.get(language_model)
    if lm is None:
        with _making:
            lm = _live.get(language_model)
            if lm is None:
                lm = _live[language_model] = _make_lm(language_model)
    return lm


def _make_lm(language_model: LanguageModel) -> PoolLM:
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
