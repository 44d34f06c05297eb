"""Log records that say for which session and request they were made.

Every record has `dspool_session`, a str, and `dspool_request`, an int, for formats of the adapter's
own; where no command has made it, they are "" and 0. Where it has configured no logging, records go
to standard error as

    [user-42 #17] WARNING my_app.cart: there is no tea

and those that no command has made, without the brackets. What a thread logs that the command has
started counts as made by none, unless it works in `logging_for`.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator

from dspool_worker._native import SessionState, running_session


class _Thread(threading.local):
    session: SessionState | None = None


_thread = _Thread()


@contextlib.contextmanager
def logging_for(session: SessionState) -> Iterator[None]:
    """What this thread logs is the session's command's, which waits for it meanwhile."""
    outer, _thread.session = _thread.session, session
    try:
        yield
    finally:
        _thread.session = outer


class CommandFormatter(logging.Formatter):
    """Puts the command's session and request before a record that a command has made."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        message = super().formatMessage(record)
        session = getattr(record, "dspool_session", "")
        request = getattr(record, "dspool_request", 0)
        return f"[{_printable(session)} #{request}] {message}" if session or request else message


def install() -> None:
    """Has all records tell of their command, and prints those that nobody else handles."""
    make_record = logging.getLogRecordFactory()

    def make_command_record(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        session = running_session()
        if session is None:
            session = _thread.session
        record.dspool_session = "" if session is None else session.id
        call = None if session is None else session.call
        record.dspool_request = 0 if call is None else call.request_id
        return record

    logging.setLogRecordFactory(make_command_record)
    # Only in the place of last resort it leaves `logging.basicConfig` its effect.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(CommandFormatter())
    logging.lastResort = handler


def _printable(session: str) -> str:
    if session == "":
        return "anonymous"
    return session if session.isprintable() else ascii(session)
