"""DSPy's own engine for one language model: chosen once, over connections that a call can end."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import dspy
from dspy.clients.backend_selection import select_backend
from dspy.clients.call_result import usage_dict
from dspy.clients.engines.lm15_engine import LM15Engine
from dspy.lm15 import ProviderError, RouterConfig, Usage

from dspool_worker.adapters.dspy.transport import make_transport

_SOME_USAGE = SimpleNamespace(
    usage=Usage(
        input_tokens=1,
        output_tokens=1,
        total_tokens=2,
        reasoning_tokens=1,
        cache_read_tokens=1,
        cache_write_tokens=1,
    )
)


class NativeEngine(LM15Engine):  # type: ignore[misc]
    """Serves what DSPy's own engine serves, and tells of it what `lm` does: its abilities, and how
    its provider's tokens are counted, which DSPy asks of no engine that it was handed."""

    def __init__(self, lm: dspy.LM, provider: str, clients: dict[str, Any]) -> None:
        api_key, api_base = clients.get("api_key"), clients.get("api_base")
        super().__init__(
            RouterConfig(
                api_keys={provider: api_key} if api_key else None,
                base_urls={provider: api_base} if api_base else None,
                transport=make_transport(),
            )
        )
        self._lm = lm
        self._provider = provider
        self._recounts = usage_dict(_SOME_USAGE, provider) != usage_dict(_SOME_USAGE)

    def complete(self, request: Any) -> Any:
        response = super().complete(request)
        if _says_nothing(response):
            raise ProviderError("what came is no completion", provider=self._provider)
        return self._recounted(response) if self._recounts else response

    def stream(self, request: Any) -> Iterator[Any]:
        for event in super().stream(request):
            ends = self._recounts and event.type == "end" and event.usage is not None
            yield self._recounted(event) if ends else event

    @functools.cached_property
    def supports_function_calling(self) -> bool:
        return bool(self._lm.supports_function_calling)

    @functools.cached_property
    def supports_reasoning(self) -> bool:
        return bool(self._lm.supports_reasoning)

    @functools.cached_property
    def supports_response_schema(self) -> bool:
        return bool(self._lm.supports_response_schema)

    @functools.cached_property
    def supported_params(self) -> set[str]:
        return set(self._lm.supported_params)

    def __deepcopy__(self, memo: object) -> "NativeEngine":
        return self  # copies of a language model share its connections

    def _recounted(self, told: Any) -> Any:
        counts = usage_dict(told, self._provider)
        usage = replace(
            told.usage,
            input_tokens=counts.get("prompt_tokens"),
            output_tokens=counts.get("completion_tokens"),
            total_tokens=counts.get("total_tokens"),
        )
        return replace(told, usage=usage)


def native_engine(lm: dspy.LM) -> NativeEngine | None:
    """The engine that DSPy would choose for `lm`; None: it would choose LiteLLM."""
    selection = select_backend(lm)
    if not selection.native or selection.resolution.declared:
        return None
    return NativeEngine(lm, selection.resolution.provider, selection.clients)


def _says_nothing(response: Any) -> bool:
    """Of whatever mapping comes as JSON, lm15 makes a response, which has nothing then."""
    usage = response.usage
    return (
        response.id is None
        and usage.input_tokens is None
        and usage.output_tokens is None
        and all(getattr(part, "text", None) == "" for part in response.message.parts)
    )
