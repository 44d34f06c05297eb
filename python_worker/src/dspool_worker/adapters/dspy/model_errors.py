"""What goes wrong with a language model, as typed errors."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import dspy

from dspool_worker import CommandError


class _Kind(NamedTuple):
    category: str
    code: str
    retryable: bool
    of_provider: bool
    """Whether it is the provider's failure, which its circuit breaker counts."""
    advice: str


_TIMEOUT = _Kind("timeout", "model_timeout", True, True, "allow more time, or try again")
# What DSPy's and LiteLLM's transports call it when a response does not come in time.
_TIMEOUT_CLASSES = frozenset({"PoolTimeout", "ReadTimeout", "WriteTimeout"})
_LONGEST_CHAIN = 16
_MALFORMED = _Kind("connection", "malformed_response", True, True, "try again")
# What reading a response raises that has another form than its API's.
_STUMBLES = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
# The more special class stands before the one that it derives from.
_KINDS: tuple[tuple[type[Exception], _Kind], ...] = (
    (
        dspy.ContextWindowExceededError,
        _Kind("python", "context_length_exceeded", False, False, "send less, or fewer turns"),
    ),
    (
        dspy.LMAuthError,
        _Kind("python", "authentication_failed", False, False, "call set_lm with a valid api_key"),
    ),
    (
        dspy.LMBillingError,
        _Kind("python", "billing_failed", False, False, "see to the provider's account"),
    ),
    (
        dspy.LMRateLimitError,
        _Kind("resource_error", "rate_limited", True, True, "wait for retry_after, or send less"),
    ),
    (
        dspy.LMUnsupportedModelError,
        _Kind("python", "model_not_found", False, False, "call set_lm with one that there is"),
    ),
    (
        dspy.LMInvalidRequestError,
        _Kind("python", "model_refused", False, False, "change what is asked"),
    ),
    (dspy.LMTimeoutError, _TIMEOUT),
    (
        dspy.LMServerError,
        _Kind("connection", "model_unavailable", True, True, "try again later"),
    ),
    (
        dspy.LMTransportError,
        _Kind("connection", "model_unreachable", True, True, "see to api_base, or try again"),
    ),
    (dspy.LMStreamAssemblyError, _MALFORMED),
    (
        dspy.LMConfigurationError,
        _Kind("python", "invalid_language_model", False, False, "call set_lm with what it needs"),
    ),
    (
        dspy.LMUnsupportedFeatureError,
        _Kind("python", "model_refused", False, False, "use another model"),
    ),
    (dspy.LMProviderError, _MALFORMED),
    (
        dspy.LMError,
        _Kind("connection", "model_failed", False, False, "see the traceback"),
    ),
)


def typed_error(error: Exception, model: str, provider: str | None) -> CommandError | None:
    """The error to raise for what DSPy raised; None: it is not of a language model.

    `model` and `provider` are the call's; where the error names others, a program has asked those.
    """
    if isinstance(error, dspy.AdapterParseError):
        return CommandError(
            f"{model} did not answer in the form that it was asked for: try again, or use a model "
            f"that follows instructions better. It said: {_beginning(error.lm_response)}",
            code="malformed_answer",
            retryable=True,
        )
    kind = next((kind for known, kind in _KINDS if isinstance(error, known)), None)
    if kind is None:
        return None
    if isinstance(error, dspy.LMTransportError) and _timed_out(error):
        kind = _TIMEOUT
    if type(error) is dspy.LMUnexpectedError and _stumbled(error):
        kind = _MALFORMED
    model, provider = _whose(error, model, provider)
    return CommandError(
        f"{model}: {_said(error)}: {kind.advice}",
        code=kind.code,
        category=kind.category,
        retryable=kind.retryable,
        retry_after=_pause(error) if kind.retryable else None,
        provider=provider if kind.of_provider else None,
    )


def _whose(error: Exception, model: str, provider: str | None) -> tuple[str, str | None]:
    """The language model that failed, and its provider."""
    named, named_provider = getattr(error, "model", None), getattr(error, "provider", None)
    if not isinstance(named, str) or named == model:
        return model, provider
    prefix, slash, _ = named.partition("/")
    if not isinstance(named_provider, str):
        return named, prefix if slash else None
    if model == f"{named_provider}/{named}":  # LiteLLM leaves the provider out
        return model, provider
    # DSPy's own engine calls openai "openai-chat".
    return named, prefix if slash and named_provider.startswith(prefix) else named_provider


def _said(error: Exception) -> str:
    # What follows is advice for people who use DSPy by itself.
    said = str(getattr(error, "message", "")).partition("\n\n")[0].strip()
    return said or type(error).__name__


def _timed_out(error: Exception) -> bool:
    return any(type(cause).__name__ in _TIMEOUT_CLASSES for cause in _causes(error))


def _stumbled(error: Exception) -> bool:
    cause = error.__cause__
    # A text that cannot be encoded is the caller's.
    return isinstance(cause, _STUMBLES) and not isinstance(cause, UnicodeEncodeError)


def _pause(error: Exception) -> float | None:
    """How many seconds the provider asks to wait; None: it has not said."""
    for cause in _causes(error):
        said = getattr(cause, "retry_after", None)
        if said is None:  # LiteLLM keeps the response
            headers = getattr(getattr(cause, "response", None), "headers", None) or {}
            said = headers.get("retry-after")
        try:
            seconds = float(said)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and what it follows from."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _beginning(text: object, limit: int = 200) -> str:
    said = str(text)
    return repr(said if len(said) <= limit else said[:limit] + "...")
