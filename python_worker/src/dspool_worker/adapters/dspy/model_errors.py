"""What goes wrong with a language model, as typed errors."""

import math
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
    (
        dspy.LMStreamAssemblyError,
        _Kind("connection", "malformed_response", True, True, "try again"),
    ),
    (
        dspy.LMConfigurationError,
        _Kind("python", "invalid_language_model", False, False, "call set_lm with what it needs"),
    ),
    (
        dspy.LMUnsupportedFeatureError,
        _Kind("python", "model_refused", False, False, "use another model"),
    ),
    (
        dspy.LMProviderError,
        _Kind("connection", "malformed_response", True, True, "try again"),
    ),
    (
        dspy.LMError,
        _Kind("connection", "model_failed", False, True, "see the traceback"),
    ),
)


def typed_error(error: Exception, model: str, provider: str) -> CommandError | None:
    """The error to raise for what DSPy raised; None: it is not of a language model."""
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
    return CommandError(
        f"{model}: {getattr(error, 'message', '') or type(error).__name__}: {kind.advice}",
        code=kind.code,
        category=kind.category,
        retryable=kind.retryable,
        retry_after=_pause(error) if kind.retryable else None,
        provider=provider if kind.of_provider else None,
    )


def _timed_out(error: BaseException | None) -> bool:
    while error is not None:
        if type(error).__name__ in _TIMEOUT_CLASSES:
            return True
        error = error.__cause__
    return False


def _pause(error: Exception) -> float | None:
    seconds = getattr(error, "retry_after", None)
    usable = isinstance(seconds, (int, float)) and math.isfinite(seconds) and seconds >= 0
    return float(seconds) if usable else None  # type: ignore[arg-type]


def _beginning(text: object, limit: int = 200) -> str:
    said = str(text)
    return repr(said if len(said) <= limit else said[:limit] + "...")
