"""Values that callers send into prompts: plain data, finite, and text that can be encoded."""

import math
from collections.abc import Callable
from typing import Any

import pydantic
from dspy.adapters.types.base_type import CUSTOM_TYPE_START_IDENTIFIER

_DEPTH = 64


def unusable(value: object, depth: int = _DEPTH) -> str | None:
    """Why a value can be no input, to be put behind its name; None: it can be one."""
    if isinstance(value, str):
        return None if encodable(value) else "has text with a lone surrogate, which is no Unicode"
    if value is None or isinstance(value, (bool, int)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"has {value}, which is no finite number"
    if not isinstance(value, (dict, list, tuple)):
        return f"has {type(value).__name__}, which cannot be shown to a language model"
    if depth == 0:
        return f"is nested more than {_DEPTH} deep"
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or not encodable(key):
                return "has a key that is no text"
    for item in value.values() if isinstance(value, dict) else value:
        if (why := unusable(item, depth - 1)) is not None:
            return why
    return None


def encodable(text: str) -> bool:
    """Whether a text is Unicode: whether UTF-8 can hold it."""
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_attachment(text: str) -> bool:
    """Whether DSPy would make an image or a file of a part of a prompt."""
    return CUSTOM_TYPE_START_IDENTIFIER in text


def size_of(value: object) -> int:
    """About how many bytes of a prompt a value takes."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        return sum(len(str(key)) + 4 + size_of(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return sum(2 + size_of(item) for item in value)
    return 8


def plain(value: Any, otherwise: Callable[[Any], Any] = lambda value: value) -> Any:
    """A value as commands return it, without models of pydantic; `otherwise` turns what cannot be
    returned into what can."""
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): plain(item, otherwise) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, otherwise) for item in value]
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    return otherwise(value)
