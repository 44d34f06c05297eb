"""HTTP for DSPy's own engine, whose every wait ends with the call that it is for.

DSPy's transport bounds each wait for the next byte. Here a wait is cut into short ones, and between
them the call is looked at, on the thread that waits: so one that is cancelled, or whose time is up,
closes its connection at once, whatever the model's server does.

What is used of DSPy's transport beyond its interface is how it opens a connection, and that a
connection has its socket in `sock`.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from dspy._vendor.lm15.transports import StdlibTransport

from dspool_worker.adapters.dspy.running import running_call

# Nobody can be woken who waits for one of these; how many requests run at once is the pool's.
_MOST_CONNECTIONS = 1 << 20


class _Thread(threading.local):
    sent = 0
    timeout_s: float | None = None


_thread = _Thread()


def sent_here() -> int:
    """How often this thread has begun to send: unchanged, nothing was asked meanwhile."""
    return _thread.sent


@contextlib.contextmanager
def waiting(timeout_s: float | None) -> Iterator[None]:
    """Each wait of this thread for its model is at most that long; None: as long as it may be."""
    outer, _thread.timeout_s = _thread.timeout_s, timeout_s
    try:
        yield
    finally:
        _thread.timeout_s = outer


def make_transport() -> StdlibTransport:
    """Connections for one language model, from any thread."""
    return _Transport(max_connections=_MOST_CONNECTIONS)


class _Transport(StdlibTransport):  # type: ignore[misc]
    def _open(self, *args: Any, **kwargs: Any) -> Any:
        def opened() -> Any:
            connection = super(_Transport, self)._open(*args, **kwargs)
            connection.sock = _Socket(connection.sock)
            return connection

        running = running_call()
        if running is None:
            return opened()
        # Looking up its name and shaking hands are long waits.
        return running.wait_for(opened, too_late=lambda connection: connection.close())


class _Socket:
    """A connection's socket, as far as the transport uses it."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._timeout_s: float | None = None

    def settimeout(self, timeout_s: float | None) -> None:
        """For what has no deadline of its own."""
        self._timeout_s = timeout_s

    def fileno(self) -> int:
        return int(self._socket.fileno())

    def close(self) -> None:
        self._socket.close()

    def recv(self, size: int) -> bytes:
        received: bytes = self._in_time(self._socket.recv, size)
        return received

    def sendall(self, data: bytes) -> None:
        _thread.sent += 1
        left = memoryview(data)
        while left:
            left = left[self._in_time(self._socket.send, left) :]

    def _in_time(self, transfer: Callable[[Any], Any], argument: Any) -> Any:
        """As the socket does it. TimeoutError: `waiting`'s is over, or there was neither that nor a
        deadline, and `settimeout`'s is. It also raises what `Running.wait_s` does."""
        running = running_call()
        chosen_s = _thread.timeout_s
        left_s = self._timeout_s if chosen_s is None else chosen_s
        while running is not None:
            wait_s = running.wait_s()
            if left_s is not None and (chosen_s is not None or not running.has_deadline):
                if left_s <= wait_s:
                    break
                left_s -= wait_s
            self._socket.settimeout(wait_s)
            try:
                return transfer(argument)
            except TimeoutError:
                continue
        self._socket.settimeout(left_s)
        return transfer(argument)
