"""Imports the adapter once and forks workers. The engine starts it; it is of no use by hand.

It must stay what can be forked: one thread, no open disk cache (`fork_safety`). So it waits in one
place for all that happens, orders and ends of workers, and has no thread that would end it with the
engine: PDEATHSIG does that, and the socket's hang-up.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import traceback

from dspool_worker._native import (
    channel_descriptors,
    fork_done,
    fork_ended,
    fork_failed,
    fork_ready,
    fork_socket,
    read_fork_order,
    rename_process,
)
from dspool_worker.adapter import load_adapter
from dspool_worker.errors import ErrorReport, refusal
from dspool_worker.fork_safety import fork_hindrance
from dspool_worker.host import AdapterHost
from dspool_worker.worker import (
    parse_arguments,
    prepare_process,
    read_settings,
    run_worker,
    start_report,
)

_THREADS_PATIENCE_S = 2.0
_MOST_DESCRIPTORS = 16
_LONGEST_ORDER_BYTES = 4096
_OF_SERVER = 0  # what is said of this epoch is said of the server itself
_UNKNOWN = -1


class ForkServer:
    """Forks workers as the engine orders them, and tells it how they end."""

    def __init__(self, adapter: str, engine: socket.socket) -> None:
        self._adapter = adapter
        self._engine = engine
        self._workers: dict[int, tuple[int, int]] = {}  # pid and epoch, by pidfd
        self._poll = select.poll()
        self._poll.register(engine, select.POLLIN)

    def check(self) -> ErrorReport | None:
        """Why nothing can be forked here, or None."""
        hindrance = None if self._workers else _own_children()
        hindrance = hindrance or fork_hindrance(_THREADS_PATIENCE_S)
        if hindrance is None:
            return None
        return refusal(
            "fork_refused",
            f"adapter {self._adapter} cannot be forked: when it was imported and constructed, "
            f'{hindrance}: set worker.start_method = "spawn", or do that in start(), which runs '
            "in each worker",
            category="initialization",
        )

    def serve(self) -> bool:
        """Returns True in each new worker, and False in the server when the engine is gone."""
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll()]
            for descriptor in ready:
                if descriptor in self._workers:
                    self._bury(descriptor)
            if self._engine.fileno() not in ready:
                continue
            order, descriptors, _, _ = socket.recv_fds(
                self._engine, _LONGEST_ORDER_BYTES, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
            if not order:
                return False
            epoch, numbers = read_fork_order(order)
            if self._carry_out(epoch, dict(zip(numbers, descriptors, strict=True))):
                return True

    def _carry_out(self, epoch: int, descriptors: dict[int, int]) -> bool:
        """Forks a worker, or tells why not; True in the worker."""
        pidfd = None
        report = self.check()
        if report is None:
            try:
                pid = _fork()
                if pid == 0:
                    self._become_worker(descriptors)
                    return True
                pidfd = _lead_group(pid)
                self._workers[pidfd] = pid, epoch
                self._poll.register(pidfd, select.POLLIN)
            except OSError as error:
                report = refusal(
                    "spawn_failed",
                    f"a worker could not be forked: {error}; check the limits of this process",
                    category="initialization",
                )
        # Before the answer: while they are open here, nobody sees the worker hang up.
        for descriptor in descriptors.values():
            os.close(descriptor)
        if report is not None:
            self._engine.send(fork_failed(epoch, report))
        elif pidfd is not None:
            socket.send_fds(self._engine, [fork_done(epoch)], [pidfd])
        return False

    def _become_worker(self, descriptors: dict[int, int]) -> None:
        """Takes the descriptors, and gives up all that is the server's."""
        try:
            os.setpgid(0, 0)
            self._engine.close()
            for pidfd in self._workers:
                os.close(pidfd)
            for number, descriptor in descriptors.items():
                os.dup2(descriptor, number)
                os.close(descriptor)
            for number in channel_descriptors():
                if number not in descriptors:
                    os.close(number)
        except BaseException:
            try:
                traceback.print_exc()
            finally:
                os._exit(1)

    def _bury(self, pidfd: int) -> None:
        """Ends what is left of a dead worker's group, reaps it, and tells how it ended."""
        pid, epoch = self._workers.pop(pidfd)
        signalled, code = False, _UNKNOWN
        with contextlib.suppress(ChildProcessError):  # the adapter's own code has reaped it
            ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
            if ended is not None:
                signalled, code = ended.si_code != os.CLD_EXITED, ended.si_status
            # Before it is reaped: until then nobody else can have its number.
            with contextlib.suppress(ProcessLookupError):  # it has left its group
                os.killpg(pid, signal.SIGKILL)
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        self._engine.send(fork_ended(epoch, signalled, code))


def main() -> int:
    arguments = parse_arguments("dspool_worker.fork_server", __doc__)
    prepare_process()
    try:
        engine = socket.socket(fileno=fork_socket())
    except OSError as error:
        print(f"a fork server is started by the engine: {error}", file=sys.stderr)
        return 2
    engine.set_inheritable(False)
    _reserve_channel_descriptors()
    try:
        host = AdapterHost(load_adapter(arguments.adapter, read_settings(arguments)))
    except BaseException as error:
        engine.send(fork_failed(_OF_SERVER, start_report(arguments.adapter, error)))
        return 1
    # A page is shared with the workers until somebody writes to it, and a collection writes to
    # whatever it looks at.
    gc.collect()
    gc.freeze()
    server = ForkServer(arguments.adapter, engine)
    if (report := server.check()) is not None:
        engine.send(fork_failed(_OF_SERVER, report))
        return 1
    engine.send(fork_ready())
    if not server.serve():
        return 0
    del server, engine
    _differ_from_others()
    return run_worker(arguments, lambda: host)


def _reserve_channel_descriptors() -> None:
    """Keeps whatever the adapter opens away from the numbers that a worker's channel will have."""
    null = os.open(os.devnull, os.O_RDONLY)
    for number in channel_descriptors():
        if number != null:
            os.dup2(null, number, inheritable=False)
    if null not in channel_descriptors():
        os.close(null)


def _own_children() -> str | None:
    """What the import has started would be nobody's when the server is killed."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return "it has started a process"


def _fork() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def _lead_group(pid: int) -> int:
    """Makes the worker the leader of a group of its own; returns its pidfd."""
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)  # it does the same: whoever comes first
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _differ_from_others() -> None:
    """Undoes what all forks of one process would have in common; `random` has done so itself."""
    own_module = f"{__package__}.fork_server"
    rename_process([__package__ if word == own_module else word for word in sys.orig_argv])
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


if __name__ == "__main__":
    sys.exit(main())
