"""What the native loop asks of Python, once per error or change of language model."""

import inspect

from dspool_worker.adapter import Adapter, commands_of
from dspool_worker.errors import (
    CommandError,
    ErrorReport,
    Secrets,
    nearest,
    out_of_memory_advice,
    refusal,
    report_exception,
    report_refusal,
    summary,
)
from dspool_worker.language_model import LanguageModel


class AdapterHost:
    """An adapter and its commands, with their errors put into words.

    The keys of the language models that it was given are struck out of those words.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.commands = commands_of(adapter)
        self._secrets = Secrets()
        self._keys: dict[int, str] = {}  # of the language models that it holds

    def unknown_command(self, name: bytes) -> ErrorReport:
        text = name.decode("utf-8", "backslashreplace")
        return refusal(
            "unknown_command", f"there is no command {text!r}: {nearest(text, self.commands)}"
        )

    def describe(self, error: BaseException, command: str) -> ErrorReport:
        """The report of what a command raised."""
        if isinstance(error, CommandError):
            return report_refusal(error, error, secrets=self._secrets)
        if isinstance(error, TypeError) and error.__traceback__ is None:
            # Raised before the first line of the command ran: the arguments do not fit.
            message = f"{error}: call it as {self.usage(command)}"
            return refusal("invalid_arguments", message, secrets=self._secrets)
        told = self._ask_adapter(error) if isinstance(error, Exception) else None
        if isinstance(told, CommandError):
            return report_refusal(told, error, secrets=self._secrets)
        if isinstance(error, MemoryError):
            return report_exception(
                error,
                category="resource_error",
                code="out_of_memory",
                message=f"{summary(error)}: {out_of_memory_advice()}",
                secrets=self._secrets,
            )
        message = summary(error) if told is None else f"{summary(error)} ({told})"
        return report_exception(error, message=message, secrets=self._secrets)

    def _ask_adapter(self, error: Exception) -> CommandError | str | None:
        """What the adapter makes of an exception; a text says why it makes nothing of it."""
        try:
            told = self.adapter.describe_error(error)
        except BaseException as failure:  # also SystemExit: the worker goes on
            return f"and describe_error raised {summary(failure)}"
        if told is None or isinstance(told, CommandError):
            return told
        return f"and describe_error returned a {type(told).__name__}"

    def set_language_model(
        self,
        version: int,
        model: str,
        api_base: str | None,
        api_key: str | None,
        temperature: float | None,
    ) -> tuple[LanguageModel, ErrorReport | None]:
        """Hands a language model to the adapter; returns it, and why it was refused, or None."""
        if api_key:
            self._keys[version] = api_key
            self._secrets.add(api_key)
        language_model = LanguageModel(version, model, api_base, api_key or None, temperature)
        try:
            self.adapter.set_lm(language_model)
        except CommandError as error:
            return language_model, report_refusal(error, error, secrets=self._secrets)
        except Exception as error:
            message = f"the adapter refused the language model {model!r}: {summary(error)}"
            report = report_exception(
                error, code="set_lm_failed", message=message, secrets=self._secrets
            )
            return language_model, report
        return language_model, None

    def forget_language_model(self, version: int) -> None:
        """No command will be run with this language model any more."""
        key = self._keys.pop(version, None)
        if key is not None and key not in self._keys.values():
            self._secrets.remove(key)

    def usage(self, command: str) -> str:
        """A command's signature, as callers are told of it: `add(item: str, count: int = 1)`."""
        signature = inspect.signature(self.commands[command])
        _session, *parameters = signature.parameters.values()
        return f"{command}({', '.join(map(str, parameters))})"
