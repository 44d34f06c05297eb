"""What comes of a call: an answer, or an error as its caller gets it."""

from dataclasses import dataclass
from typing import Any

from dspool_worker.errors import ErrorReport


@dataclass(frozen=True)
class Answer:
    """A call's value, and what else came of it."""

    value: Any
    request_id: int
    worker: int
    """Which of the pool's workers, counted from 0, ran the command."""
    version: int
    """The session's, after the commit; 0 in an anonymous call."""
    puts: dict[str, Any]
    """Fields that the command assigned or changed."""
    deletes: list[str]
    appends: dict[str, Any]
    """What was added to lists and texts that have only grown."""
    chunks: list[Any]
    """What the command has sent ahead by `session.emit`, in order."""
    input_tokens: int
    output_tokens: int


class CallError(Exception):
    """A call that ended with an error. What the command had changed is taken back.

    `category` and `code` are those of engine/README.md. What the command raised, if it raised
    something, is the `__cause__`.
    """

    def __init__(self, report: ErrorReport) -> None:
        super().__init__(f"{report.category}/{report.code}: {report.message}")
        self.category = report.category
        self.code = report.code
        self.message = report.message
        self.retryable = report.retryable
        self.retry_after = report.retry_after_ms / 1000 if report.retry_after_ms else None
        """Seconds; None: nobody has said."""
        self.provider = report.provider
        """The language-model provider whose failure it is; "": none's."""
        self.exception_type = report.exception_type
        """Of what the command raised; "": the worker or the engine has refused."""
        self.traceback = report.traceback
