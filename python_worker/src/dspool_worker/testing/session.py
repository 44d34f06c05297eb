"""A session of a pool in a test's own process."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dspool_worker.testing.answer import Answer
from dspool_worker.testing.record import SessionRecord

if TYPE_CHECKING:
    from dspool_worker.testing.pool import Pool


class PoolSession:
    """A session of a pool: its name, to be called by."""

    def __init__(self, pool: "Pool", session_id: str, record: SessionRecord) -> None:
        self.id = session_id
        self._pool = pool
        self._record = record

    @property
    def version(self) -> int:
        """Counts the commits."""
        return self._record.version

    @property
    def fields(self) -> dict[str, Any]:
        """A copy of what is committed."""
        return self._record.fields

    def fill(self, fields: Mapping[str, Any]) -> None:
        """Gives the session these fields and no others, as a commit."""
        with self._record.order:
            self._record.replace(dict(fields))

    def call(self, command: str, /, **args: Any) -> Any:
        """The value that a command returns. Raises CallError."""
        return self.execute(command, args).value

    def stream(self, command: str, /, **args: Any) -> Answer:
        """Calls as somebody does who listens to chunks; they are in the answer."""
        return self.execute(command, args, on_chunk=_ignore)

    def execute(
        self,
        command: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        on_chunk: Callable[[Any], None] | None = None,
    ) -> Answer:
        """Calls with a deadline, with a listener for chunks, and tells all that came of it.

        `on_chunk` may cancel the call by `cancel`; what it raises is raised here. Where the
        deadline passes or the call is cancelled, CallError is raised as soon as the command has
        ended, and what it did is taken back: a command is not interrupted.
        """
        return self._pool._execute(self.id, self._record, command, args, timeout_s, on_chunk)

    def cancel(self) -> None:
        """Gives up the call that runs, if one does; from another thread, or from `on_chunk`."""
        running = self._record.running
        if running is not None:
            running.cancel()

    def set_lm(
        self,
        model: str,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        temperature: float | None = None,
    ) -> None:
        """Sets a language model for this session, in place of the pool's."""
        lm = self._pool._new_lm(model, api_base, api_key, temperature)
        self._record.language_model = lm

    def evict(self) -> None:
        """Has the workers forget the session: its next command reads the fields anew."""
        with self._record.order:
            self._pool._evict(self.id)

    def __repr__(self) -> str:
        return f"PoolSession({self.id!r}, version={self.version})"


def _ignore(_: Any) -> None:
    pass
