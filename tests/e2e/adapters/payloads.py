"""An adapter for long values: there, back, kept, and looked at longer than is allowed."""

from __future__ import annotations

import zlib
from typing import Any

from dspool_worker import Adapter, Session, with_views


class Payloads(Adapter):
    def __init__(self) -> None:
        self._kept: Any = None

    def length(self, session: Session, /, data: bytes) -> int:
        assert type(data) is bytes
        return len(data)

    @with_views
    def view(self, session: Session, /, data: memoryview) -> dict[str, Any]:
        return {"bytes": data.nbytes, "crc32": zlib.crc32(data), "readonly": data.readonly}

    @with_views
    def echo(self, session: Session, /, data: memoryview) -> memoryview:
        return data

    def make(self, session: Session, /, size: int, fill: int = 7) -> bytes:
        return bytes([fill]) * size

    def text(self, session: Session, /, text: str) -> str:
        return text[::-1]

    def store(self, session: Session, /, data: bytes) -> int:
        session["data"] = data
        return len(data)

    def stored(self, session: Session, /) -> dict[str, int]:
        data = session.get("data", b"")
        return {"bytes": len(data), "crc32": zlib.crc32(data)}

    @with_views
    def keep(self, session: Session, /, data: memoryview) -> None:
        """What a command must not do."""
        self._kept = data

    @with_views
    def keep_slice(self, session: Session, /, data: memoryview) -> None:
        self._kept = data[1:]

    def look_at_kept(self, session: Session, /) -> dict[str, int]:
        return {"bytes": len(self._kept), "crc32": zlib.crc32(self._kept)}

    def die(self, session: Session, /, data: bytes) -> None:
        import os

        os._exit(3)
