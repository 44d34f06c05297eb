"""An adapter whose fields say what they hold, for tests of where fields lie."""

from __future__ import annotations

import random
import zlib

from dspool_worker import Adapter, Session


class Checksums(Adapter):
    """Every field is a checksum, a colon, and what the checksum is of."""

    def rewrite(self, session: Session, /, sizes: list[int]) -> int:
        """Looks at all fields, writes some anew and appends to others."""
        self._check(session)
        for index, size in enumerate(sizes):
            text = random.randbytes(size // 2).hex()  # noqa: S311
            session[f"field-{index}"] = f"{zlib.crc32(text.encode())}:{text}"
        session.setdefault("log", []).append(f"entry {len(session['log'])}")
        session["count"] = session.get("count", 0) + 1
        return int(session["count"])

    def count(self, session: Session, /) -> int:
        self._check(session)
        return int(session.get("count", 0))

    def _check(self, session: Session) -> None:
        for key in session:
            if key.startswith("field-"):
                checksum, _, text = session[key].partition(":")
                if int(checksum) != zlib.crc32(text.encode()):
                    raise ValueError(f"{key} of {session.id} is not what was written")
        log = session.get("log", [])
        if log != [f"entry {i}" for i in range(len(log))] or len(log) != session.get("count", 0):
            raise ValueError(f"the log of {session.id} is not what was written")
