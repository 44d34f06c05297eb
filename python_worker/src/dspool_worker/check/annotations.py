"""Whether a value that travels can be what an annotation says.

Where it is not clear, such as for protocols and type variables, it is taken to be all right.
"""

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any

from dspool_worker.advice import refused, with_article

_SCALARS = (type(None), bool, int, float, str, bytes)
_RECEIVED: tuple[type, ...] = (*_SCALARS, list, dict)
_RETURNED: tuple[type, ...] = (*_RECEIVED, tuple, memoryview, bytearray)
_DEEPEST = 16


class Direction:
    """Values that a command is given, or values that it returns."""

    def __init__(self, accepted: tuple[type, ...], *, returned: bool) -> None:
        self.accepted = accepted
        self.returned = returned

    def problem(self, annotation: Any, depth: int = 0) -> str | None:
        """Why there is no such value, as `is a set: use ...`; None: there is."""
        if annotation is Any or depth > _DEEPEST:
            return None
        while hasattr(annotation, "__supertype__"):  # of a NewType
            annotation = annotation.__supertype__
        if hasattr(annotation, "__value__"):  # of a `type X = ...`
            return self.problem(annotation.__value__, depth + 1)
        origin = typing.get_origin(annotation)
        parts = typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return self._of_union(parts, depth)
        if origin is typing.Literal:
            return self._of_union(tuple({type(part) for part in parts}), depth)
        if origin is not None:
            return self._of_class(origin) or self._of_parts(origin, parts, depth)
        if typing.is_typeddict(annotation):
            return self._of_fields(annotation, depth)
        return self._of_class(annotation) if inspect.isclass(annotation) else None

    def _of_union(self, parts: tuple[Any, ...], depth: int) -> str | None:
        problems = [self.problem(part, depth + 1) for part in parts]
        found = [problem for problem in problems if problem is not None]
        # One that is given may always be of the other kind; one that is returned may not.
        if not found or (len(found) < len(problems) and not self.returned):
            return None
        return found[0]

    def _of_parts(self, origin: type, parts: tuple[Any, ...], depth: int) -> str | None:
        if inspect.isclass(origin) and issubclass(origin, Mapping) and len(parts) == 2:
            if _is_no_text(parts[0]):
                return "has keys that are not str: use str"
            parts = parts[1:]
        for part in parts:
            problem = None if part is Ellipsis else self.problem(part, depth + 1)
            if problem is not None:
                return problem
        return None

    def _of_fields(self, annotation: Any, depth: int) -> str | None:
        try:
            fields = typing.get_type_hints(annotation)
        except Exception:
            return None
        problems = [self.problem(field, depth + 1) for field in fields.values()]
        return next((problem for problem in problems if problem is not None), None)

    def _of_class(self, kind: type) -> str | None:
        try:
            if any(issubclass(accepted, kind) for accepted in self.accepted):
                return None
            if self.returned and issubclass(kind, self.accepted):
                return None
        except TypeError:  # a protocol that cannot be asked
            return None
        if self.returned:
            return refused(kind)
        return f"is never {with_article(kind.__name__)}"


def arguments(*, with_views: bool) -> Direction:
    accepted = tuple(kind for kind in _RECEIVED if kind is not bytes or not with_views)
    return Direction((*accepted, memoryview) if with_views else accepted, returned=False)


def results() -> Direction:
    return Direction(_RETURNED, returned=True)


def _is_no_text(annotation: Any) -> bool:
    return inspect.isclass(annotation) and not (issubclass(annotation, str) or annotation is object)
