"""Language models of DSPy, one for each that a session or the pool uses."""

import functools
import math
import threading
import weakref
from typing import Any, TypeGuard

import dspy
from dspy.lm15 import LM15Error

from dspool_worker import CommandError, LanguageModel
from dspool_worker.adapters.dspy.engine import NativeEngine, native_engine
from dspool_worker.adapters.dspy.refusals import invalid_config
from dspool_worker.adapters.dspy.running import Running, running_call
from dspool_worker.adapters.dspy.transport import sent_here, waiting

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


class PoolLM(dspy.LM):  # type: ignore[misc]
    """A language model whose every request goes where its key belongs, and is not waited for any
    more once the call has ended that it is made for. `run_streaming` ends what streams."""

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        running = _begin(kwargs)
        _set_timeout(kwargs, running)
        ask = functools.partial(super().__call__, prompt, messages=messages, **kwargs)
        if running is None:
            return ask()
        if dspy.settings.get("send_stream") is None:
            return running.wait_for(ask)
        if running.streams_here:
            return ask()
        with dspy.context(send_stream=None):
            return running.wait_for(ask)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        running = _begin(kwargs)
        _set_timeout(kwargs, running)
        with dspy.context(send_stream=None):
            asking = super().acall(prompt, messages=messages, **kwargs)
            return await (asking if running is None else running.finish(asking))


class NativeLM(dspy.LM):  # type: ignore[misc]
    """The same, served by DSPy's own engine: its requests end with the call, streams, too.

    `other` is the same language model as DSPy would serve it by itself. It gets what this engine
    does not take, which DSPy hands to LiteLLM, and what is asked asynchronously.
    """

    def __init__(self, other: PoolLM, engine: NativeEngine, temperature: float | None) -> None:
        super().__init__(
            other.model, temperature=temperature, cache=False, num_retries=0, engine=engine
        )
        self.other = other

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        running = _begin(kwargs)
        timeout = kwargs.pop("timeout", None)  # DSPy refuses it for an engine that it was handed
        if timeout is not None and not _is_timeout(timeout):
            return self.other(prompt, messages=messages, timeout=timeout, **kwargs)
        before = sent_here()
        try:
            with waiting(timeout):
                if (
                    running is None
                    or running.streams_here
                    or dspy.settings.get("send_stream") is None
                ):
                    return super().__call__(prompt, messages=messages, **kwargs)
                with dspy.context(send_stream=None):
                    return super().__call__(prompt, messages=messages, **kwargs)
        except (dspy.LMUnsupportedFeatureError, TypeError, ValueError):
            if sent_here() != before:  # it is what came that is not supported: it has its price
                raise
            if timeout is not None:
                kwargs["timeout"] = timeout
            return self.other(prompt, messages=messages, **kwargs)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        return await self.other.acall(prompt, messages=messages, **kwargs)

    def copy(self, **kwargs: Any) -> "NativeLM":
        copied: NativeLM = super().copy(**kwargs)
        copied.other = self.other.copy(**kwargs)
        return copied

    def dump_state(self) -> Any:
        return self.other.dump_state()


class NoLM(dspy.BaseLM):  # type: ignore[misc]
    """Stands where no language model is set, for programs that ask only their own."""

    def __init__(self) -> None:
        super().__init__("none", cache=False)

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        raise CommandError(
            "no language model is set: call set_lm on the pool or in the session first",
            code="no_language_model",
        )

    async def acall(self, *_args: Any, **_kwargs: Any) -> Any:
        self()


def _begin(kwargs: dict[str, Any]) -> Running | None:
    """What every request begins with: the call that it is made for, if one runs."""
    if not _FIXED.isdisjoint(kwargs):
        names = ", ".join(sorted(_FIXED & kwargs.keys()))
        raise invalid_config(f"a request cannot choose its {names}: that is set with set_lm")
    running = running_call()
    if running is not None:
        running.check()
    return running


def _set_timeout(kwargs: dict[str, Any], running: Running | None) -> None:
    """The program's own, unless the call has less time left."""
    if running is not None and (left := running.timeout_s()) is not None:
        own = kwargs.get("timeout")
        kwargs["timeout"] = min(own, left) if _is_timeout(own) else left


def _is_timeout(value: object) -> TypeGuard[float]:
    """Whether it is seconds; DSPy also knows timeouts of other types, and refuses others."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and value > 0


# Whoever holds the language model keeps its entry: here, keys of replaced ones do not stay.
# LiteLLM, where it is used, keeps its own clients, with their keys, for an hour.
_live: "weakref.WeakKeyDictionary[LanguageModel, dspy.LM]" = weakref.WeakKeyDictionary()
_making = threading.Lock()


def live_lm(language_model: LanguageModel) -> dspy.LM:
    """The model of DSPy for this one, its connections included. Equal ones have equal keys,
    addresses and versions."""
    lm = _live.get(language_model)
    if lm is None:
        with _making:
            lm = _live.get(language_model)
            if lm is None:
                lm = _live[language_model] = _make_lm(language_model)
    return lm


def _make_lm(language_model: LanguageModel) -> dspy.LM:
    # A server of one's own may want no key; DSPy wants one to be there.
    api_key = language_model.api_key or ("none" if language_model.api_base else None)
    try:
        lm = PoolLM(
            language_model.model,
            api_base=language_model.api_base,
            api_key=api_key,
            temperature=language_model.temperature,
            cache=False,
            num_retries=0,  # retrying is the pool's: it knows the deadline and the budget
        )
        engine = native_engine(lm)
        return lm if engine is None else NativeLM(lm, engine, language_model.temperature)
    except (ValueError, dspy.LMError, LM15Error) as error:
        raise CommandError(
            f"the language model {language_model.model} cannot be used: {error}",
            code="invalid_language_model",
        ) from error
