"""The language model that a call uses."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LanguageModel:
    """A language model, as the application set it: for the whole pool, or for sessions.

    The key is left out of `repr`, so that it does not reach a log by accident. What an adapter
    derives from it and keeps in a `weakref.WeakKeyDictionary` ends with it: once another has taken
    its place, and no call uses it any more.
    """

    version: int
    """Names it: another model, or the same with another key, has another version."""
    model: str
    """As LiteLLM names it, with its provider: "openai/gpt-4o-mini"."""
    api_base: str | None = None
    """None: the provider's own address."""
    api_key: str | None = field(default=None, repr=False)
    temperature: float | None = None
    """None: the model's own default."""

    @property
    def provider(self) -> str:
        """Whose model it is: what stands before the first `/` of its name, or all of that."""
        return self.model.partition("/")[0]
