"""An adapter whose answers and fields are as large as they may be, in ways other than bytes."""

from __future__ import annotations

from typing import Any

from dspool_worker import Adapter, Session


class Limits(Adapter):
    def nest(self, session: Session, /, depth: int) -> list[Any]:
        """The deepest value: as a field, as what is appended to one, and as the answer."""
        value: list[Any] = []
        for _ in range(depth - 1):
            value = [value]
        session["nested"] = value
        session.setdefault("items", []).append(value[0])
        return value

    def scatter(self, session: Session, /, fields: int) -> int:
        """Many fields in one delta."""
        for number in range(fields):
            session[f"field-{number}"] = number
        return fields

    def share(self, session: Session, /, count: int) -> list[Any]:
        """Many dicts with one key, which is written once."""
        value = [{"k" * 64: None} for _ in range(count)]
        session["shared"] = value
        return value
