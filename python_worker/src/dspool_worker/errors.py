"""Errors, as adapters raise them and as the engine is told of them."""

import difflib
import math
import resource
import traceback
from collections.abc import Iterable
from typing import NamedTuple

_MESSAGE_LIMIT_BYTES = 8 * 1024
_TRACEBACK_LIMIT_BYTES = 16 * 1024
_WORD_LIMIT_BYTES = 256
_SHORTEST_SECRET = 8
_LONGEST_RETRY_AFTER_S = 7 * 24 * 3600
_CATEGORIES = frozenset(
    {"connection", "python", "resource_error", "session", "system_error", "timeout"}
)


class CommandError(Exception):
    """Raised by a command to refuse: the caller gets the message, the code and nothing else.

    `code` is a stable word that callers can act on, `category` one of the engine's that a command
    may know of: "connection", "python", "resource_error", "session", "system_error" or "timeout";
    another one is a ValueError.

    With `retryable` the engine may run the command again, if the caller allows retries, and not
    before `retry_after` seconds have passed (at most a week; None: when it likes). `provider` names
    the language-model provider that failed, if one did: the engine has a circuit breaker for each.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "command_failed",
        category: str = "python",
        retryable: bool = False,
        retry_after: float | None = None,
        provider: str | None = None,
    ) -> None:
        if category not in _CATEGORIES:
            known = nearest(category, _CATEGORIES)
            raise ValueError(f"no error of a command is of the category {category!r}: {known}")
        if retry_after is not None and not (math.isfinite(retry_after) and retry_after >= 0):
            raise ValueError(f"retry_after is a number of seconds, not {retry_after!r}")
        super().__init__(message)
        self.code = code
        self.category = category
        self.retryable = retryable
        self.retry_after = retry_after
        self.provider = provider


class ErrorReport(NamedTuple):
    """An error as the engine is told of it. Every text is bounded, so that it fits a record.

    `category`, `code`, `exception_type` and `provider` are words that callers act on; `message` and
    `traceback` are for people, and the only ones out of which secrets are struck.
    """

    category: str
    code: str
    message: str
    exception_type: str = ""
    traceback: str = ""
    retryable: bool = False
    provider: str = ""
    retry_after_ms: int = 0
    """0: nobody has said."""


class Secrets:
    """Language models' keys, to be struck out of what is told of errors.

    What is shorter than 8 characters is no secret, and often a word that stands elsewhere: servers
    of one's own take keys like `none`.
    """

    def __init__(self) -> None:
        self._keys: list[str] = []

    def add(self, key: str) -> None:
        if len(key) >= _SHORTEST_SECRET and key not in self._keys:
            # The longest first, or a key that begins like another would leave its end behind.
            self._keys = sorted([*self._keys, key], key=len, reverse=True)

    def remove(self, key: str) -> None:
        self._keys = [kept for kept in self._keys if kept != key]

    def strike_from(self, text: str) -> str:
        for key in self._keys:
            text = text.replace(key, "<api_key>")
        return text


_NO_SECRETS = Secrets()


def refusal(
    code: str, message: str, *, category: str = "python", secrets: Secrets = _NO_SECRETS
) -> ErrorReport:
    """A report of what the worker itself refuses."""
    return ErrorReport(category, code, _clip(secrets.strike_from(message), _MESSAGE_LIMIT_BYTES))


def report_exception(
    error: BaseException,
    *,
    category: str = "python",
    code: str = "exception",
    message: str | None = None,
    retryable: bool = False,
    provider: str | None = None,
    retry_after: float | None = None,
    secrets: Secrets = _NO_SECRETS,
) -> ErrorReport:
    """A report of an exception; its traceback begins where the worker called the adapter."""
    # Secrets are struck out before a text is clipped, which could leave a part of one.
    text = secrets.strike_from(summary(error) if message is None else message)
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return ErrorReport(
        category=category,
        code=_clip(code, _WORD_LIMIT_BYTES),
        message=_clip(text, _MESSAGE_LIMIT_BYTES),
        exception_type=_clip(type(error).__qualname__, _WORD_LIMIT_BYTES),
        traceback=_clip_front(secrets.strike_from("".join(lines)), _TRACEBACK_LIMIT_BYTES),
        retryable=bool(retryable),
        provider=_clip(str(provider or ""), _WORD_LIMIT_BYTES),
        retry_after_ms=math.ceil(min(retry_after or 0, _LONGEST_RETRY_AFTER_S) * 1000),
    )


def report_refusal(
    refused: CommandError, error: BaseException, *, secrets: Secrets = _NO_SECRETS
) -> ErrorReport:
    """A report of what a CommandError says of an exception, which may be itself."""
    return report_exception(
        error,
        category=refused.category,
        code=refused.code,
        message=str(refused),
        retryable=refused.retryable,
        provider=refused.provider,
        retry_after=refused.retry_after,
        secrets=secrets,
    )


def summary(error: BaseException) -> str:
    """`ValueError: no such program`, even where the exception cannot be printed."""
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def out_of_memory_advice() -> str:
    """What a MemoryError means in this process, and what to do."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY:
        return "the machine has no memory left for it: run fewer workers, or ask for less at once"
    return (
        f"the worker's limit is {limit >> 20} MiB: raise worker.memory_limit, or ask for less at "
        "once"
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """What to add to "there is no `name`": the word that was meant, and all that there are."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known)}" if known else "there are none"


def _clip(text: str, limit_bytes: int) -> str:
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) > limit_bytes:
        return encoded[: limit_bytes - 3].decode("utf-8", "ignore") + "..."
    return encoded.decode("utf-8")


def _clip_front(text: str, limit_bytes: int) -> str:
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) > limit_bytes:
        return "..." + encoded[3 - limit_bytes :].decode("utf-8", "ignore")
    return encoded.decode("utf-8")
