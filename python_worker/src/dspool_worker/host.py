"""What the native loop asks of Python, once per error or change of language model."""

import inspect
from typing import Any

from dspool_worker.adapter import Adapter, commands_of
from dspool_worker.errors import (
    CommandError,
    ErrorReport,
    nearest,
    refusal,
    report_exception,
    summary,
)
from dspool_worker.language_model import LanguageModel


class AdapterHost:
    """An adapter and its commands, with their errors put into words.

    Whatever is told of an error, the language model's key is struck out of it.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.commands = commands_of(adapter)
        self._keys: set[str] = set()

    def unknown_command(self, name: bytes) -> ErrorReport:
        text = name.decode("utf-8", "backslashreplace")
        return refusal(
            "unknown_command", f"there is no command {text!r}: {nearest(text, self.commands)}"
        )

    def describe(self, error: BaseException, command: str) -> ErrorReport:
        """The report of what a command raised."""
        return self._without_keys(self._describe(error, command))

    def set_language_model(
        self,
        version: int,
        model: str,
        api_base: str | None,
        api_key: str | None,
        temperature: float | None,
    ) -> ErrorReport | None:
        """Hands a language model to the adapter; returns why it was refused, or None."""
        if api_key:
            self._keys.add(api_key)
        try:
            self.adapter.set_lm(
                LanguageModel(version, model, api_base, api_key or None, temperature)
            )
        except Exception as error:
            message = f"the adapter refused the language model {model!r}: {summary(error)}"
            report = report_exception(error, code="set_lm_failed", message=message)
            return self._without_keys(report)
        return None

    def _describe(self, error: BaseException, command: str) -> ErrorReport:
        if isinstance(error, CommandError):
            return report_exception(
                error, code=error.code, message=str(error), retryable=error.retryable
            )
        if isinstance(error, TypeError) and error.__traceback__ is None:
            # Raised before the first line of the command ran: the arguments do not fit.
            return refusal("invalid_arguments", f"{error}: call it as {self._usage(command)}")
        retryable = isinstance(error, Exception) and self.adapter.is_retryable(error)
        return report_exception(error, retryable=retryable)

    def _usage(self, command: str) -> str:
        signature = inspect.signature(self.commands[command])
        _session, *parameters = signature.parameters.values()
        return f"{command}({', '.join(map(str, parameters))})"

    def _without_keys(self, report: ErrorReport) -> ErrorReport:
        def strike(value: Any) -> Any:
            for key in self._keys:
                if isinstance(value, str):
                    value = value.replace(key, "<api_key>")
            return value

        return ErrorReport(*map(strike, report))
